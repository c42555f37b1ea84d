"""How the losses of a step's tasks become one update of the shared encoder.

A strategy finds what each task weighs in this step: its *effective weight*, the factor of its gradient in the update. The person's
loss weights always take part; `slider` says how. A task whose loss weight is 0, and with a strategy on gradients a task whose
gradient is zero or not finite, is left out of the step. Each head learns from its own task's loss times the person's weight alone
where the strategy works on gradients, and from the same combined loss as the encoder where it works on losses.

A new strategy is one file here, with its class and `STRATEGIES`, one line in `mtl_core/balancing/__init__.py` and one test. With one
task there is nothing to balance: every strategy then is that of fixed weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mtl_core.base.messages import N_
from mtl_core.base.settings import Options

if TYPE_CHECKING:
    import torch
    from torch import Tensor


WEIGHT_RATES: list[Any] = [0.0001, 0.0003, 0.001, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1]
"""Learning rates that a slider offers for a strategy's own numbers."""


GROUPS = {"set": N_("You set them"), "losses": N_("The losses"), "gradients": N_("The gradients")}
"""Where a strategy has its effective weights from, for people."""


class Balancing(ABC):
    """A strategy. What the next step depends on is in `state` (JSON) and goes into checkpoints.

    group: of GROUPS.
    label, help, slider: for people, marked with N_; slider: what the loss weights mean to this strategy.
    source: the paper, its title and link.
    """

    name: ClassVar[str]
    group: ClassVar[str]
    label: ClassVar[str]
    help: ClassVar[str]
    slider: ClassVar[str]
    source: ClassVar[str]
    Options: ClassVar[type[Options]] = Options

    def __init__(self, n_tasks: int, options: Any, device: torch.device | None = None):
        """n_tasks: of the experiment; a step may have rows of some of them only. device: where losses are."""
        import torch

        self.n_tasks, self.options, self.device = n_tasks, options, device or torch.device("cpu")

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: dict[str, Any]) -> None:  # noqa: B027 - most keep nothing
        """Inverse of `state`."""


class LossBalancing(Balancing):
    """Makes one loss of K losses; its derivative by a task's loss is the task's effective weight."""

    group = "losses"
    watches_update: ClassVar[bool] = False
    """Whether `updated` wants the losses of the same rows once more, after the update."""

    @abstractmethod
    def combine(self, losses: Tensor, weights: Tensor, tasks: Tensor) -> Tensor:
        """losses (K,) ≥ 0 and weights (K,) > 0 of the step's tasks; tasks (K,) int64: their places among the experiment's.
        → the scalar to minimise."""

    def learn(self) -> None:
        """After the backward pass through `combine`: moves the strategy's own numbers."""

    def updated(self, losses: Tensor, tasks: Tensor) -> None:
        """After the model's update; losses (K,) are those of the same rows now."""


@dataclass(frozen=True)
class Decision:
    """effective: (K,) float64, the factor of each task's gradient; fell_back: the solver failed, these are the person's weights."""

    effective: np.ndarray
    fell_back: bool = False


class GradientBalancing(Balancing):
    """Finds the effective weights from the inner products of the tasks' shared gradients."""

    group = "gradients"

    @abstractmethod
    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        """gramian (K, K): inner products of the gradients of the losses (without weights), positive on the diagonal; weights (K,) > 0;
        losses (K,); tasks (K,): their places among the experiment's. All float64. → (K,) effective weights.

        Raises ArithmeticError, ValueError, RuntimeError: no solution was found.
        """

    def decide(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> Decision:
        """`weigh`, or the person's weights where it finds none."""
        try:
            found = self.weigh(gramian, weights, losses, tasks)
        except (ArithmeticError, ValueError, RuntimeError):
            return Decision(weights, fell_back=True)
        return Decision(found) if np.isfinite(found).all() else Decision(weights, fell_back=True)

    def combine(self, gradients: Tensor, effective: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """gradients (K, P); effective (K,), as decided. → the update (P,), and the effective weights as they came out."""
        import torch

        return torch.mv(gradients.T, torch.from_numpy(effective).to(gradients)), effective


class Learned:
    """A number for each task that learns beside the model, by Adam."""

    def __init__(
        self, n_tasks: int, learning_rate: float, weight_decay: float = 0.0, device: torch.device | None = None, start: float = 0.0
    ):
        import torch

        self.values = torch.full((n_tasks,), start, device=device, requires_grad=True)
        self._adam = torch.optim.Adam([self.values], lr=learning_rate, weight_decay=weight_decay)

    def step(self, gradient: Tensor | None = None) -> None:
        """gradient: None for the one that a backward pass has left."""
        if gradient is not None:
            self.values.grad = gradient
        self._adam.step()
        self._adam.zero_grad()

    def state(self) -> dict[str, Any]:
        adam = {name: value.tolist() for name, value in self._adam.state.get(self.values, {}).items()}
        return {"values": self.values.tolist(), "adam": adam}

    def load(self, state: dict[str, Any]) -> None:
        import torch

        with torch.no_grad():
            self.values.copy_(torch.tensor(state["values"]))
        for name, value in state["adam"].items():
            device = "cpu" if name == "step" else self.values.device
            self._adam.state[self.values][name] = torch.tensor(value, dtype=torch.float32, device=device)
