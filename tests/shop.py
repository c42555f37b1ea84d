"""A shop small enough to train in a test: three tables, five tasks, one of each kind and two on one table."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mtl_core.config.experiment import Experiment, experiment_from_dict
from mtl_core.training.events import Event, StepDone

COLORS, THINGS = ["red", "blue", "green"], ["shoe", "hat", "coat", "sock"]


def cut_at(step: int, events: Iterator[Event], folder: Path) -> list[Event]:
    """All events of a training in folder/whole; folder/cut is what a kill after `step` would have left."""
    found = []
    for event in events:
        found.append(event)
        if isinstance(event, StepDone) and event.step == step:
            shutil.copytree(folder / "whole", folder / "cut")
    return found


def write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with reviews.csv (150 rows), searches.csv (160), ads.csv (120), purchases.csv (40 users)."""
    folder, rng = tmp_path_factory.mktemp("shop"), np.random.default_rng(0)
    items = [f"{c} {t}" for c in COLORS for t in THINGS]
    reviews: list[list[object]] = []
    for i in range(150):
        item, good = items[rng.integers(12)], rng.random() < 0.6
        reviews.append([f"{'lovely' if good else 'awful'} {item} {i % 7}", item.split()[1], int(good) if i % 5 else "", i % 30])
    write(folder / "reviews.csv", ["text", "department", "recommended", "product"], reviews)
    searches: list[list[object]] = []
    for q in range(20):
        color, thing = COLORS[q % 3], THINGS[q % 4]
        for other in rng.choice(12, 8, replace=False):
            words = items[other].split()
            searches.append([q, f"{color} {thing} q{q}", items[other], (words[0] == color) + (words[1] == thing)])
    write(folder / "searches.csv", ["qid", "query", "product", "relevance"], searches)
    ads = [
        [THINGS[i % 4], round(rng.random() * 10, 2) if i % 11 else "", f"buy this {COLORS[i % 3]}", int(i % 4 == 0 or rng.random() < 0.2)]
        for i in range(120)
    ]
    write(folder / "ads.csv", ["thing", "price", "text", "clicked"], ads)
    log: list[list[object]] = []
    for user in range(40):
        for t in range(6):
            item = int(rng.integers(4)) + 4 * (user % 3)
            log.append([f"u{user}", f"i{item}", items[item], f"2024-01-{t + 1:02d}", 1])
    write(folder / "purchases.csv", ["user", "item", "title", "time", "quantity"], log)
    return folder


def described(shop: Path, tiny_encoder: Path) -> dict:
    return {
        "name": "small",
        "seed": 3,
        "data": {
            "reviews": {"file": str(shop / "reviews.csv"), "split": {"by": "group", "column": "product", "validation": 0.2, "test": 0.2}},
            "searches": {"file": str(shop / "searches.csv"), "split": {"by": "group", "column": "qid", "validation": 0.2, "test": 0.2}},
            "ads": {"file": str(shop / "ads.csv"), "split": {"validation": 0.2, "test": 0.2}},
            "log": {
                "file": str(shop / "purchases.csv"),
                "transactions": {"user": "user", "item": "item", "text": "title", "time": "time", "negatives": 3},
                "split": {"validation": 0.2, "test": 0.2, "by": "group", "column": "user"},
            },
        },
        "tasks": {
            "department": {"kind": "classification", "data": "reviews", "columns": {"text": "text", "label": "department"}},
            "recommended": {
                "kind": "classification",
                "data": "reviews",
                "columns": {"text": "text", "label": "recommended"},
                "weight": 0.5,
            },
            "search": {
                "kind": "search",
                "data": "searches",
                "columns": {"query": "query", "product": "product", "label": "relevance", "group": "qid"},
            },
            "ads": {
                "kind": "click_through",
                "data": "ads",
                "columns": {"categories": ["thing"], "numbers": ["price"], "text": "text", "label": "clicked"},
            },
            "next_item": {
                "kind": "recommendation",
                "data": "log",
                "columns": {"user": "user", "history": "history", "item": "item", "label": "label"},
            },
        },
        "encoder": {"name": str(tiny_encoder), "max_length": 32},
        "training": {"steps": 12, "batch_size": 24, "evaluate_every": 4, "device": "cpu"},
        "optimizer": {"learning_rate": 1e-3, "head_learning_rate": 5e-3},
    }


@pytest.fixture
def description(shop: Path, tiny_encoder: Path) -> dict:
    """The experiment as a dict, for tests to change before `experiment_from_dict`."""
    return described(shop, tiny_encoder)


@pytest.fixture
def experiment(description: dict) -> Experiment:
    return experiment_from_dict(description)
