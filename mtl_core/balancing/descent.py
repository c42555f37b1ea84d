"""A direction in which every task's loss falls: MGDA, CAGrad, UPGrad, DualProj, Aligned-MTL."""

from __future__ import annotations

import numpy as np
from pydantic import Field as Setting

from mtl_core.balancing.base import GradientBalancing
from mtl_core.base.messages import N_
from mtl_core.base.settings import Options

_PREFERENCE = N_("Preference: the update direction when no gradients conflict.")


def unit(gramian: np.ndarray) -> np.ndarray:
    """The Gramian with mean 1 on its diagonal: solvers have absolute tolerances, gradients any length."""
    return gramian / np.trace(gramian) * len(gramian)


class MultipleGradientDescent(GradientBalancing):
    """The shortest vector in the convex hull of g_k / w_k (w with mean 1), d: d · g_k ≥ w_k · |d|² for every task."""

    name = "mgda"
    label = N_("MGDA")
    help = N_("Minimum-norm combination of the gradients: no task gets worse, and small gradients count most.")
    slider = N_("Preference: how much the task's loss should fall at least, relative to the others.")
    source = "Multi-Task Learning as Multi-Objective Optimization, https://arxiv.org/abs/1810.04650"

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        import torch

        from mtl_core.balancing import weightings

        weights = weights / weights.mean()
        found = weightings.MGDAWeighting()(torch.from_numpy(unit(gramian / np.outer(weights, weights))))
        return found.numpy() / weights


class ConflictAverseOptions(Options):
    radius: float = Setting(
        0.5, ge=0, lt=1, title=N_("Radius"), description=N_("How far the update may deviate from the mean gradient; 0 is the mean itself.")
    )


class ConflictAverse(GradientBalancing):
    """max over d of min_k g_k · d with |d - g_0| ≤ c · |g_0|, g_0 = Σ p_k g_k, p = w / Σw.

    By its dual over the simplex: min of zᵀGp + c |g_0| √(zᵀGz), then d = g_0 + c |g_0| / |g_z| · g_z.
    """

    name = "cagrad"
    label = N_("CAGrad")
    help = N_("Stays near the mean gradient and maximises the improvement of the task that improves least.")
    slider = N_("Weight of the task in the mean gradient, which the update stays near.")
    source = "Conflict-Averse Gradient Descent for Multi-task Learning, https://arxiv.org/abs/2110.14048"
    Options = ConflictAverseOptions

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        from scipy.optimize import minimize

        gramian, preferred = unit(gramian), weights / weights.sum()
        toward = gramian @ preferred
        radius = self.options.radius * np.sqrt(preferred @ toward)

        def length(z: np.ndarray) -> float:
            return float(np.sqrt(max(z @ gramian @ z, 1e-18)))

        found = minimize(
            lambda z: z @ toward + radius * length(z),
            preferred,
            jac=lambda z: toward + radius * (gramian @ z) / length(z),
            bounds=[(0, 1)] * len(preferred),
            constraints={"type": "eq", "fun": lambda z: z.sum() - 1, "jac": np.ones_like},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 300},
        )
        if not found.success:
            raise ArithmeticError(found.message)
        if length(found.x) < 1e-4:  # no direction helps every task
            return np.zeros_like(preferred)
        return preferred + radius / length(found.x) * found.x


class UnconflictingProjection(GradientBalancing):
    name = "upgrad"
    label = N_("UPGrad")
    help = N_("Projects each gradient so that it conflicts with no task's gradient, then adds them up.")
    slider = _PREFERENCE
    source = "Jacobian Descent for Multi-Objective Optimization, https://arxiv.org/abs/2406.16232"

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        import torch

        from mtl_core.balancing import weightings

        preferred = torch.from_numpy(weights / weights.sum())
        return weightings.UPGradWeighting(preferred, weightings.PROJECTOR)(torch.from_numpy(unit(gramian))).numpy()


class DualProjection(GradientBalancing):
    name = "dualproj"
    label = N_("DualProj")
    help = N_("The weighted mean gradient is projected so that it conflicts with no task's gradient.")
    slider = _PREFERENCE
    source = "Gradient Episodic Memory for Continual Learning, https://arxiv.org/abs/1706.08840"

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        import torch

        from mtl_core.balancing import weightings

        preferred = torch.from_numpy(weights / weights.sum())
        return weightings.DualProjWeighting(preferred, weightings.PROJECTOR)(torch.from_numpy(unit(gramian))).numpy()


class AlignedComponents(GradientBalancing):
    name = "aligned_mtl"
    label = N_("Aligned-MTL")
    help = N_("Makes the tasks' gradients orthogonal and of equal norm before adding them up.")
    slider = N_("Preference: the task's share once gradients are orthogonal and of equal norm.")
    source = "Independent Component Alignment for Multi-Task Learning, https://arxiv.org/abs/2305.19000"

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        import torch

        from mtl_core.balancing import weightings

        return weightings.AlignedMTLWeighting(torch.from_numpy(weights / weights.sum()))(torch.from_numpy(gramian)).numpy()


STRATEGIES = (ConflictAverse, MultipleGradientDescent, AlignedComponents, UnconflictingProjection, DualProjection)
