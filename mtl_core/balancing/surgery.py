"""Gradients changed where they point against each other: PCGrad, GradVac, GradDrop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field as Setting

from mtl_core.balancing.base import GradientBalancing
from mtl_core.base.messages import N_
from mtl_core.base.settings import Options

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_SLIDER = N_("Multiplies the task's loss, and so its gradient, before conflicts are resolved.")
_BLOCK = 1 << 17  # parameters at once, whose gradients stay in the processor's cache


def scaled(gramian: np.ndarray, weights: np.ndarray) -> Tensor:
    """(K, K): the Gramian of the weighted gradients."""
    import torch

    return torch.from_numpy(gramian * np.outer(weights, weights))


class ProjectedConflicts(GradientBalancing):
    name = "pcgrad"
    label = N_("PCGrad")
    help = N_("Projects each of two conflicting gradients onto the normal plane of the other.")
    slider = _SLIDER
    source = "Gradient Surgery for Multi-Task Learning, https://arxiv.org/abs/2001.06782"

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        from mtl_core.balancing import weightings

        return weightings.PCGradWeighting()(scaled(gramian, weights)).numpy() * weights


class GradientVaccineOptions(Options):
    decay: float = Setting(
        0.01,
        ge=0,
        le=1,
        title=N_("Target update rate"),
        description=N_("How fast the target cosine similarity of two tasks follows the measured one."),
    )


class GradientVaccine(GradientBalancing):
    """The wanted cosine of tasks i and j is a moving average of those found; it is kept for all pairs of the experiment's tasks."""

    name = "gradvac"
    label = N_("GradVac")
    help = N_("Rotates two gradients towards each other until their cosine similarity reaches its moving average.")
    slider = _SLIDER
    source = "Gradient Vaccine: Investigating and Improving Multi-task Optimization in Massively Multilingual Models, https://arxiv.org/abs/2010.05874"
    Options = GradientVaccineOptions

    def __init__(self, n_tasks: int, options: GradientVaccineOptions, device: torch.device | None = None):
        import torch

        super().__init__(n_tasks, options, device)
        self._targets = torch.zeros(n_tasks, n_tasks, dtype=torch.float64)

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        from mtl_core.balancing import weightings

        weighting = weightings.GradVacWeighting(beta=self.options.decay)
        places = np.ix_(tasks, tasks)
        targets = self._targets[places].clone()
        vars(weighting)["_state_key"] = len(tasks), targets.dtype  # TorchJD keeps the targets to itself, and for one set of tasks only
        weighting.register_buffer("_phi_t", targets)
        found = weighting(scaled(gramian, weights)).numpy() * weights
        self._targets[places] = targets  # TorchJD has changed them in place
        return found

    def state(self) -> dict[str, Any]:
        return {"targets": self._targets.tolist()}

    def load(self, state: dict[str, Any]) -> None:
        import torch

        self._targets = torch.tensor(state["targets"], dtype=torch.float64)


class GradientDropout(GradientBalancing):
    """Needs the gradients themselves; its effective weight of a task is the share of its gradient, by energy, that came through."""

    name = "graddrop"
    label = N_("GradDrop")
    help = N_("Lets only positive or only negative gradients through, for each parameter; the larger side is drawn more often.")
    slider = _SLIDER
    source = "Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign Dropout, https://arxiv.org/abs/2010.06808"

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        return weights

    def combine(self, gradients: Tensor, effective: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """The positive gradients of a parameter pass where (2U - 1) · Σ|g| < Σg, U uniform in [0, 1], else the negative ones."""
        import torch

        weights = torch.from_numpy(effective).to(gradients)
        update = torch.empty_like(gradients[0])
        wide = torch.float32 if gradients.device.type == "mps" else torch.float64  # which that device does not have
        passed, energy = (torch.zeros(len(weights), dtype=wide, device=gradients.device) for _ in range(2))
        for block, mixed in zip(gradients.split(_BLOCK, dim=1), update.split(_BLOCK), strict=True):
            sizes = block.abs()
            total, size = weights @ block, weights @ sizes
            sign = torch.copysign(size, total - torch.rand_like(size).mul_(2).sub_(1).mul_(size))
            torch.add(total, sign, out=mixed).div_(2)  # the sum of the gradients of this sign
            passed += sizes.mul_(block) @ sign.sign_()
            energy += torch.linalg.vector_norm(block, dim=1) ** 2
        return update, effective * ((passed + energy) / (2 * energy)).cpu().numpy()


STRATEGIES = (ProjectedConflicts, GradientVaccine, GradientDropout)
