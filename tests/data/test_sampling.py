"""Shares by hand, exact running totals, whole permutations, and a state that is all there is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_core.data.sampling import SAMPLING, Sampler


def test_shares_by_hand() -> None:
    sizes = np.array([900, 100])
    np.testing.assert_allclose(SAMPLING["proportional"](sizes, 1), [0.9, 0.1])
    np.testing.assert_allclose(SAMPLING["uniform"](sizes, 1), [0.5, 0.5])
    np.testing.assert_allclose(SAMPLING["temperature"](sizes, 2), [0.75, 0.25])  # √900 : √100 = 30 : 10
    np.testing.assert_allclose(SAMPLING["temperature"](sizes, 1), [0.9, 0.1])


@given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.integers(1, 40), st.sampled_from(sorted(SAMPLING)), st.integers(1, 30))
def test_every_step_is_full_and_shares_are_kept(sizes: list[int], batch: int, name: str, steps: int) -> None:
    sampler = Sampler({str(i): np.arange(n, dtype=np.int32) for i, n in enumerate(sizes)}, batch, name, 3.0, seed=1)
    drawn = np.zeros(len(sizes))
    for _ in range(steps):
        rows = sampler.draw()
        counts = np.array([len(r) for r in rows.values()])
        assert counts.sum() == batch and (counts >= 0).all()
        drawn += counts
    assert np.abs(drawn - sampler.shares * batch * steps).max() < len(sizes)


def test_an_epoch_is_a_permutation_and_the_next_another() -> None:
    sampler = Sampler({"a": np.arange(100, 110, dtype=np.int32)}, 10, "proportional", 1.0, seed=0)
    first, second = sampler.draw()["a"], sampler.draw()["a"]
    assert sorted(first) == sorted(second) == list(range(100, 110))
    assert first.tolist() != second.tolist()


def test_a_small_table_is_cycled() -> None:
    sampler = Sampler({"big": np.arange(1000, dtype=np.int32), "small": np.arange(3, dtype=np.int32)}, 8, "uniform", 1.0, seed=0)
    seen = np.concatenate([sampler.draw()["small"] for _ in range(9)])
    assert np.bincount(seen).tolist() == [12, 12, 12]


def test_the_state_is_all_that_the_next_draw_depends_on() -> None:
    def fresh(seed: int = 5) -> Sampler:
        return Sampler({"a": np.arange(37, dtype=np.int32), "b": np.arange(11, dtype=np.int32)}, 7, "temperature", 2.0, seed)

    one = fresh()
    for _ in range(13):
        one.draw()
    other = fresh()
    other.state = one.state
    for _ in range(20):
        a, b = one.draw(), other.draw()
        assert all(np.array_equal(a[k], b[k]) for k in a)
    assert not np.array_equal(fresh(6).draw()["a"], fresh(7).draw()["a"])


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' has no training rows"):
        Sampler({"a": np.empty(0, np.int32)}, 4, "uniform", 1.0, 0)
