"""Customized gate control and progressive layered extraction (CGC, PLE)."""

from pydantic import Field as Setting

from mtl_core.base.messages import N_
from mtl_core.model.sharing.base import GatedOptions, SharingMethod


class LayeredOptions(GatedOptions):
    shared_experts: int = Setting(2, ge=1, le=64, title=N_("Shared experts"), description=N_("Shared experts per level."))
    task_experts: int = Setting(1, ge=1, le=64, title=N_("Experts per task"), description=N_("Task-specific experts per task and level."))
    levels: int = Setting(1, ge=1, le=4, title=N_("Levels"), description=N_("1: a single extraction level (CGC); more: PLE."))


SHARING = SharingMethod(
    name="ple",
    label=N_("PLE"),
    help=N_("Shared experts and task-specific experts side by side, on one level (CGC) or several."),
    source="Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for Personalized Recommendations, "
    "https://doi.org/10.1145/3383313.3412236",
    Options=LayeredOptions,
    package=__name__,
)
