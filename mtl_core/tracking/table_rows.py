"""The texts behind a run's predictions: rows of the stored table, found by their numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace
from mtl_core.data.places import LINE
from mtl_core.data.problems import DataError
from mtl_core.data.store import load_dataset
from mtl_core.tracking.runs import Run, RunError

if TYPE_CHECKING:
    import pandas as pd


def table_rows(run: Run, task: str, rows: Sequence[int] | np.ndarray) -> "pd.DataFrame":
    """One row for each of `rows` (numbers from 0, as of `evaluation.predictions`, in any order), with every column of the task's table.

    Raises RunError: no such task, or the table is not stored any more; IndexError: a number that the table does not have.
    """
    tasks = run.tasks
    if task not in tasks:
        raise RunError(message("The run has no task “{task}”. Its tasks are: {tasks}.", task=task, tasks=", ".join(tasks)))
    table = tasks[task].data
    try:
        dataset = load_dataset(run.datasets.get(table, "none"), Workspace(run.folder.parents[1]))
    except DataError as error:
        raise RunError(
            message("The table “{table}” of the run “{run}” is not stored in this workspace any more.", table=table, run=run.id)
        ) from error
    wanted = np.asarray(rows, np.int64)
    if wanted.size and not (wanted.min() >= 0 and wanted.max() < dataset.n_rows):
        raise IndexError(f"The table {table!r} has the rows 0 to {dataset.n_rows - 1}. Found {wanted.min()} to {wanted.max()}.")
    distinct, place = np.unique(wanted, return_inverse=True)
    found: list[Any] = []
    start = 0
    for piece in dataset.batches():
        here = distinct[(distinct >= start) & (distinct < start + len(piece))] - start
        if len(here) or not found:
            found.append(piece.take(here).to_pandas())
        start += len(piece)
    import pandas as pd

    return pd.concat(found, ignore_index=True).drop(columns=LINE).iloc[place].set_axis(wanted, axis=0)
