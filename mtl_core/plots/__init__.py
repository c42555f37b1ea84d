"""Charts: data in, Plotly figure out, usable in a notebook. Nothing else is read or written but which colour a task has (`style`).

A task has one colour everywhere; runs have colours of their own, and kinds of line. Backgrounds are transparent so that the page's light or
dark theme shows.
What is drawn is sent whole: a long line comes with few points (`tracking.series.Curve`). `uirevision` keeps the zoom while new ones arrive.
"""

from mtl_core.plots.comparison import changes, efficiency, metric_bars
from mtl_core.plots.conflicts import affinity, agreement, task_shares
from mtl_core.plots.curves import (
    Points,
    SeriesLike,
    effective_weights,
    mark,
    overlay,
    small,
    smooth,
    training_curves,
    validation_curves,
    weights,
)
from mtl_core.plots.experts import gates, gates_by_step
from mtl_core.plots.report import CHARTS, lengths, panel, shares
from mtl_core.plots.style import COLORS, RUN_COLORS, run_colors, run_dashes, task_colors, task_dashes

__all__ = [
    "CHARTS",
    "COLORS",
    "RUN_COLORS",
    "Points",
    "SeriesLike",
    "affinity",
    "agreement",
    "changes",
    "effective_weights",
    "efficiency",
    "gates",
    "gates_by_step",
    "lengths",
    "mark",
    "metric_bars",
    "overlay",
    "panel",
    "run_colors",
    "run_dashes",
    "shares",
    "small",
    "smooth",
    "task_colors",
    "task_dashes",
    "task_shares",
    "training_curves",
    "validation_curves",
    "weights",
]
