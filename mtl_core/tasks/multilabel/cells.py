"""The tags in a cell: a list, one as JSON or as Python prints it, or a text that a sign divides."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.data.lists import like_lists, read_lists
from mtl_core.data.values import cleaned
from mtl_core.tasks import common

SEPARATORS = (",", ";", "|", "/", "，", "；", "、")


def lists(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, np.ndarray]:
    """(lists, or strings, in which a list as JSON or as Python prints it has become its tags with `_TAG` before each; (N,) bool: a list
    that is broken). Where most cells are no lists, one that cannot be read as a list is a text."""
    none = np.zeros(len(column), bool)
    if pa.types.is_list(column.type):
        return column, none
    names = common.names(column)
    flat = pa.concat_arrays(names.chunks) if names.num_chunks else pa.array([], pa.string())
    rows, broken = read_lists(flat)
    if rows is None:
        return names, none
    looks = like_lists(flat)
    if 2 * looks.sum() <= len(flat) - flat.null_count:
        looks, broken = looks & ~broken, none
    cells = flat.to_pylist()
    for i in np.flatnonzero(looks):
        cells[i] = None if (row := rows[i]) is None else _TAG + _TAG.join(row)
    return pa.chunked_array([pa.array(cells, pa.string())]), broken


_TAG = "\x1f"
"""Before each tag of a list in a string: a sign that separates units, and is in no text."""


def holding(cells: pa.ChunkedArray) -> dict[str, np.ndarray]:
    """Separator → (N,) bool, in which cells it stands; the one in most cells first, those in none left out."""
    if pa.types.is_list(cells.type):
        return {}
    cells = pc.if_else(pc.starts_with(cells, _TAG), "", cells)
    found = {s: pc.fill_null(pc.match_substring(cells, s), False).to_numpy() for s in SEPARATORS}
    return {s: rows for s, rows in sorted(found.items(), key=lambda item: -int(item[1].sum())) if rows.any()}


def split_tags(cells: pa.ChunkedArray, separators: list[str]) -> pd.DataFrame:
    """One line a tag of a row: row, tag (as written, less outer and double spaces), key (the same for all spellings)."""
    found = cells
    if not pa.types.is_list(cells.type):
        cells = pc.fill_null(cells, "")
        divided = pc.split_pattern_regex(cells, "[" + ("".join(separators) or "\0") + "]")
        found = pc.if_else(pc.starts_with(cells, _TAG), pc.split_pattern(cells, _TAG), divided)
    found = common.histories(found).combine_chunks()
    tags = pc.fill_null(cleaned(found.flatten()), "")
    rows = np.repeat(np.arange(len(found)), pc.list_value_length(found).to_numpy(zero_copy_only=False))
    written = pc.not_equal(tags, "")
    tags = tags.filter(written)
    columns = {"tag": tags.to_pandas(), "key": pc.utf8_lower(tags).to_pandas()}
    return pd.DataFrame({"row": rows[written.to_numpy(zero_copy_only=False)], **columns})


def lower(tags: list[str]) -> list[str]:
    """The keys of tags, as `split_tags` makes them."""
    return list(pc.utf8_lower(pa.array(tags, pa.string())).to_pylist())


def counted(found: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Of lines of `split_tags`: key → the spelling of most rows, and key → its rows, the most first."""
    sizes = found.groupby(["key", "tag"]).size().rename("rows").reset_index()
    best = sizes.sort_values(["rows", "tag"], ascending=[False, True]).drop_duplicates("key")
    return best.set_index("key")["tag"], found.drop_duplicates(["row", "key"])["key"].value_counts()
