"""What all charts have in common: colours, kinds of line, the empty figure, labels as people wrote them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

# Okabe and Ito: Color Universal Design, https://jfly.uni-koeln.de/color/ — without black, which a dark page swallows.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")
_AXIS = "#000037"
"""Axes' text. Streamlit's charts put their strong grey in its place, light or dark (`streamlit_plotly_theme.GRAY_90`); of themselves they
take a grey of less contrast than 4.5 : 1. In a notebook it is what it says, nearly black."""
PATTERNS = ("", "/", ".", "x", "\\", "-")


def task_colors(names: Iterable[str]) -> dict[str, str]:
    """A colour for each task, by its place among the sorted `names`: give all tasks of what is compared, not those shown."""
    return {name: COLORS[i % len(COLORS)] for i, name in enumerate(sorted(set(names)))}


def task_dashes(names: Iterable[str]) -> dict[str, str]:
    """A kind of line for each task, which parts those that share a colour: solid for the first eight, the next for the next eight ..."""
    return {name: DASHES[i // len(COLORS) % len(DASHES)] for i, name in enumerate(sorted(set(names)))}


def run_dashes(names: Iterable[str]) -> dict[str, str]:
    """A kind of line for each run, in the order given."""
    return {name: DASHES[i % len(DASHES)] for i, name in enumerate(names)}


def blank(x_title: str, y_title: str) -> go.Figure:
    return go.Figure(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "height": 340,
            "margin": {"l": 8, "r": 8, "t": 36, "b": 8},
            "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
            "hovermode": "x unified",
            "uirevision": "keep",
            "xaxis": _axis(x_title),
            "yaxis": _axis(y_title),
        }
    )


def _axis(title: str) -> dict[str, Any]:
    return {"title": {"text": title, "font": {"color": _AXIS}}, "tickfont": {"color": _AXIS}, "automargin": True}


def add_line(
    figure: go.Figure,
    x: Sequence[float],
    y: Sequence[float] | np.ndarray,
    name: str,
    color: str,
    dash: str = "solid",
    shape: str = "linear",
    **trace: Any,
) -> None:
    line = {"color": color, "dash": dash, "shape": shape, "width": 2}
    options = {"mode": "lines", "hovertemplate": "%{y:.4g}", **trace}
    figure.add_scatter(x=np.asarray(x), y=np.asarray(y), name=escape(name), legendgroup=name, line=line, **options)


def cycle(kinds: Sequence[str], n: int) -> list[str]:
    return [kinds[i % len(kinds)] for i in range(n)]


def escape(text: object) -> str:
    """Plotly reads a little HTML in labels; what people wrote is shown as it is."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
