"""Tables as notebooks have them (DataFrames, Arrow tables, paths) to files as the rest of the program reads them. No torch."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Union

import pyarrow as pa
import pyarrow.parquet as pq

from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace, new_id
from mtl_core.data.problems import DataError, Problem, Severity

if TYPE_CHECKING:
    import pandas as pd

Table = Union["pd.DataFrame", pa.Table, str, Path]
"""A table: a DataFrame, an Arrow table, or the path of a file (CSV, TSV, JSON Lines, Parquet, .gz or .zip of one)."""


def file_of(table: Table, workspace: Workspace, name: str) -> Path:
    """The absolute path of a file that holds `table`.

    A frame becomes a Parquet file in the workspace's uploads, named by the hash of its content: the same frame is written once.

    Args:
        table: a path is taken as it is, relative to the current folder.
        workspace: where a frame is written.
        name: of the table, for messages.

    Raises:
        DataError: a frame that Arrow cannot hold (a column with values of several types, say).
    """
    if isinstance(table, str | Path):
        return Path(table).expanduser().resolve()
    temporary = workspace.uploads / f"{new_id()}.part"
    try:
        write_parquet(table, temporary, name)
        with temporary.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()[:24]
        path = workspace.inside("uploads", f"{content}.parquet")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_parquet(table: "pd.DataFrame | pa.Table", path: Path, name: str) -> None:
    """Writes a frame without its index, and without what pandas or Arrow note beside the columns. Raises DataError as `file_of`."""
    try:
        arrow = table if isinstance(table, pa.Table) else pa.Table.from_pandas(table, preserve_index=False)
        pq.write_table(arrow.replace_schema_metadata(None), path)
    except (pa.ArrowException, TypeError, ValueError) as error:
        why = message("The table cannot be written as Parquet: {reason}.", reason=str(error).rstrip("."))
        remedy = message("Give each column values of one type, and each a name of its own that is text.")
        raise DataError([Problem(Severity.ERROR, "unwritable_table", why, remedy, name)]) from error
