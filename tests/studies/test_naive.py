"""The naive baseline on the rows that a run is judged by."""

import shutil
from pathlib import Path
from random import Random

import numpy as np
import pytest

import mtl_core as mtl
from mtl_core.base.workspace import Workspace
from mtl_core.config.tables import map_task
from mtl_core.data.store import load_dataset
from mtl_core.evaluation.predictions import load_predictions, predictions_file
from mtl_core.studies.naive import naive, not_beaten, of_run
from mtl_core.tasks import KINDS
from mtl_core.tracking.runs import Run, run


@pytest.fixture
def trained(workspace: Workspace, tiny_encoder: Path, tmp_path: Path) -> Run:
    """One step on 300 messages, of which 12 of 30 validation rows are looked at; a fifth of the labels is wrong."""
    draw = Random(1)
    rows = []
    for i in range(300):
        late = draw.random() < 0.5
        label = late if draw.random() < 0.8 else not late
        rows.append(f"{'where is parcel' if late else 'money back for'} {i},{'delivery' if label else 'refund'}")
    (tmp_path / "messages.csv").write_text("message,intent\n" + "\n".join(rows) + "\n")
    description = {
        "data": {"messages": {"file": str(tmp_path / "messages.csv"), "split": {"by": "random"}}},
        "tasks": {"intent": {"kind": "classification", "data": "messages", "columns": {"text": "message", "label": "intent"}}},
        "encoder": {"name": str(tiny_encoder), "max_length": 16},
        "training": {"steps": 1, "evaluate_every": 1, "max_validation_rows": 12, "device": "cpu"},
    }
    return run(workspace, mtl.train(description, workspace=workspace.root).id)


def test_it_is_measured_on_the_rows_that_the_run_was_judged_by(trained: Run, workspace: Workspace) -> None:
    task, kind = trained.tasks["intent"], KINDS["classification"]
    mapped = map_task(task, load_dataset(trained.datasets["messages"], workspace))
    _about, watched = load_predictions(trained.folder, "intent", "validation", kind.report.types)
    assert len(watched.rows) == 12 < (mapped.split == "validation").sum()
    rows = np.sort(np.concatenate([np.flatnonzero(mapped.split == "train"), watched.rows]))
    table, split = mapped.table.take(rows), mapped.split[rows]
    spec = kind.rows.fit(table.filter(split == "train"), task.options)
    wanted = kind.rows.naive(table, split, spec, task.options, "validation")[kind.primary]
    assert 0 < wanted < 1 and naive(trained, "intent", workspace) == wanted
    shutil.rmtree(workspace.root / "datasets")
    assert of_run(trained.id, "intent", workspace.root) == wanted, "it is kept"
    predictions_file(trained.folder, "intent", "validation").unlink()
    assert naive(trained, "intent", workspace) is None


def test_a_task_that_has_not_beaten_it_is_named(trained: Run) -> None:
    best = trained.result()["tasks"]["intent"]["best"][KINDS["classification"].primary]
    assert not_beaten(trained, "intent", best - 0.01) is None
    assert "“intent”: training has not beaten" in str(not_beaten(trained, "intent", best))


def test_without_its_table_nothing_is_known(trained: Run, workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / "datasets")
    assert naive(trained, "intent", workspace) is None
