"""CSV in any of its delimiters, row by row with the line of each.

Quotation marks are read as RFC 4180 has them. Where that goes wrong (text behind a closing mark, a mark that is never closed, a cell that
swallows lines which look like rows) and each line is a row by itself, a mark that opens no cell of its line is a character, and said to be.
"""

import copy
import csv
import io
import re
from collections.abc import Callable, Iterator
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.base.messages import message
from mtl_core.data.encodings import NotPlainError, Scan
from mtl_core.data.findings import ROWS, FileProblems, Limits, add_nameless, check_names, empty, too_wide, visible_names
from mtl_core.data.places import LINE
from mtl_core.data.problems import Severity

csv.field_size_limit(Limits.max_cell_bytes)  # a limit of the process; larger cells than this are never read

_SEPARATOR = re.compile(r'"?sep=(.)"?\s*$', re.IGNORECASE)  # what Excel writes, and wants, above the header
_QUOTING = ("bad_quotes", "open_quote", "swallowed_rows")


def read_csv(
    open_stream: Callable[[], BinaryIO], found: Scan, path: Path, findings: FileProblems, limits: Limits, once: bool = False
) -> tuple[pa.Table | None, str]:
    """once: the stream cannot be opened again; then raises NotPlainError where that is needed."""
    head = _head_text(found)
    above, delimiter = _above_header(head, tab_first=".tsv" in path.suffixes or ".tab" in path.suffixes)
    if comments := [line for line in head.splitlines()[:above] if line.startswith("#")]:
        why = message(
            "Comments above the header, left out: {count} lines; the first is “{found}”.", count=len(comments), found=comments[0][:80]
        )
        remedy = message("If it is the header, remove the # in front of it.")
        findings.add("comments_skipped", why, remedy, above - len(comments) + 1, severity=Severity.INFO)
    before = copy.deepcopy(findings)
    table = _read(open_stream, found, above, delimiter, findings, limits)
    if table is not None and findings.has_seen(*_QUOTING) and not findings.several_lines:
        if once:
            raise NotPlainError
        again = before
        by_line = _read(open_stream, found, above, delimiter, again, limits, by_line=True)
        if by_line is not None and not again.has_seen("ragged_rows", "cell_too_large") and not _cut_off(by_line, again):
            table = by_line
            vars(findings).update(vars(again))
    return table, delimiter


def _cut_off(table: pa.Table, findings: FileProblems) -> bool:
    """Whether only the last row has a mark that opens no cell: then the file has lost its end."""
    return findings.lines("stray_quotes") == table.column(LINE).slice(table.num_rows - 1).to_pylist()


