"""Parquet, its columns brought to the types that the other formats give."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mtl_core.base.apart import tell
from mtl_core.base.messages import message
from mtl_core.data.encodings import LimitError
from mtl_core.data.findings import FileProblems, Limits, add_nameless, check_names, empty, too_wide, visible_names
from mtl_core.data.places import LINE
from mtl_core.data.problems import Problem, Severity


def read_parquet(path: Path, findings: FileProblems, limits: Limits) -> pa.Table | None:
    if path.stat().st_size == 0:
        empty(findings)
    try:
        with pq.ParquetFile(path) as file:
            if too_wide(file.metadata.num_columns, findings, limits, None):
                return None
            names = visible_names(file.schema_arrow.names, findings, None)
            for i in (i for i, name in enumerate(names) if not name):
                add_nameless(findings, i + 1)
            if not check_names(names, findings, limits, None) or not all(names):
                return None
            return _read(path, file, names, findings, limits)
    except (pa.ArrowException, OSError) as e:
        why = message("The Parquet file is damaged or cut off: {reason}", reason=str(e).splitlines()[0][:300])
        findings.add("broken_parquet", why, message("Copy or export it again; check that the transfer was complete."))
        return None


_ROWS, _BATCH = 1 << 16, 64 << 20
"""Rows, and bytes of the decoded texts, that are read at a time: no more than the first, and hardly more than the second."""


def _read(path: Path, file: pq.ParquetFile, names: list[str], findings: FileProblems, limits: Limits) -> pa.Table | None:
    """Batch by batch, as long as what they hold is within the limit. What the file says of its sizes is only its word."""
    n_groups, schema = file.metadata.num_row_groups, file.schema_arrow
    n_bytes = sum(file.metadata.row_group(i).total_byte_size for i in range(n_groups))
    if n_bytes > limits.max_table_bytes:
        raise _too_large(n_bytes, findings, limits)
    kept: dict[str, list[pa.Array]] = {name: [] for name in names}
    n_rows = n_bytes = 0
    for group in range(n_groups):
        for batch in file.iter_batches(_rows_at_a_time(path, file, group, findings, limits), row_groups=[group]):
            n_bytes += 8 * batch.num_rows  # of the line
            for name, array in zip(names, batch.columns, strict=True):
                n_bytes += _decoded_bytes(array)
                if n_bytes > limits.max_table_bytes:
                    raise _too_large(n_bytes, findings, limits)
                if name in kept:
                    if (plain := _usable(array, name, findings)) is None:
                        del kept[name]
                    else:
                        _check_cells(plain, name, n_rows, findings, limits)
                        if not findings.has_seen("cell_too_large"):  # else nothing will be made of it
                            kept[name].append(plain)
            n_rows += batch.num_rows
            tell(n_rows / max(1, file.metadata.num_rows))
    if findings.has_seen("cell_too_large"):
        return None
    empties = {name: _plain(pa.array([], schema.field(i).type)) for i, name in enumerate(names) if not n_rows and name in kept}
    columns = {name: pa.chunked_array(arrays or [empties[name]]) for name, arrays in kept.items() if arrays or empties[name] is not None}
    return pa.table({**columns, LINE: pa.array(np.arange(1, n_rows + 1))})


def _usable(array: pa.Array, name: str, findings: FileProblems) -> pa.Array | None:
    """`_plain`; where there is nothing of it to use, that is said."""
    try:
        if (plain := _plain(array)) is not None:
            return plain
    except pa.ArrowInvalid:
        why = message("The column's texts are not UTF-8, which Parquet wants.")
        findings.add("bad_encoding", why, message("Export it again from where it comes from, with texts as strings."), None, name)
        return None
    kind = str(array.type)
    why = message("Values of the type {type} cannot be used; the column is left out.", type=kind[:80] + "…" * (len(kind) > 80))
    findings.add("unusable_column", why, message("Write it as text or numbers if a task needs it."), None, name, Severity.WARNING)
    return None


def _too_large(n_bytes: int, findings: FileProblems, limits: Limits) -> LimitError:
    why = message("Decoded, the table has {found} MB or more; the limit is {limit} MB.",
                  found=f"{n_bytes >> 20:,}", limit=f"{limits.max_table_bytes >> 20:,}")  # fmt: skip
    return LimitError(Problem(Severity.ERROR, "too_large", why, message("Split the table into smaller files."), findings.file))


def _rows_at_a_time(path: Path, file: pq.ParquetFile, group: int, findings: FileProblems, limits: Limits) -> int:
    """So many that a batch of a row group is of a size that can be held, whatever texts it repeats.

    A text stands once in the dictionary of its column, and every row that has it is its number. The first row is read with the texts as
    numbers, which brings the dictionary: with the length of its longest text the largest batch is known before anything is decoded.
    """
    about = file.metadata.row_group(group)
    columns = [about.column(i) for i in range(about.num_columns)]
    items = {c.path_in_schema: max(1, c.num_values / max(about.num_rows, 1)) for c in columns}  # more than one: of lists
    width = sum(max(8, c.total_uncompressed_size / max(c.num_values, 1)) * items[c.path_in_schema] for c in columns)
    most_items = max(items.values(), default=1)
    coded = [c.path_in_schema for c in columns if c.physical_type == "BYTE_ARRAY" and c.has_dictionary_page]
    if coded:
        with pq.ParquetFile(path, read_dictionary=coded) as texts:
            first = next(texts.iter_batches(1, row_groups=[group], columns=coded), None)
        for array in (one for column in (first.columns if first else ()) for one in _dictionaries(column)):
            width += (pc.max(pc.binary_length(array.dictionary)).as_py() or 0) * most_items
    if width > limits.max_table_bytes:
        raise _too_large(int(width), findings, limits)
    return max(1, min(_ROWS, int(_BATCH // max(width, 1))))


def _dictionaries(array: pa.Array) -> Iterator[pa.DictionaryArray]:
    """The texts by their numbers, however deep they lie."""
    if pa.types.is_dictionary(array.type):
        yield array
    elif pa.types.is_struct(array.type):
        for i in range(array.type.num_fields):
            yield from _dictionaries(array.field(i))
    elif pa.types.is_nested(array.type):
        yield from _dictionaries(array.values)


def _decoded_bytes(array: pa.Array) -> int:
    """What it takes without dictionaries."""
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or pa.types.is_fixed_size_list(array.type):
        return _decoded_bytes(array.flatten()) + 4 * len(array)
    if not pa.types.is_dictionary(array.type):
        return int(array.nbytes)
    if not (pa.types.is_string(array.type.value_type) or pa.types.is_large_string(array.type.value_type)):
        return len(array) * 8
    lengths = pc.fill_null(pc.binary_length(array.dictionary), 0).cast(pa.int64())
    return int(pc.sum(lengths.take(pc.drop_null(array.indices))).as_py() or 0) + 4 * len(array)


def _check_cells(column: pa.Array, name: str, before: int, findings: FileProblems, limits: Limits) -> None:
    """before: rows above."""
    if pa.types.is_string(column.type):
        sizes = pc.binary_length(column)
    elif pa.types.is_list(column.type):
        ends = column.offsets.to_numpy().astype(np.int64)
        sums = np.append(0, np.cumsum(pc.fill_null(pc.binary_length(column.values), 0).to_numpy(zero_copy_only=False)))
        sizes = pa.array(sums[ends[1:]] - sums[ends[:-1]])
    else:
        return
    for row in np.flatnonzero(pc.greater(sizes, limits.max_cell_bytes).fill_null(False).to_numpy(zero_copy_only=False)):
        findings.seen("cell_too_large", before + int(row) + 1, limit=limits.max_cell_bytes >> 10, column=name)


def _plain(column: pa.Array) -> pa.Array | None:
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
