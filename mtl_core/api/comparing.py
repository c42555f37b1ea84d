"""`mtl_core.compare`: runs side by side, as the page *Compare* shows them. No torch until a curve is asked for."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Literal

import pandas as pd

from mtl_core.api.runs import Run, load
from mtl_core.base.messages import N_
from mtl_core.base.workspace import Workspace
from mtl_core.studies import paired, sentence
from mtl_core.studies.compare import Part, compare_runs, groups_of, short_names
from mtl_core.tracking import runs as record

if TYPE_CHECKING:
    import plotly.graph_objects as go

_PARTS: dict[str, Part] = {"validation": "best", "test": "test"}


class RunComparison:
    """Runs side by side. Each has a short name that no other of them has: its own, or that and the beginning of its ID.

    Attributes:
        runs: short name → run, in the order given.
        baseline: the short name of the run, or of the first of the runs that differ by their seed, that the others are compared with.
        split: where the metrics are measured: validation or test.
    """

    def __init__(self, runs: Sequence[Run], baseline: Run, split: Literal["validation", "test"] = "validation", by_seed: bool = True):
        self.runs = {short: run for run, short in zip(runs, short_names(runs).values(), strict=True)}
        self.split = split
        self._groups = groups_of(runs, by_seed)
        self.baseline = next(group.name for group in self._groups if baseline.id in [run.id for run in group.runs])
        self._found = compare_runs(self._groups, self.baseline, _PARTS[split])

    @property
    def groups(self) -> dict[str, list[str]]:
        """What is compared as one: the name of a group, as `metrics` has it → the IDs of its runs, which differ by their seed at most."""
        return {group.name: [run.id for run in group.runs] for group in self._groups}

    @property
    def metrics(self) -> pd.DataFrame:
        """A row for each task, metric and run. Columns: task; metric; split; run (short name); value; difference (value less the
        baseline's; missing for the baseline itself); better (whether that is a gain; missing where it is neither).

        Of runs that differ by their seed alone one row, with the mean of their values."""
        rows = [
            (row.task, row.metric, self.split, run, value, row.differences.get(run), row.better.get(run))
            for row in self._found.metrics
            for run, value in row.values.items()
        ]
        columns = ["task", "metric", "split", "run", "value", "difference", "better"]
        return pd.DataFrame(rows, columns=columns).astype({"difference": "float64", "better": "boolean"})

    @cached_property
    def differences(self) -> pd.DataFrame:
        """How well the differences of the main metrics are known: a paired bootstrap over the rows whose predictions both runs keep.

        1,000 draws of rows (of lists, or of groups, where rows belong together), the same for both; with runs of several seeds, the
        chance of seeds is added. Efron and Tibshirani, "An Introduction to the Bootstrap" (1993); Holm, "A Simple Sequentially Rejective
        Multiple Test Procedure" (1979). See `mtl_core.evaluation.bootstrap`.

        Columns: task; metric; split; run; seeds; baseline, value (its metric and the run's, on the rows that both have); difference
        (value less baseline); low, high (of its 95 % interval; missing where no draw of the rows differs from another); p
        (two-sided, by Holm's procedure over the tasks); verdict (better, worse, no significant difference, unknown); n_rows; n_units (what
        was drawn: rows, lists or groups); why (of unknown). Missing: nothing can be said.
        """
        rows = [
            {
                "task": one.pair.task,
                "metric": one.pair.kind.primary,
                "split": self.split,
                "run": one.pair.other.name,
                "seeds": one.pair.other.n_seeds,
                "baseline": mean(one.found.first) if one.found else None,
                "value": mean(one.found.second) if one.found else None,
                "difference": one.found.value if one.found else None,
                "low": one.found.low if one.found and not one.found.alike else None,
                "high": one.found.high if one.found and not one.found.alike else None,
                "p": one.p,
                "verdict": one.verdict.value,
                "n_rows": one.found.n_rows if one.found else 0,
                "n_units": one.found.n_units if one.found else 0,
                "why": str(one.words) if one.alone or one.verdict is paired.Verdict.UNKNOWN else "",
            }
            for one in self._changes
        ]
        numbers = ["baseline", "value", "difference", "low", "high", "p"]
        columns = ["task", "metric", "split", "run", "seeds", *numbers, "verdict", "n_rows", "n_units", "why"]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, "float64"))

    @property
    def sentences(self) -> dict[str, str]:
        """Run → in one sentence what was changed, and which tasks it did good or harm."""
        found: dict[str, list[paired.Change]] = {}
        for change in self._changes:
            found.setdefault(change.pair.other.name, []).append(change)
        return {run: str(sentence.bought(of_run, self.split)) for run, of_run in found.items()}

    @cached_property
    def _changes(self) -> list[paired.Change]:
        run = next(iter(self.runs.values()))
        return paired.changes(paired.pairs_of(self._groups, self.baseline, _PARTS[self.split]), Workspace(run.folder.parents[1]))

    @property
    def settings(self) -> pd.DataFrame:
        """What is not the same in all experiments. Index: path (`optimizer.learning_rate`); a column a run; missing: it has no such
        setting."""
        columns = [group.name for group in self._groups]
        rows = [[row.get(run) for run in columns] for row in self._found.settings.values()]
        return pd.DataFrame(rows, pd.Index(self._found.settings, name="path"), columns, dtype=object)

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
            group.name: {
                row.task: row.values[group.name]
                for row in self._found.metrics
                if row.metric == (metric or self._main[row.task]) and group.name in row.values
            }
            for group in self._groups
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

        series = {short: run.series() for short, run in self.runs.items()}
        return plots.overlay(series, task, metric or self._main[task], smoothing=smoothing)

    @property
    def _main(self) -> dict[str, str]:
        return {task: name for run in self.runs.values() for task, name in run.experiment.main_metrics.items()}


def compare(
    runs: Sequence[record.Run | str | Path],
    baseline: record.Run | str | Path | None = None,
    workspace: Workspace | Path | str | None = None,
    split: Literal["validation", "test"] = "validation",
    by_seed: bool = True,
) -> RunComparison:
    """Puts runs side by side.

    Args:
        runs: at least one, each a `Run`, an ID or a folder.
        baseline: the one of them that the others are compared with; None: the first.
        workspace: of IDs; None: the default one.
        split: validation, on which choices are made, or test, whose numbers are final.
        by_seed: whether runs that differ by their seed alone are compared as one.

    Raises:
        RunError: there is no such run, or its experiment cannot be read.
        ValueError: no runs, the same one twice, a baseline that is not among them, another split.
    """
    found = [_loaded(run, workspace).readable for run in runs]
    ids = [run.id for run in found]
    wanted = _loaded(baseline, workspace).id if baseline is not None else next(iter(ids), "")
    if len(set(ids)) != len(ids) or wanted not in ids:
        raise ValueError(
            f"There should be different runs, the baseline among them. Found the runs {', '.join(ids)}, the baseline {wanted}."
        )
    if split not in _PARTS:
        raise ValueError(f"split should be one of {', '.join(_PARTS)}. Found {split!r}.")
    return RunComparison(found, found[ids.index(wanted)], split, by_seed)


def _loaded(run: record.Run | str | Path, workspace: Workspace | Path | str | None) -> Run:
    if isinstance(run, record.Run):
        return run if isinstance(run, Run) else Run(run.folder, run.status, run.described)
    return load(run, workspace)
