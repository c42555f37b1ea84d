"""The upper parts of the page Compare: what was bought with what, and the curves of all chosen groups of runs."""

from collections.abc import Sequence
from itertools import groupby

import streamlit as st

from mtl_core import plots
from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import N_, Translate
from mtl_core.jobs import jobs
from mtl_core.studies import paired, sentence
from mtl_core.studies.compare import Comparison, Group, short_names
from mtl_core.studies.paired import Change
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import MetricInfo, TaskKind
from mtl_core.tracking.runs import Run, Series
from pages.parts import changes
from pages.parts.frame import workspace
from pages.parts.text import plain
from pages.parts.url import keep

CURVES = {"main": N_("Main metric"), "loss": N_("Validation loss"), "training": N_("Training loss")}


def name(group: Group, _: Translate) -> str:
    n = len(group.runs)
    if n == 1:
        return group.name
    if group.n_seeds < n:  # the same training twice says nothing about the seed
        return _("{run} · {n} runs").format(run=group.name, n=n)
    return _("{run} · {n} seeds").format(run=group.name, n=n)


def series(runs: Sequence[Run]) -> dict[str, Series]:
    """Run's short name → its curves."""
    return {name: jobs().snapshot(run_id).series for run_id, name in short_names(runs).items()}


def kinds(groups: Sequence[Group]) -> dict[str, TaskKind]:
    """Task → its kind, over all runs."""
    return {name: KINDS[task.kind] for group in groups for name, task in group.runs[0].tasks.items()}


def sentences(found: Sequence[Change], split: str, _: Translate) -> None:
    """One for each group of runs beside the baseline."""
    with st.container(border=True, gap="xsmall", key="sentences"):
        for _run, of_run in groupby(found, key=lambda change: change.pair.other.name):
            try:
                st.markdown(plain(sentence.bought(list(of_run), split).text(_)))
            except ExperimentError:
                continue
        if not found:
            st.markdown(_("These runs have no task in common."))


def waiting(pairs: Sequence[paired.Pair], _: Translate) -> None:
    """Until the background has compared the rows; then the page is drawn again."""

    @st.fragment(run_every=1.0)
    def watch() -> None:
        done, n = paired.ahead(pairs, workspace())
        if done == n:
            st.rerun()
        st.progress(done / n, text=_("Comparing the rows; tasks done: {done} of {n}").format(done=done, n=n))

    watch()


def warnings(found: Comparison, alike: Group | None, _: Translate) -> None:
    """Why numbers should not be compared. alike: all the runs, where they differ by their seed at most."""
    if alike and alike.n_seeds < len(alike.runs):
        st.caption(_("Some of these runs have the same settings and the same seed: they are one training, done again."))
    elif alike:
        st.caption(_("These runs differ by their seed alone: what differs between them is chance."))
    if found.warnings:
        lines = "\n".join(f"- {plain(warning.text(_))}" for warning in found.warnings)
        st.warning(lines, title=_("Compare with caution"), icon=":material/warning:")


def curves(groups: Sequence[Group], _: Translate) -> None:
    """A chart for each task that two runs have, with all runs in it; runs that differ by their seed share a colour."""
    runs = [run for group in groups for run in group.runs]
    of = series(runs)
    tasks = [t for t in dict.fromkeys(task for one in of.values() for task in one.tasks) if sum(t in one.tasks for one in of.values()) > 1]
    if not tasks:
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(_("Curves"))
        keep("curves", "main", CURVES, remember=True)
        label = _("Chart")
        chosen = st.segmented_control(
            label, list(CURVES), format_func=lambda c: _(CURVES[c]), key="curves", required=True, label_visibility="collapsed"
        )
    names, group_colors = short_names(runs), plots.run_colors(group.name for group in groups)
    colors = {names[run.id]: group_colors[group.name] for group in groups for run in group.runs}
    task_kinds = kinds(groups)
    with st.grid(3, min_column_width=290):
        for task in tasks:
            with st.container(gap=None):
                st.markdown(f"**{plain(task)}**")
                kind = task_kinds.get(task) if chosen == "main" else None
                main = info(kind, kind.primary) if kind else None
                metric = main.name if main else "training" if chosen == "training" else "loss"
                title = _(main.label) if main else None
                figure = plots.overlay(of, task, metric, _, smoothing=0.6, title=title, colors=colors)
                for one, dash in zip(of.values(), plots.run_dashes(of).values(), strict=True):
                    plots.mark(figure, changes.marks(one, _), dash, words=0)  # words of several runs would lie on their curves
                figure.update_layout(legend={"y": -0.3, "yanchor": "top"}, margin={"t": 8})  # names of runs are long
                st.plotly_chart(figure, key=f"curve.{task}", height=240 + 22 * len(of), alt=_("{task}: all runs by step").format(task=task))


def info(kind: TaskKind, metric: str) -> MetricInfo:
    return next((info for info in kind.metrics if info.name == metric), MetricInfo(metric, metric, ""))
