"""Charts of a training: losses, metrics and weights by step, with the changes that people made."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtl_core.base.messages import N_, Translate
from mtl_core.plots.style import add_line, blank, escape, run_colors, run_dashes, task_colors, task_dashes

MOST_WORDS = 6
"""Changes on a chart that are named beside their lines; of more the pointer tells."""

FEW_TASKS = 6
"""Tasks whose names fit above a chart of the usual height; each further one makes it taller."""

Points = tuple[Sequence[int], Sequence[float]]
"""Steps and the values there."""


class SeriesLike(Protocol):
    """What the charts read of a run."""

    @property
    def tasks(self) -> Sequence[str]: ...

    def loss(self, task: str) -> Points:
        """Training loss of the steps in which the task had rows; of a long run the extremes of each stretch of steps."""

    def mean_loss(self, task: str) -> Points:
        """The same, of a long run the mean of each stretch: what to smooth."""

    def weight(self, task: str) -> Points:
        """Loss weight: where it was set, and at the last step."""

    def effective_weight(self, task: str) -> Points:
        """The factor of the task's gradient in the update, as a strategy found it; empty with fixed weights."""

    def validation(self, task: str, metric: str) -> Points:
        """A metric of the validation split, or "loss"; empty where the task does not have it."""


def smooth(y: Sequence[float], strength: float) -> np.ndarray:
    """Exponential moving average of `y` that starts unbiased: weights strength^0, strength^1, ... going back. strength: in [0, 1)."""
    values = pd.Series(np.asarray(y, dtype=np.float64))
    return values.ewm(alpha=1 - strength, adjust=True).mean().to_numpy() if strength > 0 else values.to_numpy()


def training_curves(series: SeriesLike, smoothing: float, tasks: Collection[str], translate: Translate = str) -> go.Figure:
    """Training loss of `tasks` by step; with smoothing (in [0, 1)) the raw line is drawn faintly behind."""
    figure, styles = _lines(series, translate("Training loss"), translate)
    for task in _in_order(series.tasks, tasks):
        if smoothing > 0:
            add_line(figure, *series.loss(task), task, **styles[task], opacity=0.25, showlegend=False, hoverinfo="skip", hovertemplate=None)
        steps, losses = series.mean_loss(task) if smoothing > 0 else series.loss(task)
        add_line(figure, steps, smooth(losses, smoothing), task, **styles[task])
    return figure


def validation_curves(
    series: SeriesLike,
    metric: str | Mapping[str, str],
    translate: Translate = str,
    tasks: Collection[str] | None = None,
    labels: Mapping[str, str] | None = None,
    lower_is_better: Collection[str] = ("loss",),
) -> go.Figure:
    """A validation metric by step, one line for each task that has it, with a star at its best value.

    metric: its name, "loss", or task → name where tasks are judged differently. tasks: those to show, None = all.
    labels: metric → what people call it; None: its name.
    """
    named, labels = metric if isinstance(metric, str) else None, labels or {}
    title = translate("Validation loss") if named == "loss" else labels.get(named, named) if named else translate("Main metric, validation")
    figure, styles = _lines(series, title, translate)
    for task in _in_order(series.tasks, series.tasks if tasks is None else tasks):
        name = metric if isinstance(metric, str) else metric.get(task, "")
        steps, values = series.validation(task, name)
        label = task if named else f"{task} · {labels.get(name, name)}"
        add_line(figure, steps, values, label, **styles[task], mode="lines+markers")
        if len(values) > 1:
            _star(figure, steps, values, label, styles[task]["color"], name in lower_is_better, translate, task)
    return figure


def weights(series: SeriesLike, translate: Translate = str, until: int | None = None) -> go.Figure:
    """The loss weights as they were set and steered, one stair for each task; the last ones hold up to the step `until`."""
    figure, styles = _lines(series, translate("Loss weight"), translate)
    for task in series.tasks:
        _stairs(figure, series, task, styles[task], until)
    return figure.update_yaxes(rangemode="tozero")


def effective_weights(series: SeriesLike, smoothing: float, tasks: Collection[str], translate: Translate = str) -> go.Figure:
    """What a balancing strategy made of the loss weights, by step: each task's factor. smoothing: in [0, 1)."""
    figure, styles = _lines(series, translate("Effective weight"), translate)
    for task in _in_order(series.tasks, tasks):
        steps, factors = series.effective_weight(task)
        add_line(figure, steps, smooth(factors, smoothing), task, **styles[task])
    return figure


