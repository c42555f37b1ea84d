"""What status.json of a run holds, read and written; the states of a run and who executes it. No torch."""

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Required

import psutil
from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from mtl_core.base.files import write_atomically
from mtl_core.base.messages import N_, Message
from mtl_core.training.events import Event, Finished


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def live(self) -> bool:
        return self in (RunState.QUEUED, RunState.RUNNING, RunState.PAUSED)


class RunError(ValueError):
    """Something that cannot be done with a run. `message` says why, for people."""

    def __init__(self, message: Message):
        self.message = message
        super().__init__(message.text())


class BrokenRunError(RunError):
    """What a run should keep cannot be read."""


@dataclass(frozen=True)
class Owner:
    """The process that executes a run. A process number is used again after its process ended; with the start time it is not."""

    pid: int
    started: float  # seconds since 1970

    @classmethod
    @cache
    def current(cls) -> "Owner":
        return cls(os.getpid(), psutil.Process().create_time())

    @property
    def alive(self) -> bool:
        """Seen from this machine; a run of another machine counts as dead."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < 2 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


SPLITS = {"validation": N_("Validation"), "test": N_("Test (final)")}
"""What figures are of. Choices are made on validation rows; test rows are the final word, whatever page or command shows them."""
PARTS = {
    "before": N_("Before training (validation)"),
    "best": N_("Best (validation)"),
    "test": N_("Test (final)"),
    "peak": N_("Test (final), at the task's own best step"),
}
"""Of a run's result: what people call it, with the split that it is of."""


_Numbers = dict[str, dict[str, float | None]]  # task → metric → value


class _Owner(TypedDict):
    pid: int
    started: float


class _Error(TypedDict, total=False):
    step: Required[int]
    reason: Required[str]
    message: Required[str]
    advice: Required[str]
    task: str | None


class _Result(TypedDict, total=False):
    tasks: dict[str, _Numbers]
    best_step: int
    why: str


class _Status(TypedDict, total=False):
    """What status.json may hold, as far as anybody reads it; more is let through."""

    state: Required[str]
    created: Required[float]
    name: str
    owner: _Owner
    weights: dict[str, float]
    kinds: dict[str, str]
    base: str
    contained: bool
    files: dict[str, Any]
    purpose: dict[str, Any]
    replays: str
    started: float | None
    ended: float | None
    seconds: float
    step: int
    n_steps: int | None
    device: str
    precision: str
    datasets: dict[str, str]
    problems: list[dict[str, Any]]
    best_so_far: _Numbers
    result: _Result
    error: _Error
    refused: _Error
    steered: bool
    tested: float
    journal: int


_Status.__pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[attr-defined]
_STATUS = TypeAdapter(_Status)


def read_status(folder: Path) -> dict[str, Any]:
    """Raises OSError, ValueError: it cannot be read, or is none, and why. What is null is left out."""
    status = json.loads((folder / "status.json").read_text("utf-8"))
    if not isinstance(status, dict):
        raise ValueError(f"{folder / 'status.json'} should hold an object.")
    try:
        found = _STATUS.validate_python({key: value for key, value in status.items() if value is not None}, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"status.json: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    RunState(found["state"])
    return dict(found)


def write_status(folder: Path, status: dict[str, Any]) -> None:
    write_atomically(folder / "status.json", json.dumps(status, ensure_ascii=False, indent=1, default=number) + "\n")


def result_of(event: Finished) -> dict[str, Any]:
    parts = {"before": event.before, "best": event.best, "test": event.test, **({"peak": event.peaks} if event.peaks else {})}
    names = dict.fromkeys(task for metrics in parts.values() for task in metrics)
    tasks = {name: {part: metrics.get(name, {}) for part, metrics in parts.items()} for name in names}
    return {"tasks": tasks, "best_step": event.best_step, "why": event.why}


def plain(event: Event) -> dict[str, Any]:
    return {k: v for k, v in event.to_json().items() if k != "event"}


def number(value: Any) -> Any:
    """JSON for numpy's numbers, should one slip into an event."""
    return value.item() if hasattr(value, "item") else str(value)
