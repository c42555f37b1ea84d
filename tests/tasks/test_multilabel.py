"""Multilabel: how cells become tags, spellings, rare and missing ones, the loss, the metrics against two libraries, predictions."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import classification_report, f1_score, label_ranking_average_precision_score
from torchmetrics.functional.classification import multilabel_f1_score, multilabel_ranking_average_precision

from mtl_core.data.mapping import map_columns
from mtl_core.data.problems import Severity
from mtl_core.evaluation import metrics
from mtl_core.tasks import KINDS
from mtl_core.tasks.common import matrix
from mtl_core.tasks.heads import TaskBatch

KIND = KINDS["multilabel"]
OPTIONS = KIND.Options(dropout=0.0, minimum_count=1)
THEMES = {"delivery": ["parcel", "late", "courier"], "quality": ["broken", "seam", "colour"], "price": ["dear", "refund", "discount"]}


def messages(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    chosen = [[t for t in THEMES if rng.random() < 0.4] for _ in range(n)]
    text = [" ".join([*(rng.choice(THEMES[t]) for t in tags), f"noise{rng.integers(20)}"]) for tags in chosen]
    return pa.table({"text": text, "label": pa.array(chosen, pa.list_(pa.string()))})


def tags_of(cells: Any, options: Any = OPTIONS) -> tuple[dict[str, Any], list[list[str] | None]]:
    """The spec, and each row's tags after encoding."""
    table = pa.table({"text": ["t"] * len(cells), "label": cells})
    spec = json.loads(json.dumps(KIND.rows.fit(table, options)))
    encoded = KIND.rows.encode(table, spec, options)
    known = encoded["label"].is_valid().to_pylist()
    rows = [[spec["tags"][c] for c in np.flatnonzero(row)] if k else None for row, k in zip(matrix(encoded["tags"]), known, strict=True)]
    return spec, rows


def check(cells: Any, split: list[str] | None = None, options: Any = OPTIONS) -> dict[str, Any]:
    n = len(cells)
    table = pa.table({"text": ["t"] * n, "label": cells, "_line": np.arange(n) + 2})
    found = KIND.rows.check(table, np.array(split or ["train"] * (n - 2) + ["validation", "test"]), options)
    assert all(p.why.text() and p.remedy.text() for p in found)
    return {p.code: p for p in found}


@pytest.mark.parametrize(
    "options", [OPTIONS, KIND.Options(minimum_count=1, tag_weights="balanced", hidden_size=16)], ids=["plain", "balanced and hidden"]
)
def test_learns_the_tags(options: Any, learn: Callable[..., dict[str, float]]) -> None:
    found = learn(KIND, messages(150, 0), messages(60, 1), options, steps=60)
    assert found["micro_f1"] > 0.9 and found["macro_f1"] > 0.9 and found["lrap"] > 0.95


def test_tags_go_through_the_encoder_and_back(compiled: Callable[..., Any]) -> None:
    table = pa.table({"text": ["a", "b", "c"], "second": ["x", "y", "z"], "label": ["new; sale", "sale", None]})
    spec = KIND.rows.fit(table, OPTIONS)
    vectors, batch = compiled(KIND, KIND.rows.encode(table, spec, OPTIONS), OPTIONS)
    assert KIND.head.truth(batch, spec).tolist() == [[1, 1], [0, 1]], "the row without a label is left out"
    logits = KIND.head.module(vectors.shape[1], spec, OPTIONS)(vectors, batch)
    assert KIND.head.loss(logits, batch, spec, OPTIONS).shape == (2,)
    assert [s.name for s in KIND.rows.slots(OPTIONS, ["text", "second"])] == ["pair"]
    assert [s.name for s in KIND.rows.slots(OPTIONS, ["text"])] == ["text"]


# -- cells --


@pytest.mark.parametrize("separator", [",", ";", "|", "/", "，", "；", "、"])
def test_every_separator_is_found_with_any_spaces(separator: str) -> None:
    cells = [f"new{separator}sale", f" new {separator}  big  sale ", "sale", f"{separator}new{separator}{separator}"]
    spec, rows = tags_of(cells)
    assert spec["separators"] == [separator] and rows == [["new", "sale"], ["big sale", "new"], ["sale"], ["new"]]
    problem = check(cells, ["train"] * 4)["tag_separator"]
    assert problem.count == 3 and f"“{separator}”" in str(problem) and problem.severity is Severity.INFO


