"""Parquet, its columns brought to the types that the other formats give."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mtl_core.base.messages import message
from mtl_core.data.encodings import LimitError
from mtl_core.data.findings import FileProblems, Limits, add_nameless, check_names, empty, visible_names
from mtl_core.data.places import LINE
from mtl_core.data.problems import Problem, Severity


def read_parquet(path: Path, findings: FileProblems, limits: Limits) -> pa.Table | None:
    if path.stat().st_size == 0:
        empty(findings)
    try:
        with pq.ParquetFile(path) as file:
            size = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
            if size > limits.max_bytes:
                why = message("The content is larger than {limit} MB.", limit=limits.max_bytes >> 20)
                remedy = message("Split the table into smaller files, or raise the limit.")
                raise LimitError(Problem(Severity.ERROR, "too_large", why, remedy, findings.file))
            names = visible_names(file.schema_arrow.names, findings, None)
            for i in (i for i, name in enumerate(names) if not name):
                add_nameless(findings, i + 1)
            if not check_names(names, findings, limits, None) or not all(names):
                return None
            table = file.read().rename_columns(names)
    except (pa.ArrowException, OSError) as e:
        why = message("The Parquet file is damaged or cut off: {reason}", reason=str(e).splitlines()[0])
        findings.add("broken_parquet", why, message("Copy or export it again; check that the transfer was complete."))
        return None
    columns = {}
    for name in table.column_names:
        try:
            column = _plain(table.column(name))
        except pa.ArrowInvalid:
            why = message("The column's texts are not UTF-8, which Parquet wants.")
            findings.add("bad_encoding", why, message("Export it again from where it comes from, with texts as strings."), None, name)
            continue
        if column is None:
            why = message("Values of the type {type} cannot be used; the column is left out.", type=str(table.schema.field(name).type))
            remedy = message("Write it as text or numbers if a task needs it.")
            findings.problems.append(Problem(Severity.WARNING, "unusable_column", why, remedy, findings.file, None, name))
        else:
            _check_cells(column, name, findings, limits)
            columns[name] = column
    return pa.table({**columns, LINE: pa.array(np.arange(1, table.num_rows + 1))})


def _check_cells(column: pa.ChunkedArray, name: str, findings: FileProblems, limits: Limits) -> None:
    if pa.types.is_string(column.type):
        too_large = pc.greater(pc.binary_length(column), limits.max_cell_bytes).fill_null(False)
        for row in np.flatnonzero(too_large.to_numpy()):
            findings.seen("cell_too_large", int(row) + 1, limit=limits.max_cell_bytes >> 10, column=name)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """A column as string, number, bool, time or list<string>; empty texts and NaN as null. None: a type that no field can use."""
    t = column.type
    if pa.types.is_dictionary(t):
        column = column.cast(t.value_type)
        t = column.type
    if pa.types.is_large_string(t) or pa.types.is_string_view(t):
        column = column.cast(pa.string())
    elif pa.types.is_decimal(t) or pa.types.is_float16(t):
        column = column.cast(pa.float64())
    elif pa.types.is_null(t):
        column = column.cast(pa.string())
    elif pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_fixed_size_list(t):
        if pa.types.is_nested(t.value_type) or pa.types.is_binary(t.value_type):
            return None
        return column.cast(pa.list_(pa.string()))
    elif pa.types.is_nested(t) or pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_fixed_size_binary(t):
        return None
    if pa.types.is_string(column.type):
        return pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), pa.scalar(None, pa.string()), column)
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column
