"""The half of a task kind that needs torch: what a head is given, what it is, and what several heads are made of."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mtl_core.tasks.base import Spec
from mtl_core.tasks.vectors import VectorOptions

_FAR = 1 << 32  # more characters than a text has


@dataclass
class Tokens:
    """The tokens of a slot's texts, those of one row after those of another, T in all; row r has offsets[r]:offsets[r + 1].

    index:   (T,) long, into `vectors`: each token's state; None where the slot reads ids only.
    offsets: (R + 1,) long.
    ids:     (T,) long, as they stand in the text, also where the encoder saw another.
    part:    (T,) long. 0: of the text, or the first of a pair; 1: of the second; -1: a special token.
    chars:   (T, 2) long: from and to which character of its text a token stands; (0, 0) for special tokens.
    masked:  (T,) bool: hidden from the encoder, to be guessed.
    """

    index: Tensor | None
    offsets: Tensor
    ids: Tensor
    part: Tensor
    chars: Tensor
    masked: Tensor

    @property
    def rows(self) -> Tensor:
        """(T,) long: the row of each token."""
        n_rows, tokens = len(self.offsets) - 1, len(self.ids)
        return torch.repeat_interleave(torch.arange(n_rows, device=self.ids.device), self.offsets.diff(), output_size=tokens)


@dataclass
class SlotIndex:
    """Which of the step's distinct encoded texts a slot's rows use.

    index:   (S,) long, into `vectors`; S = R for shapes one and pair. Empty where the slot reads ids only.
    offsets: (R + 1,) long for shape many: row r uses index[offsets[r]:offsets[r + 1]] (may be empty); None otherwise.
    tokens:  where the slot reads tokens or ids.
    """

    index: Tensor
    offsets: Tensor | None = None
    tokens: Tokens | None = None


@dataclass
class TaskBatch:
    """The rows of one task in one step, on the training device. R rows.

    features: name → (R, F): int64 codes or float32 numbers.
    lists:    name → (values (V,), offsets (R + 1,)): a list of numbers a row, for instance where spans begin.
    strings:  name → (R,) object: texts as they are, for answers and for measuring; on the processor.
    labels:   (R,) float32 or int64; None when predicting.
    groups:   (R,) int64; None when the kind has no groups.
    """

    slots: dict[str, SlotIndex]
    features: dict[str, Tensor] = field(default_factory=dict)
    labels: Tensor | None = None
    groups: Tensor | None = None
    lists: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    strings: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        if self.labels is not None:
            return len(self.labels)
        for feature in self.features.values():
            return len(feature)
        slot = next(iter(self.slots.values()))
        offsets = slot.offsets if slot.tokens is None else slot.tokens.offsets
        return len(slot.index) if offsets is None else len(offsets) - 1


class Taught(NamedTuple):
    """What is thought of texts that are known, each token from those before it.

    logits: (M, V); wanted: (M,) the tokens that come and then the end, row after row; rows: (M,).
    """

    logits: Tensor
    wanted: Tensor
    rows: Tensor


def n_taught(there: Tensor, lengths: Tensor, longest: int) -> Tensor:
    """(R,): tokens that are taught of targets of `lengths` tokens, of which so many are there: with the end of those that are whole."""
    return there.clamp(max=longest) + ((there == lengths) & (lengths <= longest))


class Writer(Protocol):
    """A module that writes texts. end: id that ends them."""

    @property
    def end(self) -> int: ...

    def teach(self, vectors: Tensor, source: Tokens, target: Tokens, longest: int) -> Taught:
        """vectors: as a head is given them; source: of the slot that is read; target: of that to be written, which `continues` it; longest:
        most tokens of one that are taught. One that is longer, or was cut, has no end: it does not end there."""

    def begin(self, vectors: Tensor, source: Tokens) -> Any:
        """The state of what is written to each row, with a cache of keys and values inside."""

    def step(self, state: Any, ids: Tensor | None) -> Tensor:
        """→ (B, V): logits of the next token. ids: (B,) what was written last, None in the first step. The state goes on."""

    def pick(self, state: Any, rows: Tensor) -> Any:
        """The state of `rows` (B',) of the B, each any number of times; the old one is used up."""


class Vocabulary(Protocol):
    """What a head that reads or writes words needs of the encoder."""

    @property
    def embeddings(self) -> Tensor:
        """(V, E): the word embeddings."""

    @property
    def tokenizer(self) -> Any:
        """A fast tokenizer of transformers."""

    @property
    def max_length(self) -> int:
        """Most tokens of a text, which is cut behind them."""

    def language_model(self) -> Writer | None:
        """The backbone's own pretrained part that writes, a module that is new in each call; None where it has none."""


class Head(ABC):
    """What of a kind stands on the shared encoder: a module and its loss, and what is read off its outputs. Stateless."""

    @abstractmethod
    def module(self, hidden: int, spec: Spec, options: Any) -> nn.Module:
        """Module with `forward(vectors, batch) -> outputs`, of any shape; vectors (L, hidden) float32: one of each distinct text of the
        step and one of each token whose state a slot reads. A `WordHead` if it needs the encoder's words."""

    @abstractmethod
    def loss(self, logits: Any, batch: TaskBatch, spec: Spec, options: Any) -> Tensor:
        """(R,) one loss a row; the step takes the mean. logits: the module's outputs."""

    @abstractmethod
    def scores(self, logits: Any, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R, ...): what is measured and presented. Probabilities or relevances in [0, 1], (R,) or (R, C) float32; or (R,) objects, where
        an answer is no row of numbers. logits: the module's outputs, in evaluation mode."""

    def truth(self, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R, ...): what `scores` is measured against."""
        assert batch.labels is not None
        return batch.labels.cpu().numpy()


class WordHead(nn.Module):
    """A head that uses the encoder's own words: their embeddings, and what they are called. `tie` is called once, before all else."""

    def tie(self, words: Vocabulary) -> None:
        self._words = (words,)  # not a module of its own: its parameters are the encoder's

    @property
    def words(self) -> Vocabulary:
        return self._words[0]


class DualHead(nn.Module, ABC):
    """A head that compares two texts by their vectors alone, so that all pairs of many texts can be scored."""

    @abstractmethod
    def embed(self, vectors: Tensor, slot: str) -> Tensor:
        """(S, hidden) of texts of a slot → (S, E): the logit of a pair grows with the dot product of both."""


class CatalogueHead(nn.Module, ABC):
    """A head that can say how a row stands to any item, not only to its own."""

    @abstractmethod
    def users(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (L, hidden) → (R, D): all of a row but its item."""

    @abstractmethod
    def match(self, users: Tensor, vectors: Tensor) -> Tensor:
        """users (R, D), vectors (N, hidden) of items → logits (R, N), within rounding those of `forward`."""


def output_layer(width: int, n: int, prior: float | Sequence[float] | None = None) -> nn.Linear:
    """A linear layer that begins at 0, so that the first guess is `prior`, one for all outputs or one each (None: 0.5), whatever comes
    in; it learns faster so."""
    layer = nn.Linear(width, n)
    nn.init.zeros_(layer.weight)
    with torch.no_grad():
        layer.bias.copy_(torch.logit(torch.tensor(0.5 if prior is None else prior)))
    return layer


class VectorHead(nn.Module):
    """Layer norm, dropout, optionally a fully connected layer, then n numbers a row, which begin at the logits of `prior` (None: at 0)."""

    def __init__(self, hidden: int, n: int, options: VectorOptions, prior: float | Sequence[float] | None = None):
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(hidden), nn.Dropout(options.dropout))
        if options.hidden_size:
            self.layers.extend([nn.Linear(hidden, options.hidden_size), nn.GELU(), nn.Dropout(options.dropout)])
        self.layers.append(output_layer(options.hidden_size or hidden, n, prior))

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (S, H) → (R, n)."""
        slot = batch.slots["pair"] if "pair" in batch.slots else batch.slots["text"]
        return self.layers(vectors[slot.index])


def covering(tokens: Tokens, spans: tuple[Tensor, Tensor], ends: Tensor, part: int = 0) -> Tensor:
    """(T,) long: the span, by its number in the batch, that each token of a `part` stands in, wholly or not; -1 for none.

    spans: (starts (V,), offsets (R + 1,)) as in `TaskBatch.lists`, ends: (V,), in characters; of one row ascending and not overlapping.
    """
    starts, offsets = spans
    if not len(starts):
        return torch.full_like(tokens.ids, -1)
    row = tokens.rows
    owner = torch.repeat_interleave(torch.arange(len(offsets) - 1, device=starts.device), offsets.diff(), output_size=len(starts))
    last = torch.searchsorted(owner * _FAR + starts, row * _FAR + tokens.chars[:, 1]) - 1  # the last one to begin before the token's end
    near = last.clamp(min=0)
    inside = (last >= 0) & (owner[near] == row) & (ends[near] > tokens.chars[:, 0]) & (tokens.part == part)
    return torch.where(inside, last, -1)


def read_to(tokens: Tokens, part: int = 0) -> Tensor:
    """(R,) long: up to which character the encoder reads each text; 0 where it reads none of it."""
    ends = torch.where(tokens.part == part, tokens.chars[:, 1], 0)
    return torch.zeros(len(tokens.offsets) - 1, dtype=torch.long, device=ends.device).scatter_reduce_(0, tokens.rows, ends, "amax")


def no_text_vectors(hidden: int, device: torch.device) -> Tensor:
    """(0, hidden): what heads of tasks without texts are given."""
    return torch.zeros(0, hidden, device=device)
