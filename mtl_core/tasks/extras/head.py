"""The layers that read extra columns, put before the head of any kind; see `mtl_core.tasks.extras`."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mtl_core.tasks.base import Spec
from mtl_core.tasks.extras import FEATURES, KNOWLEDGE, READ_TO
from mtl_core.tasks.feature_encoding import FeatureEncoding
from mtl_core.tasks.heads import Head, SlotIndex, TaskBatch, Vocabulary, WordHead, output_layer


class ExtrasModule(WordHead):
    """Another head, which is given v + W f in the place of v, the vector of a row's text, and h + W f for the states h of its tokens.

    f: the features of the row (see `FeatureEncoding`) beside the vector of its knowledge, brought to mean 0 and variance 1. W begins at 0,
    so that at first nothing is changed.
    """

    def __init__(self, head: nn.Module, hidden: int, spec: Spec):
        super().__init__()
        self.head, self.slot = head, spec["slot"]
        self.features = FeatureEncoding(spec, FEATURES) if spec["vocabularies"] or spec["numbers"] else None
        self.knowledge = nn.LayerNorm(hidden) if spec["knowledge"] else None
        width = (self.features.width if self.features else 0) + (hidden if self.knowledge else 0)
        self.output = output_layer(width, hidden)

    def tie(self, words: Vocabulary) -> None:
        if isinstance(self.head, WordHead):
            self.head.tie(words)

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Any:
        """vectors (L, H) → the other head's outputs."""
        parts = [self.features(batch)] if self.features is not None else []
        if self.knowledge is not None:
            parts.append(self.knowledge(vectors[batch.slots[KNOWLEDGE].index]))
        added = self.output(torch.cat(parts, dim=1)).to(vectors.dtype)  # (R, H)
        slot = batch.slots[self.slot]
        own = [vectors, vectors[slot.index] + added]
        tokens, index = slot.tokens, len(vectors) + self._first(batch)
        if tokens is not None and tokens.index is not None:
            own.append(vectors[tokens.index] + added[tokens.rows])
            start = len(vectors) + len(added)
            tokens = replace(tokens, index=torch.arange(start, start + len(tokens.ids), device=vectors.device))
        slots = {**batch.slots, self.slot: SlotIndex(index, None, tokens)}
        return self.head(torch.cat(own), replace(batch, slots=slots))

    def _first(self, batch: TaskBatch) -> Tensor:
        """(R,): for each row the first with the same text and the same extra columns, as heads may ask which rows have one text."""
        index = batch.slots[self.slot].index
        keys = [index[:, None], *(batch.features[name] for name in ("categories", "numbers", "missing") if name in batch.features)]
        keys += [batch.slots[KNOWLEDGE].index[:, None]] if self.knowledge is not None else []
        names, which = torch.cat([key.double() for key in keys], dim=1).unique(dim=0, return_inverse=True)
        place = torch.arange(len(index), device=index.device)
        first = torch.zeros(len(names), dtype=torch.long, device=index.device)
        return first.scatter_reduce(0, which, place, "amin", include_self=False)[which]


class ExtrasHead(Head):
    """plain: the kind's own head. half: of a pair, the text that the extra columns describe."""

    def __init__(self, plain: Head, half: int):
        self.plain, self.half = plain, half

    def module(self, hidden: int, spec: Spec, options: Any) -> nn.Module:
        module = self.plain.module(hidden, spec, options)
        return ExtrasModule(module, hidden, spec["extras"]) if "extras" in spec else module

    def loss(self, logits: Any, batch: TaskBatch, spec: Spec, options: Any) -> Tensor:
        return self.plain.loss(logits, self._of_the_text(batch), spec, options)

    def scores(self, logits: Any, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return self.plain.scores(logits, self._of_the_text(batch), spec)

    def truth(self, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return self.plain.truth(self._of_the_text(batch), spec)

    def _of_the_text(self, batch: TaskBatch) -> TaskBatch:
        """The batch, where what is written behind a text is as special tokens are, so that no span is found in it."""
        if READ_TO not in batch.features:
            return batch
        name, slot = next((name, slot) for name, slot in batch.slots.items() if slot.tokens is not None and slot.tokens.index is not None)
        tokens = slot.tokens
        assert tokens is not None
        behind = (tokens.chars[:, 1] > batch.features[READ_TO][tokens.rows, 0]) & (tokens.part == self.half)
        tokens = replace(tokens, chars=tokens.chars.masked_fill(behind[:, None], 0), part=tokens.part.masked_fill(behind, -1))
        return replace(batch, slots={**batch.slots, name: replace(slot, tokens=tokens)})
