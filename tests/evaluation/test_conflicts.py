"""How gradients agree: means and intervals by hand, tasks that come and go, the sentence."""

import math

import numpy as np
import pytest
from scipy import stats

from mtl_core.evaluation.conflicts import LEAST_MEASUREMENTS, N_MEASUREMENTS, affinity, agreement, gradient_norms, sentence, update_shares
from mtl_core.training.events import Compared


def measurement(step: int, cosine: float, norms: tuple[float, float] = (1.0, 3.0), tasks: tuple[str, str] = ("search", "ads")) -> Compared:
    table = [[1.0, cosine], [cosine, 1.0]]
    return Compared(step, list(tasks), list(norms), table, {"layer 1": [[1.0, -cosine], [-cosine, 1.0]]})


def test_mean_interval_and_shares() -> None:
    cosines = [0.1, 0.2, 0.3, 0.2, 0.2]
    found = agreement([measurement(n * 50, c) for n, c in enumerate(cosines)])
    assert found is not None and (found.step, found.measurements, found.tasks) == (200, 5, ["search", "ads"])
    low, high = stats.t.interval(0.95, 4, np.mean(cosines), stats.sem(cosines))
    assert (found.cosine[0, 1], found.low[0, 1], found.high[0, 1]) == pytest.approx((0.2, low, high))
    assert found.share.tolist() == [0.25, 0.75] and found.significant[0, 1]
    assert agreement([measurement(0, 0.1)], layer="layer 1").cosine[0, 1] == -0.1  # type: ignore[union-attr]
    assert not agreement([measurement(0, 0.9)]).significant[0, 1], "one measurement tells nothing"  # type: ignore[union-attr]
    assert agreement([]) is None and agreement([measurement(50, 0.1)], step=49) is None


def test_only_the_last_looks_up_to_a_step_count() -> None:
    measurements = [measurement(n, 0.5 if n < 20 else -0.5) for n in range(40)]
    assert agreement(measurements, 19).cosine[0, 1] == 0.5  # type: ignore[union-attr]
    assert agreement(measurements).cosine[0, 1] == -0.5  # type: ignore[union-attr]
    assert agreement(measurements).measurements == N_MEASUREMENTS  # type: ignore[union-attr]


def test_tasks_come_and_go_and_a_gradient_may_be_zero() -> None:
    found = agreement([measurement(0, 0.5), measurement(1, 0.1, tasks=("ads", "intent")), measurement(2, math.nan)])
    assert found is not None and found.tasks == ["search", "ads", "intent"]
    assert found.measurements == 1, "of any pair: what is said, and over how many, is one count"
    assert found.cosine[0, 1] == 0.5 and found.cosine[1, 2] == 0.1 and np.isnan(found.cosine[0, 2]) and not found.significant[0, 2]


