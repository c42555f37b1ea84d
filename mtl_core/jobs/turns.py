"""Whose turn it is on a device, among all processes that train in a workspace: one queue, and a lock that ends with its process.

<workspace>/queue/<when>.<run>      waits: the device, once it is known, and the process
<workspace>/queue/<device>.lock     held by the process whose job is at work; <device>.json says which run
"""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mtl_core.base.workspace import Workspace
from mtl_core.tracking.status import Owner


class Turn:
    """A place in the queue, from now on. Raises OSError: it cannot be written; what is written later need not be."""

    def __init__(self, workspace: Workspace, run_id: str):
        self._folder = workspace.folder("queue")
        self.order = f"{time.time_ns():020}.{run_id}"  # the smallest is next
        self._ticket = self._folder / self.order
        self._run, self._device = run_id, ""
        self._lock: FileLock | None = None
        self._write(self._ticket)

    def wants(self, device: str) -> None:
        """Where it is going to train."""
        self._device = device
        with suppress(OSError):  # those who do not know it wait
            if self._ticket.exists():
                self._write(self._ticket)

    def take(self) -> bool:
        """Whether its turn has come; the device is its own then, until `leave`."""
        try:
            if any(True for _ in self._before()):
                return False
            lock = FileLock(self._folder / f"{self._name}.lock", timeout=0, thread_local=False)
            lock.acquire()
            self._lock = lock
            self._write(self._folder / f"{self._name}.json")
            self._ticket.unlink(missing_ok=True)
        except Timeout:
            return False
        except OSError:
            pass  # a disk that takes nothing: the training says so better
        return True

    def leave(self) -> None:
        """It is over, or no longer wanted."""
        with suppress(OSError):
            self._ticket.unlink(missing_ok=True)
        if self._lock is not None:
            with suppress(OSError):
                (self._folder / f"{self._name}.json").unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    @property
    def ahead(self) -> int:
        """How many come first, in any process: one that is at work, and those that wait."""
        names = [f"{self._name}.json"] if self._device else [path.name for path in self._folder.glob("[!.]*.json")]
        at_work = self._lock is None and any(_alive(self._folder / name) for name in names)
        return sum(1 for _ in self._before()) + at_work

    @property
    def _name(self) -> str:
        return self._device.replace(":", "-") or "device"

    def _before(self) -> Iterator[Path]:
        """Of the same device, or one that is not known yet."""
        for path in sorted(self._folder.glob("[0-9]*.*")):
            if path.name >= self._ticket.name:
                return
            found = _alive(path)
            if found is None:
                path.unlink(missing_ok=True)
            elif found["device"] in ("", self._device):
                yield path

    def _write(self, path: Path) -> None:
        temporary = path.with_name(f".{path.name}")
        temporary.write_text(json.dumps({"run": self._run, "device": self._device, "owner": vars(Owner.current())}), "utf-8")
        temporary.replace(path)


def _alive(path: Path) -> dict[str, Any] | None:
    """What a process that is there wrote; None: it is gone, or has left."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if Owner(**found["owner"]).alive:
            return found
    return None
