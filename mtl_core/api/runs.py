"""`mtl_core.Run`: what a run left behind as DataFrames and Plotly figures, and its model at work. No torch until it predicts."""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mtl_core.api.answers import RowsLike, candidates_of, rows_of
from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace
from mtl_core.data.problems import InputError
from mtl_core.evaluation.predictions import read_predictions
from mtl_core.runtime.steps import written
from mtl_core.tasks import KINDS, lower_is_better
from mtl_core.tracking import runs as record
from mtl_core.tracking.runs import RunError

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from mtl_core.inference.predictor import Predictor

_SPLITS = {"before": "validation", "best": "validation", "test": "test", "peak": "test"}
_CHECKPOINTS = {"before": "before", "best": "best", "test": "best", "peak": "peak"}
_OF_ALL_TASKS = ("total_loss", "objective", "learning_rate", "gradient_norm", "tokens_per_second", "memory_bytes")


class Run(record.Run):
    """A run of a workspace: the record that the whole program knows (`id`, `name`, `state`, `created`, `seconds`, `error`, `problems`,
    `events()` …), and how a notebook reads and uses it.

    A run is as it was when it was looked at; `refreshed()` looks again. Two are equal when folder and status are.
    """

    def __repr__(self) -> str:
        step, n_steps = self.status.get("step"), self.status.get("n_steps")
        return f"<Run {self.id} “{self.name}” {self.state}{f', step {step}/{n_steps}' if n_steps else ''}>"

    @property
    def metrics(self) -> pd.DataFrame:
        """What each task reached: a row for each task, metric and evaluation that counts.

        Columns: task; metric; split (validation or test); checkpoint (before: untrained, at step 0; best: the step that was best for all
        tasks together; peak: the task's own best step, where those models are kept); value (float, in the metric's unit).
        """
        rows = [
            (task, metric, _SPLITS[part], _CHECKPOINTS[part], value)
            for task, parts in self.result()["tasks"].items()
            for part, values in parts.items()
            for metric, value in values.items()
        ]
        return pd.DataFrame(rows, columns=["task", "metric", "split", "checkpoint", "value"])

    @property
    def curves(self) -> pd.DataFrame:
        """Everything that was measured by step: a row for each step, task and series.

        Columns: step (int); task (missing for what concerns all tasks); series; value (float). Series of a task: training_loss, weight,
        effective_weight (what the balancing strategy made of it), pseudo_labels, validation_loss, validation_<metric>. Of all tasks:
        total_loss, objective, learning_rate, gradient_norm, tokens_per_second, memory_bytes. Of a long run a series has the lowest and
        the highest value of each stretch, at most 2,000 points.
        """
        return pd.DataFrame(_points(self.series()), columns=["step", "task", "series", "value"])

    @property
    def weights(self) -> dict[str, float]:
        """Task → its loss weight, in [0, 100], as of the last step; empty until training starts."""
        return self.series().current_weights

    def report(self, task: str, split: str | None = None) -> dict[str, pd.DataFrame]:
        """What the task's kind reports of the best checkpoint: title → table.

        Args:
            task: a name of `tasks`.
            split: test or validation; None: test where the run has it, else validation.

        Returns:
            For each panel its rows; of a confusion matrix counts with the true labels as index and the predicted ones as columns.

        Raises:
            RunError: no such task, or no report yet.
        """
        return {panel["title"]: panel_frame(panel["data"]) for panel in self._panels(task, split)}

    def predictions(self, task: str) -> pd.DataFrame:
        """The kept predictions of the task's evaluated rows, of the best checkpoint; of all rows with `training.predictions=all`.

        Columns: row (its number in the table, from 0; see `mtl_core.tracking.table_rows`), split, group (int, where the kind has groups),
        label (as the kind's metrics take it, for instance the number of a class), answer (what a person is shown: a class, a number, a
        text), scores (a number, array or object: what the metrics are computed from), loss (≥ 0), and rank (from 1) of a whole catalogue.

        Raises:
            RunError: no such task, or none were kept.
        """
        self.known(task)
        try:
            return read_predictions(self.folder, task, KINDS[self.tasks[task].kind].report.types)
        except FileNotFoundError as error:
            raise RunError(message("The run “{run}” keeps no predictions of the task “{task}”.", run=self.id, task=task)) from error

    def predictor(self, checkpoint: str = "best", device: str = "auto") -> "Predictor":
        """The model at work, loaded once; thread-safe.

        Args:
            checkpoint: best, last, or peak-<task> where the best steps of single tasks are kept. There being no best one, the last.
            device: auto, cpu, cuda, cuda:N or mps.

        Raises:
            RunError: there is no such checkpoint.
            CheckpointError, OSError: one that cannot be read.
        """
        folder = self.checkpoint(checkpoint) or (self.checkpoint("last") if checkpoint == "best" else None)
        if folder is None:
            raise RunError(message("The run “{run}” has no checkpoint “{name}”.", run=self.id, name=checkpoint))
        return _predictor(folder, written(folder), device)

    def predict(self, task: str, rows: RowsLike, checkpoint: str = "best", device: str = "auto") -> pd.DataFrame:
        """Answers for new rows.

        Args:
            task: a name of `tasks`.
            rows: texts (of a task that asks for one text), dicts of field → value, or a DataFrame or Arrow table. Names are those of the
                kind's fields (`python -m mtl_core kinds`) or of the columns that the task was trained on.
            checkpoint, device: as of `predictor`.

        Returns:
            One row for each of `rows`, with its index. Columns by the kind: label or value or relevance (float), probability (in [0, 1]),
            probabilities (dict of the most probable classes), spans (list of dicts) … Classes are called as `class_names` says; `class` is
            then the class itself.

        Raises:
            RunError: no such task or checkpoint.
            InputError: an unknown field, a required one missing, a value of the wrong type.
        """
        self.known(task)
        predictor = self.predictor(checkpoint, device)
        given, index = rows_of(predictor, task, rows)
        return pd.DataFrame(predictor.predict(task, given, self.class_names(task)), index=index)

    def rank(
        self, task: str, query: Mapping[str, Any], catalogue: RowsLike, k: int = 10, checkpoint: str = "best", device: str = "auto"
    ) -> pd.DataFrame:
        """The best of a catalogue for a query.

        Args:
            task: of a kind that ranks: search, recommendation, response_selection.
            query: field (or column) → value of everything that is asked but what is ranked, such as `{"query": "red shoes"}`.
            catalogue: what is ranked: texts, or a DataFrame or Arrow table with the columns that the task was trained on.
            k: how many to return, at least 1.
            checkpoint, device: as of `predictor`.

        Returns:
            At most k rows, the best first. Index: rank, from 1. Columns: row (label of the candidate's row, from 0 for a list), the ranked
            field (product, item, reply) and relevance (float; only its order within one query means something).

        Raises:
            RunError: no such task or checkpoint.
            InputError: the task ranks nothing; and as `predict`.
        """
        self.known(task)
        if k < 1:
            raise InputError(message("k should be at least 1. Found {k}.", k=k))
        predictor = self.predictor(checkpoint, device)
        field = predictor.kinds[task].ranks or ""
        (asked,), _ = rows_of(predictor, task, query)
        values, index = candidates_of(predictor, task, field, catalogue)
        best = predictor.rank(task, asked, values, k)
        columns = {"row": [index[i] for i, _ in best], field: [values[i] for i, _ in best], "relevance": [score for _, score in best]}
        return pd.DataFrame(columns, index=pd.RangeIndex(1, len(best) + 1, name="rank"))

    def plot_curves(self, series: str = "training_loss", tasks: Collection[str] | None = None, smoothing: float = 0.6) -> "go.Figure":
        """A line by step for each task.

        Args:
            series: one of a task's in `curves`, or `main_metric`: of each task its main one, on the validation split.
            tasks: those to show; None: all.
            smoothing: of training_loss and effective_weight, in [0, 1): the share of the past in an exponential moving average.

        Raises:
            ValueError: no such series.
        """
        from mtl_core import plots

        of = self.series()
        shown = of.tasks if tasks is None else tasks
        if series == "training_loss":
            return plots.training_curves(of, smoothing, shown)
        if series == "weight":
            return plots.weights(of)
        if series == "effective_weight":
            return plots.effective_weights(of, smoothing, shown)
        if series == "main_metric":
            return plots.validation_curves(of, self.experiment.main_metrics, tasks=shown, lower_is_better=lower_is_better())
        metrics = {f"validation_{metric}": metric for found in of.validations.values() for metric in found}
        if series not in metrics:
            known = ", ".join(["training_loss", "weight", "effective_weight", "main_metric", *metrics])
            raise ValueError(f"series should be one of {known}. Found {series!r}.")
        return plots.validation_curves(of, metrics[series], tasks=shown, lower_is_better=lower_is_better())

    def plot_report(self, task: str, title: str | None = None, split: str | None = None) -> "go.Figure":
        """A chart out of the task's report: a confusion matrix, the calibration.

        Args:
            task, split: as of `report`.
            title: which one, as it is called in `report`; None: the first that is a chart.

        Raises:
            RunError: as `report`, and where no panel of that title is a chart.
        """
        from mtl_core import plots

        panels = self._panels(task, split)
        charts = {panel["title"]: panel for panel in panels if panel["type"] in plots.CHARTS}
        chosen = next(iter(charts), "") if title is None else title
        if chosen not in charts:
            names = ", ".join(charts) or "–"
            raise RunError(
                message("The report of the task “{task}” has no chart “{title}”. Charts: {names}.", task=task, title=chosen, names=names)
            )
        return plots.panel(charts[chosen]).update_layout(title=chosen)

    def plot_conflicts(self, layer: str | None = None) -> "go.Figure":
        """The cosine of every two tasks' gradients, in [-1, 1], the mean over the last measurements: blue where they agree, orange where
        they are in conflict.

        Args:
            layer: a part of the encoder; None: all of it.

        Raises:
            RunError: the gradients were never compared (`diagnostics.conflicts_every`).
        """
        from mtl_core import plots
        from mtl_core.evaluation.conflicts import agreement

        now = agreement(list(self.series().conflicts), layer=layer)
        if now is None:
            raise RunError(message("No gradient conflicts were measured in the run “{run}”; see diagnostics.conflicts_every.", run=self.id))
        return plots.agreement(now.tasks, now.cosine, now.significant)

    def _panels(self, task: str, split: str | None) -> list[dict[str, Any]]:
        self.known(task)
        reports = self.reports(split) if split else self.latest_reports()[1]
        if task not in reports:
            raise RunError(message("The run “{run}” has no report of the task “{task}”.", run=self.id, task=task))
        return reports[task]

    def known(self, task: str) -> None:
        """Raises RunError: the run has no such task."""
        if task not in self.readable.tasks:
            names = ", ".join(self.tasks)
            raise RunError(message("The run “{run}” has the tasks {tasks}. Found “{task}”.", run=self.id, tasks=names, task=task))


