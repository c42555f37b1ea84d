"""Numbers as people write them: 3,5 or 1.234,50 or € 12,90. Whether a comma or a point is the decimal sign, a whole column says."""

import math
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.base.messages import Message, message
from mtl_core.data.problems import Severity

LARGEST = 1e30
"""What a number may be at most, with either sign: a model reckons in 32 bits, where the square of a larger one is none any more."""
PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
MISSING = pa.array(["nan", "na", "n/a", "#n/a", "<na>", "nat", "nil", "null", "none", "\\n", "-", "--", "–", "—", "?", "空", "无", "缺失"])
"""What people write, in lower case, where there is no value."""

_CURRENCY = r"(?:\p{Sc}|EUR|USD|GBP|CHF|JPY|CNY|RMB|元|円)"
_AROUND = rf"(?i)^([+-]?)\s*{_CURRENCY}\s*|\s*{_CURRENCY}$"
_SPACED = r"^[+-]?[1-9]\d{0,2}([ '’]\d{3})+([.,]\d*)?$"  # 1 234,50
_POINT = r"^[+-]?(([1-9]\d{0,2}(,\d{3})+|\d+)(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$"  # 1,234.50
_COMMA = r"^[+-]?(([1-9]\d{0,2}(\.\d{3})+|\d+)(,\d*)?|,\d+)([eE][+-]?\d{1,3})?$"  # 1.234,50


@dataclass(frozen=True)
class Numbers:
    """values: (N,) float64, null where there is no number. The rest are (N,) bool.

    wrong:     holds something that is no number up to `LARGEST`; usual signs of missing values (NA, null, -) and empty cells do not.
    rewritten: a number that is not written as computers do: with a decimal comma, grouped digits, a currency.
    marked:    a sign of a missing value, such as NA; empty: nothing was looked for.
    truths:    true or false, read as 1 or 0; empty: nothing was looked for.
    ambiguous: 1,234 or 1.234 where no other value says which sign is the decimal one; the point then is, and a comma groups digits.
    decimal:   the sign that the numbers were read with: a point or a comma.
    """

    values: pa.Array | pa.ChunkedArray
    wrong: np.ndarray
    rewritten: np.ndarray
    ambiguous: np.ndarray
    marked: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    truths: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    decimal: str = "."

    def remarks(self, column: pa.Array | pa.ChunkedArray) -> list[tuple[str, Severity, np.ndarray, Message, Message]]:
        """What a person should know of how `column` was read: code, severity, rows, why, remedy."""
        found = []
        if self.ambiguous.any():
            why = message("{count} numbers are ambiguous; “{found}” is read as {number}.", **self._first(self.ambiguous, column))
            remedy = message("If that is wrong, write numbers without thousands separators and with a decimal point.")
            found.append(("number_ambiguous", Severity.WARNING, self.ambiguous, why, remedy))
        if (rewritten := self.rewritten & ~self.ambiguous).any():
            why = message("{count} numbers are formatted for people; “{found}” is read as {number}.", **self._first(rewritten, column))
            remedy = message("No action needed if that is right; otherwise write them with a decimal point and no other separators.")
            found.append(("number_notation", Severity.INFO, rewritten, why, remedy))
        return found

    def _first(self, rows: np.ndarray, column: pa.Array | pa.ChunkedArray) -> dict[str, object]:
        row = int(np.argmax(rows))
        number = f"{self.values[row].as_py():.15g}"
        return {"count": int(rows.sum()), "found": str(column[row].as_py())[:80], "number": number}


def read_numbers(text: pa.Array | pa.ChunkedArray, decimal: str = "") -> Numbers:
    """text: strings. A column where one value can only have a decimal comma, and none only a decimal point, is read with commas.

    decimal: the sign that is the decimal one where no value says which.
    """
    text = pc.utf8_trim_whitespace(text)
    plain = _flags(pc.match_substring_regex(text, PLAIN))
    lower = pc.utf8_lower(text)
    truth = pc.is_in(lower, pa.array(["true", "false"]))
    left_out = pc.or_(truth, pc.is_in(lower, pa.concat_arrays([MISSING, pa.array([None], pa.string())])))
    written = text if (plain | _flags(left_out)).all() else _bare(text)
    point, comma = (_flags(pc.match_substring_regex(written, pattern)) for pattern in (_POINT, _COMMA))
    says_point, says_comma = (point & ~comma).any(), (comma & ~point).any()
    if decimal and not says_point and not says_comma:
        says_point, says_comma = decimal == ".", decimal == ","
    unsure = point & comma & _flags(pc.match_substring_regex(written, "[.,]")) & bool(says_point == says_comma)
    by_comma = bool(says_comma and not says_point)
    if by_comma:
        read, written = comma, pc.replace_substring(pc.replace_substring(written, ".", ""), ",", ".")
    else:
        if says_comma:  # both: a comma says nothing that is sure
            point &= ~(comma & _flags(pc.match_substring(written, ",")))
        read, written = point, pc.replace_substring(written, ",", "")
    values = pc.if_else(pa.array(read), written, pa.scalar(None, written.type)).cast(pa.float64())
    if (too_large := _flags(pc.greater(pc.abs(values), LARGEST))).any():  # 1e999
        read &= ~too_large
        values = pc.if_else(pa.array(too_large), pa.scalar(None, pa.float64()), values)
    values = pc.if_else(truth, pc.equal(lower, "true").cast(pa.int8()).cast(pa.float64()), values)
    same = plain & _flags(pc.equal(text, written))
    marked = _flags(pc.is_in(lower, MISSING)) & ~_flags(pc.is_null(lower))
    return Numbers(values, ~read & ~_flags(left_out), read & ~same, read & unsure, marked, _flags(truth), "," if by_comma else ".")


def is_a_number(text: str) -> bool:
    """Also one that is infinite, or too large to reckon with."""
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def currencies(text: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """(N,) how each text names its currency; null where it names none."""
    found = pc.extract_regex(pc.utf8_normalize(text, "NFKC"), rf"(?i)(?P<sign>{_CURRENCY})")
    sign = pc.utf8_upper(pc.struct_field(found, "sign"))
    same = {"€": "EUR", "$": "USD", "£": "GBP", "元": "CNY", "RMB": "CNY", "円": "JPY"}
    known = pc.index_in(sign, pa.array(same))
    return pc.coalesce(pc.take(pa.array(same.values()), known), sign)


def _bare(text: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Without currencies, spaces within and wide signs."""
    written = pc.replace_substring_regex(pc.replace_substring(pc.utf8_normalize(text, "NFKC"), "−", "-"), _AROUND, r"\1")
    spaced = pc.match_substring_regex(written, _SPACED)
    return pc.if_else(spaced, pc.replace_substring_regex(written, "[ '’]", ""), written)


def _flags(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return np.array(pc.fill_null(values, False).to_numpy(zero_copy_only=False), bool)
