"""Tables for people's spreadsheets: a cell that a spreadsheet would run as a formula is marked as text."""

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
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|\.\d+)([eE][+-]?\d+)?%?")


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
