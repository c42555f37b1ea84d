"""Train: put an experiment together and start it; or, with ?run=…, watch a run, steer it, read its reports."""

import streamlit as st

from mtl_core.jobs import jobs
from mtl_core.tracking.runs import list_runs
from pages.parts import address, launch, live, setup, states, steer, views
from pages.parts.frame import begin, workspace
from pages.parts.url import keep

_ = begin("train")

runs = {run.id: run for run in sorted(list_runs(workspace()), key=lambda run: bool(run.purpose))}  # those of comparisons at the end
keep("run", None, list(runs), remember=True)
run_id = None
if runs:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        run_id = st.selectbox(
            _("Run"),
            list(runs),
            index=None,
            key="run",
            format_func=lambda i: states.run_label(runs[i]),
            placeholder=_("New experiment"),
            label_visibility="collapsed",
            width=430,  # on a phone a line of its own
        )
        if run_id is not None:
            st.button(_("New experiment"), icon=":material/add:", key="new", width=160, on_click=steer.leave)
            hint = _("Opens the settings of this run, to be changed and started as a new one.")
            if runs[run_id].steered:
                hint += " " + _("It begins with those that this run was started with, not with those at its end.")
            st.button(
                _("Start again with these settings"),
                icon=":material/restart_alt:",
                key="again",
                width=250,
                help=hint,
                on_click=launch.again,
                args=(run_id,),
            )

if run_id is None:
    setup.show(_)
    address.stop()

run = runs[run_id]
now = jobs().snapshot(run_id)
every = live.pace(now)
if not now.state.live:
    live.ended(run, now, _)
    views.show(run, runs, None, _)
    address.stop()
st.fragment(live.show, run_every=every[0])(run_id, _)
wide, side = st.columns([5, 2], gap="medium")
with wide:  # first: on a phone it is above, and would push the other down
    views.show(run, runs, every[1], _)
with side:
    st.fragment(steer.show, run_every=every[1])(run_id, _)
