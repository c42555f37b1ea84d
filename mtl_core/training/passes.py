"""The encoder once forward and back, for the rows of a step.

The backward pass begins at the gradient of the text vectors. So losses are computed once, over the texts of all micro-batches, while
each lane holds the activations of one; as in "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"
(https://arxiv.org/abs/2101.06983).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from mtl_core.model.packing import Packed, on_device
from mtl_core.model.taps import Tap, by_task, parameters_of, recorded
from mtl_core.runtime.devices import autocast, random_state, set_random_state
from mtl_core.runtime.lanes import Lanes
from mtl_core.training.gradients import TaskGradients


@dataclass
class _Encoded:
    """A micro-batch, encoded. vectors: with a graph that leads back, or without one; then `random` is where random numbers stood."""

    vectors: Tensor
    taps: list[Tap]
    random: tuple[Tensor, Tensor | None] | None = None


class Pass:
    """Once forward and back. vectors: (L, hidden) float32, of the distinct texts of a step and of the tokens that are kept, as the encoder
    gives them for each micro-batch; a leaf that losses are computed from."""

    def __init__(self, lanes: Lanes, packed: Sequence[Packed]):
        """The encoder's sparse rows hold the words of the texts, if it learns them."""
        self._lanes, self._encoder, self._packed = lanes, lanes.encoder, packed
        self._learns = bool(packed) and any(p.requires_grad for p in self._encoder.parameters())
        if not self._learns:
            self.vectors = lanes.encode(packed)
            return
        self._recomputes = (
            len(packed) > lanes.n
        )  # then the activations of one micro-batch a lane are held, and computed again on the backward pass
        self._encoded = lanes.each(packed, self._forward)
        self.vectors = torch.cat([encoded.vectors.detach() for encoded in self._encoded]).requires_grad_()

    def _forward(self, i: int) -> _Encoded:
        if not self._recomputes:
            with recorded() as taps:
                return _Encoded(self._lanes.forward(self._packed[i], torch.enable_grad()), taps)
        random = random_state(self._lanes.device) if self._encoder.drops else None
        return _Encoded(self._lanes.forward(self._packed[i], torch.no_grad()), [], random)

    def _with_graph(self, i: int) -> _Encoded:
        """With a graph: as held, or computed again as it was."""
        if not self._recomputes:
            return self._encoded[i]
        now, then = random_state(self._lanes.device), self._encoded[i].random
        if then is not None:
            set_random_state(self._lanes.device, then)
        with recorded() as taps:
            encoded = _Encoded(self._lanes.forward(self._packed[i], torch.enable_grad()), taps)
        if then is not None:
            set_random_state(self._lanes.device, now)
        return encoded

    def _output_gradients(self) -> Sequence[Tensor]:
        """The gradient of `vectors` by micro-batch; empty where there is no backward pass."""
        if not self._learns or self.vectors.grad is None:
            return ()
        return self.vectors.grad.split([part.n_rows for part in self._packed])

    def backward(self) -> None:
        """Takes the gradient of `vectors` to the encoder's parameters (and to its sparse rows), whose `.grad` is set."""
        for parameter, gradient in zip(self._encoder.learning(), self.gradients(), strict=True):
            parameter.grad = _sum(parameter.grad, gradient)

    def gradients(self) -> list[Tensor | None]:
        """The gradient of what the encoder learns, in the order of `Encoder.learning`, from that of `vectors`; `Encoder.own` gets its
        `.grad`."""
        learning, own = self._encoder.learning(), self._encoder.own()
        parameters, output_gradients = [*learning, *own], self._output_gradients()

        def back(lane: int) -> list[Tensor | None]:
            totals: list[Tensor | None] = [None] * len(parameters)
            for i in range(lane, len(output_gradients), self._lanes.n):
                vectors = self._with_graph(i).vectors
                if not vectors.requires_grad:
                    continue
                for p, found in enumerate(torch.autograd.grad(vectors, parameters, output_gradients[i], allow_unused=True)):
                    totals[p] = _sum(totals[p], found)
            return totals

        by_lane = self._lanes.each(range(self._lanes.n), back)
        totals = [reduce(_sum, found) for found in zip(*by_lane, strict=True)]
        for parameter, gradient in zip(own, totals[len(learning) :], strict=True):
            parameter.grad = gradient
        return totals[: len(learning)]

    def by_task(self, rows: TaskGradients, owners: np.ndarray) -> None:
        """The same for each task apart, into its row. owners: (S,) the row of each text, -1: none. Wants an encoder that `splits`."""
        output_gradients, n = self._output_gradients(), self._lanes.n
        tokens = np.split(owners, np.cumsum([len(part.lengths) for part in self._packed])[:-1])
        for start in range(0, len(output_gradients), n):
            numbers = range(start, min(start + n, len(output_gradients)))
            back = self._lanes.each(numbers, lambda k, first=start: self._to_taps(first + k, output_gradients))  # type: ignore[misc]
            self._sum_up(rows, back, np.concatenate([np.repeat(tokens[i], self._packed[i].lengths) for i in numbers]))

    def _to_taps(self, i: int, output_gradients: Sequence[Tensor]) -> "_TapGradients":
        encoded = self._with_graph(i)
        ends = [use.output for tap in encoded.taps for use in tap.uses]
        found = iter(torch.autograd.grad(encoded.vectors, ends, output_gradients[i], allow_unused=True))
        back: _TapGradients = {number: (tap, [next(found) for _ in tap.uses]) for number, tap in enumerate(encoded.taps)}
        encoded.taps.clear()
        return back

    def _sum_up(self, rows: TaskGradients, back: "Sequence[_TapGradients]", owners: np.ndarray) -> None:
        """owners: (N,) the row of each token of all micro-batches in `back`."""
        order = np.argsort(owners, kind="stable")[(owners < 0).sum() :]
        sizes, chosen = np.bincount(owners[order], minlength=len(rows.matrix)).tolist(), on_device(order, self._lanes.device)
        calls: dict[tuple[int, ...], list[int]] = {}  # the same layer may be passed several times
        for number, (tap, _) in back[0].items():
            calls.setdefault(tuple(map(id, parameters_of(tap))), []).append(number)
        left = iter(sorted(calls.values(), key=lambda numbers: -sum(p.numel() for p in parameters_of(back[0][numbers[0]][0]))))

        def add(_: int) -> None:
            for numbers in left:  # whichever lane is free takes the next
                for number in numbers:
                    taps, output_gradients = zip(*(found.pop(number) for found in back), strict=True)  # which lets go of them
                    with autocast(self._lanes.device, self._lanes.precision):
                        for row, parameter, gradient in by_task(taps, output_gradients, chosen, sizes):
                            rows.put(row, parameter, gradient)
                for parameter in parameters_of(taps[0]):
                    rows.multiply(parameter)

        self._lanes.each(range(self._lanes.n), add)


_TapGradients = dict[
    int, tuple[Tap, list[Tensor | None]]
]  # taps of a micro-batch, and for each of their uses the gradient of what came out


def _sum(total: Tensor | None, more: Tensor | None) -> Tensor | None:
    return more if total is None else total if more is None else total.add_(more)
