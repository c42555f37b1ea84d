"""The fields of a pydantic model as a page needs them to draw a widget for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base of the typed options of what is chosen by name (a task kind, a strategy); every field has bounds, a default and a
    one-sentence `description`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Widget:
    """One field as a page needs it to draw a widget.

    path:      "training.steps", as in the YAML and in `--set`.
    type:      int, float, bool, choice (one of `choices`), text (`choices` are suggestions), list, mapping.
    bounds:    lowest and highest value, None where there is none; `above`: the lowest itself is not allowed.
    optional:  None is a value, too.
    labels:    choice → what people call it, where that is not its name.
    keys:      the group of the experiment ("data") whose names are the keys of a mapping; its `choices` are then those names.
    each:      the number that a key has which is not in the mapping.
    """

    path: str
    type: Literal["int", "float", "bool", "choice", "text", "list", "mapping"]
    label: str
    help: str
    default: Any
    value: Any
    bounds: tuple[float | None, float | None] = (None, None)
    above: bool = False
    choices: tuple[str, ...] = ()
    optional: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    keys: str = ""
    each: float = 0.0


_TYPES: dict[Any, Any] = {bool: "bool", int: "int", float: "float", str: "text", list: "list", dict: "mapping", Literal: "choice"}


def widgets(model: BaseModel | type[BaseModel], prefix: str = "") -> list[Widget]:
    """Every field of a model that can be set, groups opened. `model`: an instance (its values are shown) or a class (its defaults)."""
    settings: list[Widget] = []
    for name, info in (model if isinstance(model, type) else type(model)).model_fields.items():
        path = f"{prefix}.{name}" if prefix else name
        default = None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
        value = default if isinstance(model, type) else getattr(model, name)
        annotation = required(info.annotation)
        models = value if isinstance(value, dict) and any(isinstance(v, BaseModel) for v in value.values()) else {}
        if isinstance(value, BaseModel):
            settings += widgets(value, path)
        elif models:
            settings += [s for key, part in models.items() for s in widgets(part, f"{path}.{key}")]
        elif not is_model(annotation) and not _holds_models(annotation):
            limits = {k: getattr(m, k) for m in info.metadata for k in ("ge", "gt", "le", "lt") if getattr(m, k, None) is not None}
            extra: dict[str, Any] = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
            labels = extra.get("choices", {})
            choices = labels or (get_args(annotation) if get_origin(annotation) is Literal else info.examples or ())
            settings.append(
                Widget(
                    path,
                    "choice" if labels else _TYPES.get(get_origin(annotation) or annotation, "text"),
                    info.title or name.replace("_", " ").capitalize(),
                    info.description or "",
                    default,
                    value,
                    (limits.get("ge", limits.get("gt")), limits.get("le", limits.get("lt"))),
                    "gt" in limits,
                    tuple(map(str, choices)),
                    annotation is not info.annotation,
                    {str(choice): str(label) for choice, label in labels.items()},
                    extra.get("keys", ""),
                    extra.get("each", 0.0),
                )
            )
    return settings


def set_path(values: dict[str, Any], path: str, value: Any) -> None:
    """values["a"]["b"] = value for the path "a.b"."""
    *groups, name = path.split(".")
    for group in groups:
        values = values.setdefault(group, {})
    values[name] = value


def _holds_models(annotation: Any) -> bool:
    return any(is_model(a) for a in get_args(annotation))


def is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def required(annotation: Any) -> Any:
    """`X` of `X | None`."""
    if get_origin(annotation) in (Union, UnionType):
        some = [a for a in get_args(annotation) if a is not type(None)]
        return some[0] if len(some) == 1 else annotation
    return annotation
