"""What a task kind is: the fields it needs, its head on the shared encoder, its loss, metrics, report and predictions.

A new kind is one file with a `TaskKind` subclass, one line in `mtl_core/tasks/__init__.py` and one test file.

How rows go through a kind:

    table (columns renamed to fields) --keep--> rows       those that the task uses
    training rows --fit--> spec                            what the head must know
    table + spec --encode--> encoded table                 one column a text slot, `label`, `group`, feature columns
    encoded table --(data.compiled, training.batches)--> TaskBatch
    vectors of the distinct texts + TaskBatch --head--> outputs --loss--> (R,)
    outputs --scores--> numpy, TaskBatch --truth--> numpy; both --evaluate, report--> metrics, panels; of validation --tuned--> spec
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from mtl_core.base.settings import Options
from mtl_core.data.problems import Problem
from mtl_core.evaluation.metrics import LOWER_IS_BETTER

Spec = dict[str, Any]
"""What a head must know of its data (classes, vocabularies, means ...). JSON only: it lies beside the checkpoint."""


@dataclass(frozen=True)
class Field:
    """One thing that a kind reads from a table.

    type:     text (a string, may be joined of several columns), texts (a list of strings), category, number,
              label, group (rows that belong to one query or user).
    many:     several columns may be mapped to it (texts are joined by a space; categories and numbers stand side by side).
    aliases:  column names seen in the wild, lower case, for suggestions.
    holds:    of a label: class (any value), number (read as people write them), tags (a list, or text with several of them).
    help:     one sentence, marked with N_.
    asked:    whether a prediction wants it, too; a label or a group is never asked for.
    suggested: whether columns are proposed for it, by their names or by what they hold.
    """

    name: str
    type: Literal["text", "texts", "category", "number", "label", "group"]
    help: str
    required: bool = True
    many: bool = False
    aliases: tuple[str, ...] = ()
    holds: Literal["class", "number", "tags"] = "class"
    asked: bool = True
    suggested: bool = True


@dataclass(frozen=True)
class Slot:
    """A place for texts in a row of a kind.

    shape:  one: a text; many: a list of texts (a history); pair: two texts, read together.
    reads:  what the head is given of a text. vector: one for the text; tokens: that, and the state of each of its tokens; ids: its token
            ids, and the encoder never sees it (a target to be written). Shape many has vectors only.
    masks:  share of the tokens that the encoder does not see as they are, in [0, 1); above 0 with tokens only. Drawn anew in every
            step, and always the same in an evaluation; in a prediction of shape one it is what ___ stands for.
    continues: of ids, the slot (one, tokens) whose text they continue. Where the backbone's own causal language model writes, it reads
            them behind that text, whose tokens then include them, as part 1, and whose vector is of no use. Elsewhere without effect.
    """

    name: str
    shape: Literal["one", "many", "pair"] = "one"
    reads: Literal["vector", "tokens", "ids"] = "vector"
    masks: float = 0.0
    continues: str = ""


@dataclass(frozen=True)
class MetricInfo:
    """How a metric is named, read and compared."""

    name: str
    label: str
    help: str

    @property
    def higher_is_better(self) -> bool:
        return self.name not in LOWER_IS_BETTER


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
        return torch.repeat_interleave(
            torch.arange(len(self.offsets) - 1, device=self.ids.device), self.offsets.diff(), output_size=len(self.ids)
        )


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


class WordHead(nn.Module):
    """A head that uses the encoder's own words: their embeddings, and what they are called. `tie` is called once, before all else."""

    def tie(self, words: Vocabulary) -> None:
        self._words = (words,)  # not a module of its own: its parameters are the encoder's

    @property
    def words(self) -> Vocabulary:
        return self._words[0]


@dataclass(frozen=True)
class Mining:
    """Every `every` steps, for each text of the slot `given` in the training rows, the `most` texts of the slot `ranked` in the training
    rows that score best and that no row calls right for it (a label above 0): rows with the label 0 from then on. Slots of shape one."""

    every: int
    most: int
    given: str
    ranked: str


class DualHead(nn.Module, ABC):
    """A head that compares two texts by their vectors alone, so that all pairs of many texts can be scored."""

    @abstractmethod
    def embed(self, vectors: Tensor, slot: str) -> Tensor:
        """(S, hidden) of texts of a slot → (S, E): the logit of a pair grows with the dot product of both."""


