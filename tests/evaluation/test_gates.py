"""Collapse in words, by the shares that make it one."""

import pytest

from mtl_core.evaluation.gates import collapse, expert_name, sentence

EVEN = {"expert 1": 0.5, "expert 2": 0.5}


def said(weights: dict[str, dict[str, float]]) -> list[str]:
    return [str(one) for one in collapse(weights)]


def test_all_is_well() -> None:
    for weights in ({"a": EVEN, "b": {"expert 1": 0.999, "expert 2": 0.001}}, {"a": {"expert 1": 1.0}}, {}):
        assert not said(weights), "an expert of one task alone is what experts are for"
    assert "No expert has collapsed" in str(sentence({"a": EVEN}))


def test_one_expert_has_nearly_all() -> None:
    first, second = said({"a": {"expert 1": 0.995, "expert 2": 0.005}, "b": {"expert 1": 0.999, "expert 2": 0.001}})
    assert first == "The experts have collapsed: every task gives expert 1 at least 95% of its gate weight."
    assert second == "expert 2 is hardly used: it has under 1% of every task's gate weight."
    assert str(sentence({"a": {"expert 1": 0.96, "expert 2": 0.04}})).startswith("The experts have collapsed")
    assert not said({"a": {"expert 1": 0.96, "expert 2": 0.04}, "b": {"expert 1": 0.94, "expert 2": 0.06}}), "not for every task"


def test_one_expert_has_none() -> None:
    shares = {"expert 1": 0.5, "expert 2": 0.495, "expert 3": 0.005}
    assert said({"a": shares}) == ["expert 3 is hardly used: it has under 1% of every task's gate weight."]
    assert not said({"a": shares, "b": {"expert 1": 0.5, "expert 2": 0.4, "expert 3": 0.1}})


@pytest.mark.parametrize("own", [{"own 1": 0.6, "own 2": 0.395, "expert 1": 0.005}, {"tower a": 0.995, "tower b": 0.005}])
def test_a_task_that_shares_nothing(own: dict[str, float]) -> None:
    others = {"own 1": 0.5, "own 2": 0.1, "expert 1": 0.4} if "own 1" in own else {"tower a": 0.1, "tower b": 0.9}
    assert said({"a": own, "b": others}) == ["“a” weights nothing but its own expert or tower: above the encoder it shares nothing."]


def test_names() -> None:
    keys = ["expert 2", "own 1", "tower own 1"]
    assert [str(expert_name(key)) for key in keys] == ["expert 2", "own expert 1", "the tower of “own 1”"]
