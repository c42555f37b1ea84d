"""Metrics of rows that count more than once, or not at all: what a bootstrap computes a thousand times. Pure numpy.

weights: (D, N) ≥ 0, D ways of counting the same N rows. Each measure gives (D,) values; nan where there is none.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mtl_core.evaluation import metrics

Weighed = Callable[[np.ndarray], np.ndarray]
"""weights (D, N) → the metric (D,)."""


@dataclass(frozen=True)
class Ratio:
    """Σ weights · above / Σ weights · below: means (below 1), shares, micro-F1. above, below: (N,)."""

    above: np.ndarray
    below: np.ndarray

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        below = weights @ self.below.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: np.ndarray = weights @ self.above.astype(np.float64) / np.where(below > 0, below, np.nan)
        return found


def mean(values: np.ndarray) -> Ratio:
    """values: (N,)."""
    return Ratio(values, np.ones(len(values)))


def f1(hits: np.ndarray, called: np.ndarray, positive: np.ndarray) -> Ratio:
    """Micro-F1 of counts by row: 2 · hits / (called + positive)."""
    return Ratio(2 * hits.astype(np.float64), called.astype(np.float64) + positive)


def ndcg(scores: np.ndarray, gains: np.ndarray, groups: np.ndarray, k: int = 10) -> Ratio:
    """`metrics.ndcg`: each list's value stands at its first row, so that lists are counted as their rows are."""
    reached, ideal = metrics.gains_by_group(scores, gains, groups, k)
    _, first = np.unique(groups, return_index=True)
    above, below = np.zeros((2, len(scores)))
    above[first[ideal > 0]] = reached[ideal > 0] / ideal[ideal > 0]
    below[first[ideal > 0]] = 1
    return Ratio(above, below)


@dataclass(frozen=True)
class Auc:
    """`metrics.roc_auc`. scores, labels: (N,)."""

    scores: np.ndarray
    labels: np.ndarray

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        order, ends = _blocks(self.scores)
        positive = self.labels[order] > 0.5
        weights = weights[:, order]
        above = np.diff(np.cumsum(weights * positive, axis=1)[:, ends], prepend=0)  # (D, blocks of equal scores)
        below = np.cumsum(weights * ~positive, axis=1)[:, ends]
        won = (above * (below - np.diff(below, prepend=0) / 2)).sum(axis=1)
        pairs = above.sum(axis=1) * below[:, -1] if len(ends) else np.zeros(len(weights))
        return np.asarray(won / np.where(pairs > 0, pairs, np.nan))


@dataclass(frozen=True)
class Spearman:
    """`metrics.spearman`. predicted, labels: (N,)."""

    predicted: np.ndarray
    labels: np.ndarray

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        if not len(self.labels):
            return np.full(len(weights), np.nan)
        first, second = _ranks(self.predicted, weights), _ranks(self.labels, weights)

        def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return np.asarray((weights * a * b).sum(axis=1))

        spread = product(second, second)
        return np.asarray(product(first, second) / np.maximum(np.sqrt(product(first, first) * np.where(spread > 0, spread, np.nan)), 1e-12))


def _blocks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) the rows by rising value, (B,) the place of the last one of each block of equal values."""
    order = np.argsort(values, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(values[order]) != 0, True)) if len(values) else np.zeros(0, np.int64)
    return order, ends


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(D, N) mean ranks, less the mean of all."""
    order, ends = _blocks(values)
    up_to = np.cumsum(weights[:, order], axis=1)[:, ends]  # rows up to each block
    size = np.diff(up_to, prepend=0)
    block = np.empty(len(values), np.int64)
    block[order] = np.searchsorted(ends, np.arange(len(values)))
    return np.asarray((up_to - (size - 1) / 2 - (up_to[:, -1:] + 1) / 2)[:, block])
