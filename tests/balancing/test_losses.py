"""Strategies on losses: values worked out by hand, TorchJD as a second opinion, what the papers promise. What all have in common is in
tests/contracts/test_balancing.py."""

import json
import math

import pytest
import torch
from torchjd import scalarization as oracle

from mtl_core.balancing import BALANCING, LossBalancing

ALL = torch.arange(2)
ONES = torch.ones(2)


def make(name: str, n_tasks: int = 2, **options: float) -> LossBalancing:
    strategy = BALANCING[name]
    made = strategy(n_tasks, strategy.Options(**options))
    assert isinstance(made, LossBalancing)
    return made


def step(
    strategy: LossBalancing, losses: list[float], weights: list[float] | None = None, tasks: torch.Tensor = ALL
) -> tuple[float, list[float]]:
    """One step. → the joint loss and the effective weights."""
    values = torch.tensor(losses, dtype=torch.float32, requires_grad=True)
    total = strategy.combine(values, torch.tensor(weights or [1.0] * len(losses), dtype=torch.float32), tasks)
    total.backward()
    strategy.learn()
    assert values.grad is not None
    return total.item(), values.grad.tolist()


def flat(strategy: LossBalancing, losses: list[float], weights: list[float] | None = None) -> list[float]:
    total, effective = step(strategy, losses, weights)
    return [total, *effective]


def test_by_hand() -> None:
    assert step(make("fixed"), [2, 3], [1, 0.5]) == (3.5, [1, 0.5])
    assert flat(make("uncertainty"), [2, 3], [1, 2]) == pytest.approx([1 + math.log(2) + 2 * (1.5 + math.log(2)), 0.5, 1])
    assert flat(make("uncertainty_original"), [2, 3], [1, 2]) == pytest.approx([4, 0.5, 1])
    assert flat(make("imtl_l"), [2, 3], [1, 2]) == pytest.approx([8, 1, 2])
    assert flat(make("geometric_mean"), [4, 1]) == pytest.approx([2, 2 / 2 / 4, 2 / 2 / 1])
    assert flat(make("geometric_mean"), [16, 1], [1, 3]) == pytest.approx([2, 2 / 4 / 16, 2 * 3 / 4])
    # equal weighted losses: μ log 2 above their common value 0.5 · 3, and half of λ each
    assert flat(make("smooth_tchebycheff", smoothness=0.2), [3, 3]) == pytest.approx([1.5 + 0.2 * math.log(2), 0.25, 0.25])
    total, effective = step(make("smooth_tchebycheff", smoothness=0.01), [3, 1], [1, 4])  # λL = 0.6 and 0.8: the second counts
    assert total == pytest.approx(0.8, abs=1e-3) and effective == pytest.approx([0, 0.8], abs=1e-3)
    assert step(make("famo"), [2, 1])[1] == pytest.approx([1 / 3, 2 / 3])
    dwa = make("dwa", window=1)
    assert step(dwa, [2, 1])[1] == [1, 1]
    assert step(dwa, [1, 1])[1] == [1, 1], "two windows are needed"
    e = math.exp(0.25), math.exp(0.5)  # of the rates 1/2 and 1, temperature 2
    assert step(dwa, [1, 1])[1] == pytest.approx([2 * e[0] / sum(e), 2 * e[1] / sum(e)])


def test_random_weights_are_new_in_every_step_and_add_up_to_one() -> None:
    strategy = make("random")
    torch.manual_seed(0)
    found = [step(strategy, [1, 1])[1] for _ in range(2000)]
    assert all(sum(pair) == pytest.approx(1) and min(pair) > 0 for pair in found) and found[0] != found[1]
    assert torch.tensor(found).mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.02)


def test_torchjd_agrees() -> None:
    losses = torch.tensor([0.7, 2.0, 0.1])
    tasks, ones = torch.arange(3), torch.ones(3)
    assert make("geometric_mean").combine(losses, ones, tasks).item() == pytest.approx(oracle.GeometricMean()(losses).item())
    weights = torch.tensor([1.0, 3.0, 1.0])
    wanted = oracle.STCH(0.3, weights / 5)(losses).item()
    assert make("smooth_tchebycheff", smoothness=0.3).combine(losses, weights, tasks).item() == pytest.approx(wanted)
    torch.manual_seed(3)
    wanted = oracle.Random()(losses).item()
    torch.manual_seed(3)
    assert make("random").combine(losses, ones, tasks).item() == pytest.approx(wanted)
    for ours, theirs, sign in ((make("uncertainty_original", 3), oracle.UW(3), 1), (make("imtl_l", 3), oracle.IMTLL(3), 1)):
        assert ours.combine(losses, ones, tasks).item() == pytest.approx(sign * theirs(losses).item())


