"""Customized gate control and progressive layered extraction (CGC, PLE)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtl_core.model.sharing.layered import LayeredOptions
from mtl_core.model.sharing.modules import Experts, Gate, Several, Sharing, mixed


class Level(nn.Module):
    """One level: a task's gate mixes its own and the shared experts; below the last level another gate mixes all of them."""

    def __init__(self, hidden: int, n_tasks: int, options: LayeredOptions, last: bool):
        super().__init__()
        mine, common = options.task_experts, options.shared_experts
        self.shared = Experts(common, hidden, options.width)
        self.own = Several[Experts](Experts(mine, hidden, options.width) for _ in range(n_tasks))
        self.gates = Several[Gate](Gate(hidden, mine + common, options.gate) for _ in range(n_tasks))
        self.shared_gate = None if last else Gate(hidden, n_tasks * mine + common, options.gate)

    def forward(self, shared: Tensor, own: Mapping[int, Tensor]) -> tuple[Tensor, dict[int, Tensor]]:
        """What comes from the level below, (S, hidden) each: for the shared experts, and place of a task → for its own. → the same."""
        common = self.shared(shared)  # (S, E, hidden)
        experts = {place: self.own[place](x) for place, x in own.items()}
        found = {place: mixed(self.gates[place](x), torch.cat([experts[place], common], dim=1)) for place, x in own.items()}
        if self.shared_gate is None:
            return shared, found
        return mixed(self.shared_gate(shared), torch.cat([*experts.values(), common], dim=1)), found


class Module(Sharing):
    """On each level y_k = g_k(x_k) · [f_k1(x_k), ..., f_1(x_s), ...] and y_s = g_s(x_s) · [all experts of the level]; x_k = x_s = x
    on the first. The head gets y_k of the last level.

    With one level a task's experts and gate are its own. With more, what lies below reaches other tasks through g_s and is shared:
    on the last level but one all experts, g_s, but not yet the tasks' gates; below that everything. Beside the paper: experts and
    gates begin as in MMoE.
    """

    def __init__(self, hidden: int, tasks: Sequence[str], options: LayeredOptions):
        super().__init__(hidden, tasks, options)
        n = options.levels
        self.levels = Several[Level](Level(hidden, len(tasks), options, last=level == n - 1) for level in range(n))

    def forward(self, vectors: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        shared, own = self._below(vectors)
        _, found = self.levels[-1](shared, {self.places[task]: own[self.places[task]] for task in tasks})
        return {task: found[self.places[task]] for task in tasks}

    def shared(self) -> list[nn.Parameter]:
        own = {id(p) for task in self.places for p in self.own(task)}
        return [p for p in self.parameters() if id(p) not in own]

    def own(self, task: str) -> list[nn.Parameter]:
        place, (*below, last) = self.places[task], self.levels
        found = [*last.own[place].parameters(), *last.gates[place].parameters()]
        return [*below[-1].gates[place].parameters(), *found] if below else found

    @torch.no_grad()
    def gate_weights(self, vectors: Tensor, task: str) -> dict[str, float]:
        """On the last level."""
        place = self.places[task]
        mean = self.levels[-1].gates[place](self._below(vectors)[1][place]).mean(0).tolist()
        mine = self.options.task_experts
        return {(f"own {e + 1}" if e < mine else f"expert {e + 1 - mine}"): weight for e, weight in enumerate(mean)}

    def _below(self, vectors: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """What the last level gets."""
        shared, own = vectors, dict.fromkeys(self.places.values(), vectors)
        *below, _ = self.levels
        for level in below:
            shared, own = level(shared, own)
        return shared, own