def test_five_spellings_of_one_separator_all_divide_and_are_reported() -> None:
    cells = ["new, sale", "new,sale", "new;sale", "new | sale", "new/sale", "new，sale", "sale", "new"]
    spec, rows = tags_of(cells)
    assert spec["tags"] == ["new", "sale"] and spec["separators"] == [",", ";", "|", "/", "，"]
    assert rows == [["new", "sale"]] * 6 + [["sale"], ["new"]]
    problem = check(cells, ["train"] * 8)["tag_separators"]
    assert (problem.severity, problem.count, problem.line) == (Severity.WARNING, 4, 4)
    assert "mostly by “,”; 4 cells use another way (; | / ，)" in str(problem)


def test_a_sign_beside_the_separator_is_a_part_of_tags() -> None:
    cells = ["tops/bottoms; sale", "tops/bottoms; new", "sale; new", "sale"]
    spec, rows = tags_of(cells)
    assert spec["separators"] == [";"] and rows[0] == ["sale", "tops/bottoms"]
    problem = check(cells, ["train"] * 4)["tag_separator_inside"]
    assert problem.count == 2 and "“/”" in str(problem)
    given, rows = tags_of(cells, KIND.Options(minimum_count=1, separator="/"))
    assert given["separators"] == ["/"] and "bottoms; sale" in rows[0]
    whole, rows = tags_of(cells, KIND.Options(minimum_count=1, separator="none"))
    assert whole["separators"] == [] and rows[0] == ["tops/bottoms; sale"]


def test_separators_are_those_of_the_training_rows() -> None:
    table = pa.table({"text": ["t"] * 3, "label": ["a;b", "a;b", "a,b"]})
    spec = KIND.rows.fit(table.slice(0, 2), OPTIONS)
    assert matrix(KIND.rows.encode(table, spec, OPTIONS)["tags"]).tolist() == [[1, 1], [1, 1], [0, 0]]
    assert check(["a;b", "a;b", "a,b"])["label_not_in_training"].line == 4


def test_lists_are_taken_as_they_are() -> None:
    spec, rows = tags_of(pa.array([["a, b", " c "], [], None, ["c", None, ""]], pa.list_(pa.string())))
    assert spec["tags"] == ["a, b", "c"] and rows == [["a, b", "c"], [], None, ["c"]]


def test_a_column_of_lists_or_of_texts_is_mapped_to_the_label() -> None:
    lists = pa.array([["a"], None, []], pa.list_(pa.string()))
    for column in (lists, pa.array(["a;b", None, "1"])):
        mapped, problems = map_columns(pa.table({"text": ["x", "y", "z"], "tags": column}), KIND.fields, {"text": "text", "label": "tags"})
        assert problems == [] and mapped["label"].to_pylist() == column.to_pylist()


def test_case_variants_become_the_most_frequent_spelling() -> None:
    cells = ["Delivery;price", "Delivery", "delivery", "DELIVERY; delivery", "price"]
    spec, rows = tags_of(cells)
    assert spec["tags"] == ["Delivery", "price"] and rows == [["Delivery", "price"], *[["Delivery"]] * 3, ["price"]]
    found = check(cells, ["train"] * 5)
    assert (found["tag_spelling"].count, found["tag_spelling"].line) == (2, 4) and "“delivery” is read as “Delivery”" in str(
        found["tag_spelling"]
    )
    assert (found["tag_repeated"].count, found["tag_repeated"].line) == (1, 5)


def test_rare_tags_are_left_out_and_reported() -> None:
    cells = ["a;b", "a", "b;odd", "b", "a;b", "a"]
    options = KIND.Options(minimum_count=2)
    spec, rows = tags_of(cells, options)
    assert spec["tags"] == ["a", "b"] and rows[2] == ["b"]
    problem = check(cells, options=options)["tag_rare"]
    assert (problem.severity, problem.line, problem.count) == (Severity.WARNING, 4, 1) and "“odd”" in str(problem)
    nothing = check(cells, options=KIND.Options(minimum_count=5))["no_tags"]
    assert nothing.severity is Severity.ERROR and " 5 " in str(nothing)


