"""What all charts have in common: colours, kinds of line, the empty figure, labels as people wrote them."""

import json
import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from filelock import FileLock

from mtl_core.base.files import write_atomically
from mtl_core.base.workspace import Workspace

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
"""Of tasks. Okabe and Ito: Color Universal Design, https://jfly.uni-koeln.de/color/, without black, which a dark page swallows."""
RUN_COLORS = ("#6677CC", "#CC6677", "#44AA99", "#AA4499", "#999933", "#117733")
"""Of runs, none of them a task's. Tol: Colour Schemes, https://sronpersonalpages.nl/~pault/: muted, with a lighter indigo."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")
_AXIS = "#000037"
"""Axes' text. Streamlit's charts put their strong grey in its place, light or dark (`streamlit_plotly_theme.GRAY_90`); of themselves they
take a grey of less contrast than 4.5 : 1. In a notebook it is what it says, nearly black."""

_FILE = "task_colors.json"
_LOCK = threading.Lock()
_unwritten: dict[Path, dict[str, int]] = {}


def task_colors(names: Iterable[str]) -> dict[str, str]:
    """A colour for each task: the same on every page, in every chart and run of the default workspace, which remembers it.

    names: all tasks that are shown together. A task seen for the first time gets a colour that none of them has, while there is one.
    """
    return {name: COLORS[number % len(COLORS)] for name, number in _numbers(names).items()}


def task_dashes(names: Iterable[str]) -> dict[str, str]:
    """A kind of line for each task, which parts those that share a colour; solid for the first that had it. names: as of `task_colors`."""
    return {name: DASHES[number // len(COLORS) % len(DASHES)] for name, number in _numbers(names).items()}


def run_colors(names: Iterable[str]) -> dict[str, str]:
    """A colour for each run, in the order given."""
    return {name: RUN_COLORS[i % len(RUN_COLORS)] for i, name in enumerate(names)}


def run_dashes(names: Iterable[str]) -> dict[str, str]:
    """A kind of line for each run, in the order given."""
    return {name: DASHES[i % len(DASHES)] for i, name in enumerate(names)}


def _numbers(names: Iterable[str]) -> dict[str, int]:
    """Task → the number that its colour and its line come from; new ones are written into the workspace, where there is one."""
    wanted, root = sorted(set(names)), Workspace.default().root
    with _LOCK:
        known = _read(root)
        if not set(wanted) <= known.keys():
            with FileLock(root / f"{_FILE}.lock") if os.access(root, os.W_OK) else nullcontext():
                known = with_numbers(_read(root), wanted)
                try:
                    write_atomically(root / _FILE, json.dumps(known, ensure_ascii=False, indent=0) + "\n")
                except OSError:  # it may not be written, or is not there yet: this process knows
                    _unwritten[root] = known
    return {name: known[name] for name in wanted}


def _read(root: Path) -> dict[str, int]:
    try:
        return _unwritten.get(root, {}) | json.loads((root / _FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return _unwritten.get(root, {})


def with_numbers(known: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    """`known` and a number for each of `names` that it lacks: the colour that fewest of `names`, then fewest of all, have, then the next
    kind of line for it."""
    numbers = dict(known)
    for name in names:
        if name not in numbers:
            beside = Counter(numbers[n] % len(COLORS) for n in names if n in numbers)
            taken = Counter(number % len(COLORS) for number in numbers.values())
            color = min(range(len(COLORS)), key=lambda c: (beside[c], taken[c], c))
            numbers[name] = color + len(COLORS) * taken[color]
    return numbers


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
