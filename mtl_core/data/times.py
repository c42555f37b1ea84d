"""Times as people and programs write them, brought to UTC: 2024-05-31T18:30:00+02:00, 31.05.2024, 5/31/2024 6:30 PM, 2024年5月31日.

Whether 03/04/2024 is in March or in April, a person says, else the column's other dates, else nobody: then it is read in one way, and said.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.base.messages import N_, Message, message
from mtl_core.data.problems import Severity

Dates: TypeAlias = Literal["day_first", "month_first"]
"""How 03/04/2024 is meant, where nothing in the column says it."""

_PLAIN = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d")  # what most columns have: read at once
_TIME = (
    r"(?:(?:[T,]\s*|\s+)(?P<hour>\d{1,2})[:时](?P<minute>\d{2})(?:[:分](?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?秒?|分)?"
    r"\s*(?P<half>[AaPp])?(?:\.?[Mm]\.?)?\s*(?P<offset>Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?$"
)
_YEAR_FIRST = r"^(?P<year>\d{4})[-/.年](?P<a>\d{1,2})[-/.月](?P<b>\d{1,2})日?" + _TIME
_YEAR_LAST = r"^(?P<a>\d{1,2})(?P<sign>[-/.])(?P<b>\d{1,2})[-/.](?P<year>\d{4})" + _TIME
_COMPACT = r"^(?P<year>(?:19|20)\d{2})(?P<a>\d{2})(?P<b>\d{2})" + _TIME
_DAY = 86_400_000_000  # in µs


@dataclass(frozen=True)
class Times:
    """values: (N,) timestamp[us], in UTC where offsets are given, or float64 that grows with time; null where there is none.

    wrong: (N,) bool, holds something that is no time. remarks: what a person should know of how they were read: code, severity, (N,) rows,
    why, remedy.
    """

    values: pa.Array | pa.ChunkedArray
    wrong: np.ndarray
    remarks: list[tuple[str, Severity, np.ndarray, Message, Message]]


def read_times(column: pa.Array | pa.ChunkedArray, dates: Dates | None = None) -> Times:
    """column: strings."""
    encoded = pc.dictionary_encode(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    found = _read(encoded.dictionary, dates)  # a log has few moments in many rows
    of_row = encoded.indices
    values = found.values.take(of_row)
    remarks = []
    for code, severity, distinct, why, remedy in found.remarks:
        rows = _of_rows(distinct, of_row)
        remarks.append((code, severity, rows, replace(why, values={**why.values, "count": int(rows.sum())}), remedy))
    values = pa.chunked_array([values]) if isinstance(column, pa.ChunkedArray) else values
    return Times(values, _of_rows(found.wrong, of_row), remarks)


def _of_rows(distinct: np.ndarray, of_row: pa.Array) -> np.ndarray:
    """(N,) bool out of what holds for each distinct value; False where there is none."""
    return np.append(distinct, False)[pc.fill_null(of_row, len(distinct)).to_numpy(zero_copy_only=False)]


def _read(column: pa.Array | pa.ChunkedArray, dates: Dates | None) -> Times:
    text = pc.utf8_trim_whitespace(column)
    text = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
    text = pa.concat_arrays(text.chunks) if isinstance(text, pa.ChunkedArray) else text
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    for form in _PLAIN:
        times = pc.strptime(text, format=form, unit="us", error_is_null=True)
        day = pc.utf8_lpad(pc.day(times).cast(pa.string()), 2, "0")
        as_written = pc.all(
            pc.equal(day, pc.utf8_slice_codeunits(text, 8, 10)), min_count=0
        ).as_py()  # strptime takes 2024-02-30 for March 1
        if times.null_count == text.null_count and as_written:
            return Times(times, np.zeros(len(text), bool), [])
    n = len(text)
    moments, known, local = np.zeros(n, np.int64), np.zeros(n, bool), np.zeros(n, bool)
    remarks: list[Any] = []
    for pattern in (_YEAR_FIRST, _YEAR_LAST, _COMPACT):
        found = pc.extract_regex(text, pattern)
        rows = np.flatnonzero(pc.is_valid(found).to_numpy(zero_copy_only=False))
        if not len(rows):
            continue
        parts = _Parts(found.take(pa.array(rows)))
        month, day = parts.number("a"), parts.number("b")
        if pattern is _YEAR_LAST:
            month, day, said = _day_and_month(parts, month, day, rows, text, dates)
            remarks += said
        days, fine = _days(parts.number("year"), month, day)
        clock, proper, offset = parts.clock()
        moments[rows] = days * _DAY + clock - np.where(np.isnan(offset), 0, offset)
        known[rows], local[rows] = fine & proper, np.isnan(offset)
    valid = pc.is_valid(text).to_numpy(zero_copy_only=False)
    naive = known & local
    if naive.any() and (known & ~local).any():
        why = message("{count} times have no offset beside others that have one; they are read as UTC.", count=int(naive.sum()))
        remarks.append(("times_without_offset", Severity.WARNING, naive, why, message("Write all times with an offset, or none.")))
    values = pa.array(moments, pa.int64(), mask=~known).cast(pa.timestamp("us"))
    return Times(values, valid & ~known, remarks)


_UNITS = (
    (N_("days such as 20240531"), 1.9e7, 2.1e7),
    (N_("seconds"), 3e8, 5e9),
    (N_("milliseconds"), 3e11, 5e12),
    (N_("microseconds"), 3e14, 5e15),
    (N_("nanoseconds"), 3e17, 5e18),
)
"""Numbers of the years from about 1980 to 2100, since 1970 but for the first."""


def times_of_numbers(values: pa.Array | pa.ChunkedArray, wrong: np.ndarray) -> Times:
    """values: float64 that grows with time, or should: numbers of several units are said."""
    numbers = np.asarray(pc.fill_null(values, np.nan), float)
    units = np.full(len(numbers), -1)
    for unit, (_, low, high) in enumerate(_UNITS):
        units[(numbers >= low) & (numbers < high)] = unit
    like_times = units >= 0
    found = np.bincount(units[like_times], minlength=len(_UNITS))
    if np.count_nonzero(found) < 2 or like_times.sum() < 0.9 * np.isfinite(numbers).sum():
        return Times(values, wrong, [])
    most = int(found.argmax())
    odd = like_times & (units != most)
    why = message(
        "{count} times look like {found}, most others like {most}; all are ordered as the bare numbers that they are.",
        count=int(odd.sum()),
        found=message(_UNITS[units[int(np.argmax(odd))]][0]),
        most=message(_UNITS[most][0]),
    )
    remedy = message("Write all times in one unit, or as 2024-05-31 18:30.")
    return Times(values, wrong, [("mixed_time_units", Severity.WARNING, odd, why, remedy)])


class _Parts:
    """The groups of a pattern, where it was found."""

    def __init__(self, found: pa.StructArray):
        self._found, self.n = found, len(found)

    def text(self, name: str) -> np.ndarray:
        return pc.struct_field(self._found, name).to_numpy(zero_copy_only=False).astype("U9")

    def number(self, name: str) -> np.ndarray:
        column = pc.struct_field(self._found, name)
        return pc.if_else(pc.equal(column, ""), "0", column).cast(pa.int64()).to_numpy()

    def clock(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(µs since midnight, whether it is a time of day, µs of the offset, NaN without one)."""
        hour, minute, second = (self.number(name) for name in ("hour", "minute", "second"))
        half = np.char.lower(self.text("half"))
        proper = (hour < 24) & (minute < 60) & (second < 61) & ((half == "") | ((hour >= 1) & (hour <= 12)))
        hour = np.where(half == "", hour, hour % 12 + 12 * (half == "p"))
        fraction = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.struct_field(self._found, "fraction"), 6, "0"), 0, 6)
        clock = ((hour * 60 + minute) * 60 + np.minimum(second, 59)) * 1_000_000 + fraction.cast(pa.int64()).to_numpy()
        offsets = {o: _offset(o) for o in np.unique(self.text("offset"))}
        offset = np.vectorize(offsets.get, otypes=[float])(self.text("offset"))
        return clock, proper & ~(np.abs(offset) > _DAY), offset


