"""A run as it is now: how far, how well, on what, and the handles that steer it. Drawn again every few seconds while it is at work."""

import os

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.jobs import Snapshot, jobs
from mtl_core.tracking.runs import Run
from pages.parts import afterwards, states, trouble
from pages.parts.shared import SHARED
from pages.parts.text import clock, duration, plain

FEW_CORES = 4
SLOWER = {3: 1, 8: 2, float("inf"): 4}
"""Up to how many who look at a run → how many times longer it takes until each looks again."""
WIDTH = 340
"""Of the words beside the buttons, in pixels: the buttons stay where they are while the words change."""
PAUSE = 100
"""Widths of buttons in a row are given: until the browser has loaded what draws them, it would keep no place for them."""


def pace(now: Snapshot) -> tuple[float | None, float | None]:
    """Seconds between two looks at the numbers, and at the curves, of a run; None: it does not change any more.

    A look at the curves costs a third of a second, most of it in the browser. Where training has no more than a few cores, and the
    browser is on the same machine, that is taken from training; after a minute the curves look nearly the same the next moment. Of many
    who look, each looks less often.
    """
    if not now.state.live:
        return None, None
    shared = now.series.started is not None and now.series.started.device == "cpu" and (os.cpu_count() or 1) <= FEW_CORES
    numbers, curves = (4.0, 20.0) if shared and now.series.seconds > 60 else (2.0, 6.0)
    viewers = SHARED.viewers(now.run_id)
    slower = next(slower for most, slower in SLOWER.items() if viewers <= most)
    return numbers * slower, curves * min(2, slower)


def show(run_id: str, _: Translate) -> None:
    """A fragment: what changes while a run is at work. When training begins, is steered or ends, the whole page is drawn once more."""
    now = jobs().snapshot(run_id)
    phase = (run_id, now.state.live, now.series.started is None, [change.step for change in now.series.steered], pace(now))
    before = st.session_state.get("phase", phase)
    st.session_state.phase = phase
    if before[0] == run_id and before != phase:
        st.rerun()
    with st.container(gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _state(now, _)
            _handles(now, _)
        with st.container(height=16, border=False):  # the browser loads the bar a little later, and takes it to be higher until then
            st.progress(now.making_ready[1] if now.making_ready else now.progress or 0.0)
        _readout(now, _)


def ended(run: Run, now: Snapshot, _: Translate) -> None:
    """How a run ended, and what to do next with it."""
    with st.container(gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _state(now, _)
            afterwards.show(run, _)
        _readout(now, _)
    afterwards.refused(_)
    trouble.show(now, _)


def _state(now: Snapshot, _: Translate) -> None:
    series = now.series
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width=WIDTH if now.state.live else "content"):
        states.badge(now.state, _)
        if any(not change.refused for change in series.steered):
            states.steered(_)
        st.caption(plain(_doing(now, _)), width="content")


def _doing(now: Snapshot, _: Translate) -> str:
    """What a run is at, in a few words of one line."""
    series = now.series
    if now.position:
        return _("Queued. Runs ahead of it: {n}").format(n=jobs().ahead(now.run_id))
    if now.preparing or now.state == "queued":
        return f"{now.making_ready[0].text(_)} …" if now.making_ready else _("Preparing …")
    if not series.n_steps:
        return ""
    text = _("Step {step} of {total}").format(step=series.step, total=series.n_steps)
    if not now.state.live:
        return text
    if now.stopping:
        return f"{text} · " + _("Stopping: running the final evaluation …")
    if now.pausing and now.state == "running":
        return f"{text} · " + _("Pausing after the current step …")
    if series.step >= series.n_steps:
        return f"{text} · " + _("Final evaluation …")
    if series.step == 0:
        return f"{text} · " + _("Evaluation before training …")
    return text if now.seconds_left is None else f"{text} · " + _("{time} left").format(time=duration(now.seconds_left, _))


def _handles(now: Snapshot, _: Translate) -> None:
    control = jobs().control(now.run_id)
    if control is None:
        st.caption(_("This run was started elsewhere: it can be watched here, but not changed."))
        return
    early = now.series.started is None
    if now.pausing:
        st.button(_("Resume"), icon=":material/play_arrow:", key="go_on", type="primary", width=PAUSE, on_click=control.resume)
    else:
        st.button(_("Pause"), icon=":material/pause:", key="pause", width=PAUSE, on_click=control.pause, disabled=early)
    st.button(
        _("Stop"),
        icon=":material/stop:",
        key="stop",
        width=84,
        on_click=control.stop,
        disabled=now.stopping,
        help=_("Stops after the current step, runs the final evaluation and saves a checkpoint."),
    )
    idle = early or now.pausing or now.stopping
    st.button(_("Evaluate now"), icon=":material/fact_check:", key="evaluate", width=140, on_click=control.evaluate, disabled=idle)


def _readout(now: Snapshot, _: Translate) -> None:
    """One line of figures: what the run is computed on, and how fast."""
    series = now.series
    if series.started is None:
        st.caption(_("Run {run}").format(run=now.run_id))
        return
    rate, speed = series.learning_rate.last, series.tokens_per_second.last
    figures = [
        _("Device {device}").format(device=f"**{plain(series.started.device)}** ({series.started.precision})"),
        _("Memory {memory}").format(memory=f"**{now.memory_bytes / 2**30:.1f} GiB**" if now.memory_bytes else "–"),
        _("{speed} tokens per second").format(speed=f"**{speed[1]:,.0f}**" if speed else "–"),
        _("Learning rate {rate}").format(rate=f"**{rate[1]:.1e}**" if rate else "–"),
        _("Elapsed {time}").format(time=f"**{clock(series.seconds)}**"),
        _("Run {run}").format(run=now.run_id),
        *([_("Warnings of the tables {n}, see Log").format(n=f"**{len(now.problems)}**")] if now.problems else []),
    ]
    st.caption(
        " · ".join(figures), help=_("Memory: the peak since the last step. Elapsed: without pauses. Time left: with the final evaluation.")
    )
