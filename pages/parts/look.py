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
from mtl_core.data.mapping import suggest, suitability
from mtl_core.data.problems import DataError, Problem
from mtl_core.data.read import Table, read_table
from mtl_core.data.transactions import looks_like_log, suggest_roles
from mtl_core.tasks import KINDS
from pages.parts.background import desk
from pages.parts.text import counted, plain

SAMPLE = 1000
"""Rows that suggestions are made from."""
SHOWN = 50
"""Rows of the preview."""
SPLIT_NAMES = ("split", "part", "subset", "fold", "划分")
"""What a column with a given split is called."""
LOG_COLUMNS = ("user", "history", "item", "item_id", "label", "time", "list")
"""Of the recommendation table that a transaction log becomes; fields of the same name are filled by them."""


@dataclass(frozen=True)
class Chosen:
    """path: where it lies; name: what the person calls it; file: what an experiment says; parts: of the split → their files."""

    path: Path
    name: str
    file: str
    parts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Proposal:
    """data: as in an experiment, without the file; task: likewise, without its table. complete: whether all that it needs has a column."""

    data: dict[str, Any]
    task: dict[str, Any]
    complete: bool = True
    why: Message | None = None


@dataclass(frozen=True)
class Looked:
    """head: the first rows; None where the table cannot be read."""

    problems: list[Problem]
    rows: int = 0
    columns: tuple[str, ...] = ()
    encoding: str | None = None
    head: pa.Table | None = None
    proposal: Proposal | None = None


def ask(chosen: Chosen) -> "Future[Looked]":
    path, name, changed = chosen.path, chosen.name, chosen.path.stat().st_mtime_ns
    return desk().ask(("look", path, name, changed), lambda: _look(path, name, changed))


@lru_cache(maxsize=2)  # whole tables, in memory
def read(path: Path, name: str, changed: int) -> Table:
    """Raises DataError."""
    return read_table(path, name=name)


def _look(path: Path, name: str, changed: int) -> Looked:
    try:
        table = read(path, name, changed)
    except DataError as error:
        return Looked(error.problems)
    head = table.table.take(pa.array(range(min(SAMPLE, table.table.num_rows))))  # a slice would keep the whole table in memory
    columns = tuple(c for c in head.column_names if not c.startswith("_"))
    return Looked(table.problems, table.table.num_rows, columns, table.encoding, head, propose(head))


def propose(head: pa.Table, kind: str | None = None) -> Proposal:
    """A task of `kind`; None: of the kind that the names of the columns suit best."""
    names = [c for c in head.column_names if not c.startswith("_")]
    is_log = looks_like_log(names) and (kind is None or KINDS[kind].takes_logs)
    if kind is None and is_log:
        kind = next((name for name, one in KINDS.items() if one.takes_logs), None)
    kind = kind or max(KINDS, key=lambda name: suitability(head, KINDS[name].fields))
    of, data = KINDS[kind], {}
    if is_log:
        roles = suggest_roles(names)
        columns: dict[str, Any] = {f.name: f.name for f in of.fields if f.name in LOG_COLUMNS}
        complete = all(roles.get(role) for role in ("user", "item", "text", "time"))
        data["transactions"] = roles
    else:
        found = {field: one.columns for field, one in suggest(head, of.fields).items() if one.columns}
        columns = {field: chosen[0] if len(chosen) == 1 else chosen for field, chosen in found.items()}
        complete = all(columns.get(f.name) for f in of.fields if f.required)
    given = next((name for name in names if name.lower() in SPLIT_NAMES), None)
    data["split"] = {"by": "column", "column": given} if given else {"by": "random"}
    return Proposal(data, {"kind": kind, "columns": columns}, complete)


def preview(chosen: Chosen, looked: Looked, _: Translate) -> None:
    """What the table is, and its first rows."""
    if looked.head is None:
        return
    facts = counted(looked.rows, len(looked.columns), _)
    facts += [looked.encoding] if looked.encoding else []
    with st.container(border=True):
        st.markdown(f"**{plain(chosen.name)}** · " + plain(" · ".join(facts)))
        st.dataframe(_shortened(looked.head.slice(0, SHOWN)), height=200, alt=_("The first rows of the table"), key="preview")


def _shortened(rows: pa.Table) -> pa.Table:
    """Long texts cut for the screen, empty cells empty."""
    for i, column in enumerate(rows.columns):
        if pa.types.is_string(column.type):
            cut = pc.utf8_slice_codeunits(column, 0, 300)
            rows = rows.set_column(i, rows.column_names[i], pc.fill_null(cut, ""))
    return rows.drop_columns([n for n in rows.column_names if n.startswith("_")])
