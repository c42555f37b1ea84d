"""One encoder, one head a task (hard parameter sharing; Caruana 1997, Multitask Learning, https://doi.org/10.1023/A:1007379606734)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mtl_core.model.encoder import Encoder
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import Spec, TaskBatch


class MultiTaskModel(nn.Module):
    """encoder: shared; heads: task name → head, each `forward(vectors, batch) -> logits`.

    Another sharing (experts, adapters) would stand between the two, in a file of its own beside this one.
    """

    def __init__(self, encoder: Encoder, heads: Mapping[str, nn.Module]):
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(dict(heads))

    def logits(self, task: str, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors: (S, hidden) float32, the distinct texts of the step."""
        return self.heads[task](vectors, batch)


def make_heads(hidden: int, tasks: Mapping[str, tuple[str, Any]], specs: Mapping[str, Spec]) -> dict[str, nn.Module]:
    """tasks: name → (kind, options). Random initial weights come from torch's global generator, in the order of `tasks`."""
    return {name: KINDS[kind].head(hidden, specs[name], options) for name, (kind, options) in tasks.items()}
