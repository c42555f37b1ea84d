"""What the tasks of a run do to each other: how their gradients agree, over time and by layer, and their shares of the gradient norm."""

import streamlit as st

from mtl_core import plots
from mtl_core.base.messages import Translate
from mtl_core.config.parts import DiagnosticsConfig
from mtl_core.evaluation.conflicts import LEAST_COSINE, LEAST_MEASUREMENTS, Pair, affinity, agreement, sentence
from mtl_core.jobs import jobs
from mtl_core.training.events import Compared
from pages.parts.charts import PLOTLY
from pages.parts.frame import language
from pages.parts.text import plain

MOST_PAIRS = 5
"""That pull apart and are named, the strongest first."""


def show(run_id: str, _: Translate) -> None:
    """A fragment: in words first; the charts are folded while they say nothing."""
    now = jobs().snapshot(run_id)
    measurements = list(now.series.conflicts)
    agreed = agreement(measurements)
    if agreed is None:
        st.caption(_("The tasks' gradients have not been compared yet, or the run has a single task, or the interval is 0: never."))
        return
    said, more = sentence(measurements), _more(_)
    apart = [pair for pair in agreed.pairs if pair.apart]
    if said is None:
        text = (
            _("Nothing to say yet: {n} of at least {least} measurements.")
            if now.state.live
            else _("Nothing can be said: {n} of at least {least} measurements were made.")
        )
        st.markdown(text.format(n=agreed.measurements, least=LEAST_MEASUREMENTS) + " " + more)
    elif not apart:
        st.markdown(f":material/check: {plain(said.text(_))}")
    else:
        st.markdown(f":material/call_split: **{plain(said.text(_))}**")
        for pair in apart[1:MOST_PAIRS]:
            st.markdown(":material/call_split: " + plain(apart_in_words(pair, _)))
        if len(apart) > MOST_PAIRS:
            st.caption(_("And {n} more.").format(n=len(apart) - MOST_PAIRS))
    if agreed.measurements > 1:
        rule = _(
            "Mean of the last {n} measurements ± half the 95 % confidence interval. A cosine similarity between -{least} and {least} is "
            "too small to count, however sure it is."
        )
        st.caption(rule.format(n=agreed.measurements, least=LEAST_COSINE))
    with st.expander(_("Charts"), icon=":material/grid_on:", expanded=bool(apart)):
        _charts(run_id, measurements, _)


def apart_in_words(pair: Pair, _: Translate) -> str:
    """search and intent pull apart: cosine similarity -0.31 ± 0.08"""
    words = _("{first} and {second} pull apart: cosine similarity {cosine}")
    return words.format(first=pair.first, second=pair.second, cosine=pair.text)


def _charts(run_id: str, measurements: list[Compared], _: Translate) -> None:
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
        st.caption(_("Blue: gradients agree. Orange: gradients conflict. Grey: nothing that can be said."))
    steps_ahead = affinity(measurements, step)
    if steps_ahead is not None:
        with right:
            title = _("Effect of one task's step on the others")
            st.markdown(f"**{plain(title)}**")
            figure = plots.affinity(steps_ahead.tasks, steps_ahead.change, steps_ahead.significant, _)
            st.plotly_chart(figure, key=f"affinity.{run_id}", alt=_("Effect of each task's step on each task's loss"), config=PLOTLY)
            st.caption(
                _(
                    "Reduction of a task's loss (column) by one step on a single task (row), in per cent. Orange: the step raises the "
                    "loss. Empty: not measured, or once only."
                )
            )
        left, right = st.columns(2)
    else:
        text = _("Effect of one task's step on the others: not measured. It takes two measurements of a task's step.")
        st.caption(text + " " + _more(_))
    with left if steps_ahead is not None else right:
        title = _("Gradient norm share")
        st.markdown(f"**{plain(title)}**")
        shares = dict(zip(now.tasks, now.share.tolist(), strict=True))
        figure = plots.task_shares(shares)
        st.plotly_chart(figure, key=f"shares.{run_id}", alt=_("Share of each task in the gradient norm"), config=PLOTLY)
        st.caption(_("Each task's share of the summed gradient norms on the shared encoder, before loss weights and balancing."))


def _more(_: Translate) -> str:
    """How to have more measurements of a training."""
    setting = DiagnosticsConfig.model_fields["conflicts_every"].title or ""
    return _("For more of them, train with a smaller “{setting}”.").format(setting=_(setting))


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