def test_torchjd_agrees_over_many_steps() -> None:
    torch.manual_seed(0)
    series = torch.rand(12, 3) + 0.1
    tasks, ones = torch.arange(3), torch.ones(3)
    dwa, their_dwa = make("dwa", 3, window=2), oracle.DWA()
    famo, their_famo = make("famo", 3), oracle.FAMO(3)
    for number, losses in enumerate(series):
        assert dwa.combine(losses, ones, tasks).item() == pytest.approx(their_dwa(losses).item())
        dwa.learn()
        if number % 2:
            their_dwa.step()
        assert famo.combine(losses, ones, tasks).item() == pytest.approx(their_famo(losses).item(), rel=1e-5)
        famo.updated(losses * 0.9**tasks, tasks)
        their_famo.update(losses * 0.9**tasks)
    assert famo.combine(series[0], ones, tasks).item() == pytest.approx(their_famo(series[0]).item(), rel=1e-5)
    assert famo.learned.values.argmin() == 2, "what fell fastest counts least"


def test_uncertainty_finds_its_optimum_and_stays_bounded_where_the_original_does_not() -> None:
    bounded, original = make("uncertainty"), make("uncertainty_original")
    for _ in range(1000):
        total, effective = step(bounded, [4.0, 1e-6])
        below, _ = step(original, [4.0, 1e-6])
        assert total > 0 and min(effective) > 0
    # L / 2x = x / (1 + x): x = (L + √(L² + 8L)) / 4
    assert effective[0] == pytest.approx(1 / (2 * (4 + math.sqrt(48)) / 4), rel=1e-3)
    assert effective[1] < 2000 and below < 0
    original = make("uncertainty_original")
    for _ in range(1000):
        step(original, [4.0, 0.5])
    assert original.learned.values.exp().tolist() == pytest.approx([4, 0.5], rel=1e-3)


def test_uncertainty_neither_collapses_nor_goes_negative_over_a_long_run() -> None:
    """One loss falls to a ten thousandth, one stays, one is a hundred times as large; all are noisy."""
    torch.manual_seed(0)
    bounded, tasks = make("uncertainty", 3), torch.arange(3)
    for number in range(2000):
        clean = torch.tensor([max(4 * 0.99**number, 4e-4), 0.7, 70.0])
        losses = (clean * torch.empty(3).uniform_(0.5, 1.5)).tolist()
        total, effective = step(bounded, losses, tasks=tasks)
        assert total > 0 and min(effective) > 0
    parts = [factor * loss for factor, loss in zip(effective, clean.tolist(), strict=True)]
    assert min(parts) > 1e-3 and max(parts) < 2, "each still counts, none is all"
    assert effective[0] < 1 / math.sqrt(2 * 4e-4), "L / 2x with x = √(L / 2) at most"


def test_imtl_l_brings_all_losses_to_one_size() -> None:
    strategy = make("imtl_l")
    for _ in range(1000):
        _, effective = step(strategy, [4.0, 0.5])
    assert effective == pytest.approx([1 / 4, 1 / 0.5], rel=1e-2)


def test_windows_go_on_from_their_state() -> None:
    torch.manual_seed(0)
    series = (torch.rand(40, 2) + 0.1).tolist()

    def go(strategy: LossBalancing, part: list[list[float]]) -> list[tuple[float, list[float]]]:
        found = []
        for number, losses in enumerate(part):
            torch.manual_seed(number)
            found.append(step(strategy, losses))
        return found

    strategy = make("dwa", window=3)
    go(strategy, series[:20])
    state = json.loads(json.dumps(strategy.state()))
    wanted = go(strategy, series[20:])
    resumed = make("dwa", window=3)
    resumed.load(state)
    assert go(resumed, series[20:]) == wanted
