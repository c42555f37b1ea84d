"""Low-rank adapters inside the encoder: one that all tasks share, and one for each task."""

from typing import Literal

from pydantic import Field as Setting

from mtl_core.base.messages import N_
from mtl_core.base.settings import Options
from mtl_core.model.sharing.base import SharingMethod


class AdapterOptions(Options):
    rank: int = Setting(8, ge=1, le=512, title=N_("LoRA rank"), description=N_("Rank of each LoRA adapter."))
    scale: float = Setting(
        2.0,
        gt=0,
        le=64,
        title=N_("LoRA scale"),
        description=N_("Factor of an adapter's output (alpha / rank in the paper)."),
    )
    where: Literal["attention", "all"] = Setting(
        "attention",
        title=N_("Target modules"),
        description=N_("attention: the modules that peft targets for the architecture, mostly query and value; all: all linear layers."),
        json_schema_extra={"choices": {"attention": N_("Attention"), "all": N_("All linear layers")}},
    )
    shared: bool = Setting(True, title=N_("Shared adapter"), description=N_("One more adapter, shared by all tasks."))


SHARING = SharingMethod(
    name="adapters",
    label=N_("Adapters"),
    help=N_(
        "LoRA adapters in the encoder, one per task and optionally a shared one; freeze the encoder to train only them. Each task's "
        "texts are encoded separately."
    ),
    source="LoRA: Low-Rank Adaptation of Large Language Models, https://arxiv.org/abs/2106.09685",
    Options=AdapterOptions,
    package=__name__,
)