def test_an_empty_cell_is_no_label_or_no_tag_as_asked() -> None:
    cells = ["a;b", None, "a", "b", None, "a"]
    assert tags_of(cells)[1] == [["a", "b"], None, ["a"], ["b"], None, ["a"]]
    missing = check(cells)
    assert missing["label_missing"].count == 2 and "row_without_tag" not in missing
    options = KIND.Options(minimum_count=1, empty="no_tag")
    spec, rows = tags_of(cells, options)
    assert rows == [["a", "b"], [], ["a"], ["b"], [], ["a"]] and spec["shares"] == [3 / 6, 2 / 6]
    empty = check(cells, options=options)
    assert "label_missing" not in empty and (empty["row_without_tag"].line, empty["row_without_tag"].count) == (3, 2)
    assert "2 of them an empty cell" in str(empty["row_without_tag"])
    assert check(pa.array([["a"], [], ["a"], ["a"]]))["row_without_tag"].line == 3


def test_check_labels_that_cannot_be_learned() -> None:
    assert check(pa.nulls(4, pa.string()))["no_training_rows"].severity is Severity.ERROR
    assert check(pa.nulls(4, pa.string()), options=KIND.Options(empty="no_tag"))["no_tags"].severity is Severity.ERROR
    assert check([";", "; ;", ";", ";"])["no_tags"].severity is Severity.ERROR
    many = check([f"t{i};u{i}" for i in range(1500)], ["train"] * 1500)["many_tags"]
    assert many.severity is Severity.WARNING and "3000" in str(many)
    unknown = check(["a", "a;c", "a;new", "a;b"])["label_not_in_training"]
    assert (unknown.count, unknown.line) == (2, 4) and "“new”" in str(unknown)


# -- loss and metrics --


def test_the_loss_is_the_binary_cross_entropy_of_all_tags_with_weights() -> None:
    logits, tags = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.0]])
    batch = TaskBatch({}, {"tags": tags}, torch.ones(1))
    plain = KIND.head.loss(logits, batch, {"weights": [1.0, 1.0]}, OPTIONS)
    weighted = KIND.head.loss(logits, batch, {"weights": [3.0, 3.0]}, OPTIONS)
    negative = np.log1p(np.exp(2))
    np.testing.assert_allclose(plain, [np.log(2) + negative], rtol=1e-6)
    np.testing.assert_allclose(weighted, [3 * np.log(2) + negative], rtol=1e-6)


def test_the_first_guess_is_the_share_of_each_tag(to_batch: Callable[..., Any]) -> None:
    table = pa.table({"text": ["t"] * 4, "label": ["a;b", "a", "a", ""]})
    for weights, wanted in (("none", [1 - 1e-4, 1 / 3]), ("balanced", [0.5, 0.5])):
        options = KIND.Options(minimum_count=1, tag_weights=weights)
        spec = KIND.rows.fit(table, options)
        vectors, batch = to_batch(KIND.rows.encode(table, spec, options))
        np.testing.assert_allclose(KIND.head.scores(KIND.head.module(32, spec, options)(vectors, batch), batch, spec)[0], wanted, rtol=1e-4)
    assert spec["weights"] == pytest.approx([1e-4, 2], rel=1e-3)


