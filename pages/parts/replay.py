"""A run that repeats another one from its events: whether it came to the same numbers."""

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.jobs import jobs
from mtl_core.tracking.runs import Run, RunError
from mtl_core.training.replay import ReplayComparison, compare_replay
from pages.parts.clicks import Once
from pages.parts.frame import page
from pages.parts.text import plain


@st.cache_data(max_entries=10, show_spinner=False)
def _verdict(folders: tuple[Path, Path], sizes: tuple[int, int], _original: Run, _replay: Run) -> ReplayComparison:
    """Read again only when a journal has grown."""
    return compare_replay(_original.events(), _replay.events())


def show(run: Run, runs: Mapping[str, Run], _: Translate) -> None:
    """Nothing, but for a replay."""
    if run.replays is None:
        return
    original = runs.get(run.replays)
    if original is None:
        st.caption(_("The original run is no longer in this workspace."))
        return
    sizes = (original.journal.stat().st_size, run.journal.stat().st_size)
    with st.spinner(_("Comparing all values …")):
        found = _verdict((original.folder, run.folder), sizes, original, run)
    if found.difference is None:
        text = _("The replay gave identical values, bit for bit. Steps: {steps}; evaluations: {evaluations}.")
        st.success(text.format(steps=f"{found.steps:,}", evaluations=found.evaluations), icon=":material/verified:")
    else:
        text = _("The replay gave different values. First difference: {difference}").format(difference=plain(found.difference))
        st.warning(text, icon=":material/difference:")
    st.page_link(page("train"), label=_("The original run"), icon=":material/monitoring:", query_params={"run": original.id})


def start(run_id: str, once: Once[str]) -> None:
    """Goes to the new run."""
    try:
        st.session_state.run = once(lambda: jobs().replay(run_id))
    except RunError as error:
        st.session_state.resume_refused = error.message
