"""Tables for people's spreadsheets: a cell that a spreadsheet would run as a formula is marked as text, by an apostrophe before it, as
OWASP's page on it has it (https://owasp.org/www-community/attacks/CSV_Injection). Numbers stay numbers. The mark is part of the text from
then on: a file that was exported and is uploaded again has it in those cells."""

import io
import re
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.csv as pa_csv

from mtl_core.data.values import as_text

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T", pa.Table, "pd.DataFrame")

_FORMULA = re.compile(r"\s*[=+\-@\t\r＝＋－＠]")
_NUMBER = r"[+-]?(\d+([.,]\d+)*|\.\d+)([eE][+-]?\d+)?%?"
_PLAIN_NUMBER = re.compile(rf"{_NUMBER}(\s*±\s*{_NUMBER}|\s+\[{_NUMBER},\s*{_NUMBER}\])?(\s+\([^\W\d_]+\))?")
"""Also with what it is known to, or a word on it, as our own tables have it."""


def safe_text(value: Any) -> Any:
    """A string that begins like a formula (= + - @ tab) with an apostrophe before it; anything else, and signed numbers, as they are."""
    if isinstance(value, str) and _FORMULA.match(value) and not _PLAIN_NUMBER.fullmatch(value.strip()):
        return "'" + value
    return value


def safe_for_spreadsheet(table: T) -> T:
    """`safe_text` of every text and column name of an Arrow table or a pandas frame. The argument is not changed."""
    if isinstance(table, pa.Table):
        columns = [_safe_column(column) for column in table.columns]
        return pa.Table.from_arrays(columns, [safe_text(name) for name in table.column_names])
    frame = table.copy()
    for i, kind in enumerate(frame.dtypes):
        if getattr(kind, "kind", "O") not in "biufcmM":
            frame.isetitem(i, [safe_text(value) for value in frame.iloc[:, i]])
    return frame.rename(columns=safe_text, index=safe_text)


def safe_cells(rows: Any) -> Any:
    """The same of whatever `st.dataframe` takes from us: its toolbar saves what it was given as CSV. Lists stay lists."""
    if isinstance(rows, pa.Table):
        return pa.Table.from_arrays([_safe_lists(column) for column in rows.columns], [safe_text(name) for name in rows.column_names])
    if isinstance(rows, dict):
        return {safe_text(name): _safe_values(values) for name, values in rows.items()}
    if isinstance(rows, list | tuple):
        return [safe_cells(row) if isinstance(row, dict) else _safe_values(row) for row in rows]
    if hasattr(rows, "data") and hasattr(rows, "to_html"):  # a Styler of pandas, which keeps its colours by place
        rows.data = safe_for_spreadsheet(rows.data)
        rows.columns, rows.index = rows.data.columns, rows.data.index
        return rows
    return safe_for_spreadsheet(rows) if hasattr(rows, "isetitem") else rows


def _safe_values(value: Any) -> Any:
    return [safe_text(one) for one in value] if isinstance(value, list | tuple) else safe_text(value)


def _safe_lists(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_list(column.type):
        return _safe_column(column)
    if not pa.types.is_string(column.type.value_type):
        return column
    return pa.chunked_array([pa.array([_safe_values(value) for value in column.to_pylist()], column.type)])


def _safe_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    t = column.type
    if pa.types.is_dictionary(t) or pa.types.is_list(t) or pa.types.is_string(t) or pa.types.is_large_string(t):
        texts = as_text(column.cast(pa.list_(pa.string())) if pa.types.is_list(t) else column)
        return pa.chunked_array([pa.array([safe_text(v) for v in texts.to_pylist()], pa.string())])
    return column


def to_csv(table: pa.Table) -> bytes:
    """UTF-8 with a byte order mark, so that spreadsheets read every language; formulas made safe. Lists are joined by spaces."""
    sink = io.BytesIO()
    sink.write(b"\xef\xbb\xbf")
    pa_csv.write_csv(safe_for_spreadsheet(table), sink)
    return sink.getvalue()
