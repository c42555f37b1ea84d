"""How well a mean is known."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.95


def t_interval(values: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the first axis, and half the width of its interval at CONFIDENCE: mean ± half.

    half = t · s / √n, where s is the standard deviation with n - 1 below and t the quantile (1 + CONFIDENCE) / 2 of Student's
    distribution with n - 1 degrees of freedom: "The Probable Error of a Mean" (https://doi.org/10.2307/2331554).

    values: (N, ...), nan where nothing is known, which n does not count. Returns two arrays of the shape (...). Of n = 1 half is inf:
    one value tells nothing of the spread. Of n = 0 both are nan.
    """
    from scipy.special import stdtrit  # a third of a second, for every command

    values = np.asarray(values, dtype=np.float64)
    n = np.count_nonzero(~np.isnan(values), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, axis=0) / n
        deviation = np.sqrt(np.nansum((values - mean) ** 2, axis=0) / (n - 1))
        half = np.where(n > 1, stdtrit(np.maximum(n - 1, 1), (1 + CONFIDENCE) / 2) * deviation / np.sqrt(n), np.inf)
    return mean, np.where(n > 0, half, np.nan)


def exact_interval(hits: int, n: int) -> tuple[float, float]:
    """Of a share, `hits` of `n` ≥ 1 trials, at CONFIDENCE; also where all hit, or none: 25 of 25 is 0.863 to 1.

    Clopper and Pearson, "The Use of Confidence or Fiducial Limits" (1934, https://doi.org/10.1093/biomet/26.4.404), by quantiles of the
    beta distribution.
    """
    from scipy.special import betaincinv  # a third of a second, for every command

    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    return low, float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p values of a family, each made larger so that one falls below α by chance, in any of the family, with probability α at most.

    The i-th smallest of m (i from 1) is taken m - i + 1 times, and is at least those below it: Holm, "A Simple Sequentially Rejective
    Multiple Test Procedure" (1979, https://www.jstor.org/stable/4615733). In [0, 1], in the order given.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for i, place in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - i)))
        adjusted[place] = largest
    return adjusted
