"""The record of runs: a folder a run, on disk, readable while it is being written. No torch.

Of each run, in workspace/runs/<run_id>/:
    experiment.yaml   what was asked
    status.json       state, times, owner; replaced whole at each change of state
    events.jsonl      every event of training, one a line, only ever added to: the source of truth
    checkpoints/      best, last
    reports/          <split>.json: task → panels
    predictions/      of single rows (mtl_core/evaluation/predictions.py)
    mlflow.json       how far the journal has been written to MLflow (mtl_core/tracking/mlflow_mirror.py)
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path
from threading import RLock
from typing import Any, Self

import psutil
from filelock import FileLock, Timeout

from mtl_core.base.faults import ExperimentError, Fault
from mtl_core.base.files import write_atomically
from mtl_core.base.messages import Message, message
from mtl_core.base.workspace import OutsideWorkspaceError, Workspace, new_id
from mtl_core.config.experiment import Experiment, TaskConfig, experiment_from_yaml
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation.predictions import read_report
from mtl_core.tracking.series import Curve, Series
from mtl_core.training.events import Evaluated, EvaluatedAfterwards, Event, Failed, Finished, Paused, Resumed, Started, Steered, from_json

__all__ = ["Curve", "Owner", "Record", "Recorder", "Run", "RunError", "RunState", "Series", "create_run", "list_runs", "run"]


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


@dataclass(frozen=True)
class Record:
    """A line of the journal. time: seconds since 1970; next_offset: in bytes, where the line after it begins."""

    event: Event
    time: float
    next_offset: int


@dataclass(frozen=True)
class Run:
    """A run as it was when looked at: `status` does not change, what lies in the folder may. `refreshed()` looks again."""

    folder: Path
    status: dict[str, Any]
    described: Experiment | None = field(default=None, repr=False, compare=False)
    """Its experiment, where that is at hand; else it is read from the folder."""

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def name(self) -> str:
        return str(self.status.get("name") or self.id)

    @property
    def state(self) -> RunState:
        """What status.json says, but interrupted when the process that should be at work is gone."""
        state = RunState(self.status["state"])
        return RunState.INTERRUPTED if state.live and not (self.owner and self.owner.alive) else state

    @property
    def owner(self) -> Owner | None:
        owner = self.status.get("owner")
        return Owner(owner["pid"], owner["started"]) if owner else None

    @property
    def created(self) -> datetime:
        return datetime.fromtimestamp(self.status["created"], UTC)

    @property
    def seconds(self) -> float | None:
        """From start to end, or to now; None when it never started. After a resume: of the last part."""
        if self.status.get("started") is None:
            return None
        return float((self.status.get("ended") or time.time()) - self.status["started"])

    @property
    def base(self) -> Path | None:
        """Where the relative paths of the experiment start; None: in the workspace."""
        return Path(self.status["base"]) if "base" in self.status else None

    @property
    def contained(self) -> bool:
        return bool(self.status.get("contained"))

    @property
    def steered(self) -> bool:
        """Whether a person changed something while it trained: its experiment alone does not say how it came about."""
        return bool(self.status.get("steered"))

    @property
    def replays(self) -> str | None:
        """The run that this one repeats from its events."""
        return self.status.get("replays")

    @property
    def purpose(self) -> dict[str, Any]:
        """Of a run that a comparison made: `of` (the run compared), `part`, `key` (see `studies`); empty for a person's own."""
        return dict(self.status.get("purpose") or {})

    @property
    def datasets(self) -> dict[str, str]:
        """The experiment's name of a table → the hash of what it held when training began."""
        return dict(self.status.get("datasets") or {})

    @property
    def error(self) -> Failed | None:
        error = self.status.get("error")
        return Failed(**error) if error else None

    @property
    def problems(self) -> list[Problem]:
        """What was wrong with the data of a failed run."""
        return [_problem_from_json(p) for p in self.status.get("problems", ())]

    @property
    def experiment_yaml(self) -> str:
        return (self.folder / "experiment.yaml").read_text("utf-8")

    @property
    def experiment(self) -> Experiment:
        """What was asked. Raises ExperimentError: the file is not one that this version reads."""
        if self.described is not None:
            return self.described
        path = self.folder / "experiment.yaml"
        try:
            return _experiment(path, path.stat().st_mtime_ns)
        except (OSError, UnicodeDecodeError) as error:
            raise ExperimentError([Fault("", str(error), message("a text file in UTF-8"))]) from error

    @property
    def tasks(self) -> dict[str, TaskConfig]:
        """Those of its experiment; empty when it cannot be read."""
        try:
            return self.experiment.tasks
        except ExperimentError:
            return {}

    @property
    def journal(self) -> Path:
        return self.folder / "events.jsonl"

    def records(self, offset: int = 0) -> Iterator[Record]:
        """The journal from `offset` (bytes) on. A last line that was torn by a kill is left out, and so are lines that are no event."""
        try:
            file = self.journal.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                try:
                    data = json.loads(line)
                    yield Record(from_json(data), float(data.get("time", 0)), offset)
                except (ValueError, KeyError, TypeError):
                    continue

    def events(self, start_offset: int = 0) -> Iterator[Event]:
        return (record.event for record in self.records(start_offset))

    def series(self) -> Series:
        """Read from the whole journal; `jobs().snapshot(id).series` reads only what is new."""
        series = Series()
        for event in self.events():
            series.extend(event)
        return series

    def result(self) -> dict[str, Any]:
        """{"tasks": {name: {"before": {metric: value}, "best": ..., "test": ...}}, "best_step", "why"}; what is not known is left out.

        "peak": as test, by the model of the task's own best step, where those are kept.
        """
        if "result" in self.status:
            return dict(self.status["result"])
        series = self.series()
        if series.finished:
            return _result(series.finished)
        tasks: dict[str, dict[str, Any]] = {}
        for part, evaluated in (("before", series.before), ("best", series.best)):
            for task, metrics in evaluated.metrics.items() if evaluated else ():
                tasks.setdefault(task, {})[part] = metrics
        return {"tasks": tasks}

    def reports(self, split: str = "test") -> dict[str, list[dict[str, Any]]]:
        """task → panels, as last reported for `split`; empty when there is none."""
        found = read_report(self.folder, split)
        return self._journalled_reports(split) if found is None else found

    def _journalled_reports(self, split: str) -> dict[str, list[dict[str, Any]]]:
        """Of a run of an older version, which wrote them into its journal."""
        reports: dict[str, list[dict[str, Any]]] = {}
        if not self.journal.exists():
            return reports
        with self.journal.open("rb") as file:
            for line in file:  # most lines are steps: parse only those that may be a report
                if b'"Reported"' in line and line.endswith(b"\n"):
                    data = json.loads(line)
                    if data["event"] == "Reported" and data["split"] == split:
                        reports = data.get("reports", {})
        return reports

    @property
    def tested(self) -> datetime | None:
        """When the test split was evaluated; None: it was not."""
        at = self.status.get("tested")
        if at is None and any(parts.get("test") for parts in self.status.get("result", {}).get("tasks", {}).values()):
            at = self.status.get("ended")  # by an older version
        return None if at is None else datetime.fromtimestamp(at, UTC)

    def checkpoint(self, name: str = "best") -> Path | None:
        """The folder of a checkpoint, None when there is none. `.old` is what a kill in the middle of replacing it leaves."""
        folders = (self.folder / "checkpoints" / name, self.folder / "checkpoints" / f"{name}.old")
        return next((folder for folder in folders if (folder / "specs.json").is_file()), None)

    def refreshed(self) -> Self:
        return replace(self, status=_read_status(self.folder))


