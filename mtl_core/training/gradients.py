"""The gradients of the tasks with respect to the shared encoder, side by side: what strategies on gradients look at."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor


class TaskGradients:
    """One row a task, (K, P) float32. The memory is kept from step to step; P changes with the words of a step."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)
        self._parameters: Sequence[Tensor] = ()
        self._columns: list[slice] = []
        self._there: set[tuple[int, int]] = set()
        self._products: dict[int, Tensor] = {}
        self.matrix = self._memory.view(0, 0)

    def begin(self, parameters: Sequence[Tensor], n: int) -> None:
        """parameters: what is shared and learns in this step; n: rows."""
        self._parameters = parameters
        ends = np.cumsum([0, *(p.numel() for p in parameters)]).tolist()
        self._columns = [slice(a, b) for a, b in pairwise(ends)]
        device = parameters[0].device if parameters else torch.device("cpu")
        if self._memory.numel() < n * ends[-1] or self._memory.device != device:
            self._memory = self.matrix = torch.empty(0)  # first let go of the old
            self._memory = torch.empty(n * ends[-1], device=device)
        self.matrix = self._memory[: n * ends[-1]].view(n, ends[-1])
        self._there, self._products = set(), {}

    def width(self, parameters: Sequence[int]) -> int:
        """Columns of these parameters."""
        return sum(self._columns[p].stop - self._columns[p].start for p in parameters)

    def put(self, row: int, parameter: int, gradient: Tensor) -> None:
        """A part of a row, or more of it. parameter: its place among those of `begin`. What is never put is 0."""
        into = self.matrix[row, self._columns[parameter]].view_as(gradient)
        if (row, parameter) in self._there:
            into.add_(gradient)
        else:
            into.copy_(gradient)
            self._there.add((row, parameter))
        self._products.pop(parameter, None)

    @property
    def memory(self) -> tuple[int, int]:
        """Floats that are held, and those of the rows in use."""
        return self._memory.numel(), self.matrix.numel()

    def multiply(self, parameter: int) -> None:
        """Finds the inner products of the rows over this parameter. Best when it was just put, and is still in the cache."""
        for row in range(len(self.matrix)):
            if (row, parameter) not in self._there:
                self.matrix[row, self._columns[parameter]].zero_()
                self._there.add((row, parameter))
        block = self.matrix[:, self._columns[parameter]]
        self._products[parameter] = torch.mm(block, block.T)

    def gramian(self) -> np.ndarray:
        """(K, K) float64: inner products of the rows, which are whole then."""
        return sum(self._all_products(), np.zeros(2 * self.matrix.shape[:1]))

    def gramians(self, parts: Sequence[str]) -> dict[str, np.ndarray]:
        """The same for each part of the parameters. parts: one name a parameter."""
        found: dict[str, np.ndarray] = {}
        for products, part in zip(self._all_products(), parts, strict=True):
            found[part] = found[part] + products if part in found else products
        return found

    def _all_products(self) -> list[np.ndarray]:
        for parameter in range(len(self._parameters)):
            if parameter not in self._products:
                self.multiply(parameter)
        return list(torch.stack([self._products[p] for p in range(len(self._parameters))]).double().cpu().numpy())

    def hand_over(self, update: Tensor) -> None:
        """Makes `update` (P,) the gradient of the parameters."""
        for parameter, columns in zip(self._parameters, self._columns, strict=True):
            parameter.grad = update[columns].view_as(parameter)
