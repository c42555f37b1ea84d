"""What people or files wrote, shown as it is: no markup of theirs is ever read as ours."""

import math
import re
from typing import Any

from mtl_core.base.messages import N_, Translate, plural

RELEVANCE = N_("Higher is more relevant. It is no probability: only the order of the entries for one question means something.")
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=])")
_ADDRESS = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)(?=[-\w]+\.[-\w])", re.IGNORECASE)
_JOINER = "\u2060"
"""Takes no room and breaks no line. Escapes do not keep an address from becoming a link: it is looked for when they are gone."""


def plain(text: object) -> str:
    """`text` for a label or a sentence that Streamlit reads as Markdown: every sign of markup escaped, no address a link, on one line."""
    return _MARKUP.sub(r"\\\1", _ADDRESS.sub(_JOINER, " ".join(str(text).split())))


def said(value: Any, translate: Translate) -> Any:
    """A value out of a report or a prediction; words of a task kind's own (“same”) in the person's language."""
    return translate(value) if isinstance(value, str) and value else value


def number(value: float) -> str:
    """With four digits that count, and all of those before the point: 4.193, 12.9, 1,234, 0.0001235."""
    size = math.floor(math.log10(abs(value))) if value else 0
    text = f"{value:,.{max(0, 3 - size)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float, translate: Translate) -> str:
    """Seconds in words that a glance takes in: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return translate("{seconds} s").format(seconds=whole)
    if whole < 3600:
        return translate("{minutes} min {seconds:02d} s").format(minutes=whole // 60, seconds=whole % 60)
    return translate("{hours} h {minutes:02d} min").format(hours=whole // 3600, minutes=whole % 3600 // 60)


def rough(seconds: float, translate: Translate) -> str:
    """An estimate of seconds in words, no finer than it can be: 42 s, 11 min, 2 h 10 min."""
    minutes = round(seconds / 60)
    if seconds < 60 or seconds >= 3600:
        return duration(seconds, translate)
    return duration(3600, translate) if minutes == 60 else translate("{minutes} min").format(minutes=minutes)


def clock(seconds: float) -> str:
    """Seconds as 0:42, 3:05 or 2:10:00."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def counted(rows: int, columns: int, translate: Translate) -> list[str]:
    """How large a table is, in words."""
    return [
        translate(plural(rows, N_("1 row"), N_("{rows:,} rows"))).format(rows=rows),
        translate(plural(columns, N_("1 column"), N_("{n} columns"))).format(n=columns),
    ]


def size(n_bytes: int) -> str:
    """Bytes as a person reads them, by thousands: 999 B, 1.2 kB, 34 MB, 5.6 GB."""
    value, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"
