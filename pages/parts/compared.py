"""The lower parts of the page Compare: settings, all metrics and reports of the chosen groups of runs."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from mtl_core import plots
from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import Translate
from mtl_core.studies import differences
from mtl_core.studies.compare import Comparison, Group, MetricRow, at_the_end, short_names
from mtl_core.tasks.base import MetricInfo
from mtl_core.tracking.runs import BrokenRunError
from pages.parts import cells, comparison, report
from pages.parts.text import plain
from pages.parts.url import keep
from pages.parts.verdicts import value


def settings(groups: Sequence[Group], _: Translate) -> None:
    """Every setting that is not the same in all runs."""
    readable = {}
    for group in groups:
        try:
            readable[comparison.name(group, _)] = at_the_end(group.runs[0])
        except ExperimentError:
            st.caption(_("The experiment of {run} cannot be read by this version.").format(run=plain(group.name)))
    rows = differences.described(readable)
    if any(len(group.runs) > 1 for group in groups):
        rows.pop("seed", None)
    if not rows:
        st.caption(_("All settings are the same."))
        return
    weights = [path for path in rows if path.endswith(".weight")]
    rows = {path: rows[path] for path in [*weights, *(path for path in rows if path not in weights)]}
    table = {
        _("Setting"): [" · ".join(part for part in (row.of, _(row.label)) if part) for row in rows.values()],
        **{run: [_(word) if (word := row.words[run]) else "–" for row in rows.values()] for run in readable},
        _("In the experiment file"): list(rows),
    }
    cells.table(pd.DataFrame(table), height="content", key="settings", alt=_("Settings that differ between the runs"))


def all_metrics(found: Comparison, groups: Sequence[Group], _: Translate) -> None:
    """Each task's metrics, the main one first, with the plain differences from the baseline."""
    if not found.metrics:
        st.caption(_("No result yet."))
        return
    by_task = comparison.kinds(groups)
    order = list(dict.fromkeys(row.task for row in found.metrics))
    rows = sorted(
        (row for row in found.metrics if row.task in by_task),
        key=lambda row: (order.index(row.task), row.metric != by_task[row.task].primary),
    )
    table: dict[str, list[Any]] = {
        _("Task"): [row.task for row in rows],
        _("Metric"): [_metric(comparison.info(by_task[row.task], row.metric), _) for row in rows],
    }
    for group in sorted(groups, key=lambda group: group.name != found.baseline):
        table[comparison.name(group, _)] = [value(group, row.task, row.metric, found.part) for row in rows]
        if group.name != found.baseline:
            column = _("{run}, difference").format(run=comparison.name(group, _))
            table[column] = [_difference(row, group.name, _) for row in rows]
    cells.table(pd.DataFrame(table), height="content", key="all", alt=_("Metrics of each task in each run"))
    bars = {
        group.name: {
            row.task: row.values[group.name] for row in rows if row.metric == by_task[row.task].primary and group.name in row.values
        }
        for group in groups
    }
    st.plotly_chart(plots.metric_bars(bars, _, _("Main metric")), key="bars", alt=_("Main metric of each task in each run"))


def _metric(info: MetricInfo, _: Translate) -> str:
    return _(info.label) if info.higher_is_better else _("{metric} (lower is better)").format(metric=_(info.label))


def _difference(row: MetricRow, group: str, _: Translate) -> str:
    """Of an error with the word: its plus is a loss."""
    if group not in row.differences:
        return "–"
    text, better = f"{row.differences[group]:+.4f}", row.better[group]
    return text if better is None or better == (row.differences[group] > 0) else f"{text} ({_('better') if better else _('worse')})"


def reports(groups: Sequence[Group], split: str, _: Translate) -> None:
    """One task's reports of all runs beside each other."""
    runs = [run for group in groups for run in group.runs]
    found: dict[str, dict[str, Any]] = {}
    for one_run, name in zip(runs, short_names(runs).values(), strict=True):
        try:
            found[name] = one_run.reports(split)
        except BrokenRunError as error:
            st.warning(plain(error.message.text(_)), icon=":material/broken_image:")
    tasks = list(dict.fromkeys(task for one in found.values() for task in one))
    if not tasks:
        st.caption(_("No report yet."))
        return
    keep("report", tasks[0], tasks, remember=True)
    task = st.segmented_control(_("Task"), tasks, key="report", required=True, format_func=plain, wrap=True, label_visibility="collapsed")
    with st.grid(len(found), min_column_width=360):
        for run, one in found.items():
            with st.container(border=True):
                st.markdown(f"##### {plain(run)}")
                for number, panel in enumerate(one.get(task or "", [])):
                    report.panel(panel, f"report.{run}.{task}.{number}", _)
                if task not in one:
                    st.caption(_("This run does not have the task."))
