"""Rows that were never stored, as those of `compiled`: what predictions are made from."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mtl_core.data.compiled import Reading, RowBlock, SlotLike

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BLANK = re.compile("_{2,}")


class MemoryTexts:
    """The distinct texts of a few rows, tokenised. As `tokens.TextStore`; equal hashes mean equal texts of this object."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", max_length: int):
        self._tokenizer, self._max_length = tokenizer, max_length
        self._codes: dict[str, int] = {}
        self._ids: list[np.ndarray] = []
        self._spans: list[np.ndarray] = []

    def codes(self, texts: Sequence[str | None]) -> np.ndarray:
        """(N,) int64; None counts as empty."""
        new = [text for text in dict.fromkeys(t or "" for t in texts) if text not in self._codes]
        if new:
            encoded = self._tokenizer(
                new, add_special_tokens=False, truncation=True, max_length=self._max_length, return_offsets_mapping=True
            )
            for text, ids, spans in zip(new, encoded["input_ids"], encoded["offset_mapping"], strict=True):
                self._codes[text] = len(self._ids)
                self._ids.append(np.array(ids, np.int64))
                self._spans.append(np.array(spans, np.int32).reshape(-1, 2))
        return np.array([self._codes[t or ""] for t in texts], np.int64)

    @property
    def hashes(self) -> np.ndarray:
        return np.arange(len(self._ids), dtype=np.uint64)

    def ids(self, i: int) -> np.ndarray:
        return self._ids[i]

    def chars(self, i: int) -> np.ndarray:
        return self._spans[i]


def rows_in_memory(
    encoded: pa.Table, slots: Sequence[SlotLike], tokenizer: "PreTrainedTokenizerBase", max_length: int
) -> tuple[RowBlock, dict[str, MemoryTexts]]:
    """encoded: what `TaskKind.encode` made of rows without labels. → the rows, and for each slot where its text codes point.

    In a slot with masks ___ stands for a hidden word; a text without one gets it at its end.
    """
    texts, block = MemoryTexts(tokenizer, max_length), RowBlock({})
    for slot in slots:
        block.readings[slot.name] = Reading.of(slot)
        values = encoded.column(slot.name).to_pylist()
        if slot.shape == "pair":
            halves = [texts.codes([None if v is None else list(v.values())[i] for v in values]) for i in range(2)]
            block.slots[slot.name] = np.stack(halves, axis=1), None
        elif slot.shape == "many":
            offsets = np.cumsum([0, *(len(v or []) for v in values)])
            block.slots[slot.name] = texts.codes([t for v in values for t in v or []]), offsets
        else:
            block.slots[slot.name] = texts.codes([_with_masks(v, tokenizer) for v in values] if slot.masks else values), None
    for name in encoded.column_names:
        if name not in block.slots and name not in ("label", "group"):
            column = encoded.column(name).combine_chunks()
            if pa.types.is_list(column.type):
                values = column.flatten().to_numpy(zero_copy_only=False).copy()
                block.lists[name] = values, np.cumsum([0, *(len(v or []) for v in column.to_pylist())])
                continue
            if pa.types.is_string(column.type):
                block.strings[name] = np.array(column.to_pylist(), object)
                continue
            flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
            block.features[name] = flat.to_numpy(zero_copy_only=False).copy().reshape(len(encoded), -1)  # torch wants to own it
    return block, {slot.name: texts for slot in slots}


def _with_masks(text: str | None, tokenizer: "PreTrainedTokenizerBase") -> str:
    mask = str(tokenizer.mask_token)
    text = _BLANK.sub(f" {mask} ", text or "")
    return text if mask in text else f"{text} {mask}"
