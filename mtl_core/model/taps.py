"""The gradients of several tasks from one way back through the encoder, when every text belongs to one task.

What learns in a transformer works on single tokens: a matrix, a norm, an embedding. The gradient of its parameters is a sum over tokens,
of what went in and of the gradient of what came out. The way back brings the latter for the tokens of all tasks at once and need not
go to the parameters; the sums are taken afterwards over the tokens of one task at a time. So K gradients cost the arithmetic of one, in
matrices of all tasks together. Per-task in place of per-example in "Efficient Per-Example Gradient Computations"
(https://arxiv.org/abs/1510.01799).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge


@dataclass(frozen=True)
class Tap:
    """One call of something that learns. call: as made, (1, N, ...) → (1, N, ...); inputs: (N, ...); output: where the way back ends."""

    call: Callable[[Tensor], Tensor]
    parameters: tuple[Tensor, ...]
    inputs: Tensor
    output: GradientEdge

    def gradients(self, inputs: Tensor, outwards: Tensor) -> Sequence[Tensor]:
        """Of the parameters, over some tokens. inputs: (n, ...), as of the tap; outwards: (n, ...), the gradient of what came out."""
        if isinstance(self.call, nn.Linear):
            return [outwards.T @ inputs.to(outwards.dtype) if p.ndim == 2 else outwards.sum(0) for p in self.parameters]
        with torch.enable_grad():
            return torch.autograd.grad(self.call(inputs[None]), self.parameters, outwards[None])


class _Recorded(threading.local):
    taps: list[Tap] | None = None


_recorded = _Recorded()


@contextmanager
def recorded() -> Iterator[list[Tap]]:
    """The taps of the forward passes inside the block (of this thread)."""
    _recorded.taps = taps = list[Tap]()
    try:
        yield taps
    finally:
        _recorded.taps = None


def record(call: Callable[[Tensor], Tensor], parameters: Sequence[Tensor], inputs: Tensor, output: Tensor) -> None:
    if _recorded.taps is not None and output.requires_grad and inputs.shape[:2] == output.shape[:2] and len(inputs) == 1:
        _recorded.taps.append(Tap(call, tuple(parameters), inputs[0].detach(), get_gradient_edge(output)))


def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
    """Records a call of a module, after it; a forward hook."""
    parameters = [p for p in module.parameters(recurse=False) if p.requires_grad]
    if parameters and arguments and isinstance(output, Tensor):
        record(module, parameters, arguments[0], output)


def by_task(taps: Sequence[Tap], outwards: Sequence[Tensor], order: Tensor, sizes: Sequence[int]) -> Iterator[tuple[int, Sequence[Tensor]]]:
    """Of one call in several micro-batches. outwards: of each (1, N, ...); order: the tokens of all of them, task by task; sizes: tokens of
    each task. → (task, gradients of the parameters), of tasks that have tokens."""
    inputs = torch.cat([tap.inputs for tap in taps])[order]
    found = torch.cat([outward[0] for outward in outwards])[order]
    for task, (x, g) in enumerate(zip(inputs.split(sizes), found.split(sizes), strict=True)):
        if len(x):
            yield task, taps[0].gradients(x, g)
