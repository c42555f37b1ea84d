"""Lists in cells: as JSON, as Python or numpy print them, or divided at `|`; turns of a dialogue as objects. What is broken is refused."""

import ast
import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROLES = ("role", "from", "speaker", "author", "sender")
CONTENTS = ("content", "value", "text", "message", "utterance")
"""What turns call who speaks and what is said."""

_LIKE_A_LIST = r"^\s*(\[.*\]|\(['\"].*\)|array\(.*\))\s*$"
_BEGUN = r"^\s*\[\s*(['\"{\[]|$)"
_WRAPPED = re.compile(r"(?s)^\s*(?:array|Index|Series)\((.*?)(?:,\s*dtype=[^)]*)?\)\s*$")
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")


def like_lists(text: pa.Array) -> np.ndarray:
    """(N,) bool: which strings look like a list, if only from their beginning."""
    return _flags(pc.or_(pc.match_substring_regex(text, "(?s)" + _LIKE_A_LIST), pc.match_substring_regex(text, _BEGUN)))


def read_lists(text: pa.Array) -> tuple[list[list[str] | None] | None, np.ndarray]:
    """(a list of strings a cell, null where the cell is; (N,) bool: a list that is broken, or holds what is no text).

    text: strings. None in the first place: no cell is a list.
    """
    broken = np.zeros(len(text), bool)
    looks = like_lists(text)
    if not looks.any():
        return None, broken
    found: list[list[str] | None] = []
    for i, value in enumerate(text.to_pylist()):
        if value is None or not looks[i]:
            found.append(None if value is None else [part.strip() for part in value.split("|")])
            continue
        try:
            found.append(things(literal(value, spelled=True)))
        except ValueError:
            broken[i] = True
            found.append(None)
    return found, broken


def literal(cell: str, spelled: bool = False) -> list[Any]:
    """What a list as JSON, Python or numpy print it holds. spelled: numbers as strings, as the cell has them: 1.10 is no 1.1.

    Raises ValueError: it is broken, cut short (...) or no list.
    """
    try:
        value = json.loads(cell, parse_int=str, parse_float=str) if spelled else json.loads(cell)
    except (ValueError, RecursionError):
        value = _printed(cell, spelled)
    if not isinstance(value, list | tuple):
        raise ValueError(cell)
    return list(value)


def _printed(cell: str, spelled: bool) -> Any:
    if wrapped := _WRAPPED.match(cell):
        cell = wrapped.group(1)
    between = _QUOTED.sub("\0", cell)
    if re.search(r"\0\s+\0|\0\0", between):  # numpy: no commas, which Python would read as one long string
        if not re.fullmatch(r"\s*\[[\0\s]*\]\s*", between):
            raise ValueError(cell)
        return [ast.literal_eval(one) for one in _QUOTED.findall(cell)]
    cell = re.sub(r"(?<![\w'\"])nan(?![\w'\"])", "None", cell) if "nan" in between else cell
    cell = cell.replace("\r\n", "\n").strip()
    try:
        tree = ast.parse(cell, mode="eval")
        return ast.literal_eval(_Spelled(cell).visit(tree) if spelled else tree)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(cell) from error


class _Spelled(ast.NodeTransformer):
    """Numbers of Python as strings that are spelled as they are in `source`."""

    def __init__(self, source: str):
        self._lines = source.encode().split(b"\n")

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
        return self._as_written(node) if is_number else node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        is_number = isinstance(node.operand, ast.Constant) and isinstance(node.operand.value, int | float)
        return self._as_written(node) if is_number else node

    def _as_written(self, node: ast.expr) -> ast.Constant:
        return ast.Constant(self._lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode())


def things(items: list[Any]) -> list[str]:
    """The texts of a list; a turn as an object becomes “speaker: text”. Raises ValueError: a thing is neither."""
    return [said for item in items if (said := thing(item))]


def thing(item: Any) -> str:
    """ "" for what is missing."""
    if item is None or (isinstance(item, float) and item != item):
        return ""
    if isinstance(item, dict):
        return _turn(item)
    if isinstance(item, list | tuple | set):
        raise ValueError(str(item))
    return json.dumps(item) if isinstance(item, bool) else str(item).strip()


def _turn(item: dict[str, Any]) -> str:
    named = {str(key).lower(): value for key, value in item.items()}
    content = next((named[key] for key in CONTENTS if key in named), None)
    if isinstance(content, list):  # parts of a message
        content = " ".join(filter(None, (_turn(part) if isinstance(part, dict) else thing(part) for part in content)))
    if not isinstance(content, str | int | float):
        raise ValueError(str(item))
    role = next((named[key] for key in ROLES if isinstance(named.get(key), str)), "")
    return f"{role.strip()}: {str(content).strip()}" if role and str(content).strip() else str(content).strip()


def of_lists(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """As `read_lists`, of a column of lists, whose strings may be objects in JSON."""
    broken = np.zeros(len(column), bool)
    if not _flags(pc.match_substring_regex(pc.list_flatten(column), r"^\s*[{\[]")).any():
        return column, broken
    rows: list[list[str] | None] = []
    for i, row in enumerate(column.to_pylist()):
        try:
            rows.append(None if row is None else [said for one in row if (said := _thing_in(one))])
        except ValueError:
            broken[i] = True
            rows.append(None)
    return pa.array(rows, pa.list_(pa.string())), broken


def _thing_in(one: str | None) -> str:
    if one is None or not re.match(r"\s*(\{.*\}|\[.*\])\s*$", one, re.S):
        return one or ""
    try:
        value = json.loads(one)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(one.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return one
    return thing(value)


def _flags(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), bool)
