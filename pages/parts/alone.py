"""Alone or together: a button that trains what a joint run is compared with, how far that is, and what came of it."""

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from mtl_core import plots
from mtl_core.base.messages import N_, Translate
from mtl_core.studies.alone import TRIALS, AlonePlan, plan
from mtl_core.studies.verdicts import Verdicts
from mtl_core.tasks import KINDS
from mtl_core.tracking.runs import Run, RunError, RunState
from pages.parts import cells, needed
from pages.parts.charts import PLOTLY
from pages.parts.frame import workspace
from pages.parts.text import plain
from pages.parts.url import keep

MOST_TRIALS = 50
WAYS = {"alone": N_("Single-task"), "joint": N_("Joint, this run"), "tuned": N_("Joint, tuned fixed weights")}
STYLES = {  # verdict → word, sign, how it is written
    "helps": (N_("helps"), "▲", "color: #009E73"),
    "hurts": (N_("hurts"), "▼", "color: #D55E00"),
    "not significant": (N_("not significant"), "≈", ""),
}


def show(run: Run, _: Translate) -> None:
    """Why not, for a run that is no finished joint run, or was itself made for a comparison."""
    if len(run.tasks) < 2 or run.purpose:
        st.caption(_("Nothing to compare: the run has a single task, or was itself made for a comparison."))
        return
    if run.state is not RunState.FINISHED:
        st.caption(_("Whether joint training helps can be measured when the run has finished."))
        return
    st.subheader(_("Single-task or joint training"))
    st.caption(_("Does joint training help? Each task is trained alone on the same number of its rows, with the same encoder and seeds."))
    keep("seeds", 3, range(1, needed.MOST_SEEDS + 1))
    keep("trials", TRIALS, range(MOST_TRIALS + 1))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seeds = st.number_input(
            _("Number of seeds"), 1, needed.MOST_SEEDS, key="seeds", width=130, help=_("With three or more there is a confidence interval.")
        )
        hint = _("Number of fixed weightings drawn at random; the best on the validation split is taken. 0: none.")
        trials = st.number_input(_("Fixed weight trials"), 0, MOST_TRIALS, key="trials", width=200, help=hint)
    try:
        live = bool(plan(run, workspace(), seeds, trials).of_state("live"))
    except RunError as error:
        st.info(plain(error.message.text(_)), icon=":material/info:")
        return
    st.fragment(_body, run_every=3.0 if live else None)(run, seeds, trials, live, _)


def _body(run: Run, seeds: int, trials: int, was_live: bool, _: Translate) -> None:
    now = plan(run, workspace(), seeds, trials)
    live = now.of_state("live")
    if bool(live) != was_live:
        st.rerun()
    single = sum(part.task is not None for part in now.distinct if part.state != "done")
    whole = now.n - now.n_done - single + single / len(now.metrics)
    needed.progress(now, partial(plan, run, workspace(), seeds, trials), whole, _("Compare with single-task training"), "alone", _)
    if now.note:
        st.info(plain(now.note.text(_)), icon=":material/info:")
    outcome = now.verdicts()
    if any(row.tasks for row in outcome.rows):
        _verdicts(now, outcome, _)
    needed.made(now, "alone", _)


def _verdicts(now: AlonePlan, outcome: Verdicts, _: Translate) -> None:
    if hurt := [one.task for row in outcome.rows for one in row.tasks if row.name == "joint" and one.verdict == "hurts"]:
        st.warning(_("Joint training hurts: {tasks}.").format(tasks=plain(", ".join(hurt))), icon=":material/trending_down:")
    if outcome.warnings and not now.of_state("live"):  # on the way one side always has a seed more
        lines = "\n".join(f"- {plain(warning.text(_))}" for warning in outcome.warnings)
        st.warning(lines, title=_("Compare with caution"), icon=":material/warning:")
    frame = pd.DataFrame(_cells(outcome, _))
    verdict = _("Result")
    styled = frame.style.map(lambda text: next((look for _w, sign, look in STYLES.values() if text.startswith(sign)), ""), subset=[verdict])
    cells.table(styled, height="content", key="alone_table", alt=_("Single-task and joint training of each task"))
    st.caption(
        _(
            "On the test split (final; weights are chosen on validation rows): mean over the seeds ± half the 95 % confidence interval. "
            "Changes are paired by seed, and higher is better; a result is significant where the interval excludes 0. Overall: mean "
            "relative change from single-task training."
        )
    )
    halves = {_(WAYS[row.name]): {one.task: (one.change.value, one.change.half) for one in row.tasks} for row in outcome.rows}
    st.plotly_chart(plots.changes(halves, _), key="alone_chart", alt=_("Change of each task from single-task training"), config=PLOTLY)
    if now.weights:
        weights = ", ".join(f"{plain(task)} {weight:g}" for task, weight in now.weights.items())
        st.caption(_("Fixed weights, best trial on the validation split: {weights}").format(weights=weights))
    rows = [(_(WAYS[row]), runs, examples) for row, (runs, examples) in now.budgets().items()]
    table = dict(zip((_("Training mode"), _("Runs"), _("Training rows used")), zip(*rows, strict=True), strict=True))
    cells.table(table, key="alone_budget", alt=_("Cost of each training mode"))


def _cells(outcome: Verdicts, _: Translate) -> list[dict[str, Any]]:
    labels = {info.name: info.label for kind in KINDS.values() for info in kind.metrics}
    columns = [_("Training mode"), _("Task"), _("Metric"), _("Single-task"), _("Joint"), _("Change"), _("Result")]
    cells = []
    for row in outcome.rows:
        way = _(WAYS[row.name])
        for one in row.tasks:
            metric, change = _(labels.get(one.metric, one.metric)), one.change.text("{:+.4f}")
            cells.append([way, one.task, metric, one.alone.text(), one.together.text(), change, _verdict(one.verdict, _)])
        if row.overall:
            overall = row.overall
            cells.append([way, _("Overall"), _("Mean change"), "", "", overall.text("{:+.2%}"), _verdict(overall.verdict, _)])
    return [dict(zip(columns, line, strict=True)) for line in cells]


def _verdict(verdict: str, _: Translate) -> str:
    word, sign, _look = STYLES[verdict]
    return f"{sign} {_(word)}"
