"""Whether a run's tasks have beaten the naive baselines of their kinds."""

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.evaluation.predictions import predictions_file
from mtl_core.studies.naive import not_beaten, of_run
from mtl_core.tasks import KINDS
from mtl_core.tracking.runs import Run
from pages.parts.background import desk, follow, ready, settle
from pages.parts.frame import workspace
from pages.parts.text import plain


def show(run: Run, _: Translate) -> None:
    """A warning for each task that has not, and a line with all of them; measured once, in a process of its own."""
    root, works = workspace().root, {}
    for task in run.tasks:
        if (kept := predictions_file(run.folder, task, "validation")).is_file():
            key = ("naive", kept, kept.stat().st_mtime_ns)
            works[task] = desk().apart(key, of_run, run.id, task, root, about=kept, otherwise=lambda _error: None)
    follow(settle(works.values()), _("Measuring naive baselines … {seconds} s"), _)
    found: dict[str, float] = {task: figure for task, work in works.items() if (figure := ready(work)) is not None}
    remarks = [plain(remark.text(_)) for task, figure in found.items() if (remark := not_beaten(run, task, figure))]
    if remarks:
        st.warning(remarks[0] if len(remarks) == 1 else "\n".join(f"- {said}" for said in remarks), icon=":material/trending_flat:")
    if found:
        figures = " · ".join(f"{task}: {_(KINDS[run.tasks[task].kind].main.label)} {figure:.3f}" for task, figure in found.items())
        st.caption(
            _("Naive baselines, on the same validation rows: {figures}").format(figures=plain(figures)),
            help=_("The best simple answer without an encoder: what is most popular, words that are counted, the mean."),
        )
