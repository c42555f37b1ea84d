"""Work on what strangers sent, in a process of its own: with a limit of memory and of time, at low priority, told how far it is, and ended
at a word. What goes wrong there does not take the server with it, and what it takes is given back.

    APART.submit(function, *args).result()      function: of a module of this program, which loads no torch

A process is kept for the next piece of work, so that only the first one waits for its imports. Memory is what is resident: Arrow maps
files, which takes addresses and no memory.
"""

import atexit
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, TypeVar

from mtl_core.base import wire
from mtl_core.base.messages import Message, message

T = TypeVar("T")
MEMORY = int(float(os.environ.get("MTL_TABLE_GB", 2)) * 2**30)
"""Bytes that may be resident."""
SECONDS = 30.0
"""Of the processor, besides a second for each megabyte that is read."""
_KEPT_BYTES, _KEPT_SECONDS = 400 << 20, 60.0
"""A process that holds more is kept for work on the same only; and none for longer than this, with nothing to do, unless it holds less."""
_EVERY, _TOLD_EVERY = 0.02, 0.2
_NICE = 19
_PROGRAM = Path(__file__).parents[2]


class ApartError(Exception):
    """Work that came to no end. code: `too_much_memory`, `too_slow`, `cancelled` or `process_ended`; why, remedy: for people."""

    def __init__(self, code: str, why: Message, remedy: Message):
        self.code, self.why, self.remedy = code, why, remedy
        super().__init__(f"{why} {remedy}")


class Call(Future[Any]):
    """Work that was asked for. about: what it is done on; share: how far it is, in [0, 1], nan where that is not known; peak: bytes that
    were resident at most; used: seconds of the processor."""

    def __init__(self, about: Hashable = None):
        super().__init__()
        self.about, self.share, self.peak, self.used = about, float("nan"), 0, 0.0
        self.stopped = threading.Event()

    def stop(self) -> None:
        """Ends it, whether it has begun or not: `result` then raises ApartError."""
        self.stopped.set()


