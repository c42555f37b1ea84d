"""What the tasks do to each other: how their gradients stand, over several measurements, and one sentence that says it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np

from mtl_core.base.messages import Message, message
from mtl_core.evaluation.statistics import t_interval

N_MEASUREMENTS = 8
"""Of the last ones, that a mean is taken over."""
LEAST_MEASUREMENTS = 5
"""Of a pair of tasks, below which nothing is said of it."""
LEAST_COSINE = 0.1
"""A mean cosine nearer to 0 is nothing, however well it is known."""
LEAST_STEPS = 2
"""Of one task alone, below which nothing is told of what they do: one measurement has no interval."""
N_NORMS = 3
"""Of the last measurements, that a task's gradient norm is taken from: it changes faster than the cosines."""


class Measurement(Protocol):
    """As the event `Compared`."""

    @property
    def step(self) -> int: ...
    @property
    def tasks(self) -> list[str]: ...
    @property
    def norms(self) -> list[float]: ...
    @property
    def cosines(self) -> list[list[float]]: ...
    @property
    def layers(self) -> dict[str, list[list[float]]]: ...
    @property
    def affinity(self) -> dict[str, dict[str, float]]: ...


@dataclass(frozen=True)
class Agreement:
    """tasks: K names; cosine, low, high: (K, K), mean over the measurements and its interval; share: (K,) of the sum of gradient lengths.

    nan: never seen together, or a gradient was zero. counts: (K, K) measurements in which both gradients were not zero.
    """

    step: int
    tasks: list[str]
    cosine: np.ndarray
    low: np.ndarray
    high: np.ndarray
    share: np.ndarray
    counts: np.ndarray

    @property
    def measurements(self) -> int:
        """Of the two tasks that were measured most: in the first ones the gradients of new heads are zero, and tell of no pair."""
        return max((int(self.counts[i, j]) for i, j in combinations(range(len(self.tasks)), 2)), default=0)

    @property
    def significant(self) -> np.ndarray:
        """(K, K) bool: whether the cosine says something: LEAST_MEASUREMENTS of it, at least LEAST_COSINE, 0 outside of its interval."""
        told = (self.low > 0) | (self.high < 0)
        return told & (np.abs(self.cosine) >= LEAST_COSINE) & (self.counts >= LEAST_MEASUREMENTS)

    @property
    def pairs(self) -> "list[Pair]":
        """Every two tasks with a cosine, from those that pull apart to those that agree."""
        found = [
            Pair(
                self.tasks[i],
                self.tasks[j],
                float(self.cosine[i, j]),
                float(self.high[i, j] - self.cosine[i, j]),
                int(self.counts[i, j]),
                bool(self.significant[i, j]),
            )
            for i, j in combinations(range(len(self.tasks)), 2)
            if np.isfinite(self.cosine[i, j])
        ]
        return sorted(found, key=lambda pair: pair.cosine)


@dataclass(frozen=True)
class Pair:
    """Two tasks: the mean cosine of their gradients ± half its interval, over how many measurements, and whether that says something."""

    first: str
    second: str
    cosine: float
    half: float
    measurements: int
    significant: bool

    @property
    def apart(self) -> bool:
        return self.significant and self.cosine < 0

    @property
    def text(self) -> str:
        """-0.31 ± 0.08"""
        return f"{self.cosine:.2f} ± {self.half:.2f}" if np.isfinite(self.half) else f"{self.cosine:.2f}"


def agreement(measurements: Sequence[Measurement], step: int | None = None, layer: str | None = None) -> Agreement | None:
    """Over the last N_MEASUREMENTS up to `step` (None: the last one); layer: a part of the encoder, None: all. None: no measurement."""
    chosen = [measurement for measurement in measurements if step is None or measurement.step <= step][-N_MEASUREMENTS:]
    if not chosen:
        return None
    tasks = list(dict.fromkeys(task for measurement in chosen for task in measurement.tasks))
    values = np.full((len(chosen), len(tasks), len(tasks)), np.nan)
    norms = np.full((len(chosen), len(tasks)), np.nan)
    for n, measurement in enumerate(chosen):
        places = [tasks.index(task) for task in measurement.tasks]
        values[n][np.ix_(places, places)] = np.array(measurement.cosines if layer is None else measurement.layers[layer], dtype=np.float64)
        norms[n, places] = measurement.norms
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = np.nansum(norms, 0) / np.isfinite(norms).sum(0)
        share = lengths / lengths.sum()  # nan before any head has learned to hand a gradient on
    return Agreement(chosen[-1].step, tasks, *_mean(values), share, np.isfinite(values).sum(0))


