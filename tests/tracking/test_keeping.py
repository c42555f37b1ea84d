"""Names, notes, the run in use, deleting and restoring; on real folders."""

import json
import re
from pathlib import Path

import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.evaluation.predictions import write_report
from mtl_core.tracking import keeping
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Run, RunError, create_run, list_runs, run
from mtl_core.training.events import CheckpointSaved, Evaluated, Finished, Started, Steered
from tests.experiments import smallest

EXPERIMENT = smallest("name=as trained")
FINISHED = Finished(10, "finished", "steps", 5, {"a": {"auc": 0.5}}, {"a": {"auc": 0.8}}, {"a": {"auc": 0.7}}, 9.0)


def ended(workspace: Workspace, **about: object) -> Run:
    made = create_run(EXPERIMENT, workspace, None, about=about)
    recorder = Recorder(made.folder)
    recorder.record(Started(0, 10, "cpu", "float32", {"a": {"train": 8}}, 3, 5, {"a": 1.0}))
    recorder.record(Steered(3, {"tasks.a.weight": 1.0}, {"tasks.a.weight": 4.0}))
    recorder.record(Evaluated(5, "validation", {"a": 0.2}, {"a": {"auc": 0.8}}, 0.8, 0.1, True))
    assert made.refreshed().best_so_far == {}, "no model of it is kept yet"
    recorder.record(CheckpointSaved(5, "step-5", "checkpoints/step-5"))
    assert made.refreshed().best_so_far == {"a": {"auc": 0.8}}
    assert made.refreshed().loss_weights == {"a": 4.0}
    recorder.record(FINISHED)
    recorder.close()
    return made.refreshed()


def with_model(found: Run) -> Run:
    folder = found.folder / "checkpoints" / "best"
    folder.mkdir(parents=True)
    (folder / "specs.json").write_text("{}", encoding="utf-8")
    return found


def test_name_and_note_lie_beside_the_record(workspace: Workspace) -> None:
    found = ended(workspace)
    before = {path.name: path.read_bytes() for path in found.folder.iterdir() if path.is_file()}
    keeping.rename(found, "  the\none for  autumn ")
    keeping.note(found, "more weight on search")
    assert run(workspace, found.id).name == found.name == "the one for autumn"
    assert list_runs(workspace)[0].noted["note"] == "more weight on search"
    keeping.note(found, "")
    assert found.noted["name"] == "the one for autumn" and found.noted["note"] == ""
    after = {path.name: path.read_bytes() for path in found.folder.iterdir() if path.is_file()}
    after.pop("noted.json")
    assert after == before


@pytest.mark.parametrize("name", ["", "  \n", "x" * 121])
def test_a_name_that_is_none_is_refused(workspace: Workspace, name: str) -> None:
    found = ended(workspace)
    with pytest.raises(RunError, match="1 to 120 characters"):
        keeping.rename(found, name)
    assert found.name == "as trained"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": ""}', "\x00"])
def test_a_damaged_note_hides_no_run(workspace: Workspace, text: str) -> None:
    found = ended(workspace)
    (found.folder / "noted.json").write_text(text, encoding="utf-8")
    assert [one.name for one in list_runs(workspace)] == ["as trained"]


def test_predict_opens_on_the_run_in_use_else_on_the_newest_finished_one(workspace: Workspace) -> None:
    old, new = with_model(ended(workspace)), with_model(ended(workspace))
    made = with_model(ended(workspace, purpose={"of": old.id}))
    waiting = with_model(create_run(EXPERIMENT, workspace, None))
    listed = list_runs(workspace)
    assert [one.id for one in listed] == [waiting.id, made.id, new.id, old.id]
    assert keeping.usual(workspace, listed) == new
    keeping.use(workspace, old)
    assert keeping.in_use(workspace) == old.id
    assert keeping.usual(workspace, listed) == old
    keeping.use(workspace, None)
    assert keeping.in_use(workspace) is None
    assert keeping.usual(workspace, [waiting]) == waiting
    assert keeping.usual(workspace, [made]) is None
    with pytest.raises(RunError, match="no trained model"):
        keeping.use(workspace, ended(workspace))


