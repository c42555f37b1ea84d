"""Where the tasks of a new experiment come from, and what is wrong with an experiment."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mtl_core.base.faults import ExperimentError, Fault
from mtl_core.base.messages import N_, Translate
from mtl_core.base.program import SAMPLE_SHOP
from mtl_core.base.settings import set_path
from mtl_core.config import drafts
from mtl_core.config.experiment import Experiment, experiment_from_dict, experiment_from_yaml, load_experiment
from mtl_core.config.seeds import without_seed
from mtl_core.config.suited import suited
from mtl_core.config.tables import files_of
from mtl_core.tracking.runs import Run, list_runs
from pages.parts import cells, changes, sizes
from pages.parts.frame import page, workspace
from pages.parts.placed import labelled
from pages.parts.sample import SHOPS
from pages.parts.text import plain
from pages.parts.url import keep

SOURCES = {"draft": N_("My tasks"), "sample": N_("Sample shop"), "whole": N_("Whole sample shop"), "file": N_("Experiment file")}

WIDTH = 465
"""Of the sources beside each other, in pixels."""


@dataclass(frozen=True)
class Source:
    """An experiment to begin with. prefix: of the widgets' keys; base, contained: as `jobs().submit` takes them.

    suited: path → value, what was chosen for the size of the tables. sent: by a file, which anybody may have written.
    """

    prefix: str
    experiment: Experiment
    base: Path | None
    contained: bool = True
    suited: dict[str, Any] = field(default_factory=dict)
    sent: bool = False


def choose(bar: DeltaGenerator, _: Translate) -> Source | None:
    """bar: where the choice stands. None while there is nothing to show, and says what to do."""
    draft = drafts.load(workspace())
    asked = st.session_state.get("from") or st.query_params.get("from")
    every = {} if asked is None or asked in SOURCES else {run.id: run for run in list_runs(workspace())}
    runs = {asked: every[asked]} if asked in every else {}
    keep("from", "draft" if draft.tasks else "sample", [*SOURCES, *runs])
    names = {name: _(label) for name, label in SOURCES.items()} | {
        i: _("From the run “{name}”").format(name=plain(run.name)) for i, run in runs.items()
    }
    with bar, labelled(_("Tasks to train"), "content" if runs else WIDTH):
        chosen = st.segmented_control(
            _("Tasks to train"),
            list(names),
            key="from",
            required=True,
            wrap=True,
            format_func=names.__getitem__,
            label_visibility="collapsed",
            width="content" if runs else "stretch",
        )
    try:
        if chosen in SHOPS:
            return Source(chosen, _shop(SHOPS[chosen], SHOPS[chosen].stat().st_mtime_ns), SAMPLE_SHOP)
        if chosen in runs:
            return _again(runs[chosen], every.values(), _)
        return _draft(draft, _) if chosen == "draft" else _file(_)
    except ExperimentError as error:
        show_faults(error.faults, _)
        return None


@lru_cache(maxsize=4)
def _shop(path: Path, changed: int) -> Experiment:
    """changed: when the file was, so that it is parsed once, not at every click."""
    return load_experiment(path)


def _again(run: Run, every: Iterable[Run], _: Translate) -> Source:
    """The settings of a run, under a name that no run has yet."""
    if run.steered:
        changes.not_taken_over(run, _)
    experiment = run.experiment.model_copy(update={"name": _unused(run.experiment, {one.name for one in every})})
    return Source(run.id, experiment, run.base, run.contained)


def _unused(experiment: Experiment, taken: Collection[str]) -> str:
    """shop, shop 2, shop 3 …"""
    name = without_seed(experiment.name, experiment.seed)
    before, _blank, number = name.rpartition(" ")
    name = before if number.isdecimal() and before in taken else name
    return next(n for n in (name, *(f"{name[:58]} {i}" for i in range(2, len(taken) + 3))) if n not in taken)


def _draft(draft: drafts.Draft, _: Translate) -> Source | None:
    if not draft.tasks:
        st.info(_("You have no tasks yet. Add one on the page Data, or use the sample shop."), icon=":material/info:")
        st.page_link(page("data"), label=_("Go to Data"), icon=":material/table:")
        return None
    values: dict[str, Any] = {"name": "experiment", "data": draft.data, "tasks": draft.tasks}
    chosen = suited(sizes.training_rows(experiment_from_dict(values), None, True, _))
    before = st.session_state.setdefault("draft.suited", chosen)
    for path, value in chosen.items():
        set_path(values, path, value)
        key = f"draft.{path}"
        if key in st.session_state and st.session_state[key] == before.get(path):  # not a person's own choice
            st.session_state[key] = value
    st.session_state["draft.suited"] = chosen
    return Source("draft", experiment_from_dict(values), None, suited=chosen)


def _file(_: Translate) -> Source | None:
    file = st.file_uploader(_("Experiment file (YAML)"), type=["yaml", "yml"], key="experiment_file", max_upload_size=1)
    if file is not None:
        st.session_state.experiment_text = file.getvalue().decode("utf-8", errors="replace")
    if "experiment_text" not in st.session_state:
        st.caption(_("Choose a file that was downloaded here or written by hand."))
        return None
    text = st.session_state.experiment_text
    experiment = experiment_from_yaml(text)
    own = all(
        (workspace().root / file).is_file() for table in experiment.data.values() for file in files_of(table)
    )  # else one of the sample shop
    return Source(f"file{hash(text)}", experiment, None if own else SAMPLE_SHOP, sent=True)


def show_faults(faults: Sequence[Fault], _: Translate) -> None:
    """All of them: where, what was found, what is wanted."""
    st.error(_("The experiment cannot be run. Errors found: {n}").format(n=len(faults)), icon=":material/error:")
    cells.table(
        {
            _("Line"): [f.line for f in faults],
            _("Setting"): [f.path for f in faults],
            _("Found"): [f.found if isinstance(f.found, str) else f.found.text(_) for f in faults],
            _("Expected"): [f.wanted.text(_) for f in faults],
        },
        key="faults",
        alt=_("Errors in the experiment: line, setting, value found, value expected"),
    )
