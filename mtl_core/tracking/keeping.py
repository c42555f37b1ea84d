"""What a person does with runs: names them, notes something, calls one of them the one in use, deletes and restores them. No torch.

Name, note and names of classes lie in <run>/noted.json, beside the record, which stays as it was written; the run in use in
<workspace>/in_use.json.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from filelock import FileLock, Timeout

from mtl_core.base import trash
from mtl_core.base.files import write_atomically
from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace
from mtl_core.tasks import KINDS
from mtl_core.tasks.naming import clashing
from mtl_core.tracking import mlflow_store
from mtl_core.tracking.runs import NOTED, Run, list_runs, run
from mtl_core.tracking.status import RunError, RunState

LONGEST_NAME = 120
LONGEST_NOTE = 2000
"""Characters."""


def rename(found: Run, name: str) -> None:
    """Raises RunError: no name, or a longer one than LONGEST_NAME. The experiment keeps the name that it was trained under."""
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise RunError(message("The name of a run should have 1 to {most} characters. Found {n}.", most=LONGEST_NAME, n=len(name)))
    _note(found, name=name)


def note(found: Run, text: str) -> None:
    """Replaces the run's note; an empty one removes it. Raises RunError: longer than LONGEST_NOTE."""
    if len(text) > LONGEST_NOTE:
        raise RunError(message("A note should have at most {most} characters. Found {n}.", most=LONGEST_NOTE, n=len(text)))
    _note(found, note=text.strip())


def classes_of(found: Run, task: str) -> list[str]:
    """The classes of a trained task that may be named, as the table spells them. Raises RunError: no such task, no model, no classes."""
    if task not in found.tasks:
        raise RunError(
            message("The run “{run}” has the tasks {tasks}. Found “{task}”.", run=found.id, tasks=", ".join(found.tasks), task=task)
        )
    specs = found.specs()
    known = KINDS[found.tasks[task].kind].report.classes(specs[task]) if task in specs else []
    if not known:
        raise RunError(message("The task “{task}” of the run “{run}” has no classes to name.", task=task, run=found.id))
    return known


def name_classes(found: Run, task: str, names: Mapping[str, str]) -> None:
    """What people call the classes of a trained task: class → name; those left out are called as the table calls them. It replaces all
    names that were given before, in the experiment too.

    Raises RunError: as `classes_of`; a class that the task does not have; two classes that would be called the same.
    """
    known = classes_of(found, task)
    if unknown := [cls for cls in names if cls not in known]:
        shown = ", ".join(known[:20]) + (" …" if len(known) > 20 else "")
        raise RunError(
            message("The task “{task}” has the classes {known}. Found {found}.", task=task, known=shown, found=", ".join(unknown))
        )
    given = {cls: " ".join(name.split())[:LONGEST_NAME] for cls, name in names.items() if name.strip() and name.strip() != cls}
    if alike := clashing(given, known):
        raise RunError(
            message("Each class should have a name of its own. Several would be called {names}.", names=", ".join(sorted(alike)))
        )
    _note(found, class_names=found.noted.get("class_names", {}) | {task: given})


def _note(found: Run, **changes: Any) -> None:
    write_atomically(found.folder / NOTED, json.dumps({**found.noted, **changes}, ensure_ascii=False, indent=1) + "\n")


# -- the one in use -----------------------------------------------------------------------------------------------------------


def in_use(workspace: Workspace) -> str | None:
    """The id of the run that a person called the one in use; None: there is none, or it was deleted."""
    try:
        found = str(json.loads((workspace.root / "in_use.json").read_text("utf-8"))["run"])
        run(workspace, found)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


def use(workspace: Workspace, found: Run | None) -> None:
    """`found` is the run in use from now on, no other; None: there is none. Raises RunError: it has no trained model."""
    if found is None:
        (workspace.root / "in_use.json").unlink(missing_ok=True)
        return
    if found.checkpoint() is None:
        raise RunError(message("The run “{run}” has no trained model yet, so it cannot be the one in use.", run=found.id))
    write_atomically(workspace.folder() / "in_use.json", json.dumps({"run": found.id}) + "\n")


def usual(workspace: Workspace, found: list[Run]) -> Run | None:
    """Of `found` (newest first) the run whose model is asked first: the one in use, else the newest that finished, else that was stopped,
    else any; none that was only made to compare, and one that did not take a step only where there is no other."""
    mine = [one for one in found if not one.purpose]
    pinned = in_use(workspace)
    if chosen := next((one for one in found if one.id == pinned), None):
        return chosen

    def rank(one: Run) -> tuple[bool, bool, bool]:
        return not one.status.get("step"), one.state is not RunState.FINISHED, one.state is not RunState.STOPPED

    return min(mine, key=rank, default=None)


# -- deleting -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Uses:
    """What a run is used by. started: ids of runs that began with a checkpoint of it; compared: trainings made to compare with it;
    repeated: its replays; in_use: it is the one that *Predict* opens on."""

    started: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    in_use: bool = False

    @property
    def sentences(self) -> list[Any]:
        """For people, as messages."""
        said = []
        if self.in_use:
            said.append(message("It is the run in use."))
        if self.started:
            said.append(
                message("Runs that started from its checkpoint, and cannot be resumed without: {runs}.", runs=", ".join(self.started))
            )
        if self.compared:
            said.append(message("Trainings that were made to compare with it, and stay: {n}.", n=len(self.compared)))
        if self.repeated:
            said.append(message("Its replays, which cannot be checked against it any more: {runs}.", runs=", ".join(self.repeated)))
        return said


def uses_of(workspace: Workspace, found: Run) -> Uses:
    """Reads every other run's experiment as text: a thing to do before deleting, not for a list."""
    others = [one for one in list_runs(workspace) if one.id != found.id]
    place = f"runs/{found.id}/"
    return Uses(
        tuple(one.id for one in others if place in _text(one).replace("\\", "/")),
        tuple(one.id for one in others if one.purpose.get("of") == found.id),
        tuple(one.id for one in others if one.replays == found.id),
        in_use(workspace) == found.id,
    )


def _text(one: Run) -> str:
    try:
        return one.experiment_yaml
    except (OSError, UnicodeDecodeError):
        return ""


def delete(workspace: Workspace, found: Run) -> trash.Trashed:
    """Moves the run's folder to the workspace's trash. MLflow keeps its metrics and reports. Raises RunError: it is at work or waiting."""
    at_work = RunError(message("The run “{run}” is at work or waiting. Stop it, then delete it.", run=found.id))
    if found.refreshed().state.live:
        raise at_work
    try:
        with FileLock(found.folder / "run.lock", timeout=0):  # held by whoever trains or evaluates it
            mlflow_store.forget_checkpoints(workspace, found.folder)
            return trash.move_to_trash(workspace, found.folder, found.name, {"run": found.id})
    except Timeout as error:
        raise at_work from error


def restore(workspace: Workspace, which: str) -> str:
    """Brings a deleted run back. which: its id, or that of its entry in the trash. Returns the run's id. Raises RunError: not there."""
    entry = next((e for e in trash.list_trash(workspace) if which in (e.id, e.note.get("run"))), None)
    if entry is None:
        raise RunError(message("There is no run “{run}” in the trash of this workspace.", run=which))
    try:
        trash.restore(workspace, entry.id)
    except trash.TrashError as error:
        raise RunError(error.message) from error
    return str(entry.note.get("run", entry.name))