def test_deleted_and_restored(workspace: Workspace) -> None:
    found = with_model(ended(workspace))
    keeping.use(workspace, found)
    files = {path: path.read_bytes() for path in found.folder.rglob("*") if path.is_file() and path.name != "run.lock"}
    gone = keeping.delete(workspace, found)
    assert gone.n_bytes > 100
    assert list_runs(workspace) == [] and keeping.in_use(workspace) is None
    assert keeping.restore(workspace, found.id) == found.id
    assert {path: path.read_bytes() for path in found.folder.rglob("*") if path.is_file() and path.name != "run.lock"} == files
    assert keeping.in_use(workspace) == found.id
    with pytest.raises(RunError, match=r"no run .* in the trash"):
        keeping.restore(workspace, found.id)


def test_what_is_at_work_is_not_deleted(workspace: Workspace) -> None:
    waiting = create_run(EXPERIMENT, workspace, None)
    with pytest.raises(RunError, match="Stop it"):
        keeping.delete(workspace, waiting)
    found = ended(workspace)
    evaluating = Recorder(found.folder)  # its state is finished
    with pytest.raises(RunError, match="Stop it"):
        keeping.delete(workspace, found)
    evaluating.close()
    assert found.folder.is_dir()
    keeping.delete(workspace, found)


def test_what_uses_a_run_is_said(workspace: Workspace, tmp_path: Path) -> None:
    found = with_model(ended(workspace))
    started = create_run(smallest(f"encoder.name={found.folder / 'checkpoints' / 'best' / 'encoder'}"), workspace, None)
    made = ended(workspace, purpose={"of": found.id})
    again = ended(workspace, replays=found.id)
    keeping.use(workspace, found)
    uses = keeping.uses_of(workspace, found)
    assert (uses.started, uses.compared, uses.repeated, uses.in_use) == ((started.id,), (made.id,), (again.id,), True)
    assert len(uses.sentences) == 4 and started.id in str(uses.sentences[1])
    assert keeping.uses_of(workspace, started) == keeping.Uses()


def classified(workspace: Workspace) -> Run:
    """A finished run of a classification of 0 and 1, whose experiment calls them bad and good."""
    options = {"class_names": {"0": "bad", "1": "good"}}
    task = {"kind": "classification", "data": "t", "columns": {"text": "text", "label": "label"}, "options": options}
    made = create_run(experiment_from_dict({"data": {"t": {"file": "t.csv"}}, "tasks": {"a": task}}), workspace, None)
    with_model(made)
    (made.folder / "checkpoints" / "best" / "specs.json").write_text(json.dumps({"a": {"classes": ["0", "1"]}}), encoding="utf-8")
    write_report(made.folder, "test", {"a": [{"type": "matrix", "title": "m", "data": {"labels": ["0", "1"], "values": [[1, 0], [0, 1]]}}]})
    return run(workspace, made.id)


def test_names_of_classes_lie_beside_the_run_and_win_over_the_experiment(workspace: Workspace) -> None:
    found = classified(workspace)
    assert found.class_names("a") == {"0": "bad", "1": "good"} and found.class_names("nothing") == {}
    written = (found.folder / "reports" / "test.json").read_bytes()
    assert found.reports("test")["a"][0]["data"]["labels"] == ["bad", "good"]
    keeping.name_classes(found, "a", {"0": " negative ", "1": ""})
    assert found.class_names("a") == {"0": "negative"}
    assert found.reports("test")["a"][0]["data"]["labels"] == ["negative", "1"]
    keeping.name_classes(found, "a", {})
    assert found.class_names("a") == {}
    assert (found.folder / "reports" / "test.json").read_bytes() == written
    assert found.experiment.tasks["a"].options.class_names == {"0": "bad", "1": "good"}


@pytest.mark.parametrize(
    ("task", "names", "said"),
    [
        ("b", {"0": "x"}, "has the tasks a. Found “b”"),
        ("a", {"2": "x"}, "has the classes 0, 1. Found 2"),
        ("a", {"0": "x", "1": " x"}, "Several would be called x"),
        ("a", {"0": "1"}, "Several would be called 1"),
    ],
)
def test_names_that_do_not_fit_the_classes_are_refused(workspace: Workspace, task: str, names: dict[str, str], said: str) -> None:
    found = classified(workspace)
    with pytest.raises(RunError, match=re.escape(said)):
        keeping.name_classes(found, task, names)
    assert found.class_names("a") == {"0": "bad", "1": "good"}


def test_what_has_no_classes_is_not_named(workspace: Workspace) -> None:
    with pytest.raises(RunError, match="no classes to name"):
        keeping.name_classes(with_model(ended(workspace)), "clicks", {"0": "x"})
