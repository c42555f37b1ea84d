"""Sentences for people, kept apart from their language: a template (the English original, the gettext key) and its values."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Translate = Callable[[str], str]


def N_(text: str) -> str:
    """Marks `text` for the catalogues without translating it here; whoever shows it does."""
    return text


def plural(n: float, one: str, many: str) -> str:
    """The sentence for n things: `one` for exactly one, else `many`, both marked with N_. As gettext's `ngettext`, of sentences that are
    filled in and translated later, as all of ours are: `_(plural(n, N_("1 row"), N_("{n} rows"))).format(n=n)`."""
    return one if n == 1 else many


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
        return translate(self.template).format(**values) if values else translate(self.template)

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
