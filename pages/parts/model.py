"""Trained models, loaded once for all sessions; a newer checkpoint of the same run is loaded again."""

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from mtl_core.runtime.steps import written
from mtl_core.tracking.runs import Run

if TYPE_CHECKING:
    from mtl_core.inference.predictor import Predictor


def load(run: Run, name: str = "best") -> "Predictor":
    """A checkpoint of `run`, which has it."""
    checkpoint = run.checkpoint(name)
    assert checkpoint is not None
    return _load(f"{run.id}/{name}", written(checkpoint), checkpoint)


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(which: str, changed: int, _checkpoint: Path) -> "Predictor":
    from mtl_core.inference.predictor import Predictor

    return Predictor(_checkpoint)
