"""Try a trained model: pick a run and a task, fill in a form, rank a catalogue, give a file of rows. The kind says what is asked."""

import streamlit as st

from mtl_core.data.problems import InputError
from mtl_core.tracking import keeping
from mtl_core.tracking.runs import list_runs
from pages.parts import about, address, asking, class_names, forms, ranking, rows_file, states
from pages.parts.frame import begin, page, workspace
from pages.parts.model import load
from pages.parts.text import plain
from pages.parts.url import keep

_ = begin("predict")

listed = [run for run in list_runs(workspace()) if run.checkpoint() is not None]
asked_for = st.session_state.get("run") or st.query_params.get("run")
runs = {run.id: run for run in listed if not run.purpose or run.id == asked_for}  # made only to compare: for who asks
if not runs:
    st.info(_("There is no trained model yet. Train the sample shop or your own tasks first."), icon=":material/info:")
    st.page_link(page("train"), label=_("Go to Train"), icon=":material/model_training:")
    address.stop()

usual = keeping.usual(workspace(), list(runs.values())) or next(iter(runs.values()))
keep("run", usual.id, runs, remember=True)
tasks = list(runs[st.session_state.run].tasks)
keep("task", tasks[0], tasks, remember=True)
with st.container(horizontal=True, vertical_alignment="bottom"):
    run = runs[st.selectbox(_("Run"), list(runs), format_func=lambda i: states.run_label(runs[i]), key="run", width=420)]
    task = st.selectbox(_("Task"), tasks, key="task", width=260)
    own, own_help = run.checkpoint(f"peak-{task}"), _("Instead of the model that was best for all tasks together.")
    if own is not None:
        keep("own_best", False)
    peak = own is not None and st.toggle(_("Best step of this task"), key="own_best", help=own_help)
    naming, way = st.container(width="content"), st.container(width="content")  # a row of its own would push the answer off the screen
about.show(run, task, _)

with st.spinner(_("Loading the model …")):
    try:
        predictor = load(run, f"peak-{task}" if peak else "best")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        st.error(plain(error), title=_("The model of this run cannot be loaded"), icon=":material/error:")
        address.stop()

kind = predictor.kinds[task]
if classes := predictor.classes(task):
    with naming:
        class_names.show(run, task, classes, _)
fields, columns, choices = predictor.fields(task), predictor.columns(task), predictor.choices(task)
views = {"one": _("One prediction")} | ({"rank": _("Rank a catalogue")} if kind.ranks else {}) | {"rows": _("A file of rows")}
keep("view", "one", views, remember=True)
label = _("What to do")
with way:
    st.segmented_control(label, list(views), format_func=views.__getitem__, key="view", required=True, label_visibility="collapsed")
place = f"{run.id}.{task}.{peak}" if peak else f"{run.id}.{task}"

if st.session_state.view == "one":
    asking.show(run, task, predictor, place, _)
elif st.session_state.view == "rows":
    rows_file.show(run, task, predictor, place, _)
else:
    ranked_field = next(field for field in fields if field.name == kind.ranks)
    answers = st.session_state.setdefault("answers", {})
    catalogue = ranking.choose(run, task, ranked_field, columns[ranked_field.name], place, _)
    keep("entries", 10, range(5, 101, 5), remember=True)
    with st.form(f"ranking.{place}"):
        values = forms.inputs([field for field in fields if field is not ranked_field], columns, choices, place, _)
        n = st.slider(_("Entries to show"), 5, 100, step=5, key="entries")
        asked = st.form_submit_button(_("Rank"), type="primary", icon=":material/format_list_numbered:", disabled=catalogue is None)
    if asked and forms.is_empty(values):
        st.warning(_("Fill in at least one field."))
    elif asked and catalogue is not None:
        table, texts = catalogue
        with st.spinner(_("Entries that are ranked: {n} …").format(n=len(texts))):
            try:
                answers[f"{place}.ranked"] = (table, predictor.rank(task, values, texts, n))
            except InputError as error:
                st.warning(plain(error.message.text(_)))
    if f"{place}.ranked" in answers:
        table, ranked = answers[f"{place}.ranked"]
        ranking.show(table, ranked, f"{place}.ranked", _)
