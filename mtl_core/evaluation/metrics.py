"""Predictions in, numbers out: pure functions on numpy arrays, vectorised over rows and groups.

What a whole list of rows or texts is measured by is scikit-learn's, rouge-score's and sacrebleu's, loaded when first asked for; metrics
within groups and of a whole catalogue are ours.

scores:  (N,) finite, higher means more relevant; labels: (N,) 0 or 1; gains: (N,) ≥ 0; groups: (N,) int64, rows of one query or user.
A number that is not defined (one class only, no group with a relevant row) is `nan`; `defined` leaves such numbers out.

Rows with equal scores rank as in the worst order of their block, so that a constant score never ranks well by luck (average
precision: all at the block's last rank, as in scikit-learn); NDCG averages over the orders of a block (as scikit-learn's does).
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Metrics = dict[str, dict[str, float]]
"""task → metric → value"""


def defined(values: Mapping[str, float]) -> dict[str, float]:
    """`values` as plain floats, without those that are not finite."""
    return {name: float(value) for name, value in values.items() if math.isfinite(value)}


# -- one list of rows ---------------------------------------------------------------------------------------------------------


def roc_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Probability that a positive row scores above a negative one, ties counted half. nan: one class only."""
    return grouped_auc(scores, labels, np.zeros(len(scores), dtype=np.int64))


def weighted_auc(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """`roc_auc` of rows that count as often as their weight (≥ 0) says."""
    _, block = np.unique(scores, return_inverse=True)
    positive, negative = (np.bincount(block, weights=weights * side) for side in (labels > 0.5, labels <= 0.5))
    pairs = positive.sum() * negative.sum()
    return float((positive * (np.cumsum(negative) - negative / 2)).sum() / pairs) if pairs > 0 else math.nan


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the precision-recall curve as a step function (PR-AUC). nan: no positive row."""
    return mean_average_precision(scores, labels, np.zeros(len(scores), dtype=np.int64))


def log_loss(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood in nats; scores are probabilities of label 1, cut to [1e-7, 1 - 1e-7]."""
    if len(scores) == 0:
        return math.nan
    p = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(labels > 0.5, np.log(p), np.log1p(-p))))


def reliability(scores: np.ndarray, labels: np.ndarray, n_bins: int = 15) -> dict[str, list[Any]]:
    """Rows in `n_bins` bins of equal width over [0, 1] by their score; empty bins are left out.

    Returns confidence (mean score), observed (share of label 1) and count, one entry a bin.
    """
    bins = np.clip(np.ceil(scores.astype(np.float64) * n_bins).astype(np.int64) - 1, 0, n_bins - 1)  # (lower, upper]
    count = np.bincount(bins, minlength=n_bins)
    used = count > 0
    confidence = np.bincount(bins, weights=scores, minlength=n_bins)[used] / count[used]
    observed = np.bincount(bins, weights=labels, minlength=n_bins)[used] / count[used]
    return {"confidence": confidence.tolist(), "observed": observed.tolist(), "count": count[used].tolist()}


def calibration_error(scores: np.ndarray, labels: np.ndarray, n_bins: int = 15) -> float:
    """Expected calibration error: mean |observed share - mean score| of the bins, weighted by their rows.

    "On Calibration of Modern Neural Networks" (https://arxiv.org/abs/1706.04599), here for the probability of label 1.
    """
    if len(scores) == 0:
        return math.nan
    curve = {name: np.array(values) for name, values in reliability(scores, labels, n_bins).items()}
    return float(np.average(np.abs(curve["observed"] - curve["confidence"]), weights=curve["count"]))


def precision_recall_f1(scores: np.ndarray, labels: np.ndarray, threshold: float) -> tuple[float, float, float]:
    """Of rows (or cells) called positive: score ≥ threshold. 0 where none is called, or none is positive. Each in [0, 1]."""
    from sklearn.metrics import precision_recall_fscore_support

    if not scores.size:
        return 0.0, 0.0, 0.0
    called, positive = scores.astype(np.float64) >= threshold, labels > 0.5
    found = precision_recall_fscore_support(positive.ravel(), called.ravel(), average="binary", zero_division=0)
    precision, recall, f1 = map(float, found[:3])
    return precision, recall, f1


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The threshold with the highest F1 (of equals the highest), halfway to the next score below, the last to 0; 0.5 without a positive.

    scores, labels: of equal shape; scores in [0, 1].
    """
    order = np.argsort(-scores, axis=None)
    ranked, positive = scores.ravel()[order].astype(np.float64), labels.ravel()[order] > 0.5
    if not positive.any():
        return 0.5
    f1 = 2 * np.cumsum(positive) / (np.arange(1, len(order) + 1) + np.count_nonzero(positive))
    f1[:-1][ranked[1:] == ranked[:-1]] = -1  # equal scores are called together
    best = int(np.argmax(f1))
    return float(ranked[best : best + 2].sum() / 2)


# -- numbers ------------------------------------------------------------------------------------------------------------------


def rmse(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Root of the mean squared error, in the unit of the labels. nan: no rows, or one that is not finite."""
    from sklearn.metrics import root_mean_squared_error

    return _error(root_mean_squared_error, predicted, labels)


