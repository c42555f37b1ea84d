"""Workbooks of Excel (.xlsx): one sheet as a table, its first row with content as the header.

A cell is what is stored, spelled as the other formats would: a whole number without a point (Excel stores every number as a float), a date
as 2024-05-31, a date with a time as 2024-05-31 18:30:00, TRUE as true. How it is shown is left aside: 50 % is 0.5, 1,234.50 is 1234.5. Of a
formula the value counts that was stored with it; an error (#N/A) is a missing value.
"""

import re
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import iterparse

import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.base.messages import N_, message
from mtl_core.data.csv_rows import without_nameless
from mtl_core.data.encodings import LimitError, check_ratio
from mtl_core.data.findings import ROWS, FileProblems, Limits, check_names, empty, too_wide, visible_names
from mtl_core.data.places import LINE
from mtl_core.data.problems import DataError, Problem, Severity

_MAX_BYTES = 512 << 20
"""Of the unpacked workbook: Excel's XML takes many times the memory of its cells."""


_MAX_PART, _MAX_SHEETS = 8 << 20, 1000
_LAST_ROW = 1 << 20


def read_xlsx(path: Path, findings: FileProblems, limits: Limits, sheet: str | None = None) -> pa.Table | None:
    """sheet: its name; None: the first, and the others are named in a note."""
    import openpyxl

    if path.stat().st_size == 0:
        empty(findings)
    try:
        _check_parts(path, findings, limits)
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl tells of styles that it leaves aside
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            try:
                names = [page.title for page in book.worksheets]
                if not (chosen := _chosen(names, sheet, findings)):
                    return None
                table = _table(_rows(book[chosen]), findings, limits)
                if table is not None and any(column.null_count for column in table.columns):
                    _say_why_empty(book[chosen], findings)
                return table
            finally:
                book.close()
    except (DataError, LimitError):
        raise
    except Exception as e:  # noqa: BLE001 whatever its parser, and that of its parts, raise on what no program wrote
        reason = str(e).splitlines()[0][:200] if str(e) else type(e).__name__
        why = message("The workbook cannot be read: it is damaged, or protected by a password ({reason}).", reason=reason)
        remedy = message("Save it again as .xlsx without a password, or save the sheet as CSV.")
        if not zipfile.is_zipfile(path) and not _is_ole(path):
            remedy = message("It is no workbook by its content. If it is a CSV file, give it the ending .csv.")
        findings.add("broken_workbook", why, remedy)
        return None


def _is_ole(path: Path) -> bool:
    """Whether it is a container of older Office formats, in which a workbook with a password lies."""
    with path.open("rb") as stream:
        return stream.read(4) == b"\xd0\xcf\x11\xe0"


