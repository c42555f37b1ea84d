"""Tasks whose texts the chosen encoder's tokenizer breaks to pieces, said before a training."""

from functools import partial
from pathlib import Path

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.base.workspace import Workspace
from mtl_core.config.doubts import language_of
from mtl_core.config.experiment import Experiment, ExperimentError
from mtl_core.config.tables import store
from mtl_core.data.problems import DataError, Problem
from pages.parts import sizes
from pages.parts.background import desk, follow, ready, settle
from pages.parts.frame import workspace
from pages.parts.source import Source
from pages.parts.text import plain


def show(experiment: Experiment, found: Source, _: Translate) -> None:
    """A warning a task; nothing where the tokenizer is not on this machine, or a table cannot be read. Tables are looked at in the
    background, once for each encoder."""
    where, works = workspace(), {}
    for name, task in experiment.tasks.items():
        table = experiment.data[task.data]
        try:
            rows = sizes.state(table, found.base, found.contained)
        except (DataError, ExperimentError, OSError):
            continue
        key = ("language", rows, task.kind, str(task.columns), experiment.encoder.name)
        works[name] = desk().ask(key, partial(_problems, experiment, name, where, found.base, found.contained))
    follow(settle(works.values()), _("Reading the texts … {seconds} s"), _)
    for name, work in works.items():
        for problem in ready(work) or []:
            st.warning(plain(f"{name}: {problem.why.text(_)} {problem.remedy.text(_)}"), icon=":material/translate:")


def _problems(experiment: Experiment, name: str, where: Workspace, base: Path | None, contained: bool) -> list[Problem]:
    task = experiment.tasks[name]
    try:
        return language_of(task, store(experiment, task.data, where, base, contained), experiment.encoder.name)
    except (DataError, OSError):
        return []
