"""Multi-gate mixture of experts (MMoE)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_core.model.sharing.experts import MixtureOptions
from mtl_core.model.sharing.modules import Experts, Gate, Several, Sharing, mixed


class Module(Sharing):
    """y_k = Σ_e g_k(x)_e · f_e(x), g_k(x) = softmax(W_k x + c_k): experts f_e for all, a gate for each task.

    The experts are shared, a gate is its task's own. Beside the paper: x is a pretrained vector, so an expert adds to it instead of
    making a new one (see `Expert`), and the gates begin even; the paper's experts are plain layers, begun at random.
    """

    def __init__(self, hidden: int, tasks: Sequence[str], options: MixtureOptions):
        super().__init__(hidden, tasks, options)
        self.experts = Experts(options.experts, hidden, options.width)
        self.gates = Several[Gate](Gate(hidden, options.experts, options.gate) for _ in tasks)

    def forward(self, vectors: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        found = self.experts(vectors)  # (S, E, hidden)
        return {task: mixed(self.gates[self.places[task]](vectors), found) for task in tasks}

    def shared(self) -> list[nn.Parameter]:
        return list(self.experts.parameters())

    def own(self, task: str) -> list[nn.Parameter]:
        return list(self.gates[self.places[task]].parameters())

    @torch.no_grad()
    def gate_weights(self, vectors: Tensor, task: str) -> dict[str, float]:
        mean = self.gates[self.places[task]](vectors).mean(0).tolist()
        return {f"expert {e + 1}": weight for e, weight in enumerate(mean)}
