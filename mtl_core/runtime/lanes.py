"""The encoder's part of a step: micro-batches go through it side by side, in lanes.

On a processor every small operation ends at a barrier where all threads meet: a tenth of a step is spent waiting there, and when
the screen takes one of them for a moment, the others stand still. Lanes, each with its share of the threads, meet once a pass.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from mtl_core.model.encoder import Encoder
from mtl_core.model.packing import Packed
from mtl_core.runtime.devices import autocast
from mtl_core.tasks.heads import no_text_vectors

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
    def encode(self, packed: Sequence[Packed], precision: str | None = None) -> Tensor:
        """→ (L, hidden) float32, without a graph. precision: None for that of the lanes."""
        if not packed:
            return no_text_vectors(self.encoder.hidden, self.device)
        return torch.cat(self.each(packed, lambda i: self.forward(packed[i], torch.no_grad(), precision)))

    def each(self, parts: Sequence[object], work: Callable[[int], T]) -> list[T]:
        """`work(i)` for each of `parts`; lane k takes the parts k, k + n, ... one after another."""
        if self._pool is None:
            return [work(i) for i in range(len(parts))]
        lanes = [range(k, len(parts), self.n) for k in range(self.n)]
        found = dict(pair for lane in self._pool.map(lambda lane: [(i, work(i)) for i in lane], lanes) for pair in lane)
        return [found[i] for i in range(len(parts))]

    def forward(self, part: Packed, mode: torch.no_grad | torch.enable_grad, precision: str | None = None) -> Tensor:
        with mode, autocast(self.device, precision or self.precision):  # both belong to a thread
            return self.encoder(part)


def _use_threads(n: int) -> None:
    """For the calling thread. torch brings every new thread to the process's number when it first computes or is asked: ask first."""
    torch.get_num_threads()
    torch.set_num_threads(n)
