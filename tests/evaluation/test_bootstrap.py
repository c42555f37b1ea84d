"""Differences of two models on the same rows, and how well they are known."""

import math

import numpy as np
import pytest
from scipy import stats

from mtl_core.evaluation import weighed
from mtl_core.evaluation.bootstrap import LEAST_UNITS, draws, paired_difference
from mtl_core.evaluation.statistics import holm, t_interval

RNG = np.random.default_rng(1)
FIRST = RNG.random(80)
SECOND = FIRST + RNG.normal(0.05, 0.2, 80)
ROWS = np.arange(80)


def test_of_means_it_is_scipys_paired_bootstrap() -> None:
    found = paired_difference([weighed.mean(FIRST)], [weighed.mean(SECOND)], ROWS, n_draws=4000)

    def difference(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
        return second.mean(axis=axis) - first.mean(axis=axis)

    wanted = stats.bootstrap(
        (FIRST, SECOND),
        difference,
        paired=True,
        vectorized=True,
        n_resamples=4000,
        method="percentile",
        random_state=np.random.default_rng(3),
    )
    assert found.value == pytest.approx(SECOND.mean() - FIRST.mean())
    assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval), abs=0.003)
    exact = stats.permutation_test(
        (SECOND - FIRST,), np.mean, permutation_type="samples", n_resamples=4000, random_state=np.random.default_rng(3)
    )
    assert found.p == pytest.approx(exact.pvalue, abs=0.02)
    assert (found.n_rows, found.n_units, found.n_draws, found.over_seeds) == (80, 80, 4000, False)


def test_turned_round_it_is_the_same_and_equal_models_do_not_differ() -> None:
    there = paired_difference([weighed.mean(FIRST)], [weighed.mean(SECOND)], ROWS)
    back = paired_difference([weighed.mean(SECOND)], [weighed.mean(FIRST)], ROWS)
    assert (back.value, back.low, back.high, back.p) == pytest.approx((-there.value, -there.high, -there.low, there.p))
    same = paired_difference([weighed.mean(FIRST)], [weighed.mean(FIRST)], ROWS)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_rows_that_belong_together_are_drawn_together() -> None:
    weights = np.concatenate(list(draws(np.array([4, 4, 9, 9, 9]), 50)))
    assert weights.shape == (50, 5)
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 2] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 2] == 2).all()
    copies = np.repeat(ROWS, 4)  # each row four times tells nothing new
    once = paired_difference([weighed.mean(FIRST)], [weighed.mean(SECOND)], ROWS)
    copied = paired_difference([weighed.mean(FIRST[copies])], [weighed.mean(SECOND[copies])], copies)
    assert (copied.low, copied.high, copied.n_units, copied.n_rows) == (pytest.approx(once.low), pytest.approx(once.high), 80, 320)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng, held, found_by_chance = np.random.default_rng(5), 0, 0
    for seed in range(300):
        first, change = rng.random(40), rng.normal(0.1, 0.3, 40)
        found = paired_difference([weighed.mean(first)], [weighed.mean(first + change)], np.arange(40), n_draws=400, seed=seed)
        held += found.low <= 0.1 <= found.high
        found = paired_difference([weighed.mean(first)], [weighed.mean(first + change - 0.1)], np.arange(40), n_draws=400, seed=seed)
        found_by_chance += found.p < 0.05
    assert 0.90 <= held / 300 <= 0.985 and found_by_chance / 300 <= 0.09


def test_few_rows_and_metrics_without_a_value_say_nothing() -> None:
    few = paired_difference([weighed.mean(FIRST[:5])], [weighed.mean(FIRST[:5] + 1)], np.arange(5))
    assert few.value == pytest.approx(1) and not few.known and few.n_units < LEAST_UNITS
    assert not paired_difference([weighed.Auc(FIRST, np.ones(80))], [weighed.Auc(SECOND, np.ones(80))], ROWS).known


def test_seeds_and_rows_both_make_it_uncertain() -> None:
    bases = [weighed.mean(FIRST + shift) for shift in (-0.1, 0.0, 0.1)]
    others = [weighed.mean(SECOND + shift) for shift in (-0.1, 0.0, 0.1)]
    one = paired_difference(bases[1:2], others[1:2], ROWS)
    both = paired_difference(bases, others, ROWS)
    assert both.value == pytest.approx(one.value) and both.over_seeds and len(both.first) == len(both.second) == 3
    assert both.high - both.low > one.high - one.low
    certain = [weighed.mean(np.full(80, value)) for value in (0.4, 0.5, 0.6)]  # rows all alike: only seeds are left
    found = paired_difference(certain, [weighed.mean(np.full(80, value)) for value in (0.5, 0.6, 0.7)], ROWS)
    wanted = stats.ttest_ind([0.5, 0.6, 0.7], [0.4, 0.5, 0.6])
    assert (found.p, found.low, found.high) == pytest.approx((wanted.pvalue, *wanted.confidence_interval()))
    single = paired_difference(certain, [weighed.mean(np.full(80, 0.6))], ROWS)  # a single run's spread is taken from the other's
    assert single.high - single.low == pytest.approx(2 * t_interval([0.4, 0.5, 0.6])[1] * math.sqrt(3 * (1 + 1 / 3)))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []
