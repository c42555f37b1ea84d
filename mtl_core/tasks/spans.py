"""Spans of text: found by what they say, kept apart from each other, and brought from characters to tokens."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

# Scripts without spaces between words (Chinese and Japanese), and Korean, where endings follow a word without one.
SPACELESS = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"
PIECES = re.compile(rf"[{SPACELESS}]|[^\W{SPACELESS}]+|[^\w\s]")
"""Words, signs, and single characters of scripts without spaces."""
_LETTER = re.compile(rf"[^\W{SPACELESS}]")


class Span(NamedTuple):
    """text: the original's [start:end], in characters; probability in [0, 1]; of a true span 1, or 0 where the encoder does not read it
    whole because the text was cut."""

    start: int
    end: int
    name: str
    probability: float
    text: str

    @property
    def key(self) -> tuple[int, int, str]:
        return self.start, self.end, self.name


def lower(text: str) -> str:
    """Lower case, every character where it was (“İ” would become two)."""
    made = text.lower()
    return made if len(made) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def occurrences(value: str, text: str) -> list[int]:
    """Where `value` begins in `text`, both by `lower`, each time it stands there with no letter or digit glued to its own."""
    found, start = [], text.find(value) if value else -1
    while start >= 0:
        end = start + len(value)
        if not (_glued(text, start) or _glued(text, end)):
            found.append(start)
        start = text.find(value, start + 1)
    return found


def _glued(text: str, at: int) -> bool:
    """Whether a word goes on over the place before character `at`."""
    return 0 < at < len(text) and bool(_LETTER.match(text[at - 1]) and _LETTER.match(text[at]))


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without spaces at its ends."""
    inside = text[start:end]
    start += len(inside) - len(inside.lstrip())
    return start, start + len(inside.strip())


def whole(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without spaces at its ends, and with all of the words of which it holds a piece."""
    start, end = trimmed(text, start, end)
    while start < end and _glued(text, start):
        start -= 1
    while start < end and _glued(text, end):
        end += 1
    return start, end


def apart(wanted: list[tuple[int, list[int]]], n: int) -> list[int | None]:
    """Places things of a given length in a text of `n` characters so that none overlap, the longest first.

    wanted: (length, where it may begin). → where each begins: the first of its places that is free; None where none is.
    """
    taken, found = np.zeros(n, bool), list[int | None]([None] * len(wanted))
    for i in sorted(range(len(wanted)), key=lambda i: -wanted[i][0]):
        length, starts = wanted[i]
        found[i] = next((s for s in starts if not taken[s : s + length].any()), None)
        if (start := found[i]) is not None:
            taken[start : start + length] = True
    return found


def objects(values: Iterable[Any], n: int) -> np.ndarray:
    """(n,) objects, also where they are lists of equal length."""
    return np.fromiter(values, object, n)
