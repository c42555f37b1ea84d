"""How often test rows were looked at: it outlives the runs that did."""

import shutil

from mtl_core.base.workspace import Workspace
from mtl_core.tracking.looks import looks_by_dataset, record_look
from mtl_core.tracking.runs import create_run
from mtl_core.tracking.status import write_status
from tests.app.conftest import EXPERIMENT


def test_each_evaluation_counts_once_for_each_dataset(workspace: Workspace) -> None:
    assert looks_by_dataset(workspace) == {}
    run = create_run(EXPERIMENT, workspace, None)
    record_look(run.folder, {"t": "aaa", "again": "aaa", "u": "bbb"})
    record_look(run.folder, {"t": "aaa"})
    assert looks_by_dataset(workspace) == {"aaa": 2, "bbb": 1}
    shutil.rmtree(run.folder)
    assert looks_by_dataset(workspace) == {"aaa": 2, "bbb": 1}


def test_runs_from_before_the_record_and_a_torn_line(workspace: Workspace) -> None:
    old = create_run(EXPERIMENT, workspace, None)
    write_status(old.folder, {**old.status, "tested": 1.0, "datasets": {"t": "aaa"}})
    create_run(EXPERIMENT, workspace, None)  # never tested
    (workspace.root / "test_looks.jsonl").write_text('{"run": "gone", "datasets": ["aaa"]}\n{"run": "to', "utf-8")
    assert looks_by_dataset(workspace) == {"aaa": 2}
