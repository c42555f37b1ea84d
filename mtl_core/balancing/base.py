"""How K task losses become one update."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor


class Balancing(ABC):
    """A strategy. State that the next step depends on lies in `state` (JSON) and goes into checkpoints."""

    name: ClassVar[str]

    @abstractmethod
    def combine(self, losses: Tensor, weights: Tensor) -> Tensor:
        """losses, weights: (K,), the tasks that have rows in this step → the scalar to minimise."""
