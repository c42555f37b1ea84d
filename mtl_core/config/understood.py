"""What a task would learn from each of its fields, after everything that reading and mapping do. Loads no torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.config.tables import Mapped
from mtl_core.data.times import Dates
from mtl_core.data.values import as_text, as_time, is_text
from mtl_core.tasks.base import columns_of

MOST, FIRST, LONGEST = 10, 3, 300
"""Values that are kept, examples, characters of a text in either."""

_OFFSET = r":\d{2}(\.\d+)? ?(Z|[+-]\d{2}(:?\d{2})?)$"


@dataclass(frozen=True)
class Understood:
    """A field: how many distinct values, rows without one, the most frequent values first, the first rows' values.

    Things in a list (tags, items of a history, turns) count one by one; an example is the row's whole list. utc: of times, whether
    offsets were brought to UTC.
    """

    distinct: int
    missing: int
    values: list[Any]
    examples: list[Any]
    utc: bool | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


def understood(mapped: Mapped, columns: Mapping[str, Any], options: Any) -> dict[str, Understood]:
    """Of each mapped field; of several categories or numbers side by side, of each column as “field.column”.

    columns: field → column or columns; options: of the kind.
    """
    kind, table = mapped.kind, mapped.table
    named = columns_of(kind.fields, columns)
    complete = all(field.name in table.column_names for field in kind.fields if field.required)
    read = kind.rows.read(table, options) if complete else {}
    found: dict[str, Understood] = {}
    for field in kind.fields:
        if field.name not in table.column_names:
            continue
        column, names = read.get(field.name, table.column(field.name)), named.get(field.name, [])
        if len(names) > 1 and field.type in ("category", "number"):
            found |= {f"{field.name}.{name}": _described(pc.list_element(column, i)) for i, name in enumerate(names)}
        else:
            found[field.name] = _described(column)
    return found


def understood_times(column: pa.ChunkedArray, dates: Dates | None = None) -> Understood:
    """Of the times by which a log or a split is ordered."""
    times, _ = as_time(column, dates)
    zoned = pa.types.is_timestamp(column.type) and column.type.tz is not None
    utc = zoned or (is_text(column) and bool(pc.any(pc.match_substring_regex(pc.utf8_trim_whitespace(column), _OFFSET)).as_py()))
    return _described(times, utc)


def _described(column: pa.Array | pa.ChunkedArray, utc: bool | None = None) -> Understood:
    column = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    lists = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    single = pc.list_flatten(column) if lists else column
    if pa.types.is_dictionary(single.type):
        single = single.cast(single.type.value_type)
    counts = pc.value_counts(single.drop_null())
    counts = counts.combine_chunks() if isinstance(counts, pa.ChunkedArray) else counts
    best = pc.select_k_unstable(
        pa.table({"n": counts.field("counts"), "i": pa.array(range(len(counts)))}), MOST, [("n", "descending"), ("i", "ascending")]
    )
    values = counts.field("values").take(best)
    return Understood(len(counts), column.null_count, list(_plain(values)), list(_plain(column.slice(0, FIRST))), utc)


def _plain(column: pa.Array | pa.ChunkedArray) -> Iterator[Any]:
    for value in (as_text(column) if pa.types.is_temporal(column.type) else column).to_pylist():
        yield [_cut(v) for v in value] if isinstance(value, list) else _cut(value)


def _cut(value: Any) -> Any:
    """Whole numbers without their point, long texts shortened."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value[: LONGEST - 1] + "…" if isinstance(value, str) and len(value) > LONGEST else value
