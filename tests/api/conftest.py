"""One tiny training through the public API, for all tests that only read it."""

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mtl_core as mtl

WORDS = {"shoes": ["boot", "sole", "lace", "heel"], "music": ["song", "drum", "tune", "band"], "food": ["bread", "soup", "rice", "cake"]}


@pytest.fixture(autouse=True)
def no_mlflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There is no MLflow store, so that no time goes into making one."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    monkeypatch.setattr("mtl_core.api.foreground.MIRROR_SECONDS", 0.0)


@pytest.fixture(scope="session")
def messages() -> pd.DataFrame:
    """60 rows: message, number, topic (three classes of as many rows)."""
    rng = random.Random(0)
    rows = [(f"{rng.choice(words)} {rng.choice(words)} {i}", i % 7, topic) for i in range(20) for topic, words in WORDS.items()]
    return pd.DataFrame(rows, columns=["message", "number", "topic"])


@pytest.fixture(scope="session")
def searches() -> pd.DataFrame:
    """60 rows: query, title, relevance: the title is of the query's topic or not."""
    topics = list(WORDS)
    rows = [
        (f"{topic} {i % 20}", f"{WORDS[topics[(i + shift) % 3]][i % 4]} {shift}", int(shift == 0))
        for i in range(20)
        for shift, topic in ((s, topics[i % 3]) for s in range(3))
    ]
    return pd.DataFrame(rows, columns=["query", "title", "relevance"])


@pytest.fixture(scope="session")
def experiment(tiny_encoder: Path) -> dict[str, Any]:
    """Without files: the tables come as frames."""
    return {
        "name": "tiny",
        "data": {
            "messages": {"split": {"by": "stratified", "column": "topic", "validation": 0.2, "test": 0.2}},
            "searches": {"split": {"by": "group", "column": "query", "validation": 0.2, "test": 0.2}},
        },
        "tasks": {
            "topic": {"kind": "classification", "data": "messages", "columns": {"text": "message", "label": "topic"}},
            "search": {
                "kind": "search",
                "data": "searches",
                "columns": {"query": "query", "product": "title", "label": "relevance", "group": "query"},
                "weight": 2,
            },
        },
        "encoder": {"name": str(tiny_encoder), "max_length": 16},
        "training": {"steps": 6, "batch_size": 16, "evaluate_every": 3, "device": "cpu", "precision": "float32"},
    }


@pytest.fixture(scope="session")
def trained(
    experiment: dict[str, Any], messages: pd.DataFrame, searches: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> mtl.Run:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "file").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/file/mlflow.db")
        patch.setattr("mtl_core.api.foreground.MIRROR_SECONDS", 0.0)
        tables = {"messages": messages, "searches": searches}
        return mtl.train(experiment, tables=tables, workspace=folder / "workspace", progress=False)
