"""The record of runs: a folder a run, on disk, readable while it is being written. No torch.

Of each run, in workspace/runs/<run_id>/:
    experiment.yaml   what was asked
    status.json       state, times, owner; replaced whole at each change of state
    events.jsonl      every event of training, one a line, only ever added to: the source of truth
    checkpoints/      a folder a step (mtl_core/runtime/steps.py)
    reports/          <split>.json: task → panels
    predictions/      of single rows (mtl_core/evaluation/predictions.py)
    noted.json        what a person said of it later: name, note, names of classes (mtl_core/tracking/keeping.py)
    mlflow.json       how far the journal has been written to MLflow (mtl_core/tracking/mlflow_mirror.py)
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from mtl_core.base.faults import ExperimentError, Fault
from mtl_core.base.files import write_atomically
from mtl_core.base.messages import message
from mtl_core.base.workspace import OutsideWorkspaceError, Workspace, new_id
from mtl_core.config.experiment import Experiment, TaskConfig, experiment_from_yaml
from mtl_core.config.tables import stamps
from mtl_core.data.problems import DataError, Problem
from mtl_core.evaluation.predictions import read_report
from mtl_core.runtime.steps import find, step_of
from mtl_core.tasks.naming import named_panels
from mtl_core.tracking.journal import Record, read
from mtl_core.tracking.series import Curve, Series
from mtl_core.tracking.status import BrokenRunError, Owner, RunError, RunState, read_status, result_of, write_status
from mtl_core.training.events import Event, Failed, Resumed

__all__ = ["BrokenRunError", "Curve", "Owner", "Record", "Run", "RunError", "RunState", "Series", "create_run", "list_runs", "run"]


NOTED = "noted.json"


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
        """As a person renamed it, else of its experiment."""
        return str(self.noted.get("name") or self.status.get("name") or self.id)

    @property
    def noted(self) -> dict[str, Any]:
        """What a person said of it: name, note, class_names (task → class → name); see `keeping`. Read again when the file changed."""
        path = self.folder / NOTED
        try:
            return _noted(path, path.stat().st_mtime_ns)
        except (OSError, ValueError):
            return {}

    @property
    def loss_weights(self) -> dict[str, float]:
        """Task → its loss weight as last set; of a run of an older version as its experiment has it. Reads no journal."""
        if "weights" in self.status:
            return dict(self.status["weights"])
        return {name: task.weight for name, task in self.tasks.items()}

    @property
    def best_so_far(self) -> dict[str, dict[str, float]]:
        """Task → metrics of its best evaluation on the validation split, also while it runs; empty until then. Reads no journal."""
        if "result" in self.status:
            return {task: parts.get("best", {}) for task, parts in self.status["result"].get("tasks", {}).items()}
        return dict(self.status.get("best_so_far") or {})

    @property
    def kinds(self) -> dict[str, str]:
        """Task → the name of its kind."""
        if "kinds" in self.status:
            return dict(self.status["kinds"])
        return {name: task.kind for name, task in self.tasks.items()}

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
        """Spent in steps and evaluations, as `Series.seconds`: without what came before the first, and without pauses. Of a run at work
        up to its last evaluation; None when it never started."""
        if self.status.get("started") is None:
            return None
        if "seconds" in self.status:
            return float(self.status["seconds"])
        # by an older version: from the last start to the end
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
    def refused(self) -> bool:
        """Whether it was to go on and could not: it is what it was before."""
        return bool(self.status.get("refused"))

    @property
    def error(self) -> Failed | None:
        """Why it failed, or could not go on."""
        error = self.status.get("refused") or self.status.get("error")
        return Failed(**error) if error else None

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with its tables: the warnings that its training began with, or the errors that it failed for."""
        return [Problem.from_json(p) for p in self.status.get("problems", ())]

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
            found = f"experiment.yaml: {error.strerror or error}" if isinstance(error, OSError) else str(error)
            raise ExperimentError([Fault("", found, message("a text file in UTF-8"))]) from error

    @property
    def readable(self) -> Self:
        """Itself. Raises BrokenRunError: its experiment cannot be read, so that nothing can be told of its tasks."""
        try:
            _ = self.experiment
        except ExperimentError as error:
            why = message("The experiment of the run “{run}” cannot be read ({why}).", run=self.id, why=str(error))
            raise BrokenRunError(why) from error
        return self

    @property
    def tasks(self) -> dict[str, TaskConfig]:
        """Those of its experiment; empty when it cannot be read."""
        try:
            return self.experiment.tasks
        except ExperimentError:
            return {}

    def class_names(self, task: str) -> dict[str, str]:
        """Class of a task → what people call it: as somebody noted since, else as the experiment says."""
        noted = self.noted.get("class_names", {})
        if task in noted:
            return dict(noted[task])
        return dict(getattr(self.tasks[task].options, "class_names", {})) if task in self.tasks else {}

    @property
    def journal(self) -> Path:
        return self.folder / "events.jsonl"

    def records(self, offset: int = 0, line: int | None = None) -> Iterator[Record]:
        """The journal from `offset` (bytes) on; see `journal.read`."""
        return read(self.journal, offset, line, to=int(self.status.get("journal", 0)))

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
            return result_of(series.finished)
        if not self.state.live and (folder := self.checkpoint("last")):  # of what came after it there is no model
            series.extend(Resumed(step_of(folder), from_checkpoint=True))
        return {"tasks": series.so_far}

    def reports(self, split: str = "test") -> dict[str, list[dict[str, Any]]]:
        """task → panels, as last reported for `split`, classes called as people do; empty when there is none.

        Raises BrokenRunError: the file is damaged.
        """
        try:
            found = read_report(self.folder, split)
        except (OSError, ValueError, TypeError) as error:
            why = message("reports/{split}.json of the run “{run}” is damaged ({why}).", split=split, run=self.id, why=error)
            raise BrokenRunError(why) from error
        if found is None:
            found = self._journalled_reports(split)
        for task in found.keys() & self.tasks.keys():
            if names := self.class_names(task):
                found[task] = named_panels(found[task], names)
        return found

    def latest_reports(self) -> tuple[str, dict[str, list[dict[str, Any]]]]:
        """The split that they are of, and `reports`: of test rows where there are any, else of validation rows."""
        found = {split: reports for split in ("test", "validation") if (reports := self.reports(split))}
        return next(iter(found.items()), ("validation", {}))

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
        """The folder of a checkpoint: last, best, peak-<task> or step-<N>; None when there is none that holds."""
        return find(self.folder, name)

    def specs(self) -> dict[str, dict[str, Any]]:
        """Task → what its head knows of its data, by the best checkpoint, else the last; empty where there is none."""
        folder = self.checkpoint() or self.checkpoint("last")
        return json.loads((folder / "specs.json").read_text("utf-8")) if folder else {}

    def refreshed(self) -> Self:
        return replace(self, status=read_status(self.folder))


