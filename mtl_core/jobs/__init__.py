"""Runs being executed: a thread a job, one training a device, the others wait. What a page asks for is answered from memory.

The registry belongs to the process: to no session, no cache and, as it lies in `sys.modules` under a name of its own, to no
version of this file either (Streamlit loads changed modules again). torch is loaded in the job's thread only.
"""

import gc
import shutil
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import N_, Message, message
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment
from mtl_core.config.steering import steered
from mtl_core.data.problems import DataError, Problem
from mtl_core.jobs.evaluating import evaluable, evaluation, perform_evaluation
from mtl_core.jobs.failures import ADVICE, failed
from mtl_core.tracking.mlflow_mirror import MlflowMirror
from mtl_core.tracking.runs import Owner, Recorder, Run, RunError, RunState, Series, create_run, list_runs, run
from mtl_core.training.control import Control
from mtl_core.training.events import Event, Failed, Finished

Work = Callable[[Control], Iterator[Event]]
"""What a job executes: the events of a training that `control` steers."""

_KEPT = 16  # ended jobs, and runs of other processes, whose series stay in memory
_HOME = "mtl_workbench_jobs"


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment, for drawing. Nothing in it changes.

    progress: in [0, 1]; seconds_left, memory_bytes, device: None while unknown. position: 1 is next, None when not waiting.
    steerable: whether `jobs().control(run_id)` is there: it is at work, in this process. preparing: at work, before the first step.
    problems: of the data, when that is why it failed. error: translate `message` and `advice` as they stand.
    """

    run_id: str
    name: str
    state: RunState
    series: Series
    progress: float | None = None
    seconds_left: float | None = None
    events: tuple[Event, ...] = ()
    device: str | None = None
    memory_bytes: int | None = None
    error: Failed | None = None
    problems: tuple[Problem, ...] = ()
    position: int | None = None
    steerable: bool = False
    pausing: bool = False
    stopping: bool = False
    preparing: bool = False


class _Job:
    """A run in this process. `device` is the queue it waits in, None until it is known; trains: it is no evaluation after the end."""

    def __init__(self, recorder: Recorder, work: Work, device: Callable[[], str], trains: bool):
        self.recorder = recorder
        self.work = work
        self.trains = trains
        self.find_device = device
        self.device: str | None = None
        self.at_work = False
        self.ended = threading.Event()
        self.control = Control()


class _Follower:
    """Another process's run (or a past one), read from its journal as it grows."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.series = Series()
        self.offset = 0

    def read(self, run: Run) -> Series:
        with self.lock:
            for record in run.records(self.offset):
                self.series.extend(record.event)
                self.offset = record.next_offset
            return self.series.copy()


