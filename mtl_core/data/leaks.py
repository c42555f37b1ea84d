"""Inputs that give the label away: a column that is only known once the label is, an id sorted by label, a text that names its class.

Each column alone predicts the label, learned on half of a sample of rows and measured on the other half: numbers by their quantiles,
everything else by its value. Of several classes it is enough that it decides one. Some columns say nothing of most rows (an amount paid, a
reason of complaint): such a column leaks where all the rows in which it does have one class. Texts are held to that only, since a text is
there to tell its class: else a single word that decides is a leak, or the class's own name in it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

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
    """figure: of the column alone, on rows that it was not learned on, in [0, 1]; known: how well the label is guessed without any
    column; measure: which figure, where how is "value".

    how: "value"; "class": figure is the F1 of one class, known the share of its rows; "side": figure is the share of one class in the
    `rows` rows where the column says something, known its share in all; "lacking": likewise where it says nothing; "word" or "name": in a
    text. word: that, or the class. usual: the value by which the column says nothing; "": it is empty or 0.
    """

    column: str
    figure: float
    known: float
    how: Literal["value", "class", "side", "lacking", "word", "name"] = "value"
    word: str = ""
    rows: int = 0
    usual: str = ""
    measure: str = ""

    @property
    def certain(self) -> bool:
        """Whether it gives the label away; otherwise it is only so strong that a person should look at it."""
        return self.how != "value" or self.figure >= GIVEN_AWAY

    @property
    def in_text(self) -> bool:
        return self.how in ("word", "name")

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
        if self.how == "class":
            return message(
                "It gives one class of “{label}” away: alone it tells “{name}” from all others with F1 {figure} on rows it was not learned "
                "on; {known:.0%} of the rows are of it.",
                label=label,
                name=self.word,
                figure=values["figure"],
                known=self.known,
            )
        if self.how in _SIDES:
            return Message(_SIDES[self.how], {
                "usual": f"“{self.usual}”" if self.usual else message("empty or 0"),
                "rows": self.rows,
                "label": label,
                "name": self.word,
                "share": self.figure,
                "known": self.known,
            })  # fmt: skip
        return Message(_GIVEN if self.certain else _STRONG, values)


_SIDES = {
    "side": N_("Where it is not {usual}, in {rows} rows, “{label}” is “{name}” in {share:.1%} of them, but in {known:.0%} of all rows."),
    "lacking": N_("Where it is {usual}, in {rows} rows, “{label}” is “{name}” in {share:.1%} of them, but in {known:.0%} of all rows."),
}
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
    if (some := _some(table, label, inputs, ROWS, seed)) is None:
        return []
    table, target, half = some
    known, found, figures, one_sided = target.known(half), list[Leak](), dict[str, float](), dict[str, Leak | None]()
    for name in table.column_names:
        codes, spoken = _codes(table[name], half)
        if target.names is not None:
            if words and spoken and (leak := _in_text(table[name], name, target)):
                found.append(leak)
            one_sided[name] = (None if spoken else _one_class(codes, name, target, half)) or _one_side(table[name], name, target)
        figures[name] = target.figure(np.minimum(codes, 1) if spoken else codes, half)
    for name, figure in figures.items():
        others = max((f for other, f in figures.items() if other != name), default=known)
        stands_out = target.measure == "AUC" and figure >= STANDS_OUT and others <= figure - 0.15
        strong = (figure >= STRONG and figure - known > 0.5 * (1 - known)) or stands_out
        leak = Leak(name, figure, known, measure=target.measure) if strong else None
        if leak is None or not leak.certain:
            leak = one_sided.get(name) or leak
        if leak:
            found.append(leak)
    return sorted(found, key=lambda leak: (not leak.certain, -leak.figure))


def _some(table: pa.Table, label: str, inputs: Sequence[str], most: int, seed: int) -> tuple[pa.Table, "_Target", np.ndarray] | None:
    """At most `most` rows, drawn, of those inputs that can be looked at; their label; the half of them that is learned on. None: the label
    is none that can be given away, or there are too few rows."""
    rows = np.sort(np.random.default_rng(seed).permutation(table.num_rows)[:most])
    names = [c for c in dict.fromkeys(inputs) if c != label and c in table.column_names and not pa.types.is_nested(table[c].type)]
    drawn = table.select([label, *names]).take(pa.array(rows))
    target = _target(drawn[label])
    if target is None or len(target.rows) < 100:
        return None
    return drawn.select(names).take(pa.array(target.rows)), target, np.random.default_rng(seed + 1).random(len(target.rows)) < 0.5


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
        if self.values is not None:
            width = int(column.max()) + 1
            sums, counts = np.bincount(column[half], self.values[half], width), np.bincount(column[half], minlength=width)
            mean = self.values[half].mean()
            guess, true = ((sums + mean) / (counts + 1))[column[~half]], self.values[~half]
            return float(1 - ((true - guess) ** 2).sum() / max(((true - true.mean()) ** 2).sum(), 1e-12))
        true, shares = self.codes[~half], self.shares(column, half)
        if shares.shape[1] == 2:
            return _auc(shares[:, 1][column[~half]], true == 1)
        return float((shares.argmax(1)[column[~half]] == true).mean())

    def shares(self, column: np.ndarray, half: np.ndarray) -> np.ndarray:
        """(values of the column, classes) share of each class among the rows of `half` with the value."""
        by_class = np.zeros((int(column.max()) + 1, len(self.names or ())))
        np.add.at(by_class, (column[half], self.codes[half]), 1)
        prior = np.bincount(self.codes[half], minlength=by_class.shape[1]) / max(half.sum(), 1)
        return (by_class + prior) / (by_class.sum(1, keepdims=True) + 1)


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


def _one_class(codes: np.ndarray, name: str, target: _Target, half: np.ndarray) -> Leak | None:
    """A column that tells one class of several from all others, whatever it says of these."""
    assert target.names is not None
    n = len(target.names)
    if not 2 < n <= _FEW:
        return None
    true, called = target.codes[~half], target.shares(codes, half).argmax(1)[codes[~half]]
    counts = np.bincount(true, minlength=n)
    both = 2 * np.bincount(true[true == called], minlength=n) / np.maximum(counts + np.bincount(called, minlength=n), 1)
    sure = int(np.where((counts >= _ROWS_OF_A_SIDE) & (counts <= len(true) / 2), both, 0).argmax())  # a frequent one is easily guessed
    if both[sure] < GIVEN_AWAY or counts[sure] < _ROWS_OF_A_SIDE:
        return None
    return Leak(name, float(both[sure]), float(counts[sure] / len(true)), "class", target.names[sure], int(counts[sure]))


_ROWS_OF_A_SIDE, _PURE = 20, 0.99


def _one_side(column: pa.ChunkedArray, name: str, target: _Target) -> Leak | None:
    """A column that is empty or 0, or says its most frequent value, in many rows, and where it says anything else there is one class; or
    that lacks a value in rows of one class only. Not where so many rows of a frequent class could well come together by chance."""
    assert target.names is not None
    silent, usual = _silent(column)
    shares = np.bincount(target.codes, minlength=len(target.names)) / len(target.codes)
    for rows, lacking, most in ((~silent, False, 0.95), *([] if usual else [(silent, True, 0.5)])):
        n = int(rows.sum())
        if not _ROWS_OF_A_SIDE <= n < len(rows):
            continue
        found = np.bincount(target.codes[rows], minlength=len(target.names)) / n
        best = int(found.argmax())
        if found[best] >= _PURE and shares[best] <= most and n * np.log(shares[best]) < -20:
            figure, how = float(found[best]), "lacking" if lacking else "side"
            return Leak(name, figure, float(shares[best]), how, target.names[best], n, usual)  # type: ignore[arg-type]
    return None


def _silent(column: pa.ChunkedArray) -> tuple[np.ndarray, str]:
    """(R,) bool: the rows in which the column says nothing; and the value which says that, "" where it is a missing one or 0."""
    texts = as_text(column.cast(pa.int64(), safe=False) if pa.types.is_temporal(column.type) else column)
    codes, values = codes_of(texts)
    spelled = values.to_pylist()
    nothing = [i for i, v in enumerate(spelled) if v is not None and re.fullmatch(r"\s*|[-+]?0+([.,]0+)?", v)]
    silent = (codes < 0) | np.isin(codes, nothing)
    if silent.mean() >= 0.05 or not len(spelled):
        return silent, ""
    counts = np.bincount(codes[codes >= 0], minlength=len(spelled))
    usual = int(counts.argmax())
    return (codes == usual, spelled[usual]) if counts[usual] >= 0.3 * len(codes) else (silent, "")


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
            return Leak(name, inside, shuffled, "name")
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
        return Leak(name, share, known, "word", next(iter(sure.values())))
    return None


# -- two columns together -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairLeak:
    """Two columns that give the label away together, and neither alone. figure: of both, alone: of the better one; measure: which."""

    columns: tuple[str, str]
    figure: float
    alone: float
    measure: str

    def why(self, label: str) -> Message:
        return message(
            "“{one}” and “{other}” give “{label}” away together: they reach {measure} {figure} on rows it was not learned on, but alone "
            "{alone} at most.",
            one=self.columns[0],
            other=self.columns[1],
            label=label,
            measure=message(self.measure),
            figure=f"{self.figure:.3f}",
            alone=f"{self.alone:.3f}",
        )


PAIR_ROWS = 5000
PAIR_COLUMNS = 12
_PAIR_BINS = 16
_LINEAR = 0.999


def find_pair_leaks(table: pa.Table, label: str, inputs: Sequence[str], seed: int = 0) -> list[PairLeak]:
    """Pairs of inputs that determine the label while neither nearly does alone, the surest first: a class by the share of it in each
    combination of their values (of more than 16 values in 16 groups: a number by its quantiles, a category by what comes first) or by a
    weighted sum, a quantity by a weighted sum or a product with powers (least squares of the numbers, or of their logarithms). Learned on
    half of 5,000 rows, measured on the other.

    At most 12 inputs are paired, those with the fewest values first; free texts, and what has a value of its own in most rows, are not.
    """
    if len(inputs) < 2 or (some := _some(table, label, inputs, PAIR_ROWS, seed)) is None:
        return []
    table, target, half = some
    known = target.known(half)
    columns: dict[str, tuple[np.ndarray, float]] = {}
    for name in table.column_names:
        codes, spoken = _codes(table[name], half)
        if not spoken and codes.max() <= _BINS and (alone := target.figure(codes, half)) < GIVEN_AWAY:
            columns[name] = codes, alone
    kept = sorted(columns, key=lambda name: len(np.unique(columns[name][0])))[:PAIR_COLUMNS]
    two = target.names is None or len(target.names) == 2
    numbers = _numbers(table, kept) if two else {}
    found = []
    for one, other in combinations(kept, 2):
        (first, a), (second, b) = columns[one], columns[other]
        figure = _linear(numbers.get(one), numbers.get(other), target, half)
        if target.values is None:
            first, second = (np.ceil(codes * _PAIR_BINS / max(codes.max(), _PAIR_BINS)).astype(np.int64) for codes in (first, second))
            figure = max(figure, target.figure(first * (int(second.max()) + 1) + second, half))
        given = figure >= (GIVEN_AWAY if target.values is None else _LINEAR)
        alone = max(a, b, known)
        if given and alone < STRONG and 1 - figure <= 0.2 * (1 - alone):
            found.append(PairLeak((one, other), figure, max(a, b), target.measure))
    return sorted(found, key=lambda pair: -pair.figure)


def _numbers(table: pa.Table, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of numbers without a gap."""
    found = {}
    for name in names:
        values, wrong = as_number(table[name]) if not pa.types.is_temporal(table[name].type) else (None, np.ones(1, bool))
        if values is not None and not wrong.any() and values.null_count == 0:
            found[name] = np.asarray(values.to_numpy(), float)
    return found


def _linear(one: np.ndarray | None, other: np.ndarray | None, target: _Target, half: np.ndarray) -> float:
    """Of least squares on the rows that are not of `half`: the AUC of two classes, R² of a quantity, of numbers or of their logarithms."""
    if one is None or other is None:
        return 0.0
    wanted = target.codes.astype(float) if target.values is None else target.values
    ways = [(one, other, wanted)]
    if target.values is not None and min(one.min(), other.min(), wanted.min()) > 0:
        ways.append((np.log(one), np.log(other), np.log(wanted)))
    best = 0.0
    for first, second, true in ways:
        given = np.column_stack([np.ones(len(true)), first, second])
        guess, left = given[~half] @ np.linalg.lstsq(given[half], true[half], rcond=None)[0], true[~half]
        if target.values is None:
            return _auc(guess, left == 1)
        best = max(best, float(1 - ((left - guess) ** 2).sum() / max(((left - left.mean()) ** 2).sum(), 1e-12)))
    return best
