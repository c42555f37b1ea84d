"""How many rows a task needs: a button that trains it on some of them, alone and jointly, and both curves."""

from functools import partial

import streamlit as st

from mtl_core import plots
from mtl_core.base.messages import N_, Translate
from mtl_core.studies.efficiency import SHARES, plan
from mtl_core.tasks import KINDS
from mtl_core.tracking.runs import Run, RunError, RunState
from pages.parts import cells, needed
from pages.parts.charts import PLOTLY
from pages.parts.frame import workspace
from pages.parts.text import plain
from pages.parts.url import keep

WAYS = {"joint": N_("Joint"), "alone": N_("Single-task")}


def show(run: Run, _: Translate) -> None:
    """Nothing for a run that is no finished joint run, or was itself made for a comparison."""
    tasks = list(run.tasks)
    if run.state is not RunState.FINISHED or len(tasks) < 2 or run.purpose:
        return
    st.subheader(_("How many labels does a task need?"))
    shares = ", ".join(f"{share:.0%}" for share in SHARES)
    st.caption(
        _(
            "One task is trained on {shares} of its rows, alone and with the others. Where the curves differ, joint training saves "
            "labels. Both know the classes, their frequencies and the vocabulary of all training rows."
        ).format(shares=shares)
    )
    keep("scarce", tasks[0], tasks)
    keep("efficiency_seeds", 3, range(1, needed.MOST_SEEDS + 1))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        task = st.selectbox(_("Task with few labels"), tasks, key="scarce", width=260, format_func=plain)
        hint = _("With three or more there is a confidence interval.")
        seeds = st.number_input(_("Number of seeds"), 1, needed.MOST_SEEDS, key="efficiency_seeds", width=130, help=hint)
    try:
        live = bool(plan(run, workspace(), task, n_seeds=seeds).of_state("live"))
    except RunError as error:
        st.info(plain(error.message.text(_)), icon=":material/info:")
        return
    st.fragment(_body, run_every=3.0 if live else None)(run, task, seeds, live, _)


def _body(run: Run, task: str, seeds: int, was_live: bool, _: Translate) -> None:
    plans = partial(plan, run, workspace(), task, n_seeds=seeds)
    now = plans()
    if bool(now.of_state("live")) != was_live:
        st.rerun()
    whole = (now.n - now.n_done) * (1 + 1 / len(run.tasks)) / 2
    needed.progress(now, plans, whole, _("Train on fractions of the rows"), "efficiency", _)
    curves = now.curves()
    if now.n_done and not curves:
        st.info(
            _("“{task}” has no figure on validation rows: give its table a larger validation share.").format(task=plain(task)),
            icon=":material/info:",
        )
    needed.made(now, "efficiency", _)
    if all(len(points) < 2 for points in curves.values()):  # the run itself is a point, but no curve
        return
    labels = {info.name: info.label for kind in KINDS.values() for info in kind.metrics}
    metric = _(labels.get(now.metric, now.metric))
    points = {_(WAYS[way]): [(p.share, p.rows, p.score.value, p.score.half) for p in found] for way, found in curves.items()}
    figure = plots.efficiency(points, task, run.tasks, metric, _)
    st.plotly_chart(
        figure, key="efficiency_chart", alt=_("Metric by number of training rows, for single-task and joint training"), config=PLOTLY
    )
    rows = [
        {_("Training mode"): way, _("Share"): f"{p[0]:.0%}", _("Rows"): p[1], metric: p[2], _("± half the 95 % confidence interval"): p[3]}
        for way, found in points.items()
        for p in found
    ]
    numbers = {name: st.column_config.NumberColumn(format="%.4f") for name in (metric, _("± half the 95 % confidence interval"))}
    with st.expander(_("Values")):
        cells.table(rows, column_config=numbers, key="efficiency_table", alt=_("Points of both curves"))
