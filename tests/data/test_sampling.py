"""Shares by hand, whole permutations, groups. What all ways have in common is in tests/contracts/test_sampling.py."""

import json

import numpy as np
import pytest

from mtl_core.data.sampling import Sampler
from mtl_core.data.shares import SAMPLING, capped


def sampler(sizes: dict[str, int], batch: int, name: str, seed: int = 0, **options: object) -> Sampler:
    way = SAMPLING[name]
    return Sampler(
        {table: np.arange(n, dtype=np.int32) for table, n in sizes.items()}, batch, way, way.Options.model_validate(options), seed
    )


def shares(name: str, sizes: list[int], step: int = 0, progress: float = 0.0, **options: object) -> list[float]:
    way = SAMPLING[name]
    tables = [str(i) for i in range(len(sizes))]
    return way(tables, np.array(sizes), way.Options.model_validate(options)).shares(step, progress).tolist()


def test_shares_by_hand() -> None:
    sizes = [900, 100]
    assert shares("proportional", sizes) == pytest.approx([0.9, 0.1])
    assert shares("uniform", sizes) == [0.5, 0.5]
    assert shares("square_root", sizes) == pytest.approx([0.75, 0.25])  # 30 : 10
    assert shares("temperature", sizes, temperature=2) == pytest.approx([0.75, 0.25])
    assert shares("temperature", sizes, temperature=1) == pytest.approx([0.9, 0.1])
    assert shares("annealed", sizes) == pytest.approx([0.9, 0.1])
    ratio = 9**0.2
    assert shares("annealed", sizes, progress=1.0) == pytest.approx([ratio / (1 + ratio), 1 / (1 + ratio)])
    assert [shares("round_robin", [5, 5, 5], step=n) for n in range(4)] == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert shares("fixed_shares", [5, 5, 5], shares={"0": 3, "2": 0}) == [0.75, 0.25, 0]
    assert shares("bandit", sizes) == [0.5, 0.5]


def test_a_largest_share_is_kept_to_and_the_rest_goes_to_the_others() -> None:
    assert shares("proportional", [900, 75, 25], most=0.5) == pytest.approx([0.5, 0.375, 0.125])
    assert capped(np.array([8.0, 1.5, 0.5]), 0.4).tolist() == pytest.approx([0.4, 0.4, 0.2]), "the second becomes too large, too"
    assert capped(np.array([8.0, 1.0]), 0.1).tolist() == [0.5, 0.5], "two tables cannot both have a tenth"
    assert capped(np.array([0.0, 1.0]), 0.1).tolist() == [0, 1]


@pytest.mark.parametrize("wrong", [{"3": 1.0}, {"0": 0.0, "1": 0.0}, {"0": float("inf")}])
def test_shares_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"should name tables|finite number"):
        shares("fixed_shares", [5, 5], shares=wrong)


def test_the_bandit_gives_rows_to_the_table_that_is_learning() -> None:
    way = SAMPLING["bandit"]
    bandit = way(["learns", "stuck", "noisy"], np.array([10, 10, 10]), way.Options())
    rng = np.random.default_rng(0)
    for step in range(300):
        bandit.observe({"learns": 0.99**step, "stuck": 1.0, "noisy": float(rng.uniform(0.5, 1.5))})
        now = bandit.shares(step, 0.0)
        assert now.sum() == pytest.approx(1) and now.min() > 0.2 / 3 - 1e-9
    assert now[0] > 0.5 and now.argmax() == 0
    for step in range(600):  # then it has learned, and the other begins
        bandit.observe({"learns": 0.05, "stuck": 0.99**step, "noisy": float(rng.uniform(0.5, 1.5))})
    assert bandit.shares(0, 0.0).argmax() == 1


def test_an_epoch_is_a_permutation_and_the_next_another() -> None:
    made = sampler({"a": 10}, 10, "proportional")
    first, second = made.draw()["a"], made.draw()["a"]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first.tolist() != second.tolist()


def test_a_small_table_is_cycled() -> None:
    made = sampler({"big": 1000, "small": 3}, 8, "uniform")
    seen = np.concatenate([made.draw()["small"] for _ in range(9)])
    assert np.bincount(seen).tolist() == [12, 12, 12]


def test_groups_change_places_whole() -> None:
    group = np.random.default_rng(0).integers(0, 9, 50) * 1000

    def made() -> Sampler:
        rows = {"plain": np.arange(70, dtype=np.int32), "grouped": np.arange(50, dtype=np.int32) + 100}
        way = SAMPLING["uniform"]
        return Sampler(rows, 20, way, way.Options(), 5, {"grouped": group})

    one = made()
    drawn = [one.draw() for _ in range(10)]
    epochs = np.concatenate([step["grouped"] for step in drawn]).reshape(2, 50) - 100
    for rows in epochs:
        assert sorted(rows) == list(range(50))
        assert (np.diff(group[rows]) != 0).sum() == 8, "the rows of a group stand together"
    assert group[epochs[0]].tolist() != group[epochs[1]].tolist()
    inside = [rows[group[rows] == group[0]].tolist() for rows in epochs]
    assert inside[0] != inside[1], "their own order changes, too"
    assert sorted(np.concatenate([step["plain"] for step in drawn])[:70]) == list(range(70))
    other = made()  # in the middle of a group
    for _ in range(3):
        other.draw()
    resumed = made()
    resumed.state = json.loads(json.dumps(other.state))
    assert [{t: r.tolist() for t, r in resumed.draw().items()} for _ in range(7)] == [
        {t: r.tolist() for t, r in d.items()} for d in drawn[3:]
    ]


def test_a_table_with_other_rows_begins_a_new_epoch() -> None:
    ours, same = (sampler({"a": 10, "b": 10}, 6, "proportional") for _ in range(2))
    drawn = [ours.draw()["a"].tolist()]
    ours.replace("a", np.arange(10, dtype=np.int32))
    assert [*drawn, ours.draw()["a"].tolist()] == [same.draw()["a"].tolist() for _ in range(2)], "the same rows change nothing"
    more = np.arange(5, 25, dtype=np.int32)
    ours.replace("a", more)
    then = [ours.draw() for _ in range(5)]
    assert sorted(np.concatenate([d["a"] for d in then])) == more.tolist(), "two thirds of a step: the table is larger now"
    other = sampler({"a": 10, "b": 10}, 6, "proportional")
    other.replace("a", more)
    other.state = json.loads(json.dumps(ours.state))
    assert {table: rows.tolist() for table, rows in ours.draw().items()} == {table: rows.tolist() for table, rows in other.draw().items()}


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' has no training rows"):
        sampler({"a": 0}, 4, "uniform")
