"""Inputs that give the label away: a column that is only known once the label is, an id sorted by label, a text that names its class.

Each column alone predicts the label, learned on half of a sample of rows and measured on the other half: numbers by their quantiles,
everything else by its value. Texts are not held to that, since a text is there to tell its class: of them only a single word that decides
is a leak, or the class's own name in it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mtl_core.base.messages import N_, Message, message
from mtl_core.data.values import as_number, as_text, codes_of

ROWS = 20_000
"""Rows that are drawn for it, always the same ones."""
GIVEN_AWAY = 0.98
"""From this figure on the label is given away."""
STRONG, STANDS_OUT = 0.9, 0.8
_FEW = 200
_TEXT_ROWS = 2000
_BINS = 64
_MANY = 20
"""Distinct numbers from which a label of numbers is a quantity, and no class."""


@dataclass(frozen=True)
class Leak:
    """figure: of the column alone, on rows that it was not learned on, in [0, 1]; measure: which figure; known: how well the label is
    guessed without any column; how: "value", "word" or "name"."""

    column: str
    figure: float
    measure: str
    known: float
    how: str = "value"
    word: str = ""

    @property
    def certain(self) -> bool:
        """Whether it gives the label away; otherwise it is only so strong that a person should look at it."""
        return self.how != "value" or self.figure >= GIVEN_AWAY

    def why(self, label: str) -> Message:
        values = {
            "label": label,
            "column": self.column,
            "figure": f"{self.figure:.3f}",
            "measure": message(self.measure),
            "known": f"{self.known:.3f}",
        }
        if self.how == "name":
            return message("The text contains the class itself, “{label}”, in {share:.0%} of the rows.", label=label, share=self.figure)
        if self.how == "word":
            return message(
                "A single word decides “{label}” in {share:.0%} of the rows, such as “{word}”.",
                label=label,
                share=self.figure,
                word=self.word,
            )
        return Message(_GIVEN if self.certain else _STRONG, values)


_GIVEN = N_(
    "It gives “{label}” away: alone it reaches {measure} {figure} on rows it was not learned on; without any column it would be {known}."
)
_STRONG = N_("Alone it reaches {measure} {figure} for “{label}” on rows it was not learned on; without any column it would be {known}.")


def find_leaks(table: pa.Table, label: str, inputs: Sequence[str], words: bool = True, seed: int = 0) -> list[Leak]:
    """The inputs that predict the label by themselves (area under the ROC curve of two classes, accuracy of more, R² of a quantity), the
    surest first. words: whether free texts are looked into.

    A label with more classes than a third of the rows, or of fewer than 100 rows, has none.

    Chosen on 29 labels of the real tables and the sample shop. What is only known afterwards, or is the label in other words, lies at 0.98
    and above (category_id for category_label 1.000, class for department 1.000). Of honest inputs three reach more than 0.7; they are said
    from 0.9 on, or from 0.8 where no other input comes near: a rating beside a recommendation (0.972), a click beside its purchase
    (0.916), and PageValues in online_shoppers_intention (0.854; the next reaches less than 0.7), which is computed from the purchases it
    predicts. No text of clinc150, bitext or the shop raises an alarm. 20,000 rows are looked at: under a second.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(table.num_rows)[:ROWS])
    names = [c for c in dict.fromkeys(inputs) if c != label and c in table.column_names and not pa.types.is_nested(table[c].type)]
    table = table.select([label, *names]).take(pa.array(rows))
    target = _target(table[label])
    if target is None or len(target.rows) < 100:
        return []
    table = table.take(pa.array(target.rows))
    half = np.random.default_rng(seed + 1).random(len(target.rows)) < 0.5
    known, found, figures = target.known(half), list[Leak](), dict[str, float]()
    for name in names:
        codes, spoken = _codes(table[name], half)
        if words and spoken and target.names is not None and (leak := _in_text(table[name], name, target)):
            found.append(leak)
        figures[name] = target.figure(np.minimum(codes, 1) if spoken else codes, half)
    for name, figure in figures.items():
        others = max((f for other, f in figures.items() if other != name), default=known)
        stands_out = target.measure == "AUC" and figure >= STANDS_OUT and others <= figure - 0.15
        if (figure >= STRONG and figure - known > 0.5 * (1 - known)) or stands_out:
            found.append(Leak(name, figure, target.measure, known))
    return sorted(found, key=lambda leak: (not leak.certain, -leak.figure))


@dataclass(frozen=True)
class _Target:
    """rows: that have a label; codes: their class, or values: their quantity."""

    rows: np.ndarray
    codes: np.ndarray
    names: list[str] | None
    values: np.ndarray | None = None

    @property
    def measure(self) -> str:
        if self.names is None:
            return N_("R²")
        return N_("AUC") if len(self.names) == 2 else N_("accuracy")

    def known(self, half: np.ndarray) -> float:
        """The figure of a guess without any column."""
        if self.names is None:
            return 0.0
        return 0.5 if len(self.names) == 2 else float(np.bincount(self.codes[~half]).max() / max((~half).sum(), 1))

    def figure(self, column: np.ndarray, half: np.ndarray) -> float:
        """Learned where `half` is, measured where it is not. column: (R,) codes from 0."""
        width = int(column.max()) + 1
        if self.values is not None:
            sums, counts = np.bincount(column[half], self.values[half], width), np.bincount(column[half], minlength=width)
            mean = self.values[half].mean()
            guess, true = ((sums + mean) / (counts + 1))[column[~half]], self.values[~half]
            return float(1 - ((true - guess) ** 2).sum() / max(((true - true.mean()) ** 2).sum(), 1e-12))
        by_class = np.zeros((width, len(self.names or ())))
        np.add.at(by_class, (column[half], self.codes[half]), 1)
        prior = np.bincount(self.codes[half], minlength=by_class.shape[1]) / max(half.sum(), 1)
        share = (by_class + prior) / (by_class.sum(1, keepdims=True) + 1)
        true, guess = self.codes[~half], share[column[~half]]
        return _auc(guess[:, 1], true == 1) if by_class.shape[1] == 2 else float((guess.argmax(1) == true).mean())


