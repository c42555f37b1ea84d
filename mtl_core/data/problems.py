"""What is wrong with a file, said so that a person can mend it: severity, where, why, remedy. All of it at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from mtl_core.base.apart import ApartError
from mtl_core.base.messages import Message, Translate, message
from mtl_core.data.places import file_and_line


class Severity(StrEnum):
    """error: the table cannot be used; warning: it can, and the person should know; info: what was done on reading."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Problem:
    """One finding. `code` is stable (tests, links); `line` counts from 1 in the file as an editor shows it.

    A line as `_line` has it says the file too (`places.file_and_line`).
    """

    severity: Severity
    code: str
    why: Message
    remedy: Message
    file: str | None = None
    line: int | None = None
    column: str | None = None
    count: int = 1  # rows concerned; `line` is the first of them
    leave_out: tuple[str, ...] = ()  # columns, each of which a person may leave out with a click

    def __post_init__(self) -> None:
        if self.file is not None and self.line is not None:
            file, line = file_and_line(self.file, self.line)
            object.__setattr__(self, "file", file)
            object.__setattr__(self, "line", line)

    def where(self, translate: Translate = str) -> str:
        parts = [self.file] if self.file else []
        if self.line is not None:
            parts.append(message("line {line}", line=self.line).text(translate))
        if self.column is not None:
            parts.append(message("column “{column}”", column=self.column).text(translate))
        return ", ".join(parts)

    def text(self, translate: Translate = str) -> str:
        where = self.where(translate)
        return f"{where + ': ' if where else ''}{self.why.text(translate)} {self.remedy.text(translate)}"

    def __str__(self) -> str:
        return self.text()

    def to_json(self) -> dict[str, Any]:
        record = {name: getattr(self, name) for name in ("code", "file", "line", "column", "count", "leave_out")}
        return {"severity": str(self.severity), **record, "why": _message_to_json(self.why), "remedy": _message_to_json(self.remedy)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Problem":
        """Inverse of `to_json`."""
        return cls(**{
            **record,
            "severity": Severity(record["severity"]),
            "why": _message_from_json(record["why"]),
            "remedy": _message_from_json(record["remedy"]),
            "leave_out": tuple(record.get("leave_out", ())),  # older programs kept none
        })  # fmt: skip


def _message_to_json(value: Message) -> dict[str, Any]:
    values = {k: _message_to_json(v) if isinstance(v, Message) else v for k, v in value.values.items()}
    return {"template": value.template, "values": values}


def _message_from_json(record: dict[str, Any]) -> Message:
    return Message(record["template"], {k: _message_from_json(v) if isinstance(v, dict) else v for k, v in record["values"].items()})


_MOST = 5
"""Problems of one kind that are listed each by itself."""


def gathered(problems: Iterable[Problem]) -> list[Problem]:
    """Each kind of which there are more than a few is listed once: the first, with the number of the others and where some of them are.
    A table has as many columns as somebody gave it, and each may be wrong."""
    kinds: dict[tuple[Severity, str, str | None], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.severity, problem.code, problem.file), []).append(problem)
    return [one for same in kinds.values() for one in ([_as_one(same)] if len(same) > _MOST else same)]


def _as_one(same: Sequence[Problem]) -> Problem:
    first, *others = same
    places = list(dict.fromkeys(p.column or str(p.line or "") for p in others))
    shown = ", ".join(place[:40] for place in places[:_MOST]) + (" …" if len(places) > _MOST else "")
    why = message("{first} Likewise in {n} other places: {places}.", first=first.why, n=len(others), places=shown)
    return replace(first, why=why, count=sum(p.count for p in same))


class DataError(Exception):
    """A table that cannot be used. `problems` holds every finding, errors first, each kind once."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = sorted(gathered(problems), key=lambda p: list(Severity).index(p.severity))
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type["DataError"], tuple[list[Problem]]]:
        """From process to process."""
        return DataError, (self.problems,)


def ended(error: ApartError, name: str) -> Problem:
    """What is said of a table where the work on it in another process was ended."""
    return Problem(Severity.ERROR, error.code, error.why, error.remedy, name)


class InputError(ValueError):
    """Rows that cannot be predicted on. `message` says which field, what came and what is wanted; row: which of the rows given, from 1,
    None where it is about none; as a string it says both."""

    def __init__(self, text: Message, row: int | None = None):
        self.message, self.row = text, row
        super().__init__(str(text if row is None else message("Row {row}: {said}", row=row, said=text)))


def one_line(problem: Problem) -> str:
    """As a terminal shows it."""
    return f"{problem.severity}: {' '.join(str(problem).split())}"


def has_errors(problems: Iterable[Problem]) -> bool:
    return any(p.severity is Severity.ERROR for p in problems)