def mae(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Mean absolute error, in the unit of the labels. nan: no rows, or one that is not finite."""
    from sklearn.metrics import mean_absolute_error

    return _error(mean_absolute_error, predicted, labels)


def _error(measure: Callable[..., float], predicted: np.ndarray, labels: np.ndarray) -> float:
    predicted = predicted.astype(np.float64)
    known = len(labels) and np.isfinite(predicted).all() and np.isfinite(labels).all()  # scikit-learn raises for others
    return float(measure(labels, predicted)) if known else math.nan


def spearman(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Correlation of the ranks, equal values sharing theirs, in [-1, 1]; 0 for constant predictions. nan: all labels equal."""
    from scipy.stats import rankdata

    if not len(labels) or labels.min() == labels.max():
        return math.nan
    first, second = (rankdata(values) - (len(values) + 1) / 2 for values in (predicted, labels))
    return float(first @ second / max(math.sqrt((first @ first) * (second @ second)), 1e-12))


# -- groups of rows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ranked:
    """Rows sorted by group, then by falling score. All arrays (N,) in that order but `order`, which leads to it.

    group: 0 … G-1; position: 0-based place in the group; block: rows with equal score in a group; last: position of the block's last row.
    """

    order: np.ndarray
    group: np.ndarray
    position: np.ndarray
    block: np.ndarray
    last: np.ndarray
    n_groups: int

    def per_group(self, values: np.ndarray) -> np.ndarray:
        """(G,) sums of `values` (N,)."""
        return np.bincount(self.group, weights=values, minlength=self.n_groups)


def _rank(scores: np.ndarray, groups: np.ndarray) -> _Ranked:
    order = np.lexsort((-scores, groups))
    scores, groups = scores[order], groups[order]
    n = len(order)
    new_group = np.ones(n, dtype=bool)
    new_group[1:] = groups[1:] != groups[:-1]
    new_block = new_group.copy()
    new_block[1:] |= scores[1:] != scores[:-1]
    group, block = np.cumsum(new_group) - 1, np.cumsum(new_block) - 1
    position = np.arange(n) - np.flatnonzero(new_group)[group]
    ends = np.flatnonzero(np.append(new_block, True)[1:])  # each block's last row
    return _Ranked(order, group, position, block, position[ends][block], int(group[-1]) + 1 if n else 0)


def _mean(values: np.ndarray, weights: np.ndarray | None = None) -> float:
    return float(np.average(values, weights=weights)) if len(values) else math.nan


def grouped_auc(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """AUC within each group, averaged with the groups' rows as weights; groups of one class are left out (GAUC).

    "Deep Interest Network for Click-Through Rate Prediction" (https://arxiv.org/abs/1706.06978), section 6.2.
    """
    ranked = _rank(scores, groups)
    positive = (labels[ranked.order] > 0.5).astype(np.float64)
    size = ranked.per_group(np.ones(len(positive)))
    positives = ranked.per_group(positive)
    negatives = size - positives
    block_size = np.bincount(ranked.block)[ranked.block] if len(positive) else np.zeros(0)
    from_top = ranked.last + 1 - (block_size - 1) / 2  # mean rank of the block, 1 is the highest score
    from_bottom = size[ranked.group] + 1 - from_top
    wins = ranked.per_group(from_bottom * positive) - positives * (positives + 1) / 2
    mixed = (positives > 0) & (negatives > 0)
    return _mean(wins[mixed] / (positives * negatives)[mixed], size[mixed])


def ndcg(scores: np.ndarray, gains: np.ndarray, groups: np.ndarray, k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first k rows, mean over the groups with a gain above 0.

    DCG = Σ gain / log2(rank + 1); "Cumulated gain-based evaluation of IR techniques" (https://doi.org/10.1145/582415.582418).
    """
    reached, ideal = gains_by_group(scores, gains, groups, k)
    return _mean(reached[ideal > 0] / ideal[ideal > 0])


def gains_by_group(scores: np.ndarray, gains: np.ndarray, groups: np.ndarray, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """(G,) DCG of the first k rows of each group, by rising group, and the highest possible."""

    def dcg(ranked: _Ranked) -> np.ndarray:
        discount = np.where(ranked.position < k, 1 / np.log2(ranked.position + 2), 0)
        gain = gains[ranked.order].astype(np.float64)
        if len(gain):
            gain = (np.bincount(ranked.block, weights=gain) / np.bincount(ranked.block))[ranked.block]
        return ranked.per_group(gain * discount)

    return dcg(_rank(scores, groups)), dcg(_rank(gains, groups))


def hit_rate(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, k: int = 10) -> float:
    """Share of the groups with a positive that have one among the first k rows."""
    return _mean((first_positive(scores, labels, groups) <= k).astype(np.float64))


def hit_rate_by_chance(labels: np.ndarray, groups: np.ndarray, k: int = 10) -> float:
    """`hit_rate` of an order drawn at random, expected: mean of 1 - C(n - p, k) / C(n, k) for groups of n rows, p of them positive."""
    _, group = np.unique(groups, return_inverse=True)
    size, positives = np.bincount(group), np.bincount(group, weights=labels > 0.5)
    size, positives = size[positives > 0], positives[positives > 0]
    missed = np.ones(len(size))
    for place in range(k):  # nothing found up to here, nor at this place
        missed *= np.clip((size - positives - place) / np.maximum(size - place, 1), 0, None)
    return _mean(1 - missed)


def mean_reciprocal_rank(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """Mean over the groups with a positive of 1 / rank of the first positive."""
    return _mean(1 / first_positive(scores, labels, groups))


def first_positive(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Rank, from 1, of the first positive of each group that has one; the negatives of its block stand before it."""
    ranked = _rank(scores, groups)
    positive = labels[ranked.order] > 0.5
    _, first = np.unique(ranked.group[positive], return_index=True)
    equals = np.bincount(ranked.block[positive])  # positives of each block
    return (ranked.last[positive][first] + 2 - equals[ranked.block[positive][first]]).astype(np.float64)


def mean_average_precision(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """Mean over the groups with a positive of their average precision (mean over positives of the precision at their rank)."""
    ranked = _rank(scores, groups)
    positive = (labels[ranked.order] > 0.5).astype(np.float64)
    positives = ranked.per_group(positive)
    before = np.cumsum(positives) - positives  # positives of earlier groups
    ends = np.arange(len(positive)) - ranked.position + ranked.last
    found = np.cumsum(positive)[ends] - before[ranked.group] if len(positive) else positive
    sums = ranked.per_group(positive * found / (ranked.last + 1))
    return _mean(sums[positives > 0] / positives[positives > 0])


# -- a whole catalogue --------------------------------------------------------------------------------------------------------


def full_ranking(ranks: np.ndarray, first: np.ndarray, taken: np.ndarray, k: int = 10) -> dict[str, float]:
    """Accuracy, coverage and novelty of rankings of the same catalogue of N items for R users; nothing without a user.

    ranks: (R,) of the item that the user took, from 1; first: (R, ≤ k) the items ranked first, in 0 … N-1, -1 where there are no more;
    taken: (N,) how often training rows took each item.

    Coverage: share of the catalogue that stands among anybody's first k, so it grows with R; "Beyond Accuracy: Evaluating Recommender
    Systems by Coverage and Serendipity" (https://doi.org/10.1145/1864708.1864761). Novelty: mean self-information -log2 p of what
    stands there, p = (taken + 1) / Σ (taken + 1), so that an item never taken has one, too; "Solving the apparent diversity-accuracy
    dilemma of recommender systems" (https://doi.org/10.1073/pnas.1000488107).
    """
    shown = first[first >= 0]
    information = -np.log2((taken + 1) / (taken + 1).sum())
    return defined(
        {
            f"full_ndcg_at_{k}": _mean(np.where(ranks <= k, 1 / np.log2(ranks + 1), 0)),
            f"full_hr_at_{k}": _mean(ranks <= k),
            "full_mrr": _mean(1 / ranks),
            f"coverage_at_{k}": len(np.unique(shown)) / len(taken) if len(ranks) else math.nan,
            f"novelty_at_{k}": _mean(information[shown]),
        }
    )


# -- classes ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassScores:
    """One entry a class that occurs among the labels or the predictions, in the order of `classes`. All (C,)."""

    classes: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def class_scores(predicted: np.ndarray, labels: np.ndarray) -> ClassScores:
    """Precision, recall and F1 of each class; 0 where a class was never predicted or never occurs. predicted, labels: (N,) ints ≥ 0."""
    return _class_scores(predicted, labels, np.union1d(labels, predicted))


def tag_scores(predicted: np.ndarray, labels: np.ndarray) -> ClassScores:
    """The same where a row may have several classes or none. predicted, labels: (N, C) bool."""
    predicted, labels = (np.pad(cells, ((0, 0), (0, 1))) for cells in (predicted, labels))  # a single column would be read as classes
    return _class_scores(predicted, labels, np.flatnonzero((predicted | labels).any(axis=0)))


def _class_scores(predicted: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> ClassScores:
    from sklearn.metrics import precision_recall_fscore_support

    if not len(classes):
        return ClassScores(classes, *np.zeros((4, 0)))
    return ClassScores(classes, *precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0))


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Share of the rows whose class is right. predicted, labels: (N,) ints. nan: no rows."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predicted)) if len(labels) else math.nan


def macro_f1(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Mean F1 of the classes that occur among the labels or the predictions."""
    return _mean(class_scores(predicted, labels).f1)


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(K, K) counts, rows true, columns predicted, for the `classes` (sorted ints); rows with another class are left out."""
    from sklearn import metrics

    def place(values: np.ndarray) -> np.ndarray:
        return np.where(np.isin(values, classes), np.searchsorted(classes, values), n)

    n = len(classes)
    if not len(labels):
        return np.zeros((n, n), dtype=np.int64)
    # All other classes together are one more: scikit-learn wants to find one of its labels among the rows.
    counts: np.ndarray = metrics.confusion_matrix(place(labels), place(predicted), labels=np.arange(n + 1))
    return counts[:n, :n]


def most_confused(predicted: np.ndarray, labels: np.ndarray, limit: int) -> np.ndarray:
    """At most `limit` classes, sorted: those with the most wrong rows (as truth or as prediction), then the most frequent."""
    n = int(max(predicted.max(initial=-1), labels.max(initial=-1))) + 1
    wrong = predicted != labels
    errors = np.bincount(labels[wrong], minlength=n) + np.bincount(predicted[wrong], minlength=n)
    rows = np.bincount(labels, minlength=n) + np.bincount(predicted, minlength=n)
    ranking = np.lexsort((-rows, -errors))[: np.count_nonzero(rows)]
    return np.sort(ranking[:limit])


# -- words ----------------------------------------------------------------------------------------------------------------------


def perplexity(losses: np.ndarray, tokens: np.ndarray) -> float:
    """exp of the mean loss a token: among how many equally likely words a model chooses. losses: (N,) mean of a row's tokens, in nats;
    tokens: (N,) how many it has. nan: no tokens."""
    return math.exp(min(_mean(losses, tokens), 700.0)) if np.sum(tokens) else math.nan


_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")  # Chinese has no spaces: a character is a word


class Words:
    """Splits a text for rouge-score, whose own tokenizer keeps nothing but a–z and 0–9, and so no Chinese."""

    def tokenize(self, text: str) -> list[str]:
        """Its words in lower case, and Chinese characters one by one; without punctuation."""
        return _WORD.findall(text.lower())


def rouge_l(written: Sequence[str], references: Sequence[str]) -> float:
    """Mean F1 of the longest common subsequence of words, in [0, 1]; case and punctuation do not count. nan: no rows.

    As by rouge-score, with `Words` and no stemming: "ROUGE: A Package for Automatic Evaluation of Summaries"
    (https://aclanthology.org/W04-1013). A text without words scores 0.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=Words())
    pairs = zip(written, references, strict=True)
    return _mean(np.array([scorer.score(reference, text)["rougeL"].fmeasure for text, reference in pairs]))


def chrf(written: Sequence[str], references: Sequence[str]) -> float:
    """F-score of character n-grams of 1 to 6 over all rows, recall weighing twice, in [0, 1]; without spaces and case, as uncased
    encoders write none. nan: no rows.

    As by sacrebleu (`nrefs:1|case:lc|eff:yes|nc:6|nw:0|space:no`), over 100: "chrF: character n-gram F-score for automatic MT evaluation"
    (https://aclanthology.org/W15-3049). A row's n-grams that are longer than its reference do not count.
    """
    from sacrebleu.metrics.chrf import CHRF

    if len(written) != len(references):
        raise ValueError(f"Each text needs one reference. Found {len(written)} texts and {len(references)} references.")
    return CHRF(lowercase=True).corpus_score(written, [references]).score / 100 if len(written) else math.nan
