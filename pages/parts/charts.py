"""The curves of one run by step, a small chart a task: losses, metrics of the validation split, or weights."""

from collections.abc import Mapping
from functools import partial

import plotly.graph_objects as go
import streamlit as st

from mtl_core import plots
from mtl_core.base.messages import N_, Translate
from mtl_core.jobs import jobs
from mtl_core.tasks import lower_is_better
from mtl_core.tasks.base import TaskKind
from mtl_core.tracking.runs import Run, Series, run
from pages.parts import changes, report
from pages.parts.frame import language, workspace
from pages.parts.shared import SHARED
from pages.parts.text import plain
from pages.parts.url import keep

PLOTLY = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
SMALL = {"displayModeBar": False}  # its buttons would cover a small chart; a double click resets the zoom
WHAT = {"loss": N_("Loss"), "metric": N_("Metric"), "weight": N_("Weights")}
MEANING = {
    "loss": N_("Solid: training. Dashed: validation. Dotted: validation before training. Star: best value. ▼: changed by a person."),
    "metric": N_("On the validation split. Dotted: before training. Star: best value. ▼: changed by a person."),
    "weight": N_("As set. Dotted: the factor of the task's gradient in the update of the shared encoder. ▼: changed by a person."),
}
GAP = 16
HEIGHT = 430
"""Of the charts of a run together, in pixels; more tasks than fit scroll."""
MOST = 9
"""Tasks whose charts fit."""


def curves(run_id: str, every: float | None, _: Translate) -> None:
    """A fragment: a small chart a task, of what is chosen. every: seconds between two looks; None: it does not change any more."""
    now = jobs().snapshot(run_id)
    series = now.series
    found = run(workspace(), run_id)
    infos = report.kinds(found)
    if not infos:
        st.warning(_("The experiment of this run cannot be read, so its tasks are not known."), icon=":material/description:")
        return
    shown, metric, smoothing, tasks = _chosen(found, infos, _)
    columns = 1 if len(tasks) == 1 else 2 if len(tasks) <= 4 else 3
    rows = min(-(-len(tasks) // columns), -(-MOST // columns))  # in sight
    height = max(HEIGHT // rows - GAP, 140)
    labels = {m.name: _(m.label) for kind in infos.values() for m in kind.metrics}
    with st.container(height=rows * (height + GAP) - GAP if len(tasks) > MOST else "content", border=False):
        if not series.step and not series.validations:
            with st.container(height=HEIGHT, border=False):
                st.caption(_("The curves begin with the first evaluation."))
            return
        # everybody sees the same drawing; a new one is made of what is seldom and matters, and of new steps once in a while
        known = (run_id, len(series.steered), now.state, language(), None if every else series.step)
        until = 0.9 * every if every else None
        with st.grid(columns, min_column_width=200, gap="small", row_height=height):
            for task in tasks:
                name = metric if metric != "main" else infos[task].primary
                what, label = (name, labels.get(name, name)) if shown == "metric" else (shown, "")
                look = (task, what, smoothing, label, height)
                evaluated = tuple(series.validation(task, "loss")[0][-1:])
                figure = SHARED.once((*known, *evaluated, *look), until, partial(_drawn, series, *look, _))
                if figure is None:
                    st.caption(_("{task}: no value yet").format(task=plain(task)))
                else:
                    alt = _("{what} of {task} by step").format(what=_(WHAT[shown]), task=task)
                    st.plotly_chart(figure, key=f"curve.{run_id}.{shown}.{task}", alt=alt, config=SMALL)
    st.caption(_(MEANING[shown]))
    _notes(series, _)


def _drawn(series: Series, task: str, what: str, smoothing: float, label: str, height: int, _: Translate) -> go.Figure | None:
    figure = plots.small(series, task, what, _, smoothing, label, lower_is_better(), series.n_steps, height)
    return None if figure is None else plots.mark(figure, changes.marks(series, _), words=0)


def _chosen(found: Run, infos: Mapping[str, TaskKind], _: Translate) -> tuple[str, str, float, list[str]]:
    """What is drawn, which metric ("main": each task's own), how smooth, and of which tasks."""
    keep("curve", "loss", list(WHAT))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        shown = st.segmented_control(
            _("Curves"), list(WHAT), format_func=lambda w: _(WHAT[w]), key="curve", required=True, label_visibility="collapsed", width=220
        )
        with st.popover(_("View"), icon=":material/tune:"):
            names = {"main": _("Main metric of each task")} | {m.name: _(m.label) for kind in infos.values() for m in kind.metrics}
            key = f"metric.{language()}"  # a selectbox goes by its labels: another language is another widget, with the same choice
            st.session_state.setdefault(key, st.session_state.get("kept.metric", "main"))
            if st.session_state[key] not in names:
                st.session_state[key] = "main"
            metric = st.selectbox(_("Validation metric"), list(names), format_func=lambda m: plain(names[m]), key=key)
            st.session_state["kept.metric"] = metric
            smoothing = st.slider(_("Smoothing of the training loss"), 0.0, 0.99, 0.6, 0.01, key="smoothing", persist_state="session")
            tasks = st.pills(
                _("Tasks"),
                list(infos),
                selection_mode="multi",
                default=list(infos),
                key=f"shown.{found.id}",
                format_func=plain,
                wrap=True,
                persist_state="session",
            )
    return shown or "loss", metric, smoothing, [task for task in infos if task in tasks] or list(infos)


def _notes(series: Series, _: Translate) -> None:
    """What the curves do not say of themselves."""
    for gap in series.missing:
        lost = _("The journal of this run is damaged after step {step}. Missing or altered entries, which are not drawn: {n}.")
        st.warning(lost.format(step=f"{gap.step:,}", n=f"{gap.lines:,}"), icon=":material/warning:")
    if series.fell_back:
        st.caption(
            _("Steps in which the strategy found no solution and the loss weights alone were used: {n}").format(n=f"{series.fell_back:,}")
        )
    for task, curve in series.pseudo_labels.items():
        if curve.last:
            learns = _("{task} learns from pseudo-labels since step {step}: {n}; the first were made after step {first}.")
            n = f"{curve.last[1]:,.0f}"
            st.caption(learns.format(task=plain(task), n=n, step=curve.last[0], first=curve.steps[0]))
    for ended in series.ended.values():
        says = {
            "freeze": _("{task} has not improved since step {peak}: frozen after step {step}."),
            "rehearse": _("{task} has not improved since step {peak}: rehearsed after step {step}."),
        }
        st.caption(says[ended.then].format(task=plain(ended.task), peak=ended.peak, step=ended.step))
    if series.left_out:
        counts = ", ".join(f"{plain(task)} {n:,}" for task, n in series.left_out.items())
        st.caption(_("Steps that skipped a task because its gradient was zero or not finite: {counts}").format(counts=counts))
