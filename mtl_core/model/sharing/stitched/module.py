"""Cross-stitch networks: a tower for each task, and numbers that say how much each takes from the others."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_core.model.sharing.modules import Expert, Several, Sharing
from mtl_core.model.sharing.stitched import StitchedOptions


class Layer(nn.Module):
    def __init__(self, hidden: int, n_tasks: int, options: StitchedOptions):
        super().__init__()
        self.towers = Several[Expert](Expert(hidden, options.width) for _ in range(n_tasks))
        rest = (1 - options.own_share) / max(1, n_tasks - 1)
        mine = options.own_share if n_tasks > 1 else 1.0
        rows = torch.full((n_tasks, n_tasks), rest).fill_diagonal_(mine)
        self.stitches = nn.ParameterList(nn.Parameter(row.clone()) for row in rows)

    def forward(self, towers: Sequence[Tensor], tasks: Sequence[int]) -> list[Tensor]:
        """towers: K of (S, hidden), from the layer below; tasks: the places that are wanted. → (S, hidden) each."""
        found = torch.stack([tower(x) for tower, x in zip(self.towers, towers, strict=True)])  # (K, S, hidden)
        return [torch.tensordot(self.stitches[task], found, dims=1) for task in tasks]


class Module(Sharing):
    """h_j = f_j(x_j), x_k ← Σ_j α_kj · h_j, layer by layer; x_k = x on the first. Tower f_j is as `Expert`; α a number for each pair
    of tasks and layer.

    A task's loss reaches all towers, through its α: they are shared; what is its own are the α_k of the last layer. Beside the paper,
    which stitches whole convolutional networks: the towers stand on one shared encoder, and begin by giving what they get.
    """

    part = "towers"

    def __init__(self, hidden: int, tasks: Sequence[str], options: StitchedOptions):
        super().__init__(hidden, tasks, options)
        self.layers = Several[Layer](Layer(hidden, len(tasks), options) for _ in range(options.layers))

    def forward(self, vectors: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        everyone = list(self.places.values())
        towers = [vectors] * len(everyone)
        *below, last = self.layers
        for layer in below:
            towers = layer(towers, everyone)
        return dict(zip(tasks, last(towers, [self.places[task] for task in tasks]), strict=True))

    def shared(self) -> list[nn.Parameter]:
        *below, last = self.layers
        return [*(p for layer in below for p in layer.parameters()), *last.towers.parameters()]

    def own(self, task: str) -> list[nn.Parameter]:
        return [self.layers[-1].stitches[self.places[task]]]

    @torch.no_grad()
    def gate_weights(self, vectors: Tensor, task: str) -> dict[str, float]:
        """|α_kj| of the last layer, as shares of their sum; whatever the texts."""
        row = self.layers[-1].stitches[self.places[task]].abs()
        return {f"tower {task}": share for task, share in zip(self.places, (row / row.sum()).tolist(), strict=True)}
