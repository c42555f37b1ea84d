"""A checkpoint that is not as it was written: the run goes on from the one before, to the same numbers, and says so."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import mtl_core as mtl
from mtl_core.base.faults import CheckpointError
from mtl_core.base.room import RoomError, held
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.jobs import perform, training
from mtl_core.jobs.failures import is_of_the_disk
from mtl_core.runtime.prepare import prepare
from mtl_core.runtime.steps import DamagedError, find, read_manifest, step_folder
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Run, RunState, create_run
from mtl_core.training.checkpoints import load_state
from mtl_core.training.control import Control
from mtl_core.training.events import Evaluated, Event, Finished, Resumed, StepDone
from mtl_core.training.loop import train

Train = Callable[..., list[Event]]


@pytest.fixture
def trained(description: dict, workspace: Workspace, tmp_path: Path) -> Train:
    description["training"] |= {"steps": 10, "evaluate_every": 4}
    experiment = experiment_from_dict(description)
    prepared = prepare(experiment, workspace)

    def run(folder: str, stop_after: int | None = None, resume: bool = False) -> list[Event]:
        control, events = Control(), []
        for event in train(experiment, prepared, control, tmp_path / folder, resume):
            events.append(event)
            if isinstance(event, StepDone) and event.step == stop_after:
                control.stop()
        return events

    return run


def test_a_disk_without_room_is_told_before_the_first_step(trained: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained("run", stop_after=1)
    taken = held(tmp_path / "run")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2 * taken))
    with pytest.raises(RoomError, match=r"has \d+ MB free; the checkpoints of this training need about \d+ MB") as raised:
        trained("other")
    assert is_of_the_disk(raised.value)
    assert not (tmp_path / "other" / "checkpoints").exists()
    trained("run", resume=True)  # what is there already need not be written again


def losses(events: list[Event]) -> dict[int, dict[str, float]]:
    return {event.step: event.losses for event in events if isinstance(event, StepDone)}


def turn_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("file", ["optimizer.safetensors", "encoder/model.safetensors", "state.json", "manifest.json"])
def test_the_run_goes_on_from_the_one_before(trained: Train, tmp_path: Path, file: str) -> None:
    whole = trained("whole")
    trained("run", stop_after=7)
    damaged = step_folder(tmp_path / "run", 7)
    turn_a_bit(damaged / file)
    events = trained("run", resume=True)
    (resumed,) = (event for event in events if isinstance(event, Resumed))
    assert resumed.step == 4 and list(resumed.damaged) == ["step-7"] and resumed.damaged["step-7"].startswith(file)
    assert losses(events) == {step: found for step, found in losses(whole).items() if step > 4}
    ends = [found[-1] for found in (whole, events)]
    assert isinstance(ends[0], Finished) and isinstance(ends[1], Finished)
    assert (ends[0].test, ends[0].best, ends[0].best_step) == (ends[1].test, ends[1].best, ends[1].best_step)


def test_a_run_of_which_all_are_damaged_says_so_and_stays_what_it_was(description: dict, workspace: Workspace) -> None:
    experiment = experiment_from_dict(description)
    created = create_run(experiment, workspace, None)

    def execute(resume: bool, control: Control) -> RunState:
        recorder = Recorder(created.folder)
        try:
            return perform(recorder, training(created, workspace, resume), control, lambda event: control.stop())
        finally:
            recorder.close()

    assert execute(False, Control()) is RunState.STOPPED
    before = created.refreshed()
    journal = before.journal.read_bytes()
    kept = {path: path.read_bytes() for path in (created.folder / "checkpoints").rglob("optimizer.safetensors")}
    for path in kept:
        path.write_bytes(b"")
    assert execute(True, Control()) is RunState.STOPPED
    refused = created.refreshed()
    assert refused.refused and refused.error is not None and "damaged" in refused.error.message
    assert refused.result() == before.result() and refused.journal.read_bytes() == journal
    for path, content in kept.items():
        path.write_bytes(content)
    execute(True, Control())
    assert not created.refreshed().refused


def test_nothing_is_taken_for_whole_by_its_names(trained: Train, tmp_path: Path) -> None:
    trained("run", stop_after=4)
    for folder in (tmp_path / "run" / "checkpoints").iterdir():
        turn_a_bit(folder / "optimizer.safetensors") if (folder / "optimizer.safetensors").exists() else None
    assert find(tmp_path / "run", "last") is not None, "names and sizes are as they were"
    with pytest.raises(DamagedError, match=r"step-4.*SHA-256"):
        trained("run", resume=True)


def execute(created: Run, workspace: Workspace, resume: bool = False, stop_after: int | None = None) -> RunState:
    control, recorder = Control(), Recorder(created.folder)

    def hear(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == stop_after:
            control.stop()

    try:
        return perform(recorder, training(created, workspace, resume), control, hear)
    finally:
        recorder.close()


def test_an_experiment_that_was_edited_is_said_when_the_run_goes_on(description: dict, workspace: Workspace) -> None:
    created = create_run(experiment_from_dict(description), workspace, None)
    execute(created, workspace, stop_after=4)
    edited = experiment_from_dict({**description, "seed": 77})
    (created.folder / "experiment.yaml").write_text(edited.to_yaml(), "utf-8")
    again = created.refreshed()
    assert execute(Run(again.folder, again.status), workspace, resume=True) is RunState.FINISHED
    (problem,) = (found for found in created.refreshed().problems if found.code == "experiment_edited")
    assert "→ 77)" in str(problem.why) and "seed: " in str(problem.why)


def test_what_came_after_the_last_checkpoint_is_no_best_of_a_run_that_was_cut_short(description: dict, workspace: Workspace) -> None:
    description["training"] |= {"steps": 8, "evaluate_every": 2}
    created = create_run(experiment_from_dict(description), workspace, None)
    recorder = Recorder(created.folder)
    for event in training(created, workspace, False)(Control()):
        recorder.record(event)
        if isinstance(event, Evaluated) and event.step == 4:  # a kill between an evaluation and its checkpoint
            break
    recorder.close()
    lost = {**created.refreshed().status, "owner": {"pid": 2**30, "started": 0.0}}
    (created.folder / "status.json").write_text(json.dumps(lost), encoding="utf-8")
    found = created.refreshed()
    last = found.checkpoint("last")
    assert found.state is RunState.INTERRUPTED and last is not None and read_manifest(last).step == 2 == found.status["step"]
    kept = load_state(last)
    assert {task: parts["best"] for task, parts in found.result()["tasks"].items()} == kept.best == found.best_so_far


def test_without_validation_rows_the_last_step_is_kept(description: dict, workspace: Workspace, tmp_path: Path) -> None:
    for table in description["data"].values():
        table["split"] = {"by": "random", "validation": 0.0}
    experiment = experiment_from_dict(description)
    end = list(train(experiment, prepare(experiment, workspace), folder=tmp_path))[-1]
    assert isinstance(end, Finished) and end.best_step == end.step > 0, "what was never trained is not the best"


def test_a_best_model_that_is_damaged_is_not_replaced_by_another(description: dict, workspace: Workspace) -> None:
    description["early_stopping"] = {"min_delta": 0.9}
    run = mtl.train(experiment_from_dict(description), workspace=workspace, progress=False)
    best = run.checkpoint("best")
    assert best is not None and best.name == "step-0" and best != run.checkpoint("last")
    (best / "encoder" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"step-0 is damaged .*model.safetensors"):
        run.predict("department", [{"text": "a"}])
    shutil.rmtree(best)
    with pytest.raises(CheckpointError, match=r"step-0 is damaged .*manifest.json"):
        run.predict("department", [{"text": "a"}])


def test_a_run_that_lost_its_checkpoints_begins_anew_and_says_so(description: dict, workspace: Workspace) -> None:
    created = create_run(experiment_from_dict(description), workspace, None)
    execute(created, workspace, stop_after=4)
    shutil.rmtree(created.folder / "checkpoints")
    again = created.refreshed()
    execute(Run(again.folder, again.status), workspace, resume=False)
    again = created.refreshed()
    (problem,) = (found for found in again.problems if found.code == "checkpoints_gone")
    assert "it begins anew, and 4 steps are repeated" in str(problem.why)
