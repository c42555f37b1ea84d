"""What the tasks share above the encoder, by name. Loads no torch."""

from mtl_core.model.sharing import adapters, experts, hard, layered, stitched
from mtl_core.model.sharing.base import SharingMethod

SHARING: dict[str, SharingMethod] = {way.SHARING.name: way.SHARING for way in (hard, experts, layered, stitched, adapters)}
