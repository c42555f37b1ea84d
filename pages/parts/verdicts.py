"""The table of the page Compare: main metrics, their differences from the baseline, how well they are known, and a verdict."""

from collections.abc import Sequence
from statistics import stdev
from typing import Any

import pandas as pd
import streamlit as st

from mtl_core.base.messages import N_, Translate, plural
from mtl_core.evaluation.bootstrap import N_SLOW_DRAWS
from mtl_core.studies import paired
from mtl_core.studies.compare import Comparison, Group, values_of
from mtl_core.studies.paired import Change, Verdict
from mtl_core.tracking.looks import looks_by_dataset
from mtl_core.tracking.status import SPLITS
from pages.parts import cells, comparison
from pages.parts.frame import workspace
from pages.parts.text import plain

COLORS = {  # blue and orange are told apart by every eye; each has a contrast of 4.5 : 1 with its theme's background
    "light": {Verdict.BETTER: "color: #00568a; font-weight: 600", Verdict.WORSE: "color: #9c4300; font-weight: 600"},
    "dark": {Verdict.BETTER: "color: #7cc7f2; font-weight: 600", Verdict.WORSE: "color: #f2a65a; font-weight: 600"},
}


def metrics(found: Comparison, changed: Sequence[Change], groups: Sequence[Group], baseline: Group, both: bool, _: Translate) -> None:
    """The main metric of each task in each group, and what the others changed. both: whether all runs have test results."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(_("Main metrics"))
        options = list(SPLITS) if both else ["validation"]
        label = _("Measured on")
        st.segmented_control(label, options, format_func=lambda s: _(SPLITS[s]), key="split", required=True, label_visibility="collapsed")
    by_task = comparison.kinds(groups)
    tasks = list(dict.fromkeys([*baseline.runs[0].tasks, *by_task]))
    others = [group for group in groups if group is not baseline]
    of = {(change.pair.task, change.pair.other.name): change for change in changed}
    measured = {change.pair.task: change.found for change in changed if change.found is not None}
    table: dict[str, list[str]] = {
        _("Task"): tasks,
        _("Metric"): [_(comparison.info(by_task[task], by_task[task].primary).label) for task in tasks],
        comparison.name(baseline, _): [
            _mean(measured[task].first) if task in measured else value(baseline, task, by_task[task].primary, found.part) for task in tasks
        ],
    }
    colors: dict[str, list[str]] = {}
    widths: dict[str, Any] = {}
    for group in others:
        of_group = [of.get((task, group.name)) for task in tasks]
        column = comparison.name(group, _)
        difference, verdict = _("Difference"), _("Verdict")
        if len(others) > 1:
            difference, verdict = (text.format(run=column) for text in (_("{run}, difference"), _("{run}, verdict")))
        table[column] = [
            _mean(change.found.second) if change and change.found else value(group, task, by_task[task].primary, found.part)
            for task, change in zip(tasks, of_group, strict=True)
        ]
        table[difference] = [_difference(change) for change in of_group]
        if len(others) == 1:
            table[_("p (Holm)")] = ["–" if change is None or change.p != change.p else _p(change.p) for change in of_group]
        table[verdict] = ["–" if change is None else change.words.text(_) for change in of_group]
        styles = COLORS["dark" if st.context.theme.type == "dark" else "light"]
        widths |= {difference: st.column_config.TextColumn(width=190), verdict: st.column_config.TextColumn(width=320)}
        colors[difference] = colors[verdict] = [styles.get(change.verdict, "") if change else "" for change in of_group]
    styled = pd.DataFrame(table).style.apply(lambda column: colors[str(column.name)], subset=list(colors))
    alt = _("Main metric of each task, with differences to the baseline")
    cells.table(styled, height="content", column_config=widths, key="metrics", alt=alt)
    st.caption(" ".join([*_method(changed, groups, _), *(_looks(groups, _) if found.part == "test" else [])]))


def value(group: Group, task: str, metric: str, part: str) -> str:
    return _mean(values_of([run.result()["tasks"] for run in group.runs], task, part, metric))


def _mean(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{sum(values) / len(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _difference(change: Change | None) -> str:
    if change is None or change.found is None:
        return "–"
    one = change.found
    return f"{one.value:+.4f}" + (f"  [{one.low:+.4f}, {one.high:+.4f}]" if one.known and not one.alike else "")


def _method(changed: Sequence[Change], groups: Sequence[Group], _: Translate) -> list[str]:
    """How the intervals came about."""
    measured = [change.found for change in changed if change.found is not None and change.found.known]
    if not measured:
        return []
    n = max(one.n_draws for one in measured)
    said = [
        _(
            "95 % intervals by a paired bootstrap: {n:,} draws of the rows that both have; p values by Holm's procedure over the tasks."
        ).format(n=n)
    ]
    if any(one.n_draws <= N_SLOW_DRAWS for one in measured):
        said.append(_("Tasks whose metric takes long have {n:,} draws.").format(n=min(one.n_draws for one in measured)))
    if any(one.over_seeds for one in measured):
        said.append(_("± is the standard deviation over seeds; intervals count the chance of the rows and of the seeds."))
    elif all(len(group.runs) == 1 for group in groups):
        said.append(_("One run each: the chance of the seed is not in the intervals."))
    fewer = {change.pair.task: change.found.n_rows for change in changed if change.found and change.found.n_rows < _rows_of(change)}
    if fewer:
        parts = ", ".join(f"{plain(task)} {n:,}" for task, n in fewer.items())
        said.append(_("Runs were evaluated on different rows; the numbers are of those that all have: {tasks}.").format(tasks=parts))
    return said


def _rows_of(change: Change) -> int:
    return max(paired.n_kept(run, change.pair) for run in change.pair.among)


def _looks(groups: Sequence[Group], _: Translate) -> list[str]:
    """How often the test rows were looked at."""
    counted = looks_by_dataset(workspace())
    looks = [counted.get(hash_, 0) for group in groups for run in group.runs for hash_ in run.datasets.values()]
    n = max(looks, default=0)
    text = plural(
        n,
        N_("Test rows are for the final word, not for choosing: 1 run of this workspace was tested on them."),
        N_("Test rows are for the final word, not for choosing: {n} runs of this workspace were tested on them, deleted ones included."),
    )
    return [_(text).format(n=n)]