class Jobs:
    """The registry. Every method may be called by any thread and returns at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._jobs: OrderedDict[str, _Job] = OrderedDict()  # in the order of their turn
        self._followers: OrderedDict[Path, _Follower] = OrderedDict()
        self._mirrors: dict[Path, MlflowMirror] = {}

    def submit(
        self,
        experiment: Experiment,
        workspace: Workspace,
        base: Path | None,
        work: Work | None = None,
        *,
        contained: bool = True,
        about: Mapping[str, Any] | None = None,
    ) -> str:
        """Makes a run and gives it a thread. base: where relative paths of the experiment start; None: in the workspace.

        work: what to execute instead of the training that the experiment describes. contained: take tables from the workspace
        and the sample shop only, as anybody's browser may have sent the experiment. about: more of status.json. Returns the run's id.
        """
        created = create_run(experiment, workspace, base, contained, about)
        self._start(created, workspace, work or training(created, workspace, resume=False))
        return created.id

    def resume(self, run_id: str, workspace: Workspace | None = None, work: Work | None = None) -> str:
        """Goes on from the last checkpoint, or from the beginning when there is none yet.

        Raises RunError: no such run, at work already, finished, or failed without a checkpoint.
        """
        workspace = workspace or Workspace.default()
        found = resumable(run(workspace, run_id))
        with self._changed:
            job = self._jobs.get(run_id)
            if job is not None and not job.ended.is_set():
                raise RunError(message("The run “{run}” is already being trained.", run=run_id))
            self._jobs.pop(run_id, None)
        self._start(found, workspace, work or training(found, workspace, resume=found.checkpoint("last") is not None))
        return run_id

    def steer(self, run_id: str, changes: Mapping[str, Any], workspace: Workspace | None = None) -> None:
        """Changes settings of a run at work, or waiting, from its next step on: path in the experiment → value.

        Raises RunError: no such run, ended, or at work elsewhere; ExperimentError: what cannot be changed, or not to that value.
        """
        found = run(workspace or Workspace.default(), run_id)
        control = self.control(run_id)
        if control is None:
            raise RunError(_no_handle(found))
        steered(self.experiment_now(found), changes)
        control.steer(changes)

    def experiment_now(self, found: Run) -> Experiment:
        """A run's experiment with what was changed on the way. Raises ExperimentError: the file is not one."""
        changes: dict[str, Any] = {}
        for change in self.snapshot(found.id, Workspace(found.folder.parents[1])).series.steered:
            changes |= {} if change.refused else change.new
        return steered(found.experiment, changes)

    def go_back(self, run_id: str, step: int, workspace: Workspace | None = None) -> None:
        """Goes on from the checkpoint that was taken at `step`, before a change; what came after it is forgotten.

        Raises RunError: no such run or checkpoint, at work elsewhere, or the test split was looked at: what is chosen then is no test.
        """
        workspace = workspace or Workspace.default()
        found = run(workspace, run_id)
        if found.checkpoint(f"before-{step}") is None:
            raise RunError(message("The run “{run}” no longer has a checkpoint of step {step}.", run=run_id, step=step))
        if control := self.control(run_id):
            control.go_back(step)
            return
        if found.state.live or found.state in (RunState.FINISHED, RunState.STOPPED):
            raise RunError(_no_handle(found))
        from mtl_core.training.checkpoints import restore_before

        restore_before(found.folder, step)
        self.resume(run_id, workspace)

    def replay(self, run_id: str, workspace: Workspace | None = None) -> str:
        """Trains a run again as its events say. Returns the id of the new run. Raises RunError: no such run, or it has not ended."""
        workspace = workspace or Workspace.default()
        original = run(workspace, run_id)
        created = replay_of(original, workspace)
        self._start(created, workspace, replaying(created, original, workspace))
        return created.id

    def evaluate(self, run_id: str, workspace: Workspace | None = None) -> None:
        """Evaluates the test split of a run that ended without; `evaluating` says how long. Raises RunError: see `evaluable`."""
        workspace = workspace or Workspace.default()
        found = evaluable(run(workspace, run_id))
        recorder = Recorder(found.folder)
        recorder.set_state(recorder.state, test_error=None)
        self._enter(recorder, found, workspace, evaluation(found, workspace), trains=False)

    def evaluating(self, run_id: str) -> bool:
        """Whether the test split is being evaluated, or that waits for its turn, in this process."""
        with self._changed:
            job = self._jobs.get(run_id)
            return job is not None and not job.trains and not job.ended.is_set()

    def snapshot(self, run_id: str, workspace: Workspace | None = None) -> Snapshot:
        """A run of this process costs no file access; another's journal is read from where the last look ended.

        Raises RunError: there is no such run.
        """
        with self._changed:
            job = self._jobs.get(run_id)
            position = self._position(run_id)
        if job is None:
            return self._foreign(run(workspace or Workspace.default(), run_id))
        recorder = job.recorder
        series, past = recorder.series_copy(), Run(recorder.folder, recorder.status)
        live = past.status["state"] in ("queued", "running", "paused") and not job.ended.is_set()
        snapshot = _snapshot(past, RunState(past.status["state"]), series)
        return replace(
            snapshot,
            position=position if live else None,
            steerable=live,
            pausing=live and job.control.paused,
            stopping=live and job.control.stopping,
            device=snapshot.device or job.device,
            preparing=snapshot.state is RunState.RUNNING and recorder.quiet,
        )

    def control(self, run_id: str) -> Control | None:
        """The way into a run that is at work or waiting in this process, else None."""
        with self._changed:
            job = self._jobs.get(run_id)
            return None if job is None or job.ended.is_set() or not job.trains else job.control

    def active(self, workspace: Workspace | None = None) -> list[str]:
        """Runs at work or waiting in this process, in the order of their turn; of one workspace when given."""
        with self._changed:
            inside = None if workspace is None else workspace.root.resolve()
            jobs = [(run_id, job) for run_id, job in self._jobs.items() if not job.ended.is_set()]
            return [i for i, job in jobs if inside is None or job.recorder.folder.resolve().is_relative_to(inside)]

    def wait(self, run_id: str, timeout: float | None = None) -> bool:
        """Waits for the end of a run of this process: for tests and scripts, never for a page. Returns whether it has ended."""
        with self._changed:
            job = self._jobs.get(run_id)
        return job is None or job.ended.wait(timeout)

    def recover(self, workspace: Workspace) -> list[str]:
        """Once for each workspace: marks the runs of dead processes interrupted and sees that MLflow gets what it missed.

        Later calls cost nothing. Returns the runs that were marked.
        """
        with self._changed:
            if workspace.root in self._mirrors:
                return []
            self.mirror(workspace)
        marked = []
        for found in list_runs(workspace):
            if found.state is RunState.INTERRUPTED and found.status["state"] != RunState.INTERRUPTED:
                try:
                    recorder = Recorder(found.folder)
                except (RunError, OSError):
                    continue  # resumed by another process in this moment
                recorder.set_state(RunState.INTERRUPTED, owner=None)
                recorder.close()
                marked.append(found.id)
        return marked

    def mirror(self, workspace: Workspace) -> MlflowMirror:
        """The thread that writes the workspace's runs to MLflow."""
        with self._changed:
            if workspace.root not in self._mirrors:
                self._mirrors[workspace.root] = MlflowMirror(workspace).start()
            return self._mirrors[workspace.root]

    def _start(self, target: Run, workspace: Workspace, work: Work) -> None:
        recorder = Recorder(target.folder)
        recorder.set_state(RunState.QUEUED, ended=None, error=None, problems=None, result=None)
        self._enter(recorder, target, workspace, work, trains=True)

    def _enter(self, recorder: Recorder, target: Run, workspace: Workspace, work: Work, trains: bool) -> None:
        wanted = target.experiment.training.device
        job = _Job(recorder, work, lambda: training_device(wanted), trains)
        with self._changed:
            self._jobs[target.id] = job
            self._followers.pop(target.folder, None)
            for run_id in [i for i, j in self._jobs.items() if j.ended.is_set()][:-_KEPT]:
                del self._jobs[run_id]
        self.mirror(workspace)
        thread = threading.Thread(target=self._execute, args=(job, workspace), name=f"mtl-job-{target.id}", daemon=True)
        thread.start()

    def _execute(self, job: _Job, workspace: Workspace) -> None:
        try:
            if self._wait_for_turn(job):
                (perform if job.trains else perform_evaluation)(job.recorder, job.work, job.control)
            elif job.trains:
                job.recorder.set_state(RunState.STOPPED)
        except Exception as error:  # noqa: BLE001 - even the end could not be written: a disk that is gone
            if job.trains:
                job.recorder.fail(failed(job.recorder, error))
        finally:
            job.work = _nothing  # what the training held goes with it
            free_memory()
            job.recorder.close()
            with self._changed:
                job.at_work = False
                job.ended.set()
                self._changed.notify_all()
            self.mirror(workspace).wake()

    def _wait_for_turn(self, job: _Job) -> bool:
        """Whether the job's turn came; False when it was stopped before."""
        try:
            job.device = job.find_device()
        except Exception:  # noqa: BLE001 - no such device: the training says so better
            job.device = "cpu"
        with self._changed:
            self._changed.notify_all()
            while not job.control.stopping:
                before = next(j for j in self._jobs.values() if j is job or (not j.ended.is_set() and j.device in (None, job.device)))
                if before is job:
                    job.at_work = True
                    return True
                self._changed.wait(0.5)  # `Control.stop` does not tell us
        return False

    def _position(self, run_id: str) -> int | None:
        waiting = [i for i, job in self._jobs.items() if not job.ended.is_set() and not job.at_work]
        return waiting.index(run_id) + 1 if run_id in waiting else None

    def _foreign(self, found: Run) -> Snapshot:
        with self._changed:
            follower = self._followers.setdefault(found.folder, _Follower())
            self._followers.move_to_end(found.folder)
            while len(self._followers) > _KEPT:
                self._followers.popitem(last=False)
        return _snapshot(found, found.state, follower.read(found))


