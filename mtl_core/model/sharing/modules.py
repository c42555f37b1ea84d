"""What stands between the pooled text vectors and the tasks' heads.

A way of sharing gives each task vectors of its own, made from those that all tasks have in common. Its parameters are of two sorts:
those that the losses of several tasks reach are *shared*, as the encoder is, and strategies on gradients see them; all others are
a task's *own*, as its head is.

At step 0 every way gives each task the vector as the encoder made it, so that nothing pretrained is destroyed: what is learned is
added to it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core.model.encoder import Encoder

M = TypeVar("M", bound=nn.Module)


class Several(nn.ModuleList, Generic[M]):
    """Modules of one type."""

    def __getitem__(self, place: int) -> M:  # type: ignore[override]
        return super().__getitem__(place)  # type: ignore[return-value]

    def __iter__(self) -> Iterator[M]:
        return super().__iter__()  # type: ignore[return-value]


class Sharing(nn.Module, ABC):
    """part: how its shared parameters are called.

    by_task: the encoder's own output depends on the task, so tasks go through it one after another, and `switch` says which one.
    """

    part: ClassVar[str] = "experts"
    by_task: ClassVar[bool] = False

    def __init__(self, hidden: int, tasks: Sequence[str], options: Any):
        """hidden: width of the vectors; tasks: all of the experiment, in its order."""
        super().__init__()
        self.hidden, self.options = hidden, options
        self.places = {task: place for place, task in enumerate(tasks)}

    @abstractmethod
    def forward(self, vectors: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """vectors (S, hidden): the distinct texts of a step, there may be none; tasks: those of the step. → task → (S, hidden)."""

    @abstractmethod
    def shared(self) -> list[nn.Parameter]:
        """Reached by the losses of several tasks."""

    @abstractmethod
    def own(self, task: str) -> list[nn.Parameter]:
        """Reached by the loss of this task alone."""

    def attach(self, encoder: Encoder) -> None:
        """Puts into the encoder what is inside it. Draws random numbers from torch's global generator, unless on the device `meta`."""

    def switch(self, task: str) -> None:
        """From now on the encoder works on the texts of this task."""

    def gate_weights(self, vectors: Tensor, task: str) -> dict[str, float] | None:
        """Expert → its share in what the task is given, the mean over `vectors` (S ≥ 1, hidden). None: there are no experts.

        Named `expert 1` and so on, the same one for every task; `own 1`: the task's alone; `tower search`: the one of that task.
        """
        return None


class Expert(nn.Module):
    """x + B · gelu(A · x + a) + b, with B and b 0 at the start: then it gives what it gets."""

    def __init__(self, hidden: int, width: int):
        super().__init__()
        self.inner, self.outer = nn.Linear(hidden, width), nn.Linear(width, hidden)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(S, hidden) → (S, hidden)"""
        return x + self.outer(F.gelu(self.inner(x)))


class Experts(Several[Expert]):
    def __init__(self, n: int, hidden: int, width: int):
        super().__init__(Expert(hidden, width) for _ in range(n))

    def forward(self, x: Tensor) -> Tensor:
        """(S, hidden) → (S, E, hidden)"""
        return torch.stack([expert(x) for expert in self], dim=1)


class Gate(nn.Module):
    """softmax over the experts: of W · x ("text"), or of a number for each ("task"). All experts weigh the same at the start."""

    def __init__(self, hidden: int, n: int, by: str):
        super().__init__()
        self.numbers = nn.Parameter(torch.zeros(n))
        self.matrix = nn.Parameter(torch.zeros(n, hidden)) if by == "text" else None

    def forward(self, x: Tensor) -> Tensor:
        """(S, hidden) → (S, E), rows that sum to 1"""
        if self.matrix is None:
            return self.numbers.softmax(0).expand(len(x), -1)
        return F.linear(x, self.matrix, self.numbers).softmax(1)


def mixed(weights: Tensor, experts: Tensor) -> Tensor:
    """(S, E), (S, E, hidden) → (S, hidden)"""
    return torch.bmm(weights[:, None], experts)[:, 0]
