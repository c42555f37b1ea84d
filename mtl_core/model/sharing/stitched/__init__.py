"""Cross-stitch networks: a tower for each task, and numbers that say how much each takes from the others."""

from pydantic import Field as Setting

from mtl_core.base.messages import N_
from mtl_core.base.settings import Options
from mtl_core.model.sharing.base import SharingMethod


class StitchedOptions(Options):
    layers: int = Setting(
        1, ge=1, le=8, title=N_("Layers"), description=N_("Layers of each task's tower; after each of them the towers are mixed.")
    )
    width: int = Setting(256, ge=1, le=8192, title=N_("Width of a layer"), description=N_("Numbers in the inner part of a tower's layer."))
    own_share: float = Setting(
        0.9,
        ge=0,
        le=1,
        title=N_("Own share"),
        description=N_("How much a task takes of its own tower at the start; the others share the rest."),
    )


SHARING = SharingMethod(
    name="cross_stitch",
    label=N_("Cross-stitch"),
    help=N_("A small tower for each task, and numbers that learn how much each task takes from the towers of the others."),
    source="Cross-stitch Networks for Multi-task Learning, https://arxiv.org/abs/1604.03539",
    Options=StitchedOptions,
    package=__name__,
)
