"""Which step is best, for the run and for each task, and which tasks have stopped gaining.

Tasks peak at different steps, and no step is best for all of them: which one the run keeps is decided by a rule that is stated. A
rule sees all evaluations so far, as rows of main metrics, and gives each a number; the best so far is replaced when the newest one
has a higher number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mtl_core.config.parts import EarlyStoppingConfig, TaskStoppingConfig
from mtl_core.tasks import higher_is_better, is_better


def _mean(values: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return np.nanmean(np.where(lower, -values, values), axis=1)


def _shortfall(values: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """(E, K) ≤ 0: the relative difference of each value to the best one of its task; absolute where that is not above 0."""
    best = np.where(lower, np.nanmin(values, axis=0), np.nanmax(values, axis=0))
    behind = -np.abs(values - best)
    size = np.where(lower, values, best)  # so that it stays within -1 and 0 either way
    return np.where(size > 0, behind / np.where(size > 0, size, 1), behind)


def _mean_rank(values: np.ndarray, lower: np.ndarray) -> np.ndarray:
    ranks = pd.DataFrame(np.where(lower, values, -values)).rank()  # ties share their mean
    return -np.nanmean(ranks.to_numpy(), axis=1)


RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "mean": _mean,
    "mean_rank": _mean_rank,
    "mean_delta": lambda values, lower: np.nanmean(_shortfall(values, lower), axis=1),
    "worst": lambda values, lower: np.nanmin(_shortfall(values, lower), axis=1),
}
"""Name → (values (E, K), nan where a task was not measured, and lower (K,), whether less is better) → (E,), higher is better."""


@dataclass
class Peak:
    """The best evaluation of a task. without_gain: evaluations since; ended: the step after which it was let rest, None: it learns."""

    step: int
    value: float
    without_gain: int = 0
    ended: int | None = None


@dataclass(frozen=True)
class Selection:
    """objective: what early stopping looks at; peaked: tasks that were never better; ended: tasks that rest from now on."""

    objective: float
    is_best: bool
    peaked: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)


class CheckpointSelector:
    """`state` (JSON) is all that the next update depends on."""

    def __init__(self, stopping: EarlyStoppingConfig, task_stopping: TaskStoppingConfig, primaries: Mapping[str, str]):
        """primaries: task → its main metric."""
        self.stopping, self._task_stopping, self._primaries = stopping, task_stopping, dict(primaries)
        self._history: list[dict[str, float]] = []
        self._best = 0  # its place in the history
        self.peaks: dict[str, Peak] = {}

    def update(self, step: int, metrics: Mapping[str, Mapping[str, float]]) -> Selection:
        main = self._main(metrics)
        self._history.append(main)
        scores = self._scores()
        unmeasured = not any(self._history)  # no validation row has a label: what was trained last is kept, not what was never trained
        is_best = bool(len(self._history) == 1 or unmeasured or scores[-1] > scores[self._best] + self.stopping.min_delta)
        if is_best:
            self._best = len(self._history) - 1
        peaked, ended = [], []
        for task, value in main.items():
            peak = self.peaks.get(task)
            if peak is None or is_better(self._primaries[task], value, peak.value):
                self.peaks[task] = Peak(step, value, ended=peak.ended if peak else None)
                peaked.append(task)
                continue
            peak.without_gain += 1
            if self._task_stopping.then != "train_on" and peak.ended is None and peak.without_gain >= self._task_stopping.patience:
                peak.ended = step
                ended.append(task)
        return Selection(float(scores[-1]), is_best, peaked, ended)

    def score(self, metrics: Mapping[str, Mapping[str, float]]) -> float:
        """What the rule gives to other numbers beside the history, which stays as it is."""
        return float(self._scores([self._main(metrics)])[-1])

    def resting(self, step: int) -> set[str]:
        """Tasks that take no part in step `step` (from 0): frozen ones, and rehearsed ones between their turns."""
        ended = {task for task, peak in self.peaks.items() if peak.ended is not None}
        return set() if self._task_stopping.then == "rehearse" and step % self._task_stopping.rehearse_every == 0 else ended

    @property
    def over(self) -> bool:
        """Whether every task has stopped gaining."""
        return len(self.peaks) == len(self._primaries) and all(peak.ended is not None for peak in self.peaks.values())

    def _main(self, metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return {task: metrics[task][name] for task, name in self._primaries.items() if name in metrics.get(task, {})}

    def _scores(self, more: Sequence[Mapping[str, float]] = ()) -> np.ndarray:
        wanted = self.stopping.objective
        tasks = list(self._primaries) if wanted in RULES else [wanted]
        rows = [[main.get(task, np.nan) for task in tasks] for main in (*self._history, *more)]
        values = np.array(rows, dtype=np.float64)
        lower = np.array([not higher_is_better(self._primaries[task]) for task in tasks])
        measured = ~np.isnan(values).all(axis=0)
        scores = np.full(len(values), -np.inf)
        seen = ~np.isnan(values).all(axis=1)
        if measured.any():
            scores[seen] = RULES.get(wanted, _mean)(values[seen][:, measured], lower[measured])
        return scores

    def state(self) -> dict[str, Any]:
        return {"history": self._history, "best": self._best, "peaks": {task: vars(peak) for task, peak in self.peaks.items()}}

    def load(self, state: Mapping[str, Any]) -> None:
        self._history, self._best = [dict(main) for main in state["history"]], state["best"]
        self.peaks = {task: Peak(**peak) for task, peak in state["peaks"].items()}