def _target(column: pa.ChunkedArray) -> _Target | None:
    if pa.types.is_nested(column.type):
        return None
    codes, names = codes_of(as_text(column))
    rows = np.flatnonzero(codes >= 0)
    if len(names) > _MANY:
        numbers, wrong = as_number(column)
        if not wrong.any():
            values = np.asarray(numbers.to_numpy(), float)
            rows = np.flatnonzero(np.isfinite(values))
            return _Target(rows, codes[rows], None, values[rows])
    if not 2 <= len(names) <= max(2, len(rows) / 3):
        return None
    return _Target(rows, codes[rows], [str(v) for v in names.to_pylist()])


def _codes(column: pa.ChunkedArray, half: np.ndarray) -> tuple[np.ndarray, bool]:
    """(R,) from 0: the quantile of a number, else the value; a missing one is 0. And whether it is free text, in which only its being
    there counts: sentences come again for reasons of their own."""
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int64(), safe=False)
    numbers, wrong = as_number(column.slice(0, 500))
    if wrong.mean() < 0.1:
        numbers, wrong = as_number(column)
    if wrong.mean() < 0.01 and numbers.null_count < len(numbers):
        values = np.asarray(numbers.to_numpy(), float)
        finite = np.isfinite(values)
        edges = np.unique(np.quantile(values[half & finite], np.arange(1, _BINS) / _BINS)) if (half & finite).any() else np.array([])
        return np.where(finite, np.digitize(values, edges) + 1, 0), False
    codes, names = codes_of(as_text(column))
    empty = np.flatnonzero([v is not None and not v.strip() for v in names.to_pylist()])
    codes = np.where(np.isin(codes, empty), -1, codes) + 1
    spoken = len(names) > _FEW and np.mean([len(str(v).split()) for v in names.to_pylist()[:1000]]) >= 1.5
    return codes, bool(spoken)


def _auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """The area under the ROC curve by ranks, equal scores counted half."""
    if positive.all() or not positive.any():
        return 0.5
    order = np.argsort(scores, kind="stable")
    _, first, counts = np.unique(scores[order], return_index=True, return_counts=True)
    ranks = np.empty(len(scores))
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    n = positive.sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(scores) - n)))


def _in_text(column: pa.ChunkedArray, name: str, target: _Target) -> Leak | None:
    """A text that holds the class's own name in nine rows of ten, where shuffled classes would not be in it; or in which one word for
    each class stands in nearly all of its texts and in no other."""
    assert target.names is not None
    texts = [(t or "").casefold() for t in as_text(column.slice(0, _TEXT_ROWS)).to_pylist()]
    codes = target.codes[:_TEXT_ROWS]
    order = np.random.default_rng(0).permutation(len(codes))[:_TEXT_ROWS]
    names = [re.sub(r"[_\-]+", " ", n).casefold().strip() for n in target.names]
    if all(len(n) >= 3 and not re.fullmatch(r"[\d.\- ]+|true|false|yes|no", n) for n in names):
        inside = float(np.mean([names[c] in re.sub(r"[_\-]+", " ", t) for c, t in zip(codes, texts, strict=True)]))
        shuffled = float(np.mean([names[c] in re.sub(r"[_\-]+", " ", t) for c, t in zip(codes[order], texts, strict=True)]))
        if inside >= 0.9 and shuffled < 0.6:
            return Leak(name, inside, N_("share"), shuffled, "name")
    found: dict[str, Counter[int]] = {}
    for code, text in zip(codes.tolist(), texts, strict=True):
        for word in set(re.findall(r"\S+", text)):
            if word not in found:
                found[word] = Counter()
            found[word][code] += 1
    total = Counter(codes.tolist())
    best: dict[int, tuple[float, str]] = {}
    for word, by_class in found.items():
        code, n = by_class.most_common(1)[0]
        both = 2 * n / (total[code] + sum(by_class.values()))  # F1 of "has the word" for "is of the class"
        best[code] = max(best.get(code, (0.0, "")), (both, word))
    sure = {code: word for code, (both, word) in best.items() if both >= GIVEN_AWAY and total[code] >= 10}
    if len(total) == 2 and sure:  # where one class has its word, the other is what has it not
        sure |= {code: next(iter(sure.values())) for code in total}
    share = sum(total[code] for code in sure) / max(len(codes), 1)
    known = max(total.values()) / max(len(codes), 1)
    if share >= GIVEN_AWAY and len(total) > 1:
        return Leak(name, share, N_("share"), known, "word", next(iter(sure.values())))
    return None