def jobs() -> Jobs:
    """The one registry of this process."""
    home = sys.modules.setdefault(_HOME, ModuleType(_HOME))
    return cast(Jobs, home.__dict__.setdefault("registry", Jobs()))  # both setdefaults are atomic


def resumable(found: Run) -> Run:
    """`found`, when it can go on. Raises RunError: why it cannot."""
    try:
        _ = found.experiment
    except ExperimentError as error:
        raise RunError(message("The experiment of the run “{run}” cannot be read by this version.", run=found.id)) from error
    state = found.state
    if state.live:
        raise RunError(message("The run “{run}” is already being trained.", run=found.id))
    if state is RunState.FINISHED:
        raise RunError(message("The run “{run}” is finished; there is nothing left to train.", run=found.id))
    if state is RunState.FAILED and found.checkpoint("last") is None:
        raise RunError(message("The run “{run}” failed before its first checkpoint. Start a new one.", run=found.id))
    return found


def training(target: Run, workspace: Workspace, resume: bool) -> Work:
    """The training that a run's experiment describes. Loads torch when it starts, not before."""

    def work(control: Control) -> Iterator[Event]:
        from mtl_core.runtime.prepare import prepare
        from mtl_core.training.loop import train

        experiment = target.experiment
        prepared = prepare(experiment, workspace, target.base, contained=target.contained)
        for event in train(experiment, prepared, control, target.folder, resume=resume):
            if target.purpose and isinstance(event, Finished) and event.state == "finished":
                for checkpoint in (target.folder / "checkpoints").iterdir():  # a comparison needs its numbers, and has many
                    if checkpoint.name != target.purpose.get("keeps"):
                        shutil.rmtree(checkpoint, ignore_errors=True)
            yield event

    return work


