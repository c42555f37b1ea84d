"""Search relevance: cosine with a learned temperature, grades as targets, groups by query, TF-IDF."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pydantic import ValidationError

from mtl_core.data.problems import Severity
from mtl_core.tasks import KINDS
from mtl_core.tasks.heads import SlotIndex, TaskBatch

KIND = KINDS["search"]
APART, TOGETHER = KIND.Options(), KIND.Options(pairing="together", dropout=0.0)
WORDS = [f"word{i}" for i in range(12)]


def shop(n: int, seed: int, graded: bool = False) -> pa.Table:
    """A product is relevant when it has a word of the query, more so when it has both."""
    rng = np.random.default_rng(seed)
    query = [rng.choice(WORDS, 2, replace=False) for _ in range(n)]
    overlap = rng.integers(0, 3, n)
    product = [[*q[:k], *rng.choice([w for w in WORDS if w not in q], 3 - k, replace=False)] for q, k in zip(query, overlap, strict=True)]
    label = overlap if graded else (overlap == 2).astype(int)
    qid = [f"q{i // 5}" for i in range(n)]
    return pa.table({"query": [" ".join(q) for q in query], "product": [" ".join(p) for p in product], "label": label, "group": qid})


def test_learns_where_a_product_counts_as_relevant(learn: Callable[..., dict[str, float]]) -> None:
    found = learn(KIND, shop(300, 0, graded=True), shop(200, 1, graded=True), APART)
    assert found["auc"] > 0.9 and found["ndcg_at_10"] > 0.9
    assert set(found) == {m.name for m in KIND.metrics}


def test_learns_from_the_two_texts_read_together(learn: Callable[..., dict[str, float]]) -> None:
    good = pa.table({"query": ["good"] * 20, "product": ["red", "blue"] * 10, "label": [1, 0] * 10})
    assert learn(KIND, good, good, TOGETHER)["auc"] == 1


def test_the_logit_is_a_scaled_cosine() -> None:
    head = KIND.head.module(2, {"prior": 0.5}, KIND.Options(temperature=0.2))
    vectors = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    slots = {"query": SlotIndex(torch.tensor([0, 0])), "product": SlotIndex(torch.tensor([1, 0]))}
    torch.testing.assert_close(head(vectors, TaskBatch(slots)), torch.tensor([5 * (0.6 - 0.5), 5 * (1 - 0.5)]))


def test_the_temperature_and_the_threshold_are_learned_within_bounds() -> None:
    head = KIND.head.module(2, {"prior": 0.5}, APART)
    assert {n for n, p in head.named_parameters() if p.requires_grad} == {"log_scale", "threshold"}
    torch.nn.init.constant_(head.log_scale, 50)
    slots = {"query": SlotIndex(torch.tensor([0])), "product": SlotIndex(torch.tensor([0]))}
    assert float(head(torch.ones(1, 2), TaskBatch(slots)).detach()) == pytest.approx(100 * 0.5, rel=1e-5)
    plain = KIND.head.module(2, {"prior": 0.1}, KIND.Options(bias=False))
    assert [n for n, p in plain.named_parameters() if p.requires_grad] == ["log_scale"] and float(plain.threshold) == 0
    with pytest.raises(ValidationError):
        KIND.Options(temperature=0)


def test_grades_become_shares_of_the_largest_gain() -> None:
    table = pa.table({"query": ["q"] * 5, "product": list("abcde"), "label": [0, 1, 2, 3, None]})
    for gains, wanted in (("linear", [0, 1 / 3, 2 / 3, 1, None]), ("exponential", [0, 1 / 7, 3 / 7, 1, None])):
        options = KIND.Options(gains=gains)
        spec = KIND.rows.fit(table, options)
        assert KIND.rows.encode(table, spec, options)["label"].to_pylist() == pytest.approx(wanted)
        above = table.set_column(2, "label", [[9, 3, 0, 0, 0]])
        assert KIND.rows.encode(above, spec, options)["label"].to_pylist() == [1, 1, 0, 0, 0]
    large = table.set_column(2, "label", [[0, 5000, 4999, 4998, 1]])
    options = KIND.Options(gains="exponential")
    assert KIND.rows.encode(large, KIND.rows.fit(large, options), options)["label"].to_pylist() == [0, 1, 0.5, 0.25, 0]


def test_the_loss_of_a_grade_by_hand() -> None:
    losses = KIND.head.loss(torch.tensor([0.5]), TaskBatch({}, labels=torch.tensor([0.25])), {}, APART)
    p = 1 / (1 + math.exp(-0.5))
    assert float(losses[0]) == pytest.approx(-(0.25 * math.log(p) + 0.75 * math.log(1 - p)))


def test_relevant_is_the_highest_grade_unless_said_otherwise() -> None:
    table = pa.table({"query": ["q"] * 3, "product": list("abc"), "label": [2, 1, 0]})
    scores, labels, groups = np.array([0.5, 0.9, 0.1]), np.array([1, 0.5, 0]), np.zeros(3, np.int64)
    strict = KIND.report.evaluate(scores, labels, groups, KIND.rows.fit(table, APART))
    assert strict["mrr"] == 1 / 2 and strict["auc"] == 1 / 2
    generous = KIND.report.evaluate(scores, labels, groups, KIND.rows.fit(table, KIND.Options(relevant_from=1)))
    assert generous["mrr"] == 1 and generous["auc"] == 1 and generous["map"] == 1
    assert strict["ndcg_at_10"] == generous["ndcg_at_10"] == pytest.approx((0.5 + 1 / math.log2(3)) / (1 + 0.5 / math.log2(3)))


def test_groups_are_the_queries_unless_given() -> None:
    table = pa.table({"query": ["q", "p", "q"], "product": list("abc"), "label": [1, 0, 0], "group": ["1", "1", "2"]})
    spec = KIND.rows.fit(table, APART)
    assert KIND.rows.encode(table, spec, APART)["group"].to_pylist() == [0, 0, 1]
    assert KIND.rows.encode(table.drop_columns("group"), spec, APART)["group"].to_pylist() == [0, 1, 0]


@pytest.mark.parametrize("options", [APART, TOGETHER], ids=["apart", "together"])
def test_rows_to_predict_need_no_label(options: Any, to_batch: Callable[..., Any]) -> None:
    spec = json.loads(json.dumps(KIND.rows.fit(shop(20, 0), options)))
    encoded = KIND.rows.encode(pa.table({"query": ["word1", None], "product": ["word1 word2", "word3"]}), spec, options)
    assert encoded.column_names == [s.name for s in KIND.rows.slots(options)]
    vectors, batch = to_batch(encoded)
    answers = KIND.report.answers(KIND.head.scores(KIND.head.module(32, spec, options)(vectors, batch), batch, spec), spec)
    assert len(answers) == 2 and all(0 <= a["relevance"] <= 1 for a in answers)


def test_tf_idf_ranks_by_shared_words() -> None:
    table = shop(200, 0)
    split = np.array(["train"] * 100 + ["test"] * 100)
    found = KIND.rows.naive(table, split, KIND.rows.fit(table, APART), APART, "test")
    assert found["auc"] > 0.95
    together = KIND.rows.naive(table, split, KIND.rows.fit(table, TOGETHER), TOGETHER, "test")
    assert together == pytest.approx(found)
    wordless = table.set_column(0, "query", [["!"] * 200]).set_column(1, "product", [["?"] * 200])
    assert KIND.rows.naive(wordless, split, KIND.rows.fit(table, APART), APART, "test")["auc"] == 0.5


def test_check_says_what_is_wrong() -> None:
    table = pa.table({"query": ["q"] * 5, "product": ["p"] * 5, "label": ["1", "good", "-2", None, "0"], "_line": [2, 3, 4, 5, 6]})
    found = {p.code: p for p in KIND.rows.check(table, np.array(["train", "train", "train", "validation", "test"]), APART)}
    assert found["label_type"].line == 3 and "“good”" in str(found["label_type"])
    assert found["label_range"].line == 4 and "-2" in str(found["label_range"])
    assert found["label_missing"].line == 5 and found["label_missing"].severity is Severity.WARNING
    words = pa.table({"query": ["q"] * 2, "product": ["p"] * 2, "label": ["no", "yes"]})
    assert "label_type" not in {p.code for p in KIND.rows.check(words, np.array(["train"] * 2), APART)}
    same = pa.table({"query": ["q"] * 2, "product": ["p", None], "label": [2, 2]})
    assert "one_class" in {p.code for p in KIND.rows.check(same, np.array(["train"] * 2), APART)}
    graded = pa.table({"query": ["q"] * 2, "product": [None, ""], "label": [0, 2]})
    assert {"relevant_from", "texts_empty"} <= {
        p.code for p in KIND.rows.check(graded, np.array(["train"] * 2), KIND.Options(relevant_from=3))
    }


def test_ranking_losses_by_hand() -> None:
    logits = torch.tensor([2.0, -1.0, 0.5, 3.0, 1.0, 4.0, 0.0])
    gains = torch.tensor([1.0, 0.0, 0.25, 1.0, 0.5, 0.5, 1.0])
    groups = torch.tensor([7, 7, 7, 3, 5, 5, 8])  # one of three grades, one alone, two equal, one alone
    batch = TaskBatch({}, labels=gains, groups=groups)
    alone = torch.nn.functional.binary_cross_entropy_with_logits(logits, gains, reduction="none").tolist()

    def lost(difference: float) -> float:
        return math.log(1 + math.exp(-difference))

    found = KIND.head.loss(logits, batch, {}, KIND.Options(loss="pairwise")).tolist()
    pairs = {(0, 1): lost(3), (0, 2): lost(1.5), (1, 2): lost(1.5)}
    assert found[0] == pytest.approx((pairs[0, 1] + 0.75 * pairs[0, 2]) / 1.75)
    assert found[1] == pytest.approx((pairs[0, 1] + 0.25 * pairs[1, 2]) / 1.25)
    assert found[2] == pytest.approx(0.75 * pairs[0, 2] + 0.25 * pairs[1, 2])
    assert found[3:] == pytest.approx(alone[3:]), "nothing to be compared with"

    found = KIND.head.loss(logits, batch, {}, KIND.Options(loss="listwise")).tolist()
    total = sum(math.exp(s) for s in (2, -1, 0.5))
    wanted = -(0.8 * math.log(math.exp(2) / total) + 0.2 * math.log(math.exp(0.5) / total))
    assert found[:3] == pytest.approx([wanted] * 3) and found[3:] == pytest.approx(alone[3:])


@pytest.mark.parametrize("loss", ["pairwise", "listwise"])
def test_ranking_losses_have_sound_gradients_and_teach(loss: str, learn: Callable[..., dict[str, float]]) -> None:
    options = KIND.Options(loss=loss)
    assert KIND.rows.draws_groups(options) and not KIND.rows.draws_groups(APART)
    logits = torch.tensor([500.0, -500.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    batch = TaskBatch({}, labels=torch.tensor([0.0, 1.0, 0.0, 0.0]), groups=torch.tensor([1, 1, 2, 3]))
    KIND.head.loss(logits, batch, {}, options).sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all() and (logits.grad != 0).all()
    assert learn(KIND, shop(300, 0, graded=True), shop(200, 1, graded=True), options, steps=60)["ndcg_at_10"] > 0.9
