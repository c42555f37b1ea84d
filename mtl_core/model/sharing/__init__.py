"""What the tasks share above the encoder, by name. Loads no torch."""

from importlib import import_module

from mtl_core.model.sharing.base import SharingMethod

SHARING: dict[str, SharingMethod] = {
    way.name: way
    for way in (
        import_module(f"{__name__}.{folder}").SHARING
        for folder in (
            "hard",
            "experts",
            "layered",
            "stitched",
            "adapters",
        )
    )
}
"""In the order in which they are offered."""
