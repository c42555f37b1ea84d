"""A new experiment: its tasks line by line, its settings, what of them was changed, and the start, which is always in sight."""

from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mtl_core.balancing import BALANCING
from mtl_core.base.faults import Fault
from mtl_core.base.messages import Translate
from mtl_core.base.settings import set_path, widgets
from mtl_core.config.experiment import Experiment, ExperimentError, experiment_from_dict
from mtl_core.config.parts import OBJECTIVES
from mtl_core.data.shares import SAMPLING
from mtl_core.model.folders import folder_fault
from mtl_core.model.sharing import SHARING
from pages.parts import edits, elsewhere, estimated, languages, launch, settings, sizes, source, strategies, task_lines
from pages.parts.text import plain

OFTEN = (
    "name",
    "training.steps",
    "training.batch_size",
    "optimizer.learning_rate",
    "optimizer.head_learning_rate",
    "encoder.name",
    "encoder.trainable",
    "encoder.max_length",
    "sampling.name",
    "early_stopping.patience",
)
"""Settings that most people look at, beside weights and strategy; all others are folded, by topic."""


def show(_: Translate) -> None:
    """From the choice of tasks to the start of the run."""
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    found = source.choose(bar, _)
    if found is None:
        return
    start = launch.Places(bar, _)
    prefix, began = found.prefix, found.experiment
    experiment = _as_chosen(began, prefix)
    below = st.container()
    left, right = st.columns([3, 2], gap="small")
    with left:
        st.caption(_("Loss weight of each task, its share of all weights, and the rows that a step draws of its table."))
        lines = task_lines.show(experiment, prefix, _)
        told = st.container()
        changed = st.container()
    values, places = experiment.model_dump(mode="json"), {f"tasks.{name}": place for name, place in lines.places.items()}
    used = {task["data"] for task in lines.tasks.values()}
    values["data"] = {name: table for name, table in values["data"].items() if name in used}
    with right:
        places["balancing"] = st.container()
        with places["balancing"]:
            made = strategies.show(experiment, len(lines.tasks), prefix, _)
        if found.suited:
            st.caption(_said(found, _), help=_("Chosen for the size of your tables; what you set yourself stays."))
        often = st.container()
    made |= _settings(experiment, list(lines.tasks), list(values["data"]), prefix, often, places, _)
    for path, value in made.items():
        set_path(values, path, value)
    values["tasks"] = lines.tasks
    ready, faults = None, []
    if lines.tasks:
        try:
            ready = experiment_from_dict(values)
        except ExperimentError as error:
            faults = error.faults
    _at_their_field(faults, places, _)
    rows = sizes.training_rows(ready, found.base, found.contained, _) if ready else {}
    task_lines.write_shares(lines, ready, rows, _)
    why = "" if ready else _("Choose at least one task.") if not lines.tasks else "; ".join(_fault(fault, _) for fault in faults)
    if ready:
        with told:
            if not elsewhere.agreed(ready.encoder.name, found, _):
                ready, why = None, _("Say whether the encoder may be taken from there.")
    if ready and (lacking := folder_fault(ready.encoder.name)):
        ready, why = None, plain(lacking.text(_))
    launch.show(ready, found, why, start, below, _)
    if ready:
        with told:
            languages.show(ready, found, _)
        others: list[Experiment] = []
        with changed:
            edits.show(edits.edits(began, ready), prefix, lambda edit: estimated.effect(edit, ready, found, others, _), _)
        with start.estimate:
            estimated.show(ready, found, others, _)
        launch.file(ready, _)


def _as_chosen(experiment: Experiment, prefix: str) -> Experiment:
    """With the strategy, sampling and sharing that are chosen now, which have options of their own."""
    parts: dict[str, Mapping[str, Any]] = {"balancing": BALANCING, "sampling": SAMPLING, "sharing": SHARING}
    for part, registry in parts.items():
        found = getattr(experiment, part)
        name = settings.held(f"{prefix}.{part}.name", registry, found.name)
        if name != found.name:
            experiment = experiment.model_copy(update={part: type(found)(name=name)})
    return experiment


def _said(found: source.Source, _: Translate) -> str:
    by_path = {s.path: s for s in widgets(found.experiment)}
    words = [f"{plain(_(by_path[path].label))} {plain(_(by_path[path].word(value)))}" for path, value in found.suited.items()]
    return ":material/straighten: " + _("Suits your tables: {settings}").format(settings=", ".join(words))


def _settings(
    experiment: Experiment,
    names: list[str],
    tables: list[str],
    prefix: str,
    often: DeltaGenerator,
    places: dict[str, DeltaGenerator],
    _: Translate,
) -> dict[str, Any]:
    """Every setting that is not a table's or a task's. names, tables: the tasks that take part, and theirs. often: where OFTEN stands;
    places: gets where the others stand. Returns path → value."""
    drawn = ("data", "tasks", "balancing")
    everything = [s for s in widgets(experiment) if settings.drawable(s) and s.path.split(".")[0] not in drawn]
    everything = settings.with_choices(everything, "early_stopping.objective", "tasks", [*OBJECTIVES, *names], OBJECTIVES)
    everything = settings.with_keys(everything, "data", tables)
    by_path = {s.path: s for s in everything}
    with often:
        values = settings.draw_all([by_path[path] for path in OFTEN if path in by_path], prefix, _, width=150, columns=2, even=True)
    places |= dict.fromkeys(OFTEN, often)
    rest = [s for s in everything if s.path not in OFTEN]
    for group in dict.fromkeys(s.path.split(".")[0] for s in rest):
        places[group] = st.expander(_(Experiment.model_fields[group].title or group))
        with places[group]:
            values |= settings.draw_all([s for s in rest if s.path.split(".")[0] == group], prefix, _)
            if group == "sharing":
                st.caption(_(SHARING[experiment.sharing.name].help))
    return values


def _at_their_field(faults: list[Fault], places: dict[str, DeltaGenerator], _: Translate) -> None:
    for fault in faults:
        path = fault.path
        while path and path not in places:
            path = path.rpartition(".")[0]
        if path:
            places[path].error(_fault(fault, _), icon=":material/error:")


def _fault(fault: Fault, _: Translate) -> str:
    return _("{setting}: expected {wanted}").format(setting=plain(fault.path), wanted=plain(fault.wanted.text(_)))
