"""What readers of all formats share: limits, the collected faults of a file, and the checks of its header."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.base.messages import Message, message
from mtl_core.data.places import of_file
from mtl_core.data.problems import DataError, Problem, Severity

ROWS = 1 << 15
"""Rows that are read at a time."""

_SHOWN = 10


@dataclass(frozen=True)
class Limits:
    """What a table may have, known before anything is done to each part of it.

    max_bytes: of the unpacked content; max_cell_bytes: of one cell; max_columns: of the header, or keys of all objects; max_name: letters
    of a column's name; max_nesting: of lists and objects in JSON; max_table_bytes: of a Parquet table as Arrow holds it; max_ratio: how
    many times its size an archive may unpack to, once that is more than `free_bytes`.
    """

    max_bytes: int = 2 << 30
    max_cell_bytes: int = 1 << 20
    max_columns: int = 2000
    max_name: int = 1000
    max_nesting: int = 100
    max_table_bytes: int = 1 << 30
    max_ratio: int = 200
    free_bytes: int = 32 << 20


@dataclass
class FileProblems:
    """Collects what is wrong, by code: the first lines and how many."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    several_lines: bool = False  # whether rows of a CSV file go over several lines as they should
    _lines: dict[str, list[int]] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _details: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(
        self,
        code: str,
        why: Message,
        remedy: Message,
        line: int | None = None,
        column: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        self.problems.append(Problem(severity, code, why, remedy, self.file, line, column))

    def seen(self, code: str, line: int, **details: Any) -> None:
        """Counts a row with the fault `code`; `finish` makes one problem of them. details: of the first row are kept."""
        lines = self._lines.setdefault(code, [])
        if len(lines) < _SHOWN:
            lines.append(line)
        self._counts[code] = self._counts.get(code, 0) + 1
        self._details.setdefault(code, details)

    def has_seen(self, *codes: str) -> bool:
        """Whether a row with one of these faults was found."""
        return not self._lines.keys().isdisjoint(codes)

    def lines(self, code: str) -> list[int]:
        """The first lines with a fault."""
        return self._lines.get(code, [])

    @property
    def rows_seen(self) -> bool:
        """Whether any row was found faulty."""
        return bool(self._lines)

    def finish(self) -> None:
        for code, lines in self._lines.items():
            count, details = self._counts[code], self._details[code]
            why, remedy = _ROW_FAULTS[code]
            if code == "ragged_rows" and details["expected"] == 1 and details["found"] > 1:
                remedy = message("If the header stands further down, remove the lines above it.")
            severity = _MILD.get(code, Severity.ERROR)
            shown = ", ".join(map(str, lines)) + (" …" if count > len(lines) else "")
            values = {"count": count, "lines": shown, **details}
            self.problems.append(
                Problem(severity, code, Message(why.template, values), remedy, self.file, lines[0], details.get("column"), count)
            )


_MILD = dict.fromkeys(("stray_quotes", "swallowed_rows", "repeated_key", "half_character"), Severity.WARNING)
_MILD["trailing_delimiters"] = Severity.INFO
"""Faults with which a row can be used."""

_ROW_FAULTS = {
    "stray_quotes": (
        message("Quotation marks that open no cell: {count} lines (lines {lines}). They are read as characters."),
        message("If a cell should go over several lines, close its quotation mark, and double those inside."),
    ),
    "swallowed_rows": (
        message("Quoted cells that swallow lines which look like rows: {count} (they begin on lines {lines}; the first ends on {last})."),
        message("If these are rows, remove the quotation mark, or double it; otherwise no action is needed."),
    ),
    "trailing_delimiters": (
        message("Rows that end with delimiters beyond the header: {count} (lines {lines}). The empty cells are left out."),
        message("No action needed."),
    ),
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
        message("Write one complete JSON object on each line, or one array of objects."),
    ),
    "too_deep": (
        message("Lists and objects may lie {limit} deep in each other; deeper ones: {count} (lines {lines})."),
        message("Write the values that a task needs beside each other, as columns."),
    ),
    "repeated_key": (
        message("Objects with a key twice: {count} (lines {lines}); the first has “{key}” twice. The last value counts."),
        message("Keep one value of each key, or give the others another name."),
    ),
    "half_character": (
        message("Texts with half a character, such as a cut emoji: {count} (lines {lines}). It is read as “�”."),
        message("No action needed; otherwise write the texts again from where they come from."),
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


_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad"))


def visible_names(names: list[str], findings: FileProblems, line: int | None) -> list[str]:
    """Names without spaces around and without characters that nobody sees (marks, zero-width spaces), which are noted."""
    clean = [name.translate(_INVISIBLE).strip() for name in names]
    for i, name in enumerate(clean):
        if name != names[i].strip():
            why = message("The name of the column has invisible characters; they are removed.")
            findings.add("invisible_characters", why, message("No action needed."), line, name[:40] or str(i + 1), Severity.INFO)
    return clean


def too_wide(n_columns: int, findings: FileProblems, limits: Limits, line: int | None) -> bool:
    """Whether there are more columns than anything should be done to each of; then said in `findings`."""
    if n_columns <= limits.max_columns:
        return False
    why = message("The table has {found} columns, more than {limit}.", found=n_columns, limit=limits.max_columns)
    findings.add("too_many_columns", why, message("Keep the columns that a task needs."), line)
    return True


def add_nameless(findings: FileProblems, number: int, line: int | None = None, of_row: bool = False) -> None:
    """A column that has no name. number: from 1; of_row: it is a value of a JSON row."""
    remedy = message("Give each value a name, or remove it.") if of_row else message("Give it a name in the header, or remove it.")
    findings.add("empty_column_name", message("Column {number} has no name.", number=number), remedy, line, str(number))


def check_names(names: list[str], findings: FileProblems, limits: Limits, line: int | None) -> bool:
    """Whether columns may be called so; empty names are for others to judge. What is wrong is added to `findings`."""
    first: dict[str, int] = {}
    n_before = len(findings.problems)
    for i, column in enumerate(names):
        if len(column) > limits.max_name:
            why = message("The name of column {number} has {found} characters, more than {limit}.",
                          number=i + 1, found=len(column), limit=limits.max_name)  # fmt: skip
            findings.add("name_too_long", why, message("Give the column a short name."), line, column[:40])
        elif column and column in first:
            why = message("Columns {first} and {second} have the same name.", first=first[column] + 1, second=i + 1)
            findings.add("duplicate_column", why, message("Give each column a unique name."), line, column)
        elif column and not of_file([column]):
            findings.add(
                "reserved_column",
                message("This name is reserved."),
                message("Give the column another name."),
                line,
                column,
            )
        first.setdefault(column, i)
    return len(findings.problems) == n_before


def check_header(table: pa.Table, findings: FileProblems) -> None:
    """Names that are values, so that the file may have no header, and its first row was taken for it.

    A name that comes again in its own column, in two rows at least, beside names that do so as well, or look like values; one alone says
    nothing: a column *spam* may hold spam and ham. Or names that all look like what is below them: a sentence above texts, a date above
    dates, a fraction above numbers.
    """
    names = [name for name in of_file(table.column_names) if name]
    again = [n for n in names if pa.types.is_string(table[n].type) and (pc.sum(pc.equal(table[n], n)).as_py() or 0) >= 2]
    if again and (len(again) >= 2 or any(len(n.split()) >= 4 or n.replace(".", "").isdecimal() for n in names)):
        why = message(
            "The file seems to have no header: the first row was taken for it, but “{name}” is a value of the column, too.", name=again[0]
        )
        findings.add("no_header", why, NO_HEADER, None, again[0], Severity.WARNING)
    elif like := _like_values(table, names):
        why = message(
            "The file seems to have no header: the first row was taken for it, but “{name}” looks like the values of the column.", name=like
        )
        findings.add("no_header", why, NO_HEADER, None, like, Severity.WARNING)


NO_HEADER = message("Put the names of the columns above the first row, if it is a row like the others; it is lost otherwise.")
_NUMBER, _DATE = re.compile(r"-?\d+([.,]\d+)?"), re.compile(r"(\d{4}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2})[-/.]\d{1,4}([ T].*)?")


def _like_values(table: pa.Table, names: Sequence[str]) -> str | None:
    """A name that shows that the first row is a row; None where a name is none: a word above numbers, dates or texts of many words."""
    found, whole = list[str](), list[str]()
    for name in names:
        if not pa.types.is_string(table[name].type):
            return None
        values = [v.strip() for v in table[name].slice(0, 200).to_pylist() if v and v.strip()]
        for form in (_DATE, _NUMBER):
            if values and sum(form.fullmatch(v) is not None for v in values) >= 0.95 * len(values):
                if not form.fullmatch(name.strip()):
                    return None
                (whole if name.isdecimal() else found).append(name)
                break
        else:
            words = sum(len(v.split()) for v in values) / max(len(values), 1)
            if words >= 4 and len(name.split()) < 4:
                return None
            if words >= 4 and not name.rstrip().endswith(("?", ":", "？", "：")):  # or it is a question, with the answers below
                found.append(name)
    numbers = [float(name) for name in whole]
    if not found and len(whole) == len(names) > 2 and sorted(numbers) != numbers:  # years and places stand in their order
        return whole[0]
    return found[0] if found else None
