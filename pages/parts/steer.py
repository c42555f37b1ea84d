"""The weights of a running training, and what can be done with a run that has ended."""

import streamlit as st

from mtl_core.jobs import jobs, resumable
from mtl_core.messages import Translate
from mtl_core.runs import Run, RunError, run
from pages.parts.frame import page, workspace
from pages.parts.settings import weight_slider
from pages.parts.text import plain


def show(run_id: str, _: Translate) -> None:
    """A fragment of its own: sliders that are being moved are not drawn anew by the clock."""
    now = jobs().snapshot(run_id)
    weights = now.series.current_weights
    control = jobs().control(run_id) if now.state.live else None
    if control is None:
        table = {_("Task"): list(weights), _("Loss weight"): list(weights.values())}
        st.dataframe(table, hide_index=True, key="last_weights", alt=_("The last loss weight of each task"))
        return
    meaning = _meaning(run(workspace(), run_id))
    wanted = {task: weight_slider(task, weight, f"steer.{run_id}.{task}", _, meaning) for task, weight in weights.items()}
    changed = {task: weight for task, weight in wanted.items() if abs(weight - weights[task]) > 1e-9}
    if st.button(_("Apply weights"), type="primary", icon=":material/tune:", key="apply", disabled=not changed):
        control.set_weights(changed)
        st.toast(_("The new weights hold from the next step on."), icon=":material/check:")
    st.caption(_("Nothing changes until you apply. The next step of the training uses the new weights."))


def _meaning(found: Run) -> str:
    """What the loss weights are to the run's strategy. Loads torch, as training has done."""
    from mtl_core.balancing import BALANCING

    return BALANCING[found.experiment.get("balancing", {}).get("name", "fixed")].slider


def afterwards(run: Run, _: Translate) -> None:
    """What to do next with a run that has ended."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if _resumable(run):
            st.button(_("Resume"), type="primary", icon=":material/resume:", key="resume", on_click=_resume, args=(run.id,))
        st.page_link(page("compare"), label=_("Compare"), icon=":material/compare_arrows:", query_params={"runs": run.id})
        if run.checkpoint("best"):
            st.page_link(page("predict"), label=_("Predict"), icon=":material/online_prediction:", query_params={"run": run.id})
        st.download_button(
            _("Download experiment"),
            run.experiment_yaml,
            file_name=f"{run.name}.yaml",
            mime="application/yaml",
            icon=":material/download:",
            on_click="ignore",
            key="download_run",
        )
    if refused := st.session_state.pop("resume_refused", None):
        st.error(plain(refused.text(_)), icon=":material/error:")


def _resumable(run: Run) -> bool:
    try:
        resumable(run)
    except RunError:
        return False
    return True


def leave() -> None:
    """Back to a new experiment."""
    st.session_state.run = None


def _resume(run_id: str) -> None:
    try:
        jobs().resume(run_id)
    except RunError as error:
        st.session_state.resume_refused = error.message
