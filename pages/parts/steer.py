"""The weights of a running training, and what can be done with a run that has ended."""

from typing import Any

import streamlit as st

from mtl_core.balancing import BALANCING
from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import Translate
from mtl_core.base.settings import set_path, widgets
from mtl_core.config.experiment import Experiment
from mtl_core.config.steering import STEERABLE, differing, steered
from mtl_core.jobs import Snapshot, jobs, resumable
from mtl_core.tracking.runs import Run, RunError, run
from pages.parts import changes as changes_made
from pages.parts import replay
from pages.parts.frame import page, workspace
from pages.parts.settings import draw_all, drawable, weight_slider, with_keys
from pages.parts.source import show_faults
from pages.parts.text import plain

ROW = 52
ROOM = 8
"""Tasks whose sliders stand below one another; more of them scroll in a column of that height."""


def show(run_id: str, _: Translate) -> None:
    """A fragment: a slider a task, what it has in the update, *Apply*, and the way back."""
    now = jobs().snapshot(run_id)
    if jobs().control(run_id) is None:
        _last(now, _)
        return
    current = jobs().experiment_now(run(workspace(), run_id))
    strategy = BALANCING[current.balancing.name]
    moved, wanted = [], {}
    st.markdown(f"**{_('Loss weights')}**", help=_(strategy.slider) + " " + _("At 0 the shared encoder does not learn from this task."))
    with st.container(height=ROW * ROOM if len(current.tasks) > ROOM else "content", border=False, gap="xxsmall"):
        for task, part in current.tasks.items():
            moved += [plain(task)] if _follow(f"steer.{run_id}.{task}", part.weight) else []
            name, slider = st.columns([9, 11], gap="small", vertical_alignment="center")
            with slider:
                wanted[f"tasks.{task}.weight"] = weight_slider(task, part.weight, f"steer.{run_id}.{task}", _, strategy.slider, bare=True)
            with name:
                st.markdown(plain(task))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        place = st.container(width="content")
        with st.popover(_("More settings"), icon=":material/tune:", help=_("Learning rate, sampling, patience")):
            wanted |= _others(current, run_id, _)
    try:
        changes = differing(current, steered(current, wanted))[1]
    except ExperimentError as error:
        show_faults(error.faults, _)
        changes = {}
    hint = _("Nothing changes until you apply. A checkpoint is saved first, so that you can go back.")
    if place.button(_("Apply"), type="primary", icon=":material/check:", key="apply", disabled=not changes, help=hint):
        try:
            jobs().steer(run_id, changes, workspace())
            st.toast(_("Changes take effect from the next step."), icon=":material/check:")
        except (RunError, ExperimentError) as error:
            st.error(plain(error.message.text(_) if isinstance(error, RunError) else error), icon=":material/error:")
    if moved:
        st.info(_("Changed elsewhere meanwhile: {what}").format(what=", ".join(moved)), icon=":material/group:")
    changes_made.newest(run(workspace(), run_id), _)


def _last(now: Snapshot, _: Translate) -> None:
    """The weights of a run that another process trains."""
    weights = now.series.current_weights
    table = {_("Task"): list(weights), _("Loss weight"): list(weights.values())}
    if weights:
        st.dataframe(table, hide_index=True, key="last_weights", alt=_("Final loss weight of each task"))


def _others(current: Experiment, run_id: str, _: Translate) -> dict[str, Any]:
    """Widgets for what may be changed beside the weights. Returns path → value."""
    prefix = f"steer.{run_id}"
    name = st.session_state.get(f"{prefix}.sampling.name", current.sampling.name)
    sampling = current.sampling if name == current.sampling.name else type(current.sampling)(name=name)
    chosen = [s for s in widgets(current) if s.path in STEERABLE]
    own = with_keys([s for s in widgets(sampling, "sampling") if drawable(s)], "data", current.data)
    for setting in (*chosen, *(own if sampling is current.sampling else ())):
        _follow(f"{prefix}.{setting.path}", setting.value)
    values = draw_all([*chosen, *own], prefix, _, width=180)
    made: dict[str, Any] = {"sampling": sampling.model_dump(mode="json")}
    for path, value in values.items():
        if path.startswith("sampling."):
            set_path(made, path, value)
        else:
            made[path] = value
    return made


def _follow(key: str, value: Any) -> bool:
    """Sets a widget to what holds now, when that changed since it was last drawn. Returns whether it stood at something else."""
    before, st.session_state[f"{key}.seen"] = st.session_state.get(f"{key}.seen", value), value
    if before == value:
        return False
    stood = st.session_state.get(key, value)
    st.session_state[key] = value
    return bool(stood != value)


def afterwards(run: Run, _: Translate) -> None:
    """What to do next with a run that has ended: buttons of one row."""
    if _resumable(run):
        st.button(_("Resume"), type="primary", icon=":material/resume:", key="resume", on_click=_resume, args=(run.id,))
    st.page_link(page("compare"), label=_("Compare"), icon=":material/compare_arrows:", query_params={"runs": run.id})
    if run.checkpoint("best"):
        st.page_link(page("predict"), label=_("Predict"), icon=":material/online_prediction:", query_params={"run": run.id})
    if run.steered:
        help_text = _("Trains the run again from its recorded events, including everything that was changed, and compares the values.")
        st.button(_("Replay"), icon=":material/replay:", key="replay", on_click=replay.start, args=(run.id,), help=help_text)


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


def leave() -> None:
    """Back to a new experiment."""
    st.session_state.run = None


def _resume(run_id: str) -> None:
    try:
        jobs().resume(run_id)
    except RunError as error:
        st.session_state.resume_refused = error.message
