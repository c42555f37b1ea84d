"""Columns of text as what they mean: numbers, times, labels, categories. What cannot be read becomes null; callers say so."""

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.data.lists import of_lists, read_lists
from mtl_core.data.numbers import LARGEST, PLAIN, Numbers, read_numbers
from mtl_core.data.times import Dates, Times, read_times, times_of_numbers

Column: TypeAlias = "pa.Array | pa.ChunkedArray"

INVISIBLE = "[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
"""Characters that no one sees, as a regular expression; joiners, which emoji and some scripts are written with, are not such."""
_BLANK = rf"^[\s\p{{Z}}\x0b\x1c-\x1f\x85{INVISIBLE[1:-1]}]*$"
TRUTHS = (
    *(("t", "f"), ("true", "false"), ("yes", "no"), ("y", "n"), ("是", "否"), ("same", "different")),
    *(("match", "no match"), ("match", "non-match"), ("match", "mismatch")),
)
"""Words that say yes and no together."""
YES, NO = (list(dict.fromkeys(words)) for words in zip(*TRUTHS, strict=True))


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


def as_numbers(column: Column, decimal: str = "") -> Numbers:
    """Any column as numbers up to `LARGEST`, and how they were read. What is none is null. decimal: as of `read_numbers`."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if is_text(column):
        return read_numbers(column, decimal)
    t, none = column.type, np.zeros(len(column), bool)
    if pa.types.is_boolean(t):
        return Numbers(column.cast(pa.int8()).cast(pa.float64()), none, none, none)
    if pa.types.is_integer(t) or pa.types.is_null(t):
        return Numbers(column.cast(pa.float64(), safe=False), none, none, none)
    if pa.types.is_floating(t):
        values = pc.if_else(pc.is_nan(column), pa.scalar(None, t), column).cast(pa.float64())
        beyond = pc.greater(pc.abs(values), LARGEST)
        return Numbers(pc.if_else(beyond, pa.scalar(None, pa.float64()), values), flags(beyond), none, none)
    return Numbers(pa.nulls(len(column), pa.float64()), flags(pc.is_valid(column)), none, none)


def cleaned(text: Column) -> Column:
    """Texts as people see them: one Unicode form (NFC), no invisible characters, single spaces, none at the ends; null where nothing is."""
    text = pc.utf8_normalize(text, "NFC")
    text = pc.replace_substring_regex(text, INVISIBLE, "")
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, r"[\s\p{Z}]+", " "))
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)


def is_blank(text: Column) -> np.ndarray:
    """(N,) bool: there is nothing in it that anyone sees; False where null."""
    return flags(pc.match_substring_regex(text, _BLANK))


def as_class(column: Column) -> Column:
    """Names of classes or categories, each in its own spelling: 1.10 is not 1.1, 007 not 7."""
    return cleaned(as_text(column))


def as_grades(column: Column) -> Numbers:
    """As `as_numbers`, where yes and no in words are 1 and 0."""
    found = as_numbers(column)
    if not found.wrong.any() or not is_text(column):
        return found
    words = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    yes, no = (flags(pc.is_in(words, pa.array(these))) for these in (YES, NO))
    values = pc.if_else(pa.array(yes), 1.0, pc.if_else(pa.array(no), 0.0, found.values))
    return replace(found, values=values, wrong=found.wrong & ~yes & ~no)


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
    return times_of_numbers(*as_number(column))


def _are_numbers(text: Column) -> bool:
    """Whether all of it is numbers, and not days such as 20240531."""
    plain, day = (pc.match_substring_regex(pc.utf8_trim_whitespace(text), p) for p in (PLAIN, r"^(19|20)(\d{2})(0[1-9]|1[0-2])\d{2}$"))
    return bool(pc.all(plain).as_py()) and not (pc.all(day).as_py() and text.null_count < len(text))


def as_lists(column: Column) -> tuple[Column, np.ndarray]:
    """(list<string>, rows whose list is broken): lists as they are; texts as a list in JSON or as Python or numpy print it, else divided at
    `|`. Turns as objects become “speaker: text”."""
    if pa.types.is_list(column.type):
        whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if isinstance(whole, pa.ChunkedArray) or not pa.types.is_string(whole.type.value_type):
            return column, np.zeros(len(column), bool)
        found, broken = of_lists(whole)
        return (column if found is whole else found), broken
    text = as_text(column)
    flat = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
    rows, broken = read_lists(flat)
    if rows is not None:
        return pa.array(rows, pa.list_(pa.string())), broken
    return pc.split_pattern(pc.replace_substring_regex(flat, r"\s*\|\s*", "|"), "|"), broken


def codes_of(column: Column) -> tuple[np.ndarray, pa.Array]:
    """((N,) int64 code of each value, -1 for null; the distinct values in order of first appearance)."""
    if isinstance(column, pa.ChunkedArray) and not pa.types.is_dictionary(column.type):
        column = column.combine_chunks()  # a dictionary of each chunk would have to become one, which takes longer
    encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
        if isinstance(encoded, pa.ChunkedArray):  # several or no chunks, by the version of pyarrow
            encoded = pa.concat_arrays(encoded.chunks) if encoded.num_chunks else pa.array([], encoded.type)
    codes = np.array(pc.fill_null(encoded.indices.cast(pa.int64()), -1))
    return codes, encoded.dictionary


def seen_codes(column: Column, any_case: bool = False) -> tuple[np.ndarray, pa.Array]:
    """As `codes_of`, where values that a person sees as the same are the same (see `cleaned`); any_case: whatever their case."""
    codes, distinct = codes_of(as_text(column) if pa.types.is_list(column.type) else column)
    text = as_text(distinct)
    seen, values = codes_of(cleaned(pc.utf8_lower(text) if any_case else text))
    return np.append(seen, -1)[codes], values


def flags(values: Column) -> np.ndarray:
    """(N,) bool, False where null."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), bool)
