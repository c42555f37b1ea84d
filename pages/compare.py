"""Two or more runs side by side: what was bought with what, metrics with differences, curves, and below what else can be asked for."""

import streamlit as st

from mtl_core.studies import paired
from mtl_core.studies.compare import Part, compare_runs, groups_of, tested
from mtl_core.tracking.runs import RunState, list_runs
from pages.parts import address, answers, compared, comparison, states, verdicts
from pages.parts.frame import begin, page, workspace
from pages.parts.url import keep

_ = begin("compare")

ENDED, MOST = (RunState.FINISHED, RunState.STOPPED), 6
everything = {run.id: run for run in list_runs(workspace()) if run.state in ENDED or run.checkpoint("last")}
asked = st.session_state.get("runs", st.query_params.get_all("runs"))
keep("comparisons", False, remember=True)
runs = {i: run for i, run in everything.items() if not run.purpose or st.session_state.comparisons or i in asked}
made_to_compare = [i for i, run in everything.items() if run.purpose]
if len(everything) < 2 or (len(runs) < 2 and not made_to_compare):
    keep("runs", [], everything)  # which says what the link asks for in vain
    st.info(_("Comparing needs two runs. Train the same tasks twice, for example with different loss weights."), icon=":material/info:")
    st.page_link(page("train"), label=_("Go to Train"), icon=":material/model_training:")
    address.stop()

keep("runs", [i for i, run in runs.items() if run.state in ENDED and not run.purpose][1::-1], runs, remember=True)  # the older one first
if (n_asked := len(st.session_state.runs)) > MOST:
    st.session_state.runs = st.session_state.runs[:MOST]
    keep("runs", [], runs, remember=True)
    st.warning(_("At most {most} runs are compared at once: these are the first {most} of {n}.").format(most=MOST, n=n_asked))
with st.container(horizontal=True, vertical_alignment="bottom"):
    label, hint = _("Runs"), _("Choose two or more runs")
    st.multiselect(
        label, list(runs), key="runs", format_func=lambda i: states.run_label(runs[i]), placeholder=hint, max_selections=MOST, wrap=True
    )
    chosen = [runs[i] for i in st.session_state.runs]
    keep("single", False, remember=True)
    groups = groups_of(chosen, by_seed=not st.session_state.single)
    alike = groups[0] if len(groups) == 1 and len(chosen) > 1 else None
    if alike:
        groups = groups_of(chosen, by_seed=False)
    by_run = {group.runs[0].id: group for group in groups}
    keep("baseline", next(iter(by_run), None), list(by_run), remember=True)
    if len(chosen) > 1:
        st.selectbox(_("Baseline"), list(by_run), key="baseline", format_func=lambda i: comparison.name(by_run[i], _), width=260)
    with st.popover("", icon=":material/tune:", help=_("What is offered and grouped")):
        st.toggle(_("Also trainings made for comparisons"), key="comparisons", disabled=not made_to_compare)
        st.toggle(_("Every run by itself, also where only the seed differs"), key="single")
if len(chosen) < 2:
    if chosen:  # an empty field says so itself
        st.caption(hint)
    address.stop()

baseline = by_run[st.session_state.baseline]
keep("split", "validation", ["validation", "test"] if tested(groups) else ["validation"], remember=True)
part: Part = "test" if st.session_state.split == "test" else "best"
found = compare_runs(groups, baseline.name, part)
pairs = paired.pairs_of(groups, baseline.name, part)
done, n = paired.ahead(pairs, workspace(), seconds=0.5)
changes = paired.changes(pairs, workspace(), compute=done == n)
if done < n:
    comparison.waiting(pairs, _)
else:
    comparison.sentences(changes, st.session_state.split, _)
comparison.warnings(found, alike, _)

verdicts.metrics(found, changes, groups, baseline, tested(groups), _)
comparison.curves(groups, _)

BELOW = {"rows": _("Rows answered differently"), "settings": _("Settings that differ"), "all": _("All metrics"), "reports": _("Reports")}
keep("below", "rows", BELOW, remember=True)
st.segmented_control(_("Details"), list(BELOW), format_func=BELOW.__getitem__, key="below", required=True, label_visibility="collapsed")
match st.session_state.below:
    case "rows":
        answers.show(groups, baseline, st.session_state.split, _)
    case "settings":
        compared.settings(groups, _)
    case "all":
        compared.all_metrics(found, groups, _)
    case _:
        compared.reports(groups, st.session_state.split, _)