@lru_cache(maxsize=256)
def _experiment(path: Path, changed: int) -> Experiment:
    """changed: when the file was, so that it is parsed once for all who ask."""
    return experiment_from_yaml(path.read_text("utf-8"))


def create_run(
    experiment: Experiment, workspace: Workspace, base: Path | None, contained: bool = False, about: Mapping[str, Any] | None = None
) -> Run:
    """A new run, queued, owned by this process. base: where the relative paths of the experiment start; None: in the workspace.

    contained: its tables are looked for in the workspace and the sample shop only. about: more entries of status.json, such as a name.
    """
    folder = workspace.folder("runs", new_id())
    write_atomically(folder / "experiment.yaml", experiment.to_yaml())
    status = {
        "state": RunState.QUEUED.value,
        "name": experiment.name,
        "created": time.time(),
        "owner": vars(Owner.current()),
        **({"base": str(base.resolve())} if base else {}),
        "contained": contained,
        **(about or {}),
    }
    _write_status(folder, status)
    return Run(folder, status, experiment)


def run(workspace: Workspace, run_id: str) -> Run:
    """Raises RunError: there is no such run."""
    try:
        folder = workspace.inside("runs", run_id)
        return Run(folder, _read_status(folder))
    except (OutsideWorkspaceError, OSError, ValueError, KeyError) as error:
        raise RunError(message("There is no run “{run}” in this workspace.", run=run_id)) from error


def list_runs(workspace: Workspace) -> list[Run]:
    """Every run, newest first. Folders without a readable status are left out."""
    found = []
    for folder in workspace.runs.iterdir():
        try:
            found.append(Run(folder, _read_status(folder)))
        except (OSError, ValueError, KeyError):
            continue
    return sorted(found, key=lambda r: r.status["created"], reverse=True)


