"""Extraction: the head and its loss."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core.tasks import heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.extraction import ExtractionOptions, _true
from mtl_core.tasks.heads import TaskBatch, covering, output_layer, read_to
from mtl_core.tasks.spans import Span, objects, trimmed


class ExtractionHead(nn.Module):
    """Layer norm, dropout, optionally a fully connected layer, then one logit a tag: O, and B and I of each attribute.

    BIO tags as in "Text Chunking using Transformation-Based Learning" (https://arxiv.org/abs/cmp-lg/9505040), over word pieces: the
    first of a span is B, all others are I.
    """

    def __init__(self, hidden: int, spec: Spec, options: ExtractionOptions):
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(hidden), nn.Dropout(options.dropout))
        if options.hidden_size:
            self.layers.extend([nn.Linear(hidden, options.hidden_size), nn.GELU(), nn.Dropout(options.dropout)])
        self.layers.append(output_layer(options.hidden_size or hidden, 1 + 2 * len(spec["attributes"])))

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (L, H) → logits (T, 1 + 2 A)."""
        tokens = batch.slots["text"].tokens
        assert tokens is not None and tokens.index is not None
        return self.layers(vectors[tokens.index])


class Head(heads.Head):
    def module(self, hidden: int, spec: Spec, options: ExtractionOptions) -> ExtractionHead:
        return ExtractionHead(hidden, spec, options)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: ExtractionOptions) -> Tensor:
        """Cross-entropy of the tags, mean over a row's tokens; 0 for a row without any."""
        tokens = batch.slots["text"].tokens
        assert tokens is not None
        span = covering(tokens, batch.lists["starts"], batch.lists["ends"][0])
        tags = torch.zeros_like(span)
        if len(batch.lists["attributes"][0]):
            before = F.pad(span.cummax(0).values[:-1], (1, 0), value=-1)  # a span's tokens come one after another
            tags = torch.where(span >= 0, 1 + 2 * batch.lists["attributes"][0][span.clamp(min=0)] + (span <= before), 0)
        real = (tokens.part >= 0).float()
        weights = torch.where(tags > 0, real, options.outside_weight * real)
        losses = F.cross_entropy(logits.float(), tags, reduction="none") * weights
        sums = torch.zeros(2, len(tokens.offsets) - 1, device=losses.device).index_add_(1, tokens.rows, torch.stack([losses, real]))
        return sums[0] / sums[1].clamp(min=1)

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R,) lists of `Span`, from the most probable tags of which no I follows on anything but B or I of its attribute.

        probability: the mean of those of the span's tags.
        """
        tokens = batch.slots["text"].tokens
        assert tokens is not None
        log = torch.log_softmax(logits.detach().float(), dim=1).cpu().numpy()
        row, chars, part = (t.cpu().numpy() for t in (tokens.rows, tokens.chars, tokens.part))
        tag = np.zeros(len(log), np.int64)
        tag[part >= 0] = best_tags(log[part >= 0], row[part >= 0])
        inside, first = np.flatnonzero(tag), np.flatnonzero(tag % 2)
        number = np.cumsum(tag % 2)[inside] - 1  # the span of each token inside of one
        n_tokens = np.bincount(number, minlength=len(first))
        last = inside[np.cumsum(n_tokens) - 1]
        mean = np.bincount(number, weights=np.exp(log[inside, tag[inside]]), minlength=len(first)) / n_tokens
        found: list[list[Span]] = [[] for _ in range(batch.n_rows)]
        for i, j, p in zip(first, last, mean, strict=True):
            text = batch.strings["original"][row[i]]
            start, end = trimmed(text, int(chars[i, 0]), int(chars[j, 1]))  # some tokenizers count the space before a word to it
            if start < end:
                found[row[i]].append(Span(start, end, spec["attributes"][tag[i] // 2], float(p), text[start:end]))
        return objects(found, len(found))

    def truth(self, batch: TaskBatch, spec: Spec) -> np.ndarray:
        tokens = batch.slots["text"].tokens
        assert tokens is not None
        starts, offsets = batch.lists["starts"]
        lists = [t.cpu().numpy() for t in (starts, batch.lists["ends"][0], batch.lists["attributes"][0])]
        return _true(lists, offsets.cpu().numpy(), read_to(tokens).cpu().numpy(), batch.strings["original"], spec)


HEAD = Head()


def best_tags(log: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The most probable tags of each row's tokens of which every I follows on B or I of its own attribute.

    "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm" (https://doi.org/10.1109/TIT.1967.1054010).

    log: (T, 1 + 2 A) log-probabilities; row: (T,) ascending. → (T,) int64
    """
    if not len(row):
        return row
    place = np.arange(len(row)) - np.searchsorted(row, row)
    steps = np.full((place.max() + 1, row[-1] + 1, log.shape[1]), -np.inf, np.float32)  # (L, R, C); after its end a row has O
    steps[:, :, 0] = 0
    steps[place, row] = log
    score, before = steps[0], np.zeros(steps.shape, np.int16)
    score[:, 2::2] = -np.inf
    begins = np.arange(1, log.shape[1], 2)
    for i in range(1, len(steps)):
        before[i] = score.argmax(axis=1)[:, None]
        before[i, :, 2::2] = begins + (score[:, 2::2] > score[:, 1::2])
        score = steps[i] + np.take_along_axis(score, before[i].astype(np.int64), axis=1)
    tags = np.zeros(steps.shape[:2], np.int64)
    tags[-1] = score.argmax(axis=1)
    for i in range(len(steps) - 1, 0, -1):
        tags[i - 1] = np.take_along_axis(before[i], tags[i][:, None], axis=1)[:, 0]
    return tags[place, row]
