"""What readers of all formats share: limits, the collected faults of a file, and the checks of its header."""

from dataclasses import dataclass, field
from typing import Any, NoReturn

from mtl_core.base.messages import Message, message
from mtl_core.data.places import LINE
from mtl_core.data.problems import DataError, Problem, Severity

ROWS = 1 << 15
"""Rows that are read at a time."""

_SHOWN = 10


@dataclass(frozen=True)
class Limits:
    """max_bytes: of the unpacked content; max_cell_bytes: of one cell; max_columns: of the header."""

    max_bytes: int = 2 << 30
    max_cell_bytes: int = 1 << 20
    max_columns: int = 2000


@dataclass
class FileProblems:
    """Collects what is wrong, by code: the first lines and how many."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    _lines: dict[str, list[int]] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _details: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, code: str, why: Message, remedy: Message, line: int | None = None, column: str | None = None) -> None:
        self.problems.append(Problem(Severity.ERROR, code, why, remedy, self.file, line, column))

    def seen(self, code: str, line: int, **details: Any) -> None:
        """Counts a row with the fault `code`; `finish` makes one problem of them. details: of the first row are kept."""
        lines = self._lines.setdefault(code, [])
        if len(lines) < _SHOWN:
            lines.append(line)
        self._counts[code] = self._counts.get(code, 0) + 1
        self._details.setdefault(code, details)

    @property
    def rows_seen(self) -> bool:
        """Whether any row was found faulty."""
        return bool(self._lines)

    def finish(self) -> None:
        for code, lines in self._lines.items():
            count, details = self._counts[code], self._details[code]
            why, remedy = _ROW_FAULTS[code]
            shown = ", ".join(map(str, lines)) + (" …" if count > len(lines) else "")
            values = {"count": count, "lines": shown, **details}
            self.problems.append(
                Problem(Severity.ERROR, code, Message(why.template, values), remedy, self.file, lines[0], details.get("column"), count)
            )


_ROW_FAULTS = {
    "ragged_rows": (
        message("The header has {expected} cells; rows with another number: {count} (lines {lines}). The first has {found}."),
        message("Put texts that contain the delimiter or line breaks in double quotes, or add the missing cells."),
    ),
    "bad_quotes": (
        message("There is text after a closing quote (lines {lines})."),
        message("Double the quotation marks inside a quoted text, or remove them."),
    ),
    "open_quote": (
        message("A quotation mark is opened and not closed (lines {lines})."),
        message("Close it, or double it where it belongs to the text."),
    ),
    "cell_too_large": (
        message("Cells may hold up to {limit} KB; larger ones: {count} (lines {lines})."),
        message("Shorten the text; a model reads only its first few thousand characters."),
    ),
    "broken_json": (
        message("Invalid JSON: {count} (lines {lines}). The first: {reason}"),
        message("Write one complete JSON object on each line."),
    ),
    "not_an_object": (
        message("JSON that is not an object with column names: {count} (lines {lines})."),
        message("Write one JSON object on each line, such as {example}.", example='{"text": "…", "label": 1}'),
    ),
}  # fmt: skip


def empty(findings: FileProblems) -> NoReturn:
    """Raises DataError."""
    findings.add("empty_file", message("The file is empty."), message("Export the table again, with a header and rows."))
    raise DataError(findings.problems)


def check_names(names: list[str], findings: FileProblems, limits: Limits, line: int | None) -> None:
    if len(names) > limits.max_columns:
        why = message("The header has {found} columns, more than {limit}.", found=len(names), limit=limits.max_columns)
        findings.add("too_many_columns", why, message("Keep the columns that a task needs."), line)
    for i, column in enumerate(names):
        if not column:
            why = message("Column {number} has no name.", number=i + 1)
            remedy = message("Give it a name in the header, or remove it (an index or a delimiter at the end of lines makes such columns).")
            findings.add("empty_column_name", why, remedy, line, str(i + 1))
        elif column in names[:i]:
            why = message("Columns {first} and {second} have the same name.", first=names.index(column) + 1, second=i + 1)
            findings.add("duplicate_column", why, message("Give each column a unique name."), line, column)
        elif column == LINE:
            findings.add(
                "reserved_column",
                message("This name is reserved."),
                message("Give the column another name."),
                line,
                column,
            )