def _check_parts(path: Path, findings: FileProblems, limits: Limits) -> None:
    """Raises LimitError, DataError: more of anything than is looked through in reasonable time. No more than an archive says of a member is
    ever read of it."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        book = next((archive.read(part) for part in parts if part.filename == "xl/workbook.xml" and part.file_size <= _MAX_PART), b"")
    size, limit, remedy = sum(part.file_size for part in parts), min(limits.max_bytes, _MAX_BYTES), message("Save the sheet as CSV.")
    if size > limit:
        why = message("The content has {found} MB, more than {limit} MB.", found=size >> 20, limit=limit >> 20)
        raise LimitError(Problem(Severity.ERROR, "too_large", why, remedy, findings.file))
    check_ratio(size, path.stat().st_size, limits, findings.file)
    for part in parts:
        about_cells = part.filename.startswith("xl/worksheets/") or part.filename.endswith("sharedStrings.xml")
        if not about_cells and part.filename.endswith((".xml", ".rels")) and part.file_size > _MAX_PART:
            why = message("{part} has {found} MB, more than {limit} MB.",
                          part=part.filename[-80:], found=part.file_size >> 20, limit=_MAX_PART >> 20)  # fmt: skip
            findings.add("too_large", why, remedy)
            raise DataError(findings.problems)
    if (n := book.count(b"<sheet ")) > _MAX_SHEETS:
        why = message("The workbook has {found} sheets, more than {limit}.", found=n, limit=_MAX_SHEETS)
        findings.add("too_many_sheets", why, remedy)
        raise DataError(findings.problems)


def sheet_names(path: Path) -> tuple[str, ...]:
    """Of a workbook, in its order; empty where it cannot be read, which `read_xlsx` explains."""
    import openpyxl

    try:
        _check_parts(path, FileProblems(path.name), Limits())
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(stream, read_only=True)
            try:
                return tuple(page.title for page in book.worksheets)
            finally:
                book.close()
    except Exception:  # noqa: BLE001 whatever the parser of a damaged file raises; reading it says what is wrong
        return ()


def _chosen(names: list[str], sheet: str | None, findings: FileProblems) -> str | None:
    if sheet is not None and sheet not in names:
        why = message("The workbook has no sheet “{sheet}”.", sheet=sheet)
        findings.add("missing_sheet", why, message("Choose one of: {sheets}.", sheets=", ".join(names[:50])))
        return None
    if not names:
        empty(findings)
    if sheet is None and len(names) > 1:
        why = message("The workbook has several sheets; “{sheet}” is read.", sheet=names[0])
        remedy = message("Choose another if a task needs it: {sheets}.", sheets=", ".join(names[1:50]))
        findings.add("several_sheets", why, remedy, severity=Severity.INFO)
    return sheet or names[0]


def _rows(page: Any) -> Iterator[tuple[int, list[str | None]]]:
    """The rows that are not blank, with their numbers. Raises ValueError: a number that no row has in Excel."""
    page.reset_dimensions()  # what it says of its size is not needed, and every row would be filled up to it
    for number, cells in enumerate(page.iter_rows(values_only=True), start=1):
        if number > _LAST_ROW:
            raise ValueError(f"row {number}")
        row = [_text(value) for value in cells]
        while row and row[-1] is None:
            row.pop()
        if row:
            yield number, row


def _say_why_empty(page: Any, findings: FileProblems) -> None:
    """Cells that are empty in the file and not on the screen: formulas whose results no program has stored, and merged cells."""
    formulas: list[str] = []
    merged: list[str] = []
    with page._get_source() as source:
        for _, node in iterparse(source):
            tag = node.tag.rpartition("}")[2]
            if tag == "c" and node.get("t") != "str":  # a formula's text may be empty
                parts = {part.tag.rpartition("}")[2]: part.text for part in node}
                if "f" in parts and not parts.get("v"):
                    formulas.append(node.get("r") or "")
            elif tag == "mergeCell":
                merged.append(node.get("ref") or "")
            elif tag == "row":
                node.clear()
    for code, cells, text, remedy in (
        (
            "formula_without_result",
            formulas,
            N_("{count} formulas have no result in the file and are read as empty; the first is {cell}."),
            message("Open the workbook in Excel or LibreOffice and save it again."),
        ),
        (
            "merged_cells",
            merged,
            N_("{count} areas of merged cells have a value in their first cell only; the others are read as empty. The first is {cell}."),
            message("Unmerge the cells and write the value into each."),
        ),
    ):
        if cells:
            number = re.search(r"\d+", cells[0])
            line = int(number[0]) if number else None
            findings.add(code, message(text, count=len(cells), cell=cells[0]), remedy, line, severity=Severity.WARNING)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    text = str(value)
    return None if text in _ERRORS or not text.strip() else text


_ERRORS = {"#N/A", "#DIV/0!", "#REF!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!"}


def _table(rows: Iterator[tuple[int, list[str | None]]], findings: FileProblems, limits: Limits) -> pa.Table | None:
    line, header = next(rows, (0, []))
    if not header:
        empty(findings)
    if too_wide(len(header), findings, limits, line):
        return None
    names = visible_names([name or "" for name in header], findings, line)
    nameless = [i for i, name in enumerate(names) if not name]
    if not check_names(names, findings, limits, line):
        return None
    names = [name or f"\0{i}" for i, name in enumerate(names)]
    schema = pa.schema([(name, pa.string()) for name in names] + [(LINE, pa.int64())])
    batches: list[pa.RecordBatch] = []
    held: list[list[str | None]] = []
    lines: list[int] = []

    def flush() -> None:
        columns = list(zip(*held, strict=True)) or [()] * len(names)
        arrays = [pa.array(column, pa.string()) for column in columns]
        for array, name in zip(arrays, names, strict=True):
            too_large = pc.fill_null(pc.greater(pc.binary_length(array), limits.max_cell_bytes), False)
            for i, wrong in enumerate(too_large.to_pylist()):
                if wrong:
                    findings.seen("cell_too_large", lines[i], limit=limits.max_cell_bytes >> 10, column=name)
        batches.append(pa.RecordBatch.from_arrays([*arrays, pa.array(lines, pa.int64())], schema=schema))
        held.clear()
        lines.clear()

    for number, row in rows:
        if len(row) > len(names):
            findings.seen("ragged_rows", number, expected=len(names), found=len(row))
            continue
        held.append([*row, *[None] * (len(names) - len(row))])
        lines.append(number)
        if len(held) == ROWS:
            flush()
    flush()
    return without_nameless(pa.Table.from_batches(batches, schema), nameless, findings, line)
