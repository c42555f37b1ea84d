"""Columns of text as what they mean: numbers, times, labels, categories. What cannot be read becomes null; callers say so."""

import json
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.data.numbers import PLAIN, Numbers, read_numbers

Column: TypeAlias = "pa.Array | pa.ChunkedArray"
Dates: TypeAlias = Literal["day_first", "month_first"]
"""How 03/04/2024 is meant, where nothing in the column says it."""

_TIMES = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%Y%m%d",
    "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y",
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y",
    "%Y年%m月%d日", "%Y年%m月%d日 %H:%M:%S", "%Y年%m月%d日 %H:%M",
)  # fmt: skip


def is_text(column: Column) -> bool:
    return pa.types.is_string(column.type) or pa.types.is_large_string(column.type)


def as_text(column: Column) -> Column:
    """Any plain column as strings; whole floats without their point (ids that were read as floats): 17850.0 → "17850"."""
    t = column.type
    if pa.types.is_dictionary(t):
        return column.cast(t.value_type)
    if pa.types.is_floating(t):
        whole = pc.fill_null(pc.and_(pc.equal(column, pc.round(column)), pc.less(pc.abs(column), 2.0**53)), True)
        if pc.all(whole).as_py() in (True, None):
            column = column.cast(pa.int64())
    if pa.types.is_list(t):
        return pc.binary_join(column, " ")
    return column if is_text(column) else column.cast(pa.string())


def as_number(column: Column) -> tuple[Column, np.ndarray]:
    """(float64, rows that hold something that is not a number). See `as_numbers`."""
    found = as_numbers(column)
    return found.values, found.wrong


def as_numbers(column: Column) -> Numbers:
    """Any column as finite numbers, and how they were read. What is no number is null."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if is_text(column):
        return read_numbers(column)
    t, none = column.type, np.zeros(len(column), bool)
    if pa.types.is_boolean(t):
        return Numbers(column.cast(pa.int8()).cast(pa.float64()), none, none, none)
    if pa.types.is_integer(t) or pa.types.is_null(t):
        return Numbers(column.cast(pa.float64(), safe=False), none, none, none)
    if pa.types.is_floating(t):
        finite = pc.if_else(pc.is_finite(column), column, pa.scalar(None, t)).cast(pa.float64())
        return Numbers(finite, _flags(pc.is_inf(column)), none, none)
    return Numbers(pa.nulls(len(column), pa.float64()), _flags(pc.is_valid(column)), none, none)


def as_label(column: Column) -> Column:
    """int64 when every value is a whole number or true/false, float64 when every value is a number, else string."""
    t = column.type
    if pa.types.is_boolean(t):
        return column.cast(pa.int64())
    if pa.types.is_integer(t) or pa.types.is_null(t):
        return column.cast(pa.int64())
    if pa.types.is_temporal(t) or pa.types.is_nested(t) or pa.types.is_dictionary(t):
        column = as_text(column)
    if is_text(column):
        text = pc.utf8_trim_whitespace(column)
        looks = pc.or_(pc.match_substring_regex(text, PLAIN), pc.is_in(pc.utf8_lower(text), pa.array(["true", "false"])))
        padded = pc.match_substring_regex(text, r"^[+-]?0\d")  # 007 is a code, not a number
        if not pc.all(pc.fill_null(looks, True)).as_py() or pc.any(padded).as_py():
            return text
        column, _ = as_number(column)
    whole = pc.fill_null(pc.and_(pc.equal(column, pc.round(column)), pc.less(pc.abs(column), 2.0**53)), True)
    return column.cast(pa.int64()) if pc.all(whole).as_py() in (True, None) else column.cast(pa.float64())


def as_time(column: Column, dates: Dates | None = None) -> tuple[Column, np.ndarray]:
    """(timestamp[us] or float64 that grows with time, rows whose time cannot be read). Of several formats the one that reads most rows."""
    t = column.type
    if pa.types.is_timestamp(t) or pa.types.is_date(t):
        if pa.types.is_timestamp(t) and t.tz:
            column = column.cast(pa.timestamp("us", tz=t.tz)).cast(pa.timestamp("us"), safe=False)
        return column.cast(pa.timestamp("us"), safe=False), np.zeros(len(column), bool)
    if not is_text(column):
        return as_number(column)
    numbers, wrong = as_number(column)
    if not wrong.any():
        compact = pc.all(pc.fill_null(pc.match_substring_regex(column, r"^(19|20)\d{6}$"), True)).as_py()
        if not compact or numbers.null_count == len(numbers):
            return numbers, wrong
    text = pc.utf8_trim_whitespace(column)
    text = pc.replace_substring_regex(text, r"^(\d{4}-\d{2}-\d{2})T", r"\1 ")
    text = pc.replace_substring_regex(text, r"(:\d{2})\.\d+", r"\1")
    text = pc.replace_substring_regex(text, r"(:\d{2}) ?(Z|[+-]\d{2}:?\d{2})$", r"\1")
    best = pa.nulls(len(column), pa.timestamp("us"))
    month_first = "%m/%d/%Y"
    for form in [f for f in _TIMES if not (dates == "day_first" and f.startswith(month_first))]:
        if best.null_count == column.null_count:
            break
        times = pc.strptime(text, format=form, unit="us", error_is_null=True)
        if times.null_count < best.null_count:
            best = times
    return best, _flags(pc.and_(pc.is_valid(column), pc.is_null(best)))


def as_lists(column: Column) -> pa.Array | pa.ChunkedArray:
    """list<string>: lists as they are; texts as a JSON list, else divided at `|`."""
    if pa.types.is_list(column.type):
        return column
    text = as_text(column)
    flat = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
    if pc.any(pc.match_substring_regex(flat, r"^\s*\[")).as_py():
        return pa.array([None if v is None else _json_list(v) for v in flat.to_pylist()], pa.list_(pa.string()))
    return pc.split_pattern(pc.replace_substring_regex(flat, r"\s*\|\s*", "|"), "|")


def _json_list(value: str) -> list[str]:
    try:
        items = json.loads(value)
    except ValueError:
        items = value
    return [str(i) for i in items if i is not None] if isinstance(items, list) else [part.strip() for part in value.split("|")]


def codes_of(column: Column) -> tuple[np.ndarray, pa.Array]:
    """((N,) int64 code of each value, -1 for null; the distinct values in order of first appearance)."""
    encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
        if isinstance(encoded, pa.ChunkedArray):  # several or no chunks, by the version of pyarrow
            encoded = pa.concat_arrays(encoded.chunks) if encoded.num_chunks else pa.array([], encoded.type)
    codes = np.array(pc.fill_null(encoded.indices.cast(pa.int64()), -1))
    return codes, encoded.dictionary


def _flags(values: Column) -> np.ndarray:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), bool)
