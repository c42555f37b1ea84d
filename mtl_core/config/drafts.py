"""The experiment a person is putting together: tables and tasks, kept in the workspace until they are trained.

Plain dictionaries as in an experiment file: what they mean, and whether they are right, is `mtl_core.config.experiment`'s to say.
"""

import re
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mtl_core.base.files import write_atomically
from mtl_core.base.workspace import Workspace

_LOCK = threading.Lock()  # two tabs may add a task at the same moment


@dataclass(frozen=True)
class Draft:
    """data: table name → what `experiment.Data` takes; tasks: task name → what `experiment.Task` takes."""

    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)


def load(workspace: Workspace) -> Draft:
    """The draft of the workspace; an empty one when there is none or the file is no draft."""
    try:
        content = yaml.safe_load(_path(workspace).read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, yaml.YAMLError):
        return Draft()
    content = content if isinstance(content, dict) else {}
    data, tasks = _named(content.get("data")), _named(content.get("tasks"))
    return Draft(data, {name: task for name, task in tasks.items() if task.get("data") in data})


def add_task(workspace: Workspace, name: str, task: dict[str, Any], table: str, data: dict[str, Any]) -> Draft:
    """Adds `task` (without its `data` name) on `data`; a task of the same name is replaced.

    Tasks on the same table with the same split share it, so that their texts are read once. table: what to call it, if it is new.
    """
    with _LOCK:
        draft = load(workspace)
        known = next((n for n, d in draft.data.items() if d == data), None)
        table = known or unused_name(table, draft.data)
        tasks = {**draft.tasks, name: {**task, "data": table}}
        return _save(workspace, Draft({**draft.data, table: data}, tasks))


def remove_task(workspace: Workspace, name: str) -> Draft:
    """Without the task `name`, and without the tables that no other task uses. A name that is not there changes nothing."""
    with _LOCK:
        draft = load(workspace)
        return _save(workspace, Draft(draft.data, {n: t for n, t in draft.tasks.items() if n != name}))


def unused_name(wish: str, taken: dict[str, Any]) -> str:
    """`wish` made a name that an experiment takes (letters, digits, space, `_.-`, at most 64), with a number when it is taken."""
    name = re.sub(r"[^\w.-]+", " ", wish).strip(" .-")[:60] or "table"
    return next(n for n in [name, *(f"{name}-{i}" for i in range(2, len(taken) + 3))] if n not in taken)


def _path(workspace: Workspace) -> Path:
    return workspace.inside("draft.yaml")


def _named(part: Any) -> dict[str, dict[str, Any]]:
    return {str(k): v for k, v in part.items() if isinstance(v, dict)} if isinstance(part, dict) else {}


def _save(workspace: Workspace, draft: Draft) -> Draft:
    used = {task["data"] for task in draft.tasks.values()}
    draft = Draft({name: data for name, data in draft.data.items() if name in used}, draft.tasks)
    write_atomically(workspace.folder() / "draft.yaml", yaml.safe_dump(asdict(draft), allow_unicode=True, sort_keys=False))
    return draft
