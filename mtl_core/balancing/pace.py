"""Weights from how fast the losses fall: DWA, FAMO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field as Setting

from mtl_core.balancing.base import WEIGHT_RATES, Learned, LossBalancing
from mtl_core.base.messages import N_
from mtl_core.base.settings import Options

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class DynamicWeightAverageOptions(Options):
    temperature: float = Setting(2.0, gt=0, le=100, title=N_("Temperature"), description=N_("Large: nearly equal weights."))
    window: int = Setting(
        50,
        ge=1,
        le=1_000_000,
        title=N_("Window"),
        description=N_("Number of steps whose mean loss is compared with that of as many steps before."),
    )


class DynamicWeightAverage(LossBalancing):
    """Σ_k w_k · λ_k · L_k, λ = N · softmax(r / T), r_k = mean loss of the last window of steps / that of the one before.

    The paper's epoch is a window of steps here, as tables of different sizes have no epoch in common.
    """

    name = "dwa"
    label = N_("Dynamic weight average (DWA)")
    help = N_("Tasks whose loss falls more slowly get larger weights.")
    slider = N_("Multiplies the weight that the strategy computes for the task.")
    source = "End-to-End Multi-Task Learning with Attention, https://arxiv.org/abs/1803.10704"
    Options = DynamicWeightAverageOptions

    def __init__(self, n_tasks: int, options: DynamicWeightAverageOptions, device: torch.device | None = None):
        import torch

        super().__init__(n_tasks, options, device)
        self._sums, self._counts = torch.zeros(n_tasks, device=device), torch.zeros(n_tasks, device=device)
        self._rates = torch.ones(n_tasks, device=device)
        self._before = torch.full((n_tasks,), torch.nan, device=device)
        self._steps = 0

    def combine(self, losses: Tensor, weights: Tensor, tasks: Tensor) -> Tensor:
        import torch

        found = self.n_tasks * (self._rates / self.options.temperature).softmax(0)
        self._sums.index_add_(0, tasks, losses.detach())
        self._counts.index_add_(0, tasks, torch.ones_like(weights))
        return (weights * found[tasks] * losses).sum()

    def learn(self) -> None:
        import torch

        self._steps += 1
        if self._steps % self.options.window:
            return
        mean = self._sums / self._counts  # nan for a task without rows in this window: it keeps what it had
        rates = mean / self._before
        self._rates = torch.where(rates.isfinite(), rates, self._rates)
        self._before = torch.where(mean.isfinite(), mean, self._before)
        self._sums, self._counts = torch.zeros_like(self._sums), torch.zeros_like(self._counts)

    def state(self) -> dict[str, Any]:
        names = ("_sums", "_counts", "_rates", "_before")
        return {name: [None if v != v else v for v in getattr(self, name).tolist()] for name in names} | {"steps": self._steps}

    def load(self, state: dict[str, Any]) -> None:
        import torch

        for name in ("_sums", "_counts", "_rates", "_before"):
            setattr(self, name, torch.tensor([torch.nan if v is None else v for v in state[name]], device=self.device))
        self._steps = state["steps"]


class FamoOptions(Options):
    learning_rate: float = Setting(
        0.025,
        gt=0,
        le=1,
        title=N_("Learning rate of the weights"),
        description=N_("Learning rate of the strategy's own parameters."),
        json_schema_extra={"stops": WEIGHT_RATES},
    )
    weight_decay: float = Setting(
        0.001,
        ge=0,
        le=1,
        title=N_("Weight regularisation"),
        description=N_("Weight decay of the logits that the strategy learns."),
        json_schema_extra={"stops": [0, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.1]},
    )


class Famo(LossBalancing):
    """c · Σ_k w_k · z_k · log L_k with z = softmax(s), c such that the effective weights add up to 1.

    s learns from how much each log L_k fell in the update, for which the losses of the same rows are computed once more (forward only).
    """

    name = "famo"
    label = N_("FAMO")
    help = N_(
        "Lets all losses fall at the same relative speed. Needs a second forward pass of each step, which takes up to half more time."
    )
    slider = N_("Multiplies the weight that the strategy learns for the task.")
    source = "FAMO: Fast Adaptive Multitask Optimization, https://arxiv.org/abs/2306.03792"
    Options = FamoOptions
    watches_update = True
    _EPSILON = 1e-8

    def __init__(self, n_tasks: int, options: FamoOptions, device: torch.device | None = None):
        super().__init__(n_tasks, options, device)
        self.learned = Learned(n_tasks, options.learning_rate, options.weight_decay, device=device)
        self._losses: Tensor | None = None

    def combine(self, losses: Tensor, weights: Tensor, tasks: Tensor) -> Tensor:
        self._losses = losses.detach()
        parts = weights * self.learned.values.detach()[tasks].softmax(0)
        scale = 1 / (parts / (self._losses + self._EPSILON)).sum()
        return scale * (parts * (losses + self._EPSILON).log()).sum()

    def updated(self, losses: Tensor, tasks: Tensor) -> None:
        import torch

        assert self._losses is not None  # combine comes first
        fell = (self._losses + self._EPSILON).log() - (losses + self._EPSILON).log()
        shares = self.learned.values[tasks].softmax(0)
        (gradient,) = torch.autograd.grad(shares, self.learned.values, fell)
        self.learned.step(gradient)

    def state(self) -> dict[str, Any]:
        return self.learned.state()

    def load(self, state: dict[str, Any]) -> None:
        self.learned.load(state)


STRATEGIES = (DynamicWeightAverage, Famo)