def runs(workspace: Workspace | Path | str | None = None) -> pd.DataFrame:
    """The runs of a workspace, newest first.

    Args:
        workspace: its folder; None: the default one.

    Returns:
        A row a run. Columns: run_id (what `load` takes), name, state, created (UTC), seconds (spent in steps and evaluations; missing for a
        run that never started), steered (changed while it trained), replays (the run that it repeats, or missing).
    """
    columns = ["run_id", "name", "state", "created", "seconds", "steered", "replays"]
    rows = [
        (one.id, one.name, one.state.value, pd.Timestamp(one.created), one.seconds, one.steered, one.replays)
        for one in record.list_runs(Workspace.at(workspace))
    ]
    return pd.DataFrame(rows, columns=columns)


def load(run: str | Path, workspace: Workspace | Path | str | None = None) -> Run:
    """A run by its ID, or by its folder wherever that lies.

    Args:
        run: the ID as `runs` lists it, or the folder of a run.
        workspace: of the ID; None: the default one.

    Raises:
        RunError: there is no such run.
    """
    folder = Path(run).expanduser()
    if (folder / "status.json").is_file():
        folder = folder.resolve()
        found = record.run(Workspace(folder.parents[1]), folder.name)
    else:
        found = record.run(Workspace.at(workspace), str(run))
    return Run(found.folder, found.status, found.described)


