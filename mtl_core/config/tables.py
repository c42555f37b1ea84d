"""From a table of an experiment to what a task reads of it: stored as a dataset, mapped to fields, checked. Loads no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mtl_core.base.apart import APART, ApartError
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import DataConfig, Experiment, TaskConfig, resolve_file
from mtl_core.data.mapping import map_columns
from mtl_core.data.problems import DataError, Problem, ended, gathered, has_errors
from mtl_core.data.read import Table
from mtl_core.data.split import check_leaks
from mtl_core.data.store import Dataset, store_dataset
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import TaskKind, columns_of
from mtl_core.tasks.common import located


@dataclass
class Mapped:
    """A task's table with one column a field, and what is wrong with it. split: (N,) str, "" for rows that the task does not use; source:
    the columns that the fields were made of."""

    kind: TaskKind
    table: pa.Table
    split: np.ndarray
    problems: list[Problem]
    source: pa.Table


def store(experiment: Experiment, name: str, workspace: Workspace, base: Path | None, contained: bool) -> Dataset:
    """The dataset of one of the experiment's tables. Raises DataError: no such file, or one that cannot be used."""
    data = experiment.data[name]
    return store_table(data, name, workspace, base, contained)


_HARMLESS = 4 << 20
_PACKED = (b"PAR1", b"\x1f\x8b", b"PK")


def store_apart(experiment: Experiment, workspace: Workspace, base: Path | None, contained: bool) -> None:
    """Has the experiment's tables stored by another process where a stranger's file can take more than it has: large ones, and those that
    are packed. Raises DataError: as `store`, or it took too much."""
    for name, data in experiment.data.items():
        paths = [resolve_file(file, base, workspace, contained) for file in files_of(data)]
        n_bytes = sum(path.stat().st_size for path in paths if path.is_file())
        if n_bytes < _HARMLESS and not any(path.is_file() and _head(path).startswith(_PACKED) for path in paths):
            continue
        values = data.model_dump(mode="json")
        try:
            APART.submit(_store, values, name, workspace, base, contained, about=paths[0], n_bytes=n_bytes).result()
        except ApartError as error:
            raise DataError([ended(error, name)]) from error


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _store(data: dict[str, Any], name: str, workspace: Workspace, base: Path | None, contained: bool) -> None:
    store_table(DataConfig.model_validate(data), name, workspace, base, contained)


def files_of(data: DataConfig) -> list[str]:
    """The files of a table as the experiment names them: its own, and those that are parts of its split."""
    return [data.file, *data.split.files.values()]


def stamps(experiment: Experiment, workspace: Workspace, base: Path | None, contained: bool) -> dict[str, list[int]]:
    """Every file of the experiment's tables → when it was changed (nanoseconds), and its bytes. Raises DataError: no such file."""
    found = (table_stamps(table, workspace, base, contained) for table in experiment.data.values())
    return {file: stamp for of_table in found for file, stamp in of_table.items()}


def table_stamps(table: DataConfig, workspace: Workspace, base: Path | None, contained: bool) -> dict[str, list[int]]:
    """The same of one table."""
    paths = [resolve_file(file, base, workspace, contained) for file in files_of(table)]
    return {str(path): [path.stat().st_mtime_ns, path.stat().st_size] for path in paths}


def store_table(
    data: DataConfig, name: str, workspace: Workspace, base: Path | None, contained: bool, read: Table | None = None
) -> Dataset:
    """As `store`. read: the table's own file, where it was read as `data` says."""
    path, *others = (resolve_file(file, base, workspace, contained) for file in files_of(data))
    parts = dict(zip(data.split.files, others, strict=True))
    return store_dataset(path, workspace, name=name, read=read, others=parts, **data.reading)


def map_task(task: TaskConfig, dataset: Dataset, seed: int = 0) -> Mapped:
    """A task's fields out of its dataset. See `map_fields`."""
    return map_fields(KINDS[task.kind], dataset.table(), dataset.split(), task.columns, task.options, dataset.name, seed)


def map_fields(
    kind: TaskKind, table: pa.Table, split: np.ndarray, columns: Mapping[str, Any], options: Any, file: str, seed: int = 0
) -> Mapped:
    """The fields of a kind out of a table, with every problem of the columns, the labels and the split, named as in the file.

    table: with `_line`; split: (N,) str; columns: field → column or columns; options: of the kind; file: its name for people; seed:
    of the experiment, for rows that are drawn.
    """
    fields = columns_of(kind.fields, columns)
    mapped, problems = map_columns(table, kind.fields, columns, file)
    if not has_errors(problems):
        found = kind.rows.check(mapped, split, options)
        texts = [f.name for f in kind.fields if f.name in fields and f.type in ("text", "texts")]
        if texts and not kind.takes_logs:  # histories come with a split of their own making
            found += check_leaks(mapped, split, texts, kind.grouped_by(fields))
        problems += located(found, fields, file)
    if not has_errors(problems):
        split = np.where(kind.rows.keep(mapped, split, options, seed), split, "")
    known = dict.fromkeys(c for names in fields.values() for c in names if c in table.column_names)
    return Mapped(kind, mapped, split, gathered(problems), table.select(list(known)))
