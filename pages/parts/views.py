"""What there is to see of a run, in tabs. The chosen one is in the URL (?view=…), and only that one is computed."""

from collections.abc import Callable, Mapping

import streamlit as st

from mtl_core.base.messages import N_, Translate
from mtl_core.tracking.runs import Run
from pages.parts import alone, charts, conflicts, efficiency, events, gates, replay, report, untested
from pages.parts.frame import language
from pages.parts.url import keep

VIEWS = {
    "curves": N_("Curves"),
    "conflicts": N_("Conflicts"),
    "results": N_("Results"),
    "alone": N_("Alone or together"),
    "log": N_("Log"),
}


def show(run: Run, runs: Mapping[str, Run], every: float | None, _: Translate) -> None:
    """every: seconds between two looks at what grows; None: nothing does any more."""
    keep("view", "curves", list(VIEWS))
    labels = {view: _(label) for view, label in VIEWS.items()}
    key = f"views.{language()}"  # tabs go by their labels: another language is another widget, with the same choice
    st.session_state[key] = labels[st.session_state.view]
    tabs = st.tabs(list(labels.values()), key=key, on_change=_choose, args=({label: view for view, label in labels.items()}, key))
    with tabs[list(VIEWS).index(st.session_state.view)]:
        _SHOW[st.session_state.view](run, runs, every, _)


def _choose(views: Mapping[str, str], key: str) -> None:
    st.session_state.view = views[st.session_state[key]]


def _curves(run: Run, runs: Mapping[str, Run], every: float | None, _: Translate) -> None:
    st.fragment(charts.curves, run_every=every)(run.id, every, _)


def _conflicts(run: Run, runs: Mapping[str, Run], every: float | None, _: Translate) -> None:
    st.fragment(conflicts.show, run_every=every)(run.id, _)
    st.fragment(gates.show, run_every=every)(run.id, _)


def _results(run: Run, runs: Mapping[str, Run], every: float | None, _: Translate) -> None:
    replay.show(run, runs, _)
    st.fragment(report.show, run_every=every)(run, _)
    untested.show(run, _)


def _alone(run: Run, runs: Mapping[str, Run], every: float | None, _: Translate) -> None:
    alone.show(run, _)
    efficiency.show(run, _)


def _log(run: Run, runs: Mapping[str, Run], every: float | None, _: Translate) -> None:
    st.fragment(events.show, run_every=every)(run, _)


_SHOW: dict[str, Callable[[Run, Mapping[str, Run], float | None, Translate], None]] = {
    "curves": _curves,
    "conflicts": _conflicts,
    "results": _results,
    "alone": _alone,
    "log": _log,
}
