"""Out of scope, parents and few rows of a class: values by hand, scikit-learn as a second opinion, what the check finds."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mtl_core.config.tables import map_fields
from mtl_core.data.problems import Problem, Severity
from mtl_core.tasks import KINDS, naming
from mtl_core.tasks.classification import classes, probable
from mtl_core.tasks.classification.head import doubt
from mtl_core.tasks.heads import TaskBatch

KIND = KINDS["classification"]
LABELS = ["pay", "bill", "play", "pay", "oos", "stop", "oos", "play"]
PARENTS = ["bank", "bank", "music", "bank", "oos", "music", "oos", "music"]
TABLE = pa.table({"text": [f"t{i}" for i in range(8)], "label": LABELS, "parent": PARENTS, "_line": np.arange(2, 10)})
SPLIT = np.array(["train"] * 6 + ["test"] * 2)
REJECTS = KIND.Options(out_of_scope="oos", reject="confidence", dropout=0.0)


def check(table: pa.Table, split: np.ndarray = SPLIT, **options: Any) -> dict[str, Problem]:
    found = KIND.rows.check(table, split, KIND.Options(**options))
    assert all(p.why.text() and p.remedy.text() for p in found)
    return {p.code: p for p in found}


# -- out of scope -------------------------------------------------------------------------------------------------------------


def test_doubt_by_hand_and_far_from_zero() -> None:
    logits = torch.tensor([[0.0, np.log(3.0)], [60.0, 0.0], [-60.0, -60.0]])
    np.testing.assert_allclose(doubt(logits, "confidence"), [0.25, 0, 0.5], atol=1e-6)
    energy = -np.log(np.exp(logits.double().numpy()).sum(axis=1))
    np.testing.assert_allclose(doubt(logits, "energy"), 1 / (1 + np.exp(-energy)), rtol=1e-5)
    assert 0 < doubt(logits, "energy")[1] < 1e-20  # still in order where all are sure


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 0.9), (0.1, 0.8), (0.25, 0.7), (0.5, 0.4)])
def test_the_threshold_turns_away_at_most_the_share(share: float, wanted: float) -> None:
    doubts = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert classes.threshold(doubts[::-1], share) == wanted and (doubts > wanted).mean() <= share
    assert (np.full(10, 0.3) > classes.threshold(np.full(10, 0.3), share)).mean() == 0  # equal doubts are not told apart


def test_rows_that_are_turned_away_are_in_no_class() -> None:
    spec = json.loads(json.dumps(KIND.rows.fit(TABLE, REJECTS)))
    assert spec["classes"] == ["bill", "pay", "play", "stop"] and spec["reject"] == "confidence"
    encoded = KIND.rows.encode(TABLE.append_column("x", [[None] * 8]), spec, REJECTS)
    assert encoded["label"].to_pylist() == [1, 0, 2, 1, 4, 3, 4, 2]
    assert KIND.rows.keep(TABLE, SPLIT, REJECTS, 0).tolist() == [True] * 4 + [False] + [True] * 3  # one to be measured on is kept
    losses = KIND.head.loss(torch.zeros(2, 4), TaskBatch({}, labels=torch.tensor([4, 2])), {"classes": spec["classes"]}, REJECTS)
    assert losses.tolist() == pytest.approx([0, np.log(4)])
    as_class = KIND.Options(out_of_scope="oos")
    assert "oos" in KIND.rows.fit(TABLE, as_class)["classes"] and KIND.rows.keep(TABLE, SPLIT, as_class, 0).all()


def test_metrics_with_rejection_by_hand() -> None:
    spec = {"classes": ["a", "b"], "out_of_scope": "oos", "reject": "confidence"}
    scores = np.array([[0.9, 0.1, 0.1], [0.6, 0.4, 0.4], [0.2, 0.8, 0.2], [0.3, 0.7, 0.3], [0.45, 0.55, 0.45], [0.85, 0.15, 0.15]])
    labels = np.array([0, 0, 1, 0, 2, 2])
    tuned = spec | KIND.report.tuned(scores, labels, spec, KIND.Options(rejected_share=0.25))
    assert tuned["threshold"] == 0.3  # of 0.1 0.2 0.3 0.4 within scope one may be rejected
    found = KIND.report.evaluate(scores, labels, None, tuned)
    assert found["in_scope_accuracy"] == 3 / 4  # the fourth is called b; the second counts although it is rejected
    assert found["out_of_scope_recall"] == 1 / 2 and found["in_scope_rejected"] == 1 / 4
    assert found["accuracy"] == 3 / 6  # the first, the third and the fifth
    assert found["out_of_scope_auc"] == roc_auc_score(labels == 2, scores[:, 2]) == (4 + 1) / 8
    assert found["auc"] == 1  # of the classes, within scope
    early = KIND.report.evaluate(scores, labels, None, spec)
    assert "out_of_scope_recall" not in early and early["accuracy"] == early["in_scope_accuracy"] * 4 / 6
    _, matrix = KIND.report.panels(scores, labels, None, tuned)
    assert matrix.data == {"labels": ["a", "b", "oos"], "values": [[1, 1, 1], [0, 1, 0], [1, 0, 1]]}
    rejected, sure = KIND.report.answers(scores[[4, 5]], tuned)
    assert (rejected["label"], rejected["closest"], rejected["probability"]) == ("oos", "b", 0.55) and next(iter(rejected)) == "label"
    assert sure["label"] == "a" and "closest" not in sure and list(sure["probabilities"]) == ["a", "b"]


def test_metrics_of_an_out_of_scope_class_by_hand() -> None:
    spec = {"classes": ["a", "b", "oos"], "out_of_scope": "oos"}
    scores = np.array([[0.5, 0.2, 0.3], [0.1, 0.3, 0.6], [0.2, 0.1, 0.7], [0.6, 0.0, 0.4]])
    labels = np.array([0, 1, 2, 2])
    found = KIND.report.evaluate(scores, labels, None, spec)
    assert found["in_scope_accuracy"] == 1  # the second's best class within scope is its own
    assert (found["out_of_scope_recall"], found["in_scope_rejected"], found["accuracy"]) == (0.5, 0.5, 0.5)
    assert found["out_of_scope_auc"] == 3 / 4 and KIND.report.tuned(scores, labels, spec, KIND.Options()) == {}


def test_rejection_without_any_row_out_of_scope() -> None:
    spec = {"classes": ["a", "b"], "reject": "energy", "out_of_scope": ""}
    scores, labels = np.array([[0.9, 0.1, 0.2], [0.4, 0.6, 0.7]]), np.array([0, 1])
    tuned = spec | KIND.report.tuned(scores, labels, spec, KIND.Options(rejected_share=0.5))
    found = KIND.report.evaluate(scores, labels, None, tuned)
    assert found == {"accuracy": 0.5, "macro_f1": pytest.approx(1 / 3), "auc": 1, "in_scope_accuracy": 1, "in_scope_rejected": 0.5}
    assert KIND.report.answers(scores, tuned)[1]["label"] == "out of scope"
    assert KIND.report.tuned(scores[:0], labels[:0], spec, KIND.Options()) == {}


@pytest.mark.parametrize("reject", ["none", "confidence", "energy"])
def test_strange_words_are_doubted(reject: str, to_batch: Callable[..., Any]) -> None:
    words = {"pay": "invoice", "play": "song", "stop": "halt"}
    strange = pa.table({"text": [f"{w} x" for w in ("zebra", "moon", "salt", "cloud", "brick", "owl")], "label": ["oos"] * 6})
    known = pa.table({"text": [f"{w} x" for w in words.values()] * 20, "label": list(words) * 20})
    table, split = pa.concat_tables([known, strange]), np.array(["train"] * 30 + ["validation"] * 15 + ["test"] * 21)
    split[60] = "train"
    options = KIND.Options(out_of_scope="oos", reject=reject, dropout=0.0)
    train = table.filter(pa.array(KIND.rows.keep(table, split, options, 0) & (split == "train")))
    spec = KIND.rows.fit(train, options)
    torch.manual_seed(0)
    head = KIND.head.module(32, spec, options)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.02)
    vectors, batch = to_batch(KIND.rows.encode(train, spec, options))
    for _ in range(40):
        optimizer.zero_grad()
        KIND.head.loss(head(vectors, batch), batch, spec, options).mean().backward()
        optimizer.step()
    vectors, batch = to_batch(KIND.rows.encode(table, spec, options))
    scores, labels = KIND.head.scores(head(vectors, batch), batch, spec), KIND.head.truth(batch, spec)
    assert scores.shape == (66, 4) and ((scores >= 0) & (scores <= 1)).all()
    validation = split == "validation"
    spec |= json.loads(json.dumps(KIND.report.tuned(scores[validation], labels[validation], spec, options)))
    found = KIND.report.evaluate(scores[split == "test"], labels[split == "test"], None, spec)
    assert found["in_scope_accuracy"] == 1 and found["in_scope_rejected"] == 0 and found["out_of_scope_auc"] > 0.9
    naive = KIND.rows.naive(table, split, KIND.rows.fit(train, options), options, "test")
    assert naive["in_scope_accuracy"] == 1 and {"out_of_scope_auc", "out_of_scope_recall"} <= set(naive)
    assert naive["out_of_scope_recall"] == 1 or reject == "none"


def test_check_out_of_scope() -> None:
    assert "out_of_scope_missing" in check(TABLE, out_of_scope="other") and "out_of_scope_missing" not in check(TABLE, out_of_scope="oos")
    found = check(TABLE, out_of_scope="oos", reject="energy")["out_of_scope_not_learned"]
    assert (found.line, found.count, found.severity) == (6, 1, Severity.INFO)
    split = np.array(["test" if label == "oos" else "train" for label in LABELS])
    assert "label_not_in_training" in check(TABLE, split, out_of_scope="oos")
    assert "label_not_in_training" not in check(TABLE, split, out_of_scope="oos", reject="energy")


# -- parents ------------------------------------------------------------------------------------------------------------------


def test_the_parent_of_a_class() -> None:
    spec = json.loads(json.dumps(KIND.rows.fit(TABLE, KIND.Options())))
    assert spec["classes"] == ["bill", "oos", "pay", "play", "stop"]
    assert spec["parents"] == {"names": ["bank", "music", "oos"], "of": [0, 2, 0, 1, 1]}
    labels, parents = pa.chunked_array([["a", "a", "a", "b", "b", "c"]]), pa.chunked_array([["x", "y", "y", "z", "w", None]])
    assert classes.parents_of(labels, parents) == {"a": "y", "b": "w"}  # the more frequent, else the first by name
    lone = pa.table({"text": ["t"] * 6, "label": labels, "parent": parents})
    assert KIND.rows.fit(lone, KIND.Options())["parents"] == {"names": ["c", "w", "y"], "of": [2, 1, 0]}


def test_the_loss_of_parents_by_hand() -> None:
    """Three classes, the first two of one parent: logits of the parents are the log-sum-exp of their classes' logits."""
    spec = {"classes": ["a", "b", "c"], "weights": [1.0] * 3, "parents": {"names": ["x", "y"], "of": [0, 0, 1]}}
    logits, labels = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]], requires_grad=True), torch.tensor([0, 2])
    found = KIND.head.loss(logits, TaskBatch({}, labels=labels), spec, KIND.Options(parent_weight=0.3))
    parents = torch.stack([logits[:, :2].logsumexp(1), logits[:, 2]], dim=1)
    cross_entropy = torch.nn.functional.cross_entropy
    wanted = cross_entropy(logits, labels, reduction="none") + 0.3 * cross_entropy(parents, torch.tensor([0, 1]), reduction="none")
    torch.testing.assert_close(found, wanted)
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    assert gradient.isfinite().all()