def replay_of(original: Run, workspace: Workspace) -> Run:
    """A new run that repeats `original`. Raises RunError: that one has not ended."""
    if original.state.live:
        raise RunError(message("The run “{run}” is still being trained; replay it when it has ended.", run=original.id))
    about = {"name": f"{original.name} · replay", "replays": original.id}
    return create_run(original.experiment, workspace, original.base, original.contained, about)


def replaying(target: Run, original: Run, workspace: Workspace) -> Work:
    """The training of `original` once more, with everything that was changed on the way."""

    def work(control: Control) -> Iterator[Event]:
        from mtl_core.training.replay import Replay, script_of

        yield from training(target, workspace, resume=False)(Replay(script_of(original.events()), control))

    return work


def _no_handle(found: Run) -> Message:
    if found.state.live:
        return message("The run “{run}” is running in another process: it can be watched here, but not changed.", run=found.id)
    return message(
        "The run “{run}” has ended ({state}) and can no longer be changed. Start a new run with other weights.",
        run=found.id,
        state=found.state.value,
    )


def perform(recorder: Recorder, work: Work, control: Control, listen: Callable[[Event], Any] = lambda event: None) -> RunState:
    """Executes `work` to its end and records it: every event, and every exception as a `Failed` event. listen: sees each event after.

    Only KeyboardInterrupt and SystemExit get through; the run is then marked interrupted.
    """
    recorder.start()
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


def training_device(wanted: str) -> str:
    """The queue of a `training.device`: "cpu", "mps", "cuda:0" ... Loads torch unless the processor is asked for by name."""
    if wanted in ("cpu", "mps") or ":" in wanted:
        return wanted
    import torch

    if torch.cuda.is_available():
        return f"cuda:{torch.cuda.current_device()}"
    return "mps" if wanted == "auto" and torch.backends.mps.is_available() else "cpu"


def quiet_libraries() -> None:
    """transformers draws a bar for each file and reports every weight that our models do without: not on our terminal."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def free_memory() -> None:
    """Gives back what a job held, on the GPU too."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _snapshot(found: Run, state: RunState, series: Series) -> Snapshot:
    return Snapshot(
        run_id=found.id,
        name=found.name,
        state=state,
        series=series,
        progress=series.progress,
        seconds_left=series.seconds_left if state.live else None,
        events=tuple(series.recent),
        device=series.started.device if series.started else None,
        memory_bytes=int(series.memory_bytes.last[1]) if series.memory_bytes.last else None,
        error=found.error,
        problems=tuple(found.problems),
        preparing=state is RunState.RUNNING and series.started is None,
    )


def _nothing(control: Control) -> Iterator[Event]:
    return iter(())


__all__ = [
    "Jobs",
    "Owner",
    "Snapshot",
    "Work",
    "evaluable",
    "evaluation",
    "jobs",
    "perform",
    "perform_evaluation",
    "replay_of",
    "replaying",
    "resumable",
    "training",
    "training_device",
]
