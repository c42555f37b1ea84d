"""Hard parameter sharing: the heads read the encoder's vectors as they are."""

from collections.abc import Sequence

from torch import Tensor, nn

from mtl_core.model.sharing.modules import Sharing


class Module(Sharing):
    def forward(self, vectors: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        return dict.fromkeys(tasks, vectors)

    def shared(self) -> list[nn.Parameter]:
        return []

    def own(self, task: str) -> list[nn.Parameter]:
        return []
