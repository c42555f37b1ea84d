"""Fixed loss weights: L = Σ_k w_k · L_k. A change of the weights while training takes effect with the next step."""

from torch import Tensor

from mtl_core.balancing.base import Balancing


class FixedWeights(Balancing):
    name = "fixed"

    def combine(self, losses: Tensor, weights: Tensor) -> Tensor:
        return (losses * weights).sum()
