"""Ways of sharing: values by hand, how they begin, whose each parameter is."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from mtl_core.model.sharing import SHARING
from mtl_core.model.sharing.modules import Expert, Sharing

TASKS = ["a", "b", "c"]
VARIANTS = [
    ("hard", {}),
    ("mmoe", {"experts": 3}),
    ("mmoe", {"gate": "task"}),
    ("ple", {}),
    ("ple", {"levels": 2, "task_experts": 2}),
    ("ple", {"levels": 3, "gate": "task"}),
    ("cross_stitch", {}),
    ("cross_stitch", {"layers": 3, "own_share": 0.5}),
]
variants = pytest.mark.parametrize(("name", "options"), VARIANTS, ids=[f"{n} {o}" for n, o in VARIANTS])


def made(name: str, hidden: int = 6, tasks: list[str] = TASKS, **options: object) -> Sharing:
    torch.manual_seed(0)
    kind = SHARING[name]
    return kind.module(hidden, tasks, kind.Options.model_validate({"width": 5} | options if name != "hard" else options))


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


@variants
def test_at_the_start_every_task_gets_the_vectors_as_they_are(name: str, options: dict) -> None:
    vectors = torch.randn(7, 6)
    given = made(name, **options)(vectors, ["c", "a"])
    assert list(given) == ["c", "a"]
    for found in given.values():
        torch.testing.assert_close(found, vectors)


@variants
def test_no_texts_and_one_task(name: str, options: dict) -> None:
    assert made(name, **options)(torch.zeros(0, 6), ["b"])["b"].shape == (0, 6)
    sharing = made(name, tasks=["a"], **options)
    torch.testing.assert_close(sharing(torch.ones(2, 6), ["a"])["a"], torch.ones(2, 6))


@variants
def test_a_parameter_is_shared_if_several_tasks_reach_it(name: str, options: dict) -> None:
    sharing = moved(made(name, **options))
    reached: dict[int, set[str]] = {id(p): set() for p in sharing.parameters()}
    parameters = list(sharing.parameters())
    for task in TASKS:
        value = sharing(torch.randn(4, 6), [task])[task].pow(3).sum()
        found = torch.autograd.grad(value, parameters, allow_unused=True) if parameters else []
        for parameter, gradient in zip(parameters, found, strict=True):
            if gradient is not None and gradient.any():
                reached[id(parameter)].add(task)
    assert {id(p) for p in sharing.shared()} == {p for p, tasks in reached.items() if len(tasks) > 1}
    for task in TASKS:
        assert {id(p) for p in sharing.own(task)} == {p for p, tasks in reached.items() if tasks == {task}}
    assert all(reached.values()), "every parameter serves a task"


@variants
def test_a_task_gets_the_same_alone_and_with_others(name: str, options: dict) -> None:
    sharing, vectors = moved(made(name, **options)), torch.randn(4, 6)
    together = sharing(vectors, TASKS)
    for task in TASKS:
        torch.testing.assert_close(sharing(vectors, [task])[task], together[task])
        torch.testing.assert_close(sharing(vectors[1:3], [task])[task], together[task][1:3])


@variants
def test_gate_weights_sum_to_one(name: str, options: dict) -> None:
    found = moved(made(name, **options)).gate_weights(torch.randn(4, 6), "b")
    if name == "hard":
        assert found is None
    else:
        assert found is not None and sum(found.values()) == pytest.approx(1) and all(v >= 0 for v in found.values())


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
