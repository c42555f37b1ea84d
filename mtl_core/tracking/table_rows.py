"""The texts behind a run's predictions: rows of the stored table, found by their numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace
from mtl_core.data.places import LINE, file_and_line
from mtl_core.data.problems import DataError
from mtl_core.data.store import Dataset, load_dataset
from mtl_core.tracking.runs import Run, RunError

if TYPE_CHECKING:
    import pandas as pd

MOST_DISTINCT = 10_000
"""Of `distinct`: what a person can wait for to be ranked."""


def table_rows(run: Run, task: str, rows: Sequence[int] | np.ndarray) -> "pd.DataFrame":
    """One row for each of `rows` (numbers from 0, as of `evaluation.predictions`, in any order), with every column of the task's table.

    Raises RunError: no such task, or the table is not stored any more; IndexError: a number that the table does not have.
    """
    return _rows(_dataset(run, task), rows, None).drop(columns=LINE)


def places(run: Run, task: str, rows: Sequence[int] | np.ndarray) -> "pd.DataFrame":
    """Where a person finds each of `rows`; see `table_rows`. Columns: file, line, as a `Problem` of the table has them."""
    lines = _rows(_dataset(run, task), rows, [])[LINE]
    import pandas as pd

    found = [file_and_line(run.tasks[task].data, line) for line in lines]
    return pd.DataFrame(found, lines.index, ["file", "line"])


def distinct(run: Run, task: str, columns: Sequence[str]) -> pa.Table:
    """Every distinct row of these columns of the task's table, in its order, at most MOST_DISTINCT. Raises RunError: see `table_rows`."""
    found: dict[tuple[Any, ...], None] = {}
    for piece in _dataset(run, task).batches(columns):
        found.update(dict.fromkeys(zip(*(pc.cast(piece[c], pa.string()).to_pylist() for c in columns), strict=True)))
        if len(found) >= MOST_DISTINCT:
            break
    rows = list(found)[:MOST_DISTINCT]
    return pa.table({c: pa.array([row[i] for row in rows], pa.string()) for i, c in enumerate(columns)})


def _dataset(run: Run, task: str) -> Dataset:
    tasks = run.tasks
    if task not in tasks:
        raise RunError(message("The run has no task “{task}”. Its tasks are: {tasks}.", task=task, tasks=", ".join(tasks)))
    table = tasks[task].data
    try:
        return load_dataset(run.datasets.get(table, "none"), Workspace(run.folder.parents[1]))
    except DataError as error:
        raise RunError(
            message("The table “{table}” of the run “{run}” is not stored in this workspace any more.", table=table, run=run.id)
        ) from error


def _rows(dataset: Dataset, rows: Sequence[int] | np.ndarray, columns: Sequence[str] | None) -> "pd.DataFrame":
    """columns: as of `Dataset.batches`."""
    wanted = np.asarray(rows, np.int64)
    if wanted.size and not (wanted.min() >= 0 and wanted.max() < dataset.n_rows):
        raise IndexError(f"The table {dataset.name!r} has the rows 0 to {dataset.n_rows - 1}. Found {wanted.min()} to {wanted.max()}.")
    distinct, place = np.unique(wanted, return_inverse=True)
    found: list[Any] = []
    start = 0
    for piece in dataset.batches(columns):
        here = distinct[(distinct >= start) & (distinct < start + len(piece))] - start
        if len(here) or not found:
            found.append(piece.take(here).to_pandas())
        start += len(piece)
    import pandas as pd

    return pd.concat(found, ignore_index=True).iloc[place].set_axis(wanted, axis=0)
