"""The encoder's part of a step: micro-batches go through it side by side, in lanes.

On a processor every small operation ends at a barrier where all threads meet: a tenth of a step is spent waiting there, and when
the screen takes one of them for a moment, the others stand still. Lanes, each with its share of the threads, meet once a pass.

The way back begins at the gradient of the text vectors. So losses are computed once, over the texts of all micro-batches, while
each lane holds the activations of one; as in "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"
(https://arxiv.org/abs/2101.06983).
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recomputed

from mtl_core.model.encoder import Encoder
from mtl_core.model.packing import Packed
from mtl_core.tasks.base import no_text_vectors
from mtl_core.training.devices import autocast

T = TypeVar("T")
MOST_LANES = 2  # each holds a gradient of its own


class Lanes:
    """n: how many; one on a GPU, where there is nothing to wait for, and one with dropout, whose random numbers come in one order."""

    def __init__(self, encoder: Encoder, device: torch.device, precision: str, n: int | None = None):
        """precision: float32 or bfloat16; n: None for as many as suit the device."""
        self.encoder, self.device, self.precision = encoder, device, precision
        threads = torch.get_num_threads()
        self.n = n or (min(MOST_LANES, threads) if device.type == "cpu" and not encoder.drops else 1)
        self._pool: ThreadPoolExecutor | None = None
        if self.n > 1:
            together = threading.Barrier(self.n)
            self._pool = ThreadPoolExecutor(self.n, "mtl-lane", _use_threads, (max(1, threads // self.n),))
            list(self._pool.map(lambda _: together.wait(), range(self.n)))
            torch.set_num_threads(threads)  # later threads take the last number that was set anywhere

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    @torch.no_grad()
    def encode(self, packed: Sequence[Packed]) -> Tensor:
        """→ (S, hidden) float32, without a way back."""
        if not packed:
            return no_text_vectors(self.encoder.hidden, self.device)
        return torch.cat(self.each(packed, lambda i: self._forward(packed[i], torch.no_grad(), recompute=False)))

    def each(self, parts: Sequence[object], work: Callable[[int], T]) -> list[T]:
        """`work(i)` for each of `parts`; lane k takes the parts k, k + n, ... one after another."""
        if self._pool is None:
            return [work(i) for i in range(len(parts))]
        lanes = [range(k, len(parts), self.n) for k in range(self.n)]
        found = dict(pair for lane in self._pool.map(lambda lane: [(i, work(i)) for i in lane], lanes) for pair in lane)
        return [found[i] for i in range(len(parts))]

    def _forward(self, part: Packed, mode: torch.no_grad | torch.enable_grad, recompute: bool) -> Tensor:
        with mode, autocast(self.device, self.precision):  # both belong to a thread
            if recompute:
                return recomputed(self.encoder, part, use_reentrant=False, preserve_rng_state=self.encoder.drops)
            return self.encoder(part)


class Pass:
    """Once forward and back. vectors: (S, hidden) float32, the distinct texts of a step; a leaf that losses are computed from."""

    def __init__(self, lanes: Lanes, packed: Sequence[Packed]):
        """The encoder's rows of the texts' words are open, if it learns them."""
        self._lanes, self._encoder = lanes, lanes.encoder
        self._learns = bool(packed) and any(p.requires_grad for p in self._encoder.parameters())
        if not self._learns:
            self.vectors = lanes.encode(packed)
            return
        recompute = len(packed) > lanes.n  # then the activations of one micro-batch a lane are held, and computed again on the way back
        self._parts = lanes.each(packed, lambda i: lanes._forward(packed[i], torch.enable_grad(), recompute))
        self.vectors = torch.cat([part.detach() for part in self._parts]).requires_grad_()

    def backward(self) -> None:
        """Takes the gradient of `vectors` to the encoder's parameters (and to its open rows), whose `.grad` is set."""
        for parameter, gradient in zip(self._encoder.learning(), self.gradients(), strict=True):
            parameter.grad = _sum(parameter.grad, gradient)

    def gradients(self) -> list[Tensor | None]:
        """The gradient of what the encoder learns, in the order of `Encoder.learning`, from that of `vectors`; `Encoder.own` gets its
        `.grad`."""
        learning, own = self._encoder.learning(), self._encoder.own()
        if not self._learns or self.vectors.grad is None:
            return [None] * len(learning)
        parameters = [*learning, *own]
        outwards = self.vectors.grad.split([len(part) for part in self._parts])

        def back(lane: int) -> list[Tensor | None]:
            totals: list[Tensor | None] = [None] * len(parameters)
            for i in range(lane, len(self._parts), self._lanes.n):
                if not self._parts[i].requires_grad:
                    continue
                for p, found in enumerate(torch.autograd.grad(self._parts[i], parameters, outwards[i], allow_unused=True)):
                    totals[p] = _sum(totals[p], found)
            return totals

        by_lane = self._lanes.each(range(self._lanes.n), back)
        totals = [reduce(_sum, found) for found in zip(*by_lane, strict=True)]
        for parameter, gradient in zip(own, totals[len(learning) :], strict=True):
            parameter.grad = gradient
        return totals[: len(learning)]


def _use_threads(n: int) -> None:
    """For the calling thread. torch brings every new thread to the process's number when it first computes or is asked: ask first."""
    torch.get_num_threads()
    torch.set_num_threads(n)


def _sum(total: Tensor | None, more: Tensor | None) -> Tensor | None:
    return more if total is None else total if more is None else total.add_(more)
