"""The fields of a pydantic model as a page needs them to draw a widget for each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict

from mtl_core.base.messages import N_


class Options(BaseModel):
    """Base of the typed options of what is chosen by name (a task kind, a strategy); every field has bounds, a default and a
    one-sentence `description`. What a page needs beside that stands in the field's `json_schema_extra`: see `widgets`."""

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
    stops:     numbers that a slider offers, where not all between the bounds are of use.
    zero:      what people call the value 0, where it is a code ("off").
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
    stops: tuple[float, ...] = ()
    zero: str = ""

    def slider(self) -> tuple[float, ...]:
        """The numbers of a slider by stops: those declared; else, where the bounds lie decades apart, powers of 2, or 1, 2, 3, 5 of each
        decade. Empty where every number between the bounds is of use, or the bounds are too far apart for a slider."""
        low, high = self.bounds
        if self.stops or low is None or high is None or self.type not in ("int", "float"):
            return self.stops
        if self.type == "int":
            if high - low <= 100 or high > 10_000:
                return ()
            doubled = tuple(2.0**power for power in range(14) if max(low, 1) <= 2**power <= high)
            return doubled if doubled[-1] == high else _decades(max(low, 1), high)
        return _decades(low or high / 10_000, high) if (high > 10 and self.above) or (high > 1 and low > 0) else ()

    def spans_little(self) -> bool:
        """Whether a slider with even steps shows all numbers between the bounds."""
        low, high = self.bounds
        return low is not None and high is not None and high - low <= (100 if self.type == "int" else 10)

    def step(self) -> float:
        """How far one click goes: of a slider a hundredth of its span; else a tenth of the default's decade below 1, or a half."""
        if self.type == "int":
            return 1
        low, high = self.bounds
        if low is not None and high is not None and self.spans_little():
            return 0.01 if high - low <= 1 else 0.1 if high - low > 5 else 0.05
        if not isinstance(self.default, int | float) or self.default == 0:
            return 0.01
        return 0.5 if abs(self.default) >= 1 else 10.0 ** (math.floor(math.log10(abs(self.default))) - 1)

    def word(self, value: Any) -> str:
        """What people call a value of the setting, to be translated: its label, else as it is written."""
        if value is None:
            return N_("automatic")
        if isinstance(value, bool):
            return N_("on") if value else N_("off")
        if self.zero and value == 0:
            return self.zero
        return self.labels.get(str(value), f"{value:.6g}" if isinstance(value, float) else str(value))


def _decades(low: float, high: float) -> tuple[float, ...]:
    """low, high > 0; both, and between them 1, 2, 3, 5 of each decade."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = (float(f"{digit}e{power}") for power in powers for digit in (1, 2, 3, 5))
    return (low, *(number for number in found if low < number < high), high)


_TYPES: dict[Any, Any] = {bool: "bool", int: "int", float: "float", str: "text", list: "list", dict: "mapping", Literal: "choice"}


def widgets(model: BaseModel | type[BaseModel], prefix: str = "") -> list[Widget]:
    """Every field of a model that can be set, groups opened. `model`: an instance (its values are shown) or a class (its defaults).

    A field's `json_schema_extra` may hold: choices (id → label, all that there are), labels (id → label of suggestions), stops, zero,
    keys, each (see `Widget`).
    """
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
            chosen = extra.get("choices", {})
            labels = chosen or extra.get("labels", {})
            choices = chosen or (get_args(annotation) if get_origin(annotation) is Literal else info.examples or ())
            settings.append(
                Widget(
                    path,
                    "choice" if chosen else _TYPES.get(get_origin(annotation) or annotation, "text"),
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
                    tuple(extra.get("stops", ())),
                    extra.get("zero", ""),
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
