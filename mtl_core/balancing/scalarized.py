"""Functions of the losses alone: random weights, the geometric mean, the smooth Tchebycheff scalarisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field as Setting

from mtl_core.balancing.base import LossBalancing
from mtl_core.base.messages import N_
from mtl_core.base.settings import Options

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-12  # a loss of exactly 0 has no logarithm


class RandomWeights(LossBalancing):
    """Σ_k w_k · z_k · L_k with z = softmax of K standard normal numbers, new in every step."""

    name = "random"
    group = "set"
    label = N_("Random weights (RLW)")
    help = N_("New random weights in every step: a baseline that other strategies should beat.")
    slider = N_("Multiplies the random weight of the task.")
    source = "Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task Learning, https://arxiv.org/abs/2111.10603"

    def combine(self, losses: Tensor, weights: Tensor, tasks: Tensor) -> Tensor:
        import torch

        drawn = torch.randn(len(losses), dtype=losses.dtype).softmax(0).to(losses.device)  # on the CPU: the same on every device
        return (weights * drawn * losses).sum()


class GeometricMean(LossBalancing):
    """Π_k L_k^(w_k / Σw): relative, not absolute, improvements count."""

    name = "geometric_mean"
    group = "set"
    label = N_("Geometric mean (GLS)")
    help = N_("Minimises the geometric mean of the losses: a relative improvement counts the same for every task.")
    slider = N_("The task's exponent in the weighted geometric mean.")
    source = (
        "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy for Multi-Task Learning, https://arxiv.org/abs/1904.08492"
    )

    def combine(self, losses: Tensor, weights: Tensor, tasks: Tensor) -> Tensor:
        return (weights / weights.sum() * losses.clamp_min(_TINY).log()).sum().exp()


class SmoothTchebycheffOptions(Options):
    smoothness: float = Setting(
        0.1, ge=0.001, le=10, title=N_("Smoothness"), description=N_("Small: only the task with the largest weighted loss counts.")
    )


class SmoothTchebycheff(LossBalancing):
    """μ · log Σ_k exp(λ_k · L_k / μ), λ = w / Σw."""

    name = "smooth_tchebycheff"
    group = "set"
    label = N_("Smooth Tchebycheff")
    help = N_("Smoothly minimises the largest weighted loss: the worst task counts most.")
    slider = N_("Preference: the importance of the task's loss relative to the others.")
    source = "Smooth Tchebycheff Scalarization for Multi-Objective Optimization, https://arxiv.org/abs/2402.19078"
    Options = SmoothTchebycheffOptions

    def combine(self, losses: Tensor, weights: Tensor, tasks: Tensor) -> Tensor:
        import torch

        smoothness = self.options.smoothness
        return smoothness * torch.logsumexp(weights / weights.sum() * losses / smoothness, 0)


STRATEGIES = (RandomWeights, GeometricMean, SmoothTchebycheff)
