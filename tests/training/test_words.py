"""Kinds that use the encoder's own words, beside another one: trained, saved, loaded again, asked."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.inference.predictor import Predictor
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.tasks import KINDS
from mtl_core.training.events import Evaluated, Finished, StepDone
from mtl_core.training.loop import train


@pytest.mark.parametrize("balancing", ["fixed", "pcgrad"])
def test_words_are_learned_beside_labels(tiny_encoder: Path, workspace: Workspace, tmp_path: Path, balancing: str) -> None:
    rng = np.random.default_rng(0)
    with (tmp_path / "shoes.csv").open("w", newline="") as file:
        rows = [(c, t, f"a {c} {t}", t) for c, t in zip(rng.choice(["red", "blue"], 60), rng.choice(["shoe", "hat"], 60), strict=True)]
        csv.writer(file).writerows([("colour", "thing", "text", "class"), *rows])
    experiment = experiment_from_dict(
        {
            "name": "words",
            "data": {"shoes": {"file": "shoes.csv"}},
            "tasks": {
                "describe": {
                    "kind": "generation",
                    "data": "shoes",
                    "columns": {"source": ["colour", "thing"], "label": "text"},
                    "options": {"layers": 1, "longest_target": 12, "beams": 2, "samples": 1},
                },
                "words": {"kind": "masked_language_modelling", "data": "shoes", "columns": {"text": "text"}},
                "thing": {"kind": "classification", "data": "shoes", "columns": {"text": "text", "label": "class"}},
            },
            "encoder": {"name": str(tiny_encoder), "max_length": 24},
            "balancing": {"name": balancing},
            "training": {"steps": 4, "batch_size": 8, "evaluate_every": 2, "device": "cpu"},
        }
    )
    folder = workspace.folder("runs", "words")
    events = list(train(experiment, prepare(experiment, workspace, tmp_path), folder=folder))
    assert isinstance(events[-1], Finished)
    assert all(set(e.losses) == {"describe", "words", "thing"} for e in events if isinstance(e, StepDone))
    for event in (e for e in events if isinstance(e, Evaluated)):
        for name in ("describe", "words"):
            assert set(event.metrics[name]) == {m.name for m in KINDS[experiment.tasks[name].kind].metrics}
    first, second = (Predictor(checkpoint_folder(folder, "best"), "cpu") for _ in range(2))
    for task, row in (("describe", {"source": "red hat"}), ("words", {"text": "a red ___"})):
        [answer] = first.predict(task, [row])
        assert second.predict(task, [row]) == [answer]  # no weight was left to chance
        assert isinstance(answer["label"], str)
    head = first._model.heads["describe"]
    assert torch.equal(head.words.embeddings, first._model.encoder.embeddings)  # type: ignore[operator, union-attr]
