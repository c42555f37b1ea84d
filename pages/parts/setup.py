"""A new experiment: a weight for each task, every setting, the experiment as a file, start."""

from typing import Any

import streamlit as st

from mtl_core.balancing import BALANCING
from mtl_core.base.messages import Translate
from mtl_core.base.program import SAMPLE_SHOP
from mtl_core.base.settings import Widget, set_path, widgets
from mtl_core.config.experiment import Experiment, ExperimentError, TaskConfig, experiment_from_dict, experiment_from_yaml
from mtl_core.config.parts import OBJECTIVES
from mtl_core.jobs import jobs
from mtl_core.model.sharing import SHARING
from mtl_core.tasks import KINDS
from pages.parts import settings, source
from pages.parts.frame import workspace
from pages.parts.text import plain

OFTEN = (
    "name",
    "training.epochs",
    "training.steps",
    "training.batch_size",
    "optimizer.learning_rate",
    "encoder.name",
    "encoder.trainable",
    "encoder.max_length",
)
"""Settings that most people look at; all others are in an expander."""


def show(_: Translate) -> None:
    """From the choice of tasks to the start of the run."""
    chosen = source.choose(_)
    if chosen is None:
        return
    prefix, text = chosen
    try:
        experiment = experiment_from_yaml(text)
    except ExperimentError as error:
        source.show_faults(error.faults, _)
        return
    for part, found in (("balancing", experiment.balancing), ("sampling", experiment.sampling), ("sharing", experiment.sharing)):
        name = st.session_state.get(f"{prefix}.{part}.name", found.name)
        if name != found.name:  # another one has other options
            experiment = experiment.model_copy(update={part: type(found)(name=name)})
    st.subheader(_("Tasks and their loss weights"))
    tasks = _tasks(experiment, prefix, _)
    balancing = _balancing(experiment, len(tasks), prefix, _)
    st.subheader(_("Settings"))
    values = experiment.model_dump(mode="json")
    used = {experiment.tasks[name].data for name in tasks}
    values["data"] = {name: table for name, table in values["data"].items() if name in used}
    for path, value in (balancing | _settings(experiment, list(tasks), list(values["data"]), prefix, _)).items():
        set_path(values, path, value)
    values["tasks"] = tasks
    if not tasks:
        st.info(_("Choose at least one task."), icon=":material/info:")
        return
    try:
        ready = experiment_from_dict(values)
    except ExperimentError as error:
        source.show_faults(error.faults, _)
        return
    _start(ready, _)


def _start(experiment: Experiment, _: Translate) -> None:
    text = experiment.to_yaml()
    with st.container(horizontal=True):
        st.button(_("Start training"), type="primary", icon=":material/play_arrow:", key="start", on_click=_submit, args=(experiment,))
        st.download_button(
            _("Download experiment"),
            text,
            file_name=f"{experiment.name}.yaml",
            mime="application/yaml",
            icon=":material/download:",
            on_click="ignore",
            key="download",
        )
    with st.expander(_("The experiment as a file"), icon=":material/code:"):
        st.code(text, language="yaml", height=400)


def _submit(experiment: Experiment) -> None:
    st.session_state.run = jobs().submit(experiment, workspace(), SAMPLE_SHOP)


def _tasks(experiment: Experiment, prefix: str, _: Translate) -> dict[str, dict[str, Any]]:
    """A card for each task. Returns those that take part → what was set of them."""
    chosen: dict[str, dict[str, Any]] = {}
    meaning = BALANCING[experiment.balancing.name].slider
    with st.grid(2, min_column_width=320):
        for name, task in experiment.tasks.items():
            with st.container(border=True, height="stretch"):
                with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                    used = st.toggle(f"**{plain(name)}**", value=True, key=f"{prefix}.use.{name}", persist_state="session")
                    st.badge(_(KINDS[task.kind].label), color="gray")
                weight = settings.weight_slider(name, task.weight, f"{prefix}.weight.{name}", _, meaning, disabled=not used)
                own = [s for s in widgets(task.options) if settings.drawable(s)]
                options = {}
                if own:
                    with st.expander(_("Task options")):
                        options = {s.path: settings.draw(s, f"{prefix}.options.{name}", _) for s in own}
                with st.expander(_("When labels are scarce")):
                    scarce = {s.path: settings.draw(s, f"{prefix}.scarce.{name}", _) for s in _scarce(task)}
            if used:
                chosen[name] = {**task.model_dump(mode="json"), "weight": weight}
                for path, value in ({f"options.{path}": value for path, value in options.items()} | scarce).items():
                    set_path(chosen[name], path, value)
    return chosen


def _scarce(task: TaskConfig) -> list[Widget]:
    """What can be set of any task beside its weight and options, of its kind and columns what has an effect."""
    kind, left_out = KINDS[task.kind], {"kind", "data", "columns", "weight", "options"}
    if not kind.report.guesses(task.columns):
        left_out.add("pseudo_labels")
    if not kind.varies(task.columns):
        left_out.add("augmentation")
    return [s for s in widgets(task) if settings.drawable(s) and s.path.split(".")[0] not in left_out]


def _balancing(experiment: Experiment, n_tasks: int, prefix: str, _: Translate) -> dict[str, Any]:
    """Which strategy for the tasks that take part, and its options. Returns path → value."""
    values = settings.draw_all([s for s in widgets(experiment.balancing, "balancing") if settings.drawable(s)], prefix, _)
    strategy = BALANCING[experiment.balancing.name]
    st.caption(_(strategy.help) + " " + _("What a loss weight means here:") + " " + _(strategy.slider))
    if n_tasks == 1:
        st.caption(_("With one task there is nothing to balance: only its loss weight is used, whatever the strategy."))
    return values


def _settings(experiment: Experiment, names: list[str], tables: list[str], prefix: str, _: Translate) -> dict[str, Any]:
    """Every setting that is not a table's or a task's. names, tables: the tasks that take part, and theirs. Returns path → value."""
    elsewhere = ("data", "tasks", "balancing")
    everything = [s for s in widgets(experiment) if settings.drawable(s) and s.path.split(".")[0] not in elsewhere]
    everything = settings.with_choices(everything, "early_stopping.objective", "tasks", [*OBJECTIVES, *names], OBJECTIVES)
    everything = settings.with_keys(everything, "data", tables)
    by_path = {s.path: s for s in everything}
    values = settings.draw_all([by_path[path] for path in OFTEN if path in by_path], prefix, _)
    with st.expander(_("All other settings"), icon=":material/tune:"):
        rest = [s for s in everything if s.path not in OFTEN]
        for group in dict.fromkeys(s.path.split(".")[0] for s in rest):
            st.markdown(f"**{plain(_(Experiment.model_fields[group].title or group))}**")
            values |= settings.draw_all([s for s in rest if s.path.split(".")[0] == group], prefix, _)
            if group == "sharing":
                st.caption(_(SHARING[experiment.sharing.name].help))
    return values
