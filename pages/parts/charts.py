"""The charts of one run by step: training losses, validation metrics, loss weights."""

import streamlit as st

from mtl_core import plots
from mtl_core.base.messages import Translate
from mtl_core.jobs import jobs
from mtl_core.tasks import lower_is_better
from mtl_core.tracking.runs import run
from pages.parts import changes, report
from pages.parts.frame import language, workspace
from pages.parts.text import plain

PLOTLY = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def curves(run_id: str, _: Translate) -> None:
    """A fragment: losses and validation metrics by step."""
    series = jobs().snapshot(run_id).series
    if not series.tasks:
        return
    infos = report.kinds(run(workspace(), run_id))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.pills(
            _("Tasks"), series.tasks, selection_mode="multi", default=series.tasks, key=f"shown.{run_id}", format_func=plain, wrap=True
        )
        names = {"main": _("Main metric"), "loss": _("Loss")} | {m.name: _(m.label) for kind in infos.values() for m in kind.metrics}
        key = f"curve.{language()}"  # a selectbox goes by its labels: another language is another widget, with the same choice
        st.session_state.setdefault(key, st.session_state.get("kept.curve", "main"))
        metric = st.selectbox(_("Validation curve"), list(names), format_func=lambda m: plain(names[m]), key=key, width=200)
        st.session_state["kept.curve"] = metric
        smoothing = st.slider(_("Smoothing"), 0.0, 0.99, 0.6, 0.01, key="smoothing", width=200, persist_state="session")
    judged: str | dict[str, str] = {task: kind.primary for task, kind in infos.items()} if metric == "main" else metric
    left, right = st.columns(2)
    marks = changes.marks(series, _)
    with left:
        figure = plots.mark(plots.training_curves(series, smoothing, shown, translate=_), marks)
        st.plotly_chart(figure, key=f"training.{run_id}", alt=_("Training loss of each task by step"), config=PLOTLY)
    with right:
        figure = plots.mark(plots.validation_curves(series, judged, _, shown, names, lower_is_better()), marks)
        ends = series.n_steps or max(series.step, 1)
        figure.update_xaxes(range=[-0.02 * ends, 1.02 * ends])
        st.plotly_chart(figure, key=f"validation.{run_id}", alt=_("Validation metric of each task by step"), config=PLOTLY)
    if series.effective:
        figure = plots.mark(plots.effective_weights(series, smoothing, shown, translate=_), marks)
        st.plotly_chart(figure, key=f"effective.{run_id}", alt=_("Effective weight of each task by step"), config=PLOTLY)
        st.caption(_("Effective weights: the factor of each task's gradient in the update of the shared encoder."))
    if series.fell_back:
        st.caption(
            _("Steps in which the strategy found no solution and the loss weights alone were used: {n}").format(n=f"{series.fell_back:,}")
        )
    for task, curve in series.pseudo_labels.items():
        if curve.last:
            learns = _("{task} learns from {n} pseudo-labels since step {step}; the first were made after step {first}.")
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


def weights(run_id: str, _: Translate) -> None:
    """The loss weights by step. Drawn anew when they change, with the whole page."""
    series = jobs().snapshot(run_id).series
    if series.weights:
        figure = plots.mark(plots.weights(series, translate=_, until=series.n_steps), changes.marks(series, _))
        st.plotly_chart(figure, key=f"weights.{run_id}", alt=_("Loss weight of each task by step"), config=PLOTLY)
