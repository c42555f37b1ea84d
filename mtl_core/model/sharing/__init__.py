"""What the tasks share above the encoder, by name."""

from mtl_core.model.sharing.adapters import Adapters
from mtl_core.model.sharing.base import Sharing
from mtl_core.model.sharing.experts import MixtureOfExperts
from mtl_core.model.sharing.hard import Hard
from mtl_core.model.sharing.layered import ProgressiveExtraction
from mtl_core.model.sharing.stitched import CrossStitch

__all__ = ["SHARING", "Sharing"]

SHARING: dict[str, type[Sharing]] = {way.name: way for way in (Hard, MixtureOfExperts, ProgressiveExtraction, CrossStitch, Adapters)}
