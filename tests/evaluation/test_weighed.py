"""Metrics of rows that count several times: as of the rows written out."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from mtl_core.evaluation import metrics, weighed

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 60).astype(np.float64)
SCORES = np.round(RNG.random(60) * 0.6 + LABELS * 0.3, 1)  # with ties
WEIGHTS = RNG.integers(0, 4, (5, 60)).astype(np.float64)


def written_out(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.repeat(values, weights.astype(np.int64))


def test_auc_and_spearman_are_those_of_the_rows_written_out() -> None:
    auc, spearman = weighed.Auc(SCORES, LABELS)(WEIGHTS), weighed.Spearman(SCORES, LABELS + SCORES.round())(WEIGHTS)
    for i, row in enumerate(WEIGHTS):
        scores, labels = written_out(SCORES, row), written_out(LABELS, row)
        assert auc[i] == pytest.approx(sklearn_metrics.roc_auc_score(labels, scores), abs=1e-12)
        assert spearman[i] == pytest.approx(stats.spearmanr(scores, written_out(LABELS + SCORES.round(), row)).statistic, abs=1e-12)


def test_undefined_is_nan() -> None:
    ones = np.ones((1, 3))
    assert np.isnan(weighed.Auc(np.arange(3.0), np.ones(3))(ones)[0])
    assert np.isnan(weighed.Spearman(np.arange(3.0), np.ones(3))(ones)[0])
    assert weighed.Spearman(np.ones(3), np.arange(3.0))(ones)[0] == 0
    assert np.isnan(weighed.mean(np.ones(3))(np.zeros((1, 3)))[0])


def test_means_and_f1_by_hand() -> None:
    assert weighed.mean(np.array([1.0, 0.0, 0.5]))(np.array([[1.0, 1, 1], [2, 0, 2]])).tolist() == [0.5, 0.75]
    found = weighed.f1(np.array([1, 0, 2]), np.array([1, 1, 2]), np.array([1, 0, 3]))
    assert found(np.ones((1, 3)))[0] == 2 * 3 / (4 + 4)


def test_lists_count_by_their_first_row() -> None:
    groups = np.array([7, 3, 3, 7, 5, 5])
    scores, gains = np.array([0.1, 0.9, 0.2, 0.8, 0.5, 0.4]), np.array([1.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    found = weighed.ndcg(scores, gains, groups)
    assert found(np.ones((1, 6)))[0] == pytest.approx(metrics.ndcg(scores, gains, groups))
    twice = np.array([[1.0, 2, 2, 1, 0, 0]])
    copied = np.repeat(np.arange(6), twice[0].astype(int))
    again = np.where(np.append(False, copied[1:] == copied[:-1]), 100, 0) + groups[copied]
    assert found(twice)[0] == pytest.approx(metrics.ndcg(scores[copied], gains[copied], again))
