"""A file of rows on the page Predict: uploaded, answered row by row, shown as a table and downloaded. What it means is what
`mtl.load(run).predict` and the command `predict` mean."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from mtl_core.api.answers import rows_of
from mtl_core.api.looked import whole
from mtl_core.base.apart import APART, ApartError
from mtl_core.base.messages import N_, Translate, message, plural
from mtl_core.data.export import safe_for_spreadsheet
from mtl_core.data.places import LINE, file_and_line, of_file
from mtl_core.data.problems import DataError, InputError, Problem, Severity, ended
from mtl_core.data.read import SUFFIXES, Table
from mtl_core.data.upload import ASKED
from mtl_core.tracking.runs import Run
from pages.parts import cells, problems, received
from pages.parts.text import plain

if TYPE_CHECKING:
    from mtl_core.inference.predictor import Predictor

MOST_ROWS, AT_ONCE = 10_000, 256
"""Rows of a file that are answered here, which a person waits for; and between two looks at the progress."""


def uploaded(label: str, key: str, _: Translate) -> tuple[Path | None, str]:
    """(where an uploaded table lies, its name for people); None while there is none. key: of the widget."""
    number, path, name = st.session_state.setdefault(f"{key}_saved", (0, None, ""))
    uploader = f"{key}_{number}"
    if file := st.file_uploader(label, type=[suffix.lstrip(".") for suffix in (*SUFFIXES, ".gz", ".zip")], key=uploader):
        st.session_state[f"{key}_saved"] = number + 1, received.keep(file, uploader, ASKED), file.name
        st.rerun()
    if path:
        st.caption(plain(name))
    return path, name


@st.cache_resource(max_entries=4, show_spinner=False)
def read(path: Path, name: str, written: int) -> Table:
    """Raises DataError."""
    try:
        found: Table = APART.submit(whole, path, name, about=path, n_bytes=path.stat().st_size).result()
    except ApartError as error:
        raise DataError([ended(error, name)]) from error
    return found


def show(run: Run, task: str, predictor: "Predictor", place: str, _: Translate) -> None:
    """place: of the widgets; each task of each run has its own."""
    wanted = ", ".join(dict.fromkeys(c for f in predictor.fields(task) for c in predictor.columns(task)[f.name]))
    st.caption(_("A row a question, with the columns that the run was trained on: {columns}.").format(columns=plain(wanted)))
    path, name = uploaded(_("Table with one question per row"), f"{place}.rows_file", _)
    if path is None:
        return
    try:
        table = read(path, name, path.stat().st_mtime_ns)
    except DataError as error:
        problems.show(error.problems, _)
        return
    problems.show(table.problems, _)
    n = min(table.table.num_rows, MOST_ROWS)
    if n < table.table.num_rows:
        said = _("Rows that are answered here: the first {n:,} of {of:,}. The command “predict” takes any number.")
        st.info(said.format(n=n, of=table.table.num_rows), icon=":material/info:")
    names = run.class_names(task)
    about = (place, str(path), tuple(names.items()))
    if st.session_state.get("rows_about") != about:
        st.session_state.pop("rows_answered", None)
        answered = _answers(table, n, name, task, predictor, names, _)
        if answered is None:
            return
        st.session_state.rows_answered, st.session_state.rows_about = answered, about
    found: pd.DataFrame = st.session_state.rows_answered
    st.markdown(_(plural(n, N_("1 row is answered."), N_("{n:,} rows are answered."))).format(n=n))
    cells.table(found, height=420, key=f"{place}.answered", alt=_("The rows of the file, each with its answer"))
    st.download_button(
        _("Download as CSV"),
        lambda: safe_for_spreadsheet(found).to_csv(index=False).encode("utf-8-sig"),
        f"{task}.csv",
        "text/csv",
        icon=":material/download:",
        key=f"{place}.answered_csv",
        on_click="ignore",
    )


def _answers(
    table: Table, n: int, name: str, task: str, predictor: "Predictor", names: Mapping[str, str], _: Translate
) -> pd.DataFrame | None:
    """The answers first, then the columns of the file, then what is long of the answers, as probabilities are; None where a row is refused,
    which is said with its line."""
    some = table.table.slice(0, n)
    lines = some[LINE].to_pylist()
    fields, columns = predictor.fields(task), predictor.columns(task)
    lacking = [f.name for f in fields if f.required and not {f.name, *columns[f.name]} & {*of_file(some.column_names)}]
    if lacking or not any({f.name, *columns[f.name]} & {*some.column_names} for f in fields):
        why = message("The file lacks columns that the task reads: {columns}.", columns=", ".join(lacking or [f.name for f in fields]))
        remedy = message("Name them as in the table that the run was trained on.")
        problems.show([Problem(Severity.ERROR, "missing_column", why, remedy, name)], _)
        return None
    rows, _index = rows_of(predictor, task, some.select(of_file(some.column_names)))
    answers: list[dict[str, Any]] = []
    bar = st.progress(0.0)
    for start in range(0, n, AT_ONCE):
        bar.progress(start / n, text=_("Rows answered: {done:,} of {n:,}").format(done=start, n=n))
        try:
            answers += predictor.predict(task, rows[start : start + AT_ONCE], names)
        except InputError as error:
            bar.empty()
            file, line = file_and_line(name, lines[start + (error.row or 1) - 1])
            remedy = message("Correct it in the file, and upload it again.")
            problems.show([Problem(Severity.ERROR, "row", error.message, remedy, file, line)], _)
            return None
    bar.empty()
    kind = predictor.kinds[task]
    said = pd.DataFrame([{_(kind.answer_field(key).label): _cell(value) for key, value in one.items()} for one in answers])
    given = some.select(of_file(some.column_names)).to_pandas()
    said = said.rename(columns={c: f"{c} ·" for c in said.columns if c in given.columns})
    long = [c for c, value in zip(said.columns, answers[0].values(), strict=False) if isinstance(value, dict | list)]
    return pd.concat([pd.DataFrame({_("Line"): lines}), said.drop(columns=long), given.map(_cell), said[long]], axis=1)


def _cell(value: Any) -> Any:
    """Probabilities of classes, spans and lists as JSON."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, dict):
        value = {key: round(one, 4) if isinstance(one, float) else one for key, one in value.items()}
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
