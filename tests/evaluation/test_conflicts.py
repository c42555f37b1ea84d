"""How gradients agree: means and intervals by hand, tasks that come and go, the sentence."""

import math

import numpy as np
import pytest
from scipy import stats

from mtl_core.evaluation.conflicts import N_MEASUREMENTS, affinity, agreement, sentence
from mtl_core.training.events import Compared


def measurement(step: int, cosine: float, norms: tuple[float, float] = (1.0, 3.0), tasks: tuple[str, str] = ("search", "ads")) -> Compared:
    table = [[1.0, cosine], [cosine, 1.0]]
    return Compared(step, list(tasks), list(norms), table, {"layer 1": [[1.0, -cosine], [-cosine, 1.0]]})


def test_mean_interval_and_shares() -> None:
    cosines = [0.1, 0.2, 0.3, 0.2]
    found = agreement([measurement(n * 50, c) for n, c in enumerate(cosines)])
    assert found is not None and (found.step, found.measurements, found.tasks) == (150, 4, ["search", "ads"])
    low, high = stats.t.interval(0.95, 3, np.mean(cosines), stats.sem(cosines))
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
    assert found.cosine[0, 1] == 0.5 and found.cosine[1, 2] == 0.1 and np.isnan(found.cosine[0, 2]) and not found.significant[0, 2]


def test_the_sentence_names_the_strongest_conflict_and_since_when() -> None:
    noise = [0.01, -0.01, 0.02, -0.02]
    measurements = [measurement(100 * n, (0.2 if n < 12 else -0.4) + noise[n % 4]) for n in range(30)]
    said = sentence(measurements)
    assert (
        said is not None
        and said.text().startswith("The gradients of “search” and “ads” have been in conflict since step ")
        and said.text().endswith("cosine similarity -0.40.")
    )
    assert 1500 <= said.values["since"] <= 2000, "when most of the measurements had turned"
    calm = sentence(measurements[:12])
    assert calm is not None and calm.text().startswith("No gradient conflicts")
    assert sentence(measurements[:2]) is None


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
    first = affinity(measurements, 1)
    assert first is not None and first.measurements == [1, 1] and not first.significant.any(), "one measurement tells nothing"
    many = affinity([step_of(n, "ads", {"ads": 1.0 if n < 30 else 2.0}) for n in range(30 + N_MEASUREMENTS)])
    assert many is not None and many.measurements == [N_MEASUREMENTS] and many.change.item() == 2
    assert affinity([measurement(0, 0.5)]) is None and affinity([]) is None
