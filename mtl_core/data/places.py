"""Where a row comes from: the line in its file, and which file, where train, validation and test are files of one table."""

from collections.abc import Iterable
from typing import TypeVar

import numpy as np

from mtl_core.base.messages import N_

PARTS = (N_("train"), N_("validation"), N_("test"))

LINE = "_line"
"""Column with the line in the source file at which a row begins, counted from 1 (Parquet: the row); see `in_file`."""

SPLIT = "_split"
"""Column of a stored table with the part of each row."""


def of_file(names: Iterable[str]) -> list[str]:
    """The columns that the file of a table has: without those that the program adds."""
    return [name for name in names if name not in (LINE, SPLIT)]


_FILE = 1 << 40  # more lines than a file has

Lines = TypeVar("Lines", int, np.ndarray)


def in_file(lines: Lines, part: int) -> Lines:
    """Lines of the file of a part (its number in `PARTS`) as `LINE` has them: those of the training file as they are."""
    return lines + part * _FILE


def place(lines: Lines) -> tuple[Lines, Lines]:
    """(the part's number in `PARTS`, the line in its file); the inverse of `in_file`."""
    return lines // _FILE, lines % _FILE


def file_and_line(file: str, line: int) -> tuple[str, int]:
    """The file as people are told it, and the line in it: "orders" becomes "orders/validation", where that part is a file of its own."""
    part, in_part = place(int(line))
    return (f"{file}/{PARTS[part]}" if part else file), in_part
