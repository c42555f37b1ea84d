"""The trainings that a comparison needs: a button that starts them, how far they are, a button that stops them."""

from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

import streamlit as st

from mtl_core.base.messages import N_, Translate, plural
from mtl_core.jobs import jobs
from mtl_core.studies import comparisons
from mtl_core.studies.comparisons import Needed
from mtl_core.tracking.runs import RunError
from pages.parts import cells, states
from pages.parts.clicks import clicked, then
from pages.parts.frame import language, workspace
from pages.parts.text import duration, plain

MOST_SEEDS = 20


def progress(now: Needed, plans: Callable[[], Needed], whole: float, start: str, key: str, _: Translate) -> None:
    """Nothing once all are there. plans: what is needed, as it then stands; whole: how many joint trainings the rest is worth; start: the
    words of the button; key: of the widgets."""
    live, missing = now.of_state("live"), now.missing
    if refused := st.session_state.pop(f"{key}_refused", None):
        st.error(plain(refused.text(_)), icon=":material/error:")
    for part in now.of_state("failed"):
        why = part.run.error.message if part.run and part.run.error else ""
        st.error(plain(f"{part.label}: {_(why)}"), title=_("A training run for the comparison failed"), icon=":material/error:")
    if now.complete:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if live:
            st.button(_("Stop the comparison"), icon=":material/stop:", key=f"{key}_stop", on_click=_stop, args=(plans,))
        else:
            label = _("Resume the comparison") if any(part.run is not None for part in missing) else start
            if clicked(label, f"{key}_start", icon=":material/balance:", type="primary"):
                then(partial(_start, plans, key))
        text = _(plural(now.n_done, N_("{done} of {n} trainings is done."), N_("{done} of {n} trainings are done."))).format(
            done=now.n_done, n=now.n
        )
        if now.of.seconds:
            text += " " + _("The remaining trainings take about {time}.").format(time=duration(now.of.seconds * whole, _))
        st.caption(text, width="content")
    if live:
        at_work = sum(jobs().snapshot(part.run.id, workspace()).progress or 0.0 for part in live if part.run)
        st.progress(min(1.0, (now.n_done + at_work) / now.n))
        st.caption(_("They are trained one after another in the background; you may close this page."))


def made(now: Needed, key: str, _: Translate) -> None:
    """The trainings that there are of a comparison, folded: they are shown nowhere else."""
    runs = [(part, part.run) for part in now.distinct if part.run is not None]
    if not runs:
        return
    with st.expander(_("Trainings of this comparison: {n}").format(n=len(runs)), icon=":material/list:"):
        cells.table(
            {
                _("Training"): [part.label for part, _run in runs],
                _("State"): [states.word(run.state, _) for _part, run in runs],
                _("Seconds"): [run.seconds for _part, run in runs],
                _("Run"): ["train?" + urlencode({"lang": language(), "run": run.id}) for _part, run in runs],
            },
            height="content",
            column_config={
                _("Run"): st.column_config.LinkColumn(display_text=r"run=(.*)"),
                _("Seconds"): st.column_config.NumberColumn(format="%.0f"),
            },
            key=f"{key}_made",
            alt=_("Trainings that were made for this comparison"),
        )


def _start(plans: Callable[[], Needed], key: str) -> None:
    try:
        comparisons.start(plans, workspace())
    except RunError as error:
        st.session_state[f"{key}_refused"] = error.message


def _stop(plans: Callable[[], Needed]) -> None:
    comparisons.stop(plans)
