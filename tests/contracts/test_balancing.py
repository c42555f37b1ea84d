"""What every balancing strategy must keep to, on losses and on gradients. A new strategy needs no line here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks import toy
from mtl_core.balancing import BALANCING, Balancing, GradientBalancing, LossBalancing
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.runtime.prepare import prepare
from mtl_core.training.events import Finished, StepDone
from mtl_core.training.loop import train
from tests.contracts.small import described
from tests.contracts.variants import variants
from tests.shop import cut_at

VARIANTS = [(name, chosen) for name, strategy in BALANCING.items() for chosen in variants(strategy.Options)]
every_variant = pytest.mark.parametrize(("name", "chosen"), VARIANTS, ids=[f"{name} {chosen}" for name, chosen in VARIANTS])
every_strategy = pytest.mark.parametrize("name", BALANCING)
on_losses = pytest.mark.parametrize("name", [n for n, s in BALANCING.items() if issubclass(s, LossBalancing)])
on_gradients = pytest.mark.parametrize("name", [n for n, s in BALANCING.items() if issubclass(s, GradientBalancing)])


def made(name: str, n_tasks: int, chosen: dict[str, Any] | None = None) -> Any:
    return BALANCING[name](n_tasks, BALANCING[name].Options.model_validate(chosen or {}))


def gradients_of(seed: int, n_tasks: int = 4, size: int = 30) -> Tensor:
    """(K, P) of different lengths, some of which point against each other."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.logspace(-1, 1, n_tasks, dtype=torch.float64)[:, None]
    common = torch.randn(size, generator=generator, dtype=torch.float64) / 3
    return torch.randn(n_tasks, size, generator=generator, dtype=torch.float64) * lengths + common


def step(
    strategy: Balancing, losses: list[float], weights: list[float], tasks: list[int], seed: int = 0, gradients: Tensor | None = None
) -> tuple[Tensor, np.ndarray]:
    """One step. gradients: (K, P), of the tasks of the step; None: those of `gradients_of(seed)`. → the update, the effective weights."""
    torch.manual_seed(seed)
    gradients, places = gradients_of(seed)[tasks] if gradients is None else gradients, np.array(tasks)
    if isinstance(strategy, GradientBalancing):
        decision = strategy.decide((gradients @ gradients.T).numpy(), np.array(weights), np.array(losses), places)
        assert not decision.fell_back
        return strategy.combine(gradients, decision.effective)
    assert isinstance(strategy, LossBalancing)
    values = torch.tensor(losses, requires_grad=True)
    total = strategy.combine(values, torch.tensor(weights), torch.from_numpy(places))
    assert total.shape == ()
    total.backward()
    strategy.learn()
    if strategy.watches_update:
        strategy.updated(values.detach() * 0.9, torch.from_numpy(places))
    assert values.grad is not None
    return values.grad.double() @ gradients, values.grad.numpy()


@every_variant
def test_tasks_may_be_away_for_a_step(name: str, chosen: dict[str, Any]) -> None:
    strategy = made(name, 4, chosen)
    assert isinstance(strategy, LossBalancing) != isinstance(strategy, GradientBalancing)
    for number, tasks in enumerate(([0, 1, 2, 3], [1, 2], [2], [0, 3]) * 3):
        losses = [1.0 + task + 1 / (number + 1) for task in tasks]
        update, effective = step(strategy, losses, [1.0, 0.5, 2.0, 1.0][: len(tasks)], tasks, seed=number)
        assert effective.shape == (len(tasks),) and np.isfinite(effective).all() and update.isfinite().all()


@every_variant
def test_goes_on_from_its_state_as_if_it_had_never_stopped(name: str, chosen: dict[str, Any]) -> None:
    def go(strategy: Balancing, seeds: range) -> list[list[float]]:
        return [step(strategy, [1.0, 1 / (s + 1), 2.0, 3.0], [1.0] * 4, [0, 1, 2, 3], seed=s)[0].tolist() for s in seeds]

    strategy = made(name, 4, chosen)
    go(strategy, range(5))
    state = json.loads(json.dumps(strategy.state()))
    wanted = go(strategy, range(5, 10))
    resumed = made(name, 4, chosen)
    resumed.load(state)
    assert go(resumed, range(5, 10)) == wanted


