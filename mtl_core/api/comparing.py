"""`mtl_core.compare`: runs side by side, as the page *Compare* shows them. No torch until a main metric is asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mtl_core.api.runs import Run, load
from mtl_core.base.messages import N_
from mtl_core.base.workspace import Workspace
from mtl_core.studies.compare import compare_runs, short_names
from mtl_core.tracking import runs as record

if TYPE_CHECKING:
    import plotly.graph_objects as go


class RunComparison:
    """Runs side by side. Each has a short name that no other of them has: its own, or that and the beginning of its ID.

    Attributes:
        runs: short name → run, in the order given.
        baseline: the short name of the run that the others are compared with.
        split: where the metrics are measured: test, or validation where not every run was tested.
    """

    def __init__(self, runs: Sequence[Run], baseline: Run):
        self.runs = {short: run for run, short in zip(runs, short_names(runs).values(), strict=True)}
        self.baseline = short_names(runs)[baseline.id]
        self._series = {short: run.series() for short, run in self.runs.items()}
        self._found = compare_runs(runs, baseline, self._series)
        self.split = "test" if self._found.part == "test" else "validation"

    @property
    def metrics(self) -> pd.DataFrame:
        """A row for each task, metric and run. Columns: task; metric; split; run (short name); value; difference (value less the
        baseline's; missing for the baseline itself); better (whether that is a gain; missing where it is neither)."""
        rows = [
            (row.task, row.metric, self.split, run, value, row.differences.get(run), row.better.get(run))
            for row in self._found.metrics
            for run, value in row.values.items()
        ]
        columns = ["task", "metric", "split", "run", "value", "difference", "better"]
        return pd.DataFrame(rows, columns=columns).astype({"difference": "float64", "better": "boolean"})

    @property
    def settings(self) -> pd.DataFrame:
        """What is not the same in all experiments. Index: path (`optimizer.learning_rate`); a column a run; missing: it has no such
        setting."""
        return pd.DataFrame.from_dict(self._found.settings, orient="index", columns=list(self.runs), dtype=object).rename_axis("path")

    @property
    def warnings(self) -> list[str]:
        """Why numbers should not be compared; empty when nothing speaks against it."""
        return [str(warning) for warning in self._found.warnings]

    def plot(self, metric: str | None = None) -> "go.Figure":
        """Bars of one metric of every task, side by side for the runs.

        Args:
            metric: its name; None: of each task its main one.
        """
        from mtl_core import plots

        bars = {
            run: {
                row.task: row.values[run]
                for row in self._found.metrics
                if row.metric == (metric or self._main[row.task]) and run in row.values
            }
            for run in self.runs
        }
        return plots.metric_bars(bars, title=metric or N_("Main metric"))

    def plot_curves(self, task: str, metric: str | None = None, smoothing: float = 0.6) -> "go.Figure":
        """One task by step, a line a run.

        Args:
            task: a task of at least one of the runs.
            metric: training (its loss while training), loss (on the validation split), or a metric; None: its main one.
            smoothing: of the training loss, in [0, 1).

        Raises:
            KeyError: no run has the task.
        """
        from mtl_core import plots

        return plots.overlay(self._series, task, metric or self._main[task], smoothing=smoothing)

    @property
    def _main(self) -> dict[str, str]:
        return {task: name for run in self.runs.values() for task, name in run.experiment.main_metrics.items()}


def compare(
    runs: Sequence[record.Run | str | Path],
    baseline: record.Run | str | Path | None = None,
    workspace: Workspace | Path | str | None = None,
) -> RunComparison:
    """Puts runs side by side.

    Args:
        runs: at least one, each a `Run`, an ID or a folder.
        baseline: the one of them that the others are compared with; None: the first.
        workspace: of IDs; None: the default one.

    Raises:
        RunError: there is no such run.
        ValueError: no runs, the same one twice, or a baseline that is not among them.
    """
    found = [_loaded(run, workspace) for run in runs]
    ids = [run.id for run in found]
    wanted = _loaded(baseline, workspace).id if baseline is not None else next(iter(ids), "")
    if len(set(ids)) != len(ids) or wanted not in ids:
        raise ValueError(
            f"There should be different runs, the baseline among them. Found the runs {', '.join(ids)}, the baseline {wanted}."
        )
    return RunComparison(found, found[ids.index(wanted)])


def _loaded(run: record.Run | str | Path, workspace: Workspace | Path | str | None) -> Run:
    if isinstance(run, record.Run):
        return run if isinstance(run, Run) else Run(run.folder, run.status, run.described)
    return load(run, workspace)
