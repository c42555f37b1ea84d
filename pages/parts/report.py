"""What came out of a run: metrics before, best and on the test split, and what each task kind has to show."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import streamlit as st

from mtl_core import plots
from mtl_core.base.messages import Translate
from mtl_core.base.workspace import Workspace
from mtl_core.jobs import jobs
from mtl_core.studies import paired
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import TaskKind
from mtl_core.tracking.runs import BrokenRunError, Run
from mtl_core.tracking.status import PARTS, SPLITS
from pages.parts import baseline, cells, seen
from pages.parts.text import plain, said


@st.cache_data(max_entries=20, show_spinner=False)
def _reports(folder: Path, size: int, names: str, _run: Run) -> tuple[str, dict[str, list[dict[str, Any]]]]:
    """Read again only when the journal has grown, or classes got other names."""
    return _run.latest_reports()


@st.cache_data(max_entries=20, show_spinner=False)
def _known(folder: Path, tested: datetime | None, _run: Run) -> dict[str, tuple[float, float]]:
    """Computed again only when the test split was evaluated since."""
    return paired.known_tests(_run, Workspace(folder.parents[1]))


def show(run: Run, _: Translate) -> None:
    now = jobs().snapshot(run.id)
    tasks = now.series.so_far if now.state.live else run.result()["tasks"]
    if not tasks:
        early = now.state.live
        st.caption(_("No result yet: the first evaluation is still to come.") if early else _("No result: it ended before an evaluation."))
        return
    nothing_to_gain(run, tasks, _)
    known = {} if now.state.live else _known(run.folder, run.tested, run)
    metrics(run, tasks, known, _)
    best = now.series.best.step if now.series.best else run.result().get("best_step")
    if best is not None:
        where = _(
            "Best: at step {step:,} of {total:,}, the run's best for all tasks together; a star on a curve is at that task's own best."
        )
        st.caption(where.format(step=best, total=run.status.get("n_steps", best)))
    for remark in filter(None, (paired.too_good(run, task, found) for task, found in known.items())):
        st.caption(plain(remark.text(_)))
    if not now.state.live:
        baseline.show(run, _)
    seen.show(now.series.seen, _)
    if now.state.live:
        return
    size = run.journal.stat().st_size if run.journal.exists() else 0
    try:
        split, reports = _reports(run.folder, size, json.dumps(run.noted.get("class_names")), run)
    except BrokenRunError as error:
        st.warning(plain(error.message.text(_)), icon=":material/broken_image:")
        return
    if reports:
        st.subheader(f"{_('Reports')} · {_(SPLITS[split])}")
        for tab, (task, parts) in zip(st.tabs([plain(task) for task in reports]), reports.items(), strict=True):
            with tab:
                for number, part in enumerate(parts):
                    panel(part, f"panel_{run.id}_{task}_{number}", _)


def kinds(run: Run) -> dict[str, TaskKind]:
    """Task → its kind."""
    return {name: KINDS[task.kind] for name, task in run.tasks.items()}


def nothing_to_gain(run: Run, tasks: dict[str, dict[str, dict[str, float]]], _: Translate) -> None:
    """Main metrics that were as good as perfect before training and at the best step. Others may be so by a constant answer: recall."""
    found = []
    for task, kind in kinds(run).items():
        info = kind.main
        before, best = (tasks.get(task, {}).get(part, {}).get(info.name) for part in ("before", "best"))
        if before is None or best is None or not (info.full(before) and info.full(best)):
            continue
        words = _("{task}, {metric}: {before} before training, {best} at the best step: these rows cannot show what training does.")
        said = words.format(task=task, metric=_(info.label), before=f"{before:.4g}", best=f"{best:.4g}")
        ask = _("Check whether their lists have entries that are wrong.") if kind.ranks else _("Check whether their labels differ.")
        found.append(plain(f"{said} {ask}"))
    if found:
        st.warning(found[0] if len(found) == 1 else "\n".join(f"- {said}" for said in found), icon=":material/do_not_disturb_on:")


def metrics(run: Run, tasks: dict[str, dict[str, dict[str, float]]], known: Mapping[str, tuple[float, float]], _: Translate) -> None:
    """One row a task and metric, the main metric of a task first; `tasks` as of `Run.result`, `known` as of `_known`."""
    parts = {part: _(label) for part, label in PARTS.items() if any(part in found for found in tasks.values())}
    rows: list[dict[str, Any]] = []
    for task, kind in kinds(run).items():
        found = tasks.get(task, {})
        for info in sorted(kind.metrics, key=lambda m: m.name != kind.primary):
            values: dict[str, Any] = {label: found.get(part, {}).get(info.name) for part, label in parts.items()}
            if any(value is not None for value in values.values()):
                if known:
                    bounds = known.get(task) if info.name == kind.primary else None
                    values[_("Test (final), 95 % interval")] = f"{bounds[0]:.3f} – {bounds[1]:.3f}" if bounds else None
                rows.append({_("Task"): task, _("Metric"): _(info.label), **values})
    cells.table(
        rows,
        height="content",
        column_config={label: st.column_config.NumberColumn(format="%.3f") for label in parts.values()},
        key="results",
        alt=_("Metrics of each task before training, at the best checkpoint and on the test split"),
    )


def panel(part: Mapping[str, Any], key: str, _: Translate) -> None:
    """One part of a report under its title, drawn by its type. key: unique on the page."""
    title = _(part["title"])
    st.markdown(f"**{plain(title)}**")
    if part["type"] in plots.CHARTS:
        st.plotly_chart(plots.panel(part, _), key=key, alt=title, config={"displaylogo": False})
        return
    columns = [_(str(column)) if column else "" for column in part["data"]["columns"]]
    values = [dict(zip(columns, (said(cell, _) for cell in row), strict=False)) for row in part["data"]["rows"]]
    whole = [c for c in columns if all(isinstance(row.get(c), int | None) for row in values)]
    numbers = [c for c in columns if c not in whole and all(isinstance(row.get(c), int | float | None) for row in values)]
    config = {c: st.column_config.NumberColumn(format="%.3f") for c in numbers}
    cells.table(values, column_config=config, key=key, alt=title)
