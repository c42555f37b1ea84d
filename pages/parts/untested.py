"""A finished run whose test split was left alone: a button that evaluates it, once."""

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.jobs import evaluable, jobs
from mtl_core.tracking.runs import Run, RunError
from pages.parts.frame import workspace
from pages.parts.text import plain


def show(run: Run, _: Translate) -> None:
    """Nothing for a run that was tested or cannot be, or was made for a comparison."""
    if run.purpose:
        return
    if jobs().evaluating(run.id):
        st.fragment(_wait, run_every=1.0)(run.id, _)
        return
    try:
        evaluable(run)
    except RunError:
        return
    if refused := st.session_state.pop("test_refused", None):
        st.error(plain(refused.text(_)), icon=":material/error:")
    if failed := run.status.get("test_error"):
        st.error(plain(_(failed)), title=_("The test split could not be evaluated"), icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(_("Evaluate the test split"), icon=":material/fact_check:", key="test", on_click=_start, args=(run.id,))
        st.caption(_("It was left alone. It is evaluated once only, so keep it for the run that you decide for."), width="content")


def _wait(run_id: str, _: Translate) -> None:
    if not jobs().evaluating(run_id):
        st.rerun()
    st.caption(_("The test split is being evaluated …"))


def _start(run_id: str) -> None:
    try:
        jobs().evaluate(run_id, workspace())
    except RunError as error:
        st.session_state.test_refused = error.message
