"""A table looked at: what it holds, what is wrong with it, and the task that it is probably for."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from mtl_core.base.messages import Message, Translate
from mtl_core.config.suggestions import Suggestion, called_like, nested, suggestions
from mtl_core.data.excel_rows import sheet_names
from mtl_core.data.places import of_file
from mtl_core.data.problems import DataError, Problem
from mtl_core.data.read import Table, read_table
from mtl_core.tasks import KINDS
from pages.parts import cells
from pages.parts.background import desk
from pages.parts.text import counted, plain

SAMPLE = 1000
"""Rows that suggestions are made from."""
SHOWN = 50
"""Rows of the preview."""
LOG_COLUMNS = ("user", "history", "item", "item_id", "label", "time", "list")
"""Of the recommendation table that a transaction log becomes; fields of the same name are filled by them."""


@dataclass(frozen=True)
class Chosen:
    """path: where it lies; name: what the person calls it; file: what an experiment says."""

    path: Path
    name: str
    file: str


@dataclass(frozen=True)
class Proposal:
    """data: as in an experiment, without the file; task: likewise, without its table. complete: whether all that it needs has a column."""

    data: dict[str, Any]
    task: dict[str, Any]
    complete: bool = True
    why: Message | None = None


@dataclass(frozen=True)
class Looked:
    """sheets: of a workbook; head: the first rows; None where the table cannot be read."""

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


def ask(chosen: Chosen, encoding: str | None = None, sheet: str | None = None) -> "Future[Looked]":
    path, name, changed = chosen.path, chosen.name, chosen.path.stat().st_mtime_ns
    return desk().ask(("look", path, name, changed, encoding, sheet), lambda: _look(path, name, changed, encoding, sheet))


@lru_cache(maxsize=2)  # whole tables, in memory
def read(path: Path, name: str, changed: int, encoding: str | None = None, sheet: str | None = None) -> Table:
    """Raises DataError."""
    return read_table(path, name=name, encoding=encoding, sheet=sheet)


def _look(path: Path, name: str, changed: int, encoding: str | None, sheet: str | None) -> Looked:
    sheets = sheet_names(path) if path.suffix.lower() in (".xlsx", ".xlsm") else ()
    try:
        table = read(path, name, changed, encoding, sheet)
    except DataError as error:
        return Looked(error.problems, sheets=sheets)
    head = table.table.take(pa.array(range(min(SAMPLE, table.table.num_rows))))  # a slice would keep the whole table in memory
    columns = tuple(of_file(head.column_names))
    found = [_proposal(suggestion) for suggestion in suggestions(table.table, most=2)]
    problems = table.problems if found else [*table.problems, *nested(table.table)]
    found = found or [propose(head, next(iter(KINDS)))]
    return Looked(problems, table.table.num_rows, columns, table.encoding, sheets, head, found)


def propose(head: pa.Table, kind: str) -> Proposal:
    """A task of `kind`: as suggested, else what its fields have columns for."""
    if found := suggestions(head, {kind: KINDS[kind]}, most=1):
        return _proposal(found[0])
    columns = _shortest(called_like(head, KINDS[kind]))
    return Proposal({"split": {"by": "random"}}, {"kind": kind, "columns": columns}, complete=False)


@st.cache_resource(max_entries=64, show_spinner=False)
def other_kind(
    file: str, changed: int, read_as: tuple[tuple[str, Any], ...], kind: str, _head: pa.Table
) -> tuple[Proposal, dict[str, Any]]:
    """`propose` of a kind that was not suggested, and its columns by their names alone: a page asks for them whenever it is drawn."""
    return propose(_head, kind), called_like(_head, KINDS[kind])


def _proposal(found: Suggestion) -> Proposal:
    data = {"split": found.split.model_dump(mode="json", exclude_defaults=True)}
    if found.transactions:
        data["transactions"] = found.transactions.model_dump(mode="json", exclude_none=True)
    return Proposal(data, {"kind": found.kind, "columns": _shortest(found.columns)}, why=found.why)


def _shortest(columns: dict[str, list[str]]) -> dict[str, Any]:
    """As the form says it: one column as a string."""
    return {field: names[0] if len(names) == 1 else names for field, names in columns.items()}


def preview(chosen: Chosen, looked: Looked, _: Translate) -> None:
    """What the table is, and its first rows."""
    if looked.head is None:
        return
    facts = counted(looked.rows, len(looked.columns), _)
    facts += [looked.encoding] if looked.encoding else []
    with st.container(border=True):
        st.markdown(f"**{plain(chosen.name)}** · " + plain(" · ".join(facts)))
        cells.table(_shortened(looked.head.slice(0, SHOWN)), empty="", height=200, alt=_("The first rows of the table"), key="preview")


def _shortened(rows: pa.Table) -> pa.Table:
    """Long texts cut for the screen, empty cells empty."""
    for i, column in enumerate(rows.columns):
        if pa.types.is_string(column.type):
            cut = pc.utf8_slice_codeunits(column, 0, 300)
            rows = rows.set_column(i, rows.column_names[i], pc.fill_null(cut, ""))
    return rows.select(of_file(rows.column_names))