def test_a_parent_is_found_where_its_classes_are_confused() -> None:
    spec = {"classes": ["a", "b", "c"], "parents": {"names": ["x", "y"], "of": [0, 0, 1]}, "out_of_scope": ""}
    scores, labels = np.array([[0.3, 0.3, 0.4], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3]]), np.array([0, 0, 0])
    found = KIND.report.evaluate(scores, labels, None, spec)
    assert found["parent_accuracy"] == pytest.approx(2 / 3) and found["accuracy"] == 0
    *_, matrix = KIND.report.panels(scores, labels, None, spec)
    assert matrix.data == {"labels": ["x", "y"], "values": [[2, 1], [0, 0]]}
    answer = KIND.report.answers(scores, spec)[0]
    assert (answer["label"], answer["parent"], answer["parent_probability"]) == ("c", "x", pytest.approx(0.6)) and json.dumps(answer)


def test_check_parents() -> None:
    table = TABLE.set_column(2, "parent", [["bank", "bank", "music", "shop", "oos", None, "bank", "music"]])
    table = table.set_column(1, "label", [["pay", "bill", "play", "pay", "oos", "stop", "pay", "play"]])
    found = check(table)
    assert (found["two_parents"].line, found["two_parents"].count) == (5, 1) and "“pay”, here under “shop”" in str(found["two_parents"])
    assert (found["parent_missing"].line, found["parent_missing"].count) == (7, 1)


