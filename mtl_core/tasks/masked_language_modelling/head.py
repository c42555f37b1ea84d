"""Masked language modelling: the head and its loss."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core.tasks import heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.frequencies import log_frequencies
from mtl_core.tasks.heads import TaskBatch, Vocabulary, WordHead
from mtl_core.tasks.masked_language_modelling import MaskedLanguageOptions

SHOWN_WORDS = 5  # for a blank


_TRIED = 50  # tokens that are looked through for words


_CHUNK = 1024  # tokens whose logits over the vocabulary are held at once, when nothing is learnt from them


@dataclass
class Guesses:
    """Of M hidden tokens, those of one row after those of another, R rows.

    counts: (R,) long. losses: (M,). hits: (M,) bool, whether the most probable token is the right one; tokens: (M,) object, the right one
    as the tokenizer calls it; both None while training. words: one mapping of words to probabilities a token, when predicting.
    """

    counts: Tensor
    losses: Tensor
    hits: np.ndarray | None = None
    tokens: np.ndarray | None = None
    words: list[dict[str, float]] | None = None


class MaskedLanguageHead(WordHead):
    """The head of "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding"
    (https://arxiv.org/abs/1810.04805), on hidden tokens only.

        logits = LayerNorm(GELU(W h + b)) Eᵀ + c

    h: (hidden,) a token's state; c: (V,) at first how frequent words are in training texts; E: (V, width) the encoder's word embeddings.
    They learn as what is read, not as what is written: that gradient has a number for every word of the vocabulary, where a step opens
    only the rows that it reads.
    """

    def __init__(self, hidden: int, spec: Spec):
        super().__init__()
        self.hidden, self.spec = hidden, spec

    def tie(self, words: Vocabulary) -> None:
        super().tie(words)
        width = words.embeddings.shape[1]
        self.transform = nn.Sequential(nn.Linear(self.hidden, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.as_tensor(log_frequencies(self.spec, words)))

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Guesses:
        """vectors: (L, hidden)."""
        tokens = batch.slots["text"].tokens
        assert tokens is not None and tokens.index is not None
        counts = tokens.rows[tokens.masked].bincount(minlength=len(tokens.offsets) - 1)
        states, ids = vectors[tokens.index[tokens.masked]], tokens.ids[tokens.masked]
        if self.training:
            return Guesses(counts, F.cross_entropy(self._logits(states), ids, reduction="none"))
        losses, hits, words = [], [], []
        for part, wanted in zip(states.split(_CHUNK), ids.split(_CHUNK), strict=True):
            logits = self._logits(part)
            losses.append(F.cross_entropy(logits, wanted, reduction="none"))
            hits.append(logits.argmax(1) == wanted)
            if batch.labels is None:
                words += self._words_of(logits)
        names = np.array(self.words.tokenizer.convert_ids_to_tokens(ids.tolist()), object)
        return Guesses(counts, torch.cat(losses), torch.cat(hits).cpu().numpy(), names, words if batch.labels is None else None)

    def _logits(self, states: Tensor) -> Tensor:
        return F.linear(self.transform(states), self.words.embeddings.detach(), self.bias)

    def _words_of(self, logits: Tensor) -> list[dict[str, float]]:
        """The most probable tokens that are words: no special ones, no ends of words, no punctuation."""
        tokenizer, found = self.words.tokenizer, []
        best = torch.softmax(logits, 1).topk(min(_TRIED, logits.shape[1]))
        special = set(tokenizer.all_special_ids)
        for ids, probabilities in zip(best.indices.tolist(), best.values.tolist(), strict=True):
            words: dict[str, float] = {}
            for token, probability in zip(ids, probabilities, strict=True):
                word = tokenizer.decode([token]).strip()
                if token not in special and not word.startswith("##") and any(map(str.isalnum, word)) and len(words) < SHOWN_WORDS:
                    words.setdefault(word, probability)
            found.append(words)
        return found


class Head(heads.Head):
    def module(self, hidden: int, spec: Spec, options: MaskedLanguageOptions) -> MaskedLanguageHead:
        return MaskedLanguageHead(hidden, spec)

    def loss(self, logits: Guesses, batch: TaskBatch, spec: Spec, options: MaskedLanguageOptions) -> Tensor:
        """Mean over a row's hidden tokens; 0 without any, as in an empty text, which no step draws."""
        return torch.segment_reduce(logits.losses, "mean", lengths=logits.counts, initial=0, unsafe=True)

    def scores(self, logits: Guesses, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R,) of {"losses", "hits", "tokens": (m,) arrays, "words": list, when predicting}."""
        assert logits.hits is not None and logits.tokens is not None
        ends = np.cumsum([0, *logits.counts.tolist()])
        losses, rows = logits.losses.detach().float().cpu().numpy(), np.empty(len(ends) - 1, object)
        for r, (start, end) in enumerate(pairwise(ends)):
            rows[r] = {"losses": losses[start:end], "hits": logits.hits[start:end], "tokens": logits.tokens[start:end]}
            if logits.words is not None:
                rows[r]["words"] = logits.words[start:end]
        return rows


HEAD = Head()
