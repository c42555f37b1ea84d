"""What a further task costs: ten tasks beside one with as many tokens, and three tasks on one table beside one of them.

    python benchmarks/tasks.py --data DIR [--rounds 15] [--rows 64] [--json FILE]

DIR: holds womens_clothing_reviews. Ten tables of reviews, a task on each, against one task on all of these reviews; and the table
with three tasks against each of them alone. MiniLM, all of it learns. In every round each variant takes a step of its own. Printed:
the median over the rounds of the seconds for a token (useful ones, special tokens included), relative to the single task. Wanted: at
most 1.1 for ten tasks, and at most 1.25 of a step for three tasks on one table.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import pandas as pd

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.runtime.prepare import prepare
from mtl_core.training.control import Control
from mtl_core.training.events import StepDone
from mtl_core.training.loop import Trainer

LABELS = {
    "department": ("classification", "Department Name"),
    "class": ("classification", "Class Name"),
    "recommended": ("classification", "Recommended IND"),
    "rating": ("classification", "Rating"),
    "age": ("classification", "Division Name"),
}
TEN, THREE = 10, ("recommended", "rating", "department")


def task(name: str, table: str) -> dict[str, Any]:
    kind, label = LABELS[name]
    return {"kind": kind, "data": table, "columns": {"text": ["Title", "Review Text"], "label": label}}


def described(tables: dict[str, Path], tasks: dict[str, dict[str, Any]], rows: int) -> dict[str, Any]:
    data = {name: {"file": str(path), "split": {"validation": 0.1, "test": 0.1}} for name, path in tables.items()}
    training = {"steps": 10_000, "batch_size": rows}
    return {"data": data, "tasks": tasks, "training": training, "diagnostics": {"conflicts_every": 0}}


def variants(reviews: pd.DataFrame, folder: Path, rows: int) -> dict[str, dict[str, Any]]:
    """Name → an experiment."""
    parts = {}
    for number in range(TEN):
        parts[f"reviews {number}"] = folder / f"{number}.parquet"
        reviews.iloc[number::TEN].to_parquet(parts[f"reviews {number}"])
    reviews.to_parquet(whole := folder / "all.parquet")
    names = list(LABELS)
    ten = {f"{names[i % len(names)]} {i}": task(names[i % len(names)], table) for i, table in enumerate(parts)}
    found = {
        "one task": described({"all": whole}, {"department": task("department", "all")}, rows),
        "ten tasks": described(parts, ten, rows),
    }
    found["three on one table"] = described({"all": whole}, {name: task(name, "all") for name in THREE}, rows)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the tables")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=64, help="in a step")
    parser.add_argument("--json", type=Path, help="also write all figures here")
    arguments = parser.parse_args()
    reviews = pd.read_parquet(arguments.data / "womens_clothing_reviews" / "reviews.parquet").sample(8000, random_state=0)
    for _, label in LABELS.values():
        reviews = reviews[reviews[label].notna()]
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        trainers = {}
        for name, values in variants(reviews, Path(folder), arguments.rows).items():
            experiment = experiment_from_dict(values)
            trainers[name] = Trainer(experiment, prepare(experiment, workspace), Control(), None, False)
        seconds: dict[str, list[float]] = {name: [] for name in trainers}
        tokens: dict[str, list[int]] = {name: [] for name in trainers}
        for number in range(-2, arguments.rounds):  # two rounds to warm up
            for name, trainer in trainers.items():
                begun = time.perf_counter()
                done = [event for event in trainer._step() if isinstance(event, StepDone)]
                taken = time.perf_counter() - begun
                if number >= 0:
                    seconds[name].append(taken)
                    tokens[name].append(done[-1].tokens)
        for trainer in trainers.values():
            trainer.lanes.close()

    print("| step | seconds | tokens, each task's | of the single task, by token | of the single task, by row |\n|---|---|---|---|---|")
    for name, times in seconds.items():
        by_token = statistics.median(
            (s / t) / (s1 / t1) for s, t, s1, t1 in zip(times, tokens[name], seconds["one task"], tokens["one task"], strict=True)
        )
        by_row = statistics.median(s / s1 for s, s1 in zip(times, seconds["one task"], strict=True))
        print(f"| {name} | {statistics.median(times):.3f} | {statistics.median(tokens[name]):,.0f} | {by_token:.2f} | {by_row:.2f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps({"seconds": seconds, "tokens": tokens}))


if __name__ == "__main__":
    main()
