"""Charts of what the gates of a task give to the experts."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from mtl_core.base.messages import Translate
from mtl_core.plots.style import COLORS, blank, escape


def gates(weights: Mapping[str, Mapping[str, float]], translate: Translate = str) -> go.Figure:
    """What each task (a row) gives each expert (a column), shares in [0, 1]; darker is more. A gap: not an expert of that task."""
    experts = list(dict.fromkeys(expert for row in weights.values() for expert in row))
    share = np.array([[row.get(expert, np.nan) for expert in experts] for row in weights.values()])
    figure = blank("", "")
    figure.add_heatmap(
        z=share,
        x=[escape(expert) for expert in experts],
        y=[escape(task) for task in weights],
        text=[["" if np.isnan(value) else f"{value:.0%}" for value in row] for row in share],
        texttemplate="%{text}",
        textfont={"color": "#111111"},
        colorscale=[[0, "#F4F4F4"], [1, "#56B4E9"]],  # opaque and light, on a dark page too, so that dark numbers can be read
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate=translate("%{y}, %{x}: gate weight %{z:.1%}") + "<extra></extra>",
    )
    figure.update_xaxes(type="category", showgrid=False, tickangle=-35 if len(experts) > 4 else 0)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure.update_layout(height=min(700, 160 + 44 * len(weights)), hovermode="closest")


def gates_by_step(steps: Sequence[int], shares: Mapping[str, Sequence[float]], translate: Translate = str) -> go.Figure:
    """What one task gives each expert, by step, one on another up to 1. shares: expert → its share at each of `steps`."""
    figure = blank(translate("Step"), translate("Gate weight"))
    for number, (expert, values) in enumerate(shares.items()):
        figure.add_scatter(
            x=list(steps),
            y=list(values),
            name=escape(expert),
            stackgroup="experts",
            mode="lines",
            line={"width": 0.5, "color": COLORS[number % len(COLORS)]},
            hovertemplate="%{y:.1%}",
        )
    return figure.update_yaxes(range=[0, 1], tickformat=".0%")
