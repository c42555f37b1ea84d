"""What people or files wrote, shown as it is: no markup of theirs is ever read as ours."""

import re

from mtl_core.messages import Translate

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=])")


def plain(text: object) -> str:
    """`text` for a label or a sentence that Streamlit reads as Markdown: every sign of markup escaped, on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def duration(seconds: float, translate: Translate) -> str:
    """Seconds in words that a glance takes in: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return translate("{seconds} s").format(seconds=whole)
    if whole < 3600:
        return translate("{minutes} min {seconds:02d} s").format(minutes=whole // 60, seconds=whole % 60)
    return translate("{hours} h {minutes:02d} min").format(hours=whole // 3600, minutes=whole % 3600 // 60)


def clock(seconds: float) -> str:
    """Seconds as 0:42, 3:05 or 2:10:00."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
