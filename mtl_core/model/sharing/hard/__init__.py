"""Hard parameter sharing: the heads read the encoder's vectors as they are."""

from mtl_core.base.messages import N_
from mtl_core.model.sharing.base import SharingMethod

SHARING = SharingMethod(
    name="hard",
    label=N_("Hard parameter sharing"),
    help=N_("One shared encoder and a head per task."),
    source="Multitask Learning, https://doi.org/10.1023/A:1007379606734",
    package=__name__,
)
