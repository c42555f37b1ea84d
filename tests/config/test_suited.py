"""Settings that suit the size of the tables, by hand."""

import pytest

from mtl_core.config.suited import suited


@pytest.mark.parametrize(
    ("rows", "batch_size", "steps"),
    [
        ({"a": 240, "b": 240, "c": 240}, 24, 150),  # three passes are 90 steps
        ({"a": 30}, 16, 56),  # thirty passes are enough, whatever the steps
        ({"a": 1}, 16, 2),
        ({"a": 2_000}, 16, 375),
        ({"a": 10_000}, 32, 938),
        ({"a": 18_000}, 32, 1000),
        ({"a": 500_000}, 32, 1000),  # a part of a pass: a first run ends
        (dict.fromkeys("abcdefghijkl", 10_000), 96, 1000),  # each table has a say in every step
    ],
)
def test_by_hand(rows: dict[str, int], batch_size: int, steps: int) -> None:
    found = suited(rows)
    assert (found["training.batch_size"], found["training.steps"]) == (batch_size, steps)


def test_nothing_known_nothing_chosen() -> None:
    assert suited({}) == {}
    assert suited({"a": 0}) == {}
