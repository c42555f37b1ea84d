"""How many rows the tables of an experiment have for training."""

from pathlib import Path

import streamlit as st

from mtl_core.api.checked import training_rows as rows_of
from mtl_core.base.apart import ApartError
from mtl_core.base.messages import Translate
from mtl_core.config.experiment import Experiment, resolve_file
from mtl_core.config.parts import DataConfig
from mtl_core.config.tables import table_stamps
from mtl_core.data.problems import DataError
from pages.parts.background import desk
from pages.parts.frame import workspace


def training_rows(experiment: Experiment, base: Path | None, contained: bool, _: Translate) -> dict[str, int]:
    """Table → rows of its training split; without tables that cannot be read, which a training says with its reasons."""
    found: dict[str, int] = {}
    for name, table in experiment.data.items():
        try:
            path = resolve_file(table.file, base, workspace(), contained)
            key = ("rows", state(table, base, contained))
            work = desk().apart(key, rows_of, table.model_dump(mode="json"), name, workspace(), base, contained, about=path)
            if not work.done():
                with st.spinner(_("Reading the tables …")):
                    work.exception()
            found[name] = work.result()
        except (DataError, ApartError, OSError):
            continue
    return found


def state(table: DataConfig, base: Path | None, contained: bool) -> tuple[str, str, str]:
    """All that the rows of a table depend on: workspace, files with time and size, how they are read.

    Raises DataError: no such file.
    """
    return str(workspace().root), str(table_stamps(table, workspace(), base, contained)), table.model_dump_json()
