"""Rows without a label are taught as the model answers them where it is sure; a run with them can be resumed exactly."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import ExperimentError, experiment_from_dict
from mtl_core.data.pseudo_labels import PseudoLabelsConfig, sure
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.tasks import KINDS
from mtl_core.tracking.series import Series
from mtl_core.training.checkpoints import load_checkpoint
from mtl_core.training.control import Control
from mtl_core.training.drawing import Drawing
from mtl_core.training.events import Event, Resumed, RowsMade, StepDone
from mtl_core.training.loop import Trainer, train
from mtl_core.training.mining import Made, from_tensors
from tests.shop import cut_at, write

WORDS = {"praise": "lovely great", "blame": "awful broken"}


@pytest.fixture
def scarce(description: dict, tmp_path: Path) -> dict:
    """A task on 300 reviews, each of which has a label and a part of the split; it knows a tenth of the training labels."""
    rng = np.random.default_rng(0)
    rows: list[list[object]] = []
    for i in range(300):
        mood, part = list(WORDS)[rng.integers(2)], ("train", "train", "train", "validation", "test")[i % 5]
        rows.append([f"{WORDS[mood].split()[rng.integers(2)]} {i % 5}", mood, part])
    write(tmp_path / "moods.csv", ["text", "mood", "part"], rows)
    description["data"] = {"moods": {"file": str(tmp_path / "moods.csv"), "split": {"by": "column", "column": "part"}}}
    mood = {"kind": "classification", "data": "moods", "columns": {"text": "text", "label": "mood"}, "rows": 0.1}
    description["tasks"] = {"mood": mood | {"pseudo_labels": {"threshold": 0.8}}}
    description["training"] |= {"steps": 32, "batch_size": 18, "evaluate_every": 15}
    return description


def made(events: list[Event]) -> list[RowsMade]:
    return [event for event in events if isinstance(event, RowsMade)]


def steps(events: list[Event]) -> list[dict]:
    return [{**e.to_json(), "seconds": 0, "memory_bytes": 0} for e in events if isinstance(e, StepDone)]


def test_only_the_surest_above_the_threshold() -> None:
    confidence = np.array([0.5, 0.99, 0.9, 0.95, 1.0])
    assert sure(confidence, 10, PseudoLabelsConfig(threshold=0.9)).tolist() == [1, 2, 3, 4]
    assert sure(confidence, 1, PseudoLabelsConfig(threshold=0.9, most=2.5)).tolist() == [1, 4]
    assert sure(confidence[:0], 10, PseudoLabelsConfig(threshold=0.9)).tolist() == []


def test_what_the_kinds_answer() -> None:
    scores = np.array([[0.7, 0.2, 0.1, 0.9], [0.1, 0.3, 0.6, 0.2]], np.float32)  # the last column is doubt
    labels, confidence = KINDS["classification"].report.guess(scores, {"classes": ["a", "b", "c"], "reject": "energy"})
    assert labels.tolist() == [0, 2] and confidence.tolist() == pytest.approx([0.7, 0.6])
    for kind in ("click_through", "matching"):
        labels, confidence = KINDS[kind].report.guess(np.array([0.9, 0.2]), {})
        assert labels.tolist() == [1, 0] and confidence.tolist() == pytest.approx([0.9, 0.8])


def test_sure_answers_are_learned_from_and_resumed_exactly(scarce: dict, workspace: Workspace, tmp_path: Path) -> None:
    experiment = experiment_from_dict(scarce)
    prepared = prepare(experiment, workspace)
    rows = prepared.tasks["mood"].rows
    assert (rows.n_rows("train"), len(rows.unlabelled("train"))) == (18, 162)
    whole = cut_at(22, train(experiment, prepared, folder=tmp_path / "whole"), tmp_path)
    assert [(e.step, e.how) for e in made(whole)] == [(s, "pseudo-labelled") for s in (10, 20, 30)], "180 rows by 18 are an epoch"
    kept = from_tensors(load_checkpoint(checkpoint_folder(tmp_path / "whole", "last")).made)["mood"]
    assert len(kept.rows) == made(whole)[-1].rows["mood"] > 30
    assert set(kept.rows) <= set(rows.unlabelled("train")) and not set(kept.rows) & {*rows.rows("validation"), *rows.rows("test")}
    truth = rows.take(kept.rows).labels
    assert (kept.labels == truth).mean() > 0.9

    done = [e for e in whole if isinstance(e, StepDone)]
    assert all(not e.guessed for e in done[:10]) and all(e.rows == {"mood": 18} for e in done)
    guessed = sum(e.guessed.get("mood", 0) for e in done[20:30])
    assert guessed == pytest.approx(180 * (n := made(whole)[1].rows["mood"]) / (n + 18), abs=18), "drawn like rows with a label"
    series = Series()
    for event in whole:
        series.extend(event)
    assert series.pseudo_labels["mood"].last == (30, len(kept.rows))
    assert series.seen["mood"].drawn == sum(18 - e.guessed.get("mood", 0) for e in done)

    resumed = list(train(experiment, prepared, folder=tmp_path / "cut", resume=True))
    assert isinstance(resumed[0], Resumed) and resumed[0].step == 15
    assert steps(resumed) == steps(whole)[15:] and [e.rows for e in made(resumed)] == [e.rows for e in made(whole)[1:]]
    for event in resumed:
        series.extend(event)
    assert series.pseudo_labels["mood"].steps == [e.step for e in made(whole) if e.rows["mood"]], "from the first ones on"
    one, other = (load_checkpoint(checkpoint_folder(tmp_path / name, "last")).made for name in ("whole", "cut"))
    assert one.keys() == {"rows/mood", "labels/mood"} and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_without_a_threshold_nothing_changes(scarce: dict, workspace: Workspace) -> None:
    scarce["training"] |= {"steps": 8, "evaluate_every": 8}
    found = []
    for options in ({"threshold": 1.0}, {}):  # one that no answer reaches, and none
        scarce["tasks"]["mood"]["pseudo_labels"] = options
        events = list(train(experiment := experiment_from_dict(scarce), prepare(experiment, workspace)))
        found.append((steps(events), [(e.step, e.rows) for e in made(events)]))
    assert found[0][0] == found[1][0]
    assert found[0][1] == [(4, {"mood": 0})], "half way through a run that is shorter than an epoch" and found[1][1] == []


def test_drawing_goes_through_rows_with_a_label_and_a_pseudo_label_alike(scarce: dict, workspace: Workspace) -> None:
    experiment = experiment_from_dict(scarce)
    drawing = Drawing(experiment, prepare(experiment, workspace))
    rows = drawing.tasks["mood"].rows
    unlabelled, labelled = rows.unlabelled("train"), rows.rows("train")
    drawing.draw(0, 0.0)
    drawing.put({"mood": Made(unlabelled[:36], 1 - rows.take(unlabelled[:36]).labels)})
    drawn = [drawing.draw(step, 0.0) for step in range(3)]
    texts = np.concatenate([d.blocks["mood"].slots["text"][0] for d in drawn])
    assert sorted(texts) == sorted(rows.take(np.concatenate([labelled, unlabelled[:36]])).slots["text"][0]), "each once an epoch"
    labels = np.concatenate([d.blocks["mood"].labels for d in drawn])
    assert labels.sum() == rows.take(labelled).labels.sum() + (1 - rows.take(unlabelled[:36]).labels).sum()
    assert sum(d.guessed.get("mood", 0) for d in drawn) == 36 and sum(d.rows["mood"] for d in drawn) == 54


def test_a_run_with_pseudo_labels_needs_no_row_without_a_label(scarce: dict, workspace: Workspace) -> None:
    scarce["tasks"]["mood"]["rows"] = 1.0
    scarce["training"] |= {"steps": 4, "evaluate_every": 4}
    experiment = experiment_from_dict(scarce)
    trainer = Trainer(experiment, prepare(experiment, workspace), Control(), None, False)
    assert [e.rows for e in made(list(trainer.run()))] == [{"mood": 0}]


@pytest.mark.parametrize(("kind", "columns"), [("search", {}), ("click_through", {"conversion": "bought"})])
def test_a_task_that_cannot_is_a_fault(description: dict, kind: str, columns: dict) -> None:
    name = next(name for name, task in description["tasks"].items() if task["kind"] == kind)
    description["tasks"][name]["pseudo_labels"] = {"threshold": 0.9}
    description["tasks"][name]["columns"] |= columns
    with pytest.raises(ExperimentError) as error:
        experiment_from_dict(description)
    (fault,) = error.value.faults
    assert (fault.path, str(fault.found)) == (f"tasks.{name}.pseudo_labels.threshold", "0.9") and "pseudo-labels" in str(fault.wanted)
