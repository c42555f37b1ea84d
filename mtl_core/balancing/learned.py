"""Weights learned from the size of the losses: uncertainty weighting in two forms, IMTL-L."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from pydantic import Field as Setting

from mtl_core.balancing.base import WEIGHT_RATES, Learned, LossBalancing
from mtl_core.base.messages import N_
from mtl_core.base.settings import Options

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_SLIDER = N_("Multiplies the weight that the strategy learns for the task.")


class LearnedOptions(Options):
    learning_rate: float = Setting(
        0.01,
        gt=0,
        le=1,
        title=N_("Learning rate of the weights"),
        description=N_("Learning rate of the strategy's own parameters."),
        json_schema_extra={"stops": WEIGHT_RATES},
    )


class LearnedWeights(LossBalancing):
    """One number s_k a task, 0 at the start; L = Σ_k w_k · term(s_k, L_k)."""

    Options = LearnedOptions
    slider = _SLIDER

    def __init__(self, n_tasks: int, options: LearnedOptions, device: torch.device | None = None):
        super().__init__(n_tasks, options, device)
        self.learned = Learned(n_tasks, options.learning_rate, device=device)

    @abstractmethod
    def term(self, s: Tensor, losses: Tensor) -> Tensor:
        """s, losses: (K,) → (K,)."""

    def combine(self, losses: Tensor, weights: Tensor, tasks: Tensor) -> Tensor:
        return (weights * self.term(self.learned.values[tasks], losses)).sum()

    def learn(self) -> None:
        self.learned.step()

    def state(self) -> dict[str, Any]:
        return self.learned.state()

    def load(self, state: dict[str, Any]) -> None:
        self.learned.load(state)


class Uncertainty(LearnedWeights):
    """L_k / (2 c²) + ln(1 + c²), c² = e^s: never negative, and bounded from below by 0, whatever is learned."""

    name = "uncertainty"
    label = N_("Uncertainty")
    help = N_(
        "Weights tasks by learned uncertainty: noisy tasks with large losses count less. Bounded: the joint loss cannot become negative."
    )
    source = "Auxiliary Tasks in Multi-task Learning, https://arxiv.org/abs/1805.06334"

    def term(self, s: Tensor, losses: Tensor) -> Tensor:
        import torch

        return losses * torch.exp(-s) / 2 + torch.log1p(torch.exp(s))


class UncertaintyOriginal(LearnedWeights):
    """e^(-s) · L_k / 2 + s / 2; without a lower bound: a loss near 0 drives s, and with it the joint loss, to -∞."""

    name = "uncertainty_original"
    label = N_("Uncertainty, original form")
    help = N_("As first published: the joint loss may become negative, and the weight of a task with a tiny loss is unbounded.")
    source = "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and Semantics, https://arxiv.org/abs/1705.07115"

    def term(self, s: Tensor, losses: Tensor) -> Tensor:
        import torch

        return losses * torch.exp(-s) / 2 + s / 2


class ImpartialLosses(LearnedWeights):
    """e^s · L_k - s: at the optimum e^s = 1 / L_k, every scaled loss is 1."""

    name = "imtl_l"
    label = N_("IMTL-L")
    help = N_("Learns factors that bring all losses to the same scale.")
    source = "Towards Impartial Multi-task Learning, https://openreview.net/forum?id=IMPnRXEWpvr"

    def term(self, s: Tensor, losses: Tensor) -> Tensor:
        import torch

        return losses * torch.exp(s) - s


STRATEGIES = (Uncertainty, UncertaintyOriginal, ImpartialLosses)