@dataclass(frozen=True)
class Catalogue:
    """What an evaluation ranks beside the rows' own candidates: every distinct text of a slot.

    slot: whose texts they are. The kind's head is a `CatalogueHead`, and all its slots have shape one or many and read vectors.
    rows: at most so many rows with a label above 0.5 are ranked, always the same ones, ≥ 1.
    seen: the slot whose texts are left out of a row's ranking (never the row's own item); None: nothing is.
    """

    slot: str
    rows: int
    seen: str | None = None


class CatalogueHead(nn.Module, ABC):
    """A head that can say how a row stands to any item, not only to its own."""

    @abstractmethod
    def users(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (L, hidden) → (R, D): all of a row but its item."""

    @abstractmethod
    def match(self, users: Tensor, vectors: Tensor) -> Tensor:
        """users (R, D), vectors (N, hidden) of items → logits (R, N), within rounding those of `forward`."""


@dataclass(frozen=True)
class Panel:
    """A part of a report that the screen knows how to draw by its `type`; `data` is JSON only.

    type → data:
        table        {"columns": [...], "rows": [[...], ...]}            (classification report: one row a class, then averages)
        matrix       {"labels": [...], "values": [[int, ...], ...]}      (confusion: rows true, columns predicted)
        reliability  {"confidence": [...], "observed": [...], "count": [...]}
    """

    type: Literal["table", "matrix", "reliability"]
    title: str
    data: dict[str, Any]


class TaskKind(ABC):
    """How a sort of task is adapted to the shared encoder. Stateless: one instance a kind, in `mtl_core.tasks.KINDS`."""

    name: ClassVar[str]
    label: ClassVar[str]  # for the screen, marked with N_
    help: ClassVar[str]  # one sentence, marked with N_
    fields: ClassVar[tuple[Field, ...]]
    Options: ClassVar[type[Options]] = Options
    metrics: ClassVar[tuple[MetricInfo, ...]]
    primary: ClassVar[str]  # the metric that early stopping and the comparison look at first
    ranks: ClassVar[str | None] = None  # the field whose candidates an analyst ranks over a catalogue, None if nothing is ranked
    extras_of: ClassVar[tuple[str, int]] = ("", 0)  # slot of the text that extra columns describe ("": the first), and its half of a pair
    takes_logs: ClassVar[bool] = False  # whether its table may be a transaction log, whose fields `data.transactions` makes
    rows_at_once: ClassVar[int] = 16_384  # most rows that are scored together; few where every token's state is held

    @abstractmethod
    def slots(self, options: Any, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        """The text slots that `encode` fills when `fields` (names) are mapped; None: every slot that it may ever fill, of which
        the encoded table holds those in use. Empty when the mapped fields hold no text."""

    @abstractmethod
    def check(self, table: pa.Table, split: np.ndarray, options: Any) -> list[Problem]:
        """All problems of the labels and fields for this kind. table: one column per mapped *field*, and `_line` (the line
        in the source file); split: (N,) of "train" | "validation" | "test". Never raises for bad data."""

    def keep(self, table: pa.Table, split: np.ndarray, options: Any, seed: int) -> np.ndarray:
        """(N,) bool: the rows that the task uses; for it the others are in no part of the split. table, split: as for `check`; seed: the
        experiment's, for what is drawn."""
        return np.ones(table.num_rows, dtype=bool)

    def counted(self, table: pa.Table, options: Any) -> pa.Array | pa.ChunkedArray | None:
        """(N,) what a person is told the number of rows by: the label, or a list of the names in it; None where that would say nothing.
        table: as for `check`, without errors."""
        return table["label"] if "label" in table.column_names else None

    @abstractmethod
    def fit(self, table: pa.Table, options: Any) -> Spec:
        """What the head must know, from the *training* rows."""

    @abstractmethod
    def encode(self, table: pa.Table, spec: Spec, options: Any) -> pa.Table:
        """Rows as the head wants them; also used to predict, then without `label`.

        Columns: one a slot (string for one, list<string> for many, struct<a, b: string> for pair), `label` (float32 or int64,
        null = this task does not learn from the row), `group` (int64, optional), features (fixed_size_list<int64 | float32>),
        lists (list<int64 | float32>) and strings (string).
        """

    @abstractmethod
    def head(self, hidden: int, spec: Spec, options: Any) -> nn.Module:
        """Module with `forward(vectors, batch) -> outputs`, of any shape; vectors (L, hidden) float32: one of each distinct text of the
        step and one of each token whose state a slot reads. A `WordHead` if it needs the encoder's words."""

    @abstractmethod
    def loss(self, logits: Any, batch: TaskBatch, spec: Spec, options: Any) -> Tensor:
        """(R,) one loss a row; the step takes the mean. logits: the head's outputs."""

    @abstractmethod
    def scores(self, logits: Any, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R, ...): what is measured and presented. Probabilities or relevances in [0, 1], (R,) or (R, C) float32; or (R,) objects, where
        an answer is no row of numbers. logits: the head's outputs, in evaluation mode."""

    def truth(self, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R, ...): what `scores` is measured against."""
        assert batch.labels is not None
        return batch.labels.cpu().numpy()

    def tuned(self, scores: np.ndarray, labels: np.ndarray, spec: Spec, options: Any) -> Spec:
        """What is chosen on the watched validation rows, such as a threshold, at every evaluation: entries that replace those of `spec`
        in `evaluate`, `report` and `present`, there and, with the model of that evaluation, on the test split and in predictions."""
        return {}

    @abstractmethod
    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        """Every metric of `metrics` that is defined here; an undefined one (one class only, say) is left out. labels: as by `truth`."""

    @abstractmethod
    def report(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        """What a person reads beside the metrics."""

    @abstractmethod
    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: Any, part: str) -> dict[str, float]:
        """The metrics of the kind's naive baseline (popularity, majority class, TF-IDF), fitted on train, scored on `part`."""

    def relevance(self, scores: np.ndarray) -> np.ndarray:
        """(R,) in [0, 1], out of `scores`: what a catalogue of the field that is ranked (see `ranks`) is sorted by."""
        return scores

    def draws_groups(self, options: Any) -> bool:
        """Whether rows of one `group` are to be drawn together, so that the loss may compare them."""
        return False

    def compares(self, options: Any) -> bool:
        """Whether the loss or the score of a row depends on which rows are beside it."""
        return self.draws_groups(options)

    def mining(self, options: Any) -> Mining | None:
        """Hard negatives that are to be looked for while training; the head is then a `DualHead`."""
        return None

    def grouped_by(self, fields: Collection[str]) -> str | None:
        """Of these fields (names) the one that says which rows belong together, so that no split should part them."""
        return next((f.name for f in self.fields if f.type == "group" and f.name in fields), None)

    def varies(self, fields: Collection[str]) -> bool:
        """Whether a task with these fields (names) reads the vector of any text, so that the text may be in other words while training:
        where spans are looked for, or words written, each stays where it is."""
        return any(slot.reads == "vector" for slot in self.slots(self.Options(), fields))

    def guesses(self, fields: Collection[str]) -> bool:
        """Whether a task with these fields (names) can be taught by its own answers to rows without a label."""
        return False

    def guess(self, scores: np.ndarray, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
        """→ (R,) labels, as in the encoded table, that are most probable; (R,) how sure they are, in [0, 1]. Raises TypeError where
        `guesses` does not say so."""
        raise TypeError(f"The kind {self.name!r} cannot be taught by its own answers.")

    @abstractmethod
    def present(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        """Predictions for people, JSON only, one dict a row; first key the answer, e.g. {"label": "refund", "probability": 0.93,
        "probabilities": {...}} or {"probability": 0.12} or {"relevance": 0.7}."""

    def catalogue(self, options: Any) -> Catalogue | None:
        """What is ranked whole at every evaluation, for the metrics of `metrics.full_ranking`; None: nothing is."""
        return None

    def choices(self, spec: Spec) -> dict[str, list[list[str]]]:
        """The values that the head knows of a field of type category: field → one list a column, in the order of the columns."""
        return {}


def no_text_vectors(hidden: int, device: torch.device) -> Tensor:
    """(0, hidden): what heads of tasks without texts are given."""
    return torch.zeros(0, hidden, device=device)


def columns_of(fields: tuple[Field, ...], mapping: Mapping[str, str | list[str]]) -> dict[str, list[str]]:
    """`mapping` with every value a list of column names, in the order of `fields`; fields not mapped are left out."""
    return {f.name: [c] if isinstance(c := mapping[f.name], str) else list(c) for f in fields if mapping.get(f.name)}
