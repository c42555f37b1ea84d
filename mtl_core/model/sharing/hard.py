"""Hard parameter sharing: the heads read the encoder's vectors as they are."""

from collections.abc import Sequence

from torch import Tensor, nn

from mtl_core.base.messages import N_
from mtl_core.model.sharing.base import Sharing


class Hard(Sharing):
    name = "hard"
    label = N_("Hard")
    help = N_("One encoder for all, a head for each task, nothing in between.")
    source = "Multitask Learning, https://doi.org/10.1023/A:1007379606734"

    def forward(self, vectors: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        return dict.fromkeys(tasks, vectors)

    def shared(self) -> list[nn.Parameter]:
        return []

    def own(self, task: str) -> list[nn.Parameter]:
        return []
