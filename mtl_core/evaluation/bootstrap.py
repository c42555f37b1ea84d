"""How well the difference of two models is known: a paired bootstrap over the rows that both were measured on. No torch.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993): rows are drawn with replacement as often as there are rows, the same ones
for both models (chapter 8: paired data); the interval holds the middle 95 % of the differences (percentiles, chapter 13). Rows that belong
together, such as a ranked list or a user's, are drawn together.

With several trainings of a model that differ by their seed, chance is in both the rows and the seeds. The variances of the two add up:
that of the mean's draws, and the pooled one over seeds divided by their number; the interval is then Student's, with the degrees of freedom
of Welch and Satterthwaite ("The Generalization of 'Student's' Problem", 1947, https://doi.org/10.1093/biomet/34.1-2.28).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mtl_core.evaluation.statistics import CONFIDENCE
from mtl_core.evaluation.weighed import Weighed

N_DRAWS = 1000
N_SLOW_DRAWS = 200
"""Where a metric has to be computed from copied rows."""
LEAST_UNITS = 10
"""Rows, or lists, below which nothing is said: a bootstrap of few rows is too sure of itself."""
_CELLS = 2_000_000
"""Weights held at a time."""


@dataclass(frozen=True)
class Difference:
    """first, second: the metric of its trainings; value: the mean of the second less that of the first; low, high: of its interval at
    CONFIDENCE; p: two-sided, not adjusted.

    n_rows, n_units: rows, and what was drawn of them (lists, users); n_draws: those with a metric. low, high, p: nan where nothing can be
    said.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]
    low: float
    high: float
    p: float
    n_rows: int
    n_units: int
    n_draws: int

    @property
    def value(self) -> float:
        return float(np.mean(self.second) - np.mean(self.first))

    @property
    def over_seeds(self) -> bool:
        """Whether low, high and p count the chance of seeds, too."""
        return len(self.first) + len(self.second) > 2

    @property
    def alike(self) -> bool:
        """Whether no draw of the rows differs from another, so that there is no interval: nothing differs, or everything does."""
        return self.low == self.high

    @property
    def known(self) -> bool:
        return not math.isnan(self.p)


def draws(units: np.ndarray, n_draws: int, seed: int = 0) -> Iterator[np.ndarray]:
    """units: (N,) int, which rows are drawn together. Yields weights (d, N), `n_draws` in all, the same for a seed."""
    rng = np.random.default_rng(seed)
    distinct, unit = np.unique(units, return_inverse=True)
    n = len(distinct)
    at_once = max(1, _CELLS // max(1, len(units)))
    for start in range(0, n_draws, at_once):
        drawn = rng.integers(0, n, (min(at_once, n_draws - start), n))
        counts = np.bincount((drawn + n * np.arange(len(drawn))[:, None]).ravel(), minlength=n * len(drawn)).reshape(-1, n)
        yield counts[:, unit].astype(np.float64)


def paired_difference(
    first: Sequence[Weighed], second: Sequence[Weighed], units: np.ndarray, n_draws: int = N_DRAWS, seed: int = 0
) -> Difference:
    """first, second: of each training its metric of the same N rows, several where they differ by the seed alone, each at least one.
    units: (N,) int, rows of one number are drawn together."""
    n_rows, n_units = len(units), len(np.unique(units))
    once = np.ones((1, n_rows))
    values = [np.array([float(one(once)[0]) for one in side]) for side in (first, second)]
    sides = tuple(values[0].tolist()), tuple(values[1].tolist())
    value = float(values[1].mean() - values[0].mean())
    if n_units < LEAST_UNITS or not math.isfinite(value):
        return Difference(*sides, math.nan, math.nan, math.nan, n_rows, n_units, 0)
    found = np.concatenate(
        [np.mean([one(w) for one in second], axis=0) - np.mean([one(w) for one in first], axis=0) for w in draws(units, n_draws, seed)]
    )
    found = found[np.isfinite(found)]
    if len(found) < n_draws / 2:
        return Difference(*sides, math.nan, math.nan, math.nan, n_rows, n_units, len(found))
    if len(first) + len(second) > 2:
        low, high, p = _over_seeds(value, values, float(found.var(ddof=1)), n_units)
    else:
        tail = (1 - CONFIDENCE) / 2
        low, high = map(float, np.quantile(found, (tail, 1 - tail)))
        side = min(np.count_nonzero(found <= 0), np.count_nonzero(found >= 0))
        p = float(min(1.0, 2 * (side + 1) / (len(found) + 1)))
    return Difference(*sides, low, high, p, n_rows, n_units, len(found))


def _over_seeds(value: float, values: Sequence[np.ndarray], of_rows: float, n_units: int) -> tuple[float, float, float]:
    """low, high, p. of_rows: the variance of the difference over draws of rows."""
    freedom = sum(len(side) - 1 for side in values)
    pooled = sum(float(((side - side.mean()) ** 2).sum()) for side in values) / freedom
    of_seeds = pooled * sum(1 / len(side) for side in values)
    variance = of_rows + of_seeds
    if variance == 0:
        return value, value, 1.0 if value == 0 else 0.0
    degrees = variance**2 / (of_rows**2 / (n_units - 1) + of_seeds**2 / freedom)
    error = math.sqrt(variance)
    from scipy.special import stdtr, stdtrit  # a third of a second, for every command

    half = float(stdtrit(degrees, (1 + CONFIDENCE) / 2)) * error
    return value - half, value + half, float(2 * stdtr(degrees, -abs(value) / error))
