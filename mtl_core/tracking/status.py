"""What status.json of a run holds, read and written; the states of a run and who executes it. No torch."""

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, Field, ValidationError

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


class _Owner(BaseModel):
    pid: int
    started: float


class _Error(BaseModel):
    step: int
    reason: str
    message: str
    advice: str
    task: str | None = None


class _Result(BaseModel):
    tasks: dict[str, _Numbers] = {}
    best_step: int = 0
    why: str = ""


class _Status(BaseModel):
    """What status.json may hold, as far as anybody reads it; more is let through. The values here are not used."""

    state: str
    created: float = Field(ge=0, lt=1e11, allow_inf_nan=False)
    name: str = ""
    owner: _Owner | None = None
    weights: dict[str, float] = {}
    kinds: dict[str, str] = {}
    base: str = ""
    contained: bool = True
    files: dict[str, Any] = {}
    purpose: dict[str, Any] = {}
    replays: str = ""
    started: float | None = None
    ended: float | None = None
    seconds: float = 0.0
    step: int = 0
    n_steps: int | None = None
    device: str = ""
    precision: str = ""
    datasets: dict[str, str] = {}
    problems: list[dict[str, Any]] = []
    best_so_far: _Numbers = {}
    result: _Result | None = None
    error: _Error | None = None
    refused: _Error | None = None
    steered: bool = False
    tested: float | None = None
    journal: int = 0


def read_status(folder: Path) -> dict[str, Any]:
    """Raises OSError, ValueError: it cannot be read, or is none, and why. What is null is left out."""
    status = json.loads((folder / "status.json").read_text("utf-8"))
    if not isinstance(status, dict):
        raise ValueError(f"{folder / 'status.json'} should hold an object.")
    try:
        known = {key: value for key, value in status.items() if value is not None}
        _Status.model_validate(known, strict=True)
        RunState(known["state"])
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"status.json: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return known


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
