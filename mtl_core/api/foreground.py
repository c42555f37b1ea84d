"""A run executed here and now, recorded like the browser's: `train` of the command line and of `mtl_core`, `resume`, `replay`."""

import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import TextIO

from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace
from mtl_core.data.problems import Problem, one_line
from mtl_core.jobs import Work, evaluable, evaluation, perform, perform_evaluation, quiet_libraries
from mtl_core.runtime.steps import go_back
from mtl_core.tracking.mlflow_mirror import MlflowMirror
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Run, RunError, RunState, Series
from mtl_core.training.control import Control
from mtl_core.training.events import Evaluated, Event, Failed, Predicted, Resumed, RowsMade, Started, StepDone

MIRROR_SECONDS = 30.0
"""To wait for MLflow at the end; what is late comes with the next start."""


def execute(target: Run, workspace: Workspace, work: Work, stream: TextIO | None, back: int | None = None) -> Run:
    """Trains in the foreground and returns the run as it then is: finished, stopped, or failed.

    The first Ctrl-C (or SIGTERM) ends after the step with a checkpoint, the second at once; both only where the main thread asks.

    Args:
        target: a run that nobody is at work on.
        work: what to execute, as `mtl_core.jobs` makes it.
        stream: where the progress is printed; None: nowhere.
        back: a place of the run to go back to first.

    Raises:
        RunError: somebody is at work on the run.
        KeyboardInterrupt: the second Ctrl-C; the run is then interrupted.
    """
    metrics, control = target.experiment.main_metrics, Control()
    recorder = Recorder(target.folder)
    if back is not None:
        go_back(target.folder, back)
    progress = Progress(recorder, stream, metrics)

    def stop(number: int, frame: FrameType | None) -> None:
        if control.stopping:
            raise KeyboardInterrupt
        control.stop()
        with suppress(RuntimeError):  # the signal came while a line was being written
            progress.line("Stopping after this step, with a checkpoint. Once more stops at once.")

    steers = threading.current_thread() is threading.main_thread()
    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)} if steers else {}
    progress.line(f"Run {target.id}: {target.name}")
    mirror = MlflowMirror(workspace, only=target.id).start()
    try:
        quiet_libraries()
        state = perform(recorder, work, control, progress)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        recorder.close()
    if not target.folder.exists():
        raise RunError(message("The folder of the run “{run}” was removed while it was at work.", run=target.id))
    progress.line(f"{state}." + (f" Go on with: python -m mtl_core resume {target.id}" if state is RunState.STOPPED else ""))
    _finish(mirror, progress)
    return target.refreshed()


def evaluate_test(target: Run, workspace: Workspace, stream: TextIO | None) -> tuple[Run, Failed | None]:
    """Evaluates the test split of a run that ended without, once, and returns the run as it then is and why it could not be evaluated.

    Args:
        target: a run that has ended and keeps its best checkpoint.
        stream: where the progress is printed; None: nowhere.

    Raises:
        RunError: the test split was evaluated before, and when; the run has not ended, or has no checkpoint any more.
        ExperimentError: the run's experiment cannot be read.
    """
    metrics = evaluable(target).experiment.main_metrics
    recorder = Recorder(target.folder)
    progress = Progress(recorder, stream, metrics)
    mirror = MlflowMirror(workspace, only=target.id).start()
    try:
        quiet_libraries()
        failed = perform_evaluation(recorder, evaluation(target, workspace), Control(), progress)
    finally:
        recorder.close()
    _finish(mirror, progress)
    return target.refreshed(), failed


def _finish(mirror: MlflowMirror, progress: "Progress") -> None:
    if not mirror.flush(MIRROR_SECONDS):
        progress.line(f"MLflow does not have all of it yet ({mirror.error or 'slow'}); the next start of the workbench goes on.")
    mirror.stop(timeout=1)


class Progress:
    """A bar on a terminal and in Jupyter; elsewhere a line an evaluation, with its main metrics. main: task → metric."""

    def __init__(self, recorder: Recorder, stream: TextIO | None, main: Mapping[str, str]):
        self.recorder = recorder
        self.stream = stream
        self.main = main
        self.redraws = stream is not None and (stream.isatty() or type(stream).__module__.startswith("ipykernel"))
        self._drawn = 0.0
        self._width = 0

    def __call__(self, event: Event) -> None:
        if self.stream is None:
            return
        series = self.recorder.series
        if isinstance(event, Resumed):
            for gap in series.missing:
                self.line(f"The journal is damaged after step {gap.step:,}: {gap.lines:,} entries are missing or were altered.")
        if isinstance(event, Resumed) and event.damaged:
            damaged = "; ".join(f"{name}: {why}" for name, why in event.damaged.items())
            self.line(f"Damaged checkpoints were passed over ({damaged}). The steps after step {event.step} are repeated.")
        elif isinstance(event, Started):
            for problem in map(Problem.from_json, event.problems):
                self.line(one_line(problem))
        elif isinstance(event, Evaluated):
            main = self.main
            metrics = [f"{task} {main[task]} {v[main[task]]:.4f}" for task, v in event.metrics.items() if main[task] in v]
            self.line(f"step {event.step}, {event.split}: {', '.join(metrics)}{'  (best)' if event.is_best else ''}")
        elif isinstance(event, RowsMade):
            self.line(f"step {event.step}, rows {event.how}: {', '.join(f'{task} {n}' for task, n in event.rows.items())}")
        elif isinstance(event, Predicted) and not event.evaluated:
            self.line(f"predictions of {sum(event.rows.values()):,} rows that were not evaluated ({event.split}): {event.seconds:.1f} s")
        elif isinstance(event, Failed):
            self.line(f"step {event.step}: failed")
        elif isinstance(event, StepDone) and self.redraws and time.monotonic() - self._drawn > 0.1:
            self._drawn = time.monotonic()
            self._draw(progress_text(series, event))

    def line(self, text: str) -> None:
        if self.stream is not None:
            self._draw("")
            self.stream.write(text + "\n")
            self.stream.flush()

    def _draw(self, text: str) -> None:
        if self.redraws and self.stream is not None:
            self.stream.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
            self.stream.flush()
            self._width = len(text)


def progress_text(series: Series, event: StepDone, width: int = 20) -> str:
    """`[#####     ] 25/100  0:42 left  1,200 tokens/s  search 0.312  ads 0.410`."""
    done = round(width * (series.progress or 0.0))
    parts = [f"[{'#' * done}{' ' * (width - done)}] {event.step}/{series.n_steps or '?'}"]
    if (left := series.seconds_left) is not None:
        minutes, seconds = divmod(round(left), 60)
        parts.append(f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left" if minutes >= 60 else f"{minutes}:{seconds:02} left")
    if event.seconds > 0:
        parts.append(f"{event.tokens / event.seconds:,.0f} tokens/s")
    return "  ".join([*parts, *(f"{task} {loss:.3f}" for task, loss in event.losses.items())])
