"""Charts of one model and its data: the panels of a report, the probabilities of a prediction, the lengths of texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from mtl_core.base.messages import Translate
from mtl_core.plots.style import COLORS, blank, cycle, escape


def panel(part: Mapping[str, Any], translate: Translate = str) -> go.Figure:
    """The chart of a report's panel. Raises KeyError: a type that is no chart (a table)."""
    return CHARTS[part["type"]](part["data"], translate)


def _matrix(data: Mapping[str, Any], translate: Translate) -> go.Figure:
    """Confusion: colour by the share of the true class, the counts written in when there is room.

    data: labels, and values [[int, ...], ...], rows true and columns predicted.
    """
    labels = [escape(translate(label) if label else label) for label in data["labels"]]
    counts = np.asarray(data["values"], dtype=np.int64).reshape(len(labels), len(labels))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = blank(translate("Predicted"), translate("True"))
    roomy = len(labels) <= 12
    figure.add_heatmap(
        z=share,
        x=labels,
        y=labels,
        customdata=counts,
        text=counts if roomy else None,
        texttemplate="%{text}" if roomy else None,
        colorscale=[[0, "rgba(0,114,178,0.06)"], [1, "rgba(0,114,178,1)"]],
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate=translate("true %{y}, predicted %{x}: %{customdata}") + "<extra></extra>",
    )
    figure.update_xaxes(type="category", showgrid=False, tickangle=-35 if len(labels) > 4 else 0)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure.update_layout(height=min(900, 180 + 34 * len(labels)), hovermode="closest")


def _reliability(data: Mapping[str, Any], translate: Translate) -> go.Figure:
    """Observed frequency against predicted probability; the diagonal is perfect, the dots grow with the rows behind them.

    data: confidence, observed, count: one number a bin each.
    """
    figure = blank(translate("Predicted probability"), translate("Observed frequency"))
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name=translate("Perfectly calibrated"), line={"dash": "dot", "color": "#999999"}, hoverinfo="skip"
    )
    count = np.asarray(data["count"], dtype=np.float64)
    figure.add_scatter(
        x=data["confidence"],
        y=data["observed"],
        customdata=data["count"],
        mode="lines+markers",
        name=translate("Model"),
        line={"color": COLORS[0]},
        marker={"size": 6 + 14 * np.sqrt(count / max(count.max(initial=0), 1))},
        hovertemplate="%{x:.3f} → %{y:.3f} (%{customdata})<extra></extra>",
    )
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(range=[-0.02, 1.02])
    return figure.update_layout(hovermode="closest")


CHARTS = {"matrix": _matrix, "reliability": _reliability}
"""Panel type → how it is drawn. Tables are no charts: a page shows them as tables. A new chart is a function and a line here, and a kind
whose `Report.panels` gives its data, JSON of a shape that `api.runs.panel_rows` can write as rows."""


def shares(values: Mapping[str, float], title: str = "") -> go.Figure:
    """Lying bars of numbers in [0, 1], the largest on top: the probabilities of classes."""
    ordered = sorted(values.items(), key=lambda item: item[1])
    figure = blank(title, "")
    figure.add_bar(
        x=[value for _name, value in ordered],
        y=[escape(name) for name, _value in ordered],
        orientation="h",
        marker={"color": COLORS[0]},
        text=[f"{value:.1%}" for _name, value in ordered],
        textposition="outside",  # on a bar it would be read on the bar's colour
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.4f}<extra></extra>",
    )
    figure.update_xaxes(range=[0, 1.1], tickvals=[0, 0.25, 0.5, 0.75, 1], tickformat=".0%")
    figure.update_yaxes(type="category")
    return figure.update_layout(height=90 + 34 * len(ordered), showlegend=False, hovermode="closest")


def lengths(
    histogram: Mapping[str, tuple[Sequence[int] | np.ndarray, Sequence[float] | np.ndarray]], translate: Translate = str
) -> go.Figure:
    """How long texts are. histogram: name (a column, a split) → (counts, edges) as numpy.histogram gives them."""
    figure = blank(translate("Tokens per text"), translate("Number of texts"))
    for color, (name, (counts, edges)) in zip(cycle(COLORS, len(histogram)), histogram.items(), strict=True):
        ends = np.asarray(edges, dtype=np.float64)
        figure.add_bar(
            x=(ends[:-1] + ends[1:]) / 2,
            y=np.asarray(counts),
            width=np.diff(ends),
            name=escape(name),
            marker={"color": color, "line": {"width": 0}},
            opacity=1 if len(histogram) == 1 else 0.6,
        )
    return figure.update_layout(barmode="overlay", bargap=0, showlegend=len(histogram) > 1)