def _read(
    open_stream: Callable[[], BinaryIO],
    found: Scan,
    above: int,
    delimiter: str,
    findings: FileProblems,
    limits: Limits,
    by_line: bool = False,
) -> pa.Table | None:
    """above: lines before the header that are none of the table's."""
    with io.TextIOWrapper(open_stream(), encoding=found.encoding, newline="") as text:
        lines: Iterator[str] = text
        if any(p.code == "nul_bytes" for p in findings.problems):
            lines = (line.replace("\0", "") for line in text)
        first = next(lines, "").lstrip("\ufeff")  # a second mark stays when programs write one after the other
        lines = chain([first], lines)
        reader: Any = _ByLine(lines, delimiter, findings) if by_line else csv.reader(lines, delimiter=delimiter, strict=True)
        header: list[str] = []
        while not header or reader.line_num <= above:
            try:
                header = next(reader)
            except StopIteration:
                empty(findings)
            except csv.Error as e:
                _csv_fault(e, 1, reader.line_num, findings, limits)
                return None
        if too_wide(len(header), findings, limits, reader.line_num):
            return None
        names = visible_names(header, findings, reader.line_num)
        nameless = [i for i, name in enumerate(names) if not name]
        if not check_names(names, findings, limits, reader.line_num):
            names = [name and f"{i}" for i, name in enumerate(names)]  # go on, to report what else is wrong
        names = [name or f"\0{i}" for i, name in enumerate(names)]
        line = reader.line_num
        schema = pa.schema([(name, pa.string()) for name in names] + [(LINE, pa.int64())])
        batches = _csv_batches(reader, delimiter, schema, findings, limits)
        pieces = []
        while some := list(islice(batches, ROWS // _ROWS)):
            pieces.append(pa.Table.from_batches(some, schema).combine_chunks())
    return without_nameless(pa.concat_tables(pieces), nameless, findings, line)


_ROWS = 1 << 10
"""Rows that are lists at a time: where more live, Python's garbage collector walks through them again and again, a third of the time."""


class _ByLine:
    """As `csv.reader`, but each line is a row: a quotation mark that does not open and close a cell of it is a character."""

    def __init__(self, lines: Iterator[str], delimiter: str, findings: FileProblems):
        self._lines, self._delimiter, self._findings = lines, delimiter, findings
        self._width = self.line_num = 0

    def __iter__(self) -> "_ByLine":
        return self

    def __next__(self) -> list[str]:
        line = next(self._lines).rstrip("\r\n")
        self.line_num += 1
        plain = line.split(self._delimiter) if line else []
        self._width = self._width or len(plain)
        if '"' not in line:
            return plain
        try:
            row = next(csv.reader([line], delimiter=self._delimiter, strict=True))
            if len(row) == self._width:
                return row
        except csv.Error:
            pass
        self._findings.seen("stray_quotes", self.line_num)
        return plain


def _csv_batches(reader: Any, delimiter: str, schema: pa.Schema, findings: FileProblems, limits: Limits) -> Iterator[pa.RecordBatch]:
    n_columns = len(schema) - 1
    rows: list[list[str]] = []
    starts: list[int] = []
    start = reader.line_num + 1
    more = True
    while more:
        try:
            for row in reader:
                end = reader.line_num
                if len(row) != n_columns and row:
                    if len(row) > n_columns and not "".join(row[n_columns:]).strip():
                        findings.seen("trailing_delimiters", start)
                        row = row[:n_columns]
                    else:
                        findings.seen("ragged_rows", start, expected=n_columns, found=len(row))
                        row = []
                if row:
                    rows.append(row)
                    starts.append(start)
                    if end > start:
                        if _swallows(row, delimiter):
                            findings.seen("swallowed_rows", start, last=end)
                        else:
                            findings.several_lines = True
                start = end + 1
                if len(rows) == _ROWS:
                    break
            else:
                more = False
        except csv.Error as e:
            _csv_fault(e, start, reader.line_num, findings, limits)
            start = reader.line_num + 1
        if len(rows) >= _ROWS or not more:
            columns = zip(*rows, strict=True) if rows else repeat((), n_columns)
            arrays = [_nulled(pa.array(c, pa.string()), i, starts, schema, findings, limits) for i, c in enumerate(columns)]
            yield pa.RecordBatch.from_arrays([*arrays, pa.array(starts, pa.int64())], schema=schema)
            rows, starts = [], []


def _swallows(row: list[str], delimiter: str) -> bool:
    """Whether each line of a row over several lines has the delimiters of a row of its own, none before a space as in sentences."""
    several = [i for i, cell in enumerate(row) if "\n" in cell or "\r" in cell]
    if len(several) != 1:
        return False
    (i,) = several
    pieces, wanted = row[i].splitlines(), len(row) - 1
    counts = [piece.count(delimiter) for piece in pieces]
    counts[0] += i
    counts[-1] += wanted - i
    inner = [count for count, piece in zip(counts, pieces, strict=True) if piece.strip()]
    return len(row) > 1 and len(pieces) > 1 and all(n == wanted for n in inner) and (delimiter == "\t" or f"{delimiter} " not in row[i])


def without_nameless(table: pa.Table, nameless: list[int], findings: FileProblems, line: int) -> pa.Table:
    """Without the columns that a program writes and nobody named: row numbers in front, nothing at the end."""
    for i in nameless:
        column = table.column(f"\0{i}")
        numbers = pc.all(pc.match_substring_regex(column, r"^\d{1,18}$")).as_py() and not column.null_count
        place = {"number": i + 1}
        if column.null_count == len(column):
            why, remedy = message("Column {number} has no name and no values; it is left out.", **place), message("No action needed.")
            findings.add("empty_column", why, remedy, line, str(i + 1), Severity.INFO)
        elif i == 0 and numbers:
            why = message("Column {number} has no name and holds row numbers; it is left out.", **place)
            remedy = message("Give it a name in the header if a task needs it.")
            findings.add("index_column", why, remedy, line, str(i + 1), Severity.INFO)
        else:
            add_nameless(findings, i + 1, line)
    return table.select([name for name in table.column_names if not name.startswith("\0")])


def _nulled(array: pa.Array, i: int, starts: list[int], schema: pa.Schema, findings: FileProblems, limits: Limits) -> pa.Array:
    """Blank cells become null; cells beyond a limit lower than the csv module's are reported."""
    too_large = pc.greater(pc.binary_length(array), limits.max_cell_bytes)
    if pc.any(too_large).as_py():
        for row in np.flatnonzero(too_large.to_numpy(zero_copy_only=False)):
            findings.seen("cell_too_large", starts[row], limit=limits.max_cell_bytes >> 10, column=schema.names[i])
    blank = pc.equal(pc.utf8_trim_whitespace(array), "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), array) if pc.any(blank).as_py() else array


def _csv_fault(error: csv.Error, start: int, end: int, findings: FileProblems, limits: Limits) -> None:
    reason = str(error)
    if "field limit" in reason and end == start:
        findings.seen("cell_too_large", start, limit=limits.max_cell_bytes >> 10)
    elif "expected after" in reason:
        findings.seen("bad_quotes", start)
    else:  # the end of the file, or too much text, inside quotes
        findings.seen("open_quote", start)


def _head_text(found: Scan) -> str:
    assert found.encoding is not None
    return found.head.decode(found.encoding, "ignore").replace("\0", "").lstrip("\ufeff")


def _above_header(head: str, tab_first: bool) -> tuple[int, str]:
    """(lines above the header, delimiter): Excel's line that names the delimiter, and comments, which have fewer cells than the header."""
    lines = head.splitlines(keepends=True)
    said = _SEPARATOR.match(lines[0]) if lines else None
    above = int(said is not None)
    comments = next((i for i, line in enumerate(lines[above:]) if not line.startswith("#")), 0)
    for skipped in (0, comments):
        delimiter = said[1] if said else sniff_delimiter("".join(lines[above + skipped :]), tab_first)
        if not comments or _cells(lines[above], delimiter) >= _cells(lines[above + comments], delimiter) > 1:
            return above, delimiter
    return above + comments, delimiter


def _cells(line: str, delimiter: str) -> int:
    """How many cells a line has, with delimiters inside quotation marks left aside."""
    try:
        return len(next(csv.reader([line], delimiter=delimiter), ()))
    except csv.Error:
        return line.count(delimiter) + 1


def sniff_delimiter(head: str, tab_first: bool = False) -> str:
    """Comma, semicolon, tab or bar: the one that gives the most rows of the header's width, then the most columns, in the first lines."""
    lines = head.splitlines(keepends=True)[:50]
    lines = lines[:-1] if len(lines) > 2 and not lines[-1].endswith(("\n", "\r")) else lines
    best, choice = (0.0, 0), "\t" if tab_first else ","
    for delimiter in ("\t", ",", ";", "|") if tab_first else (",", ";", "\t", "|"):
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            continue
        if not widths or widths[0] < 2:
            continue
        score = (round(sum(w == widths[0] for w in widths) / len(widths), 1), widths[0])
        if score > best:
            best, choice = score, delimiter
    return choice
