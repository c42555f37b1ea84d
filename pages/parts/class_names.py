"""What people call the classes of a trained task: given here without training again."""

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.tracking import keeping
from mtl_core.tracking.runs import Run, RunError
from pages.parts.text import plain

MOST = 100
"""Classes that are named here; of more the command line names any."""


def show(run: Run, task: str, classes: list[str], _: Translate) -> None:
    """A button that opens a line for each class, tag, attribute, grade, or for yes and no (1 and 0)."""
    with st.popover(_("Class names"), icon=":material/label:", key="class_names"):
        st.caption(_("What answers, reports and comparisons call a class. The table's spelling stays in the files and in the metrics."))
        if len(classes) > MOST:
            st.caption(_("The first {n} classes. Name others with the command “runs --name-classes”.").format(n=MOST))
        given = run.class_names(task)
        with st.form("class_names_form", border=False, height=360 if len(classes) > 4 else "content"):
            for cls in classes[:MOST]:
                st.text_input(plain(cls), given.get(cls, ""), key=_key(run, task, cls), placeholder=cls, max_chars=keeping.LONGEST_NAME)
            st.form_submit_button(_("Save"), type="primary", on_click=_save, args=(run, task, classes))
        if refused := st.session_state.pop("names_refused", None):
            st.error(plain(refused.text(_)), icon=":material/error:")


def _key(run: Run, task: str, cls: str) -> str:
    return f"called.{run.id}.{task}.{cls}"


def _save(run: Run, task: str, classes: list[str]) -> None:
    names = run.class_names(task) | {cls: st.session_state[_key(run, task, cls)] for cls in classes[:MOST]}
    try:
        keeping.name_classes(run, task, {cls: name for cls, name in names.items() if cls in classes})
    except RunError as error:
        st.session_state.names_refused = error.message
