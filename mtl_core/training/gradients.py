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
        self._columns: dict[int, slice] = {}  # by the parameter's id, as below
        self._there: set[tuple[int, int]] = set()
        self._products: dict[int, Tensor] = {}
        self.matrix = self._memory.view(0, 0)

    def begin(self, parameters: Sequence[Tensor], n: int) -> None:
        """parameters: what is shared and learns in this step; n: rows."""
        self._parameters = parameters
        ends = np.cumsum([0, *(p.numel() for p in parameters)]).tolist()
        self._columns = {id(p): slice(a, b) for p, (a, b) in zip(parameters, pairwise(ends), strict=True)}
        device = parameters[0].device if parameters else torch.device("cpu")
        if self._memory.numel() < n * ends[-1] or self._memory.device != device:
            self._memory = self.matrix = torch.empty(0)  # first let go of the old
            self._memory = torch.empty(n * ends[-1], device=device)
        self.matrix = self._memory[: n * ends[-1]].view(n, ends[-1])
        self._there, self._products = set(), {}

    def put(self, row: int, parameter: Tensor, gradient: Tensor) -> None:
        """A part of a row, or more of it. What is never put is 0."""
        into, key = self._part(row, parameter), (row, id(parameter))
        if key in self._there:
            into.add_(gradient)
        else:
            into.copy_(gradient)
            self._there.add(key)
        self._products.pop(id(parameter), None)

    @property
    def memory(self) -> tuple[int, int]:
        """Floats that are held, and those of the rows in use."""
        return self._memory.numel(), self.matrix.numel()

    def multiply(self, parameter: Tensor) -> None:
        """Finds the inner products of the rows over this parameter. Best when it was just put, and is still in the cache."""
        for row in range(len(self.matrix)):
            if (row, id(parameter)) not in self._there:
                self._part(row, parameter).zero_()
                self._there.add((row, id(parameter)))
        block = self.matrix[:, self._columns[id(parameter)]]
        self._products[id(parameter)] = torch.mm(block, block.T)

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
        for parameter in self._parameters:
            if id(parameter) not in self._products:
                self.multiply(parameter)
        return list(torch.stack([self._products[id(p)] for p in self._parameters]).cpu().double().numpy())

    def hand_over(self, update: Tensor) -> None:
        """Makes `update` (P,) the gradient of the parameters."""
        for parameter in self._parameters:
            parameter.grad = update[self._columns[id(parameter)]].view_as(parameter)

    def turn_into_step(self, row: int, rate: float) -> list[Tensor]:
        """What the parameters would be after a step along the row, which is lost."""
        return [self._part(row, p).mul_(-rate).add_(p.detach()) for p in self._parameters]

    def _part(self, row: int, parameter: Tensor) -> Tensor:
        return self.matrix[row, self._columns[id(parameter)]].view_as(parameter)
