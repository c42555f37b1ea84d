"""A change of the code that means to leave every number as it is does: every task kind, trained a few steps, against stored metrics.

`MTL_WRITE_NUMBERS=1 python -m pytest tests/training/test_same_numbers.py -n 0` stores what is found, for changes that mean to change it.
"""

import json
import os
from pathlib import Path

import pytest
import torch

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import load_experiment
from mtl_core.runtime.prepare import prepare
from mtl_core.training.events import Finished
from mtl_core.training.loop import train

DATA = Path(__file__).parents[2] / "data"
STORED = Path(__file__).with_name("same_numbers.json")
SETTINGS = (
    "training.steps=4",
    "training.batch_size=56",
    "training.evaluate_every=2",
    "training.max_validation_rows=40",
    "encoder.trainable=full",
)


@pytest.mark.slow
def test_the_sample_shop_trains_to_the_same_numbers(tiny_encoder: Path, workspace: Workspace) -> None:
    settings = [*SETTINGS, f"encoder.name={tiny_encoder}", "training.device=cpu", "training.precision=float32"]
    experiment = load_experiment(DATA / "whole_shop.yaml", settings)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        finished = [e for e in train(experiment, prepare(experiment, workspace, DATA)) if isinstance(e, Finished)][-1]
    finally:
        torch.set_num_threads(threads)
    found = {"before": finished.before, "best": finished.best, "test": finished.test}
    if os.environ.get("MTL_WRITE_NUMBERS"):
        STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    for part, tasks in stored.items():
        assert set(found[part]) == set(tasks)
        for task, metrics in tasks.items():
            assert found[part][task] == pytest.approx(metrics, abs=1e-4), f"{part}: {task}"
