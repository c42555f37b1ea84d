"""What is wrong in a workspace, and what can be mended: runs, their checkpoints and journals, tables, MLflow, what kills left, the disk.

Nothing that a person made is thrown away: a status file is written again from the journal, of which nothing is ever changed; what cannot be
read beside that stays where it is. No torch.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mtl_core.base import trash
from mtl_core.base.faults import ExperimentError
from mtl_core.base.files import TEMPORARY
from mtl_core.base.messages import Message, message
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_yaml
from mtl_core.runtime.steps import DamagedError, examine, find, has_manifest, settle, steps
from mtl_core.tracking import mlflow_store
from mtl_core.tracking.journal import read
from mtl_core.tracking.runs import Run
from mtl_core.tracking.series import Series
from mtl_core.tracking.status import RunState, plain, read_status, result_of, write_status

ROOM = 2**30
"""Free bytes below which a training may soon be without."""


@dataclass(frozen=True)
class Finding:
    """what: run, checkpoint, journal, table, tracker, left or disk; of: the run's id, the file … remedy: what a person can do, empty where
    `doctor` mends it or it does no harm; repaired: it was."""

    what: str
    of: str
    why: Message
    remedy: Message
    repairable: bool = False
    repaired: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"what": self.what, "of": self.of, "why": str(self.why), "remedy": str(self.remedy),
                "repairable": self.repairable, "repaired": self.repaired}  # fmt: skip


def examine_workspace(workspace: Workspace, repair: bool = False) -> Iterator[Finding]:
    """Reads every file of every run and table: seconds a gigabyte. A run that is at work is left alone."""
    for folder in sorted(workspace.runs.iterdir()):
        if folder.is_dir():
            yield from _run(folder, repair)
    yield from _tables(workspace, repair)
    yield from _tracker(workspace, repair)
    free = shutil.disk_usage(workspace.folder()).free
    if free < ROOM:
        why = message("{free} MB are free on the disk of the workspace.", free=f"{free / 1e6:,.0f}")
        yield Finding("disk", str(workspace.root), why, message("Free disk space, or empty the workspace's trash."))


def _run(folder: Path, repair: bool) -> Iterator[Finding]:
    try:
        with FileLock(folder / "run.lock", timeout=0):
            yield from _run_at_rest(folder, repair)
    except (Timeout, OSError):
        return  # somebody trains it


def _run_at_rest(folder: Path, repair: bool) -> Iterator[Finding]:
    name = folder.name
    if not any((folder / file).exists() for file in ("status.json", "experiment.yaml", "events.jsonl")):
        yield Finding("left", name, message("The folder holds no run."), message("Delete it, if nothing in it is wanted."))
        return
    try:
        experiment_from_yaml((folder / "experiment.yaml").read_text("utf-8"))
    except (OSError, ValueError, ExperimentError) as error:
        why = message("Its experiment.yaml cannot be read: {why}", why=str(error).splitlines()[0])
        yield Finding("run", name, why, message("Its curves can be seen; it can neither be resumed nor predict."))
    try:
        status = read_status(folder)
    except (OSError, ValueError) as error:
        found = Finding("run", name, message("Its status cannot be read: {why}", why=str(error)), _NONE, repairable=True)
        if repair:
            status = _mend_status(folder)
        yield replace(found, repaired=repair)
        if not repair:
            return
    yield from _journal(folder, status)
    yield from _checkpoints(folder)
    left = [path for path in (folder / "checkpoints").glob("*") if path.name.startswith(TEMPORARY) or path.name == "back.json"]
    left += list(folder.glob(f"{TEMPORARY}*"))
    if left:
        if repair:
            settle(folder)
            for path in folder.glob(f"{TEMPORARY}*"):
                path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
        why = message("A kill left something half done: {files}.", files=", ".join(sorted(path.name for path in left)))
        yield Finding("left", name, why, _NONE, repairable=True, repaired=repair)


def _journal(folder: Path, status: dict[str, Any]) -> Iterator[Finding]:
    for gap in Run(folder, status).series().missing:
        why = message("After step {step}, {n} entries of its journal are missing or were altered.", step=gap.step, n=gap.lines)
        yield Finding(
            "journal", folder.name, why, message("They are lost; the curves lack them. A backup of events.jsonl brings them back.")
        )


def _checkpoints(folder: Path) -> Iterator[Finding]:
    for checkpoint in steps(folder):
        try:
            if has_manifest(checkpoint):
                examine(checkpoint)
        except DamagedError as error:
            why = message("Its checkpoint {name} is damaged: {why}", name=checkpoint.name, why=error.why)
            last = find(folder, "last")
            goes_on = last is not None and last != checkpoint
            remedy = message("The run resumes from an earlier one.") if goes_on else message("Train it again, or bring the file back.")
            yield Finding("checkpoint", folder.name, why, remedy)


def _tables(workspace: Workspace, repair: bool) -> Iterator[Finding]:
    for folder in sorted(workspace.datasets.iterdir()):
        if folder.name.startswith(("tmp-", TEMPORARY)):
            if repair:
                shutil.rmtree(folder, ignore_errors=True)
            yield Finding("left", folder.name, message("A kill left a table half stored."), _NONE, repairable=True, repaired=repair)
            continue
        if not folder.is_dir() or (not (folder / "table.parquet").exists() and not (folder / "dataset.json").exists()):
            continue
        if why := _table_fault(folder):
            if repair:
                trash.move_to_trash(workspace, folder, folder.name, {})
            remedy = message("It is stored again from its file when it is next used.")
            yield Finding("table", folder.name, message("The stored table is damaged: {why}", why=why), remedy, True, repair)


def _table_fault(folder: Path) -> str:
    try:
        record = json.loads((folder / "dataset.json").read_text("utf-8"))
        with (folder / "table.parquet").open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()[:24]
        return "" if record["hash"] == folder.name == content else "SHA-256"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


def _tracker(workspace: Workspace, repair: bool) -> Iterator[Finding]:
    path = mlflow_store.database(workspace)
    try:
        with mlflow_store.lock(workspace, timeout=10):
            why = mlflow_store.fault(path) if path is not None and path.exists() else None
            if why is not None and repair:
                mlflow_store.rebuild(workspace)
    except (Timeout, sqlite3.OperationalError) as error:
        yield Finding("tracker", "mlflow.db", message("It cannot be examined now: {why}", why=str(error)), message("Try again later."))
        return
    if why is not None:
        remedy = message("Its old file is kept under another name; the next start of the workbench writes all runs to the new one.")
        broken = message("MLflow's database is broken: {why}", why=why)
        yield Finding("tracker", "mlflow.db", broken, remedy, repairable=True, repaired=repair)


def mend(folder: Path) -> None:
    """Writes the status of a run again, unless somebody trains it: who does writes its own. Raises OSError."""
    try:
        with FileLock(folder / "run.lock", timeout=0):
            _mend_status(folder)
    except Timeout:
        return


def _mend_status(folder: Path) -> dict[str, Any]:
    """From the journal and the experiment; the old one is kept beside it."""
    status, old = status_from_journal(folder), folder / "status.json"
    if old.exists():
        old.replace(folder / "status.damaged.json")
    write_status(folder, status)
    return status


def status_from_journal(folder: Path) -> dict[str, Any]:
    """What status.json would hold, as far as the journal and the experiment tell: where its relative paths start is lost."""
    path, series = folder / "events.jsonl", Series()
    times: list[float] = []
    line = 0
    state = RunState.INTERRUPTED
    for record in read(path):
        series.extend(record.event)
        times.append(record.time)
        line = record.line
    times = [time for time in times if time]
    if series.finished is not None:
        state = RunState.STOPPED if series.finished.state == "stopped" else RunState.FINISHED
    elif series.failed is not None:
        state = RunState.FAILED
    made = min([*times[:1], *((folder / name).stat().st_mtime for name in ("experiment.yaml", "events.jsonl") if (folder / name).exists())])
    status: dict[str, Any] = {
        "state": state.value,
        "created": made,
        "contained": True,
        "journal": line,
        "seconds": round(series.seconds, 3),
    }
    try:
        experiment = experiment_from_yaml((folder / "experiment.yaml").read_text("utf-8"))
        status |= {"name": experiment.name, "kinds": {name: task.kind for name, task in experiment.tasks.items()}}
        status["weights"] = series.current_weights or {name: task.weight for name, task in experiment.tasks.items()}
    except (OSError, ValueError, ExperimentError):
        status["name"] = folder.name
    if series.started is not None:
        status |= {"started": times[0] if times else made, "step": series.step, "n_steps": series.n_steps}
        status |= {"device": series.started.device, "precision": series.started.precision, "datasets": series.started.datasets}
    if series.best is not None:
        status["best_so_far"] = series.best.metrics
    if series.finished is not None:
        status |= {"result": result_of(series.finished), "ended": times[-1] if times else made}
        if series.finished.test:
            status["tested"] = times[-1] if times else made
    if series.failed is not None:
        status |= {"error": plain(series.failed), "ended": times[-1] if times else made}
    if any(not change.refused for change in series.steered):
        status["steered"] = True
    return status


_NONE = message("")
