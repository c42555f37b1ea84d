"""JSON Lines: an object a line, whatever keys each has; or one array of such objects, over any number of lines."""

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.data.encodings import Scan
from mtl_core.data.findings import ROWS, FileProblems, Limits, add_nameless, check_names, empty, too_wide, visible_names
from mtl_core.data.places import LINE


def read_jsonl(open_stream: Callable[[], BinaryIO], found: Scan, findings: FileProblems, limits: Limits) -> pa.Table | None:
    columns: dict[str, list[pa.Array]] = {}
    starts: list[pa.Array] = []
    n_rows = 0
    with io.TextIOWrapper(open_stream(), encoding=found.encoding) as text:
        for records, lines in _json_chunks(text, findings, limits):
            names: dict[str, None] = dict.fromkeys(key for record in records for key in record)
            if too_wide(len(names.keys() | columns.keys()), findings, limits, lines[0]):
                return None
            for name in names:
                if name not in columns:
                    columns[name] = [pa.nulls(n_rows, pa.string())] if n_rows else []
                columns[name].append(_json_column([r.get(name) for r in records], name, lines, findings, limits))
            for name in columns.keys() - names.keys():
                columns[name].append(pa.nulls(len(records), pa.string()))
            starts.append(pa.array(lines, pa.int64()))
            n_rows += len(records)
    if not n_rows:
        if not findings.rows_seen:
            empty(findings)
        return None
    shown_names = visible_names(list(columns), findings, None)
    if not check_names(shown_names, findings, limits, None):
        return None
    for number, shown in enumerate(shown_names, start=1):
        if not shown:
            add_nameless(findings, number, of_row=True)
    merged = {name: _merged(arrays) for name, arrays in zip(shown_names, columns.values(), strict=True)}
    return pa.table({**merged, LINE: pa.chunked_array(starts, pa.int64())})


_Chunk: TypeAlias = "tuple[list[dict[str, Any]], list[int]]"
"""Objects, and the line of each."""


class _Collected:
    """Objects until they are enough for a chunk: by their number, or by what they take."""

    def __init__(self, decoder: "_Decoder", findings: FileProblems, limits: Limits):
        self._decoder, self._findings, self._limits = decoder, findings, limits
        self._records: list[dict[str, Any]] = []
        self._lines: list[int] = []
        self._size = 0

    def add(self, value: Any, source: str, line: int) -> None:
        """value: what `source`, which begins on `line`, was decoded to."""
        if not isinstance(value, dict):
            self._findings.seen("not_an_object", line)
            return
        limit = self._limits.max_nesting
        if source.count("[") + source.count("{") > limit and _depth(value, limit) > limit:
            self._findings.seen("too_deep", line, limit=limit)
            return
        self._records.append(self._decoder.checked(value, source, line, self._findings))
        self._lines.append(line)
        self._size += len(source)

    def full(self) -> Iterator[_Chunk]:
        if len(self._records) == ROWS or self._size > _CHUNK:
            yield from self.rest()

    def rest(self) -> Iterator[_Chunk]:
        if self._records:
            yield self._records, self._lines
        self._records, self._lines, self._size = [], [], 0


_CHUNK = 16 << 20


def _depth(value: Any, most: int) -> int:
    """How many lists and objects lie in each other; not more exactly than `most + 1`."""
    depth, level = 0, [value]
    while level and depth <= most:
        depth += 1
        inner = [v for one in level for v in (one.values() if isinstance(one, dict) else one)]
        level = [v for v in inner if isinstance(v, dict | list)]
    return depth


def _json_chunks(text: io.TextIOWrapper, findings: FileProblems, limits: Limits) -> Iterator[_Chunk]:
    decoder, begun = _Decoder(), False
    collected = _Collected(decoder, findings, limits)
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        if not begun and line.lstrip().startswith("["):
            yield from _array_chunks(text, line, number, findings, limits)
            return
        begun = True
        try:
            collected.add(decoder.decode(line), line, number)
        except json.JSONDecodeError as e:
            findings.seen("broken_json", number, reason=str(e))
        except RecursionError:
            findings.seen("too_deep", number, limit=limits.max_nesting)
        yield from collected.full()
    yield from collected.rest()