def small(
    series: SeriesLike,
    task: str,
    shown: str,
    translate: Translate = str,
    smoothing: float = 0.0,
    label: str = "",
    lower_is_better: Collection[str] = ("loss",),
    until: int | None = None,
    height: int = 200,
) -> go.Figure | None:
    """One task by step, small enough to stand among others; None: there is no point of it yet.

    shown: "loss" (of training, smoothed by [0, 1), and of validation), "weight" (as set; dotted what a strategy made of it), or a metric of
    the validation split, with a star at its best. label: what people call it. A dotted line: its value before training. until: the last
    step of the axis. height: in pixels.
    """
    look: dict[str, Any] = {"color": task_colors(series.tasks)[task], "dash": "solid"}
    figure, words = blank("", ""), f"{task} · {label}" if label else task
    if shown == "weight":
        _stairs(figure, series, task, look, until)
        add_line(figure, *series.effective_weight(task), translate("effective"), **{**look, "dash": "dot"})
        figure.update_yaxes(rangemode="tozero")
    else:
        steps, values = series.validation(task, shown)
        if shown == "loss":
            if smoothing > 0:
                add_line(figure, *series.loss(task), task, **look, opacity=0.25, hoverinfo="skip", hovertemplate=None)
            trained, losses = series.mean_loss(task) if smoothing > 0 else series.loss(task)
            add_line(figure, trained, smooth(losses, smoothing), translate("Training"), **look)
        line = {**look, "dash": "dash"} if shown == "loss" else look
        add_line(figure, steps, values, translate("Validation"), **line, mode="lines+markers")
        if len(values) > 1:
            if steps[0] == 0:
                _rule(figure, dash="dot", xref="x domain", x0=0, x1=1, y0=values[0], y1=values[0])
            _star(figure, steps, values, task, look["color"], shown in lower_is_better, translate)
    found = [trace for trace in figure.data if trace.x is not None and len(trace.x)]
    if not found:
        return None
    ends = until or max(int(max(trace.x)) for trace in found) or 1
    layout = figure.layout  # set part by part: `update` takes ten times as long, and a page draws many of these every few seconds
    layout.xaxis.range, layout.xaxis.nticks, layout.yaxis.nticks = (-0.02 * ends, 1.02 * ends), 4, 5
    layout.xaxis.title = layout.yaxis.title = None
    title = {"text": escape(words), "font": {"size": 13}, "x": 0, "xanchor": "left", "y": 1, "yanchor": "top", "pad": {"t": 4}}
    layout.height, layout.title, layout.showlegend = height, title, False
    layout.margin, layout.font = {"l": 4, "r": 8, "t": 26, "b": 4}, {"size": 11}
    return figure


def mark(figure: go.Figure, changes: Iterable[tuple[int, str, str]], dash: str = "dot", words: int = MOST_WORDS) -> go.Figure:
    """A line for each step at which a person changed something: (step, what in a few words, all of it for the pointer).

    words: up to how many changes the few words stand beside the line."""
    found = list(changes)
    worded = len(found) <= words
    notes = []
    for step, short, full in found:
        _rule(figure, dash=dash, opacity=0.8, yref="y domain", x0=step, x1=step, y0=0, y1=1)
        notes.append(
            {
                "x": step,
                "y": 1,
                "yref": "paper",
                "yanchor": "top",
                "xanchor": "left",
                "xshift": 1,
                "textangle": -90 if worded else 0,
                "text": escape(short) if worded else "▼",
                "hovertext": escape(full),
                "showarrow": False,
                "font": {"size": 10, "color": "#888888"},
            }
        )
    if notes:
        figure.layout.annotations = (*figure.layout.annotations, *notes)
    return figure


def _rule(figure: go.Figure, dash: str, **shape: Any) -> None:
    line = {"color": "#888888", "width": 1, "dash": dash}
    figure.layout.shapes = (*figure.layout.shapes, {"type": "line", "line": line, **shape})


def overlay(
    runs: Mapping[str, SeriesLike],
    task: str,
    metric: str,
    translate: Translate = str,
    smoothing: float = 0.0,
    title: str | None = None,
    colors: Mapping[str, str] | None = None,
) -> go.Figure:
    """One task in several runs: a colour and a kind of line for each run (its name is the key).

    metric: "training" (its loss while training, smoothed), "loss" (on the validation split), or a metric of the task.
    title: of the axis, when the metric's name will not do. colors: of the runs, where several share one.
    """
    titles = {"training": N_("Training loss"), "loss": N_("Validation loss")}
    figure = blank(translate("Step"), title or (translate(titles[metric]) if metric in titles else metric))
    colors, dashes = colors or run_colors(runs), run_dashes(runs)
    for name, series in runs.items():
        if task not in series.tasks:
            continue
        if metric == "training":
            steps, losses = series.mean_loss(task)
            add_line(figure, steps, smooth(losses, smoothing), name, colors[name], dash=dashes[name])
        else:
            add_line(figure, *series.validation(task, metric), name, colors[name], dash=dashes[name], mode="lines+markers")
    return figure


def _stairs(figure: go.Figure, series: SeriesLike, task: str, look: Mapping[str, Any], until: int | None) -> None:
    """A weight as it was set and steered; the last one holds up to the step `until`."""
    steps, values = map(list, series.weight(task))
    if until is not None and steps and until > steps[-1]:
        steps, values = [*steps, until], [*values, values[-1]]
    add_line(figure, steps, values, task, **look, shape="hv")


def _star(
    figure: go.Figure,
    steps: Sequence[int],
    values: Sequence[float],
    label: str,
    color: str,
    lower: bool,
    translate: Translate,
    group: str | None = None,
) -> None:
    """At the best of the values."""
    place = int(np.argmin(values) if lower else np.argmax(values))
    hover = translate("best at step {step}").format(step=steps[place])
    figure.add_scatter(
        x=[steps[place]],
        y=[values[place]],
        mode="markers",
        marker={"symbol": "star", "size": 13, "color": color, "line": {"color": "white", "width": 1}},
        legendgroup=group or label,
        showlegend=False,
        name=escape(label),
        hovertemplate=f"%{{y:.4g}}, {hover}<extra></extra>",
    )


def _lines(series: SeriesLike, title: str, translate: Translate) -> tuple[go.Figure, dict[str, dict[str, Any]]]:
    """An empty chart by step for a line of each task, and what the task's line looks like on all of them."""
    colors, dashes = task_colors(series.tasks), task_dashes(series.tasks)
    figure = blank(translate("Step"), title)
    figure.update_layout(height=figure.layout.height + 16 * max(0, len(series.tasks) - FEW_TASKS))
    return figure, {task: {"color": colors[task], "dash": dashes[task]} for task in series.tasks}


def _in_order(names: Sequence[str], chosen: Collection[str]) -> list[str]:
    return [name for name in names if name in chosen]
