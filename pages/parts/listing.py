"""The table of runs: as a whole on the page Runs, the newest ones at Home. Read from the status files alone, never from journals."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from mtl_core.base.messages import N_, Translate, plural
from mtl_core.jobs import jobs
from mtl_core.tracking import keeping
from mtl_core.tracking.runs import Run
from pages.parts import cells, run_actions, run_rows, states, undo
from pages.parts.frame import language, page, workspace
from pages.parts.text import plain
from pages.parts.url import keep

MOST_TASKS, MOST_AT_HOME = 8, 5
"""Columns of main metrics: of the tasks that most of the runs shown have. Five are what a screen of 1440 has room for."""


def show(found: Sequence[Run], _: Translate) -> None:
    """Everything that is done with runs. found: newest first."""
    if not found:
        st.info(_("There is no run yet. Train the sample shop or your own tasks first."), icon=":material/info:")
        st.page_link(page("train"), label=_("Go to Train"), icon=":material/model_training:")
    undo.show(lambda entry: keeping.restore(workspace(), entry), _)
    if not found:
        return
    shown = _filtered(found, _)
    if not shown:
        st.caption(_("No run fits. Search for something else, or choose other states."))
        return
    run_actions.show(table(shown, "runs", _), _)


def table(found: Sequence[Run], key: str, _: Translate, choosing: bool = True) -> list[Run]:
    """A line a run; a click on its name opens it. Returns those chosen by their boxes."""
    pinned = keeping.in_use(workspace())
    waiting = {run_id: place for place, run_id in enumerate(jobs().active(workspace()))}
    tasks: dict[str, int] = {}
    for one in found:
        for task in one.kinds:
            tasks[task] = tasks.get(task, 0) + 1
    columns = sorted(tasks, key=lambda task: -tasks[task])[: MOST_TASKS if choosing else MOST_AT_HOME]
    labels = {task: run_rows.label(task, found, _) for task in columns}
    rows = [run_rows.row(one, labels, one.id == pinned, waiting.get(one.id, 0), _) for one in found]
    name = _("Name")
    button = st.column_config.ButtonColumn(
        width=160,
        pinned=True,
        type="tertiary",
        alignment="left",
        key=f"{key}_open",
        on_click=_clicked,
        args=([r.id for r in found], f"{key}_open"),
    )
    config: dict[str, Any] = {name: button, _("Date"): st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")}
    config |= {label: st.column_config.NumberColumn(format="%.3f", width=145, help=plain(label)) for label in labels.values()}
    config[_("Loss weights")] = st.column_config.TextColumn(width=180)
    if not choosing or not any(row[_("Note")] for row in rows):  # an empty column only takes room from the others
        rows = [{name: cell for name, cell in row.items() if name != _("Note")} for row in rows]
    if not choosing:  # the page Runs has them
        rows = [{name: cell for name, cell in row.items() if name != _("ID")} for row in rows]
    measured = _("Main metrics are those of the best step, on validation rows.")
    if left := len(tasks) - len(columns):
        measured += " " + _(plural(left, N_("Without a column: 1 more task."), N_("Without a column: {n} more tasks."))).format(n=left)
    common: dict[str, Any] = {
        "column_config": config,
        "alt": _("Runs: state, weights, main metrics, date"),
    }
    ids = [one.id for one in found]
    if choosing:
        keep("chosen", [], ids)
        grid = f"{key}.{hash(tuple(ids))}"
        begun = [ids.index(one) for one in st.session_state.chosen]
        chosen = cells.table(
            rows, on_select="rerun", selection_mode="multi-row", selection_default={"selection": {"rows": begun}}, key=grid, **common
        )
        ticked = [ids[i] for i in chosen["selection"]["rows"] if i < len(ids)]
        if ticked != st.session_state.chosen:
            st.session_state.chosen = ticked
            keep("chosen", [], ids)
        st.caption(f"{_('A click on a name opens the run.')} {measured}")
    else:
        cells.table(rows, key=key, **common)
        st.caption(measured)
    if target := st.session_state.pop("run_opened", None):
        st.switch_page(page("train"), query_params={"run": target, "lang": language()})
    return [one for one in found if one.id in st.session_state.chosen] if choosing else []


def _clicked(ids: list[str], key: str) -> None:
    st.session_state.run_opened = ids[st.session_state[key]["row"]]


def _filtered(found: Sequence[Run], _: Translate) -> list[Run]:
    present = [state for state in states.STYLES if any(one.state == state for one in found)]
    made = any(one.purpose for one in found)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        keep("find", "")
        text = st.text_input(
            _("Search"), key="find", placeholder=_("Name, note, task or ID"), width=280, icon=":material/search:"
        ).casefold()
        keep("states", [], present)
        wanted = st.session_state.states
        if len(present) > 1:
            wanted = st.pills(_("State"), present, selection_mode="multi", key="states", format_func=lambda s: states.word(s, _))
        keep("made", False)
        if made:
            st.toggle(_("Made to compare"), key="made", help=_("Trainings that were only made to compare another run with."))

    def fits(one: Run) -> bool:
        said = " ".join([one.id, one.name, str(one.noted.get("note", "")), *one.kinds]).casefold()
        return (st.session_state.made or not one.purpose) and text in said and (not wanted or one.state.value in wanted)

    return [one for one in found if fits(one)]
