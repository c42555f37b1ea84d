"""Charts of several runs, or ways of training, side by side."""

from collections.abc import Mapping

import plotly.graph_objects as go

from mtl_core.messages import Translate
from mtl_core.plots.style import PATTERNS, SYMBOLS, blank, cycle, escape, task_colors


def metric_bars(values: Mapping[str, Mapping[str, float]], translate: Translate = str, title: str = "") -> go.Figure:
    """Bars side by side: values is run → task → value. Tasks along the axis in their colours, runs by pattern."""
    tasks = list(dict.fromkeys(task for row in values.values() for task in row))
    colors = task_colors(tasks)
    figure = blank("", title or translate("Value"))
    for (run, row), pattern in zip(values.items(), cycle(PATTERNS, len(values)), strict=True):
        shown = [task for task in tasks if task in row]
        figure.add_bar(
            x=[escape(task) for task in shown],
            y=[row[task] for task in shown],
            name=escape(run),
            marker={"color": [colors[task] for task in shown], "pattern": {"shape": pattern, "fillmode": "overlay"}},
            hovertemplate="%{x}: %{y:.4f}<extra>%{fullData.name}</extra>",
        )
    return figure.update_layout(barmode="group", hovermode="closest")


def changes(rows: Mapping[str, Mapping[str, tuple[float, float | None]]], translate: Translate = str) -> go.Figure:
    """How tasks change by a way of training: way → task → (change, half its interval or None). Tasks below one another in their
    colours, ways by the sign of the point; what is right of the line is better."""
    tasks = list(dict.fromkeys(task for row in rows.values() for task in row))
    colors = task_colors(tasks)
    figure = blank(translate("Change to training alone; right is better"), "")
    figure.add_vline(x=0, line={"color": "#999999", "dash": "dot", "width": 1})
    for n, ((way, row), symbol) in enumerate(zip(rows.items(), cycle(SYMBOLS, len(rows)), strict=True)):
        at = (n - (len(rows) - 1) / 2) * 0.5 / max(1, len(rows) - 1)
        look = {"symbol": symbol, "size": 10}
        figure.add_scatter(x=[None], y=[None], mode="markers", name=escape(way), marker={**look, "color": "#999999"})
        for task, (change, half) in row.items():
            figure.add_scatter(
                x=[change],
                y=[tasks.index(task) + at],
                error_x={"array": [half], "color": colors[task]} if half is not None else None,
                mode="markers",
                name=escape(f"{task} · {way}"),
                marker={**look, "color": colors[task]},
                showlegend=False,
                hovertemplate="%{x:+.4f}" + ("" if half is None else f" ± {half:.4f}"),
            )
    figure.update_yaxes(
        tickvals=list(range(len(tasks))),
        ticktext=[escape(task) for task in tasks],
        range=[len(tasks) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    return figure.update_layout(height=150 + 56 * len(tasks), hovermode="closest")
