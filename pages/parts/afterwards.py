"""What can be done with a run that has ended."""

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.jobs import jobs, resumable
from mtl_core.tracking.runs import Run, RunError
from pages.parts import replay
from pages.parts.clicks import Once
from pages.parts.frame import page
from pages.parts.placed import link
from pages.parts.text import plain


def show(run: Run, _: Translate) -> None:
    """What to do next with a run that has ended: buttons of one row, of widths that are known before the browser can draw them."""
    if _resumable(run):
        st.button(_("Resume"), type="primary", icon=":material/resume:", key="resume", width=120, on_click=_resume, args=(run.id,))
    link(page("compare"), _("Compare"), ":material/compare_arrows:", {"runs": run.id})
    if run.checkpoint("best"):
        link(page("predict"), _("Predict"), ":material/online_prediction:", {"run": run.id})
    if run.steered:
        help_text = _("Trains the run again from its recorded events, including everything that was changed, and compares the values.")
        st.button(
            _("Replay"),
            icon=":material/replay:",
            key="replay",
            width=120,
            on_click=replay.start,
            args=(run.id, Once()),
            help=help_text,
        )


def refused(_: Translate) -> None:
    """Why what was asked of an ended run was not done."""
    if why := st.session_state.pop("resume_refused", None):
        st.error(plain(why.text(_)), icon=":material/error:")


def _resumable(run: Run) -> bool:
    try:
        resumable(run)
    except RunError:
        return False
    return True


def _resume(run_id: str) -> None:
    try:
        jobs().resume(run_id)
    except RunError as error:
        st.session_state.resume_refused = error.message
