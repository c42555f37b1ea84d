"""One experiment with several seeds."""

import pytest

from mtl_core.base.faults import ExperimentError
from mtl_core.config.experiment import Experiment, experiment_from_dict
from mtl_core.config.seeds import seeds_of, with_seeds


def described(name: str) -> Experiment:
    task = {"kind": "classification", "data": "a", "columns": {"text": "message", "label": "intent"}}
    return experiment_from_dict({"name": name, "seed": 7, "data": {"a": {"file": "messages.csv"}}, "tasks": {"one": task}})


def test_runs_differ_by_seed_and_name_alone() -> None:
    one, two = with_seeds(described("shop"), [3, 4])
    assert [(one.name, one.seed), (two.name, two.seed)] == [("shop seed 3", 3), ("shop seed 4", 4)]
    assert one.model_copy(update={"seed": 4, "name": two.name}) == two
    assert with_seeds(described("shop"), [3])[0].name == "shop"


def test_a_long_name_is_cut_to_what_a_name_may_be() -> None:
    found = with_seeds(described("n" * 64), [10, 11])
    assert [len(one.name) for one in found] == [64, 64] and found[1].name.endswith("n seed 11")


@pytest.mark.parametrize("seeds", [[], [1, 1], range(6)])
def test_none_twice_or_too_many_are_refused(seeds: list[int]) -> None:
    with pytest.raises(ExperimentError, match="1 to 5 different seeds"):
        with_seeds(described("shop"), seeds)


def test_seeds_as_text() -> None:
    assert seeds_of("3") == [0, 1, 2]
    assert seeds_of("0,5") == [0, 5] and seeds_of("4,") == [4]
    with pytest.raises(ValueError, match="invalid literal"):
        seeds_of("two")
    for none in ("0", "-2", ","):
        with pytest.raises(ValueError, match="no seed"):
            seeds_of(none)
