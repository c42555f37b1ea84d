"""Finished runs with kept predictions, made without training."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment
from mtl_core.evaluation.predictions import About, PredictedRows, write_predictions
from mtl_core.tracking.runs import Run, create_run, run
from mtl_core.tracking.status import write_status

CLASSES = ["a", "b", "c"]


def kept(folder: Any, task: str, split: str, labels: np.ndarray, predicted: np.ndarray, rows: np.ndarray | None = None) -> None:
    """Of a classification: predicted classes, each with the probability 0.8 of itself."""
    scores = np.full((len(labels), len(CLASSES)), 0.1)
    scores[np.arange(len(labels)), predicted] = 0.8
    numbers = np.arange(len(labels)) if rows is None else rows
    answers = [CLASSES[c] for c in predicted]
    losses = -np.log(scores[np.arange(len(labels)), labels])
    about = About(task, "classification", split, 1, {"classes": CLASSES})
    write_predictions(folder, about, [PredictedRows(numbers, scores, labels, None, losses, answers)])


def finished(
    workspace: Workspace,
    experiment: Experiment,
    answers: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    name: str = "run",
    rows: np.ndarray | None = None,
    splits: Sequence[str] = ("validation", "test"),
    **status: Any,
) -> Run:
    """answers: task → (labels, predicted), the same on both splits."""
    made = create_run(experiment, workspace, None)
    parts = {"validation": "best", "test": "test"}
    tasks = {
        task: {parts[split]: {"accuracy": float((labels == predicted).mean())} for split in splits}
        for task, (labels, predicted) in answers.items()
    }
    about = {"state": "finished", "name": name, "datasets": {"t": "hash"}, "result": {"tasks": tasks}, "step": 1, "ended": 2.0}
    write_status(made.folder, {**made.status, **about, **({"tested": 2.0} if "test" in splits else {}), **status})
    for task, (labels, predicted) in answers.items():
        for split in splits:
            kept(made.folder, task, split, labels, predicted, rows)
    return run(workspace, made.id)