@lru_cache(maxsize=2048)
def _noted(path: Path, changed: int) -> dict[str, Any]:
    found = json.loads(path.read_text("utf-8"))
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=1024)
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
    try:
        files = stamps(experiment, workspace, base, contained)
    except DataError:  # a file that is not there; its training says so
        files = {}
    write_atomically(folder / "experiment.yaml", experiment.to_yaml())
    status = {
        "state": RunState.QUEUED.value,
        "name": experiment.name,
        "created": time.time(),
        "owner": vars(Owner.current()),
        "weights": {name: task.weight for name, task in experiment.tasks.items()},
        "kinds": {name: task.kind for name, task in experiment.tasks.items()},
        **({"base": str(base.resolve())} if base else {}),
        "contained": contained,
        "files": files,
        **(about or {}),
    }
    write_status(folder, status)
    return Run(folder, status, experiment)


@dataclass(frozen=True)
class Damaged:
    """A run that cannot be read. why: what of it; found: when its folder was last changed, seconds since 1970."""

    folder: Path
    why: str
    found: float

    @property
    def id(self) -> str:
        return self.folder.name


def run(workspace: Workspace, run_id: str) -> Run:
    """Raises RunError: there is no such run, or it is damaged."""
    try:
        folder = workspace.inside("runs", run_id)
        return Run(folder, read_status(folder))
    except OutsideWorkspaceError as error:
        raise RunError(message("There is no run “{run}” in this workspace.", run=run_id)) from error
    except (OSError, ValueError) as error:
        if damaged := _damaged(folder, error):
            why = message("The run “{run}” is damaged ({why}). {remedy}", run=run_id, why=damaged.why, remedy=MENDS)
            raise RunError(why) from error
        raise RunError(message("There is no run “{run}” in this workspace.", run=run_id)) from error


MENDS = message("`python -m mtl_core doctor --repair` mends what its journal allows.")


def _damaged(folder: Path, error: Exception) -> Damaged | None:
    """None: it is no run at all."""
    if not any((folder / name).exists() for name in ("status.json", "experiment.yaml", "events.jsonl")):
        return None
    why = f"{Path(error.filename).name}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    return Damaged(folder, why, folder.stat().st_mtime)


def all_runs(workspace: Workspace) -> tuple[list[Run], list[Damaged]]:
    """Those that can be read and those that cannot, each newest first; every status is read once."""
    runs: list[Run] = []
    damaged: list[Damaged] = []
    for folder in workspace.runs.iterdir():
        try:
            runs.append(Run(folder, read_status(folder)))
        except (OSError, ValueError) as error:
            damaged += filter(None, [_damaged(folder, error)])
    return sorted(runs, key=lambda r: r.status["created"], reverse=True), sorted(damaged, key=lambda one: one.found, reverse=True)


def list_runs(workspace: Workspace) -> list[Run]:
    """Every run that can be read, newest first."""
    return all_runs(workspace)[0]
