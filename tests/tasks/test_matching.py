"""Matching: pairs, class weights, the threshold of the validation rows, the report, leaks of pairs."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import average_precision_score, log_loss, precision_recall_fscore_support

from mtl_core.config.tables import map_fields
from mtl_core.data.problems import Severity
from mtl_core.evaluation import metrics
from mtl_core.tasks import KINDS, naming
from mtl_core.tasks.heads import TaskBatch

KIND = KINDS["matching"]
OPTIONS = KIND.Options(dropout=0.0)


def offers(n: int, seed: int) -> pa.Table:
    """The same product under another name, or another product. With the words summed, `same` and `other` say which."""
    rng = np.random.default_rng(seed)
    same = rng.random(n) < 0.3
    first = [f"product {rng.integers(1000)}" for _ in range(n)]
    second = [f"{text} same" if s else f"item {rng.integers(1000)} other" for text, s in zip(first, same, strict=True)]
    return pa.table({"first": first, "second": second, "label": same})


@pytest.mark.parametrize("options", [OPTIONS, KIND.Options(class_weights="balanced", hidden_size=16)], ids=["plain", "balanced and hidden"])
def test_learns_what_is_the_same(options: Any, learn: Callable[..., dict[str, float]]) -> None:
    found = learn(KIND, offers(100, 0), offers(60, 1), options, steps=60)
    assert set(found) == {m.name for m in KIND.metrics} and found["f1"] > 0.95 and found["pr_auc"] > 0.98


def test_both_texts_go_through_the_encoder_together(compiled: Callable[..., Any]) -> None:
    table = pa.table({"first": ["a", "a", "b"], "second": ["x", "y", None], "label": ["yes", "no", None]})
    spec = KIND.rows.fit(table, OPTIONS)
    vectors, batch = compiled(KIND, KIND.rows.encode(table, spec, OPTIONS), OPTIONS)
    assert len(vectors) == 2 and batch.labels.tolist() == [1, 0], "the row without a label is left out"
    scores = KIND.head.scores(KIND.head.module(vectors.shape[1], spec, OPTIONS)(vectors, batch), batch, spec)
    assert scores.shape == (2,) and scores == pytest.approx([0.5, 0.5])


def test_the_loss_is_binary_cross_entropy_and_balanced_weights_give_each_class_the_same_share() -> None:
    logits, labels = torch.randn(40, 1, generator=torch.Generator().manual_seed(0)), (torch.arange(40) % 4 == 0).float()
    scores = KIND.head.scores(logits, TaskBatch({}), {})
    batch = TaskBatch({}, labels=labels)
    assert float(KIND.head.loss(logits, batch, {}, OPTIONS).mean()) == pytest.approx(log_loss(labels, scores), rel=1e-5)
    balanced = KIND.head.loss(torch.zeros(40, 1), batch, {"prior": 0.25}, KIND.Options(class_weights="balanced"))
    assert float(balanced[labels > 0].sum()) == pytest.approx(float(balanced[labels == 0].sum()))
    assert float(balanced.mean()) == pytest.approx(np.log(2))


def test_the_first_guess_is_the_share_of_the_same(to_batch: Callable[..., Any]) -> None:
    table = pa.table({"first": ["a"] * 4, "second": ["b"] * 4, "label": [1, 0, 0, 0]})
    spec = json.loads(json.dumps(KIND.rows.fit(table, OPTIONS)))
    assert spec == {"prior": 0.25, "threshold": 0.5}
    for options, wanted in ((OPTIONS, 0.25), (KIND.Options(class_weights="balanced"), 0.5)):
        vectors, batch = to_batch(KIND.rows.encode(table.drop_columns("label"), spec, options))
        assert batch.labels is None
        assert KIND.head.scores(KIND.head.module(32, spec, options)(vectors, batch), batch, spec) == pytest.approx([wanted] * 4)


def test_the_threshold_is_chosen_on_one_set_of_rows_and_used_on_another() -> None:
    validation = np.array([0.1, 0.2, 0.3, 0.35]), np.array([0, 0, 1, 1])
    chosen = KIND.report.tuned(*validation, {}, OPTIONS)
    assert chosen == {"threshold": pytest.approx(0.25)} and json.dumps(chosen)
    scores, labels = np.array([0.24, 0.26, 0.4, 0.1], np.float32), np.array([1, 0, 1, 0], np.float32)
    found = KIND.report.evaluate(scores, labels, None, chosen)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, scores >= 0.25, average="binary")
    assert found == pytest.approx({"f1": f1, "precision": precision, "recall": recall, "pr_auc": average_precision_score(labels, scores)})
    assert KIND.report.evaluate(scores, labels * 0, None, chosen) == {}, "nothing is the same here: no metric is defined"
    answers = KIND.report.answers(np.array([0.24, 0.26], np.float32), chosen)
    assert [(a["label"], a["probability"]) for a in answers] == [("different", pytest.approx(0.76)), ("same", pytest.approx(0.26))]
    assert answers[0]["probabilities"] == {"same": pytest.approx(0.24), "different": pytest.approx(0.76)}
    (named,) = KIND.report.answers(np.array([0.24], np.float32), naming.named(chosen, {"0": "another product"}))
    assert (named["label"], named["class"]) == ("another product", "0")
    assert KIND.report.label_called("no", naming.named(chosen, {"0": "another product"})) == "another product"


def test_a_row_is_right_whichever_answer_it_has() -> None:
    """Also where nothing is the same, which F1 says nothing of."""
    right = KIND.report.right(np.array([0.3, 0.1, 0.3, 0.1], np.float32), np.array([1, 0, 0, 1.0]), {"threshold": 0.25})
    assert right.tolist() == [True, True, False, False]


def test_the_report_calls_both_answers_as_people_do() -> None:
    panels = [vars(panel) for panel in KIND.report.panels(np.array([0.9, 0.1]), np.array([1.0, 0]), None, {"threshold": 0.5})]
    assert naming.named_panels(panels, {"0": "another product"})[1]["data"]["labels"] == ["same", "another product"]


def test_the_report_marks_the_threshold() -> None:
    scores, labels = np.array([0.05, 0.45, 0.95, 0.85]), np.array([0.0, 1, 1, 0])
    table, matrix = KIND.report.panels(scores, labels, None, {"threshold": 0.44})
    marked = [row for row in table.data["rows"] if row[-1]]
    assert marked == [[0.44, 2 / 3, 1.0, 0.8, "chosen"]]
    assert [row[0] for row in table.data["rows"]] == sorted([*np.arange(1, 10) / 10, 0.44])
    assert all(row[1:4] == pytest.approx(metrics.precision_recall_f1(scores, labels, row[0])) for row in table.data["rows"])
    assert matrix.data == {"labels": ["same", "different"], "classes": ["1", "0"], "values": [[2, 0], [1, 1]]} and json.dumps(table.data)
    assert len(KIND.report.panels(scores[:0], labels[:0], None, {"threshold": 0.5})[0].data["rows"]) == 9


def test_the_baseline_finds_similar_names() -> None:
    rng = np.random.default_rng(0)
    names = [f"{rng.choice(['canon', 'nikon', 'sony'])} camera {rng.integers(100, 999)}" for _ in range(200)]
    same = rng.random(200) < 0.5
    second = [f"{name} black" if s else names[i - 1] for i, (name, s) in enumerate(zip(names, same, strict=True))]
    table = pa.table({"first": names, "second": second, "label": same})
    split = np.array(["train"] * 100 + ["validation"] * 50 + ["test"] * 50)
    found = KIND.rows.naive(table, split, KIND.rows.fit(table, OPTIONS), OPTIONS, "test")
    assert set(found) == {m.name for m in KIND.metrics} and found["f1"] > 0.8
    assert KIND.rows.naive(table, np.array(["train"] * 200), KIND.rows.fit(table, OPTIONS), OPTIONS, "test") == {}


def test_equal_pairs_in_two_parts_are_found() -> None:
    """The pair must be equal, not one of its texts."""
    table = pa.table(
        {
            "a": ["red shoe", "red shoe", "hat", "Red shoe "],
            "b": ["shoe, red", "boot", "boot", "SHOE, red"],
            "same": ["yes", "no", "no", "yes"],
            "_line": [2, 3, 4, 5],
        }
    )
    split = np.array(["train", "train", "validation", "test"])
    mapped = map_fields(KIND, table, split, {"first": "a", "second": "b", "label": "same"}, OPTIONS, "pairs.csv")
    found = {p.code: p for p in mapped.problems}
    assert (found["leak_texts"].column, found["leak_texts"].count, found["leak_texts"].line) == ("a, b", 2, 2)
    assert " 1 text is" in f" {found['leak_texts'].why}"


def test_check_says_what_is_wrong() -> None:
    table = pa.table({"first": ["a", "b", ""], "second": pa.nulls(3, pa.string()), "label": ["yes", "maybe", "no"], "_line": [2, 3, 4]})
    found = {p.code: p for p in KIND.rows.check(table, np.array(["train", "train", "test"]), OPTIONS)}
    assert {"text_empty", "texts_empty", "label_type", "one_class"} <= set(found)
    assert found["label_type"].line == 3 and found["texts_empty"].severity is Severity.ERROR
