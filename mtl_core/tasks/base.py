"""What a task kind is: a schema, and what is done with its rows, its head and its report. Loads no torch.

A new kind is one folder, `mtl_core/tasks/<name>/`, one line in `mtl_core/tasks/__init__.py` and one test file. In the folder
`__init__.py` is the light half, `KIND`: a `TaskKind` with its `Rows` and its `Report`; `suiting.py` says which tables suit it; `head.py` is
the half that needs torch, `HEAD`.

How rows go through a kind:

    table (columns renamed to fields) --rows.keep--> rows  those that the task uses
    training rows --rows.fit--> spec                       what the head must know
    table + spec --rows.encode--> encoded table            one column a text slot, `label`, `group`, feature columns
    encoded table --(data.compiled, runtime.batches)--> TaskBatch
    vectors of the distinct texts + TaskBatch --head.module--> outputs --head.loss--> (R,)
    outputs --head.scores--> numpy, TaskBatch --head.truth--> numpy
    both --report.evaluate, report.panels--> metrics, panels; scores --report.answers--> predictions; of validation --report.tuned--> spec
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from mtl_core.base.messages import N_
from mtl_core.base.settings import Options
from mtl_core.data.problems import Problem
from mtl_core.data.profile import Columns
from mtl_core.tasks.suiting import Proposal

if TYPE_CHECKING:
    from mtl_core.evaluation.weighed import Weighed
    from mtl_core.tasks.heads import Head

Spec = dict[str, Any]
"""What a head must know of its data (classes, vocabularies, means ...). JSON only: it lies beside the checkpoint."""


@dataclass(frozen=True)
class Field:
    """One thing that a kind reads from a table.

    type:     text (a string, may be joined of several columns), texts (a list of strings), category, number,
              label, group (rows that belong to one query or user).
    many:     several columns may be mapped to it (texts are joined by a space; categories and numbers stand side by side).
    aliases:  column names seen in the wild, lower case, for suggestions.
    holds:    of a label: class (any value), number (read as people write them), grade (a number, or yes or no in words),
              tags (a list, or text with several of them), text (as it stands).
    help:     one sentence, marked with N_. label: what people call it, marked with N_; empty: its name.
    asked:    whether a prediction wants it, too; a label or a group is never asked for.
    suggested: whether columns are proposed for it, by their names or by what they hold.
    """

    name: str
    type: Literal["text", "texts", "category", "number", "label", "group"]
    help: str
    required: bool = True
    many: bool = False
    aliases: tuple[str, ...] = ()
    holds: Literal["class", "number", "grade", "tags", "text"] = "class"
    asked: bool = True
    suggested: bool = True
    label: str = ""


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
class AnswerField:
    """How one entry of an answer is shown. is_share: a number in [0, 1], written as per cent."""

    label: str
    is_share: bool = True


ANSWERS: Mapping[str, AnswerField] = {
    "label": AnswerField(N_("Answer")),
    "class": AnswerField(N_("Class in the table")),
    "probability": AnswerField(N_("Probability")),
    "probabilities": AnswerField(N_("Probabilities")),
    "relevance": AnswerField(N_("Relevance")),
    "unseen": AnswerField(N_("Values that training did not see")),
    "outside": AnswerField(N_("Numbers outside what training saw")),
    "least": AnswerField(N_("Training: from"), is_share=False),
    "most": AnswerField(N_("Training: to"), is_share=False),
    "column": AnswerField(N_("Column")),
    "value": AnswerField(N_("Value"), is_share=False),
}
"""Of every kind; others are the kind's own."""

SPANS: Mapping[str, AnswerField] = {
    "spans": AnswerField(N_("Position in the text")),
    "text": AnswerField(N_("Text")),
    "start": AnswerField(N_("From character")),
    "end": AnswerField(N_("To character")),
}
"""Of kinds that find spans of a text."""


@dataclass(frozen=True)
class MetricInfo:
    """How a metric is named, read and compared. share: whether it is one of rows or values, whose hundredths are percentage points; a rank
    correlation or an NDCG is none."""

    name: str
    label: str
    help: str
    higher_is_better: bool = True
    share: bool = False

    def full(self, value: float) -> bool:
        """Whether a value before training leaves nothing to gain: FULL or more of a metric whose best is 1."""
        return self.higher_is_better and FULL <= value <= 1


FULL = 0.999
CELLS = 1 << 25
"""Numbers that heads give for rows that are scored together: 134 MB, some four times while losses and scores are made of them."""


@dataclass(frozen=True)
class Mining:
    """Every `every` steps, for each text of the slot `given` in the training rows, the `most` texts of the slot `ranked` in the training
    rows that score best and that no row calls right for it (a label above 0): rows with the label 0 from then on. Slots of shape one."""

    every: int
    most: int
    given: str
    ranked: str


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


