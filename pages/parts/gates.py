"""The gate weights of a run's tasks, now and over time, and whether experts have collapsed."""

import streamlit as st

from mtl_core import plots
from mtl_core.base.messages import Translate
from mtl_core.evaluation.gates import collapse, expert_name, sentence
from mtl_core.jobs import jobs
from pages.parts import changes
from pages.parts.charts import PLOTLY
from pages.parts.text import plain


def show(run_id: str, _: Translate) -> None:
    """A fragment; nothing where the tasks share no experts."""
    series = jobs().snapshot(run_id).series
    measurements = list(series.gates)
    if not measurements:
        return
    now = measurements[-1]
    st.subheader(_("Expert use by task"))
    if said := collapse(now.weights):
        st.warning("  \n".join(plain(one.text(_)) for one in said), icon=":material/hearing_disabled:")
    else:
        st.markdown(plain(sentence(now.weights).text(_)))
    names = {key: expert_name(key).text(_) for measurement in measurements for row in measurement.weights.values() for key in row}
    left, right = st.columns(2)
    with left:
        title = _("At step {step}").format(step=now.step)
        st.markdown(f"**{plain(title)}**")
        shown = {task: {names[key]: share for key, share in row.items()} for task, row in now.weights.items()}
        st.plotly_chart(plots.gates(shown, _), key=f"gates.{run_id}", alt=_("Gate weights by task and expert"), config=PLOTLY)
        st.caption(_("Mean over the texts of the validation rows."))
    with right:
        task = st.selectbox(_("Task"), list(now.weights), format_func=plain, key=f"gates.task.{run_id}", width=260)
        of_task = [(measurement.step, measurement.weights[task]) for measurement in measurements if task in measurement.weights]
        shares = {names[key]: [row.get(key, 0.0) for _step, row in of_task] for key in now.weights[task]}
        figure = plots.gates_by_step([step for step, _row in of_task], shares, _)
        plots.mark(figure, changes.marks(series, _))
        st.plotly_chart(figure, key=f"gates.steps.{run_id}", alt=_("Gate weights of the task by step"), config=PLOTLY)
