"""What the tasks do to each other: how their gradients stand, over several measurements, and one sentence that says it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np

from mtl_core.base.messages import Message, message
from mtl_core.evaluation.statistics import t_interval

N_MEASUREMENTS = 8
"""Of the last ones, that a mean is taken over."""


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

    A cosine is significant where its interval does not hold 0. nan: never seen together, or a gradient was zero. measurements: how many.
    """

    step: int
    tasks: list[str]
    cosine: np.ndarray
    low: np.ndarray
    high: np.ndarray
    share: np.ndarray
    measurements: int

    @property
    def significant(self) -> np.ndarray:
        """(K, K) bool: whether the cosine is significant."""
        return (self.low > 0) | (self.high < 0)


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
    return Agreement(chosen[-1].step, tasks, *_mean(values), share, len(chosen))


def _mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(L, K, K), with nan where nothing is known → mean over the measurements, low and high end of its interval: (K, K) each."""
    mean, half = t_interval(values)
    return mean, mean - half, mean + half


@dataclass(frozen=True)
class Affinity:
    """What a step along one task's gradient alone takes off each task's loss, as a share of it (below 0: adds to it).

    change, low, high: (K, K), rows: whose step, columns: whose loss; nan: never measured. measurements: (K,) of each task's step.
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
    """Over the last N_MEASUREMENTS measurements at each task's step, up to `step` (None: the last one). None: no measurement."""
    found: dict[str, list[dict[str, float]]] = {}
    for measurement in measurements:
        if step is None or measurement.step <= step:
            for source, changes in measurement.affinity.items():
                found.setdefault(source, []).append(changes)
    if not found:
        return None
    tasks = list(dict.fromkeys(task for rows in found.values() for changes in rows for task in changes))
    values = np.full((N_MEASUREMENTS, len(tasks), len(tasks)), np.nan)
    for source, rows in found.items():
        for n, changes in enumerate(rows[-N_MEASUREMENTS:]):
            for task, change in changes.items():
                values[n, tasks.index(source), tasks.index(task)] = change
    return Affinity(tasks, *_mean(values), [len(found.get(task, [])[-N_MEASUREMENTS:]) for task in tasks])


def sentence(measurements: Sequence[Measurement]) -> Message | None:
    """The strongest conflict that is significant now, and since when; or that there is none. None: too few measurements to say."""
    now = agreement(measurements)
    if now is None or now.measurements < 3:
        return None
    pairs = [(now.cosine[i, j], i, j) for i, j in combinations(range(len(now.tasks)), 2) if now.high[i, j] < 0]
    if not pairs:
        return message("No gradient conflicts: every cosine similarity is above 0 or not significant.")
    cosine, i, j = min(pairs)
    first, second = now.tasks[i], now.tasks[j]
    since = now.step
    for measurement in reversed(measurements):
        then = agreement(measurements, measurement.step)
        if then is None or first not in then.tasks or second not in then.tasks:
            break
        if not then.high[then.tasks.index(first), then.tasks.index(second)] < 0:
            break
        since = measurement.step
    return message(
        "The gradients of “{first}” and “{second}” have been in conflict since step {since}: cosine similarity {cosine}.",
        first=first,
        second=second,
        since=since,
        cosine=f"{cosine:.2f}" if math.isfinite(cosine) else "–",
    )
