"""What the tasks of a run do to each other: how their gradients agree, over time and by layer, and their shares of the gradient norm."""

import streamlit as st

from mtl_core import plots
from mtl_core.base.messages import Translate
from mtl_core.evaluation.conflicts import affinity, agreement, sentence
from mtl_core.jobs import jobs
from pages.parts.charts import PLOTLY
from pages.parts.frame import language
from pages.parts.text import plain


def show(run_id: str, _: Translate) -> None:
    """A fragment; nothing until the tasks' gradients were compared for the first time."""
    measurements = list(jobs().snapshot(run_id).series.conflicts)
    if not measurements:
        return
    st.subheader(_("Task interactions"))
    said = sentence(measurements)
    st.markdown(plain(said.text(_)) if said else _("Not enough measurements yet."))
    steps = [measurement.step for measurement in measurements]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        step = _step(steps, f"measurement.{run_id}", _)
        parts = [None, *measurements[-1].layers]
        layer = st.selectbox(
            _("Part of the encoder"), parts, format_func=lambda p: _part(p, _), key=f"part.{run_id}.{language()}", width=220
        )
    now = agreement(measurements, step, layer)
    if now is None:
        return
    left, right = st.columns(2)
    with left:
        title = _("Gradient cosine similarity")
        st.markdown(f"**{plain(title)}**")
        figure = plots.agreement(now.tasks, now.cosine, now.significant, _)
        st.plotly_chart(figure, key=f"cosines.{run_id}", alt=_("Cosine similarity of task gradients"), config=PLOTLY)
        st.caption(
            _("Blue: gradients agree. Orange: gradients conflict. Grey: not significant over the last {n} measurements.").format(
                n=now.measurements
            )
        )
    steps_ahead = affinity(measurements, step)
    if steps_ahead is not None:
        with right:
            title = _("Effect of one task's step on the others")
            st.markdown(f"**{plain(title)}**")
            figure = plots.affinity(steps_ahead.tasks, steps_ahead.change, steps_ahead.significant, _)
            st.plotly_chart(figure, key=f"affinity.{run_id}", alt=_("Effect of each task's step on each task's loss"), config=PLOTLY)
            st.caption(
                _("Reduction of a task's loss (column) by one step on a single task (row), in per cent. Orange: the step raises the loss.")
            )
        left, right = st.columns(2)
    with left if steps_ahead is not None else right:
        title = _("Gradient norm share")
        st.markdown(f"**{plain(title)}**")
        shares = dict(zip(now.tasks, now.share.tolist(), strict=True))
        figure = plots.task_shares(shares)
        st.plotly_chart(figure, key=f"shares.{run_id}", alt=_("Share of each task in the gradient norm"), config=PLOTLY)
        st.caption(_("Each task's share of the summed gradient norms on the shared encoder, before loss weights and balancing."))


def _part(part: str | None, _: Translate) -> str:
    """A part of the encoder as a person reads it."""
    if part is None:
        return _("Whole encoder")
    name, *number = part.split()
    if name == "layer":
        return _("Layer {n}").format(n="".join(number))
    return {"embeddings": _("Embeddings"), "other": _("Other"), "experts": _("Experts"), "towers": _("Towers")}[name]


def _step(steps: list[int], key: str, _: Translate) -> int:
    """Which measurement; the newest one until another is chosen."""
    if len(steps) < 2:
        return steps[-1]
    newest = f"{key}.newest"
    if st.session_state.get(key) in (None, st.session_state.get(newest)) or st.session_state[key] not in steps:
        st.session_state[key] = steps[-1]
    st.session_state[newest] = steps[-1]
    return st.select_slider(_("Step"), steps, key=key, width=320)
