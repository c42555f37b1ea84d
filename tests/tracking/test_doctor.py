"""Damage stays where it is: other runs are read, the damaged one is named, and what its journal allows is mended."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mtl_core.base import trash
from mtl_core.base.workspace import Workspace
from mtl_core.cli.main import main
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.jobs import perform, training
from mtl_core.runtime.steps import step_folder
from mtl_core.tracking.doctor import examine_workspace
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Run, RunError, all_runs, create_run, list_runs, run
from mtl_core.training.control import Control

Make = Callable[[], Run]


@pytest.fixture
def finished(description: dict, workspace: Workspace) -> Run:
    description["training"] |= {"steps": 4, "evaluate_every": 2}
    created = create_run(experiment_from_dict(description), workspace, None)
    recorder = Recorder(created.folder)
    perform(recorder, training(created, workspace, False), Control())
    recorder.close()
    return created.refreshed()


BROKEN = {
    "a list": "[]",
    "null": "null",
    "empty": "",
    "cut": '{"state": "runn',
    "no state": '{"created": 1.0}',
    "an unknown state": '{"state": "asleep", "created": 1.0}',
    "a text for a number": '{"state": "finished", "created": "yesterday"}',
    "a list for weights": '{"state": "finished", "created": 1.0, "weights": []}',
    "a number for the owner": '{"state": "running", "created": 1.0, "owner": 5}',
    "a text for a time": '{"state": "finished", "created": 1.0, "started": "noon"}',
    "texts for metrics": '{"state": "finished", "created": 1.0, "result": {"tasks": {"a": {"best": {"auc": "high"}}}}}',
    "problems that are none": '{"state": "finished", "created": 1.0, "problems": {"a": 1}}',
    "an error that is none": '{"state": "failed", "created": 1.0, "error": "it broke"}',
    "not UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_one_broken_status_hides_no_other_run(workspace: Workspace, description: dict, content: str | bytes) -> None:
    whole, broken = (create_run(experiment_from_dict(description), workspace, None) for _ in range(2))
    (broken.folder / "status.json").write_bytes(content.encode() if isinstance(content, str) else content)
    assert [one.id for one in list_runs(workspace)] == [whole.id]
    assert [one.id for one in all_runs(workspace)[1]] == [broken.id]
    with pytest.raises(RunError, match=r"is damaged .*doctor"):
        run(workspace, broken.id)
    (finding,) = (found for found in examine_workspace(workspace) if found.of == broken.id)
    assert finding.what == "run" and finding.repairable and not finding.repaired


def test_a_status_is_written_again_from_the_journal(finished: Run, workspace: Workspace) -> None:
    before = dict(finished.status)
    (finished.folder / "status.json").write_text("[]")
    assert [found.repaired for found in examine_workspace(workspace, repair=True)] == [True]
    again = run(workspace, finished.id)
    same = ("state", "name", "weights", "kinds", "step", "n_steps", "result", "datasets", "device", "best_so_far")
    assert {name: again.status.get(name) for name in same} == {name: before.get(name) for name in same}
    assert abs(again.status["tested"] - before["tested"]) < 5 and (finished.folder / "status.damaged.json").read_text() == "[]"
    assert list(examine_workspace(workspace)) == []


def test_every_damage_is_named_once(finished: Run, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0 and "Nothing is wrong." in capsys.readouterr().out
    lines = finished.journal.read_bytes().splitlines(keepends=True)
    finished.journal.write_bytes(b"".join(lines[:5] + lines[6:]))
    (step_folder(finished.folder, 4) / "optimizer.safetensors").write_bytes(b"")
    (finished.folder / "checkpoints" / ".step-9.0badcafe").mkdir()
    (finished.folder / "experiment.yaml").write_text("tasks: [")
    workspace.folder("runs", "nothing")
    (table,) = {folder for folder in workspace.datasets.iterdir() if folder.name in finished.datasets.values()} - set(
        sorted(folder for folder in workspace.datasets.iterdir() if folder.name in finished.datasets.values())[1:]
    )
    (table / "table.parquet").write_bytes((table / "table.parquet").read_bytes()[:-1])
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["findings"]
    assert sorted((one["what"], one["of"]) for one in found) == sorted(
        [(what, finished.id) for what in ("run", "journal", "checkpoint", "left")] + [("left", "nothing"), ("table", table.name)]
    )
    assert main(["doctor", "--repair", "--json"]) == 1
    mended = {(one["what"], one["of"]) for one in json.loads(capsys.readouterr().out.splitlines()[-1])["findings"] if one["repaired"]}
    assert mended == {("left", finished.id), ("table", table.name)}
    assert [entry.name for entry in trash.list_trash(workspace)] == [table.name], "nothing is thrown away"
    assert not list((finished.folder / "checkpoints").glob(".*"))


def test_a_run_at_work_is_left_alone(description: dict, workspace: Workspace, tmp_path: Path) -> None:
    created = create_run(experiment_from_dict(description), workspace, None)
    recorder = Recorder(created.folder)
    (created.folder / "status.json").write_text("")
    assert list(examine_workspace(workspace, repair=True)) == []
    recorder.close()
    assert [found.repaired for found in examine_workspace(workspace, repair=True)] == [True]
