"""What is different in a table that is to take another's place."""

from collections.abc import Collection
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.data.places import of_file
from mtl_core.data.values import as_text


@dataclass(frozen=True)
class TableChanges:
    """rows: before, after; gone, new: columns in the order of their table; labels: column → (labels that are gone, labels that are new),
    only for columns where there are any."""

    rows: tuple[int, int]
    gone: list[str]
    new: list[str]
    labels: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)


def table_changes(before: pa.Table, after: pa.Table, labels: Collection[str] = ()) -> TableChanges:
    """before, after: as read; labels: columns whose values are compared, where both tables have them."""
    old, new = (of_file(table.column_names) for table in (before, after))
    found = {}
    for column in dict.fromkeys(c for c in labels if c in old and c in new):
        was, now = _distinct(before.column(column)), _distinct(after.column(column))
        if was != now:
            found[column] = (sorted(was - now), sorted(now - was))
    return TableChanges((before.num_rows, after.num_rows), [c for c in old if c not in new], [c for c in new if c not in old], found)


def _distinct(column: pa.ChunkedArray) -> set[str]:
    if pa.types.is_list(column.type):
        column = pc.list_flatten(column)
    return set(pc.unique(as_text(pc.drop_null(column))).to_pylist())
