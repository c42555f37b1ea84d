"""What a person wants to know of a table before training: how labels lie in the split, how long texts are."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.data.places import PARTS
from mtl_core.data.values import as_text

_SAMPLE = 5000
"""Texts that are measured; more would not change the picture."""


def label_counts(labels: pa.Array | pa.ChunkedArray, split: np.ndarray, most: int = 30) -> tuple[list[dict[str, Any]], int]:
    """Rows by label and part, the most frequent labels first, at most `most` of them; and how many labels there are.

    labels: (N,), nulls are left out, a list counts for each thing in it; split: (N,) str. A row: {"label": str, "train": int,
    "validation": int, "test": int}.
    """
    if pa.types.is_list(labels.type):
        whole = labels.combine_chunks() if isinstance(labels, pa.ChunkedArray) else labels
        labels, split = whole.flatten(), split[pc.list_parent_indices(whole).to_numpy()]
    used = pc.and_(labels.is_valid(), pa.array(split != ""))
    codes = pc.dictionary_encode(as_text(labels.filter(used)))
    codes = codes.combine_chunks() if isinstance(codes, pa.ChunkedArray) else codes
    parts = split[used.to_numpy(zero_copy_only=False)]
    names = codes.dictionary.to_pylist()
    index = codes.indices.to_numpy()
    counts = {part: np.bincount(index[parts == part], minlength=len(names)) for part in PARTS}
    total = np.sum(list(counts.values()), axis=0)
    order = np.argsort(-total, kind="stable")[:most]
    return [{"label": names[i], **{part: int(counts[part][i]) for part in PARTS}} for i in order], len(names)


def token_lengths(column: pa.ChunkedArray, count: Callable[[list[str]], list[int]], seed: int = 0) -> np.ndarray:
    """(S,) what `count` says of each text, S ≤ 5000 drawn at random. Lists count text by text; nulls are left out."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = pc.list_flatten(column)
    column = column.drop_null()
    if len(column) > _SAMPLE:
        column = column.take(pa.array(np.sort(np.random.default_rng(seed).choice(len(column), _SAMPLE, replace=False))))
    texts = column.cast(pa.string()).to_pylist()
    return np.array(count(texts) if texts else [], np.int64)


def histogram(lengths: Sequence[np.ndarray], bins: int = 30) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each array's (counts, edges) over whole-number bins that all of them share; lengths above the 99.5th percentile are in the last."""
    everything = np.concatenate([*lengths, [0]])
    highest = max(1, int(np.percentile(everything, 99.5)))
    width = max(1, -(-(highest + 1) // bins))
    edges = np.arange(0, highest + width + 1, width)
    return [(np.histogram(np.minimum(array, edges[-1] - 1), edges)[0], edges) for array in lengths]
