"""What a job executes, and how: the training of a run or its replay, every event of it recorded, every exception too."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import N_, Message, message
from mtl_core.base.workspace import Workspace
from mtl_core.config.tables import stamps, store, store_apart
from mtl_core.data.problems import DataError, Problem, Severity
from mtl_core.jobs.failures import ADVICE, failed
from mtl_core.runtime.steps import keep_only
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Run, RunError, RunState, create_run
from mtl_core.training.control import Control
from mtl_core.training.events import Event, Failed, Finished

Work = Callable[[Control], Iterator[Event]]
"""What a job executes: the events of a training that `control` steers."""


def resumable(found: Run) -> Run:
    """`found`, when it can go on. Raises RunError: why it cannot."""
    try:
        _ = found.experiment
    except ExperimentError as error:
        raise RunError(message("The experiment of the run “{run}” cannot be read: {why}", run=found.id, why=str(error))) from error
    state = found.state
    if state.live:
        raise RunError(message("The run “{run}” is already being trained.", run=found.id))
    if state is RunState.FINISHED:
        raise RunError(message("The run “{run}” is finished; there is nothing left to train.", run=found.id))
    if state is RunState.FAILED and found.checkpoint("last") is None:
        raise RunError(message("The run “{run}” failed before its first checkpoint. Start a new one.", run=found.id))
    return found


def check_data(found: Run, workspace: Workspace) -> None:
    """Raises RunError: a table of the run is gone, or no longer holds what the run was trained on. Reads the tables' files.

    Nothing is said of a run that did not record what it was trained on: one of an older version, or one that has not begun.
    """
    if not found.datasets:
        return
    now = {}
    for table in dict.fromkeys(task.data for task in found.experiment.tasks.values()):
        try:
            now[table] = store(found.experiment, table, workspace, found.base, found.contained).hash
        except DataError as error:
            raise RunError(error.problems[0].why) from error
    same_data(found, now)


def same_data(found: Run, now: Mapping[str, str]) -> None:
    """now: table → hash of what it holds. Raises RunError: not what the run was trained on, as far as that was recorded."""
    for table, content in now.items():
        if found.datasets and found.datasets.get(table) != content:
            raise RunError(
                message(
                    "The data of the table “{table}” has changed since this run. Put the former file back, or start a new run.", table=table
                )
            )


def training(target: Run, workspace: Workspace, resume: bool) -> Work:
    """The training that a run's experiment describes; resume: from its last checkpoint. Loads torch when it starts, not before."""

    def work(control: Control) -> Iterator[Event]:
        from mtl_core.runtime.prepare import prepare
        from mtl_core.training.loop import train

        experiment = target.experiment
        store_apart(experiment, workspace, target.base, target.contained)
        prepared = prepare(experiment, workspace, target.base, contained=target.contained, tell=control.tell)
        done = int(target.status.get("step") or 0)
        if done and not resume:
            prepared.problems.append(Problem(Severity.WARNING, "checkpoints_gone", *_gone(done)))
        if resume:  # a table may have been replaced while the run waited
            same_data(target, prepared.datasets)
        else:
            prepared.problems += _changed(target, workspace)
        for event in train(experiment, prepared, control, target.folder, resume=resume):
            if target.purpose and isinstance(event, Finished) and event.state == "finished":
                keep_only(target.folder, target.purpose.get("keeps"))  # a comparison needs its numbers, and has many
            yield event

    return work


def _gone(steps: int) -> tuple[Message, Message]:
    why = message("No checkpoint of this run is left: it begins anew, and {n} steps are repeated.", n=steps)
    return why, message("Bring the folder “checkpoints” back from a backup before you resume, if there is one.")


def _changed(found: Run, workspace: Workspace) -> Iterator[Problem]:
    """A warning for each file that is not the one that was there when the run was asked for."""
    then = found.status.get("files", {})
    for file, stamp in stamps(found.experiment, workspace, found.base, found.contained).items():
        if file in then and then[file] != stamp:
            why = message("The file was changed after this run had been started or queued. It is trained on what the file holds now.")
            yield Problem(Severity.WARNING, "changed_since", why, message("Start a new run, unless that is meant."), Path(file).name)


def replay_of(original: Run, workspace: Workspace) -> Run:
    """A new run that repeats `original`. Raises RunError: that one has not ended, or its tables are not what they were."""
    if original.state.live:
        raise RunError(message("The run “{run}” is still being trained; replay it when it has ended.", run=original.id))
    check_data(original, workspace)
    about = {"name": f"{original.name} · replay", "replays": original.id}
    return create_run(original.experiment, workspace, original.base, original.contained, about)


def replaying(target: Run, original: Run, workspace: Workspace) -> Work:
    """The training of `original` once more, with everything that was changed on the way."""

    def work(control: Control) -> Iterator[Event]:
        from mtl_core.training.replay import Replay, script_of

        yield from training(target, workspace, resume=False)(Replay(script_of(original.events()), control))

    return work


def perform(recorder: Recorder, work: Work, control: Control, listen: Callable[[Event], Any] = lambda event: None) -> RunState:
    """Executes `work` to its end and records it: every event, and every exception as a `Failed` event. listen: sees each event after.

    Only KeyboardInterrupt and SystemExit get through; the run is then marked interrupted.
    """
    recorder.start()
    control.synced = recorder.sync
    try:
        for event in work(control):
            recorder.record(event)
            listen(event)
        if recorder.state.live:
            recorder.fail(Failed(recorder.series.step, "error", N_("Training ended without a result."), ADVICE["error"]))
    except Exception as error:  # noqa: BLE001 - whatever it was, the run ends and says why
        found = failed(recorder, error)
        recorder.fail(found, error.problems if isinstance(error, DataError) else None)
        listen(found)
    except BaseException:
        recorder.set_state(RunState.INTERRUPTED)
        raise
    return recorder.state
