"""Classification: classes of any type, class weights, report and confusion matrix, what the check finds."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import classification_report, log_loss

from mtl_core.data.problems import Severity
from mtl_core.tasks import KINDS
from mtl_core.tasks.heads import TaskBatch

KIND = KINDS["classification"]
OPTIONS, BALANCED = KIND.Options(dropout=0.0), KIND.Options(class_weights="balanced", dropout=0.0)
INTENTS = {"refund": ["money", "back", "return"], "delivery": ["where", "parcel", "late"], "other": ["hello", "thanks", "bye"]}


def messages(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    label = rng.choice(list(INTENTS), n, p=[0.6, 0.3, 0.1])
    text = [" ".join([*rng.choice(INTENTS[c], 2), f"noise{rng.integers(20)}"]) for c in label]
    return pa.table({"text": text, "label": label})


@pytest.mark.parametrize("options", [OPTIONS, BALANCED, KIND.Options(hidden_size=16)], ids=["plain", "balanced", "hidden"])
def test_learns_the_classes(options: Any, learn: Callable[..., dict[str, float]]) -> None:
    found = learn(KIND, messages(200, 0), messages(100, 1), options)
    assert found["accuracy"] > 0.95 and found["macro_f1"] > 0.9 and "auc" not in found


def test_learns_from_two_texts_read_together(learn: Callable[..., dict[str, float]]) -> None:
    table = pa.table({"text": ["a"] * 40, "second": ["x", "y"] * 20, "label": [True, False] * 20})
    assert learn(KIND, table, table, OPTIONS) == {"accuracy": 1, "macro_f1": 1, "auc": 1}
    assert [s.name for s in KIND.rows.slots(OPTIONS, ["text", "second"])] == ["pair"]
    assert [s.name for s in KIND.rows.slots(OPTIONS, ["text"])] == ["text"]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["b", "a", "b", None], ["a", "b"]),
        ([10, 9, 10, None], ["9", "10"]),
        ([2.0, 1.0, 2.0, None], ["1", "2"]),
        ([True, False, True, None], ["false", "true"]),
        (["10", "9", "9", ""], ["9", "10"]),
    ],
)
def test_classes_of_any_type(labels: list[Any], classes: list[str]) -> None:
    table = pa.table({"text": ["t"] * 4, "label": labels})
    spec = json.loads(json.dumps(KIND.rows.fit(table, OPTIONS)))
    assert spec["classes"] == classes
    encoded = KIND.rows.encode(table, spec, OPTIONS)["label"].to_pylist()
    assert encoded[3] is None and [classes[i] for i in encoded[:3]] == [str(v).lower().removesuffix(".0") for v in labels[:3]]


def test_a_class_that_training_does_not_know_is_masked() -> None:
    spec = KIND.rows.fit(pa.table({"text": ["t"] * 2, "label": ["a", "b"]}), OPTIONS)
    assert KIND.rows.encode(pa.table({"text": ["t"] * 2, "label": ["b", "new"]}), spec, OPTIONS)["label"].to_pylist() == [1, None]


def test_balanced_weights_give_every_class_the_same_share() -> None:
    table = pa.table({"text": ["t"] * 4, "label": ["a", "a", "a", "b"]})
    spec = KIND.rows.fit(table, BALANCED)
    assert spec["weights"] == pytest.approx([4 / (2 * 3), 4 / (2 * 1)])
    assert 3 * spec["weights"][0] == pytest.approx(spec["weights"][1]) and (3 * spec["weights"][0] + spec["weights"][1]) / 4 == 1
    losses = KIND.head.loss(torch.zeros(2, 2), TaskBatch({}, labels=torch.tensor([0, 1])), spec, BALANCED)
    np.testing.assert_allclose(losses, np.log(2) * np.array([2 / 3, 2]), rtol=1e-6)


def test_the_loss_is_cross_entropy() -> None:
    logits, labels = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 3
    scores = KIND.head.scores(logits, TaskBatch({}), {"classes": ["a", "b", "c"]})
    assert scores.shape == (20, 3)
    losses = KIND.head.loss(logits, TaskBatch({}, labels=labels), {}, OPTIONS)
    assert float(losses.mean()) == pytest.approx(log_loss(labels, scores / scores.sum(1, keepdims=True)), rel=1e-5)


def test_the_report_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 4, 200), rng.random((200, 4))
    spec = {"classes": ["w", "x", "y", "z"], "weights": [1.0] * 4}
    table, matrix = KIND.report.panels(scores, labels, None, spec)
    wanted = classification_report(labels, scores.argmax(1), target_names=spec["classes"], output_dict=True)
    rows = {row[0]: row[1:] for row in table.data["rows"]}
    for name in spec["classes"]:
        assert rows[name] == pytest.approx(list(wanted[name].values()))
    assert rows["macro average"] == pytest.approx(list(wanted["macro avg"].values()))
    assert rows["weighted average"] == pytest.approx(list(wanted["weighted avg"].values()))
    assert rows["accuracy"] == [None, None, pytest.approx(wanted["accuracy"]), 200]
    assert matrix.title == "Confusion matrix" and np.sum(matrix.data["values"]) == 200
    assert json.dumps([table.data, matrix.data])


def test_a_large_confusion_matrix_shows_the_classes_confused_most() -> None:
    labels = np.arange(50).repeat(2)
    scores = np.eye(50)[labels]
    scores[np.ix_([80, 81], [40])] = 0
    scores[[80, 81], 7] = 1  # class 40 is called 7
    _, matrix = KIND.report.panels(scores, labels, None, {"classes": [str(c) for c in range(50)], "weights": [1.0] * 50})
    assert "30 most confused classes" in matrix.title and len(matrix.data["labels"]) == 30
    at = matrix.data["labels"].index
    assert matrix.data["values"][at("40")][at("7")] == 2


def test_a_report_of_no_rows_is_no_exception() -> None:
    spec = {"classes": ["a", "b"], "weights": [1.0, 1.0]}
    table, _ = KIND.report.panels(np.zeros((0, 2)), np.zeros(0, np.int64), None, spec)
    assert len(table.data["rows"]) == 1
    assert KIND.report.evaluate(np.zeros((0, 2)), np.zeros(0, np.int64), None, spec) == {}


def test_predictions_show_the_five_best(to_batch: Callable[..., Any]) -> None:
    spec = {"classes": list("abcdefg"), "weights": [1.0] * 7}
    scores = np.array([[0.05, 0.4, 0.1, 0.2, 0.15, 0.06, 0.04]])
    (answer,) = KIND.report.answers(scores, spec)
    assert next(iter(answer)) == "label" and answer["label"] == "b" and answer["probability"] == 0.4
    assert list(answer["probabilities"]) == ["b", "d", "e", "c", "f"] and json.dumps(answer)
    encoded = KIND.rows.encode(pa.table({"text": ["x", None]}), spec, OPTIONS)
    vectors, batch = to_batch(encoded)
    assert KIND.head.module(32, spec, OPTIONS)(vectors, batch).shape == (2, 7)


def test_the_baseline_and_the_majority() -> None:
    table = messages(300, 0)
    split = np.array(["train"] * 200 + ["test"] * 100)
    found = KIND.rows.naive(table, split, KIND.rows.fit(table, OPTIONS), OPTIONS, "test")
    share = np.mean(np.array(table["label"].to_pylist()[200:]) == "refund")
    assert found["accuracy"] > 0.95 and found["majority_accuracy"] == pytest.approx(share)
    two = pa.table({"text": ["good", "bad"] * 20, "second": ["x"] * 40, "label": [1, 0] * 20})
    split = np.array(["train"] * 20 + ["test"] * 20)
    assert KIND.rows.naive(two, split, KIND.rows.fit(two, BALANCED), BALANCED, "test") == {
        "accuracy": 1,
        "macro_f1": 1,
        "auc": 1,
        "majority_accuracy": 0.5,
    }


def check(labels: list[Any], split: list[str], text: list[str | None] | None = None) -> dict[str, Any]:
    table = pa.table(
        {
            "text": pa.array(text or [f"text {i}" for i in range(len(labels))], pa.string()),
            "label": labels,
            "_line": np.arange(len(labels)) + 2,
        }
    )
    found = KIND.rows.check(table, np.array(split), OPTIONS)
    assert all(p.why.text() and p.remedy.text() for p in found)
    return {p.code: p for p in found}


def test_check_single_and_unknown_classes() -> None:
    found = check(["a", "a", "b", "a", "c", "c", None], ["train"] * 3 + ["validation", "test", "test", "train"])
    assert set(found) == {"class_with_one_row", "label_not_in_training", "label_missing"}
    assert (found["class_with_one_row"].line, found["class_with_one_row"].count) == (4, 1) and "“b”" in str(found["class_with_one_row"])
    assert (found["label_not_in_training"].line, found["label_not_in_training"].count) == (6, 2)
    assert all(p.severity is Severity.WARNING for p in found.values())


def test_check_spellings() -> None:
    split = ["train"] * 4 + ["validation", "test"]
    found = check(["Refund", "refund", "1.1", "1.10", "01", "ＲＥＦＵＮＤ"], split)
    assert "“Refund” = “refund” = “ＲＥＦＵＮＤ”" in str(found["class_case"]) and found["class_case"].count == 3
    assert "“1.1” = “1.10”" in str(found["class_number"]) and found["class_number"].count == 2
    codes = ["12345678901234567", "12345678901234568", "1e3", "1000", "a", "b"]  # the first two are one float64, and two numbers
    assert ": “1e3” = “1000”." in str(check(codes, split)["class_number"])
    table = pa.table({"text": ["a", "b"], "label": ["Refund", "ＲＥＦＵＮＤ"]})
    assert KIND.rows.fit(table, OPTIONS)["classes"] == ["Refund", "ＲＥＦＵＮＤ"]
    joined = KIND.Options(join_spellings=True)
    spec = KIND.rows.fit(table, joined)
    assert spec["classes"] == ["refund"]
    assert KIND.rows.encode(table, spec, joined)["label"].to_pylist() == [0, 0]


def test_rows_that_an_extra_column_tells_apart_are_not_the_same() -> None:
    """A value that is missing hides no other: neither a category beside an empty one, nor a number."""
    for name, values, double in (
        ("categories", [["x", None], ["y", None]], False),
        ("categories", [["a b", "c"], ["a", "b c"]], False),
        ("categories", [["x", None], ["x", None]], True),
        ("numbers", [[1.0, None], [2.0, None]], False),
        ("numbers", [[1.0, None], [1.0, None]], True),
    ):
        table = pa.table({"text": ["same"] * 4, "label": ["a", "b"] * 2, name: values * 2, "_line": [2, 3, 4, 5]})
        found = KIND.rows.check(table, np.array(["train"] * 4), OPTIONS)
        assert any(p.code == "same_text_other_label" for p in found) == double, (name, values)


def test_the_same_text_with_two_labels() -> None:
    found = check(["a", "b", "a", "b"], ["train"] * 3 + ["test"], ["same", "same", "other", "last"])["same_text_other_label"]
    assert (found.count, found.line) == (2, 2)
    assert "“same” is “a”, “b”" in str(found)
    assert "same_text_other_label" not in check(["a", "b", None], ["train"] * 3, ["x", "y", "x"])


def test_check_labels_that_cannot_be_learned() -> None:
    assert check(["a", "a", "b"], ["train", "train", "test"])["one_class"].severity is Severity.ERROR
    assert check([None, None, "b"], ["train", "train", "test"])["no_training_rows"].severity is Severity.ERROR
    different = check([f"order {i}" for i in range(30)], ["train"] * 28 + ["validation", "test"])
    assert different["labels_all_differ"].severity is Severity.ERROR and different["labels_all_differ"].count == 30
    many = check([f"c{i % 5000}" for i in range(10_002)], ["train"] * 10_000 + ["validation", "test"])
    assert set(many) == {"many_classes"} and many["many_classes"].severity is Severity.WARNING and "5000" in str(many["many_classes"])


def test_check_empty_texts() -> None:
    split = ["train", "train", "validation", "test"]
    assert check(["a", "b", "a", "b"], split, [None, "", " ", None])["texts_empty"].severity is Severity.ERROR
    assert check(["a", "b", "a", "b"], split, ["x", "", "y", None])["text_empty"].count == 2
