"""The owner's side of a run: it writes the journal and the status while the run is executed. No torch."""

import errno
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any

from filelock import FileLock, Timeout

from mtl_core.base.messages import message
from mtl_core.data.problems import Problem
from mtl_core.tracking.journal import line_of
from mtl_core.tracking.looks import record_look
from mtl_core.tracking.runs import Run, RunError
from mtl_core.tracking.series import Series
from mtl_core.tracking.status import Owner, RunState, plain, read_status, result_of, write_status
from mtl_core.training.events import (
    CheckpointSaved,
    Evaluated,
    EvaluatedAfterwards,
    Event,
    Failed,
    Finished,
    Paused,
    Resumed,
    Started,
    Steered,
)

_NOT_ENDED = dict.fromkeys(("ended", "error", "problems", "result", "refused"))


class RunDeletedError(FileNotFoundError):
    """Somebody removed a run's folder while it was at work."""

    def __init__(self, folder: Path):
        super().__init__(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))


class Recorder:
    """The owner's side of a run: journals events, keeps status.json and the series up to date. Thread-safe for readers of `series_copy`.

    Raises RunError: another process (or another job of this one) is at work on the run.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._lock = RLock()
        self._claim = FileLock(folder / "run.lock", timeout=0, thread_local=False)
        try:
            self._claim.acquire()
        except Timeout as error:
            raise RunError(message("The run “{run}” is already being trained.", run=folder.name)) from error
        self.status = read_status(folder)
        self.series, self._line = Series(), 0
        for record in Run(folder, self.status).records():
            self.series.extend(record.event)
            self._line = record.line
        self._journal = (folder / "events.jsonl").open("ab", buffering=0)
        self._cut_torn_line()
        self._copy: Series | None = None
        self.quiet = True  # nothing recorded since `start`: the data is being prepared
        self._former = None if self.status["state"] == RunState.QUEUED.value else self.status  # of a run that is to go on

    @property
    def state(self) -> RunState:
        return RunState(self.status["state"])

    @property
    def _steered(self) -> bool | None:
        return any(not change.refused for change in self.series.steered) or None

    def set_state(self, state: RunState, **changes: Any) -> None:
        """Writes the state and other entries of status.json; an entry set to None is removed."""
        with self._lock:
            spent = round(self.series.seconds, 3)
            status = {**self.status, "state": state.value, "owner": vars(Owner.current()), "seconds": spent, **changes}
            status["journal"] = self.sync()
            self.status = {k: v for k, v in status.items() if v is not None}
            write_status(self.folder, self.status)

    def sync(self) -> int:
        """Brings the journal to the disk; → the number of its last line."""
        with self._lock:
            os.fsync(self._journal.fileno())
            return self._line

    def queue(self) -> None:
        """It waits to be trained, again if it had ended."""
        self.set_state(RunState.QUEUED, **_NOT_ENDED)

    def start(self) -> None:
        """Its data and its model are made ready from now on."""
        self.quiet = True
        self.set_state(RunState.RUNNING, started=time.time(), **_NOT_ENDED)

    def record(self, event: Event) -> None:
        """Journals the event first, then draws the consequences. Raises OSError: the disk does not take it."""
        with self._lock:
            self._append(event)
            self.series.extend(event)
            self._copy = None
            self.quiet, self._former = False, None
        if isinstance(event, Started):
            for name in ("predictions", "reports"):  # a stopped run's test is not that of the model to come
                shutil.rmtree(self.folder / name, ignore_errors=True)
            changed = {"datasets": event.datasets or None, "problems": event.problems or None, "tested": None, "test_error": None}
            self.set_state(RunState.RUNNING, device=event.device, precision=event.precision, **changed)
        elif isinstance(event, Paused):
            self.set_state(RunState.PAUSED)
        elif isinstance(event, Resumed):
            self.set_state(RunState.RUNNING, steered=self._steered, weights=self.series.current_weights or None)
        elif isinstance(event, Steered):
            self.set_state(self.state, steered=self._steered, weights=self.series.current_weights)
        elif isinstance(event, Evaluated):
            tested = {"tested": time.time()} if event.split == "test" else {}
            result = {"result": result_of(self.series.finished)} if self.series.finished else {}
            self.set_state(self.state, **tested, **result)
            if tested:
                record_look(self.folder, self.status.get("datasets") or {})
        elif isinstance(event, CheckpointSaved):  # what is best has a model now: a crash before would leave none
            best = {"best_so_far": self.series.best.metrics} if self.series.best else {}
            self.set_state(self.state, step=event.step, n_steps=self.series.n_steps, **best)
        elif isinstance(event, Finished):
            state = RunState.STOPPED if event.state == "stopped" else RunState.FINISHED
            self.set_state(state, ended=time.time(), step=event.step, result=result_of(event))
        elif isinstance(event, EvaluatedAfterwards) and self.series.finished:
            self.set_state(self.state, result=result_of(self.series.finished))
        elif isinstance(event, Failed):
            self.set_state(RunState.FAILED, ended=time.time(), step=event.step, error=plain(event))

    def fail(self, failed: Failed, problems: list[Problem] | None = None) -> None:
        """The end by an error; problems: of the tables, which are why. A disk that is full, or a folder that is gone, does not keep the run
        from being shown as failed while this process lives. A run that was to go on and did not even begin is what it was before, and
        says why."""
        if self.quiet and self._former is not None:
            with self._lock:
                self.status = {**self._former, "refused": plain(failed)}
                with suppress(OSError):
                    write_status(self.folder, self.status)
            return
        if problems:
            self.status = {**self.status, "problems": [p.to_json() for p in problems]}
        try:
            self.record(failed)
        except OSError:
            with self._lock:
                self.series.extend(failed)
                self._copy = None
                self.status = {**self.status, "state": RunState.FAILED.value, "ended": time.time(), "error": plain(failed)}
                if (self.folder / "status.json").exists():  # half of the folder was removed: what is left is no run at work
                    with suppress(OSError):
                        write_status(self.folder, self.status)

    def series_copy(self) -> Series:
        """A copy that does not change; the same one until the next event."""
        with self._lock:
            if self._copy is None:
                self._copy = self.series.copy()
            return self._copy

    def close(self) -> None:
        with self._lock:
            self._journal.close()
            self._claim.release()

    def _append(self, event: Event) -> None:
        line = line_of(event, self._line + 1, time.time())
        found = os.fstat(self._journal.fileno())
        if found.st_nlink == 0:
            raise RunDeletedError(self.folder)
        end = found.st_size
        try:
            if self._journal.write(line) != len(line):
                raise OSError(28, "The disk is full", str(self.folder))
        except OSError:
            os.truncate(self.folder / "events.jsonl", end)  # no torn line in the middle
            raise
        self._line += 1

    def _cut_torn_line(self) -> None:
        """After a kill the last line may be half written: what is added now must begin a new one."""
        path = self.folder / "events.jsonl"
        with path.open("rb") as file:
            position = size = file.seek(0, os.SEEK_END)
            while position > 0:
                start = max(0, position - 65536)
                file.seek(start)
                newline = file.read(position - start).rfind(b"\n")
                if newline >= 0:
                    position = start + newline + 1
                    break
                position = start
        if position < size:
            os.truncate(path, position)
