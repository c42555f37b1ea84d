"""What a person does with the runs that she chose in the table: compare, open, predict with, pin, name, delete."""

from typing import Any

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.base.trash import size_of
from mtl_core.tracking import keeping
from mtl_core.tracking.runs import Run, RunError
from pages.parts import undo
from pages.parts.frame import page, workspace
from pages.parts.text import plain, size


def show(chosen: list[Run], _: Translate) -> None:
    """What can be done with the runs that are chosen."""
    with st.container(horizontal=True, vertical_alignment="center", key="run_actions"):
        if len(chosen) > 1:
            ids = [one.id for one in reversed(chosen)]
            st.page_link(page("compare"), label=_("Compare"), icon=":material/compare_arrows:", query_params=[("runs", i) for i in ids])
        if len(chosen) == 1:
            _one(chosen[0], _)
        if chosen:
            with st.popover(_("Delete"), icon=":material/delete:", key="delete_runs"):
                _delete(chosen, _)
        else:
            st.caption(_("Choose runs by the boxes at their left to compare, name, use or delete them."))
    if refused := st.session_state.pop("run_refused", None):
        st.error(plain(refused.text(_)), icon=":material/error:")


def _one(one: Run, _: Translate) -> None:
    st.page_link(page("train"), label=_("Open"), icon=":material/monitoring:", query_params={"run": one.id})
    if one.checkpoint() is not None:
        st.page_link(page("predict"), label=_("Predict"), icon=":material/online_prediction:", query_params={"run": one.id})
        pinned = keeping.in_use(workspace()) == one.id
        icon, label = (":material/keep_off:", _("Stop using")) if pinned else (":material/keep:", _("Use this run"))
        st.button(
            label,
            icon=icon,
            key="in_use",
            on_click=_try,
            args=(keeping.use, workspace(), None if pinned else one),
            help=_("Predict opens on it."),
        )
    noting = st.popover(_("Name and note"), icon=":material/edit:", key="name_and_note")
    with noting, st.form(f"noted.{one.id}", border=False):  # Enter saves
        st.text_input(_("Name"), one.name, key=f"name.{one.id}", max_chars=keeping.LONGEST_NAME)
        st.text_area(_("Note"), one.noted.get("note", ""), key=f"note.{one.id}", max_chars=keeping.LONGEST_NOTE)
        st.form_submit_button(_("Save"), key="save_name", type="primary", on_click=_save, args=(one,))


def _save(one: Run) -> None:
    _try(keeping.rename, one, st.session_state[f"name.{one.id}"])
    _try(keeping.note, one, st.session_state[f"note.{one.id}"])


def _try(do: Any, *args: Any) -> None:
    try:
        do(*args)
    except RunError as error:
        st.session_state.run_refused = error.message


def _delete(chosen: list[Run], _: Translate) -> None:
    live = [one for one in chosen if one.state.live]
    if live:
        st.warning(_("A run at work cannot be deleted. Stop it first: {runs}.").format(runs=plain(", ".join(one.name for one in live))))
        return
    for one in chosen:
        for said in keeping.uses_of(workspace(), one).sentences:
            st.markdown(f"**{plain(one.name)}**: {plain(said.text(_))}")
    text = _("{size} go to the workspace's trash; emptying it frees them. MLflow keeps metrics and reports.")
    st.caption(text.format(size=size(sum(size_of(one.folder) for one in chosen))))
    st.button(_("Move to the trash"), key="delete_chosen", type="primary", icon=":material/delete:", on_click=_deleted, args=(chosen,))


def _deleted(chosen: list[Run]) -> None:
    entries = []
    for one in chosen:
        try:
            entries.append(keeping.delete(workspace(), one))
        except RunError as error:
            st.session_state.run_refused = error.message
    if entries:
        undo.offer(entries)
