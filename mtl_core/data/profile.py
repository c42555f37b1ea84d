"""What the columns of a table hold, seen from their values: what names a row, what is a text, a class, a number, a time, a list."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.data.places import of_file
from mtl_core.data.split import Part, part_called
from mtl_core.data.values import TRUTHS, YES, as_number, as_text, as_time, codes_of

Role = Literal["empty", "constant", "split", "url", "file", "key", "id", "time", "list", "facts", "number", "flag", "category", "text"]
"""empty, constant: nothing to learn. split: says the part of a row. url, file: where something lies. key: another value in every row, which
only names it. id: names a thing that comes again (a user, a product). facts: names and values. flag: yes or no. category: few values."""

SAMPLE = 2000
"""Rows, from the whole length of the table, whose values are looked at; distinct values are counted in all rows."""

SPLIT_NAMES = ("split", "part", "subset", "fold", "划分")
_NUMBERED_SPLIT = re.compile(r"(^|[_\W])(split|folds?)$")
_IN_PART = re.compile(r"^(is|in)_?(train|test|val|valid|validation|dev|holdout)(ing)?(_?set)?$")
_TRUTHS = ({"0", "1"}, {"-1", "1"}, *map(set, TRUTHS))
_URL = re.compile(r"^\s*(https?://|www\.|ftp://|//[\w.-]+/)\S+$")
_FILE = re.compile(r"^\S*[\w)-]\.(jpe?g|png|gif|webp|bmp|svg|pdf|mp[34]|wav|txt|html?|docx?|csv|json)$", re.I)
_ID_WORDS = [
    "id",
    "ids",
    "uid",
    "pid",
    "qid",
    "nid",
    "tid",
    "vid",
    "no",
    "nr",
    "num",
    "code",
    "sku",
    "asin",
    "isbn",
    "ean",
    "gtin",
    "upc",
    "uuid",
    "guid",
    "key",
    "hash",
    "index",
    "idx",
    "rowid",
    "unnamed",
    "md5",
    "stockcode",
]
_ID_RUN_TOGETHER = re.compile(
    r"(user|customer|client|member|visitor|session|order|item|product|article|movie|video|image|ad|doc|review|art|tra)id$"
)
_ID_CHINESE = ("编号", "编码", "序号", "单号", "代码", "ＩＤ")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_TIME = re.compile(
    r"\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}|\d{1,2}[-/ ](jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|\d{1,2}:\d{2}(:\d{2})?", re.I
)
_TIME_WORDS = {"time", "date", "datetime", "timestamp", "created", "ts", "day", "unixtime", "unixreviewtime", "时间", "日期"}
_WORD = re.compile(rf"{_CJK.pattern}|[^\W_]+?(?={_CJK.pattern}|[\W_]|$)")
_SPEAKER = re.compile(r"^\s*[\w ]{2,20}[:：]\s*\S")
_FACT = re.compile(r"^\s*[\w .-]{1,40}[:=]\s*\S")


@dataclass(frozen=True)
class Column:
    """What is known of a column. filled: rows with a value; distinct: values among them; length, words: means of a value (a Chinese or
    Japanese character counts half a word); sample: values of rows from the whole length of the table, as texts, without nulls."""

    name: str
    role: Role
    rows: int
    filled: int
    distinct: int
    length: float
    words: float
    sample: tuple[str, ...]
    whole_numbers: bool = False
    low: float = 0.0
    high: float = 0.0
    turns: bool = False
    parts: Mapping[str, Part] | None = None
    """Of a split: its values as parts, empty where they are so called; None where they do not say it, as folds to be taken in turn."""

    @property
    def repeats(self) -> float:
        """Rows with one value, on the average."""
        return self.filled / max(self.distinct, 1)

    @property
    def few(self) -> bool:
        """Whether its values may be classes: at least two, each in several rows on the average."""
        return 2 <= self.distinct <= max(2, self.filled / 3)


class Columns:
    """The columns of a table by name, and what they say of each other."""

    def __init__(self, table: pa.Table):
        self.table = table
        self.rows = table.num_rows
        self._at = np.unique(np.linspace(0, max(self.rows - 1, 0), min(self.rows, SAMPLE)).astype(np.int64))
        self.all = [self._column(name) for name in of_file(table.column_names)]
        self._of = {c.name: c for c in self.all}
        self._codes: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> Column:
        return self._of[name]

    def of(self, *roles: Role) -> list[Column]:
        return [c for c in self.all if c.role in roles]

    @cached_property
    def split(self) -> Column | None:
        """The column by which rows can be divided as somebody has divided them."""
        return next((c for c in self.of("split") if c.parts is not None), None)

    def codes(self, name: str) -> np.ndarray:
        """(N,) a number for each distinct value, -1 for none."""
        if name not in self._codes:
            self._codes[name] = codes_of(as_text(self.table[name]))[0]
        return self._codes[name]

    def determines(self, one: str, other: str) -> bool:
        """Whether rows that agree in `one` agree in `other`, 99 of 100 times, where `one` comes again."""
        a, b = self.codes(one), self.codes(other)
        both = (a >= 0) & (b >= 0)
        if not both.any():
            return False
        a, b = a[both], b[both]
        n, pairs = len(np.unique(a)), len(np.unique(a * (b.max() + 1) + b))
        return n < 0.9 * len(a) and pairs <= 1.01 * n

    def pairs(self, *names: str, most: int = 300) -> list[tuple[str, ...]]:
        """Rows in which all of these have a value, as texts."""
        rows = self.table.select(list(names)).take(pa.array(self._at))
        texts = [_texts(rows[name]) for name in names]
        found = [row for row in zip(*texts, strict=True) if all(v is not None and v.strip() for v in row)]
        return found[:: max(1, len(found) // most)][:most]

    def tells(self, text: str, label: str) -> bool:
        """Whether the words of a text say something of a label: naive Bayes, learned on every second of up to 1,000 rows and measured on
        the others, and of texts their first 1,000 characters, makes a fifth fewer mistakes than the most frequent value does."""
        rows = self.pairs(text, label, most=1000)
        words = [{*_WORD.findall(t[:1000].casefold())} for t, _ in rows]
        known = {w: i for i, (w, n) in enumerate(Counter(w for row in words for w in row).most_common(2000)) if n > 1}
        if len(rows) < 40 or not known:
            return False
        has = np.zeros((len(rows), len(known)), np.float32)
        for at, row in enumerate(words):
            has[at, [known[w] for w in row if w in known]] = 1
        _, codes = np.unique([v for _, v in rows], return_inverse=True)
        is_class = np.eye(codes.max() + 1, dtype=np.float32)[codes[::2]].T
        of_class = is_class.sum(axis=1)
        share = np.log((is_class @ has[::2] + 0.1) / (of_class[:, None] + 0.2))
        guess = (has[1::2] @ share.T + np.log(of_class + 0.1)).argmax(axis=1)
        wrong, wrong_before = (guess != codes[1::2]).mean(), (of_class.argmax() != codes[1::2]).mean()
        return bool(wrong < 0.8 * wrong_before)

    def _column(self, name: str) -> Column:
        column = self.table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        sample = tuple(v for v in _texts(column.take(pa.array(self._at))) if v is not None and v.strip())
        blank = 0
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            blank = int(pc.sum(pc.equal(pc.utf8_length(column), 0)).as_py() or 0)
        filled = len(column) - column.null_count - blank
        distinct = _distinct(column) - bool(blank)
        length = float(np.mean([len(v) for v in sample])) if sample else 0.0
        words = float(np.mean([_words(v) for v in sample])) if sample else 0.0
        known = {"rows": len(column), "filled": filled, "distinct": distinct, "length": length, "words": words, "sample": sample}
        return Column(name, **{**known, **_told(name, column, sample, filled, distinct, words)})


def _told(name: str, column: pa.ChunkedArray, sample: Sequence[str], filled: int, distinct: int, words: float) -> dict[str, object]:
    """The role of a column, and what belongs to it."""
    if not sample or distinct < 1:
        return {"role": "empty"}
    lower, values = name.strip().lower(), {v.strip().lower() for v in sample}
    if 1 < distinct <= 12 and (is_split := _given_split(lower, values, sample)):
        return is_split
    if distinct == 1:
        return {"role": "constant"}
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or _share(sample, _is_list) > 0.8:
        return {"role": "list", "turns": words > 3 * max(1, _items(sample)) or _share(sample, _has_turns) > 0.5}
    if words >= 4 and _share(sample, _has_turns) > 0.5:
        return {"role": "text", "turns": True}
    if pa.types.is_struct(column.type) or pa.types.is_map(column.type) or _share(sample, _is_facts) > 0.8:
        return {"role": "facts"}
    if _share(sample, _URL.match) > 0.8:
        return {"role": "url"}
    if _share(sample, _FILE.match) > 0.8:
        return {"role": "file"}
    if pa.types.is_temporal(column.type) or (_share(sample, _TIME.match) > 0.9 and words < 6 and _reads_as_time(sample)):
        return {"role": "time"}
    if {re.sub(r"^(-?\d)\.0$", r"\1", v) for v in values} in _TRUTHS:
        return {"role": "flag"}
    at_all = as_number(pa.chunked_array([pa.array(sample)]))[1].mean() <= 0.05  # else no look at every value of a large table
    numbers, wrong = as_number(column.filter(column.is_valid()) if at_all else column.slice(0, 0))
    if len(numbers) and wrong.sum() <= 0.01 * len(numbers) and numbers.null_count < 0.5 * len(numbers):
        found = np.asarray(numbers.drop_null().to_numpy(), float)
        whole = bool((found == np.round(found)).all())
        about = {"whole_numbers": whole, "low": float(found.min()), "high": float(found.max())}
        dated = _named(name, _TIME_WORDS) or (distinct > 50 and not called_id(name))
        if whole and found.min() > 1e8 and _span_of_epochs(found) and dated:
            return {"role": "time", **about}
        if whole and _named(name, _TIME_WORDS) and _share(sample, re.compile(r"^(19|20)\d{6}$").match) > 0.9:
            return {"role": "time", **about}
        counts_up = whole and distinct == filled > 20 and len(found) > 1 and bool((np.diff(found) > 0).all() or (np.diff(found) < 0).all())
        if counts_up or (whole and called_id(name)):
            return {"role": "key" if distinct > 0.98 * filled and filled > 20 else "id", **about}
        return {"role": "number", **about}
    coded = _share(sample, re.compile(r"^\S*\d\S*$").match) > 0.8 and words < 1.5
    hashed = words <= 1.01 and len({len(v) for v in sample}) <= 2 and np.mean([len(v) for v in sample]) >= 10 and not _CJK.search(sample[0])
    if (called_id(name) or ((coded or hashed) and distinct > 50)) and words < 2 and (distinct > 20 or called_id(name)):
        return {"role": "key" if distinct > 0.98 * filled and filled > 20 else "id"}
    speaks = _share(sample, re.compile(r"[,.!?;，。！？、](\s|$)").search)
    share, per_value = distinct / max(filled, 1), filled / max(distinct, 1)
    is_text = words >= 5 or (words >= 2 and speaks > 0.3) or (distinct > 200 and words >= 1.8) or (share > 0.2 and distinct > 12)
    if words >= 3.5 and not is_text:
        is_text = per_value < 20
    return {"role": "text" if is_text else "category"}


def _given_split(name: str, values: set[str], sample: Sequence[str]) -> dict[str, object] | None:
    """name, values: in lower case. Numbers count as parts where 0 is the most frequent, as train is."""
    said = [part_called(v) for v in values]
    spelled = any(len(v) > 2 or not v.isascii() for v in values)  # tr and te alone are languages, too
    if (all(said) and "train" in said and spelled) or (name in SPLIT_NAMES and any(part_called(v.split("_")[-1]) for v in values)):
        return {"role": "split", "parts": {} if "train" in said else None}
    if (of := _IN_PART.match(name)) and (truth := next((t for t in _TRUTHS if values == t), None)):
        part = part_called(of[2])
        yes = next(v for v in truth if v in (*YES, "1"))
        return {"role": "split", "parts": {v: part if v == yes else "test" if part == "train" else "train" for v in sorted(values)}}
    if _NUMBERED_SPLIT.search(name) and all(v.isdecimal() for v in values):
        counts = Counter(v.strip() for v in sample)
        parts = {"0": "train", "1": "validation", "2": "test"} if len(values) == 3 else {"0": "train", "1": "test"}
        divided = values == {*parts} and counts["0"] == max(counts.values())
        return {"role": "split", "parts": parts if divided else None}
    return None


def called_id(name: str) -> bool:
    """Whether a column is called like a number of things: user_id, StockCode, ASIN, 订单编号."""
    if any(name.endswith(w) for w in _ID_CHINESE) or re.search(r"[a-z\u4e00-\u9fff](ID|Id|No|Nr|Code|SKU)$", name):
        return True
    words = re.split(r"[^a-z0-9\u4e00-\u9fff]+", name.lower())
    return words[-1] in _ID_WORDS or words[0] == "unnamed" or (not name.strip()) or bool(_ID_RUN_TOGETHER.search(words[-1]))


def named_time(name: str) -> bool:
    return _named(name, _TIME_WORDS)


def _named(name: str, words: set[str]) -> bool:
    found = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[\u4e00-\u9fff]+", name)
    return bool({w.lower() for w in found} & words) or any(w in name for w in words if _CJK.search(w))


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    t = column.type
    if pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_struct(t) or pa.types.is_map(t):
        return [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in column.to_pylist()]
    return as_text(column).to_pylist()


def _distinct(column: pa.ChunkedArray) -> int:
    if pa.types.is_null(column.type):
        return 0
    if pa.types.is_nested(column.type):
        return len({v for v in _texts(column.slice(0, 20_000)) if v is not None})
    return int(pc.count_distinct(column, mode="only_valid").as_py())


def _words(value: str) -> float:
    cjk = len(_CJK.findall(value))
    return len(_CJK.sub(" ", value).split()) + cjk / 2


def _share(sample: Sequence[str], of: Callable[[str], Any]) -> float:
    some = sample[:: max(1, len(sample) // 200)]
    return sum(bool(of(v)) for v in some) / max(len(some), 1)


def _is_list(value: str) -> bool:
    v = value.strip()
    return v.startswith("[") and v.endswith("]")


def _is_facts(value: str) -> bool:
    """A JSON or Python object, or `name: value; name: value`."""
    v = value.strip()
    if v.startswith("{") and v.endswith("}"):
        return True
    parts = [p for p in re.split(r"[;|]", v) if p.strip()]
    return bool(parts) and all(_FACT.match(p) for p in parts) and (len(parts) > 1 or "{" in v)


def _has_turns(value: str) -> bool:
    """Whether several people speak: marks of turns, or parts that begin with a name and then say several words."""
    if "__eou__" in value or "__eot__" in value or "[SEP]" in value:
        return True
    parts = [p for p in re.split(r"[|\n]|\s{2,}", value) if p.strip()]
    return (
        len(parts) > 1 and all(_SPEAKER.match(p) for p in parts) and _words(value) / len(parts) >= 4 and not value.lstrip().startswith("{")
    )


def _items(sample: Sequence[str]) -> float:
    some = sample[:: max(1, len(sample) // 100)]
    return float(np.mean([v.count(",") + 1 for v in some]))


def _span_of_epochs(found: np.ndarray) -> bool:
    """Seconds, milliseconds or microseconds since 1970, of the years 1990 to 2100, over a day at least."""
    for unit in (1.0, 1e3, 1e6):
        if 6.3e8 * unit <= found.min() and found.max() <= 4.1e9 * unit:
            return bool(found.max() - found.min() >= 3600 * unit)
    return False


def _reads_as_time(sample: Sequence[str]) -> bool:
    _, wrong = as_time(pa.chunked_array([pa.array(sample[:200])]))
    return bool(wrong.mean() < 0.2) or _share(sample, re.compile(r"^\d{4}-\d\d-\d\d|^\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}").match) > 0.9
