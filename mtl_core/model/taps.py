"""The gradients of several tasks from one backward pass through the encoder, when every text belongs to one task.

What learns in a transformer works on single tokens: a matrix, a norm, an embedding. The gradient of its parameters is a sum over tokens,
of what went in and of the gradient of what came out. The backward pass brings the latter for the tokens of all tasks at once and need not
go to the parameters; the sums are taken afterwards over the tokens of one task at a time. So K gradients cost the arithmetic of one, in
matrices of all tasks together. Per-task in place of per-example in "Efficient Per-Example Gradient Computations"
(https://arxiv.org/abs/1510.01799).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge


class Use(NamedTuple):
    """A call of something that learns. call: as made, (1, N, ...) → (1, N, ...); output: where the backward pass ends."""

    call: Callable[[Tensor], Tensor]
    parameters: tuple[Tensor, ...]
    output: GradientEdge

    def gradients(self, inputs: Tensor, outwards: Tensor) -> Sequence[Tensor]:
        """Of the parameters, over some tokens. inputs, outwards: (n, ...), what went in and the gradient of what came out."""
        if isinstance(self.call, nn.Linear) and inputs.ndim == 2:
            return [outwards.T @ inputs if p.ndim == 2 else outwards.sum(0) for p in self.parameters]
        with torch.enable_grad():
            return torch.autograd.grad(self.call(inputs[None]), self.parameters, outwards[None])


class Tap(NamedTuple):
    """All calls with the same inputs (1, N, ...), one after another."""

    inputs: Tensor
    uses: list[Use]


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
    if _recorded.taps is not None and output.requires_grad and output.ndim >= 3 and inputs.shape[:2] == (1, output.shape[1]):
        if not _recorded.taps or _recorded.taps[-1].inputs is not inputs:
            _recorded.taps.append(Tap(inputs, []))
        _recorded.taps[-1].uses.append(Use(call, tuple(parameters), get_gradient_edge(output)))


def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
    """Records a call of a module, after it; a forward hook."""
    parameters = [p for p in module.parameters(recurse=False) if p.requires_grad]
    if parameters and arguments and isinstance(output, Tensor):
        record(module, parameters, arguments[0], output)


def parameters_of(tap: Tap) -> tuple[Tensor, ...]:
    return tuple(p for use in tap.uses for p in use.parameters)


def overlap(taps: Sequence[Tap]) -> bool:
    """Whether some tap shares a part of its parameters with another: they can then not be summed side by side."""
    owners: dict[int, tuple[int, ...]] = {}
    for tap in taps:
        group = tuple(map(id, parameters_of(tap)))
        if any(owners.setdefault(p, group) != group for p in group):
            return True
    return False


def by_task(
    taps: Sequence[Tap], outwards: Sequence[Sequence[Tensor | None]], order: Tensor, sizes: Sequence[int]
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Of one tap in several micro-batches. outwards: in each, the gradient of what came out of each use (1, N, ...); order: the tokens of
    all micro-batches, task by task; sizes: tokens of each task. → (task, parameter, gradient) of tasks that have tokens."""
    gathered: dict[torch.dtype, Tensor] = {}
    for use, *parts in zip(taps[0].uses, *outwards, strict=True):
        found = [part[0] for part in parts if part is not None]
        if len(found) < len(parts):
            continue  # nothing comes of it
        outward = torch.cat(found).index_select(0, order)
        dtype = outward.dtype if isinstance(use.call, nn.Linear) else taps[0].inputs.dtype
        if dtype not in gathered:
            gathered[dtype] = torch.cat([tap.inputs[0].detach().to(dtype) for tap in taps]).index_select(0, order)
        for task, (x, g) in enumerate(zip(gathered[dtype].split(sizes), outward.split(sizes), strict=True)):
            if len(x):
                for parameter, gradient in zip(use.parameters, use.gradients(x, g), strict=True):
                    yield task, parameter, gradient
