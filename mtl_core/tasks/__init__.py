"""The task kinds, by name. Loads no torch: what needs it is loaded with a kind's `head`."""

from importlib import import_module

from mtl_core.tasks.base import TaskKind
from mtl_core.tasks.extras import with_extras

KINDS: dict[str, TaskKind] = {
    name: with_extras(import_module(f"{__name__}.{name}").KIND)
    for name in (
        "recommendation",
        "search",
        "click_through",
        "classification",
        "multilabel",
        "regression",
        "matching",
        "response_selection",
        "generation",
        "masked_language_modelling",
        "extraction",
        "question_answering",
    )
}
"""In the order in which they are offered. A kind is called like its folder."""


def is_better(metric: str, value: float, than: float) -> bool:
    """Whether a value of a metric, or of a loss, is better than another one."""
    return value > than if higher_is_better(metric) else value < than


def higher_is_better(metric: str) -> bool:
    return metric not in lower_is_better()


def lower_is_better() -> set[str]:
    """The metrics, and the loss, of which lower is better. A metric means the same in every kind that has it."""
    return {"loss", *(info.name for kind in KINDS.values() for info in kind.metrics if not info.higher_is_better)}
