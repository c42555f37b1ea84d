"""Strategies on gradients: values worked out by hand, TorchJD's aggregators on the stacked gradients, what the papers promise. What all
have in common is in tests/contracts/test_balancing.py."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torchjd import aggregation as oracle

from mtl_core.balancing import BALANCING, GradientBalancing
from mtl_core.balancing.fairness import fair_weights
from mtl_core.balancing.weightings import PROJECTOR

CONFLICT = torch.tensor([[1.0, 0.0], [-1.0, 1.0]], dtype=torch.float64)


def make(name: str, n_tasks: int, **options: float) -> GradientBalancing:
    strategy = BALANCING[name]
    made = strategy(n_tasks, strategy.Options(**options))
    assert isinstance(made, GradientBalancing)
    return made


def mix(
    strategy: GradientBalancing, gradients: Tensor, weights: list[float] | None = None, losses: list[float] | None = None
) -> tuple[Tensor, np.ndarray]:
    """→ (update, effective weights)"""
    n = len(gradients)
    gramian = (gradients @ gradients.T).double().numpy()
    decision = strategy.decide(gramian, np.array(weights or [1.0] * n), np.array(losses or [1.0] * n), np.arange(n))
    assert not decision.fell_back
    return strategy.combine(gradients, decision.effective)


def problem(seed: int, n_tasks: int = 4, size: int = 30) -> Tensor:
    """Gradients of different lengths, some of which point against each other."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.logspace(-1, 1, n_tasks, dtype=torch.float64)[:, None]
    return (
        torch.randn(n_tasks, size, generator=generator, dtype=torch.float64) * lengths
        + torch.randn(size, generator=generator, dtype=torch.float64) / 3
    )


def test_by_hand() -> None:
    """g = (1, 0) and (-1, 1); their inner product is -1."""
    wanted = {
        "pcgrad": [2, 1.5],  # (1, 0) + (-1, 1) / 2 and (-1, 1) + (1, 0)
        "mgda": [0.6, 0.4],  # the point of their connecting line nearest to 0 is (0.2, 0.4)
        "imtl_g": [2 - math.sqrt(2), math.sqrt(2) - 1],  # G⁻¹ (1, √2) = (2 + √2, 1 + √2), brought to a sum of 1
        "dualproj": [0.5, 0.5],  # the mean (0, 1/2) hurts neither
        "upgrad": [1, 0.75],  # half of what PCGrad has: with two tasks both project onto the other's normal
    }
    for name, weights in wanted.items():
        assert mix(make(name, 2), CONFLICT)[1] == pytest.approx(weights, rel=1e-3), name
    assert mix(make("cagrad", 2, radius=0.0), CONFLICT)[1] == pytest.approx([0.5, 0.5])


def test_weighted_by_hand() -> None:
    orthogonal = torch.eye(2, dtype=torch.float64)
    assert mix(make("mgda", 2), orthogonal, [3, 1])[1] == pytest.approx([0.6, 0.2])  # of (2/3, 0) and (0, 2): 9/10 and 1/10, divided by w
    assert mix(make("nash_mtl", 2), orthogonal, [3, 1])[1] == pytest.approx([math.sqrt(1.5), math.sqrt(0.5)])  # α² = p
    assert mix(make("fairgrad", 2, fairness=2.0), orthogonal, [3, 1])[1] == pytest.approx(
        [1.5 ** (1 / 3), 0.5 ** (1 / 3)]
    )  # α = (α/p)^(-1/2)
    assert mix(make("pcgrad", 2), CONFLICT, [2, 1])[1] == pytest.approx([2 + 1, 2 / 2 + 1])
    for name in ("upgrad", "dualproj", "aligned_mtl", "cagrad"):
        assert mix(make(name, 2, **({"radius": 0.0} if name == "cagrad" else {})), orthogonal, [3, 1])[1] == pytest.approx(
            [0.75, 0.25], rel=1e-3
        )
    assert mix(make("imtl_g", 2), orthogonal, [3, 1])[1] == pytest.approx([0.75, 0.25])


AGGREGATORS = {
    "pcgrad": lambda n: oracle.PCGrad(),
    "gradvac": lambda n: oracle.GradVac(beta=0.01),
    "cagrad": lambda n: oracle.CAGrad(c=0.5),
    "mgda": lambda n: oracle.MGDA(),
    "imtl_g": lambda n: oracle.IMTLG(),
    "aligned_mtl": lambda n: oracle.AlignedMTL(),
    "fairgrad": lambda n: oracle.FairGrad(alpha=2.0),
    "upgrad": lambda n: oracle.UPGrad(projector=PROJECTOR),
    "dualproj": lambda n: oracle.DualProj(projector=PROJECTOR),
    "graddrop": lambda n: oracle.GradDrop(),
}


@pytest.mark.parametrize("name", AGGREGATORS)
def test_torchjd_agrees(name: str) -> None:
    ours, theirs = make(name, 4), AGGREGATORS[name](4)
    for seed in range(10):
        gradients = problem(seed)
        torch.manual_seed(seed)
        wanted = theirs(gradients)
        torch.manual_seed(seed)
        update, _ = mix(ours, gradients)
        most = 1e-3 if name == "cagrad" else 1e-5  # where TorchJD's solver stops a little before the minimum that ours finds
        assert (update - wanted).norm() < most * wanted.norm(), seed