def panel_rows(data: Mapping[str, Any]) -> tuple[list[Any], list[list[Any]]]:
    """The columns and the rows of a report's panel: of a table, of a matrix (its labels in front), or of a chart's points."""
    if "rows" in data:
        return list(data["columns"]), list(data["rows"])
    if "values" in data:
        return ["", *data["labels"]], [[label, *row] for label, row in zip(data["labels"], data["values"], strict=True)]
    return list(data), [list(row) for row in zip(*data.values(), strict=True)]


def panel_frame(data: Mapping[str, Any]) -> pd.DataFrame:
    """`panel_rows` as a DataFrame; a matrix with its labels as index."""
    columns, rows = panel_rows(data)
    frame = pd.DataFrame(rows, columns=columns)
    return frame.set_index("").rename_axis(None) if "values" in data else frame


@lru_cache(maxsize=2)
def _predictor(checkpoint: Path, written: int, device: str) -> "Predictor":
    from mtl_core.inference.predictor import Predictor
    from mtl_core.jobs import quiet_libraries

    quiet_libraries()
    return Predictor(checkpoint, device)


def _points(series: record.Series) -> Iterator[tuple[int, str | None, str, float]]:
    for name in _OF_ALL_TASKS:
        yield from ((step, None, name, value) for step, value in getattr(series, name).points)
    by_name = {"training_loss": series.losses, "effective_weight": series.effective, "pseudo_labels": series.pseudo_labels}
    for name, by_task in by_name.items():
        for task, curve in by_task.items():
            yield from ((step, task, name, value) for step, value in curve.points)
    for task in series.weights:
        yield from ((step, task, "weight", value) for step, value in zip(*series.weight(task), strict=True))
    for task, by_metric in series.validations.items():
        for metric, curve in by_metric.items():
            yield from ((step, task, f"validation_{metric}", value) for step, value in curve.points)
