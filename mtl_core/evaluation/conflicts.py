"""What the tasks do to each other: how their gradients stand, over several looks, and one sentence that says it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np

from mtl_core.base.messages import Message, message
from mtl_core.evaluation.statistics import t_interval

LOOKS = 8
"""Of the last ones, that a mean is taken over."""


class Look(Protocol):
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
    """tasks: K names; cosine, low, high: (K, K), mean over the looks and its interval; share: (K,) of the sum of gradient lengths.

    A cosine is told from 0 where its interval does not hold 0. nan: never seen together, or a gradient was zero. looks: how many.
    """

    step: int
    tasks: list[str]
    cosine: np.ndarray
    low: np.ndarray
    high: np.ndarray
    share: np.ndarray
    looks: int

    @property
    def told(self) -> np.ndarray:
        """(K, K) bool: whether the cosine is told from 0."""
        return (self.low > 0) | (self.high < 0)


def agreement(looks: Sequence[Look], step: int | None = None, layer: str | None = None) -> Agreement | None:
    """Over the last LOOKS looks up to `step` (None: the last one); layer: a part of the encoder, None for all of it. None: no look."""
    chosen = [look for look in looks if step is None or look.step <= step][-LOOKS:]
    if not chosen:
        return None
    tasks = list(dict.fromkeys(task for look in chosen for task in look.tasks))
    values = np.full((len(chosen), len(tasks), len(tasks)), np.nan)
    norms = np.full((len(chosen), len(tasks)), np.nan)
    for n, look in enumerate(chosen):
        places = [tasks.index(task) for task in look.tasks]
        values[n][np.ix_(places, places)] = np.array(look.cosines if layer is None else look.layers[layer], dtype=np.float64)
        norms[n, places] = look.norms
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = np.nansum(norms, 0) / np.isfinite(norms).sum(0)
        share = lengths / lengths.sum()  # nan before any head has learned to hand a gradient on
    return Agreement(chosen[-1].step, tasks, *_mean(values), share, len(chosen))


def _mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(L, K, K), with nan where nothing is known → mean over the looks, low and high end of its interval: (K, K) each."""
    mean, half = t_interval(values)
    return mean, mean - half, mean + half


@dataclass(frozen=True)
class Affinity:
    """What a step along one task's gradient alone takes off each task's loss, as a share of it (below 0: adds to it).

    change, low, high: (K, K), rows: whose step, columns: whose loss; nan where it was never looked at. looks: (K,) of each task's step.
    "Efficiently Identifying Task Groupings for Multi-Task Learning", https://arxiv.org/abs/2109.04617.
    """

    tasks: list[str]
    change: np.ndarray
    low: np.ndarray
    high: np.ndarray
    looks: list[int]

    @property
    def told(self) -> np.ndarray:
        """(K, K) bool: whether the change is told from 0."""
        return (self.low > 0) | (self.high < 0)


def affinity(looks: Sequence[Look], step: int | None = None) -> Affinity | None:
    """Over the last LOOKS looks at each task's step, up to `step` (None: the last one). None: no look."""
    found: dict[str, list[dict[str, float]]] = {}
    for look in looks:
        if step is None or look.step <= step:
            for source, changes in look.affinity.items():
                found.setdefault(source, []).append(changes)
    if not found:
        return None
    tasks = list(dict.fromkeys(task for rows in found.values() for changes in rows for task in changes))
    values = np.full((LOOKS, len(tasks), len(tasks)), np.nan)
    for source, rows in found.items():
        for n, changes in enumerate(rows[-LOOKS:]):
            for task, change in changes.items():
                values[n, tasks.index(source), tasks.index(task)] = change
    return Affinity(tasks, *_mean(values), [len(found.get(task, [])[-LOOKS:]) for task in tasks])


def sentence(looks: Sequence[Look]) -> Message | None:
    """The strongest conflict that is told from 0 now, and since when; or that there is none. None: too few looks to say."""
    now = agreement(looks)
    if now is None or now.looks < 3:
        return None
    pairs = [(now.cosine[i, j], i, j) for i, j in combinations(range(len(now.tasks)), 2) if now.high[i, j] < 0]
    if not pairs:
        return message("No two tasks pull apart: every cosine is above 0 or not told from it.")
    cosine, i, j = min(pairs)
    first, second = now.tasks[i], now.tasks[j]
    since = now.step
    for look in reversed(looks):
        then = agreement(looks, look.step)
        if then is None or first not in then.tasks or second not in then.tasks:
            break
        if not then.high[then.tasks.index(first), then.tasks.index(second)] < 0:
            break
        since = look.step
    return message(
        "“{first}” and “{second}” pull apart since step {since}: cosine {cosine}.",
        first=first,
        second=second,
        since=since,
        cosine=f"{cosine:.2f}" if math.isfinite(cosine) else "–",
    )
