"""The gradients of the tasks with respect to the shared encoder, side by side: what strategies on gradients look at."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class TaskGradients:
    """One row a task, (K, P) float32. The memory is kept from step to step; P changes with the words of a step."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)
        self._parameters: Sequence[Tensor] = ()
        self._size = 0
        self._used = 0

    def begin(self, parameters: Sequence[Tensor], most: int) -> None:
        """parameters: what the encoder learns in this step; most: rows that may come."""
        self._parameters = parameters
        self._size = sum(p.numel() for p in parameters)
        device = parameters[0].device if parameters else torch.device("cpu")
        if self._memory.numel() < most * self._size or self._memory.device != device:
            self._memory = torch.empty(0)  # first let go of the old
            self._memory = torch.empty(most * self._size, device=device)
        self._used = 0

    def add(self, gradients: Sequence[Tensor | None]) -> None:
        """The next row. gradients: one a parameter; None: the task's loss does not depend on it."""
        place = self._used * self._size
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            part = self._memory[place : place + parameter.numel()]
            part.zero_() if gradient is None else part.copy_(gradient.reshape(-1))
            place += parameter.numel()
        self._used += 1

    @property
    def matrix(self) -> Tensor:
        """(K, P)"""
        return self._memory[: self._used * self._size].view(self._used, self._size)

    @property
    def memory(self) -> tuple[int, int]:
        """Floats that are held, and those of the rows in use."""
        return self._memory.numel(), self._used * self._size

    def gramian(self) -> np.ndarray:
        """(K, K) float64: inner products of the rows."""
        return _products(self.matrix)

    def gramians(self, parts: Sequence[str]) -> dict[str, np.ndarray]:
        """The same for each part of the parameters. parts: one name a parameter."""
        found: dict[str, np.ndarray] = {}
        place = 0
        for parameter, part in zip(self._parameters, parts, strict=True):
            products = _products(self.matrix[:, place : place + parameter.numel()])
            found[part] = found[part] + products if part in found else products
            place += parameter.numel()
        return found

    def hand_over(self, update: Tensor) -> None:
        """Makes `update` (P,) the gradient of the parameters."""
        place = 0
        for parameter in self._parameters:
            parameter.grad = update[place : place + parameter.numel()].view_as(parameter)
            place += parameter.numel()


def _products(matrix: Tensor) -> np.ndarray:
    return torch.mm(matrix, matrix.T).double().cpu().numpy()
