"""How many rows the tables of an experiment have for training."""

from pathlib import Path

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.config.experiment import Experiment, resolve_file
from mtl_core.config.tables import files_of, store
from mtl_core.data.problems import DataError
from pages.parts.frame import workspace

_KNOWN: dict[tuple[str, str, str], int] = {}
"""Files with time and size, workspace, how they are read → training rows. A table is read once, not at every click."""


def training_rows(experiment: Experiment, base: Path | None, contained: bool, _: Translate) -> dict[str, int]:
    """Table → rows of its training split; without tables that cannot be read, which a training says with its reasons."""
    found: dict[str, int] = {}
    for name, table in experiment.data.items():
        try:
            paths = [resolve_file(file, base, workspace(), contained) for file in files_of(table)]
            key = (
                str([(path, path.stat().st_mtime_ns, path.stat().st_size) for path in paths]),
                str(workspace().root),
                table.model_dump_json(),
            )
            if key not in _KNOWN:
                with st.spinner(_("Reading the tables …")):
                    _KNOWN[key] = store(experiment, name, workspace(), base, contained).split_sizes["train"]
            found[name] = _KNOWN[key]
        except (DataError, OSError):
            continue
    return found