class Apart:
    """Processes, at most `workers` at a time. Every method may be called by any thread."""

    def __init__(self, workers: int = 2, memory: int = MEMORY):
        self.memory = memory
        self._room = threading.Semaphore(workers)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._every: set[_Worker] = set()
        atexit.register(self.close)

    def submit(
        self,
        function: Callable[..., T],
        *args: Any,
        about: Hashable = None,
        n_bytes: int = 0,
        otherwise: Callable[[ApartError], T] | None = None,
    ) -> Call:
        """function: found by its name in its module; its arguments, and what it returns or raises, are what `wire` can write. An error
        that is neither Python's nor ours comes as a RuntimeError that says so.

        about: what it is done on, such as a file: a process that has worked on it is taken where there is one. n_bytes: that it has to
        read, for the limit of time. otherwise: what it comes to where it was ended; without it `result` raises ApartError.
        """
        call = Call(about)
        threading.Thread(target=self._run, args=(call, function, args, n_bytes, otherwise), name="mtl-apart", daemon=True).start()
        return call

    def close(self) -> None:
        """Ends all of them."""
        with self._lock:
            workers, self._idle = list(self._every), []
        for worker in workers:
            self._end(worker)

    def _run(self, call: Call, function: Callable[..., Any], args: tuple[Any, ...], n_bytes: int, otherwise: Any) -> None:
        with self._room:
            if not call.set_running_or_notify_cancel():
                return
            try:
                call.set_result(self._done(call, function, args, SECONDS + n_bytes / 1e6))
            except ApartError as error:
                if otherwise:
                    call.set_result(otherwise(error))
                else:
                    call.set_exception(error)
            except BaseException as error:  # noqa: BLE001 it is that of the work, and raised where its result is wanted
                call.set_exception(error)

    def _done(self, call: Call, function: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> Any:
        if call.stopped.is_set():
            raise _cancelled()
        worker = self._taken(call.about)
        try:
            kind, value = worker.answer(call, function, args, self.memory, seconds)
        except BaseException:
            self._end(worker)
            raise
        worker.about, worker.since = call.about, time.monotonic()
        with self._lock:
            self._idle.append(worker)
        if worker.resident() >= _KEPT_BYTES:
            timer = threading.Timer(_KEPT_SECONDS + 1, self._look_after, args=(worker,))
            timer.daemon = True
            timer.start()
        if kind == "raised":
            raise value
        return value

    def _taken(self, about: Hashable) -> "_Worker":
        """One that is idle: that has worked on the same, else one that holds little; else a new one."""
        with self._lock:
            same = [w for w in self._idle if about is not None and w.about == about]
            found = next((w for w in [*same, *self._idle] if w in same or w.resident() < _KEPT_BYTES), None)
            if found:
                self._idle.remove(found)
                return found
            large, self._idle = self._idle, []
        for worker in large:
            self._end(worker)
        worker = _Worker()
        with self._lock:
            self._every.add(worker)
        return worker

    def _look_after(self, worker: "_Worker") -> None:
        with self._lock:
            if worker not in self._idle or time.monotonic() - worker.since < _KEPT_SECONDS or worker.resident() < _KEPT_BYTES:
                return
            self._idle.remove(worker)
        self._end(worker)

    def _end(self, worker: "_Worker") -> None:
        with self._lock:
            self._every.discard(worker)
        worker.kill()


class _Worker:
    """A process that does one piece of work after the other."""

    def __init__(self) -> None:
        import psutil  # here and below: what a problem of a table is, is known where it is not installed

        call = [sys.executable, "-m", __name__]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            call, cwd=_PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )
        self._seen = psutil.Process(self._process.pid)
        self._frames: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.about: Hashable = None
        self.since = 0.0
        threading.Thread(target=self._hear, name="mtl-apart-hear", daemon=True).start()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        try:
            while True:
                self._frames.put(wire.receive(self._process.stdout))
        except Exception as error:  # noqa: BLE001 whatever an answer that is cut off raises
            self._frames.put(("ended", error))

    def resident(self) -> int:
        import psutil

        try:
            return int(self._seen.memory_info().rss)
        except psutil.Error:
            return 0

    def _used(self) -> float:
        import psutil

        try:
            times = self._seen.cpu_times()
            return float(times.user + times.system)
        except psutil.Error:
            return 0.0

    def answer(self, call: Call, function: Callable[..., Any], args: tuple[Any, ...], memory: int, seconds: float) -> tuple[str, Any]:
        """("done", what the function returned) or ("raised", what it raised). Raises ApartError: it was ended, or ended itself."""
        assert self._process.stdin is not None
        before = self._used()
        try:
            wire.send(self._process.stdin, "function", [function.__module__, function.__qualname__])
            wire.send(self._process.stdin, "arguments", args)
        except OSError:
            raise self._ended() from None
        while True:
            try:
                kind, value = self._frames.get(timeout=_EVERY)
            except queue.Empty:
                kind, value = "", None
            resident = self.resident()
            call.peak, call.used = max(call.peak, resident), self._used() - before
            if kind in ("done", "raised"):
                return kind, value
            if kind == "ended":
                raise self._ended()
            if kind == "told":
                call.share = value
            if call.stopped.is_set():
                raise _cancelled()
            if resident > memory:
                found, limit = f"{resident / 2**30:.1f}", f"{memory / 2**30:.1f}"
                why = message("It took {found} GB of memory, more than {limit} GB, and was stopped.", found=found, limit=limit)
                remedy = message("Split the table into smaller files, or raise the limit (MTL_TABLE_GB) before the start.")
                raise ApartError("too_much_memory", why, remedy)
            if call.used > seconds:
                values = {"found": f"{call.used:.0f}", "limit": f"{seconds:.0f}"}
                why = message("It took {found} seconds of the processor, more than {limit}, and was stopped.", **values)
                raise ApartError("too_slow", why, message("Split the table into smaller files, or leave out columns that no task needs."))

    def _ended(self) -> ApartError:
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:  # it lives, and what it wrote is no answer
            self._process.kill()
            self._process.wait()
        why = message("The process at work on it ended by itself (code {code}).", code=self._process.returncode)
        return ApartError("process_ended", why, message("Check that the file is whole, or save it in another format."))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):  # of what was not sent any more
                    pipe.close()


def _cancelled() -> ApartError:
    return ApartError("cancelled", message("Reading it was cancelled."), message("Try again when you want to."))


APART = Apart()


# -- in the process -----------------------------------------------------------------------------------------------------------

_channel: IO[bytes] | None = None
_last = 0.0


def tell(share: float) -> None:
    """How far the work is, in [0, 1], for who waits for it; nothing where nobody does."""
    global _last
    if _channel is not None and time.monotonic() - _last > _TOLD_EVERY:
        _last = time.monotonic()
        wire.send(_channel, "told", min(1.0, share))


def end_with_parent() -> None:
    """A server that was killed cannot end what it began."""
    parent = os.getppid()

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def serve() -> None:
    """Does what comes in, until nothing comes any more."""
    global _channel
    _channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    end_with_parent()
    _step_back()
    while True:
        try:
            _, (module, name) = wire.receive(sys.stdin.buffer)
            function = getattr(import_module(module), name)  # before its arguments, whose classes it brings
            _, args = wire.receive(sys.stdin.buffer)
        except EOFError:
            return
        answer = _answer(function, args)
        _channel.write(answer)
        _channel.flush()
        del args, answer


def _step_back() -> None:
    """A training goes first. By niceness alone Linux lets what runs end its slice before a thread of the training that has waited for the
    other one goes on."""
    import psutil

    psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else _NICE)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _answer(function: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    try:
        return wire.packed("done", function(*args))
    except BaseException as error:  # noqa: BLE001 it is raised where the result is wanted
        try:
            return wire.packed("raised", error)
        except TypeError:
            return wire.packed("raised", RuntimeError(f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    from mtl_core.base import apart

    apart.serve()  # of the module that `tell` is called of, not of `__main__`
