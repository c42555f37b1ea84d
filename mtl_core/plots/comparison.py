"""Charts of several runs, or ways of training, side by side."""

from collections.abc import Iterable, Mapping, Sequence

import plotly.graph_objects as go

from mtl_core.base.messages import Translate
from mtl_core.plots.style import DASHES, SYMBOLS, blank, cycle, escape, run_colors, task_colors


def metric_bars(values: Mapping[str, Mapping[str, float]], translate: Translate = str, title: str = "") -> go.Figure:
    """Bars side by side: values is run → task → value. Tasks along the axis, each run in its colour."""
    colors = run_colors(values)
    figure = blank("", title or translate("Value"))
    for run, row in values.items():
        figure.add_bar(
            x=[escape(task) for task in row],
            y=list(row.values()),
            name=escape(run),
            marker={"color": colors[run]},
            hovertemplate="%{x}: %{y:.4f}<extra>%{fullData.name}</extra>",
        )
    return figure.update_layout(barmode="group", hovermode="closest")


def changes(rows: Mapping[str, Mapping[str, tuple[float, float | None]]], translate: Translate = str) -> go.Figure:
    """How tasks change by a way of training: way → task → (change, half its interval or None). Tasks below one another in their
    colours, ways by the sign of the point; what is right of the line is better."""
    tasks = list(dict.fromkeys(task for row in rows.values() for task in row))
    colors = task_colors(tasks)
    figure = blank(translate("Change from single-task training; right is better"), "")
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


def efficiency(
    curves: Mapping[str, Sequence[tuple[float, int, float, float | None]]],
    task: str,
    tasks: Iterable[str],
    metric: str,
    translate: Translate = str,
) -> go.Figure:
    """How good a task gets with how many of its rows: way of training → points (share, rows, score, half its interval or None), by share.

    The task has its colour among `tasks`; the first way a solid line, the next a dashed one. The band is the interval.
    """
    color = task_colors(tasks)[task]
    figure = blank(translate("Training rows of the task"), metric)
    for (way, points), dash, symbol in zip(curves.items(), cycle(DASHES, len(curves)), cycle(SYMBOLS, len(curves)), strict=True):
        rows, scores = [point[1] for point in points], [point[2] for point in points]
        halves = [point[3] for point in points]
        if any(half is not None for half in halves):
            edges = [s + (h or 0) for s, h in zip(scores, halves, strict=True)], [s - (h or 0) for s, h in zip(scores, halves, strict=True)]
            band = {"x": [*rows, *rows[::-1]], "y": [*edges[0], *edges[1][::-1]], "fill": "toself", "fillcolor": color, "opacity": 0.15}
            figure.add_scatter(**band, line={"width": 0}, mode="lines", hoverinfo="skip", showlegend=False, legendgroup=way)
        half_texts = ["" if half is None else f" ± {half:.4f}" for half in halves]
        figure.add_scatter(
            x=rows,
            y=scores,
            name=escape(way),
            legendgroup=way,
            mode="lines+markers",
            line={"color": color, "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 9},
            customdata=[[f"{point[0]:.0%}", text] for point, text in zip(points, half_texts, strict=True)],
            hovertemplate="%{customdata[0]}: %{y:.4f}%{customdata[1]}",
        )
    ticks = sorted({point[1] for points in curves.values() for point in points})
    return figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{n:,}" for n in ticks])
