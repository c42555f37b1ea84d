"""CSV in any of its delimiters, row by row with the line of each."""

import csv
import io
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.data.encodings import Scan
from mtl_core.data.findings import ROWS, FileProblems, Limits, check_names, empty
from mtl_core.data.places import LINE
from mtl_core.data.problems import has_errors

csv.field_size_limit(Limits.max_cell_bytes)  # a limit of the process; larger cells than this are never read


def read_csv(
    open_stream: Callable[[], BinaryIO], found: Scan, path: Path, findings: FileProblems, limits: Limits
) -> tuple[pa.Table | None, str]:
    delimiter = sniff_delimiter(_head_text(found), tab_first=".tsv" in path.suffixes or ".tab" in path.suffixes)
    with io.TextIOWrapper(open_stream(), encoding=found.encoding, newline="") as text:
        lines: Iterator[str] = text
        if any(p.code == "nul_bytes" for p in findings.problems):
            lines = (line.replace("\0", "") for line in text)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        header: list[str] = []
        while not header:
            try:
                header = [h.strip() for h in next(reader)]
            except StopIteration:
                empty(findings)
            except csv.Error as e:
                _csv_fault(e, 1, reader.line_num, findings, limits)
                return None, delimiter
        check_names(header, findings, limits, reader.line_num)
        if has_errors(
            [p for p in findings.problems if p.code in ("duplicate_column", "empty_column_name", "too_many_columns", "reserved_column")]
        ):
            header = [f"{i}" for i in range(len(header))]  # go on, to report what else is wrong
        schema = pa.schema([(h, pa.string()) for h in header] + [(LINE, pa.int64())])
        batches = list(_csv_batches(reader, schema, findings, limits))
    return pa.Table.from_batches(batches, schema), delimiter


def _csv_batches(reader: Any, schema: pa.Schema, findings: FileProblems, limits: Limits) -> Iterator[pa.RecordBatch]:
    n_columns = len(schema) - 1
    rows: list[list[str]] = []
    starts: list[int] = []
    start = reader.line_num + 1
    more = True
    while more:
        try:
            for row in reader:
                if len(row) == n_columns:
                    rows.append(row)
                    starts.append(start)
                elif row:
                    findings.seen("ragged_rows", start, expected=n_columns, found=len(row))
                start = reader.line_num + 1
                if len(rows) == ROWS:
                    break
            else:
                more = False
        except csv.Error as e:
            _csv_fault(e, start, reader.line_num, findings, limits)
            start = reader.line_num + 1
        if len(rows) >= ROWS or not more:
            columns = zip(*rows, strict=True) if rows else repeat((), n_columns)
            arrays = [_nulled(pa.array(c, pa.string()), i, starts, schema, findings, limits) for i, c in enumerate(columns)]
            yield pa.RecordBatch.from_arrays([*arrays, pa.array(starts, pa.int64())], schema=schema)
            rows, starts = [], []


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
    text = found.head.decode(found.encoding, "ignore").replace("\0", "")
    return text.removeprefix("\ufeff")


def sniff_delimiter(head: str, tab_first: bool = False) -> str:
    """Comma, semicolon or tab: the one that gives the most rows of the header's width, then the most columns, in the first lines."""
    lines = head.splitlines(keepends=True)[:50]
    lines = lines[:-1] if len(lines) > 2 and not lines[-1].endswith(("\n", "\r")) else lines
    best, choice = (0.0, 0), "\t" if tab_first else ","
    for delimiter in ("\t", ",", ";") if tab_first else (",", ";", "\t"):
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
