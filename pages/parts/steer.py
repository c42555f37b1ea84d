"""The weights of a running training, and the other settings that can be changed while it runs."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from mtl_core.balancing import BALANCING
from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import Translate
from mtl_core.base.settings import set_path, widgets
from mtl_core.config.experiment import Experiment
from mtl_core.config.steering import STEERABLE, differing, steered
from mtl_core.data.shares import SAMPLING
from mtl_core.evaluation.conflicts import agreement, gradient_norms, update_shares
from mtl_core.jobs import Snapshot, jobs
from mtl_core.tracking.runs import RunError, run
from pages.parts import cells
from pages.parts import changes as made
from pages.parts.clicks import button, taken
from pages.parts.conflicts import apart_in_words
from pages.parts.frame import workspace
from pages.parts.settings import draw_all, drawable, held, weight_slider, with_keys
from pages.parts.source import show_faults
from pages.parts.text import plain

ROW = 56
ROOM = 8
"""Tasks whose sliders stand below one another; more of them scroll in a column of that height."""


def show(run_id: str, _: Translate) -> None:
    """A fragment: a slider a task, what it has in the update, *Apply*, and the way back."""
    now = jobs().snapshot(run_id)
    if (control := jobs().control(run_id)) is None:
        _last(now, _)
        return
    current = jobs().experiment_now(run(workspace(), run_id))
    strategy = BALANCING[current.balancing.name]
    norms, effective = gradient_norms(list(now.series.conflicts)), now.series.effective
    moved = [plain(task) for task, part in current.tasks.items() if _follow(f"steer.{run_id}.{task}", part.weight)]
    set_to = {task: part.weight for task, part in current.tasks.items()}
    factors = {task: curve.last[1] for task, curve in effective.items() if curve.last} or set_to
    shares = update_shares(norms, factors)
    asked = {task: float(st.session_state.get(f"steer.{run_id}.{task}", weight)) for task, weight in set_to.items()}
    then = {} if effective else update_shares(norms, asked)
    hint = _(strategy.slider) + " " + _("At 0 the shared encoder does not learn from this task.")
    share = _("In per cent: the task's share of the update, its gradient norm times its weight, as last measured → as it would be.")
    st.markdown(f"**{_('Loss weights')}** :small[{_('and shares of the update')}]", help=f"{hint}\n\n{share}")
    wanted: dict[str, Any] = {}
    with st.container(height=ROW * ROOM if len(current.tasks) > ROOM else "content", border=False, gap="xxsmall"):
        for task, weight in set_to.items():
            name, slider = st.columns([9, 11], gap="small", vertical_alignment="center")
            name.markdown(f":small[{plain(task)}]  \n:small[:gray[{_share(shares.get(task), then.get(task))}]]")
            with slider:
                wanted[f"tasks.{task}.weight"] = weight_slider(task, weight, f"steer.{run_id}.{task}", _, strategy.slider, bare=True)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        place = st.container(width="content")
        with st.popover(_("More settings"), icon=":material/tune:", help=_("Learning rate, sampling, patience")):
            wanted |= _others(current, run_id, _)
    changes = _changes(run_id, current, control.pending, wanted, _)
    if taken("apply") and changes:
        _apply(run_id, changes, _)
        changes = _changes(run_id, current, control.pending, wanted, _)
    hint = _("Nothing changes until you apply. A checkpoint is saved first, so that you can go back.")
    with place:
        button(_("Apply"), "apply", type="primary", icon=":material/check:", width=100, disabled=not changes, help=hint)
    made.awaited(*differing(current, steered(current, control.pending)), _)
    if not shares and len(set_to) > 1:
        every = current.diagnostics.looks(now.series.n_steps or 1)[0]
        measured = _("The shares of the update come with the measurement before step {step}.")
        st.caption(
            measured.format(step=(now.series.step // every + 1) * every + 1) if every else _("Shares of the update are not measured.")
        )
    if moved:
        st.info(_("Changed elsewhere meanwhile: {what}").format(what=", ".join(moved)), icon=":material/group:")
    if (agreed := agreement(list(now.series.conflicts))) and agreed.pairs and agreed.pairs[0].apart:
        st.caption(":material/call_split: " + plain(apart_in_words(agreed.pairs[0], _)))
    made.newest(run(workspace(), run_id), _)


def _changes(run_id: str, current: Experiment, pending: Mapping[str, Any], wanted: Mapping[str, Any], _: Translate) -> dict[str, Any]:
    """What *Apply* would change, beside what is to change already. Nothing, with the faults, where it cannot be."""
    waiting = steered(current, pending)
    try:
        chosen = steered(current, wanted)
    except ExperimentError as error:
        show_faults(error.faults, _)
        return {}
    moved_here = {*differing(current, chosen)[1], *st.session_state.get(f"applied.{run_id}", ())}  # not what others wait for
    return {path: value for path, value in differing(waiting, chosen)[1].items() if path in moved_here}


def _apply(run_id: str, changes: dict[str, Any], _: Translate) -> None:
    try:
        jobs().steer(run_id, changes, workspace())
    except (RunError, ExperimentError) as error:
        st.error(plain(error.message.text(_) if isinstance(error, RunError) else str(error)), icon=":material/error:")
    else:
        st.session_state[f"applied.{run_id}"] = {*st.session_state.get(f"applied.{run_id}", ()), *changes}


def _share(now: float | None, then: float | None) -> str:
    """34 % → 51 %; an en dash while nothing was measured."""
    if now is None:
        return "–"
    measured, wanted = f"{now:.0%}", f"{now if then is None else then:.0%}"
    return measured if wanted == measured else f"{measured} → **{wanted}**"


def _last(now: Snapshot, _: Translate) -> None:
    """The weights of a run that another process trains."""
    weights = now.series.current_weights
    table = {_("Task"): list(weights), _("Loss weight"): list(weights.values())}
    if weights:
        cells.table(table, key="last_weights", alt=_("Final loss weight of each task"))


def _others(current: Experiment, run_id: str, _: Translate) -> dict[str, Any]:
    """Widgets for what may be changed beside the weights. Returns path → value."""
    prefix = f"steer.{run_id}"
    name = held(f"{prefix}.sampling.name", SAMPLING, current.sampling.name)
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


def leave() -> None:
    """Back to a new experiment."""
    st.session_state.run = None
