"""Columns of text as what they mean: numbers, times, labels, categories. What cannot be read becomes null; callers say so."""

import json
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.data.numbers import PLAIN, Numbers, read_numbers
from mtl_core.data.times import Dates, Times, read_times

Column: TypeAlias = "pa.Array | pa.ChunkedArray"


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
    """(timestamp[us] or float64 that grows with time, rows whose time cannot be read). See `as_times`."""
    found = as_times(column, dates)
    return found.values, found.wrong


def as_times(column: Column, dates: Dates | None = None) -> Times:
    """Any column as times in UTC, or as numbers that grow with time, and how they were read. What is neither is null."""
    t = column.type
    if pa.types.is_dictionary(t):
        column, t = column.cast(t.value_type), t.value_type
    if pa.types.is_timestamp(t) or pa.types.is_date(t):
        if pa.types.is_timestamp(t) and t.tz:
            column = column.cast(pa.timestamp("us", tz=t.tz)).cast(pa.timestamp("us"), safe=False)
        return Times(column.cast(pa.timestamp("us"), safe=False), np.zeros(len(column), bool), [])
    if is_text(column) and not _are_numbers(column):
        return read_times(column.cast(pa.string()), dates)
    values, wrong = as_number(column)
    return Times(values, wrong, [])


def _are_numbers(text: Column) -> bool:
    """Whether all of it is numbers, and not days such as 20240531."""
    plain, day = (pc.match_substring_regex(pc.utf8_trim_whitespace(text), p) for p in (PLAIN, r"^(19|20)(\d{2})(0[1-9]|1[0-2])\d{2}$"))
    return bool(pc.all(plain).as_py()) and not (pc.all(day).as_py() and text.null_count < len(text))


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
