"""The model that is asked: of which run, how far it was trained, how good it is; and why it should not be trusted, where it should not."""

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.tasks import KINDS
from mtl_core.tracking import keeping
from mtl_core.tracking.runs import Run
from pages.parts import states
from pages.parts.frame import workspace
from pages.parts.text import plain


def show(run: Run, task: str, _: Translate) -> None:
    """One line beside the run's name, and a warning where one is due."""
    step = int((run.status.get("result") or {}).get("best_step") or 0) if run.state == "finished" else int(run.status.get("step") or 0)
    kind = KINDS[run.tasks[task].kind]
    parts = [states.word(run.state, _), _("step {step} of {total}").format(step=step, total=run.status.get("n_steps", "?"))]
    if keeping.in_use(workspace()) == run.id:
        parts.insert(0, _("in use"))
    for info in kind.metrics:
        value = run.best_so_far.get(task, {}).get(info.name)
        if info.name == kind.primary and value is not None:
            parts.append(_("{metric} {value} on validation rows").format(metric=_(info.label), value=f"{value:.3f}"))
    st.caption(f"**{plain(_(kind.label))}** · {plain(_(kind.help))} " + plain(" · ".join(parts)))
    if not step:
        st.warning(_("This model is untrained: its best step is step 0."), icon=":material/warning:")
    if run.purpose:
        st.info(_("This run was only made to compare another one with."), icon=":material/info:")
