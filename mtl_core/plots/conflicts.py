"""Charts of how the tasks' gradients get on with one another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from mtl_core.base.messages import Translate
from mtl_core.plots.report import shares
from mtl_core.plots.style import blank, escape, task_colors

MOST_NUMBERED = 8
"""Tasks up to which the cells have room for their numbers; of more the numbers show where one points."""


def agreement(tasks: Sequence[str], cosine: np.ndarray, significant: np.ndarray, translate: Translate = str) -> go.Figure:
    """(K, K) cosines of the tasks' gradients: blue where they agree, orange where they pull apart, grey where not significant."""
    shown = ~np.eye(len(tasks), dtype=bool) & np.isfinite(cosine)
    return _pairs(tasks, cosine, significant, shown, 0.1, "+.2f", translate("%{x} and %{y}: cosine similarity %{text}"))


def affinity(tasks: Sequence[str], change: np.ndarray, significant: np.ndarray, translate: Translate = str) -> go.Figure:
    """(K, K), rows: whose step, columns: whose loss; blue where the step takes off the loss (in per cent of it), orange where it adds."""
    hover = translate("A step on %{y} lowers the loss of %{x} by %{text} %")
    figure = _pairs(tasks, 100 * change, significant, np.isfinite(change), 0.0, "+.2f", hover)
    figure.update_xaxes(title=translate("Task whose loss changes"))
    return figure.update_yaxes(title=translate("Task that takes the step"))


def _pairs(
    tasks: Sequence[str], values: np.ndarray, significant: np.ndarray, shown: np.ndarray, least: float, number: str, hover: str
) -> go.Figure:
    """(K, K) values by colour: blue above 0, orange below, grey where not significant. least: the deepest colour stands for this or more;
    number: how they are written."""
    names = [escape(task) for task in tasks]
    most = max(least, float(np.abs(values[shown]).max(initial=0)), 1e-12)
    figure = blank("", "")
    common: dict[str, Any] = {"x": names, "y": names, "xgap": 1, "ygap": 1, "showscale": False, "hoverinfo": "skip"}
    grey = "#B8B8B8"  # cells are opaque and light, on a dark page too, so that dark numbers can be read on all of them
    figure.add_heatmap(z=np.where(shown & ~significant, 0.0, np.nan), colorscale=[[0, grey], [1, grey]], **common)
    figure.add_heatmap(
        z=np.where(shown & significant, values, np.nan),
        zmin=-most,
        zmax=most,
        colorscale=[[0, "#F0913F"], [0.5, "#F4F4F4"], [1, "#56B4E9"]],
        **common,
    )
    rows, columns = np.nonzero(shown)
    figure.add_scatter(
        x=[names[i] for i in columns],
        y=[names[i] for i in rows],
        text=[format(value, number) for value in values[shown]],
        mode="text" if len(names) <= MOST_NUMBERED else "markers",
        textfont={"color": "#111111"},
        marker={"opacity": 0},
        showlegend=False,
        hovertemplate=hover + "<extra></extra>",
    )
    figure.update_xaxes(type="category", showgrid=False, tickangle=-35 if len(names) > 4 else 0)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure.update_layout(height=min(700, 160 + 44 * len(names)), hovermode="closest")


def task_shares(values: Mapping[str, float], title: str = "") -> go.Figure:
    """Lying bars of shares in [0, 1], each task in its colour."""
    colors = task_colors(values)
    figure = shares(values, title)
    order = [name for name, _value in sorted(values.items(), key=lambda item: item[1])]
    return figure.update_traces(marker={"color": [colors[name] for name in order]})