# -- many classes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["none", "a class", "doubt"])
def test_what_is_kept_of_many_classes_measures_and_answers_as_all_of_them_do(scope: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    n = 40
    spec = {"classes": [f"c{i}" for i in range(n)], "weights": [1.0] * n, "out_of_scope": "" if scope == "none" else "c7"}
    spec["parents"] = {"names": ["x", "y", "z"], "of": rng.integers(0, 3, n).tolist()}
    if scope == "doubt":
        spec |= {"out_of_scope": "other", "reject": "confidence"}
    logits = torch.from_numpy(rng.normal(0, 2, (300, n)).astype(np.float32))
    logits[:5] = 0.0  # equal ones: the first class is the answer
    labels = rng.integers(0, n + (scope == "doubt"), 300)
    whole = KIND.head.scores(logits, TaskBatch({}), spec)
    monkeypatch.setattr(probable, "WHOLE", n - 1)
    few = KIND.head.scores(logits, TaskBatch({}), spec)
    assert few.shape == (300, 2 * probable.TOP + 3) and few.dtype == np.float32
    spec |= KIND.report.tuned(whole, labels, spec, REJECTS)
    assert KIND.report.tuned(few, labels, spec, REJECTS) == KIND.report.tuned(whole, labels, spec, REJECTS)
    assert KIND.report.evaluate(few, labels, None, spec) == pytest.approx(KIND.report.evaluate(whole, labels, None, spec))
    assert KIND.report.panels(few, labels, None, spec) == KIND.report.panels(whole, labels, None, spec)
    np.testing.assert_array_equal(KIND.report.right(few, labels, spec), KIND.report.right(whole, labels, spec))
    for one, other in zip(KIND.report.guess(few, spec), KIND.report.guess(whole, spec), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(KIND.report.answers(few, spec)[5:], KIND.report.answers(whole, spec)[5:], strict=True):
        assert list(one["probabilities"]) == list(other["probabilities"])
        assert one.pop("parent_probability") == pytest.approx(other.pop("parent_probability"), rel=1e-5)
        assert one == other


def test_few_rows_are_scored_together_where_each_has_many_numbers() -> None:
    assert KIND.most_rows({"classes": [str(i) for i in range(100_000)]}) == 335
    assert KIND.most_rows({"classes": ["a", "b"]}) == KIND.rows_at_once


# -- few rows -----------------------------------------------------------------------------------------------------------------


def test_few_rows_of_each_class() -> None:
    table = pa.table({"text": ["t"] * 30, "label": ["a"] * 15 + ["b"] * 4 + [None] + ["a"] * 10})
    split = np.array(["train"] * 20 + ["test"] * 10)
    three, five = (KIND.rows.keep(table, split, KIND.Options(rows_per_class=n), seed=1) for n in (3, 5))
    assert [three[:15].sum(), three[15:19].sum(), three[20:].sum()] == [3, 3, 10]  # the test is left as it is
    assert [five[:15].sum(), five[15:19].sum()] == [5, 4] and (three <= five).all()
    assert not np.array_equal(three, KIND.rows.keep(table, split, KIND.Options(rows_per_class=3), seed=2))
    assert KIND.rows.keep(table, split, KIND.Options(), seed=1).all()


def test_rows_that_are_not_kept_are_in_no_part() -> None:
    columns = {"text": "text", "label": "label"}
    mapped = map_fields(KIND, TABLE, SPLIT, columns, KIND.Options(out_of_scope="oos", reject="energy", rows_per_class=1), "t.csv", seed=3)
    assert mapped.split[4] == "" and sorted(mapped.split[[0, 3]]) == ["", "train"] and mapped.split[6] == "test"
    assert (mapped.split == "train").sum() == 4


# -- names for people ---------------------------------------------------------------------------------------------------------


def test_answers_and_reports_call_classes_as_people_do() -> None:
    spec = KIND.rows.fit(TABLE, KIND.Options(out_of_scope="oos"))
    called = {"pay": "Payments", "oos": "something else", "bank": "Banking"}
    named = naming.named(spec, called)
    scores = np.array([[0.1, 0.1, 0.6, 0.1, 0.1], [0.1, 0.6, 0.1, 0.1, 0.1]], np.float32)  # bill, oos, pay, play, stop
    first, second = KIND.report.answers(scores, named)
    assert (first["label"], first["class"], first["parent"]) == ("Payments", "pay", "Banking")
    assert (second["label"], second["class"]) == ("something else", "oos")
    assert set(first["probabilities"]) == {"bill", "something else", "Payments", "play", "stop"}
    assert KIND.report.evaluate(scores, np.array([2, 0]), None, named) == KIND.report.evaluate(scores, np.array([2, 0]), None, spec)
    panels = [vars(panel) for panel in KIND.report.panels(scores, np.array([2, 0]), None, spec)]
    table, matrix, parents = (panel["data"] for panel in naming.named_panels(panels, called))
    assert [row[0] for row in table["rows"][:3]] == ["bill", "something else", "Payments"]
    assert matrix["labels"] == ["bill", "something else", "Payments"] and "Banking" in parents["labels"]
    assert panels[1]["data"]["labels"] == ["bill", "oos", "pay"]  # what was written stays
    assert KIND.report.classes(spec) == ["bill", "oos", "pay", "play", "stop", "bank", "music"]


def test_class_names_of_a_file() -> None:
    assert KIND.Options.model_validate({"class_names": {0: "negative", "1": "positive"}}).class_names == {"0": "negative", "1": "positive"}
    for wrong in ({True: "a"}, {1.5: "a"}):
        with pytest.raises(ValueError, match="quotation marks"):
            KIND.Options(class_names=wrong)
    for wrong in ({"0": "a", "1": "a"}, {"0": " "}):
        with pytest.raises(ValueError, match="of its own"):
            KIND.Options(class_names=wrong)


def test_names_of_classes_that_are_not_there_are_said() -> None:
    found = check(TABLE, class_names={"bil": "Bills", "pay": "play"})
    assert found["class_names_unknown"].why.values["found"] == "bil" and found["class_names_alike"].why.values["found"] == "play"
    assert not {"class_names_unknown", "class_names_alike"} & check(TABLE, class_names={"bill": "Bills", "music": "Music"}).keys()
