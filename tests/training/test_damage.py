"""A checkpoint that is not as it was written: the run goes on from the one before, to the same numbers, and says so."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.jobs import perform, training
from mtl_core.runtime.prepare import prepare
from mtl_core.runtime.steps import DamagedError, find, step_folder
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import RunState, create_run
from mtl_core.training.control import Control
from mtl_core.training.events import Event, Finished, Resumed, StepDone
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