def random_scores(n: int = 200, tags: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (rng.random((n, tags)) < 0.3).astype(np.float32)
    labels[:, -1] = 0  # a tag that no row has
    scores = np.clip(0.5 * rng.random((n, tags)) + 0.35 * labels, 0, 1).astype(np.float32)
    scores[:, -1] = 0.01
    return scores, labels


def test_the_metrics_agree_with_scikit_learn_and_torchmetrics() -> None:
    scores, labels = random_scores()
    spec = {"threshold": 0.4, "tags": list("abcdef")}
    found = KIND.report.evaluate(scores, labels, None, spec)
    predicted = scores >= 0.4
    assert found["micro_f1"] == pytest.approx(f1_score(labels, predicted, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro", zero_division=np.nan))
    tagged = labels.any(axis=1)
    assert 0 < tagged.sum() < len(labels)
    assert found["lrap"] == pytest.approx(label_ranking_average_precision_score(labels[tagged], scores[tagged]))
    s, t = torch.from_numpy(scores), torch.from_numpy(labels).int()
    assert found["micro_f1"] == pytest.approx(float(multilabel_f1_score(s, t, 6, threshold=0.4, average="micro")))
    assert found["lrap"] == pytest.approx(float(multilabel_ranking_average_precision(s[tagged], t[tagged], 6)), rel=1e-5)
    assert KIND.report.evaluate(scores[:0], labels[:0], None, spec) == {}


def test_the_report_agrees_with_scikit_learn() -> None:
    scores, labels = random_scores()
    names = ["a", "b", "c", "d", "e", "never"]
    table, threshold = KIND.report.panels(scores, labels, None, {"threshold": 0.4, "tags": names})
    wanted = classification_report(labels[:, :5], scores[:, :5] >= 0.4, target_names=names[:5], output_dict=True, zero_division=0)
    rows = {row[0]: row[1:] for row in table.data["rows"]}
    for name in names[:5]:
        assert rows[name] == pytest.approx(list(wanted[name].values()))
    assert "never" not in rows and threshold.data["rows"] == [[0.4]]
    for kind in ("micro", "macro"):
        assert rows[f"{kind} average"][:3] == pytest.approx(list(wanted[f"{kind} avg"].values())[:3])
    assert json.dumps([table.data, threshold.data])


def test_the_threshold_is_the_best_of_the_validation_rows_unless_given() -> None:
    scores, labels = random_scores()
    (name, threshold), *more = KIND.report.tuned(scores, labels, {}, OPTIONS).items()
    assert name == "threshold" and not more
    reached = metrics.precision_recall_f1(scores, labels, threshold)[2]
    assert reached == max(metrics.precision_recall_f1(scores, labels, t)[2] for t in np.linspace(0, 1, 501))
    given = KIND.Options(threshold=0.3)
    assert KIND.report.tuned(scores, labels, {}, given) == {}
    assert KIND.rows.fit(pa.table({"text": ["t"] * 5, "label": ["a"] * 5}), given)["threshold"] == 0.3


def test_predictions_name_the_tags_above_the_threshold() -> None:
    spec = {"tags": list("abcdefg"), "threshold": 0.3}
    scores = np.array([[0.1, 0.4, 0.05, 0.9, 0.3, 0.0, 0.2], [0.1] * 7])
    some, none = KIND.report.answers(scores, spec)
    assert some["label"] == "d, b, e" and none["label"] == "no tag"
    assert list(some["probabilities"]) == ["d", "b", "e", "g", "a"] and json.dumps([some, none])


def test_the_baseline_beats_chance() -> None:
    table = messages(300, 0)
    split = np.array(["train"] * 200 + ["validation"] * 50 + ["test"] * 50)
    spec = KIND.rows.fit(table, OPTIONS)
    found = KIND.rows.naive(table, split, spec, OPTIONS, "test")
    assert set(found) == {m.name for m in KIND.metrics} and found["micro_f1"] > 0.9 and found["lrap"] > 0.95
    assert KIND.rows.naive(table, np.array(["train"] * 300), spec, OPTIONS, "test") == {}


def test_rows_are_counted_by_tag() -> None:
    table = pa.table({"text": ["t"] * 4, "label": ["red; Sale", "red;sale", None, "sale;sale"]})
    assert [one and sorted(one) for one in KIND.rows.counted(table, OPTIONS).to_pylist()] == [
        ["red", "sale"],
        ["red", "sale"],
        None,
        ["sale"],
    ]


def test_a_cell_that_is_a_list_is_read_as_one_however_many_are() -> None:
    plain = ["a", "c, d"]
    for cells in (['["a", "b"]', *plain, "a"], ["['a', 'b']"] * 3 + plain):
        spec, rows = tags_of(cells, KIND.Options(minimum_count=1))
        assert spec["tags"] == ["a", "b", "c", "d"] and rows[0] == ["a", "b"] and ["c", "d"] in rows
    assert tags_of(["[new] x", "b", "b"], KIND.Options(minimum_count=1))[0]["tags"] == ["[new] x", "b"]
    spec, rows = tags_of(["[1.10, 2]", "1.10", "[]", "2"], KIND.Options(minimum_count=1))
    assert spec["tags"] == ["1.10", "2"] and rows == [["1.10", "2"], ["1.10"], [], ["2"]]


def test_a_row_is_right_with_all_its_tags_and_no_others() -> None:
    scores = np.array([[0.9, 0.1], [0.9, 0.9], [0.1, 0.1], [0.1, 0.1]], np.float32)
    labels = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], np.float32)
    assert KIND.report.right(scores, labels, {"threshold": 0.5}).tolist() == [True, False, True, False]
