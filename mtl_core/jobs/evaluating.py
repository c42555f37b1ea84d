"""The test split of a run that ended without: evaluated once, and the run stays what it was."""

from collections.abc import Callable, Iterator
from typing import Any

from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace
from mtl_core.jobs.failures import failed
from mtl_core.jobs.work import Work, same_data
from mtl_core.runtime.steps import written
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Run, RunError, RunState
from mtl_core.training.control import Control
from mtl_core.training.events import Event, Failed


def evaluable(found: Run) -> Run:
    """`found`, when its test split can be evaluated. Raises RunError: why it cannot."""
    if found.tested is not None and not any(parts.get("test") for parts in found.result()["tasks"].values()):
        raise RunError(message("The run “{run}” has no test rows: there is nothing to evaluate.", run=found.id))
    if found.tested is not None:
        date = f"{found.tested.astimezone():%Y-%m-%d %H:%M}"
        raise RunError(
            message("The test split of the run “{run}” was evaluated on {date}. It is evaluated once only.", run=found.id, date=date)
        )
    if found.state not in (RunState.FINISHED, RunState.STOPPED):
        raise RunError(message("The run “{run}” is not finished; its test split can be evaluated once it is.", run=found.id))
    if (best := found.checkpoint("best")) is None or not written(best):
        raise RunError(message("The run “{run}” has no checkpoint of its best model any more. Train it again.", run=found.id))
    return found


def evaluation(target: Run, workspace: Workspace) -> Work:
    """The evaluation of the test split that a run's training left out."""

    def work(control: Control) -> Iterator[Event]:
        from mtl_core.runtime.prepare import prepare
        from mtl_core.training.final import evaluate

        evaluable(target.refreshed())  # another one may have been faster
        experiment = target.experiment
        prepared = prepare(experiment, workspace, target.base, contained=target.contained)
        same_data(target, prepared.datasets)
        yield from evaluate(experiment, prepared, target.folder)

    return work


def perform_evaluation(
    recorder: Recorder, work: Work, control: Control, listen: Callable[[Event], Any] = lambda event: None
) -> Failed | None:
    """As `perform`, for a run that has ended, and stays what it was whatever comes. Returns why it could not be evaluated."""
    recorder.set_state(recorder.state, test_error=None)
    try:
        for event in work(control):
            recorder.record(event)
            listen(event)
    except Exception as error:  # noqa: BLE001 - whatever it was, the page says why
        found = failed(recorder, error)
        recorder.set_state(recorder.state, test_error=found.message)
        return found
    return None