@pytest.mark.filterwarnings("ignore::UserWarning")  # of cvxpy, about the way TorchJD uses it
def test_torchjd_agrees_with_nash_as_far_as_its_solver_goes() -> None:
    for seed in range(5):
        gradients = torch.nn.functional.normalize(problem(seed))  # of gradients of several lengths it does not always find the answer
        wanted = oracle.NashMTL(n_tasks=4, max_norm=0.0, update_weights_every=1, optim_niter=100)(gradients)
        update, _ = mix(make("nash_mtl", 4), gradients)
        assert torch.cosine_similarity(update, wanted, dim=0) > 1 - 1e-6


@pytest.mark.parametrize("alpha", [1.0, 2.0, 10.0])
def test_fair_weights_solve_their_equation(alpha: float) -> None:
    for seed in range(20):
        gradients = problem(seed, n_tasks=6)
        gramian = (gradients @ gradients.T).numpy()
        preferred = np.random.default_rng(seed).uniform(0.1, 3, 6)
        found = fair_weights(gramian, preferred, alpha)
        assert (found > 0).all() and gramian @ found == pytest.approx((found / preferred) ** (-1 / alpha), rel=1e-6)


@pytest.mark.parametrize("alpha", [1.0, 2.0, 10.0])
def test_fair_weights_of_gradients_that_are_nearly_opposite(alpha: float) -> None:
    """Values are differences of large numbers there; a search that compares them stands still."""
    for angle, length in itertools.product((1e-1, 1e-2, 1e-3), (1.0, 5.0, 100.0)):
        cosine = -math.cos(angle)
        gramian = np.array([[1, cosine * length], [cosine * length, length**2]])
        found = fair_weights(gramian, np.array([1.0, 1.0]), alpha)
        assert gramian @ found == pytest.approx(found ** (-1 / alpha), rel=1e-5)


def test_what_has_no_solution_falls_back_to_the_loss_weights() -> None:
    for name, length in itertools.product(("nash_mtl", "fairgrad", "imtl_g"), (1.0, 3.0)):
        opposite = np.array([[1.0, -length], [-length, length**2]])
        decision = make(name, 2).decide(opposite, np.array([1.0, 2.0]), np.ones(2), np.arange(2))
        assert decision.fell_back and decision.effective.tolist() == [1, 2]


@pytest.mark.parametrize("name", ["mgda", "upgrad", "dualproj", "nash_mtl", "fairgrad", "imtl_g"])
def test_no_task_gets_worse(name: str) -> None:
    for seed in range(10):
        gradients = problem(seed)
        update, effective = mix(make(name, 4), gradients)
        if name == "imtl_g" and effective.min() < 0:
            continue  # then its projections are equal, but may be negative
        gains = gradients @ update / gradients.norm(dim=1)
        assert gains.min() > -2e-2 * update.norm(), seed


def test_impartial_projections() -> None:
    gradients = problem(1)
    update, _ = mix(make("imtl_g", 4), gradients, [1, 2, 1, 1])
    gains = gradients @ update / gradients.norm(dim=1)
    assert (gains / gains[0]).tolist() == pytest.approx([1, 2, 1, 1])


@pytest.mark.parametrize("name", ["nash_mtl", "imtl_g"])
def test_the_length_of_a_gradient_does_not_matter(name: str) -> None:
    gradients = problem(2)
    one, _ = mix(make(name, 4), gradients)
    other, _ = mix(make(name, 4), gradients * torch.tensor([100.0, 1, 1, 0.01])[:, None])
    assert torch.cosine_similarity(one, other, dim=0) > 1 - 1e-6


def test_aligned_gradients_are_orthogonal_and_of_one_length() -> None:
    """With all weight on one task each, the updates are the aligned gradients."""
    gradients = problem(4, n_tasks=3)
    n = 1e9  # as good as all weight
    aligned = torch.stack([mix(make("aligned_mtl", 3), gradients, [n if i == k else 1.0 for i in range(3)])[0] for k in range(3)])
    products = aligned @ aligned.T
    assert products.numpy() == pytest.approx(float(products[0, 0]) * np.eye(3), abs=1e-6 * float(products[0, 0]))


def test_gradient_dropout_keeps_one_sign_of_every_parameter() -> None:
    gradients = torch.tensor([[1.0, 1.0, 2.0, 0.0], [-1.0, 1.0, -1.0, 0.0]]).repeat(1, 5000).double()
    torch.manual_seed(0)
    update, effective = mix(make("graddrop", 2), gradients)
    table = update.view(5000, 4)
    assert set(table[:, 0].tolist()) == {1.0, -1.0} and table[:, 1].unique().tolist() == [2.0] and table[:, 3].unique().tolist() == [0.0]
    assert (table[:, 2] > 0).double().mean() == pytest.approx(2 / 3, abs=0.03)  # purity (2 - 1) / 3, brought to [0, 1]
    # of the energy of the first task 1 · 1/2 + 1 + 4 · 2/3 of 6 comes through
    assert effective[0] == pytest.approx((0.5 + 1 + 8 / 3) / 6, abs=0.02)


def test_gradient_normalisation_brings_gradients_to_one_length() -> None:
    gradients = torch.tensor([[4.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    strategy = make("gradnorm", 2, learning_rate=0.01)
    for _ in range(1000):
        _, effective = mix(strategy, gradients)
    assert effective == pytest.approx([0.4, 1.6], rel=0.02), "v · |g| = 1.6 for both, Σv = 2"
    strategy = make("gradnorm", 2, asymmetry=1.0, learning_rate=0.01)
    for step in range(1000):
        _, effective = mix(strategy, torch.eye(2, dtype=torch.float64), losses=[1.0, 1.0 if step == 0 else 0.5])
    assert effective == pytest.approx([4 / 3, 2 / 3], rel=0.02), "the second fell to half of its loss, the first did not: 2 to 1"