def _mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(L, K, K), with nan where nothing is known → mean over the measurements, low and high end of its interval: (K, K) each."""
    mean, half = t_interval(values)
    return mean, mean - half, mean + half


@dataclass(frozen=True)
class Affinity:
    """What a step along one task's gradient alone takes off each task's loss, as a share of it (below 0: adds to it).

    change, low, high: (K, K), rows: whose step, columns: whose loss; nan: measured less than LEAST_STEPS times. measurements: (K,) of
    each task's step.
    "Efficiently Identifying Task Groupings for Multi-Task Learning", https://arxiv.org/abs/2109.04617.
    """

    tasks: list[str]
    change: np.ndarray
    low: np.ndarray
    high: np.ndarray
    measurements: list[int]

    @property
    def significant(self) -> np.ndarray:
        """(K, K) bool: whether the change is significant."""
        return (self.low > 0) | (self.high < 0)


def affinity(measurements: Sequence[Measurement], step: int | None = None) -> Affinity | None:
    """Over the last N_MEASUREMENTS measurements at each task's step, up to `step` (None: the last one). None: too few of every task.

    What changed no loss at all was no step: runs of before 2026-11-28 went along a new head's gradient of zero.
    """
    found: dict[str, list[dict[str, float]]] = {}
    for measurement in measurements:
        if step is None or measurement.step <= step:
            for source, changes in measurement.affinity.items():
                if any(changes.values()):
                    found.setdefault(source, []).append(changes)
    tasks = list(dict.fromkeys(task for rows in found.values() for changes in rows for task in changes))
    counts = [len(found.get(task, [])[-N_MEASUREMENTS:]) for task in tasks]
    if max(counts, default=0) < LEAST_STEPS:
        return None
    values = np.full((N_MEASUREMENTS, len(tasks), len(tasks)), np.nan)
    for source, rows in found.items():
        for n, changes in enumerate(rows[-N_MEASUREMENTS:] if len(rows) >= LEAST_STEPS else []):
            for task, change in changes.items():
                values[n, tasks.index(source), tasks.index(task)] = change
    return Affinity(tasks, *_mean(values), counts)


def sentence(measurements: Sequence[Measurement]) -> Message | None:
    """The two tasks that pull apart most and since when, or that none do. None: too few measurements of every pair to say."""
    now = agreement(measurements)
    known = [pair for pair in now.pairs if pair.measurements >= LEAST_MEASUREMENTS] if now else []
    if not known:
        return None
    apart = [pair for pair in known if pair.apart]
    if not apart:
        return message(
            "No two tasks pull apart. The lowest cosine similarity is that of “{first}” and “{second}”: {cosine}.",
            first=known[0].first,
            second=known[0].second,
            cosine=known[0].text,
        )
    worst = apart[0]
    since = measurements[-1].step
    for measurement in reversed(measurements):
        then = agreement(measurements, measurement.step)
        if then is None or not any((p.first, p.second) == (worst.first, worst.second) and p.apart for p in then.pairs):
            break
        since = measurement.step
    return message(
        "“{first}” and “{second}” pull apart since step {since}: cosine similarity {cosine}.",
        first=worst.first,
        second=worst.second,
        since=since,
        cosine=worst.text,
    )


def gradient_norms(measurements: Sequence[Measurement]) -> dict[str, float]:
    """Task → the norm of its gradient on what is shared, without weight: the mean of the last N_NORMS in which it was not zero.

    A gradient is zero before the head has learned anything; a task that had no other yet is left out.
    """
    found: dict[str, list[float]] = {}
    for measurement in measurements:
        for task, norm in zip(measurement.tasks, measurement.norms, strict=True):
            if norm > 0 and np.isfinite(norm):
                found.setdefault(task, []).append(norm)
    return {task: float(np.mean(norms[-N_NORMS:])) for task, norms in found.items()}


def update_shares(norms: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """Task → its share of the update, w_k · ‖g_k‖ / Σ_j w_j · ‖g_j‖, in [0, 1]. Empty while a task with a weight above 0 has no norm.

    norms: as `gradient_norms`; weights: the factor of each task's gradient, its loss weight or what a strategy made of it.
    """
    if any(weight > 0 and task not in norms for task, weight in weights.items()):
        return {}
    parts = {task: weight * norms.get(task, 0.0) for task, weight in weights.items()}
    whole = sum(parts.values())
    return {task: part / whole for task, part in parts.items()} if whole > 0 else {}
