"""Low-rank adapters inside the encoder: one that all tasks share, and one for each task."""

from typing import Literal

from pydantic import Field as Setting

from mtl_core.base.messages import N_
from mtl_core.base.settings import Options
from mtl_core.model.sharing.base import SharingMethod


class AdapterOptions(Options):
    rank: int = Setting(
        8, ge=1, le=512, title=N_("Rank of an adapter"), description=N_("Of each adapter: how many directions it can change.")
    )
    scale: float = Setting(
        2.0,
        gt=0,
        le=64,
        title=N_("Scale of an adapter"),
        description=N_("What an adapter's output is multiplied by (alpha / rank, in the paper's words)."),
    )
    where: Literal["attention", "all"] = Setting(
        "attention",
        title=N_("Where adapters stand"),
        description=N_("attention: beside the matrices that peft chooses for the architecture, mostly query and value; all: beside all."),
    )
    shared: bool = Setting(True, title=N_("Shared adapter"), description=N_("One adapter more that all tasks use beside their own."))


SHARING = SharingMethod(
    name="adapters",
    label=N_("Adapters"),
    help=N_(
        "A low-rank adapter (LoRA) in the encoder for each task, beside one that all share; freeze the encoder to train them alone. Each "
        "task's texts go through the encoder apart."
    ),
    source="LoRA: Low-Rank Adaptation of Large Language Models, https://arxiv.org/abs/2106.09685",
    Options=AdapterOptions,
    package=__name__,
)