@every_strategy
@pytest.mark.parametrize("cosine", [0.0, -0.7])
def test_a_larger_loss_weight_means_a_larger_share(name: str, cosine: float) -> None:
    """The mean over some steps, as strategies may draw or learn. Of one length and many parameters: no gradient is all there is."""
    gradients = torch.tensor([[1.0, 0.0], [cosine, (1 - cosine**2) ** 0.5]], dtype=torch.float64).repeat(1, 50)
    shares = []
    for weight in (0.5, 1.0, 2.0):
        strategy = made(name, 4)
        found = [step(strategy, [0.8, 1.0], [weight, 1.0], [1, 2], seed, gradients)[1] for seed in range(100)]
        effective = np.mean(found[-50:], axis=0)
        shares.append(effective[0] / np.abs(effective).sum())
    assert shares[0] < shares[1] < shares[2]


@every_strategy
def test_the_order_of_tasks_does_not_matter(name: str) -> None:
    """Unless the strategy draws: then another seed gives other weights."""
    losses, weights, order, gradients = np.array([0.5, 1.0, 2.0, 0.7]), np.array([1.0, 2.0, 3.0, 0.5]), [2, 0, 3, 1], gradients_of(3)
    update, effective = step(made(name, 4), losses.tolist(), weights.tolist(), [0, 1, 2, 3], 3, gradients)
    drawn = step(made(name, 4), losses.tolist(), weights.tolist(), [0, 1, 2, 3], 4, gradients)[1]
    if drawn == pytest.approx(effective):
        other, permuted = step(made(name, 4), losses[order].tolist(), weights[order].tolist(), order, 3, gradients[order])
        assert (update - other).norm() < 1e-4 * update.norm() and permuted == pytest.approx(effective[order], rel=1e-3, abs=1e-6)


@on_losses
def test_every_loss_counts(name: str) -> None:
    """However large or small: a task's effective weight is above 0."""
    _, effective = step(made(name, 4), [1e-3, 1.0, 3.0], [1.0, 0.5, 2.0], [0, 1, 3])
    assert (effective > 0).all()


@on_gradients
def test_a_task_alone_in_a_step_goes_down_its_own_gradient(name: str) -> None:
    """As with round robin sampling, or where all other loss weights are 0; a larger weight never makes the step shorter."""
    found = []
    for weight in (1.0, 2.5):
        update, effective = step(made(name, 4), [0.7], [weight], [1], seed=6)
        assert effective[0] > 0 and torch.allclose(update, effective[0] * gradients_of(6)[1])
        found.append(effective[0])
    assert found[1] >= found[0] * (1 - 1e-12)


@every_strategy
def test_ends_near_a_best_trade_off(name: str) -> None:
    """On two quadratic losses, see docs/balancing.md; tests/balancing/test_toy.py says where and how near."""
    end = toy.run(name)
    assert end.gap < 0.15 and end.fell_back < end.steps


@every_strategy
def test_trains_and_resumes_exactly(name: str, tiny_encoder: Path, workspace: Workspace, tmp_path: Path) -> None:
    kinds = ["classification", "search", "matching"]
    description = described(kinds, tiny_encoder, tmp_path, balancing={"name": name})
    description["tasks"]["matching"]["weight"] = 0
    experiment = experiment_from_dict(description)
    prepared = prepare(experiment, workspace)
    whole = cut_at(3, train(experiment, prepared, folder=tmp_path / "whole"), tmp_path)
    assert isinstance(whole[-1], Finished)
    done = [e for e in whole if isinstance(e, StepDone)]
    for event in done:
        assert all(np.isfinite(loss) for loss in event.losses.values()) and not event.fell_back
        assert event.step == 1 or not event.left_out, "a head that begins at 0 has no gradient for the encoder in the first step"
        assert event.effective.get("matching", 0) == 0
    resumed = [e for e in train(experiment, prepared, folder=tmp_path / "cut", resume=True) if isinstance(e, StepDone)]
    assert [(e.step, e.losses, e.effective) for e in resumed] == [(e.step, e.losses, e.effective) for e in done[2:]]