_NOT_ENDED = dict.fromkeys(("ended", "error", "problems", "result"))


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
        self.status = _read_status(folder)
        self.series = Run(folder, self.status).series()
        self._journal = (folder / "events.jsonl").open("ab", buffering=0)
        self._cut_torn_line()
        self._copy: Series | None = None
        self.quiet = True  # nothing recorded since `start`: the data is being prepared

    @property
    def state(self) -> RunState:
        return RunState(self.status["state"])

    @property
    def _steered(self) -> bool | None:
        return any(not change.refused for change in self.series.steered) or None

    def set_state(self, state: RunState, **changes: Any) -> None:
        """Writes the state and other entries of status.json; an entry set to None is removed."""
        with self._lock:
            status = {**self.status, "state": state.value, "owner": vars(Owner.current()), **changes}
            self.status = {k: v for k, v in status.items() if v is not None}
            _write_status(self.folder, self.status)

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
            self.quiet = False
        if isinstance(event, Started):
            for name in ("predictions", "reports"):  # a stopped run's test is not that of the model to come
                shutil.rmtree(self.folder / name, ignore_errors=True)
            changed = {"datasets": event.datasets or None, "tested": None, "test_error": None}
            self.set_state(RunState.RUNNING, device=event.device, precision=event.precision, **changed)
        elif isinstance(event, Paused):
            self.set_state(RunState.PAUSED)
        elif isinstance(event, Resumed):
            self.set_state(RunState.RUNNING, steered=self._steered)
        elif isinstance(event, Steered):
            self.set_state(self.state, steered=self._steered)
        elif isinstance(event, Evaluated):
            tested = {"tested": time.time()} if event.split == "test" else {}
            result = {"result": _result(self.series.finished)} if self.series.finished else {}
            self.set_state(self.state, step=event.step, n_steps=self.series.n_steps, **tested, **result)
        elif isinstance(event, Finished):
            state = RunState.STOPPED if event.state == "stopped" else RunState.FINISHED
            self.set_state(state, ended=time.time(), step=event.step, result=_result(event))
        elif isinstance(event, EvaluatedAfterwards) and self.series.finished:
            self.set_state(self.state, result=_result(self.series.finished))
        elif isinstance(event, Failed):
            self.set_state(RunState.FAILED, ended=time.time(), step=event.step, error=_plain(event))

    def fail(self, failed: Failed, problems: list[Problem] | None = None) -> None:
        """The end by an error. A disk that is full does not keep the run from being shown as failed while this process lives."""
        self.status = {**self.status, "problems": [_problem_to_json(p) for p in problems] if problems else None}
        try:
            self.record(failed)
        except OSError:
            with self._lock:
                self.series.extend(failed)
                self._copy = None
                self.status = {**self.status, "state": RunState.FAILED.value, "ended": time.time(), "error": _plain(failed)}

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
        line = (json.dumps({**event.to_json(), "time": time.time()}, ensure_ascii=False, default=_number) + "\n").encode()
        end = os.fstat(self._journal.fileno()).st_size
        try:
            if self._journal.write(line) != len(line):
                raise OSError(28, "The disk is full", str(self.folder))
        except OSError:
            os.truncate(self.folder / "events.jsonl", end)  # no torn line in the middle
            raise

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


def _read_status(folder: Path) -> dict[str, Any]:
    status = json.loads((folder / "status.json").read_text("utf-8"))
    RunState(status["state"])
    float(status["created"])
    return dict(status)


def _write_status(folder: Path, status: dict[str, Any]) -> None:
    write_atomically(folder / "status.json", json.dumps(status, ensure_ascii=False, indent=1, default=_number) + "\n")


def _result(event: Finished) -> dict[str, Any]:
    parts = {"before": event.before, "best": event.best, "test": event.test, **({"peak": event.peaks} if event.peaks else {})}
    names = dict.fromkeys(task for metrics in parts.values() for task in metrics)
    tasks = {name: {part: metrics.get(name, {}) for part, metrics in parts.items()} for name in names}
    return {"tasks": tasks, "best_step": event.best_step, "why": event.why}


def _plain(event: Event) -> dict[str, Any]:
    return {k: v for k, v in event.to_json().items() if k != "event"}


def _number(value: Any) -> Any:
    """JSON for numpy's numbers, should one slip into an event."""
    return value.item() if hasattr(value, "item") else str(value)


def _problem_to_json(problem: Problem) -> dict[str, Any]:
    return {**vars(problem), "why": _message_to_json(problem.why), "remedy": _message_to_json(problem.remedy)}


def _problem_from_json(data: dict[str, Any]) -> Problem:
    changed = {"severity": Severity(data["severity"]), "why": _message_from_json(data["why"]), "remedy": _message_from_json(data["remedy"])}
    return Problem(**{**data, **changed})


def _message_to_json(sentence: Message) -> dict[str, Any]:
    values = {k: _message_to_json(v) if isinstance(v, Message) else v for k, v in sentence.values.items()}
    return {"template": sentence.template, "values": values}


def _message_from_json(data: dict[str, Any]) -> Message:
    def value(v: Any) -> Any:
        return _message_from_json(v) if isinstance(v, dict) and set(v) == {"template", "values"} else v

    return Message(data["template"], {k: value(v) for k, v in data["values"].items()})
