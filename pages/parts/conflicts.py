"""What the tasks of a run do to each other: how their gradients agree, over time and by layer, and whom the encoder listens to."""

import streamlit as st

from mtl_core import plots
from mtl_core.base.messages import Translate
from mtl_core.evaluation.conflicts import LOOKS, affinity, agreement, sentence
from mtl_core.jobs import jobs
from pages.parts.charts import PLOTLY
from pages.parts.frame import language
from pages.parts.text import plain


def show(run_id: str, _: Translate) -> None:
    """A fragment; nothing until the tasks' gradients were compared for the first time."""
    looks = list(jobs().snapshot(run_id).series.conflicts)
    if not looks:
        return
    st.subheader(_("What the tasks do to each other"))
    said = sentence(looks)
    st.markdown(plain(said.text(_)) if said else _("Too few looks to say whether tasks pull apart."))
    steps = [look.step for look in looks]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        step = _step(steps, f"look.{run_id}", _)
        parts = [None, *looks[-1].layers]
        layer = st.selectbox(
            _("Part of the encoder"), parts, format_func=lambda p: _part(p, _), key=f"part.{run_id}.{language()}", width=220
        )
    now = agreement(looks, step, layer)
    if now is None:
        return
    left, right = st.columns(2)
    with left:
        title = _("Cosine of their gradients")
        st.markdown(f"**{plain(title)}**")
        figure = plots.agreement(now.tasks, now.cosine, now.told, _)
        st.plotly_chart(figure, key=f"cosines.{run_id}", alt=_("Cosine of the gradients of every two tasks"), config=PLOTLY)
        st.caption(
            _("Blue: what helps one helps the other. Orange: they pull apart. Grey: not told from 0 over {n} looks.").format(n=LOOKS)
        )
    steps_ahead = affinity(looks, step)
    if steps_ahead is not None:
        with right:
            title = _("What one task's step does to the others")
            st.markdown(f"**{plain(title)}**")
            figure = plots.affinity(steps_ahead.tasks, steps_ahead.change, steps_ahead.told, _)
            st.plotly_chart(figure, key=f"affinity.{run_id}", alt=_("Change of every task's loss by every task's step"), config=PLOTLY)
            st.caption(
                _("Per cent of a task's loss (column) that one step of a task alone (row) takes off it. Orange: the step adds to it.")
            )
        left, right = st.columns(2)
    with left if steps_ahead is not None else right:
        title = _("Share of the gradient")
        st.markdown(f"**{plain(title)}**")
        shares = dict(zip(now.tasks, now.share.tolist(), strict=True))
        figure = plots.task_shares(shares)
        st.plotly_chart(figure, key=f"shares.{run_id}", alt=_("Share of each task in the length of the gradients"), config=PLOTLY)
        st.caption(_("How long each task's gradient is beside the others', before the loss weights: whom the shared encoder hears."))


def _part(part: str | None, _: Translate) -> str:
    """A part of the encoder as a person reads it."""
    if part is None:
        return _("All of it")
    name, *number = part.split()
    if name == "layer":
        return _("Layer {n}").format(n="".join(number))
    return {"embeddings": _("Embeddings"), "other": _("Other"), "experts": _("Experts"), "towers": _("Towers")}[name]


def _step(steps: list[int], key: str, _: Translate) -> int:
    """Which look; the newest one until another is chosen."""
    if len(steps) < 2:
        return steps[-1]
    newest = f"{key}.newest"
    if st.session_state.get(key) in (None, st.session_state.get(newest)) or st.session_state[key] not in steps:
        st.session_state[key] = steps[-1]
    st.session_state[newest] = steps[-1]
    return st.select_slider(_("Step"), steps, key=key, width=320)
