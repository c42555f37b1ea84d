"""Sentences for people, kept apart from their language: a template (the English original, the gettext key) and its values."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mtl_core.base.marks import N_ as N_
from mtl_core.base.singular import ONE

Translate = Callable[[str], str]


def plural(n: float, one: str, many: str) -> str:
    """The sentence for n things: `one` for exactly one, else `many`, both marked with N_. As gettext's `ngettext`, of sentences that are
    filled in and translated later, as all of ours are: `_(plural(n, N_("1 row"), N_("{n} rows"))).format(n=n)`."""
    return one if n == 1 else many


_PLACE = re.compile(r"\{(\w+)")
_NUMBER = {many: next(iter({*_PLACE.findall(many)} - {*_PLACE.findall(one)})) for many, one in ONE.items()}


def singular(template: str, values: Mapping[str, Any]) -> str:
    """The sentence of `base/singular.py` for one thing, where there is one and the number is 1; else the template itself."""
    return ONE[template] if template in ONE and values.get(_NUMBER[template]) == 1 else template


@dataclass(frozen=True)
class Message:
    """A sentence that can be shown in any language.

    template: English, with `{name}` places (`str.format`); the key in the gettext catalogues.
    values:   what stands in the places; a value may itself be a `Message`.
    """

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def text(self, translate: Translate = str) -> str:
        values = {k: v.text(translate) if isinstance(v, Message) else v for k, v in self.values.items()}
        sentence = translate(singular(self.template, self.values))
        return sentence.format(**values) if values else sentence

    def __str__(self) -> str:
        return self.text()


@dataclass(frozen=True)
class Listed(Message):
    """Several, one after another. template: what stands between them, marked with N_; values: whatever to what is listed."""

    def text(self, translate: Translate = str) -> str:
        return translate(self.template).join(v.text(translate) if isinstance(v, Message) else str(v) for v in self.values.values())


def listed(parts: Iterable[Message | str], between: str = N_(", ")) -> Listed:
    return Listed(between, dict(enumerate(parts)))  # type: ignore[arg-type]


def message(template: str, /, **values: Any) -> Message:
    """`Message` with keyword values. The first argument is what `pybabel extract` collects."""
    return Message(template, values)
