"""The workbench itself, on the rows of the mix: one joint step over all tasks."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.baselines import LENGTH, Trained, synchronize
from benchmarks.mix import Task
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, experiment_from_dict
from mtl_core.inference.predictor import Predictor
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.training.events import Failed, StepDone
from mtl_core.training.loop import train


def experiment(
    folder: Path, tasks: list[Task], *, epochs: int, seed: int, device: str, learning_rate: float, overrides: list[str]
) -> Experiment:
    """An experiment on the tables that lie as `<task>.parquet` in the working folder. overrides: "path=value", on top."""
    description: dict[str, Any] = {
        "name": "throughput",
        "seed": seed,
        "data": {t.name: {"file": f"{t.name}.parquet", "split": {"by": "column", "column": "split"}} for t in tasks},
        "tasks": {
            t.name: {
                "kind": "classification",
                "data": t.name,
                "columns": {"text": "text", "label": "label", **({"second": "second"} if t.splits["train"].seconds else {})},
            }
            for t in tasks
        },
        "encoder": {"name": str(folder), "max_length": LENGTH},
        "sampling": {"name": "proportional"},
        "optimizer": {"learning_rate": learning_rate, "head_learning_rate": 5e-3},
        "training": {"epochs": epochs, "batch_size": 48, "device": device, "evaluate_every": 10_000_000, "max_validation_rows": 10},
    }
    return experiment_from_dict(description, overrides)


def joint(scratch: Path, tasks: list[Task], described: Experiment, device: str, part: str) -> Trained:
    """(c). Only the time between two events that ends in a finished step counts: not what evaluates or saves."""
    workspace = Workspace(scratch / "workspace")
    run = scratch / "run"
    prepared = prepare(described, workspace, scratch)
    examples = {t.name: 0 for t in tasks}
    seconds = 0.0
    synchronize(device)
    last = time.perf_counter()
    for event in train(described, prepared, folder=run):
        match event:
            case StepDone():
                synchronize(device)
                seconds += time.perf_counter() - last
                for name, count in event.rows.items():
                    examples[name] += count
            case Failed():
                raise SystemExit(f"{event.message} {event.advice}")
        last = time.perf_counter()
    predictor = Predictor(checkpoint_folder(run, "last"), device=device)
    predictions = {}
    for task in tasks:
        asked = task.splits[part]
        if asked.seconds is None:
            rows = [{"text": text} for text in asked.texts]
        else:
            rows = [{"text": text, "second": second} for text, second in zip(asked.texts, asked.seconds, strict=True)]
        answers = [answer["label"] for answer in predictor.predict(task.name, rows)]
        predictions[task.name] = np.array([task.classes.index(answer) for answer in answers])
    return Trained(seconds, examples, predictions)
