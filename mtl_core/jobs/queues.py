"""Who trains when: one queue and one thread a device. A job that waits holds no thread, and its turn comes in the order of entering, also
where several processes train in one workspace."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from mtl_core.base.workspace import Workspace
from mtl_core.jobs.devices import free_memory, known_device, training_device
from mtl_core.jobs.evaluating import perform_evaluation
from mtl_core.jobs.failures import failed
from mtl_core.jobs.turns import Turn
from mtl_core.jobs.work import Work, perform
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Run, RunState
from mtl_core.training.control import Control

_KEPT = 16  # ended jobs that are remembered
OTHERS = 0.5
"""Seconds between two looks at whether another process has left a device."""


class Job:
    """A run in this process. `device` is the queue it waits in, None until it is known; trains: it is no evaluation after the end."""

    def __init__(self, target: Run, recorder: Recorder, work: Work, workspace: Workspace, trains: bool):
        self.target = target
        self.recorder = recorder
        self.work: Work | None = work
        self.workspace = workspace
        self.trains = trains
        self.wanted = target.experiment.training.device
        self.device = known_device(self.wanted)
        self.at_work = False
        self.ended = threading.Event()
        self.control = Control()
        self.turn = Turn(workspace, target.id)
        if self.device is not None:
            self.turn.wants(self.device)

    @property
    def waits(self) -> bool:
        return not self.at_work and not self.ended.is_set()


class Queues:
    """Every job of this process. Threads are there while there is something for them to do. after: is called when a job has ended."""

    def __init__(self, after: Callable[[Job], None]) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._after = after
        self._jobs: OrderedDict[str, Job] = OrderedDict()  # in the order of entering
        self._threads: set[str | None] = set()  # of devices; None: the one that finds devices

    def get(self, run_id: str) -> Job | None:
        with self.changed:
            return self._jobs.get(run_id)

    def live(self) -> list[Job]:
        """At work or waiting, in the order of their turn."""
        with self.changed:
            return sorted((job for job in self._jobs.values() if not job.ended.is_set()), key=lambda job: job.turn.order)

    def position(self, run_id: str) -> int | None:
        """1 is next; None: it does not wait."""
        with self.changed:
            waiting = [job.target.id for job in self.live() if job.waits]
            return waiting.index(run_id) + 1 if run_id in waiting else None

    def ahead(self, run_id: str) -> int:
        """How many come before a job that waits, in any process of its workspace."""
        job = self.get(run_id)
        return job.turn.ahead if job is not None and job.waits else 0

    def forget(self, run_id: str) -> None:
        with self.changed:
            self._jobs.pop(run_id, None)

    def enter(self, job: Job) -> None:
        job.control.on_stop = partial(self._stopped, job)
        with self.changed:
            self.forget(job.target.id)
            self._jobs[job.target.id] = job
            for run_id in [i for i, j in self._jobs.items() if j.ended.is_set()][:-_KEPT]:
                del self._jobs[run_id]
            self._ensure_thread(job.device)

    def _ensure_thread(self, device: str | None) -> None:
        if device not in self._threads:
            self._threads.add(device)
            name, work = ("mtl-devices", self._find_devices) if device is None else (f"mtl-jobs-{device}", partial(self._work_off, device))
            threading.Thread(target=work, name=name, daemon=True).start()

    def _find_devices(self) -> None:
        """Says of each job where it trains; torch may have to be loaded for that."""
        while True:
            with self.changed:
                job = next((job for job in self.live() if job.device is None), None)
                if job is None:
                    self._threads.discard(None)
                    return
            try:
                device = training_device(job.wanted)
            except Exception:  # noqa: BLE001 - no such device: the training says so better
                device = "cpu"
            with self.changed:
                job.device = device
                job.turn.wants(device)
                self._ensure_thread(device)
                self.changed.notify_all()

    def _work_off(self, device: str) -> None:
        while job := self._next(device):
            try:
                self._execute(job)
            except (SystemExit, KeyboardInterrupt):  # the run is marked as interrupted; the next one's turn has come
                continue

    def _next(self, device: str) -> Job | None:
        """The job whose turn it is on `device`, from now on at work. None: there are no more, and the caller's thread has to end."""
        with self.changed:
            while True:
                queue = [job for job in self.live() if job.device in (None, device)]
                if not any(job.device == device for job in queue):
                    self._threads.discard(device)
                    return None
                if queue[0].device == device and queue[0].waits:
                    if queue[0].turn.take():
                        queue[0].at_work = True
                        return queue[0]
                    self.changed.wait(OTHERS)  # another process trains on it, and tells nobody when it ends
                else:
                    self.changed.wait()

    def _execute(self, job: Job) -> None:
        assert job.work is not None
        try:
            (perform if job.trains else perform_evaluation)(job.recorder, job.work, job.control)
        except Exception as error:  # noqa: BLE001 - even the end could not be written: a disk that is gone
            if job.trains:
                job.recorder.fail(failed(job.recorder, error))
        finally:
            job.work = None  # what the training held goes with it
            free_memory()
            self._end(job)

    def _stopped(self, job: Job) -> None:
        """A job that waits ends at once; one that is at work looks at its control."""
        with self.changed:
            if not job.waits:
                return
            job.at_work = True  # so that no thread takes it
        try:
            job.recorder.set_state(RunState.STOPPED)
        except OSError as error:
            job.recorder.fail(failed(job.recorder, error))
        finally:
            self._end(job)

    def _end(self, job: Job) -> None:
        job.recorder.close()
        with self.changed:
            job.turn.leave()
            job.at_work = False
            job.ended.set()
            self.changed.notify_all()
        self._after(job)
