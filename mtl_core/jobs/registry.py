"""The one registry of runs being executed. What a page asks for is answered from memory.

It belongs to the process: to no session, no cache and, as it lies in `sys.modules` under a name of its own, to no version of this file
either (Streamlit loads changed modules again).
"""

import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from mtl_core.base.messages import Message, message
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment
from mtl_core.config.steering import steered
from mtl_core.jobs.evaluating import evaluable, evaluation
from mtl_core.jobs.failures import failed
from mtl_core.jobs.queues import Job, Queues
from mtl_core.jobs.snapshots import Follower, Snapshot, snapshot_of
from mtl_core.jobs.work import Work, check_data, replay_of, replaying, resumable, training
from mtl_core.runtime.steps import go_back, places
from mtl_core.tracking.mlflow_mirror import MlflowMirror
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Run, RunError, RunState, create_run, list_runs, run
from mtl_core.training.control import Control

_FOLLOWED = 16  # runs of other processes whose series stay in memory
_HOME = "mtl_workbench_jobs"


class Jobs:
    """The registry. Every method may be called by any thread and returns at once; `resume`, `go_back` and `replay` read the tables' files
    before."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._queues = Queues(after=lambda job: self.mirror(job.workspace).wake())
        self._followers: OrderedDict[Path, Follower] = OrderedDict()
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
        """Makes a run that waits for its turn. base: where relative paths of the experiment start; None: in the workspace.

        work: what to execute instead of the training that the experiment describes. contained: take tables from the workspace
        and the sample shop only, as anybody's browser may have sent the experiment. about: more of status.json. Returns the run's id.
        """
        created = create_run(experiment, workspace, base, contained, about)
        self._start(created, workspace, work or training(created, workspace, resume=False))
        return created.id

    def resume(self, run_id: str, workspace: Workspace | None = None, work: Work | None = None, back: int | None = None) -> str:
        """Goes on from the last checkpoint, or from the beginning when there is none yet. back: from the one of that step, for good.

        Raises RunError: no such run, at work already, finished, failed without a checkpoint, or its tables are not what they were.
        """
        workspace = workspace or Workspace.default()
        found = resumable(run(workspace, run_id))
        job = self._queues.get(run_id)
        if job is not None and not job.ended.is_set():
            raise RunError(message("The run “{run}” is already being trained.", run=run_id))
        again = found.checkpoint("last") is not None
        if again and work is None:
            check_data(found, workspace)
        self._start(found, workspace, work or training(found, workspace, resume=again), back)
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

        Raises RunError: no such run or checkpoint, at work elsewhere, or it has finished or was stopped.
        """
        workspace = workspace or Workspace.default()
        found = run(workspace, run_id)
        if step not in places(found.folder):
            raise RunError(message("The run “{run}” no longer has a checkpoint of step {step}.", run=run_id, step=step))
        if control := self.control(run_id):
            control.go_back(step)
            return
        if found.state.live or found.state in (RunState.FINISHED, RunState.STOPPED):
            raise RunError(_no_handle(found))
        self.resume(run_id, workspace, back=step)

    def replay(self, run_id: str, workspace: Workspace | None = None) -> str:
        """Trains a run again as its events say. Returns the id of the new run. Raises RunError: as `replay_of`, or no such run."""
        workspace = workspace or Workspace.default()
        original = run(workspace, run_id)
        created = replay_of(original, workspace)
        self._start(created, workspace, replaying(created, original, workspace))
        return created.id

    def evaluate(self, run_id: str, workspace: Workspace | None = None) -> None:
        """Evaluates the test split of a run that ended without; `evaluating` says how long. Raises RunError: see `evaluable`."""
        workspace = workspace or Workspace.default()
        found = evaluable(run(workspace, run_id))
        self._start(found, workspace, evaluation(found, workspace), trains=False)

    def evaluating(self, run_id: str) -> bool:
        """Whether the test split is being evaluated, or that waits for its turn, in this process."""
        job = self._queues.get(run_id)
        return job is not None and not job.trains and not job.ended.is_set()

    def snapshot(self, run_id: str, workspace: Workspace | None = None) -> Snapshot:
        """A run of this process costs no file access; another's journal is read from where the last look ended.

        Raises RunError: there is no such run.
        """
        with self._queues.changed:
            job, position = self._queues.get(run_id), self._queues.position(run_id)
        if job is None:
            return self._foreign(run(workspace or Workspace.default(), run_id))
        recorder = job.recorder
        series, past = recorder.series_copy(), replace(job.target, status=recorder.status)
        live = past.status["state"] in ("queued", "running", "paused") and not job.ended.is_set()
        snapshot = snapshot_of(past, RunState(past.status["state"]), series)
        return replace(
            snapshot,
            position=position if live else None,
            steerable=live,
            pausing=live and job.control.paused,
            stopping=live and job.control.stopping,
            device=snapshot.device or job.device,
            preparing=snapshot.state is RunState.RUNNING and recorder.quiet,
            making_ready=job.control.preparing if live and recorder.quiet else None,
        )

    def control(self, run_id: str) -> Control | None:
        """The way into a run that is at work or waiting in this process, else None."""
        job = self._queues.get(run_id)
        return None if job is None or job.ended.is_set() or not job.trains else job.control

    def ahead(self, run_id: str) -> int:
        """How many runs are trained before one that waits in this process: one at work, and those that wait, of other processes too."""
        return self._queues.ahead(run_id)

    def active(self, workspace: Workspace | None = None) -> list[str]:
        """Runs at work or waiting in this process, in the order of their turn; of one workspace when given."""
        inside = None if workspace is None else workspace.root.resolve()
        targets = [job.target for job in self._queues.live()]
        return [target.id for target in targets if inside is None or target.folder.resolve().is_relative_to(inside)]

    def wait(self, run_id: str, timeout: float | None = None) -> bool:
        """Waits for the end of a run of this process: for tests and scripts, never for a page. Returns whether it has ended."""
        job = self._queues.get(run_id)
        return job is None or job.ended.wait(timeout)

    def recover(self, workspace: Workspace) -> list[str]:
        """Once for each workspace: marks the runs of dead processes interrupted and sees that MLflow gets what it missed.

        Later calls cost nothing. Returns the runs that were marked.
        """
        with self._lock:
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
        with self._lock:
            if workspace.root not in self._mirrors:
                self._mirrors[workspace.root] = MlflowMirror(workspace).start()
            return self._mirrors[workspace.root]

    def _start(self, target: Run, workspace: Workspace, work: Work, back: int | None = None, trains: bool = True) -> None:
        recorder = Recorder(target.folder)
        try:
            if back is not None:
                go_back(target.folder, back)
            if trains:
                recorder.queue()
            job = Job(target, recorder, work, workspace, trains)
        except Exception as error:
            if trains:  # or it would wait for as long as this process lives
                recorder.fail(failed(recorder, error))
            recorder.close()
            raise
        with self._lock:
            self._followers.pop(target.folder, None)
        self.mirror(workspace)
        self._queues.enter(job)

    def _foreign(self, found: Run) -> Snapshot:
        with self._lock:
            follower = self._followers.setdefault(found.folder, Follower())
            self._followers.move_to_end(found.folder)
            while len(self._followers) > _FOLLOWED:
                self._followers.popitem(last=False)
        return snapshot_of(found, found.state, follower.read(found))


def jobs() -> Jobs:
    """The one registry of this process."""
    home = sys.modules.setdefault(_HOME, ModuleType(_HOME))
    return cast(Jobs, home.__dict__.setdefault("registry", Jobs()))  # both setdefaults are atomic


def _no_handle(found: Run) -> Message:
    if found.state.live:
        return message("The run “{run}” is running in another process: it can be watched here, but not changed.", run=found.id)
    return message(
        "The run “{run}” has ended ({state}) and can no longer be changed. Start a new run with other weights.",
        run=found.id,
        state=found.state.value,
    )
