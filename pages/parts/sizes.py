"""How many rows the tables of an experiment have for training."""

from functools import partial
from pathlib import Path

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment
from mtl_core.config.parts import DataConfig
from mtl_core.config.tables import store, table_stamps
from mtl_core.data.problems import DataError
from pages.parts.background import desk
from pages.parts.frame import workspace


def training_rows(experiment: Experiment, base: Path | None, contained: bool, _: Translate) -> dict[str, int]:
    """Table → rows of its training split; without tables that cannot be read, which a training says with its reasons."""
    found: dict[str, int] = {}
    for name, table in experiment.data.items():
        try:
            key = ("rows", state(table, base, contained))
            work = desk().ask(key, partial(_rows, experiment, name, workspace(), base, contained))
            if not work.done():
                with st.spinner(_("Reading the tables …")):
                    work.exception()
            found[name] = work.result()
        except (DataError, OSError):
            continue
    return found


def state(table: DataConfig, base: Path | None, contained: bool) -> tuple[str, str, str]:
    """All that the rows of a table depend on: workspace, files with time and size, how they are read.

    Raises DataError: no such file.
    """
    return str(workspace().root), str(table_stamps(table, workspace(), base, contained)), table.model_dump_json()


def _rows(experiment: Experiment, name: str, where: Workspace, base: Path | None, contained: bool) -> int:
    return store(experiment, name, where, base, contained).split_sizes["train"]
