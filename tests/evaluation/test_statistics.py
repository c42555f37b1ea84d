"""Intervals by hand and as scipy has them."""

import math

import numpy as np
import pytest
from scipy import stats

from mtl_core.evaluation.statistics import t_interval


def test_by_hand() -> None:
    mean, half = t_interval([1.0, 2.0, 3.0])  # s = 1, t of two degrees of freedom = 4.302653
    assert (float(mean), float(half)) == pytest.approx((2, 4.302653 / math.sqrt(3)))
    mean, half = t_interval([4.0, 4.0])
    assert (float(mean), float(half)) == (4, 0)


def test_as_scipy_along_the_first_axis() -> None:
    values = np.random.default_rng(0).normal(size=(7, 2, 3))
    mean, half = t_interval(values)
    low, high = stats.t.interval(0.95, 6, loc=values.mean(0), scale=stats.sem(values))
    np.testing.assert_allclose([mean - half, mean + half], [low, high])


def test_one_value_tells_nothing_of_the_spread_and_none_nothing_at_all() -> None:
    nan = math.nan
    mean, half = t_interval([[0.5, 1.0, nan], [nan, 3.0, nan], [nan, nan, nan]])
    assert mean[:2].tolist() == [0.5, 2] and math.isnan(mean[2])
    assert half[0] == math.inf and half[1] == pytest.approx(12.706205) and math.isnan(half[2])  # t of one degree: 12.706205, s/√n = 1