@dataclass(frozen=True)
class Panel:
    """A part of a report that the screen knows how to draw by its `type`; `data` is JSON only.

    type: table, with the data {"columns": [...], "rows": [[...], ...]}, or one of `plots.CHARTS`, which says what its data are.
    """

    type: str
    title: str
    data: dict[str, Any]


class Rows(ABC):
    """What is done with the rows of a table, from the first check to what is trained on. Stateless."""

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

    def read(self, table: pa.Table, options: Any) -> Mapping[str, pa.Array | pa.ChunkedArray]:
        """Field → what the task learns from, (N,) or a list a row, for people; of fields that it reads as they are mapped, nothing.
        table: as for `counted`."""
        return {}

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
    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: Any, part: str) -> dict[str, float]:
        """The metrics of the kind's naive baseline (popularity, majority class, TF-IDF), fitted on train, scored on `part`.

        It takes texts from `encode` and nothing else of `self`: so extra columns, which are written there, are read."""

    def draws_groups(self, options: Any) -> bool:
        """Whether rows of one `group` are to be drawn together, so that the loss may compare them."""
        return False

    def compares(self, options: Any) -> bool:
        """Whether the loss or the score of a row depends on which rows are beside it."""
        return self.draws_groups(options)

    def mining(self, options: Any) -> Mining | None:
        """Hard negatives that are to be looked for while training; the head is then a `DualHead`."""
        return None

    def catalogue(self, options: Any) -> Catalogue | None:
        """What is ranked whole at every evaluation, for the metrics of `metrics.full_ranking`; None: nothing is."""
        return None

    def choices(self, spec: Spec) -> dict[str, list[list[str]]]:
        """The values that the head knows of a field of type category: field → one list a column, in the order of the columns."""
        return {}

    def ranges(self, spec: Spec) -> dict[str, list[list[float] | None]]:
        """The least and the largest number that training saw of a field of type number: field → one such pair a column; None: not known."""
        return {}


BY_NEARNESS = N_(
    "No single row is right or wrong in such a task. Predicted well: the fifth of the rows whose predictions are nearest to their labels; "
    "predicted badly: the fifth whose are farthest."
)
"""What stands for right and wrong where a kind has no `right_means`."""


