"""Why a run failed, could not go on, or was cut short, and what to do."""

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.data.problems import has_errors
from mtl_core.jobs import Snapshot
from mtl_core.runtime.steps import step_of
from mtl_core.tracking.runs import run
from pages.parts import problems
from pages.parts.frame import workspace
from pages.parts.text import plain


def show(now: Snapshot, _: Translate) -> None:
    """Warnings of its tables are in the log."""
    broken = has_errors(now.problems)
    if now.error is not None:
        where = _("Step {step}").format(step=now.error.step)
        if now.error.task:
            where += " · " + _("task {task}").format(task=plain(now.error.task))
        why = [] if broken else [plain(_(now.error.message))]
        title = _("The run could not be resumed") if now.refused else _("The run failed")
        st.error("\n\n".join([where, *why, plain(_(now.error.advice))]), title=title, icon=":material/error:")
    if broken:
        problems.show(now.problems, _)
    if now.state == "interrupted":
        st.warning(_interrupted(now, _))


def _interrupted(now: Snapshot, _: Translate) -> str:
    went_down, folder = _("The server or the computer went down during this run."), run(workspace(), now.run_id).checkpoint("last")
    if folder is None:
        return went_down + " " + _("It has no checkpoint yet: resuming begins anew.")
    step = step_of(folder)
    resumes = _("It can be resumed from the checkpoint of step {step}; steps to repeat: {n}.")
    return went_down + " " + resumes.format(step=f"{step:,}", n=f"{max(0, now.series.step - step):,}")
