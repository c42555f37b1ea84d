"""The same gain for every task, in several senses: IMTL-G, Nash-MTL, FairGrad, GradNorm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field as Setting

from mtl_core.balancing.base import WEIGHT_RATES, GradientBalancing, Learned
from mtl_core.base.messages import N_
from mtl_core.base.settings import Options

if TYPE_CHECKING:
    import torch


class ImpartialGradients(GradientBalancing):
    """α = G⁺ (p ∘ |g|), brought to Σα = 1: the update's projections on the tasks' unit gradients are as p (w with mean 1)."""

    name = "imtl_g"
    label = N_("IMTL-G")
    help = N_("The update has projections of equal length on all tasks' gradients.")
    slider = N_("Projection of the update on the task's gradient, relative to the others.")
    source = "Towards Impartial Multi-task Learning, https://openreview.net/forum?id=IMPnRXEWpvr"

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        wanted = weights * np.sqrt(np.diag(gramian))
        found = np.linalg.pinv(gramian, hermitian=True) @ wanted
        if abs(found.sum()) < 1e-12 or np.linalg.norm(gramian @ found - wanted) > 1e-3 * np.linalg.norm(wanted):  # as of opposite gradients
            raise ArithmeticError("The projections cannot be made equal.")
        return found / found.sum()


def fair_weights(gramian: np.ndarray, preferred: np.ndarray, alpha: float) -> np.ndarray:
    """The α > 0 with (Gα)_k = (α_k / p_k)^(-1/a), by Newton's method.

    It is where Σ_k p_k · u_a(g_k · d) - |d|² / 2 is largest, u_a the a-fair utility (its logarithm for a = 1): strictly concave, so
    there is one. gramian (K, K), preferred (K,) > 0, alpha: a ≥ 1. Raises ArithmeticError: not found in 200 steps.
    """
    # G is scaled by its diagonal first, so that tasks of any size start near 1; a step goes at most nine tenths of the way to 0.
    scale = 1 / np.sqrt(np.diag(gramian))
    scaled = gramian * np.outer(scale, scale)
    target = preferred ** (1 / alpha) * scale ** (1 - 1 / alpha)

    def excess(x: np.ndarray) -> np.ndarray:
        return scaled @ x - target * x ** (-1 / alpha)

    x = target ** (alpha / (alpha + 1))
    for _ in range(200):
        gap = excess(x)
        if np.abs(gap * x ** (1 / alpha) / target).max() < 1e-7:
            return x * scale
        curvature = scaled + np.diag(target / alpha * x ** (-1 / alpha - 1))
        step = np.linalg.solve(curvature, -gap)
        falling = step < 0
        size = min(1.0, 0.9 * float((x[falling] / -step[falling]).min())) if falling.any() else 1.0
        slope = float(gap @ step)
        while size > 1e-12 and float(excess(x + size * step) @ step) > -slope / 2:  # too far: it rises there. Not by the values: near
            size /= 2  # opposite gradients they are small differences of large numbers
        x = x + size * step
    raise ArithmeticError("No fair weights were found in 200 steps.")


class NashBargaining(GradientBalancing):
    """α_k · (Gα)_k = p_k, p = w with mean 1: the weighted bargaining solution; its length does not depend on the gradients'."""

    name = "nash_mtl"
    label = N_("Nash-MTL")
    help = N_("Nash bargaining over the update direction: every task's relative gain counts the same, whatever its gradient norm.")
    slider = N_("The task's bargaining power.")
    source = "Multi-Task Learning as a Bargaining Game, https://arxiv.org/abs/2202.01017"

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        return fair_weights(gramian, weights / weights.mean(), 1.0)


class FairOptions(Options):
    fairness: float = Setting(
        2.0,
        ge=1,
        le=20,
        title=N_("Fairness"),
        description=N_("1: proportional fairness, as in Nash-MTL; larger: towards max-min fairness."),
    )


class FairResources(GradientBalancing):
    """(Gα)_k = (α_k / p_k)^(-1/a), p = w with mean 1."""

    name = "fairgrad"
    label = N_("FairGrad")
    help = N_("Divides the update among the tasks with alpha-fairness: the fairer, the more the smallest gain counts.")
    slider = N_("Scales the utility of the task's gain.")
    source = "Fair Resource Allocation in Multi-Task Learning, https://arxiv.org/abs/2402.15638"
    Options = FairOptions

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        return fair_weights(gramian, weights / weights.mean(), self.options.fairness)


class GradientNormalisationOptions(Options):
    asymmetry: float = Setting(
        1.5,
        ge=0,
        le=10,
        title=N_("Asymmetry"),
        description=N_("How strongly tasks that train slowly get larger gradients (alpha in the paper); 0: all the same."),
    )
    learning_rate: float = Setting(
        0.025,
        gt=0,
        le=1,
        title=N_("Learning rate of the weights"),
        description=N_("Learning rate of the strategy's own parameters."),
        json_schema_extra={"stops": WEIGHT_RATES},
    )


class GradientNormalisation(GradientBalancing):
    """Learned v_k, Σv = K: |v_k g_k| is drawn to p_k · mean_j |v_j g_j| · r_k^a, r_k = (L_k / L_k at first) / their mean."""

    name = "gradnorm"
    label = N_("GradNorm")
    help = N_("Learns weights that equalise the tasks' gradient norms, larger for tasks that train more slowly.")
    slider = N_("Target norm of the task's gradient, relative to the others.")
    source = "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks, https://arxiv.org/abs/1711.02257"
    Options = GradientNormalisationOptions

    def __init__(self, n_tasks: int, options: GradientNormalisationOptions, device: torch.device | None = None):
        super().__init__(n_tasks, options, device)
        self._learned = Learned(n_tasks, options.learning_rate, start=1.0)
        self._first: list[float | None] = [None] * n_tasks  # the first loss of each task

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        import torch

        for task, loss in zip(tasks.tolist(), losses.tolist(), strict=True):
            self._first[task] = self._first[task] or loss or None
        found = self._learned.values.detach().double().numpy()[tasks]
        lengths = np.sqrt(np.diag(gramian))
        progress = losses / np.array([self._first[task] or 1.0 for task in tasks.tolist()])
        rate = progress / progress.mean() if progress.any() else np.ones_like(progress)
        wanted = (found * lengths).mean() * rate**self.options.asymmetry * weights / weights.mean()
        slope = torch.zeros(self.n_tasks)
        slope[torch.from_numpy(tasks)] = torch.from_numpy(np.sign(found * lengths - wanted) * lengths).float()
        self._learned.step(slope)
        with torch.no_grad():
            values = self._learned.values.clamp_(min=1e-3)
            values.mul_(self.n_tasks / values.sum())
        return found

    def state(self) -> dict[str, Any]:
        return {"learned": self._learned.state(), "first": self._first}

    def load(self, state: dict[str, Any]) -> None:
        self._learned.load(state["learned"])
        self._first = list(state["first"])


STRATEGIES = (ImpartialGradients, NashBargaining, FairResources, GradientNormalisation)