class Report(ABC):
    """What becomes of scores: metrics, panels, answers. Stateless.

    types: the NamedTuples that scores and labels are made of, where they are objects: a file of predictions gives them back.
    """

    types: tuple[type, ...] = ()
    right_means: str = ""
    """What `right` calls right, one sentence, marked with N_; empty: no single row is right or wrong."""

    def right(self, scores: np.ndarray, labels: np.ndarray, spec: Spec) -> np.ndarray:
        """(R,) bool: which rows are answered right, of kinds with `right_means`; of others rows are told apart by `misses`.

        It is what *Predict* offers as a right or a wrong row, and what *Compare* says of rows that two runs answer differently."""
        raise TypeError("No single row is right or wrong in this kind.")

    def tuned(self, scores: np.ndarray, labels: np.ndarray, spec: Spec, options: Any) -> Spec:
        """What is chosen on the watched validation rows, such as a threshold, at every evaluation: entries that replace those of `spec`
        in `evaluate`, `panels` and `answers`, there and, with the model of that evaluation, on the test split and in predictions."""
        return {}

    @abstractmethod
    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        """Every metric of `metrics` that is defined here; an undefined one (one class only, say) is left out. labels: as by
        the head's `truth`."""

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> "Weighed | None":
        """The kind's primary metric of rows that count as often as weights say, equal to that of `evaluate` where each counts once; an
        `evaluation.weighed.Ratio` wherever it is one. None: a comparison calls `evaluate` for each of fewer draws."""
        return None

    def misses(self, scores: np.ndarray, labels: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """(R,) ≥ 0: how far each row's answer, as it is shown, is from its label, where rows are not right or wrong. losses: (R,)."""
        return losses

    def clusters(self, groups: np.ndarray | None) -> np.ndarray | None:
        """(R,) int: rows of one number are not independent of each other, and are drawn together when it is asked how well a metric is
        known; None: every row is by itself."""
        return groups

    @abstractmethod
    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        """What a person reads beside the metrics."""

    @abstractmethod
    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        """Predictions for people, JSON only, one dict a row; first key the answer, e.g. {"label": "refund", "probability": 0.93,
        "probabilities": {...}} or {"probability": 0.12} or {"relevance": 0.7}."""

    def classes(self, spec: Spec) -> list[str]:
        """Of a kind whose answers are names out of a fixed set, which a person may call otherwise (`naming.NamedOptions`): all of them, as
        the table spells them; else none. `answers` calls them by `naming.called`."""
        return []

    def said_by_no_label(self, options: Any) -> str:
        """What an empty label means, marked with N_; empty: that nothing is known."""
        return ""

    def label_called(self, label: str, spec: Spec) -> str:
        """A label as the table writes it, with the `classes` that it names called by `naming.called`."""
        return label

    def relevance(self, scores: np.ndarray) -> np.ndarray:
        """(R,) in [0, 1], out of `scores`: what a catalogue of the field that is ranked (see `ranks`) is sorted by."""
        return scores

    def guesses(self, fields: Collection[str]) -> bool:
        """Whether a task with these fields (names) can be taught by its own answers to rows without a label."""
        return False

    def guess(self, scores: np.ndarray, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
        """→ (R,) labels, as in the encoded table, that are most probable; (R,) how sure they are, in [0, 1]. Raises TypeError where
        `guesses` does not say so."""
        raise TypeError("Tasks of this kind cannot be taught by their own answers.")


@dataclass(frozen=True, eq=False)
class TaskKind:
    """How a sort of task is adapted to the shared encoder; one instance a kind, in `mtl_core.tasks.KINDS`.

    name, label, help: label and help are for the screen, marked with N_; help is one sentence.
    fields:     what it reads from a table.
    example:    a few rows as a file has them, field → cell: what a person is shown, and what tests/contracts makes a small table of. Their
                labels differ; of rows one after another those belong together that have the same group.
    Options:    its typed options.
    metrics:    those that `report.evaluate` may give; primary: the one that early stopping and the comparison look at first.
    ranks:      the field whose candidates an analyst ranks over a catalogue, None if nothing is ranked.
    extras_of:  slot of the text that extra columns describe ("": the first), and its half of a pair.
    takes_logs: whether its table may be a transaction log, whose fields `data.transactions` makes.
    rows_at_once: most rows that are scored together, see `most_rows`; few where every token's state is held.
    answer_fields: how the entries of `report.answers` are shown, beside those of `ANSWERS`.
    measured_by: the options that change what is measured: numbers of tasks that differ in them cannot be compared.
    load_head:  gives the half that needs torch; see `head_of`.
    suits:      which columns of a table would fill its fields, and how well that fits; see `mtl_core.tasks.suiting`.
    """

    name: str
    label: str
    help: str
    fields: tuple[Field, ...]
    example: tuple[Mapping[str, Any], ...]
    metrics: tuple[MetricInfo, ...]
    primary: str
    rows: Rows
    report: Report
    load_head: Callable[[], "Head"]
    Options: type[Options] = Options
    ranks: str | None = None
    extras_of: tuple[str, int] = ("", 0)
    takes_logs: bool = False
    rows_at_once: int = 16_384
    answer_fields: Mapping[str, AnswerField] = field(default_factory=dict)
    measured_by: tuple[str, ...] = ()
    suits: Callable[[Columns], Iterable[Proposal]] = lambda columns: ()

    def answer_field(self, key: str) -> AnswerField:
        """Of an entry of an answer; one that nobody named is shown as it is called."""
        return self.answer_fields.get(key) or ANSWERS.get(key) or AnswerField(key)

    @property
    def main(self) -> MetricInfo:
        """The primary metric."""
        return next(info for info in self.metrics if info.name == self.primary)

    @cached_property
    def head(self) -> "Head":
        """Loads torch."""
        return self.load_head()

    def most_rows(self, spec: Spec) -> int:
        """How many rows are scored together: fewer where each has a number for many classes."""
        return max(1, min(self.rows_at_once, CELLS // max(1, len(self.report.classes(spec)))))

    def grouped_by(self, fields: Collection[str]) -> str | None:
        """Of these fields (names) the one that says which rows belong together, so that no split should part them."""
        return next((f.name for f in self.fields if f.type == "group" and f.name in fields), None)

    def varies(self, fields: Collection[str]) -> bool:
        """Whether a task with these fields (names) reads the vector of any text, so that the text may be in other words while training:
        where spans are looked for, or words written, each stays where it is."""
        return any(slot.reads == "vector" for slot in self.rows.slots(self.Options(), fields))


def head_of(package: str) -> Callable[[], "Head"]:
    """Loads `HEAD` of a kind's `head.py` when it is called. package: the kind's `__name__`."""
    return lambda: import_module(f"{package}.head").HEAD


def columns_of(fields: tuple[Field, ...], mapping: Mapping[str, str | list[str]]) -> dict[str, list[str]]:
    """`mapping` with every value a list of column names, in the order of `fields`; fields not mapped are left out."""
    return {f.name: [c] if isinstance(c := mapping[f.name], str) else list(c) for f in fields if mapping.get(f.name)}
