"""Charts: data in, Plotly figure out. Pure, usable in a notebook.

A task has one colour everywhere, a run one kind of line. Backgrounds are transparent so that the page's light or dark theme shows.
Lines are thinned on the way out with their extremes kept; `uirevision` keeps the zoom while new points arrive.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtl_core.messages import N_, Translate

# Okabe and Ito: Color Universal Design, https://jfly.uni-koeln.de/color/ — without black, which a dark page swallows.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")
PATTERNS = ("", "/", ".", "x", "\\", "-")
MOST_WORDS = 6
"""Changes on a chart that are named beside their lines; of more the pointer tells."""
MOST_POINTS = 1000
"""Of a line that is sent to the browser."""

Points = tuple[Sequence[int], Sequence[float]]
"""Steps and the values there."""


class Series(Protocol):
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


def task_colors(names: Iterable[str]) -> dict[str, str]:
    """A colour for each task, by its place among the sorted `names`: give all tasks of what is compared, not those shown."""
    return {name: COLORS[i % len(COLORS)] for i, name in enumerate(sorted(set(names)))}


def run_dashes(names: Iterable[str]) -> dict[str, str]:
    """A kind of line for each run, in the order given."""
    return {name: DASHES[i % len(DASHES)] for i, name in enumerate(names)}


def thin(x: Sequence[float], y: Sequence[float], most: int = MOST_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most `most` points (≥ 4) of a line: the first, the last, and the lowest and highest of equal stretches. Not finite y are left out.

    Returns x and y, in the order given.
    """
    xs, ys = np.asarray(x), np.asarray(y, dtype=np.float64)
    finite = np.isfinite(ys)
    xs, ys = xs[finite], ys[finite]
    if len(ys) <= most:
        return xs, ys
    keep = {0, len(ys) - 1}
    for stretch in np.array_split(np.arange(len(ys)), (most - 2) // 2):
        keep.update((int(stretch[np.argmin(ys[stretch])]), int(stretch[np.argmax(ys[stretch])])))
    chosen = np.array(sorted(keep))
    return xs[chosen], ys[chosen]


def smooth(y: Sequence[float], strength: float) -> np.ndarray:
    """Exponential moving average of `y` that starts unbiased: weights strength^0, strength^1, ... going back. strength: in [0, 1)."""
    values = pd.Series(np.asarray(y, dtype=np.float64))
    return values.ewm(alpha=1 - strength, adjust=True).mean().to_numpy() if strength > 0 else values.to_numpy()


def training_curves(series: Series, smoothing: float, tasks: Collection[str], translate: Translate = str) -> go.Figure:
    """Training loss of `tasks` by step; with smoothing (in [0, 1)) the raw line is drawn faintly behind."""
    figure = _figure(translate("Step"), translate("Training loss"))
    colors = task_colors(series.tasks)
    for task in _in_order(series.tasks, tasks):
        if smoothing > 0:
            _line(figure, *series.loss(task), task, colors[task], opacity=0.25, showlegend=False, hoverinfo="skip", hovertemplate=None)
        steps, losses = series.mean_loss(task) if smoothing > 0 else series.loss(task)
        _line(figure, steps, smooth(losses, smoothing), task, colors[task])
    return figure


def validation_curves(
    series: Series,
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
    figure = _figure(translate("Step"), title)
    colors = task_colors(series.tasks)
    for task in _in_order(series.tasks, series.tasks if tasks is None else tasks):
        name = metric if isinstance(metric, str) else metric.get(task, "")
        steps, values = series.validation(task, name)
        label = task if named else f"{task} · {labels.get(name, name)}"
        _line(figure, steps, values, label, colors[task], mode="lines+markers")
        if len(values) > 1:
            place = int(np.argmin(values) if name in lower_is_better else np.argmax(values))
            star = {"symbol": "star", "size": 13, "color": colors[task], "line": {"color": "white", "width": 1}}
            hover = translate("best at step {step}").format(step=steps[place])
            figure.add_scatter(
                x=[steps[place]],
                y=[values[place]],
                mode="markers",
                marker=star,
                legendgroup=task,
                showlegend=False,
                name=_text(label),
                hovertemplate=f"%{{y:.4g}}, {hover}<extra></extra>",
            )
    return figure


def weights(series: Series, translate: Translate = str, until: int | None = None) -> go.Figure:
    """The loss weights as they were set and steered, one stair for each task; the last ones hold up to the step `until`."""
    figure = _figure(translate("Step"), translate("Loss weight"))
    colors = task_colors(series.tasks)
    for task in series.tasks:
        steps, values = map(list, series.weight(task))
        if until is not None and steps and until > steps[-1]:
            steps, values = [*steps, until], [*values, values[-1]]
        _line(figure, steps, values, task, colors[task], shape="hv")
    return figure.update_yaxes(rangemode="tozero")


def effective_weights(series: Series, smoothing: float, tasks: Collection[str], translate: Translate = str) -> go.Figure:
    """What a balancing strategy made of the loss weights, by step: each task's factor. smoothing: in [0, 1)."""
    figure = _figure(translate("Step"), translate("Effective weight"))
    colors = task_colors(series.tasks)
    for task in _in_order(series.tasks, tasks):
        steps, factors = series.effective_weight(task)
        _line(figure, steps, smooth(factors, smoothing), task, colors[task])
    return figure


def mark(figure: go.Figure, changes: Iterable[tuple[int, str, str]], dash: str = "dot") -> go.Figure:
    """A line for each step at which a person changed something: (step, what in a few words, all of it for the pointer)."""
    found = list(changes)
    for step, short, full in found:
        figure.add_vline(x=step, line={"color": "#888888", "width": 1, "dash": dash}, opacity=0.8)
        figure.add_annotation(
            x=step,
            y=1,
            yref="paper",
            yanchor="top",
            xanchor="left",
            xshift=1,
            textangle=-90,
            text=_text(short) if len(found) <= MOST_WORDS else "▼",
            hovertext=_text(full),
            showarrow=False,
            font={"size": 10, "color": "#888888"},
        )
    return figure


def overlay(
    runs: Mapping[str, Series],
    task: str,
    metric: str,
    translate: Translate = str,
    smoothing: float = 0.0,
    color: str | None = None,
    title: str | None = None,
) -> go.Figure:
    """One task in several runs: the task's colour, a kind of line for each run (its name is the key).

    metric: "training" (its loss while training, smoothed), "loss" (on the validation split), or a metric of the task.
    color: when the runs' tasks are not all that is on the page. title: of the axis, when the metric's name will not do.
    """
    titles = {"training": N_("Training loss"), "loss": N_("Validation loss")}
    figure = _figure(translate("Step"), title or (translate(titles[metric]) if metric in titles else metric))
    color = color or task_colors(t for s in runs.values() for t in s.tasks)[task]
    for (name, series), dash in zip(runs.items(), run_dashes(runs).values(), strict=True):
        if task not in series.tasks:
            continue
        if metric == "training":
            steps, losses = series.mean_loss(task)
            _line(figure, steps, smooth(losses, smoothing), name, color, dash=dash)
        else:
            _line(figure, *series.validation(task, metric), name, color, dash=dash, mode="lines+markers")
    return figure


def metric_bars(values: Mapping[str, Mapping[str, float]], translate: Translate = str, title: str = "") -> go.Figure:
    """Bars side by side: values is run → task → value. Tasks along the axis in their colours, runs by pattern."""
    tasks = list(dict.fromkeys(task for row in values.values() for task in row))
    colors = task_colors(tasks)
    figure = _figure("", title or translate("Value"))
    for (run, row), pattern in zip(values.items(), _cycle(PATTERNS, len(values)), strict=True):
        shown = [task for task in tasks if task in row]
        figure.add_bar(
            x=[_text(task) for task in shown],
            y=[row[task] for task in shown],
            name=_text(run),
            marker={"color": [colors[task] for task in shown], "pattern": {"shape": pattern, "fillmode": "overlay"}},
            hovertemplate="%{x}: %{y:.4f}<extra>%{fullData.name}</extra>",
        )
    return figure.update_layout(barmode="group", hovermode="closest")


def shares(values: Mapping[str, float], title: str = "") -> go.Figure:
    """Lying bars of numbers in [0, 1], the largest on top: the probabilities of classes."""
    ordered = sorted(values.items(), key=lambda item: item[1])
    figure = _figure(title, "")
    figure.add_bar(
        x=[value for _name, value in ordered],
        y=[_text(name) for name, _value in ordered],
        orientation="h",
        marker={"color": COLORS[0]},
        text=[f"{value:.1%}" for _name, value in ordered],
        textposition="auto",
        hovertemplate="%{y}: %{x:.4f}<extra></extra>",
    )
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    figure.update_yaxes(type="category")
    return figure.update_layout(height=90 + 34 * len(ordered), showlegend=False, hovermode="closest")


def agreement(tasks: Sequence[str], cosine: np.ndarray, told: np.ndarray, translate: Translate = str) -> go.Figure:
    """(K, K) cosines of the tasks' gradients: blue where they agree, orange where they pull apart, grey where not told from 0."""
    shown = ~np.eye(len(tasks), dtype=bool) & np.isfinite(cosine)
    return _pairs(tasks, cosine, told, shown, 0.1, "+.2f", translate("%{x} and %{y}: cosine %{text}"))


def affinity(tasks: Sequence[str], change: np.ndarray, told: np.ndarray, translate: Translate = str) -> go.Figure:
    """(K, K), rows: whose step, columns: whose loss; blue where the step takes off the loss (in per cent of it), orange where it adds."""
    hover = translate("A step of %{y} takes %{text} % off the loss of %{x}")
    figure = _pairs(tasks, 100 * change, told, np.isfinite(change), 0.0, "+.2f", hover)
    figure.update_xaxes(title=translate("Whose loss"))
    return figure.update_yaxes(title=translate("Whose step"))


def _pairs(
    tasks: Sequence[str], values: np.ndarray, told: np.ndarray, shown: np.ndarray, least: float, number: str, hover: str
) -> go.Figure:
    """(K, K) values by colour: blue above 0, orange below, grey where not told from it. least: the deepest colour stands for this or more;
    number: how they are written."""
    names = [_text(task) for task in tasks]
    most = max(least, float(np.abs(values[shown]).max(initial=0)), 1e-12)
    figure = _figure("", "")
    common: dict[str, Any] = {"x": names, "y": names, "xgap": 1, "ygap": 1, "showscale": False, "hoverinfo": "skip"}
    grey = "#B8B8B8"  # cells are opaque and light, on a dark page too, so that dark numbers can be read on all of them
    figure.add_heatmap(z=np.where(shown & ~told, 0.0, np.nan), colorscale=[[0, grey], [1, grey]], **common)
    figure.add_heatmap(
        z=np.where(shown & told, values, np.nan),
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
        mode="text",
        textfont={"color": "#111111"},
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


def changes(rows: Mapping[str, Mapping[str, tuple[float, float | None]]], translate: Translate = str) -> go.Figure:
    """How tasks change by a way of training: way → task → (change, half its interval or None). Tasks below one another in their
    colours, ways by the sign of the point; what is right of the line is better."""
    tasks = list(dict.fromkeys(task for row in rows.values() for task in row))
    colors = task_colors(tasks)
    figure = _figure(translate("Change to training alone; right is better"), "")
    figure.add_vline(x=0, line={"color": "#999999", "dash": "dot", "width": 1})
    for n, ((way, row), symbol) in enumerate(zip(rows.items(), _cycle(SYMBOLS, len(rows)), strict=True)):
        at = (n - (len(rows) - 1) / 2) * 0.5 / max(1, len(rows) - 1)
        look = {"symbol": symbol, "size": 10}
        figure.add_scatter(x=[None], y=[None], mode="markers", name=_text(way), marker={**look, "color": "#999999"})
        for task, (change, half) in row.items():
            figure.add_scatter(
                x=[change],
                y=[tasks.index(task) + at],
                error_x={"array": [half], "color": colors[task]} if half is not None else None,
                mode="markers",
                name=_text(f"{task} · {way}"),
                marker={**look, "color": colors[task]},
                showlegend=False,
                hovertemplate="%{x:+.4f}" + ("" if half is None else f" ± {half:.4f}"),
            )
    figure.update_yaxes(
        tickvals=list(range(len(tasks))),
        ticktext=[_text(task) for task in tasks],
        range=[len(tasks) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    return figure.update_layout(height=150 + 56 * len(tasks), hovermode="closest")


def gates(weights: Mapping[str, Mapping[str, float]], translate: Translate = str) -> go.Figure:
    """What each task (a row) gives each expert (a column), shares in [0, 1]; darker is more. A gap: not an expert of that task."""
    experts = list(dict.fromkeys(expert for row in weights.values() for expert in row))
    share = np.array([[row.get(expert, np.nan) for expert in experts] for row in weights.values()])
    figure = _figure("", "")
    figure.add_heatmap(
        z=share,
        x=[_text(expert) for expert in experts],
        y=[_text(task) for task in weights],
        text=[["" if np.isnan(value) else f"{value:.0%}" for value in row] for row in share],
        texttemplate="%{text}",
        textfont={"color": "#111111"},
        colorscale=[[0, "#F4F4F4"], [1, "#56B4E9"]],  # opaque and light, on a dark page too, so that dark numbers can be read
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate=translate("%{y} gives %{x}: %{z:.1%}") + "<extra></extra>",
    )
    figure.update_xaxes(type="category", showgrid=False, tickangle=-35 if len(experts) > 4 else 0)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure.update_layout(height=min(700, 160 + 44 * len(weights)), hovermode="closest")


def gates_by_step(steps: Sequence[int], shares: Mapping[str, Sequence[float]], translate: Translate = str) -> go.Figure:
    """What one task gives each expert, by step, one on another up to 1. shares: expert → its share at each of `steps`."""
    figure = _figure(translate("Step"), translate("Share of the weight"))
    for number, (expert, values) in enumerate(shares.items()):
        figure.add_scatter(
            x=list(steps),
            y=list(values),
            name=_text(expert),
            stackgroup="experts",
            mode="lines",
            line={"width": 0.5, "color": COLORS[number % len(COLORS)]},
            hovertemplate="%{y:.1%}",
        )
    return figure.update_yaxes(range=[0, 1], tickformat=".0%")


def lengths(
    histogram: Mapping[str, tuple[Sequence[int] | np.ndarray, Sequence[float] | np.ndarray]], translate: Translate = str
) -> go.Figure:
    """How long texts are. histogram: name (a task, a column, a split) → (counts, edges) as numpy.histogram gives them."""
    figure = _figure(translate("Tokens in a text"), translate("Number of texts"))
    colors = task_colors(histogram)
    for name, (counts, edges) in histogram.items():
        ends = np.asarray(edges, dtype=np.float64)
        figure.add_bar(
            x=(ends[:-1] + ends[1:]) / 2,
            y=np.asarray(counts),
            width=np.diff(ends),
            name=_text(name),
            marker={"color": colors[name], "line": {"width": 0}},
            opacity=1 if len(histogram) == 1 else 0.6,
        )
    return figure.update_layout(barmode="overlay", bargap=0, showlegend=len(histogram) > 1)


def panel(part: Mapping[str, Any], translate: Translate = str) -> go.Figure:
    """The chart of a report's panel of type matrix or reliability. Raises KeyError: a type that is no chart (a table)."""
    return CHARTS[part["type"]](part["data"], translate)


def _matrix(data: Mapping[str, Any], translate: Translate) -> go.Figure:
    """Confusion: colour by the share of the true class, the counts written in when there is room."""
    labels = [_text(label) for label in data["labels"]]
    counts = np.asarray(data["values"], dtype=np.int64).reshape(len(labels), len(labels))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = _figure(translate("Predicted"), translate("True"))
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
    """Observed share against predicted probability; the diagonal is perfect, the dots grow with the rows behind them."""
    figure = _figure(translate("Predicted probability"), translate("Observed share"))
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name=translate("Perfect"), line={"dash": "dot", "color": "#999999"}, hoverinfo="skip"
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
"""Panel type → how it is drawn. Tables are no charts: a page shows them as tables."""


def _figure(x_title: str, y_title: str) -> go.Figure:
    return go.Figure(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "height": 340,
            "margin": {"l": 8, "r": 8, "t": 36, "b": 8},
            "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
            "hovermode": "x unified",
            "uirevision": "keep",
            "xaxis": {"title": {"text": x_title}, "automargin": True},
            "yaxis": {"title": {"text": y_title}, "automargin": True},
        }
    )


def _line(
    figure: go.Figure,
    x: Sequence[float],
    y: Sequence[float] | np.ndarray,
    name: str,
    color: str,
    dash: str = "solid",
    shape: str = "linear",
    **trace: Any,
) -> None:
    xs, ys = thin(x, np.asarray(y, dtype=np.float64).tolist())
    line = {"color": color, "dash": dash, "shape": shape, "width": 2}
    options = {"mode": "lines", "hovertemplate": "%{y:.4g}", **trace}
    figure.add_scatter(x=xs, y=ys, name=_text(name), legendgroup=name, line=line, **options)


def _in_order(names: Sequence[str], chosen: Collection[str]) -> list[str]:
    return [name for name in names if name in chosen]


def _cycle(kinds: Sequence[str], n: int) -> list[str]:
    return [kinds[i % len(kinds)] for i in range(n)]


def _text(text: object) -> str:
    """Plotly reads a little HTML in labels; what people wrote is shown as it is."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
