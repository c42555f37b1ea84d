"""What a cell of labels says of its text: spans, in the forms in which people and other programs write them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from mtl_core.data.lists import literal
from mtl_core.tasks import common
from mtl_core.tasks.spans import Span, apart, lower, occurrences, trimmed, whole

UNITS = {"utf16": "utf-16-le", "bytes": "utf-8"}
_STARTS, _ENDS = ("start", "start_offset", "begin", "from"), ("end", "end_offset", "stop", "to")
_NAMES = ("attribute", "label", "labels", "entity", "entity_type", "entity_group", "type", "tag", "name", "category")
_OWN = ("text", "surface", "word", "value")
_LISTS = ("spans", "entities", "annotations", "label", "labels", "result")


class _Place(NamedTuple):
    """Where a value stands: the end is not included; own: the text that the cell says stands there."""

    start: int
    end: int
    own: str = ""


@dataclass
class Row:
    """What a cell says of its text. spans: sorted, not overlapping; None: no label, or one that cannot be read. Others: what was lost,
    and what was counted otherwise than in characters, or begins or ends within a word."""

    spans: list[Span] | None = None
    unreadable: bool = False
    absent: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    overlapping: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    recounted: list[str] = field(default_factory=list)
    cutting: list[str] = field(default_factory=list)


def rows(table: pa.Table, offsets: str) -> Iterator[Row]:
    """Of each row. A value is looked for in its text without regard to case, as whole words; it stands at the first place that no
    longer value has taken, and at one only."""
    for text, cell in zip(common.plain(common.texts(table["text"])).to_pylist(), table["label"].to_pylist(), strict=True):
        if cell is None:
            yield Row()
            continue
        try:
            wanted = [one for part in (cell if isinstance(cell, list) else [cell]) for one in _read(str(part).strip())]
        except (ValueError, RecursionError):
            yield Row(unreadable=True)
            continue
        row, small = Row(spans=[]), lower(text)
        places: list[tuple[int, list[int]]] = []
        for name, value in wanted:
            if isinstance(value, str):
                places.append((len(value), occurrences(lower(value), small)))
                if not places[-1][1]:
                    row.absent.append(f"{name}: {value}")
                continue
            if (place := _counted(text, value, offsets)) is None:
                row.other.append(f"{name}: {value.own}")
                places.append((0, []))
                continue
            if place[:2] != value[:2] and offsets == "automatic":
                row.recounted.append(f"{name}: {value.own}")
            first, end = trimmed(text, *place[:2]) if 0 <= place.start < place.end <= len(text) else (0, 0)
            places.append((end - first, [first] if first < end else []))
            if first >= end:
                row.outside.append(f"{name}: {value.start}–{value.end}")
            elif not value.own and whole(text, first, end) != (first, end):
                row.cutting.append(f"{name}: {text[first:end]}")
        spans = []
        for (name, _), (length, starts), start in zip(wanted, places, apart(places, len(text)), strict=True):
            if start is not None:
                spans.append(Span(start, start + length, name, 1.0, text[start : start + length]))
            elif starts:
                row.overlapping.append(f"{name}: {text[starts[0] : starts[0] + length]}")
        row.spans = sorted(spans)
        yield row


def _counted(text: str, place: _Place, offsets: str) -> _Place | None:
    """In characters. automatic: in the unit in which the cell's own text stands there; None: in no unit does it."""
    if offsets != "automatic":
        return place if offsets == "characters" else _in_characters(text, place, UNITS[offsets])
    if not place.own or _same(text, place):
        return place
    inclusive = place._replace(end=place.end + 1)
    for one in (*(_in_characters(text, place, code) for code in UNITS.values()), inclusive):
        if _same(text, one):
            return one
    return None


def _same(text: str, place: _Place) -> bool:
    return lower(text[max(place.start, 0) : place.end].strip()) == lower(place.own.strip())


def _in_characters(text: str, place: _Place, code: str) -> _Place:
    written, width = text.encode(code, "surrogatepass"), 2 if code == "utf-16-le" else 1
    if not 0 <= place.start <= place.end <= len(written) // width:
        return place
    start, end = (len(written[: at * width].decode(code, "ignore")) for at in place[:2])
    return place._replace(start=start, end=end)


def _read(cell: str) -> Iterator[tuple[str, str | _Place]]:
    """(attribute, its value, or where it stands). Raises ValueError: the cell says nothing of that sort."""
    if cell[:1] not in ("[", "{", "("):
        for pair in filter(None, map(str.strip, re.split(r"[;；\n]", cell))):
            attribute, text = re.split("[:：]", pair, maxsplit=1)  # a ValueError without a colon
            yield _named(attribute), _named(text)
        return
    try:
        items = _json(cell)
    except ValueError:
        items = literal(cell) if cell[:1] != "{" else [literal(f"[{cell}]")[0]]
    yield from _items(items)


def _items(items: Any) -> Iterator[tuple[str, str | _Place]]:
    """Of objects and [start, end, attribute] in a list, or of one such triple."""
    if _is_triple(items):
        items = [items]
    for item in items:
        if _is_triple(item):
            yield _named(item[2]), _Place(item[0], item[1])
            continue
        if not isinstance(item, dict):
            raise ValueError
        if isinstance(item.get("value"), dict):  # as Label Studio has it
            item = {**item, **item["value"]}
        start, end = (next((item[key] for key in keys if key in item), None) for keys in (_STARTS, _ENDS))
        if start is not None and end is not None:
            if not (type(start) is int and type(end) is int):
                raise ValueError
            names = next((item[key] for key in _NAMES if item.get(key) is not None), None)
            own = next((item[key] for key in _OWN if isinstance(item.get(key), str)), "")
            for name in names if isinstance(names, list) else [names]:
                yield _named(name), _Place(start, end, own)
        elif found := next((item[key] for key in _LISTS if isinstance(item.get(key), list) and _are_spans(item[key])), None):
            yield from _items(found)
        else:
            for name, value in item.items():
                for one in _values(value):
                    yield _named(name), _named(one)


def _is_triple(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 3 and type(item[0]) is int and type(item[1]) is int and isinstance(item[2], str)


def _are_spans(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, dict) or _is_triple(item) for item in items)


def _json(cell: str) -> list[Any]:
    """What stands in a JSON list, or in objects one after another."""
    found, at, decoder = [], 0, json.JSONDecoder()
    while at < len(cell):
        item, at = decoder.raw_decode(cell, at)
        if isinstance(item, list) and not _is_triple(item):
            found += [json.loads(i) if isinstance(i, str) else i for i in item]
        else:
            found.append(item)
        at += len(cell[at:]) - len(cell[at:].lstrip())
    return found


def _values(value: Any) -> list[Any]:
    """The values of an attribute: one, a list, or an object with a score each, of which 0 says that it is none."""
    if isinstance(value, dict):
        return [name for name, score in value.items() if score]
    return [v for v in (value if isinstance(value, list) else [value]) if v not in (None, "")]


def _named(value: Any) -> str:
    """A name or value as a string. Raises ValueError: it is empty, or no plain value."""
    if isinstance(value, (dict, list, bool)) or value is None or not (text := str(value).strip()):
        raise ValueError
    return text
