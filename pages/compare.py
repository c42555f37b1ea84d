"""Two or more runs side by side: weights, parameters, curves, metrics against a baseline, reports. The choices lie in the URL."""

import streamlit as st

from mtl_core.studies.compare import compare_runs, short_names
from mtl_core.tracking.runs import RunState, list_runs
from pages.parts import comparison, states
from pages.parts.frame import begin, page, workspace
from pages.parts.url import keep

_ = begin("compare")

ENDED = (RunState.FINISHED, RunState.STOPPED)
listed = sorted(list_runs(workspace()), key=lambda run: bool(run.purpose))  # those of comparisons with training alone at the end
runs = {run.id: run for run in listed if run.state in ENDED or run.checkpoint("last")}
if len(runs) < 2:
    st.info(_("Comparing needs two runs. Train the same tasks twice, for example with different loss weights."), icon=":material/info:")
    st.page_link(page("train"), label=_("Go to Train"), icon=":material/model_training:")
    st.stop()

ended = [i for i, run in runs.items() if run.state in ENDED]
keep("runs", ended[1::-1], runs, remember=True)  # the last two, the older one first
with st.container(horizontal=True):
    label, hint = _("Runs"), _("Choose two or more runs")
    st.multiselect(
        label, list(runs), key="runs", format_func=lambda i: states.run_label(runs[i]), placeholder=hint, max_selections=6, wrap=True
    )
    chosen = [runs[i] for i in st.session_state.runs]
    keep("baseline", chosen[0].id if chosen else None, [run.id for run in chosen], remember=True)
    if len(chosen) > 1:
        names = short_names(chosen)
        st.selectbox(_("Baseline"), list(names), key="baseline", format_func=names.__getitem__, width=300)
if len(chosen) < 2:
    st.caption(_("Choose two or more runs."))
    st.stop()

baseline = runs[st.session_state.baseline]
series = comparison.series(chosen)
kinds = comparison.kinds(chosen)
found = compare_runs(chosen, baseline, series)
comparison.warnings(found, _)

left, right = st.columns(2)
with left:
    st.subheader(_("Loss weights"))
    comparison.weights(series, _)
with right:
    st.subheader(_("Settings that differ"))
    comparison.settings(found, _)

st.subheader(_("Metrics"))
comparison.metrics(found, kinds, _)

st.subheader(_("Curves"))
comparison.curves(series, kinds, _)

st.subheader(_("Reports"))
comparison.reports(chosen, _)
