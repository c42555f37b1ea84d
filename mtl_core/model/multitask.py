"""One encoder, what the tasks share above it, and one head a task."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mtl_core.model.encoder import Encoder
from mtl_core.model.sharing import SHARING
from mtl_core.model.sharing.modules import Sharing
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import Spec
from mtl_core.tasks.heads import DualHead, TaskBatch, WordHead


class MultiTaskModel(nn.Module):
    """encoder: shared; sharing: between its vectors and the heads; heads: task → head, each `forward(vectors, batch) -> logits`."""

    def __init__(self, encoder: Encoder, heads: Mapping[str, nn.Module], sharing: Sharing):
        super().__init__()
        self.encoder = encoder
        self.heads = _Heads(heads)
        self.sharing = sharing
        sharing.attach(encoder)
        for head in heads.values():
            if isinstance(head, WordHead):
                head.tie(encoder)

    def logits(self, task: str, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors: (L, hidden) float32, of the distinct texts of the step and of their tokens."""
        return self.logits_of(vectors, {task: batch})[task]

    def logits_of(self, vectors: Tensor, batches: Mapping[str, TaskBatch]) -> dict[str, Tensor]:
        """The same for several tasks of a step, what they share computed once."""
        given = self.sharing(vectors, list(batches))
        return {task: self.heads[task](given[task], batch) for task, batch in batches.items()}

    def embedded(self, task: str, vectors: Tensor, slot: str) -> Tensor:
        """(S, hidden) of texts of a slot → (S, E), as the task's `DualHead` compares them."""
        head = self.heads[task]
        assert isinstance(head, DualHead)
        return head.embed(self.sharing(vectors, [task])[task], slot)

    def shared(self) -> list[Tensor]:
        """What several tasks move and a backward pass ends at: of the encoder (see `Encoder.learning`), then of the sharing."""
        return [*self.encoder.learning(), *self.sharing.shared()]

    def parts(self) -> list[str]:
        """For each of `shared()` the part of the model it belongs to."""
        return [*self.encoder.parts(self.encoder.learning()), *(self.sharing.part for _ in self.sharing.shared())]

    def own(self, task: str) -> list[nn.Parameter]:
        """What the loss of this task alone moves."""
        return [p for p in (*self.heads[task].parameters(), *self.sharing.own(task)) if p.requires_grad]


class _Heads(nn.Module):
    """heads[task]. A task may be called like something that every module has (type, training): nn.ModuleDict cannot hold it."""

    def __init__(self, heads: Mapping[str, nn.Module]):
        super().__init__()
        for task, head in heads.items():
            self.add_module(f"{task} head", head)

    def __getitem__(self, task: str) -> nn.Module:
        return self.get_submodule(f"{task} head")


def make_heads(hidden: int, tasks: Mapping[str, tuple[str, Any]], specs: Mapping[str, Spec]) -> dict[str, nn.Module]:
    """tasks: name → (kind, options). Random initial weights come from torch's global generator, in the order of `tasks`."""
    return {name: KINDS[kind].head.module(hidden, specs[name], options) for name, (kind, options) in tasks.items()}


def make_sharing(hidden: int, tasks: Sequence[str], name: str, options: Any) -> Sharing:
    """As `make_heads`; name, options: of a way of sharing."""
    return SHARING[name].module(hidden, tasks, options)