def _offset(text: str) -> float:
    """µs east of UTC: of +02, +0530, -03:00, Z."""
    if not text:
        return np.nan
    if text[0] not in "+-":
        return 0.0
    digits = text[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
    return (-1 if text[0] == "-" else 1) * minutes * 60_000_000.0


def _days(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(days since 1970, whether there is such a day)."""
    months = ((year - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("datetime64[M]")
    first, following = (m.astype("datetime64[D]").astype(np.int64) for m in (months, months + 1))
    return first + day - 1, (month >= 1) & (month <= 12) & (day >= 1) & (day <= following - first)


def _day_and_month(
    parts: _Parts, first: np.ndarray, second: np.ndarray, rows: np.ndarray, text: pa.Array, dates: Dates | None
) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """(month, day, remarks) of dates with the year behind. A number above 12 says it for all; dots: the day is first."""
    sign = parts.text("sign")
    says_day, says_month = bool((first > 12).any()), bool((second > 12).any())
    unsure = (first <= 12) & (second <= 12) & (first != second) & (sign != ".")
    remarks = []
    if dates:
        day_first = np.full(len(rows), dates == "day_first")
    elif says_day != says_month:
        day_first = np.full(len(rows), says_day) | (sign == ".")
    else:  # nothing says it, or some dates this and some that
        day_first = (sign != "/") | (first > 12)
        if unsure.any():
            where = np.zeros(len(text), bool)
            where[rows[unsure]] = True
            shown = text[int(np.argmax(where))].as_py()
            values = {"count": int(unsure.sum()), "found": shown}
            if day_first[int(np.argmax(unsure))]:
                why = message("{count} dates may be day first or month first; “{found}” is read day first.", **values)
            else:
                why = message("{count} dates may be day first or month first; “{found}” is read month first.", **values)
            remedy = message("Choose the order of day and month (dates: day_first or month_first), or write dates as 2024-05-31.")
            remarks.append(("ambiguous_dates", Severity.WARNING, where, why, remedy))
    return np.where(day_first, second, first), np.where(day_first, first, second), remarks
