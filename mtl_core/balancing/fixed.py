"""Fixed loss weights: L = Σ_k w_k · L_k. A change of the weights while training takes effect with the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtl_core.balancing.base import LossBalancing
from mtl_core.base.messages import N_

if TYPE_CHECKING:
    from torch import Tensor


class FixedWeights(LossBalancing):
    name = "fixed"
    group = "set"
    label = N_("Fixed weights")
    help = N_("Uses the loss weights as set, also when they are changed during training.")
    slider = N_("Multiplies the task's loss.")
    source = "In Defense of the Unitary Scalarization for Deep Multi-Task Learning, https://arxiv.org/abs/2201.04122"

    def combine(self, losses: Tensor, weights: Tensor, tasks: Tensor) -> Tensor:
        return (losses * weights).sum()


STRATEGIES = (FixedWeights,)
