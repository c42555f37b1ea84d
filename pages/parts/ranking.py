"""A catalogue to rank: what the run's own table holds, the sample shop's or an uploaded table, and the ranked list with its download."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import streamlit as st

from mtl_core.api.looked import catalogue
from mtl_core.base.apart import APART, ApartError
from mtl_core.base.messages import N_, Translate
from mtl_core.base.program import SAMPLE_SHOP
from mtl_core.data.export import to_csv
from mtl_core.data.mapping import suggest
from mtl_core.data.problems import DataError, ended
from mtl_core.data.read import SUFFIXES, Table
from mtl_core.tasks.base import Field
from mtl_core.tracking.runs import Run, RunError
from mtl_core.tracking.table_rows import MOST_DISTINCT, distinct
from pages.parts import cells, problems, received
from pages.parts.text import RELEVANCE, plain
from pages.parts.url import keep

SOURCES = {"own": N_("The run's table"), "sample": N_("Sample catalogue"), "upload": N_("Upload a table")}
SAMPLE = SAMPLE_SHOP / "catalogue.csv"


@st.cache_resource(max_entries=4, show_spinner=False)
def _read(path: Path, name: str, written: int) -> Table:
    """Raises DataError."""
    try:
        found: Table = APART.submit(catalogue, path, name, about=path, n_bytes=path.stat().st_size).result()
    except ApartError as error:
        raise DataError([ended(error, name)]) from error
    return found


@st.cache_data(max_entries=8, show_spinner=False)
def _own(folder: Path, task: str, columns: Sequence[str], _run: Run) -> pa.Table | None:
    """None: the table is not stored any more."""
    try:
        return distinct(_run, task, columns)
    except RunError:
        return None


def _of_sample(run: Run, task: str) -> bool:
    """Whether the task's table is one of the sample shop."""
    data = run.experiment.data[run.tasks[task].data]
    return (run.base is None or run.base == SAMPLE_SHOP.resolve()) and (SAMPLE_SHOP / data.file).is_file()


def choose(run: Run, task: str, field: Field, trained: Sequence[str], prefix: str, _: Translate) -> tuple[pa.Table, list[str]] | None:
    """The candidates for `field`, which was trained on the columns `trained`. Returns their table and the text of each; None while
    there is nothing to rank. The sample shop's are offered to runs of the sample shop only."""
    own = _own(run.folder, task, trained, run)
    offered = {"own": own is not None, "sample": _of_sample(run, task), "upload": True}
    sources = [source for source, there in offered.items() if there]
    keep("catalogue", "sample" if offered["sample"] else sources[0], sources, remember=True)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = st.segmented_control(_("Catalogue"), sources, format_func=lambda s: _(SOURCES[s]), key="catalogue", required=True)
    if source == "own" and own is not None:
        if len(own) == MOST_DISTINCT:
            st.caption(_("Distinct entries of the table, from its top: {n:,}. Upload a table to rank others.").format(n=len(own)))
        return own, _texts(own, trained)
    try:
        path, name = (SAMPLE, SAMPLE.name) if source == "sample" else _uploaded(_)
        if path is None:
            return None
        read = _read(path, name, path.stat().st_mtime_ns)
    except DataError as error:
        problems.show(error.problems, _)
        return None
    problems.show(read.problems, _)
    table = read.table.drop_columns(["_line"])
    key = f"{prefix}.{name}.columns"
    if key not in st.session_state:
        found = suggest(table.slice(0, 1000), (field,)).get(field.name)
        known = [column for column in trained if column in table.column_names]
        st.session_state[key] = known or found or table.column_names[:1]
    hint = _("Joined into the text that the model reads.")
    columns = st.multiselect(_("Columns that describe an entry"), table.column_names, key=key, help=hint, persist_state="session")
    if not columns:
        st.caption(_("Choose at least one column."))
        return None
    return table, _texts(table, columns)


def show(table: pa.Table, ranked: Sequence[tuple[int, float]], key: str, _: Translate) -> None:
    """The ranked entries with their own columns, and a download that a spreadsheet opens without running anything."""
    order = [index for index, _relevance in ranked]
    rank, relevance = (_free(name, table) for name in (_("Rank"), _("Relevance")))
    result = table.take(order)
    result = result.add_column(0, rank, pa.array(range(1, len(order) + 1)))
    result = result.add_column(1, relevance, pa.array([float(value) for _index, value in ranked]))
    bar = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1, help=_(RELEVANCE))
    cells.table(result, column_config={relevance: bar}, key=f"{key}.ranked", alt=_("Catalogue entries ranked by relevance"))
    icon = ":material/download:"
    st.download_button(_("Download as CSV"), to_csv(result), "ranking.csv", "text/csv", icon=icon, key=f"{key}.download", on_click="ignore")


def _uploaded(_: Translate) -> tuple[Path | None, str]:
    number, path, name = st.session_state.setdefault("catalogue_saved", (0, None, ""))
    types = [suffix.lstrip(".") for suffix in (*SUFFIXES, ".gz", ".zip")]
    key = f"catalogue_file_{number}"
    if file := st.file_uploader(_("Table with one entry per row"), type=types, key=key):
        path, name = received.keep(file, key), file.name
        st.session_state.catalogue_saved = number + 1, path, name
        st.rerun()
    if path:
        st.caption(plain(name))
    return path, name


def _free(name: str, table: pa.Table) -> str:
    """`name`, or where the table has such a column, something like it."""
    return name if name not in table.column_names else _free(f"{name} ·", table)


def _texts(table: pa.Table, columns: Sequence[str]) -> list[str]:
    rows = zip(*(table[c].to_pylist() for c in columns), strict=True)
    return [" ".join(str(value) for value in row if value is not None) for row in rows]
