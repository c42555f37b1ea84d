"""The parts of the page Compare: each takes the chosen runs and draws one thing about all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from mtl_core import plots
from mtl_core.base.messages import N_, Translate
from mtl_core.jobs import jobs
from mtl_core.studies.compare import Comparison, short_names
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import TaskKind
from mtl_core.tracking.runs import Run, Series
from pages.parts import changes, report
from pages.parts.text import plain
from pages.parts.url import keep

CURVES = {"main": N_("Main metric"), "loss": N_("Validation loss"), "training": N_("Training loss")}
COLORS = {True: "color: #009E73", False: "color: #D55E00", None: ""}
"""Whether a difference is a gain → how it is written."""


def series(runs: Sequence[Run]) -> dict[str, Series]:
    """Run's short name → its curves."""
    return {name: jobs().snapshot(run_id).series for run_id, name in short_names(runs).items()}


def kinds(runs: Sequence[Run]) -> dict[str, TaskKind]:
    """Task → its kind, over all runs."""
    return {name: KINDS[task.kind] for run in runs for name, task in run.tasks.items()}


def weights(of: Mapping[str, Series], _: Translate) -> None:
    """The last loss weight of each task."""
    frame = pd.DataFrame({name: one.current_weights for name, one in of.items()}).rename_axis(_("Task"))
    config = {name: st.column_config.NumberColumn(format="%.2f") for name in of}
    st.dataframe(frame, column_config=config, height="content", key="weights", alt=_("Loss weight of each task in each run"))


def warnings(found: Comparison, _: Translate) -> None:
    """Why numbers should not be compared."""
    if found.warnings:
        lines = "\n".join(f"- {plain(warning.text(_))}" for warning in found.warnings)
        st.warning(lines, title=_("Compare with caution"), icon=":material/warning:")


def settings(found: Comparison, _: Translate) -> None:
    """Every setting that is not the same in all runs, but for the names and the weights, which stand beside."""
    rows = {p: row for p, row in found.settings.items() if p != "name" and not (p.startswith("tasks.") and p.endswith(".weight"))}
    if not rows:
        st.caption(_("Everything else is the same."))
        return
    shown = {path: {run: "–" if value is None else str(value) for run, value in row.items()} for path, row in rows.items()}
    frame = pd.DataFrame.from_dict(shown, orient="index").rename_axis(_("Setting"))
    st.dataframe(frame, key="settings", alt=_("Settings that differ between the runs"))


def metrics(found: Comparison, task_kinds: Mapping[str, TaskKind], _: Translate) -> None:
    """Each task's metrics, the main one first, and how the other runs differ from the baseline: green is better."""
    if not found.metrics:
        st.caption(_("No result yet."))
        return
    infos = {(task, info.name): info for task, kind in task_kinds.items() for info in kind.metrics}
    main = {task: kind.primary for task, kind in task_kinds.items()}
    order = list(dict.fromkeys(row.task for row in found.metrics))
    rows = sorted(found.metrics, key=lambda row: (order.index(row.task), row.metric != main.get(row.task)))
    runs = list(dict.fromkeys([found.baseline, *(run for row in rows for run in row.values)]))
    labels = [infos[row.task, row.metric].label if (row.task, row.metric) in infos else row.metric for row in rows]
    table: dict[str, list[Any]] = {_("Task"): [row.task for row in rows], _("Metric"): [_(label) for label in labels]}
    colors: dict[str, list[str]] = {}
    for run in runs:
        table[run] = [row.values.get(run) for row in rows]
        if run != found.baseline:
            column = _("{run}, difference").format(run=run)
            table[column] = [row.differences.get(run) for row in rows]
            colors[column] = [COLORS[row.better.get(run)] for row in rows]
    styled = pd.DataFrame(table).style.apply(lambda column: colors[str(column.name)], subset=list(colors))
    config = {c: st.column_config.NumberColumn(format="%+.4f" if c in colors else "%.4f") for c in [*runs, *colors]}
    st.dataframe(styled, hide_index=True, height="content", column_config=config, key="metrics", alt=_("Metrics of each task in each run"))
    tested = found.part == "test"
    st.caption(_("On the test split.") if tested else _("Best validation values, because not every run was tested."))
    bars = {run: {row.task: row.values[run] for row in rows if row.metric == main.get(row.task) and run in row.values} for run in runs}
    st.plotly_chart(plots.metric_bars(bars, _, _("Main metric")), key="bars", alt=_("Main metric of each task in each run"))


def curves(of: Mapping[str, Series], task_kinds: Mapping[str, TaskKind], _: Translate) -> None:
    """A chart for each task with all runs in it."""
    keep("curves", "main", CURVES, remember=True)
    label = _("Chart")
    chosen = st.segmented_control(
        label, list(CURVES), format_func=lambda c: _(CURVES[c]), key="curves", required=True, label_visibility="collapsed"
    )
    tasks = list(dict.fromkeys(task for one in of.values() for task in one.tasks))
    with st.grid(2, min_column_width=340):
        for task in tasks:
            with st.container():
                st.markdown(f"**{plain(task)}**")
                kind = task_kinds.get(task) if chosen == "main" else None
                main = next((m for m in kind.metrics if m.name == kind.primary), None) if kind else None
                metric = main.name if main else "training" if chosen == "training" else "loss"
                title = _(main.label) if main else None
                figure = plots.overlay(of, task, metric, _, smoothing=0.6, title=title)
                for one, dash in zip(of.values(), plots.run_dashes(of).values(), strict=True):
                    plots.mark(figure, changes.marks(one, _), dash)
                st.plotly_chart(figure, key=f"curve.{task}", alt=_("{task}: all runs by step").format(task=task))


def reports(runs: Sequence[Run], _: Translate) -> None:
    """One task's reports of all runs beside each other."""
    found = {name: run.reports("test") or run.reports("validation") for run, name in zip(runs, short_names(runs).values(), strict=True)}
    tasks = list(dict.fromkeys(task for one in found.values() for task in one))
    if not tasks:
        st.caption(_("No report yet."))
        return
    keep("report", tasks[0], tasks, remember=True)
    task = st.segmented_control(_("Task"), tasks, key="report", required=True, format_func=plain, wrap=True, label_visibility="collapsed")
    with st.grid(len(found), min_column_width=360):
        for name, one in found.items():
            with st.container(border=True):
                st.markdown(f"##### {plain(name)}")
                for number, panel in enumerate(one.get(task or "", [])):
                    report.panel(panel, f"report.{name}.{task}.{number}", _)
                if task not in one:
                    st.caption(_("This run does not have the task."))
