"""What is wrong with an experiment, said so that a person can mend it: where, what was found, what is wanted. All of it at once."""

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mtl_core.base.messages import N_, Message, Translate, message


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an experiment. path: "tasks.search.weight", empty for the file as a whole; line: in the file, from 1."""

    path: str
    found: str | Message
    wanted: Message
    line: int | None = None

    def text(self, translate: Translate = str) -> str:
        sentence = message("Found {found}, expected {wanted}.", found=self.found, wanted=self.wanted).text(translate)
        where = [message("line {line}", line=self.line).text(translate)] if self.line else []
        return ": ".join([*where, *([self.path] if self.path else []), sentence])

    def __str__(self) -> str:
        return self.text()


class ExperimentError(Exception):
    """An experiment that cannot be run. `faults` holds every one of them. Not a ValueError: pydantic lets it pass unchanged."""

    def __init__(self, faults: Iterable[Fault]):
        self.faults = list(faults)
        super().__init__("\n".join(map(str, self.faults)))


class CheckpointError(ValueError):
    """A checkpoint that this program cannot read. `message` says why, and what to do."""

    def __init__(self, text: Message):
        self.message = text
        super().__init__(str(text))


NOTHING = message(N_("nothing"))

_WANTED = {
    "missing": N_("a value"),
    "greater_than": N_("a number above {gt}"),
    "greater_than_equal": N_("a number of at least {ge}"),
    "less_than": N_("a number below {lt}"),
    "less_than_equal": N_("a number of at most {le}"),
    "finite_number": N_("a finite number"),
    "literal_error": N_("one of {expected}"),
    "too_short": N_("at least {min_length} entry"),
    "string_too_short": N_("a text that is not empty"),
    "invalid_key": N_("a name that is text (put it in quotation marks)"),
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), N_("a whole number")),
    **dict.fromkeys(("float_type", "float_parsing"), N_("a number")),
    **dict.fromkeys(("bool_type", "bool_parsing"), N_("true or false")),
    "string_type": N_("text (put it in quotation marks)"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), N_("settings as “name: value” lines")),
    "list_type": N_("a list"),
}


def pydantic_faults(error: ValidationError, names: Callable[[list[str]], Iterable[str]], patterns: Mapping[str, str]) -> Iterator[Fault]:
    """Pydantic's errors as sentences. names: the valid names below a path; patterns: regular expression → what it asks for."""
    for e in error.errors(include_url=False):
        loc = [str(part) for part in e["loc"] if part != "[key]"]
        path = ".".join(loc)
        context: dict[str, Any] = {k: f"{v:g}" if isinstance(v, float) else v for k, v in e.get("ctx", {}).items()}
        found: str | Message = NOTHING if e["type"] == "missing" else found_value(e["input"])
        if e["type"] == "extra_forbidden":
            found, wanted = message("an unknown name"), nearest(loc[-1], names(loc[:-1]))
        elif e["type"] == "string_pattern_mismatch" and context["pattern"] in patterns:
            wanted = Message(patterns[context["pattern"]])
        elif e["type"] == "value_error":  # `ValueError(message(...))` stays translatable
            reason = context["error"].args[0] if context["error"].args else e["msg"]
            wanted = reason if isinstance(reason, Message) else Message(str(reason).rstrip("."))
        elif e["type"] in _WANTED:
            wanted = Message(_WANTED[e["type"]], context)
        else:
            wanted = Message(e["msg"])
        yield Fault(path, found, wanted)


def nearest(name: str, names: Iterable[str]) -> Message:
    """The valid names, most similar to `name` first."""
    near = difflib.get_close_matches(name, names := list(names), n=5, cutoff=0)
    return message("a known name, such as {names}", names=", ".join(near)) if names else message("no name here")


def found_value(value: Any) -> str | Message:
    """A value as it stands in a file, at most 80 characters."""
    return NOTHING if value is None else shortened(json.dumps(value, ensure_ascii=False, default=str))


def shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}…"