def around(mean: float, n: int, spread: float = 0.02, start: int = 0) -> list[Compared]:
    """n measurements whose cosines have that mean, ± spread by turns, with one at the mean where n is odd."""
    signs = [0.0] * (n % 2) + [1.0, -1.0] * (n // 2)
    return [measurement(start + 100 * place, mean + spread * sign) for place, sign in enumerate(signs)]


def test_a_pair_says_something_with_enough_measurements_an_effect_and_an_interval_without_0() -> None:
    """By hand: of 8 values ±s around the mean the deviation is s·√(8/7), so half = 2.3646 · s / √7 = 0.8937 s."""

    def verdict(measurements: list[Compared]) -> tuple[bool, str]:
        found = agreement(measurements)
        assert found is not None
        (pair,) = found.pairs
        assert {pair.first, pair.second} == {"search", "ads"}
        return pair.apart, pair.text

    assert verdict(around(-0.31, 8, 0.09)) == (True, "-0.31 ± 0.08")
    assert verdict(around(-0.03, 8, 0.001)) == (False, "-0.03 ± 0.00"), "known well, and nothing"
    assert verdict(around(-0.2, 8, 0.3)) == (False, "-0.20 ± 0.27"), "the interval holds 0"
    assert verdict(around(0.31, 8)) == (False, "0.31 ± 0.02"), "they agree"
    assert not verdict(around(-0.31, LEAST_MEASUREMENTS - 1))[0] and verdict(around(-0.31, LEAST_MEASUREMENTS))[0]
    assert verdict([measurement(0, -0.9)]) == (False, "-0.90"), "one measurement has no interval"
    zero = measurement(900, math.nan)
    assert not verdict([*around(-0.31, LEAST_MEASUREMENTS - 1), zero])[0], "a gradient of zero does not count"
    found = agreement([zero])
    assert found is not None and found.pairs == []


def test_the_sentence_names_the_strongest_conflict_and_since_when() -> None:
    measurements = around(0.2, 12) + around(-0.4, 18, start=1200)
    said = sentence(measurements)
    assert said is not None and said.text().startswith("“search” and “ads” pull apart since step ")
    assert said.text().endswith(": cosine similarity -0.40 ± 0.02.")
    assert 1500 <= said.values["since"] <= 2000, "when most of the measurements had turned"
    calm = sentence(around(-0.03, 12))
    assert calm is not None and calm.text().startswith("No two tasks pull apart.") and "-0.03 ± 0.02" in calm.text()
    assert sentence(measurements[: LEAST_MEASUREMENTS - 1]) is None and sentence([]) is None


def test_shares_of_the_update_are_weights_times_norms() -> None:
    looks = [measurement(n, 0.1, norms=(norm, 3.0 if n else 0.0)) for n, norm in enumerate([9.0, 1.0, 2.0, 3.0])]
    norms = gradient_norms(looks)
    assert norms == {"search": 2.0, "ads": 3.0}, "of the last three; a gradient of zero is none"
    assert update_shares(norms, {"search": 3.0, "ads": 1.0}) == pytest.approx({"search": 6 / 9, "ads": 3 / 9})
    assert update_shares(norms, {"search": 3.0, "ads": 0.0}) == {"search": 1.0, "ads": 0.0}
    assert update_shares(norms, {"search": 3.0, "ads": 1.0, "intent": 0.0})["intent"] == 0.0
    assert update_shares(norms, {"search": 3.0, "intent": 1.0}) == {}, "a task that was never measured"
    assert update_shares(norms, {"search": 0.0, "ads": 0.0}) == {} and update_shares({}, {}) == {}


def test_affinity_over_the_last_looks_at_each_tasks_step() -> None:
    def step_of(number: int, source: str, changes: dict[str, float]) -> Compared:
        return Compared(number, [], [], [], {}, {source: changes})

    values = [0.01, 0.02, 0.03, 0.02]
    measurements = [measurement(0, 0.5)]
    for n, value in enumerate(values):
        measurements += [step_of(2 * n, "search", {"search": 0.1, "ads": -value}), step_of(2 * n + 1, "ads", {"search": value})]
    found = affinity(measurements)
    assert found is not None and found.tasks == ["search", "ads"] and found.measurements == [4, 4]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (found.change[1, 0], found.low[1, 0], found.high[1, 0]) == pytest.approx((0.02, low, high))
    assert found.change[0].tolist() == pytest.approx([0.1, -0.02]) and np.isnan(found.change[1, 1])
    assert found.significant.tolist() == [[True, True], [True, False]]
    assert affinity(measurements, 1) is None, "one measurement of each tells nothing"
    first = affinity(measurements, 2)
    assert first is not None and first.measurements == [2, 1] and np.isnan(first.change[1]).all() and np.isfinite(first.change[0]).all()
    standing = [step_of(n, "ads", {"search": 0.0, "ads": 0.0}) for n in range(3)]
    assert affinity(standing) is None, "a step along a gradient of zero is none"
    many = affinity([step_of(n, "ads", {"ads": 1.0 if n < 30 else 2.0}) for n in range(30 + N_MEASUREMENTS)])
    assert many is not None and many.measurements == [N_MEASUREMENTS] and many.change.item() == 2
    assert affinity([measurement(0, 0.5)]) is None and affinity([]) is None
