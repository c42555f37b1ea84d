"""The experiment a person is putting together: tables and tasks, kept in the workspace until they are trained.

Plain dictionaries as in an experiment file: what they mean, and whether they are right, is `mtl_core.config.experiment`'s to say.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock
from pydantic import ValidationError

from mtl_core.base.files import write_atomically
from mtl_core.base.workspace import Workspace
from mtl_core.config.parts import DataConfig
from mtl_core.data.read import FORMATS, SUFFIXES

Named = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Draft:
    """data: table name → what `experiment.Data` takes; tasks: task name → what `experiment.Task` takes.

    Every method returns another draft, in which a table that no task uses is gone.
    """

    data: Named = field(default_factory=dict)
    tasks: Named = field(default_factory=dict)

    def with_task(self, name: str, task: dict[str, Any], table: str, data: dict[str, Any], instead_of: str | None = None) -> "Draft":
        """With `task` (without its `data` name) on `data`; a task of the same name is replaced.

        Tasks on the same table with the same split share it, so that their texts are read once.

        Args:
            table: what to call `data`, if it is new.
            instead_of: a task that it takes the place of, which keeps what `task` does not say (its weight, say).
        """
        place = instead_of if instead_of in self.tasks else name
        old = self.tasks.get(place, {})
        known = self.table_of(data)
        if known is None and old and not any(t["data"] == old["data"] for n, t in self.tasks.items() if n != place):
            known = old["data"]  # a table that it has for itself keeps its name
        table = known or unused_name(table, self.data)
        tasks = {**self.tasks, place: {**old, **task, "data": table}}
        return Draft({**self.data, table: data}, {name if n == place else n: t for n, t in tasks.items()})._used()

    def table_of(self, data: dict[str, Any]) -> str | None:
        """What `data` is called here, however much of it is left to the defaults; None: it is not among the tables."""
        return next((name for name, known in self.data.items() if _full(known) == _full(data)), None)

    def without_tasks(self, names: Collection[str]) -> "Draft":
        """Names that are not there change nothing."""
        return Draft(self.data, {n: t for n, t in self.tasks.items() if n not in names})._used()

    def on_file(self, file: str) -> "Draft":
        """The tables that read `file`, in whole or in part, and the tasks on them."""
        data = {n: d for n, d in self.data.items() if file in files_of(d)}
        return Draft(data, {n: t for n, t in self.tasks.items() if t["data"] in data})

    def joined(self, other: "Draft") -> "Draft":
        """With what `other` has; where a name is taken, under another."""
        names = {n: n if self.data.get(n, d) == d else unused_name(n, self.data) for n, d in other.data.items()}
        data = {**self.data, **{names[n]: d for n, d in other.data.items()}}
        tasks = dict(self.tasks)
        for name, task in other.tasks.items():
            tasks[unused_name(name, tasks)] = {**task, "data": names[task["data"]]}
        return Draft(data, tasks)._used()

    def with_table_called(self, old: str, new: str) -> "Draft":
        data = {new if n == old else n: d for n, d in self.data.items()}
        return Draft(data, {n: {**t, "data": new} if t["data"] == old else t for n, t in self.tasks.items()})

    def with_file(self, old: str, new: str, tables: Collection[str] | None = None) -> "Draft":
        """Reading `new` wherever it reads `old`; tables: in these only."""
        return replace(self, data={n: _exchanged(d, old, new) if tables is None or n in tables else d for n, d in self.data.items()})

    def _used(self) -> "Draft":
        used = {task["data"] for task in self.tasks.values()}
        return Draft({name: data for name, data in self.data.items() if name in used}, self.tasks)


def alike(task: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two tasks are of one kind and read the same columns."""
    return all(task.get(part) == other.get(part) for part in ("kind", "columns"))


def files_of(data: dict[str, Any]) -> Iterator[str]:
    """Every file that a table of an experiment reads."""
    split = data.get("split") or {}
    yield from (f for f in (data.get("file"), split.get("validation_file"), split.get("test_file")) if f)


def load(workspace: Workspace) -> Draft:
    """The draft of the workspace; an empty one when there is none or the file is no draft."""
    try:
        content = yaml.safe_load(_path(workspace).read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, yaml.YAMLError):
        return Draft()
    content = content if isinstance(content, dict) else {}
    data, tasks = _named(content.get("data")), _named(content.get("tasks"))
    return Draft(data, {name: task for name, task in tasks.items() if task.get("data") in data})


def update(workspace: Workspace, change: Callable[[Draft], Draft]) -> Draft:
    """Keeps `change(draft)`, one change at a time: two tabs may add a task at the same moment."""
    with FileLock(workspace.folder() / ".draft.lock", is_singleton=True):
        draft = change(load(workspace))
        write_atomically(_path(workspace), yaml.safe_dump(asdict(draft), allow_unicode=True, sort_keys=False))
        return draft


def add_task(workspace: Workspace, name: str, task: dict[str, Any], table: str, data: dict[str, Any]) -> Draft:
    """See `Draft.with_task`."""
    return update(workspace, lambda draft: draft.with_task(name, task, table, data))


def unused_name(wish: str, taken: Collection[str]) -> str:
    """`wish`, often the name of a file, made a name that an experiment takes (`parts.Name`), with a number when it is taken."""
    suffix = next((s for s in sorted((*SUFFIXES, *FORMATS), key=len, reverse=True) if wish.lower().endswith(s)), "")
    dashed = re.sub(r"(?<=\w)\.(?=\w)", "-", wish.removesuffix(wish[len(wish) - len(suffix) :]) if suffix else wish)
    letters = "".join(c if c.isalpha() or c.isdecimal() or c in "_-" else " " for c in dashed)
    name = " ".join(letters.split()).strip(" -")[:58].strip(" -") or "table"
    return next(n for n in [name, *(f"{name}-{i}" for i in range(2, len(taken) + 3))] if n not in taken)


def _full(data: dict[str, Any]) -> Any:
    try:
        return DataConfig.model_validate(data)
    except ValidationError:
        return data


def _path(workspace: Workspace) -> Path:
    return workspace.inside("draft.yaml")


def _named(part: Any) -> Named:
    return {str(k): v for k, v in part.items() if isinstance(v, dict)} if isinstance(part, dict) else {}


def _exchanged(data: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """`data` with every value that is the file `old` made `new`, in its split too."""
    return {k: new if v == old and "file" in k else _exchanged(v, old, new) if isinstance(v, dict) else v for k, v in data.items()}
