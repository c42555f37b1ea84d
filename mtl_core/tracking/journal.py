"""The journal of a run, line by line: every line has a number and a checksum, so that one that is gone or altered is noticed.

Lines of programs before that have neither; of theirs only what cannot be read is noticed.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_core.tracking.status import number
from mtl_core.training.events import Event, Missing, Resumed, from_json

_CHECKSUM = b',"crc":"'  # with eight digits, a quotation mark, a bracket and the end of the line behind it


@dataclass(frozen=True)
class Record:
    """A line of the journal. time: seconds since 1970; next_offset: in bytes, where the line after it begins; line: its number, from 1;
    of lines without one, or that are missing, that of the last one before."""

    event: Event
    time: float
    next_offset: int
    line: int = 0


def line_of(event: Event, line: int, time: float) -> bytes:
    text = json.dumps({**event.to_json(), "time": time, "line": line}, ensure_ascii=False, default=number)
    head = text[:-1].encode()
    return head + _CHECKSUM + b'%08x"}\n' % zlib.crc32(head)


def read(path: Path, offset: int = 0, line: int | None = None, to: int = 0) -> Iterator[Record]:
    """The lines from `offset` (bytes) on; a last one without its end, which a kill leaves, is left out.

    line: the number of the one before `offset`, None: unknown; to: of the last line that there must be. Where lines are missing or altered
    there is a `Missing` event, at the step of the line before them.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        if to > 0 and offset == 0:  # somebody removed it
            yield Record(Missing(0, to), 0.0, 0, to)
        return
    last = line if line is not None else 0 if offset == 0 else None
    step, bad, when = 0, 0, 0.0

    def gap(missing: int) -> Record:
        return Record(Missing(step, missing), when, offset, (last or 0) + missing)

    with file:
        file.seek(offset)
        for raw in file:
            if not raw.endswith(b"\n"):
                break
            found, event = _event(raw, last)
            if found is None:
                bad, offset = bad + 1, offset + len(raw)
                continue
            numbered, expected = "line" in found, None if last is None else last + 1
            missing = bad if expected is None or not numbered else int(found["line"]) - expected
            if missing > 0:
                yield gap(missing)
            bad, offset = 0, offset + len(raw)
            if numbered:
                last = int(found["line"])
            if isinstance(event, Resumed) and event.journal >= (last or 0) > 0:
                yield gap(event.journal + 1 - (last or 0))  # the end of what led to the checkpoint was gone before this line was added
            if event is not None:
                step, when = event.step, float(found.get("time", 0))
                yield Record(event, when, offset, last or 0)
    if (missing := bad if last is None else max(bad, to - last)) > 0:
        yield gap(missing)


def _event(raw: bytes, last: int | None) -> tuple[dict[str, Any] | None, Event | None]:
    """What a line says; the first is None: it was altered, or is out of its place; the second is: this program has no such event."""
    head, mark, end = raw.rpartition(_CHECKSUM)
    try:
        found = json.loads(raw)
        if mark and end != b'%08x"}\n' % zlib.crc32(head):
            return None, None
        if "line" in found and (not mark or (last is not None and int(found["line"]) <= last)):
            return None, None
        found["event"]
    except (ValueError, KeyError, TypeError):
        return None, None
    try:
        return found, from_json(found)
    except (ValueError, KeyError, TypeError):
        return found, None
