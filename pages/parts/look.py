"""A table looked at: what it holds, what is wrong with it, and the task that it is probably for."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from mtl_core.api import looked
from mtl_core.api.looked import Looked
from mtl_core.base.apart import Call
from mtl_core.base.messages import Translate
from mtl_core.config.suggestions import called_like
from mtl_core.data.places import of_file
from mtl_core.data.problems import Problem, ended
from mtl_core.tasks import KINDS
from pages.parts import cells
from pages.parts.background import desk
from pages.parts.text import counted, plain

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


def ask(chosen: Chosen, encoding: str | None = None, sheet: str | None = None) -> Call:
    """The `Looked` of a table; read in a process of its own."""
    changed = chosen.path.stat().st_mtime_ns
    asked = (chosen.path, chosen.name, changed, encoding, sheet)
    return desk().apart(
        ("look", *asked), looked.look, *asked, about=chosen.path, otherwise=lambda error: Looked([ended(error, chosen.name)])
    )


def again(chosen: Chosen, found: Iterable[Problem], _: Translate) -> None:
    """The way to another try, where the last one was ended."""
    if any(p.code in looked.ENDED for p in found):
        st.button(_("Try again"), key=f"again_{chosen.path.name}", icon=":material/refresh:", on_click=desk().forget, args=(chosen.path,))


@st.cache_resource(max_entries=64, show_spinner=False)
def other_kind(
    file: str, changed: int, read_as: tuple[tuple[str, Any], ...], kind: str, _head: pa.Table
) -> tuple[looked.Proposal, dict[str, Any]]:
    """`propose` of a kind that was not suggested, and its columns by their names alone: a page asks for them whenever it is drawn."""
    return looked.propose(_head, kind), called_like(_head, KINDS[kind])


def preview(chosen: Chosen, found: Looked, _: Translate) -> None:
    """What the table is, and its first rows."""
    if found.head is None:
        return
    facts = counted(found.rows, len(found.columns), _)
    facts += [found.encoding] if found.encoding else []
    with st.container(border=True):
        st.markdown(f"**{plain(chosen.name)}** · " + plain(" · ".join(facts)))
        cells.table(_shortened(found.head.slice(0, SHOWN)), empty="", height=200, alt=_("The first rows of the table"), key="preview")


def _shortened(rows: pa.Table) -> pa.Table:
    """Long texts cut for the screen, empty cells empty."""
    for i, column in enumerate(rows.columns):
        if pa.types.is_string(column.type):
            cut = pc.utf8_slice_codeunits(column, 0, 300)
            rows = rows.set_column(i, rows.column_names[i], pc.fill_null(cut, ""))
    return rows.select(of_file(rows.column_names))
