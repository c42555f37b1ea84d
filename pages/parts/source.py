"""Where the tasks of a new experiment come from, and what is wrong with an experiment."""

from collections.abc import Sequence

import streamlit as st
import yaml

from mtl_core.base.faults import Fault
from mtl_core.base.messages import N_, Translate
from mtl_core.config import drafts
from pages.parts.frame import page, workspace
from pages.parts.sample import SHOPS
from pages.parts.url import keep

SOURCES = {"draft": N_("My tasks"), "sample": N_("Sample shop"), "whole": N_("Whole sample shop"), "file": N_("Experiment file")}


def choose(_: Translate) -> tuple[str, str] | None:
    """Returns a prefix for the widgets' keys and the experiment as YAML; None while there is nothing to show, and says what to do."""
    draft = drafts.load(workspace())
    keep("from", "draft" if draft.tasks else "sample", list(SOURCES))
    chosen = st.segmented_control(_("Tasks to train"), list(SOURCES), key="from", required=True, format_func=lambda s: _(SOURCES[s]))
    if chosen in SHOPS:
        return chosen, SHOPS[chosen].read_text(encoding="utf-8")
    if chosen == "draft":
        if not draft.tasks:
            st.info(_("You have no tasks yet. Add one on the page Data, or use the sample shop."), icon=":material/info:")
            st.page_link(page("data"), label=_("Go to Data"), icon=":material/table:")
            return None
        content = {"name": "experiment", "data": draft.data, "tasks": draft.tasks}
        return "draft", yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    file = st.file_uploader(_("Experiment file (YAML)"), type=["yaml", "yml"], key="experiment_file", max_upload_size=1)
    if file is not None:
        st.session_state.experiment_text = file.getvalue().decode("utf-8", errors="replace")
    if "experiment_text" not in st.session_state:
        st.caption(_("Choose a file that was downloaded here or written by hand."))
        return None
    return f"file{hash(st.session_state.experiment_text)}", st.session_state.experiment_text


def show_faults(faults: Sequence[Fault], _: Translate) -> None:
    """All of them: where, what was found, what is wanted."""
    st.error(_("The experiment cannot be run. Errors found: {n}").format(n=len(faults)), icon=":material/error:")
    st.dataframe(
        {
            _("Line"): [f.line for f in faults],
            _("Setting"): [f.path for f in faults],
            _("Found"): [f.found if isinstance(f.found, str) else f.found.text(_) for f in faults],
            _("Expected"): [f.wanted.text(_) for f in faults],
        },
        hide_index=True,
        key="faults",
        alt=_("Errors in the experiment: line, setting, value found, value expected"),
    )
