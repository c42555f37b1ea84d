"""Cross-stitch networks: a tower for each task, and numbers that say how much each takes from the others."""

from pydantic import Field as Setting

from mtl_core.base.messages import N_
from mtl_core.base.settings import Options
from mtl_core.model.sharing.base import SharingMethod


class StitchedOptions(Options):
    layers: int = Setting(
        1, ge=1, le=8, title=N_("Layers"), description=N_("Layers of each task's tower; the towers are mixed after each layer.")
    )
    width: int = Setting(256, ge=1, le=8192, title=N_("Tower hidden size"), description=N_("Width of the hidden layer in a tower's layer."))
    own_share: float = Setting(
        0.9,
        ge=0,
        le=1,
        title=N_("Initial self weight"),
        description=N_("Initial weight of a task's own tower; the others share the rest equally."),
    )


SHARING = SharingMethod(
    name="cross_stitch",
    label=N_("Cross-stitch"),
    help=N_("One tower per task, with learned cross-stitch units that mix the towers after each layer."),
    source="Cross-stitch Networks for Multi-task Learning, https://arxiv.org/abs/1604.03539",
    Options=StitchedOptions,
    package=__name__,
)
