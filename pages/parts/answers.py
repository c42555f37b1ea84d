"""The rows that two runs answer differently, with their texts: a part of the page Compare."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from mtl_core.base.messages import N_, Translate
from mtl_core.data.export import safe_for_spreadsheet
from mtl_core.studies.answers import Differing, differing
from mtl_core.studies.compare import Group
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import columns_of
from mtl_core.tracking.examples import labels_called
from mtl_core.tracking.runs import Run, RunError
from mtl_core.tracking.table_rows import places, table_rows
from pages.parts import cells
from pages.parts.frame import language
from pages.parts.text import plain
from pages.parts.url import keep

PAGE = 20
MOST_DOWNLOADED = 10_000
NEARER_MEANS = N_("Nearer: the run whose prediction is less far from the label of the row.")
WHO = {"all": N_("All"), "first": N_("{run} is right"), "second": N_("{run} is right"), "neither": N_("Neither")}
NEARER = {"all": N_("All"), "first": N_("{run} is nearer"), "second": N_("{run} is nearer"), "neither": N_("Equally near")}


def show(groups: Sequence[Group], baseline: Group, split: str, _: Translate) -> None:
    """Of the baseline and one other; of runs that differ by their seed the first."""
    first = baseline.runs[0]
    others = {group.runs[0].id: group for group in groups if group is not baseline}
    keep("other", next(iter(others)), list(others), remember=True)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(others) > 1:
            st.selectbox(_("Compared with the baseline"), list(others), key="other", format_func=lambda i: others[i].name, width=260)
        second = others[st.session_state.other].runs[0]
        tasks = [task for task in first.tasks if task in second.tasks]
        if not tasks:
            st.caption(_("These runs have no task in common."))
            return
        keep("task", tasks[0], tasks, remember=True)
        st.segmented_control(_("Task"), tasks, key="task", required=True, format_func=plain, wrap=True, label_visibility="collapsed")
    task = st.session_state.task
    if first.datasets.get(first.tasks[task].data) != second.datasets.get(second.tasks[task].data):
        st.caption(_("The rows of the two runs are not of the same data."))
        return
    try:
        found = differing(first, second, task, split)
    except (FileNotFoundError, ValueError):
        st.caption(_("Not both runs keep predictions of these rows."))
        return
    _list(found, first, second, others[second.id].name, baseline.name, task, _)


def _list(found: Differing, first: Run, second: Run, other: str, baseline: str, task: str, _: Translate) -> None:
    names = {"all": "", "first": baseline, "second": other, "neither": ""}
    words = {who: _(text).format(run=names[who]) for who, text in (WHO if found.exact else NEARER).items()}
    counts = found.rows["who"].value_counts()
    keep("who", "all", words, remember=True)

    heading = _("Who is right") if found.exact else _("Who is nearer")
    means = KINDS[first.tasks[task].kind].report.right_means or NEARER_MEANS

    def counted(who: str) -> str:
        return f"{plain(words[who])} · {len(found.rows) if who == 'all' else counts.get(who, 0):,}"

    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.segmented_control(heading, list(words), key="who", required=True, format_func=counted, wrap=True, label_visibility="collapsed")
        st.caption(_differing(found, _).format(n=len(found.rows), of=found.n), help=_(means))
    rows = found.rows if st.session_state.who == "all" else found.rows[found.rows["who"] == st.session_state.who]
    if rows.empty:
        st.caption(_("No such rows."))
        return
    n_pages = -(-len(rows) // PAGE)
    key = f"page.{first.id}.{second.id}.{task}.{st.session_state.split}.{st.session_state.who}"
    number = min(st.session_state.get(key, 1), n_pages)
    shown = rows.iloc[(number - 1) * PAGE : number * PAGE]
    of = (first, task, (baseline, other), words, heading, _)
    try:
        table = _with_texts(shown, *of)
    except RunError as error:
        st.caption(error.message.text(_))
        return
    link = {"run": second.id, "task": task, "lang": language()}
    table[_("Try it")] = ["predict?" + urlencode({**link, "row": int(row)}) for row in shown["row"]]
    wide = [c for c in table.columns if table[c].map(lambda cell: len(str(cell))).max() > 30]
    config: dict[str, Any] = {
        **{column: st.column_config.TextColumn(width="medium") for column in wide},
        _("Try it"): st.column_config.LinkColumn(display_text=_("Predict"), width="small"),
        _("Confidence"): st.column_config.NumberColumn(format="percent", width="small"),
    }
    cells.table(table, height="content", column_config=config, key="rows", alt=_("Rows answered differently"))
    with st.container(horizontal=True, vertical_alignment="center"):
        if n_pages > 1:
            st.pagination(n_pages, key=key)
        st.download_button(
            _("Download as CSV"),
            lambda: safe_for_spreadsheet(_with_texts(rows.head(MOST_DOWNLOADED), *of)).to_csv(index=False).encode("utf-8-sig"),
            f"{task}.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


def _with_texts(
    rows: pd.DataFrame, run: Run, task: str, names: tuple[str, str], words: dict[str, str], heading: str, _: Translate
) -> pd.DataFrame:
    """rows: as of `Differing`; with what the table holds for them. words: of each `Who`, under `heading`."""
    config = run.tasks[task]
    columns = columns_of(KINDS[config.kind].fields, config.columns)
    order = [c for field, several in columns.items() if field != "label" for c in several] + list(columns.get("label", []))
    texts = table_rows(run, task, rows["row"].to_numpy())
    at = places(run, task, rows["row"].to_numpy())
    table = pd.DataFrame({_("Line"): at["line"].to_numpy()})
    if (at["file"] != run.tasks[task].data).any():  # the parts of the split are files of their own
        table.insert(0, _("File"), at["file"].to_numpy())
    for column in dict.fromkeys(c for c in order if c in texts.columns):
        table[column] = texts[column].map(_cell).to_numpy()
        if column in columns.get("label", ()):
            called = labels_called(run, task, {text: text for text in table[column].unique()})
            table[column] = [f"{called[text]} ({text})" if text in called else text for text in table[column]]
    for name, side in zip(names, ("first", "second"), strict=True):
        table[_("{run} answers").format(run=name)] = rows[side].map(_cell).to_numpy()
    table[_("Confidence")] = rows["confidence"].to_numpy()
    table[heading] = rows["who"].map(lambda who: words[who]).to_numpy()
    return table.dropna(axis="columns", how="all")


def _differing(found: Differing, _: Translate) -> str:
    if found.rows["confidence"].notna().any():
        return _("Answered differently: {n:,} of {of:,} rows; the surest come first.")
    return _("Answered differently: {n:,} of {of:,} rows; the largest differences come first.")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, (list, tuple)) or hasattr(value, "tolist"):
        return " | ".join(map(str, value if isinstance(value, (list, tuple)) else value.tolist()))
    return "–" if value is None else str(value)