def _array_chunks(text: io.TextIOWrapper, held: str, line: int, findings: FileProblems, limits: Limits) -> Iterator[_Chunk]:
    """As `_json_chunks`, of an array, an element at a time. held: its first line, of number `line`; text: what follows."""
    decoder = _Decoder()
    collected = _Collected(decoder, findings, limits)
    at, more = held.index("[") + 1, True
    expected = "value or ]"
    while True:
        start = _BLANK.match(held, at).end()  # type: ignore[union-attr]
        line += held.count("\n", at, start)
        at, fault = start, ""
        try:
            if at == len(held):
                fault = "The array is not closed"
            elif expected != "value" and held[at] == "]":
                rest = held[at + 1 :] + text.read()
                if rest.strip():
                    findings.seen("broken_json", line + rest[: len(rest) - len(rest.lstrip())].count("\n"), reason="Text after the array")
                break
            elif expected == ", or ]" and held[at] == ",":
                at, expected = at + 1, "value"
                continue
            elif expected == ", or ]":
                fault = "Expecting ',' or ']' behind an element"
            else:
                record, end = decoder.raw_decode(held, at)
                collected.add(record, held[at:end], line)
                line += held.count("\n", at, end)
                at, expected = end, ", or ]"
                yield from collected.full()
                continue
        except json.JSONDecodeError as e:
            fault = e.msg
            if more and e.pos < len(held) - 16 and not fault.startswith("Unterminated string"):
                more = False  # it is not for want of the rest
        except RecursionError:
            findings.seen("too_deep", line, limit=limits.max_nesting)
            break
        piece = text.read(max(_PIECE, len(held) - at)) if more else ""
        if not piece:
            findings.seen("broken_json", line, reason=fault)
            break
        held, at = held[at:] + piece, 0
    yield from collected.rest()


_PIECE = 1 << 20
_BLANK = re.compile(r"[ \t\r\n]*")


class _Number(str):
    """As the file spells it: 1.10 is no 1.1, and an integer may have any number of digits."""


class _Decoder(json.JSONDecoder):
    """JSON with its numbers as `_Number`; NaN is None. A key that an object has twice is remembered for `checked`."""

    def __init__(self) -> None:
        super().__init__(
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=lambda name: None if name == "NaN" else _Number(name),
            object_pairs_hook=self._object,
        )
        self._repeated = ""

    def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
        self._repeated = ""  # of a record that could not be read, or is none
        return super().raw_decode(s, idx)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            self._repeated = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        return found

    def checked(self, record: dict[str, Any], source: str, line: int, findings: FileProblems) -> dict[str, Any]:
        """`record`, with what is wrong with it noted; halves of a character become the sign for one that is not known."""
        if self._repeated:
            findings.seen("repeated_key", line, key=self._repeated[:80])
        if "\\u" not in source or (mended := _whole(record)) == record:
            return record
        findings.seen("half_character", line)
        return mended


def _whole(value: Any) -> Any:
    """Without halves of a surrogate pair, which JSON can write and which are no characters."""
    if isinstance(value, str):
        return value if isinstance(value, _Number) else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole(key): _whole(one) for key, one in value.items()}
    return [_whole(one) for one in value] if isinstance(value, list) else value


def _json_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value if value.strip() else None
    return None if value is None else _written(value)


def _written(value: Any) -> str:
    """As JSON, with numbers as they were spelled."""
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {_written(one)}" for key, one in value.items()) + "}"
    return f"[{', '.join(map(_written, value))}]" if isinstance(value, list) else json.dumps(value, ensure_ascii=False)


def _json_column(values: list[Any], name: str, lines: list[int], findings: FileProblems, limits: Limits) -> pa.Array:
    """string; list<string> when a value is a list. Numbers keep their JSON spelling."""
    if any(isinstance(v, list) for v in values):
        lists = [None if v is None else [t for x in (v if isinstance(v, list) else [v]) if (t := _json_text(x))] for v in values]
        for line, cell in zip(lines, lists, strict=True):
            if cell and sum(map(len, cell)) > limits.max_cell_bytes:
                findings.seen("cell_too_large", line, limit=limits.max_cell_bytes >> 10, column=name)
        return pa.array(lists, pa.list_(pa.string()))
    array = pa.array([_json_text(v) for v in values], pa.string())
    for row in np.flatnonzero(pc.greater(pc.binary_length(array), limits.max_cell_bytes).fill_null(False).to_numpy(zero_copy_only=False)):
        findings.seen("cell_too_large", lines[row], limit=limits.max_cell_bytes >> 10, column=name)
    return array


def _merged(arrays: list[pa.Array]) -> pa.ChunkedArray:
    """Chunks of one column under one type: a text beside lists counts as a list of one."""
    lists = pa.list_(pa.string())
    if any(a.type == lists for a in arrays):
        arrays = [a if a.type == lists else pa.array([None if v is None else [v] for v in a.to_pylist()], lists) for a in arrays]
    return pa.chunked_array(arrays)
