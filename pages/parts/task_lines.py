"""Before the start: a line a task, with its kind, loss weight, share, options, and whether it takes part."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mtl_core.balancing import BALANCING
from mtl_core.base.messages import N_, Translate, plural
from mtl_core.base.settings import Widget, set_path, widgets
from mtl_core.config.experiment import Experiment, TaskConfig
from mtl_core.tasks import KINDS
from mtl_core.training.estimate import rows_of_a_step
from pages.parts import settings
from pages.parts.placed import LINE
from pages.parts.text import plain

MOST_LINES = 8
"""Beyond these the lines scroll in their own box, so that what stands below them stays in sight."""

SHORT_NAME = 18
"""Characters of a task's name that are surely seen in its line; a longer one is whole in a hint."""


@dataclass
class Lines:
    """tasks: those that take part → what was set of them; places: task → its line; shares: task → where its share is written."""

    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, DeltaGenerator] = field(default_factory=dict)
    shares: dict[str, DeltaGenerator] = field(default_factory=dict)


def show(experiment: Experiment, prefix: str, _: Translate) -> Lines:
    found = Lines()
    meaning = BALANCING[experiment.balancing.name].slider
    many = len(experiment.tasks) > MOST_LINES
    with st.container(height=470 if many else "content", border=many, gap="xsmall", key="task_lines"):
        for name, task in experiment.tasks.items():
            found.places[name] = st.container(gap="xxsmall")
            with found.places[name].container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                _line(name, task, prefix, meaning, found, _)
    return found


def _line(name: str, task: TaskConfig, prefix: str, meaning: str, found: Lines, _: Translate) -> None:
    whole = plain(name) if len(name) > SHORT_NAME else None
    with st.container(width=190, height=LINE, border=False, vertical_alignment="center"):
        used = st.toggle(f"**{plain(name)}**", value=True, key=f"{prefix}.use.{name}", persist_state="session", help=whole)
    st.caption(_(KINDS[task.kind].label), width=112)
    weight = settings.weight_slider(name, task.weight, f"{prefix}.weight.{name}", _, meaning, disabled=not used, bare=True, width=130)
    found.shares[name] = st.container(width=72, height=44, border=False)  # two lines
    values = {"weight": weight}
    with st.popover(
        "", icon=":material/tune:", type="tertiary", help=_("Options of {task}").format(task=plain(name)), key=f"{prefix}.more.{name}"
    ):
        st.markdown(f"**{plain(name)}**")
        for group, where in ((_own(task), "options"), (_scarce(task), "scarce")):
            drawn = settings.draw_all(group, f"{prefix}.{where}.{name}", _, width=150, columns=2)
            values |= {f"options.{path}" if where == "options" else path: value for path, value in drawn.items()}
            if group and where == "options":
                st.divider()
    if used:
        found.tasks[name] = task.model_dump(mode="json")
        for path, value in values.items():
            set_path(found.tasks[name], path, value)


def write_shares(found: Lines, experiment: Experiment | None, rows: Mapping[str, int], _: Translate) -> None:
    """Behind each slider: its share of the weights, and the rows of a step. experiment: as it would be started, if it can be."""
    total = sum(task["weight"] for task in found.tasks.values())
    drawn = rows_of_a_step(experiment, rows) if experiment else {}
    for name, task in found.tasks.items():
        parts = [f"{task['weight'] / total:.0%}"] if total else []
        if task["data"] in drawn:
            n = round(drawn[task["data"]])
            parts.append(_(plural(n, N_("1 row"), N_("{rows:,} rows"))).format(rows=n))
        found.shares[name].caption("  \n".join(parts))


def _own(task: TaskConfig) -> list[Widget]:
    return [s for s in widgets(task.options) if settings.drawable(s)]


def _scarce(task: TaskConfig) -> list[Widget]:
    """What can be set of any task beside its weight and options, of its kind and columns what has an effect."""
    kind, left_out = KINDS[task.kind], {"kind", "data", "columns", "weight", "options"}
    if not kind.report.guesses(task.columns):
        left_out.add("pseudo_labels")
    if not kind.varies(task.columns):
        left_out.add("augmentation")
    return [s for s in widgets(task) if settings.drawable(s) and s.path.split(".")[0] not in left_out]
