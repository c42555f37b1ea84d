"""A table looked at in a process of its own: what it holds, what is wrong with it, and the task that it is probably for."""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.base.messages import Message, message
from mtl_core.config.suggestions import Suggestion, called_like, nested, suggestions
from mtl_core.data.changes import TableChanges, table_changes
from mtl_core.data.excel_rows import sheet_names
from mtl_core.data.places import of_file
from mtl_core.data.problems import DataError, Problem, Severity
from mtl_core.data.read import Table, read_table
from mtl_core.tasks import KINDS

SAMPLE = 1000
"""Rows that suggestions are made from, at most."""
_HEAD_BYTES, _CELL_LETTERS = 2 << 20, 1000
"""Of those rows: all that the server itself ever holds of a table."""
_WHOLE_BYTES = 64 << 20


@dataclass(frozen=True)
class Proposal:
    """data: as in an experiment, without the file; task: likewise, without its table. complete: whether all that it needs has a column."""

    data: dict[str, Any]
    task: dict[str, Any]
    complete: bool = True
    why: Message | None = None


@dataclass(frozen=True)
class Looked:
    """sheets: of a workbook; head: the first rows, long texts cut; None where the table cannot be read."""

    problems: list[Problem]
    rows: int = 0
    columns: tuple[str, ...] = ()
    encoding: str | None = None
    sheets: tuple[str, ...] = ()
    head: pa.Table | None = None
    proposals: list[Proposal] = field(default_factory=list)

    @property
    def proposal(self) -> Proposal | None:
        """The best."""
        return self.proposals[0] if self.proposals else None


@lru_cache(maxsize=1)  # a whole table, in the process's memory
def read(path: Path, name: str, changed: int, encoding: str | None, sheet: str | None) -> Table:
    """changed: when the file was. All are given, in this order: what is kept is found by them as they were written. Raises DataError."""
    return read_table(path, name=name, encoding=encoding, sheet=sheet)


def look(path: Path, name: str, changed: int, encoding: str | None = None, sheet: str | None = None) -> Looked:
    sheets = sheet_names(path)[:_MOST_SHEETS] if path.suffix.lower() in (".xlsx", ".xlsm") else ()
    try:
        table = read(path, name, changed, encoding, sheet)
    except DataError as error:
        return Looked(error.problems, sheets=sheets)
    head = _head(table.table)
    columns = tuple(of_file(head.column_names))
    found = [_proposal(suggestion) for suggestion in suggestions(table.table, most=2)]
    problems = table.problems if found else [*table.problems, *nested(table.table)]
    found = found or [propose(head, next(iter(KINDS)))]
    return Looked(problems, table.table.num_rows, columns, table.encoding, sheets, head, found)


_MOST_SHEETS = 200


def _head(table: pa.Table) -> pa.Table:
    """Its first rows, few enough to be held for long."""
    n = min(SAMPLE, table.num_rows)
    cut = [pc.utf8_slice_codeunits(c, 0, _CELL_LETTERS) if pa.types.is_string(c.type) else c for c in table.slice(0, n).columns]
    head = pa.table(cut, table.column_names)
    rows = max(1, min(n, int(n * _HEAD_BYTES / max(1, head.nbytes))))
    return head.take(pa.array(range(min(rows, n)), pa.int64()))  # a slice would keep all of it in memory


def propose(head: pa.Table, kind: str) -> Proposal:
    """A task of `kind`: as suggested, else what its fields have columns for."""
    if found := suggestions(head, {kind: KINDS[kind]}, most=1):
        return _proposal(found[0])
    columns = _shortest(called_like(head, KINDS[kind]))
    return Proposal({"split": {"by": "random"}}, {"kind": kind, "columns": columns}, complete=False)


def _proposal(found: Suggestion) -> Proposal:
    data = {"split": found.split.model_dump(mode="json", exclude_defaults=True)}
    if found.transactions:
        data["transactions"] = found.transactions.model_dump(mode="json", exclude_none=True)
    return Proposal(data, {"kind": found.kind, "columns": _shortest(found.columns)}, why=found.why)


def _shortest(columns: dict[str, list[str]]) -> dict[str, Any]:
    """As the form says it: one column as a string."""
    return {field: names[0] if len(names) == 1 else names for field, names in columns.items()}


def changes(before: tuple[Path, str, int], after: tuple[Path, str, int], labels: Collection[str]) -> TableChanges:
    """before, after: path, name and time of the file. Raises DataError: one of them cannot be read."""
    old = read(*before, None, None).table
    return table_changes(old, read(*after, None, None).table, labels)


def whole(path: Path, name: str) -> Table:
    """A table of entries to be ranked, or of rows to be answered, which the server holds.

    Raises DataError: it cannot be read, or is too large for that.
    """
    table = read_table(path, name=name)
    if (size := table.table.nbytes) > _WHOLE_BYTES:
        why = message(
            "A table that is ranked or answered here may have up to {limit} MB; this one has {found} MB.",
            limit=_WHOLE_BYTES >> 20,
            found=size >> 20,
        )
        remedy = message("Leave out rows, and columns that the task does not read.")
        raise DataError([Problem(Severity.ERROR, "too_large", why, remedy, name)])
    return table


ENDED = ("too_much_memory", "too_slow", "cancelled", "process_ended")
"""Codes of problems that may be others the next time."""
