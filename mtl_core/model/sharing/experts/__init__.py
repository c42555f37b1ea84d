"""Multi-gate mixture of experts (MMoE)."""

from pydantic import Field as Setting

from mtl_core.base.messages import N_
from mtl_core.model.sharing.base import GatedOptions, SharingMethod


class MixtureOptions(GatedOptions):
    experts: int = Setting(4, ge=1, le=64, title=N_("Experts"), description=N_("Number of experts shared by all tasks."))


SHARING = SharingMethod(
    name="mmoe",
    label=N_("MMoE"),
    help=N_("Shared experts, and a gate per task that weights them."),
    source="Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts, https://doi.org/10.1145/3219819.3220007",
    Options=MixtureOptions,
    package=__name__,
)
