"""What can be chosen of something with typed options: as it is by default, and each option set otherwise, one at a time."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from mtl_core.base.settings import Options, Widget, widgets


def variants(model: type[Options]) -> Iterator[dict[str, Any]]:
    """Every other choice of a list, every switch the other way, every number one more or half as large; what cannot be is left out."""
    yield {}
    for widget in widgets(model):
        for value in _others(widget):
            try:
                model.model_validate({widget.path: value})
            except ValidationError:  # only together with another option, or beyond its bounds
                continue
            yield {widget.path: value}


def _others(widget: Widget) -> list[Any]:
    if widget.type == "choice":
        return [choice for choice in widget.choices if choice != widget.default]
    if widget.type == "bool":
        return [not widget.default]
    if widget.type == "int":
        return [(widget.default or 0) + 1]
    if widget.type == "float":
        return [0.5 if not widget.default else widget.default / 2]
    return []
