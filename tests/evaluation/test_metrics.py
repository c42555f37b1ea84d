"""Metrics: values worked out by hand, scikit-learn and torchmetrics as second opinions, properties that must hold."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle
from torchmetrics.functional.classification import binary_calibration_error, multiclass_confusion_matrix, multiclass_f1_score
from torchmetrics.retrieval import RetrievalHitRate, RetrievalMAP, RetrievalMRR, RetrievalNormalizedDCG

from mtl_core.evaluation import metrics
from mtl_core.tasks import is_better

# one list: ranked 1 (relevant), 0, 1, 0
SCORES, LABELS, ONE = np.array([0.2, 0.9, 0.5, 0.7]), np.array([0, 1, 1, 0]), np.zeros(4, np.int64)


def rows(n: int = 4000, groups: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with ties, labels, groups in no order."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 50, n) / 49, rng.integers(0, 2, n), rng.integers(0, groups, n)


# -- by hand --


def test_auc_counts_pairs_in_order_and_ties_as_half() -> None:
    assert metrics.roc_auc(SCORES, LABELS) == 3 / 4  # of four pairs only (0.5, 0.7) is wrong
    assert metrics.roc_auc(np.ones(4), LABELS) == 0.5
    assert metrics.roc_auc(np.array([1.0, 1.0, 0.0]), np.array([1, 0, 0])) == 0.75


def test_a_weight_counts_a_row_several_times() -> None:
    weights = np.array([2, 1, 3, 1])
    assert metrics.weighted_auc(SCORES, LABELS, weights) == pytest.approx((1 * (2 + 1) + 3 * 2) / (4 * 3))
    assert metrics.weighted_auc(SCORES, LABELS, weights) == metrics.roc_auc(SCORES.repeat(weights), LABELS.repeat(weights))
    scores, labels, _ = rows()
    weights = np.random.default_rng(1).random(len(scores))
    assert metrics.weighted_auc(scores, labels, weights) == pytest.approx(oracle.roc_auc_score(labels, scores, sample_weight=weights))
    assert math.isnan(metrics.weighted_auc(SCORES, np.ones(4), np.ones(4)))


def test_gauc_weights_groups_by_their_rows_and_leaves_out_groups_of_one_class() -> None:
    scores = np.array([0.9, 0.1, 0.2, 0.8, 0.5, 0.3])
    labels = np.array([1, 0, 1, 0, 0, 1])
    groups = np.array([7, 7, 3, 3, 3, 5])  # 7: AUC 1 of 2 rows; 3: AUC 0 of 3 rows; 5: one class
    assert metrics.grouped_auc(scores, labels, groups) == pytest.approx((1 * 2 + 0 * 3) / 5)


def test_average_precision_mrr_and_hits() -> None:
    assert metrics.average_precision(SCORES, LABELS) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert metrics.mean_reciprocal_rank(SCORES, 1 - LABELS, ONE) == 1 / 2
    assert metrics.hit_rate(SCORES, 1 - LABELS, ONE, k=1) == 0
    assert metrics.hit_rate(SCORES, 1 - LABELS, ONE, k=2) == 1


def test_hit_rate_by_chance_is_that_of_an_order_drawn_at_random() -> None:
    labels = np.array([0, 1, 0, 0, 1, 1, 0, 1])
    groups = np.array([5, 5, 5, 5, 2, 2, 2, 9])  # one of four, two of three, the only one
    assert metrics.hit_rate_by_chance(labels, groups, k=1) == pytest.approx((1 / 4 + 2 / 3 + 1) / 3)
    assert metrics.hit_rate_by_chance(labels, groups, k=2) == pytest.approx((2 / 4 + 1 + 1) / 3)
    assert metrics.hit_rate_by_chance(labels, groups, k=10) == 1
    assert math.isnan(metrics.hit_rate_by_chance(np.zeros(8), groups))
    rng = np.random.default_rng(0)
    _, labels, groups = rows()
    drawn = [metrics.hit_rate(rng.random(len(labels)), labels, groups, k=1) for _ in range(200)]
    assert metrics.hit_rate_by_chance(labels, groups, k=1) == pytest.approx(np.mean(drawn), abs=0.01)


def test_ndcg_of_grades() -> None:
    gains = np.array([0, 1, 3, 2])  # ranked: 1, 2, 3, 0
    wanted = (1 + 2 / math.log2(3) + 3 / 2) / (3 + 2 / math.log2(3) + 1 / 2)
    assert metrics.ndcg(SCORES, gains, ONE) == pytest.approx(wanted)
    assert metrics.ndcg(SCORES, gains, ONE, k=1) == pytest.approx(1 / 3)


def test_equal_scores_never_rank_well_by_luck() -> None:
    same, first = np.ones(20), np.arange(20) == 0
    group = np.zeros(20, np.int64)
    assert metrics.mean_reciprocal_rank(same, first, group) == 1 / 20
    assert metrics.hit_rate(same, first, group, k=10) == 0
    assert metrics.mean_average_precision(same, first, group) == 1 / 20
    assert (
        metrics.mean_reciprocal_rank(np.array([2.0, 1.0, 1.0, 1.0]), np.array([0, 1, 1, 0]), np.zeros(4)) == 1 / 3
    )  # one negative above, one beside


def test_log_loss_and_calibration() -> None:
    scores, labels = np.array([0.25, 0.25, 0.75, 0.75]), np.array([0, 1, 1, 1])
    assert metrics.log_loss(scores, labels) == pytest.approx(-(3 * math.log(0.75) + math.log(0.25)) / 4)
    assert metrics.calibration_error(scores, labels) == pytest.approx((0.25 + 0.25) / 2)  # 0.25 → 0.5 seen, 0.75 → 1.0 seen
    assert metrics.reliability(scores, labels) == {"confidence": [0.25, 0.75], "observed": [0.5, 1.0], "count": [2, 2]}
    assert np.isfinite(metrics.log_loss(np.array([0.0, 1.0]), np.array([1, 0])))


def test_classes() -> None:
    predicted, labels = np.array([0, 0, 1, 3]), np.array([0, 1, 1, 0])
    found = metrics.class_scores(predicted, labels)
    assert found.classes.tolist() == [0, 1, 3]  # class 2 is in neither
    assert found.precision.tolist() == [0.5, 1, 0] and found.recall.tolist() == [0.5, 0.5, 0]
    assert found.f1.tolist() == pytest.approx([0.5, 2 / 3, 0]) and found.support.tolist() == [2, 2, 0]
    assert metrics.accuracy(predicted, labels) == 0.5
    assert metrics.macro_f1(predicted, labels) == pytest.approx((0.5 + 2 / 3) / 3)


def test_no_rows_and_a_single_class() -> None:
    none, same = np.zeros(0, np.int64), np.full(3, 2)
    found = metrics.class_scores(none, none)
    assert [len(values) for values in (found.classes, found.precision, found.recall, found.f1, found.support)] == [0] * 5
    assert math.isnan(metrics.accuracy(none, none)) and math.isnan(metrics.macro_f1(none, none))
    assert metrics.confusion_matrix(none, none, np.arange(2)).tolist() == [[0, 0], [0, 0]]
    assert metrics.confusion_matrix(none, none, none).shape == (0, 0)
    assert metrics.accuracy(same, same) == metrics.macro_f1(same, same) == 1
    assert metrics.confusion_matrix(same, same, np.array([2])).tolist() == [[3]]
    assert metrics.confusion_matrix(same, same, np.array([1, 4])).tolist() == [[0, 0], [0, 0]], "neither is the class of a row"
    assert metrics.precision_recall_f1(np.zeros(0), np.zeros(0), 0.5) == (0, 0, 0)


def test_the_threshold_with_the_best_f1() -> None:
    scores, labels = np.array([0.9, 0.7, 0.7, 0.4, 0.1]), np.array([1, 1, 0, 1, 0])
    assert metrics.best_threshold(scores, labels) == pytest.approx(0.25)  # 3 of 4 right and none missed: F1 6/7
    assert metrics.precision_recall_f1(scores, labels, 0.25) == pytest.approx((3 / 4, 1, 6 / 7))
    assert metrics.precision_recall_f1(scores, labels, 0.95) == (0, 0, 0)
    assert metrics.best_threshold(np.array([0.8, 0.2]), np.array([1, 1])) == pytest.approx(0.1)  # all of them
    assert metrics.best_threshold(np.array([0.8, 0.2]), np.array([0, 0])) == metrics.best_threshold(np.zeros(0), np.zeros(0)) == 0.5
    assert metrics.best_threshold(np.zeros(3), np.array([1, 0, 1])) == 0


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_is_better_than_the_best(seed: int) -> None:
    scores, labels, _ = rows(60, seed=seed)
    best = metrics.precision_recall_f1(scores, labels, metrics.best_threshold(scores, labels))[2]
    tried = [oracle.f1_score(labels, scores >= t, zero_division=0) for t in np.unique(scores)]
    assert best == pytest.approx(max(tried))


def test_ranks_and_errors_of_numbers() -> None:
    predicted, labels = np.array([1.0, 2.0, 4.0]), np.array([1.0, 4.0, 3.0])
    assert metrics.rmse(predicted, labels) == pytest.approx(math.sqrt(5 / 3)) and metrics.mae(predicted, labels) == 1
    assert metrics.spearman(predicted, labels) == pytest.approx(0.5)  # 1 - 6 (0 + 1 + 1) / (3 (9 - 1))
    assert metrics.spearman(predicted, -predicted) == pytest.approx(-1)
    assert math.isnan(metrics.rmse(predicted[:0], labels[:0])) and math.isnan(metrics.mae(predicted[:0], labels[:0]))
    assert math.isnan(metrics.rmse(np.array([1.0, math.nan, 4.0]), labels)) and math.isnan(metrics.mae(predicted, np.full(3, math.inf)))
    assert is_better("rmse", 1, 2) and is_better("mae", 1, 2) and is_better("spearman", 0.2, 0.1)


def test_tags_are_classes_of_which_a_row_may_have_several() -> None:
    predicted = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    labels = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]], bool)
    found = metrics.tag_scores(predicted, labels)
    assert found.classes.tolist() == [0, 1, 3], "one that neither occurs nor was predicted says nothing"
    assert found.f1.tolist() == [0.5, 0, 0] and found.support.tolist() == [2, 0, 1]
    cells = predicted.astype(np.float32)  # 2 of 3 that are called are not there, 2 of 3 that are there are not called
    assert metrics.precision_recall_f1(cells, labels.astype(np.float32), 0.5) == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_a_single_tag_and_no_tag_at_all() -> None:
    found = metrics.tag_scores(np.array([[True], [True], [False]]), np.array([[True], [False], [False]]))
    assert found.classes.tolist() == [0] and found.support.tolist() == [1]
    assert (found.precision.tolist(), found.recall.tolist(), found.f1.tolist()) == ([0.5], [1], [pytest.approx(2 / 3)])
    for none in (np.zeros((3, 2), bool), np.zeros((0, 2), bool)):
        assert not len(metrics.tag_scores(none, none).f1)


def test_the_most_confused_classes_come_first() -> None:
    labels = np.array([0, 0, 0, 0, 1, 2, 3])
    predicted = np.array([0, 0, 0, 0, 2, 2, 3])  # 1 and 2 are confused, then 0 is the most frequent
    assert metrics.most_confused(predicted, labels, 2).tolist() == [1, 2]
    assert metrics.most_confused(predicted, labels, 3).tolist() == [0, 1, 2]
    assert metrics.most_confused(predicted, labels, 30).tolist() == [0, 1, 2, 3]
    assert metrics.confusion_matrix(predicted, labels, np.array([1, 2])).tolist() == [[0, 1], [0, 1]]


def test_what_is_not_defined_is_left_out() -> None:
    one_class, group = np.ones(3), np.zeros(3, np.int64)
    none = np.zeros(0)
    values = {
        "auc": metrics.roc_auc(one_class, one_class),
        "ndcg": metrics.ndcg(one_class, 0 * one_class, group),
        "mrr": metrics.mean_reciprocal_rank(one_class, 0 * one_class, group),
        "map": metrics.mean_average_precision(one_class, 0 * one_class, group),
        "nothing": metrics.roc_auc(none, none),
        "loss": metrics.log_loss(none, none),
        "gap": metrics.calibration_error(none, none),
        "list": metrics.ndcg(none, none, none),
        "f1": metrics.macro_f1(none.astype(int), none.astype(int)),
        "kept": np.float32(0.5),
    }
    assert metrics.defined(values) == {"kept": 0.5}


def test_which_value_is_better() -> None:
    assert is_better("auc", 0.8, 0.7) and not is_better("auc", 0.7, 0.7)
    assert is_better("log_loss", 0.3, 0.4) and not is_better("calibration_error", 0.2, 0.1)


# -- words --


@pytest.mark.parametrize(
    ("written", "reference", "wanted"),
    [
        ("a red shoe", "A shoe that is RED!", 2 * 2 / (3 + 5)),  # a … shoe, or a … red
        ("one two three four", "one three two four", 3 / 4),
        ("red red red", "red", 2 * 1 / (3 + 1)),  # a word counts as often as both have it
        ("红色的鞋", "红鞋", 2 * 2 / (4 + 2)),  # a character is a word
        ("Nike跑鞋", "nike 男 跑鞋", 2 * 3 / (3 + 4)),  # nike, 跑, 鞋
        ("naïve Größe", "NAÏVE GRÖSSE", 2 * 1 / (2 + 2)),
        ("", "something", 0),
        ("something", "", 0),
        ("", "", 0),
        ("…!", "red", 0),
    ],
)
def test_rouge_l_by_hand(written: str, reference: str, wanted: float) -> None:
    assert metrics.rouge_l([written], [reference]) == pytest.approx(wanted)
    assert metrics.rouge_l([written, "x"], [reference, "x"]) == pytest.approx((wanted + 1) / 2), "the mean over the rows"


@pytest.mark.parametrize(
    ("written", "references", "wanted"),
    [
        (["Ab C"], ["abc"], 1),  # of its three orders
        (["abc"], ["abd"], (2 / 3 + 1 / 2 + 0) / 3),  # precision and recall alike
        (["ab"], ["abcd"], 5 * 1 * (2 / 4 + 1 / 3) / 2 / (4 * 1 + (2 / 4 + 1 / 3) / 2)),  # recall weighs twice, orders 1 and 2 only
        (["红鞋"], ["红色的鞋"], 5 * (1 + 0) / 2 * (2 / 4 + 0) / 2 / (4 * (1 + 0) / 2 + (2 / 4 + 0) / 2)),
        (["ab", "x"], ["ab", "y"], 5 * (2 / 3 + 1) / 2 * (2 / 3 + 1) / 2 / (5 * (2 / 3 + 1) / 2)),  # counted over all rows
        (["ab", "xyz"], ["ab", "x"], 5 * (3 / 5 + 1) / 2 * 1 / (4 * (3 / 5 + 1) / 2 + 1)),  # xy and yz are longer than their reference
        (["abc"], ["xyz"], 0),
        ([""], ["something"], 0),
        (["something"], [""], 0),
        ([""], [""], 0),
    ],
)
def test_chrf_by_hand(written: list[str], references: list[str], wanted: float) -> None:
    assert metrics.chrf(written, references) == pytest.approx(wanted)


def test_texts_without_rows_and_of_unequal_number() -> None:
    assert math.isnan(metrics.rouge_l([], [])) and math.isnan(metrics.chrf((), ()))
    with pytest.raises(ValueError, match=r"zip\(\)"):
        metrics.rouge_l(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="2 texts and 1 references"):
        metrics.chrf(["a", "b"], ["a"])


# -- second opinions --


def test_scikit_learn_agrees_on_one_list() -> None:
    scores, labels, _ = rows()
    assert metrics.roc_auc(scores, labels) == pytest.approx(oracle.roc_auc_score(labels, scores))
    assert metrics.average_precision(scores, labels) == pytest.approx(oracle.average_precision_score(labels, scores))
    clipped = scores.clip(0.01, 0.99)
    assert metrics.log_loss(clipped, labels) == pytest.approx(oracle.log_loss(labels, clipped))


def test_scikit_learn_agrees_on_groups_with_ties() -> None:
    scores, labels, groups = rows()
    gains = np.random.default_rng(1).integers(0, 4, len(scores))
    lists = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    mixed = [g for g in lists if 0 < labels[g].sum() < len(g)]
    sizes = [len(g) for g in mixed]
    wanted = np.average([oracle.roc_auc_score(labels[g], scores[g]) for g in mixed], weights=sizes)
    assert metrics.grouped_auc(scores, labels, groups) == pytest.approx(wanted)
    wanted = np.mean([oracle.ndcg_score(gains[g][None], scores[g][None], k=10) for g in lists if gains[g].any() and len(g) > 1])
    kept = np.concatenate([g for g in lists if len(g) > 1])
    assert metrics.ndcg(scores[kept], gains[kept], groups[kept]) == pytest.approx(wanted)
    wanted = np.mean([oracle.average_precision_score(labels[g], scores[g]) for g in lists if labels[g].any()])
    assert metrics.mean_average_precision(scores, labels, groups) == pytest.approx(wanted)


def test_torchmetrics_agrees_on_groups_without_ties() -> None:
    _, labels, groups = rows(seed=2)
    scores = np.random.default_rng(2).permutation(len(labels)) / len(labels)
    given = torch.from_numpy(scores), torch.from_numpy(labels), torch.from_numpy(groups)
    for ours, theirs in (
        (metrics.mean_average_precision(scores, labels, groups), RetrievalMAP(empty_target_action="skip")),
        (metrics.mean_reciprocal_rank(scores, labels, groups), RetrievalMRR(empty_target_action="skip")),
        (metrics.ndcg(scores, labels, groups), RetrievalNormalizedDCG(empty_target_action="skip", top_k=10)),
        (metrics.hit_rate(scores, labels, groups, k=3), RetrievalHitRate(empty_target_action="skip", top_k=3)),
    ):
        theirs.update(given[0], given[1], indexes=given[2])
        assert ours == pytest.approx(float(theirs.compute()), abs=1e-6)


def test_torchmetrics_agrees_on_calibration() -> None:
    scores = np.random.default_rng(3).random(5000)
    labels = (np.random.default_rng(4).random(5000) < scores**2).astype(np.int64)
    wanted = binary_calibration_error(torch.from_numpy(scores), torch.from_numpy(labels), n_bins=15)
    assert metrics.calibration_error(scores, labels) == pytest.approx(float(wanted), abs=1e-6)


def test_torchmetrics_agrees_on_classes() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 12, 3000)
    predicted = np.where(rng.random(3000) < 0.6, labels, rng.integers(0, 12, 3000))
    given = torch.from_numpy(predicted), torch.from_numpy(labels)
    f1 = multiclass_f1_score(*given, num_classes=12, average=None)
    np.testing.assert_allclose(metrics.class_scores(predicted, labels).f1, f1.numpy(), rtol=1e-6)
    assert metrics.macro_f1(predicted, labels) == pytest.approx(float(f1.mean()), rel=1e-6)
    wanted = multiclass_confusion_matrix(*given, num_classes=12).numpy()
    np.testing.assert_array_equal(metrics.confusion_matrix(predicted, labels, np.arange(12)), wanted)
    shown = np.array([1, 4, 11])
    np.testing.assert_array_equal(metrics.confusion_matrix(predicted, labels, shown), wanted[np.ix_(shown, shown)])


# -- properties --

RANKING = {
    "gauc": metrics.grouped_auc,
    "ndcg": metrics.ndcg,
    "hits": lambda s, y, g: metrics.hit_rate(s, y, g, k=2),
    "mrr": metrics.mean_reciprocal_rank,
    "map": metrics.mean_average_precision,
}
lists = st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 1), st.integers(0, 4)), min_size=1, max_size=40)


def arrays(found: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, labels, groups = (np.array(c) for c in zip(*found, strict=True))
    return scores.astype(np.float64), labels, groups


@pytest.mark.parametrize("name", RANKING)
@given(found=lists, seed=st.integers(0, 9))
def test_the_order_of_rows_and_the_names_of_groups_do_not_matter(name: str, found: list[tuple[int, int, int]], seed: int) -> None:
    scores, labels, groups = arrays(found)
    order = np.random.default_rng(seed).permutation(len(scores))
    before, after = RANKING[name](scores, labels, groups), RANKING[name](scores[order], labels[order], 100 - 7 * groups[order])
    assert before == pytest.approx(after, nan_ok=True)


@pytest.mark.parametrize("name", RANKING)
@given(found=lists)
def test_only_the_order_of_scores_matters(name: str, found: list[tuple[int, int, int]]) -> None:
    scores, labels, groups = arrays(found)
    value = RANKING[name](scores, labels, groups)
    assert value == RANKING[name](np.exp(scores / 3) - 5, labels, groups) or math.isnan(value)
    assert math.isnan(value) or 0 <= value <= 1


@pytest.mark.parametrize("name", RANKING)
@given(found=lists)
def test_a_perfect_order_scores_one(name: str, found: list[tuple[int, int, int]]) -> None:
    _, labels, groups = arrays(found)
    if name in ("hits",) or not labels.any():
        return
    value = RANKING[name](labels.astype(float), labels, groups)
    assert math.isnan(value) or value == pytest.approx(1)


@given(found=lists)
def test_a_reversed_order_mirrors_the_auc(found: list[tuple[int, int, int]]) -> None:
    scores, labels, _ = arrays(found)
    assert metrics.roc_auc(scores, labels) == pytest.approx(1 - metrics.roc_auc(-scores, labels), nan_ok=True)


def test_a_catalogue_by_hand() -> None:
    """Four items, of which training rows took 3, 1, 0 and 0; three users."""
    first = np.array([[0, 1], [1, 0], [0, -1]])
    found = metrics.full_ranking(np.array([1, 4, 2]), first, np.array([3, 1, 0, 0]), k=2)
    assert found == pytest.approx(
        {
            "full_ndcg_at_2": (1 + 0 + 1 / math.log2(3)) / 3,
            "full_hr_at_2": 2 / 3,
            "full_mrr": (1 + 1 / 4 + 1 / 2) / 3,
            "coverage_at_2": 2 / 4,
            "novelty_at_2": (3 * -math.log2(4 / 8) + 2 * -math.log2(2 / 8)) / 5,
        }
    )
    assert metrics.full_ranking(np.zeros(0, np.int64), np.zeros((0, 2), np.int64), np.array([3, 1])) == {}
    alone = metrics.full_ranking(np.array([1]), np.array([[-1]]), np.array([5]))
    assert "novelty_at_10" not in alone and alone["coverage_at_10"] == 0
