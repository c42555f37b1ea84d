"""Which table the page Data works on: uploaded or of the sample shop; read once, its first rows shown."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from mtl_core.base.messages import N_, Translate
from mtl_core.base.workspace import OutsideWorkspaceError
from mtl_core.data.problems import DataError, Problem
from mtl_core.data.read import Table, read_table
from mtl_core.data.upload import save_upload, shown_name
from pages.parts import problems, sample
from pages.parts.frame import workspace
from pages.parts.text import plain
from pages.parts.url import keep

SOURCES = {"upload": N_("Your own"), "sample": N_("Sample shop")}
TYPES = ["csv", "tsv", "txt", "jsonl", "ndjson", "parquet", "gz", "zip"]
SHOWN = 50
"""Rows of the preview."""


@dataclass(frozen=True)
class Chosen:
    """path: where it lies; name: what the person calls it; file: what an experiment says."""

    path: Path
    name: str
    file: str


def choose(_: Translate) -> Chosen | None:
    """None while there is none, after saying what to do."""
    keep("source", "upload", list(SOURCES))
    source = st.segmented_control(
        _("Table"), list(SOURCES), key="source", required=True, format_func=lambda s: _(SOURCES[s]), label_visibility="collapsed"
    )
    if source == "sample":
        tables = {path.name: path for path in sample.tables()}
        keep("sample", next(iter(tables), None), list(tables))
        name = st.selectbox(_("Table of the sample shop"), list(tables), key="sample")
        return Chosen(tables[name], name, name) if name else None
    _upload(_)
    name = st.query_params.get("table") or st.session_state.get("table", "")
    try:
        path = workspace().inside("uploads", name) if name else None
    except OutsideWorkspaceError:
        path = None
    if path is None or not path.is_file():
        st.caption(_("Upload a table to see its contents and problems, or look at the sample shop first."))
        return None
    st.session_state.table = st.query_params["table"] = name
    return Chosen(path, st.session_state.get("upload_names", {}).get(name, name), f"uploads/{name}")


def _upload(_: Translate) -> None:
    """A new file goes to disk under a name of ours, which stands in the URL from then on."""
    file = st.file_uploader(
        _("Upload a table"),
        type=TYPES,
        key="upload",
        help=_("CSV, TSV, JSON Lines or Parquet; CSV and JSON Lines may be gzipped or zipped. The file stays on this machine."),
    )
    if file is None or st.session_state.get("upload_seen") == file.file_id:
        return
    try:
        with st.spinner(_("Saving the file …")):
            path = save_upload(file, file.name, workspace())
    except DataError as error:
        problems.show(error.problems, _)
        return
    st.session_state.upload_seen = file.file_id
    st.session_state.setdefault("upload_names", {})[path.name] = shown_name(file.name)
    st.session_state.table = st.query_params["table"] = path.name


@st.cache_resource(max_entries=2, show_spinner=False)
def _read(path: Path, name: str, changed: int) -> tuple[Table | None, list[Problem]]:
    try:
        table = read_table(path, name=name)
    except DataError as error:
        return None, error.problems
    return table, table.problems


def read(chosen: Chosen, _: Translate) -> Table | None:
    """The table with its first rows and problems on the screen; None when it cannot be used."""
    with st.spinner(_("Reading the table …")):
        table, found = _read(chosen.path, chosen.name, chosen.path.stat().st_mtime_ns)
    if table is not None:
        facts = [_("{rows:,} rows").format(rows=table.table.num_rows), _("{n} columns").format(n=len(columns(table)))]
        facts += [table.encoding] if table.encoding else []
        with st.container(border=True):
            st.markdown(f"**{plain(chosen.name)}** · " + plain(" · ".join(facts)))
            st.dataframe(_shortened(table.table.slice(0, SHOWN)), height=250, alt=_("The first rows of the table"), key="preview")
    problems.show(found, _)
    return table


def columns(table: Table) -> list[str]:
    return [name for name in table.table.column_names if not name.startswith("_")]


def _shortened(rows: pa.Table) -> pa.Table:
    """Long texts cut for the screen."""
    for i, column in enumerate(rows.columns):
        if pa.types.is_string(column.type):
            rows = rows.set_column(i, rows.column_names[i], pc.utf8_slice_codeunits(column, 0, 300))
    return rows.drop_columns([n for n in rows.column_names if n.startswith("_")])
