"""A task with ten rows beside one with hundreds: under no sampling, and no strategy that weighs losses, does it dominate or starve."""

from pathlib import Path

import numpy as np
import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.data.shares import SAMPLING
from mtl_core.runtime.prepare import prepare
from mtl_core.tracking.series import Series
from mtl_core.training.events import StepDone
from mtl_core.training.loop import train
from tests.shop import write

STEPS, BATCH = 60, 24


@pytest.fixture
def two_tables(tmp_path: Path, tiny_encoder: Path) -> dict:
    """large: 300 training rows of three classes; small: ten of two."""
    colors = np.random.default_rng(0).choice(["red", "blue", "green"], 330).tolist()
    large = [[f"{color} hat {i}", color, "train" if i < 300 else "test"] for i, color in enumerate(colors)]
    small = [[f"{'good' if i % 2 else 'bad'} shop {i}", i % 2, "train" if i < 10 else "test"] for i in range(16)]
    split = {"by": "column", "column": "split"}
    for name, rows in (("large", large), ("small", small)):
        for number, row in enumerate(r for r in rows if r[2] == "test"):
            row[2] = ("validation", "test")[number % 2]
        write(tmp_path / f"{name}.csv", ["text", "label", "split"], rows)
    columns = {"text": "text", "label": "label"}
    return {
        "data": {name: {"file": str(tmp_path / f"{name}.csv"), "split": split} for name in ("large", "small")},
        "tasks": {name: {"kind": "classification", "data": name, "columns": columns} for name in ("large", "small")},
        "encoder": {"name": str(tiny_encoder), "max_length": 16},
        "training": {"steps": STEPS, "batch_size": BATCH, "evaluate_every": STEPS, "device": "cpu"},
        "optimizer": {"learning_rate": 1e-3, "head_learning_rate": 5e-3},
        "diagnostics": {"conflicts_every": 0},
    }


def trained(description: dict, workspace: Workspace) -> tuple[Series, dict[str, list[float]]]:
    """What was drawn, and of each task its losses by step."""
    experiment = experiment_from_dict(description)
    series, losses = Series(), {name: [] for name in experiment.tasks}
    for event in train(experiment, prepare(experiment, workspace)):
        series.extend(event)
        if isinstance(event, StepDone):
            for name, loss in event.losses.items():
                losses[name].append(loss)
    return series, losses


def fell(losses: list[float]) -> float:
    """The mean of the last fifth over that of the first."""
    part = max(1, len(losses) // 5)
    return float(np.mean(losses[-part:]) / np.mean(losses[:part]))


@pytest.mark.parametrize("sampling", SAMPLING)
def test_ten_rows_under_every_sampling(two_tables: dict, workspace: Workspace, sampling: str) -> None:
    series, losses = trained(two_tables | {"sampling": {"name": sampling}}, workspace)
    assert series.finished is not None and series.step == STEPS, "the small table ends nothing"
    small, large = series.seen["small"], series.seen["large"]
    assert (small.rows, large.rows) == (10, 300)
    assert small.drawn + large.drawn == STEPS * BATCH
    assert small.times >= large.times - 1, "it does not starve: its rows are seen as often as the others', or more"
    assert small.drawn <= (0.9 if sampling == "bandit" else 0.5) * STEPS * BATCH + BATCH, "it does not take the step"
    assert fell(losses["small"]) < 0.5 and fell(losses["large"]) < 0.5, "both learn"


@pytest.mark.parametrize("strategy", ["fixed", "uncertainty", "upgrad"])
def test_ten_rows_weigh_as_a_task_not_by_their_number(two_tables: dict, workspace: Workspace, strategy: str) -> None:
    series, losses = trained(two_tables | {"balancing": {"name": strategy}, "sampling": {"name": "proportional"}}, workspace)
    assert fell(losses["small"]) < 0.5 and fell(losses["large"]) < 0.5
    if strategy != "fixed":
        small, large = (np.mean(series.effective_weight(name)[1]) for name in ("small", "large"))
        assert 0.2 < small / large < 5
