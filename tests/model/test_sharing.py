"""Ways of sharing: values by hand. What all have in common is in tests/contracts/test_sharing.py."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from mtl_core.model.sharing import SHARING
from mtl_core.model.sharing.modules import Expert, Sharing

TASKS = ["a", "b", "c"]


def made(name: str, hidden: int = 6, tasks: list[str] = TASKS, **options: object) -> Sharing:
    torch.manual_seed(0)
    kind = SHARING[name]
    return kind.module(hidden, tasks, kind.Options.model_validate({"width": 5} | options))


@torch.no_grad()
def moved(sharing: Sharing) -> Sharing:
    """Away from its start, where much is 0."""
    for parameter in sharing.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return sharing


@torch.no_grad()
def adds(expert: Expert, outer: float) -> None:
    """Of width and hidden size 1: x + outer · gelu(x), and gelu(10) is 10."""
    expert.inner.weight.fill_(1)
    expert.inner.bias.zero_()
    expert.outer.weight.fill_(outer)


def test_mixture_by_hand() -> None:
    sharing = made("mmoe", hidden=2, experts=2, width=1)
    with torch.no_grad():
        for expert, outer in zip(sharing.experts, ([[1.0], [0.0]], [[0.0], [2.0]]), strict=True):
            expert.inner.weight.copy_(torch.tensor([[1.0, 0.0]]))
            expert.inner.bias.zero_()
            expert.outer.weight.copy_(torch.tensor(outer))
        sharing.gates[1].matrix.copy_(torch.tensor([[math.log(3), 0.0], [0.0, 0.0]]))
    gelu = 0.8413447  # of 1: 1 · Φ(1)
    found = sharing(torch.tensor([[1.0, 0.0]]), ["a", "b"])
    torch.testing.assert_close(found["a"], torch.tensor([[1 + 0.5 * gelu, 0.5 * 2 * gelu]]))
    torch.testing.assert_close(found["b"], torch.tensor([[1 + 0.75 * gelu, 0.25 * 2 * gelu]]))
    assert sharing.gate_weights(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "b") == pytest.approx({"expert 1": 0.625, "expert 2": 0.375})


def ten(sharing: Sharing) -> dict[str, float]:
    return {task: found.item() for task, found in sharing(torch.tensor([[10.0]]), ["a", "b"]).items()}


def test_extraction_by_hand() -> None:
    one = made("ple", hidden=1, tasks=["a", "b"], width=1, shared_experts=1, task_experts=1, levels=1)
    (level,) = one.levels
    adds(level.own[0][0], 0.1)  # 10 → 11
    adds(level.own[1][0], 0.2)  # 10 → 12
    adds(level.shared[0], 0.3)  # 10 → 13
    assert ten(one) == {"a": pytest.approx(12.0), "b": pytest.approx(12.5)}, "gates begin even: the means of own and shared"
    with torch.no_grad():
        level.gates[0].numbers.copy_(torch.tensor([math.log(3), 0.0]))
    assert ten(one) == {"a": pytest.approx(0.75 * 11 + 0.25 * 13), "b": pytest.approx(12.5)}
    assert one.gate_weights(torch.tensor([[10.0]]), "a") == pytest.approx({"own 1": 0.75, "expert 1": 0.25})

    two = made("ple", hidden=1, tasks=["a", "b"], width=1, shared_experts=1, task_experts=1, levels=2)
    below, above = two.levels
    for expert, outer in ((below.own[0][0], 0.1), (below.own[1][0], 0.2), (below.shared[0], 0.3), (above.shared[0], 0.5)):
        adds(expert, outer)
    # below: a 12, b 12.5, shared (11 + 12 + 13) / 3 = 12; above: own experts give what they get, the shared one 12 + 6 = 18
    assert ten(two) == {"a": pytest.approx((12 + 18) / 2), "b": pytest.approx((12.5 + 18) / 2)}


def test_stitches_by_hand() -> None:
    sharing = made("cross_stitch", hidden=1, tasks=["a", "b"], width=1, layers=2)
    for layer in sharing.layers:
        adds(layer.towers[0], 0.1)
        adds(layer.towers[1], 0.3)
    # 11 and 13 → 0.9 · 11 + 0.1 · 13 = 11.2 and 12.8 → 12.32 and 16.64 → 12.752 and 16.208
    assert ten(sharing) == {"a": pytest.approx(12.752), "b": pytest.approx(16.208)}
    assert sharing.gate_weights(torch.ones(1, 1), "b") == pytest.approx({"tower a": 0.1, "tower b": 0.9})


def test_with_identity_stitches_every_task_has_its_tower_alone() -> None:
    sharing, vectors = made("cross_stitch", own_share=1.0, layers=2), torch.randn(4, 6)
    towers: list[nn.Module] = [tower for layer in sharing.layers for tower in layer.towers]
    with torch.no_grad():
        for tower in towers:
            for parameter in tower.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    found = sharing(vectors, TASKS)
    for place, task in enumerate(TASKS):
        alone = vectors
        for layer in sharing.layers:
            alone = layer.towers[place](alone)
        torch.testing.assert_close(found[task], alone)


def test_a_gate_by_task_weighs_all_texts_alike() -> None:
    for gate, alike in (("task", True), ("text", False)):
        weights = moved(made("mmoe", gate=gate)).gates[0](torch.randn(5, 6))
        torch.testing.assert_close(weights.sum(1), torch.ones(5))
        assert torch.allclose(weights, weights[:1].expand_as(weights)) == alike


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mmoe", {"experts": 0}),
        ("mmoe", {"gate": "word"}),
        ("ple", {"levels": 9}),
        ("cross_stitch", {"own_share": 1.5}),
        ("hard", {"x": 1}),
    ],
)
def test_invalid_options(name: str, options: dict) -> None:
    with pytest.raises(ValidationError):
        SHARING[name].Options.model_validate(options)
