"""Regression: standardised losses by hand, the metrics against scipy and scikit-learn, numbers with commas, report by fifths."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

import mtl_core as mtl
from mtl_core.config.tables import map_fields
from mtl_core.data.problems import Severity
from mtl_core.data.read import read_table
from mtl_core.tasks import KINDS
from mtl_core.tasks.heads import TaskBatch

KIND = KINDS["regression"]
OPTIONS = KIND.Options(dropout=0.0)
SPEC = {"mean": 3.0, "deviation": 2.0, "lowest": 1.0, "highest": 5.0, "clip": True}
WORDS = {"awful": -20.0, "poor": -10.0, "fair": 0.0, "good": 10.0, "superb": 20.0}


def reviews(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    words = [list(rng.choice(list(WORDS), 2)) for _ in range(n)]
    return pa.table({"text": [" ".join(w) for w in words], "label": [100 + sum(WORDS[x] for x in w) for w in words]})


@pytest.mark.parametrize("loss", ["squared", "absolute", "huber"])
def test_learns_the_number_in_its_own_unit(loss: str, learn: Callable[..., dict[str, float]]) -> None:
    found = learn(KIND, reviews(100, 0), reviews(60, 1), KIND.Options(dropout=0.0, loss=loss), steps=80, rate=0.03)
    assert found["rmse"] < 6 and found["mae"] < 5 and found["spearman"] > 0.97


def test_learns_from_two_texts_read_together(compiled: Callable[..., Any]) -> None:
    table = pa.table({"text": ["a", "b"], "second": ["x", "y"], "label": [1.5, None]})
    spec = KIND.rows.fit(table, OPTIONS)
    vectors, batch = compiled(KIND, KIND.rows.encode(table, spec, OPTIONS), OPTIONS)
    assert batch.labels.tolist() == [1.5], "a missing number masks the row"
    assert KIND.head.scores(KIND.head.module(vectors.shape[1], spec, OPTIONS)(vectors, batch), batch, spec).tolist() == [1.5]
    assert [s.name for s in KIND.rows.slots(OPTIONS, ["text", "second"])] == ["pair"]


@pytest.mark.parametrize(("loss", "wanted"), [("squared", [4.0, 0.25]), ("absolute", [2.0, 0.5]), ("huber", [1.5, 0.125])])
def test_losses_are_those_of_the_standardised_number(loss: str, wanted: list[float]) -> None:
    batch = TaskBatch({}, labels=torch.tensor([5.0, 2.0]))  # 1 and -0.5 standard deviations from the mean
    losses = KIND.head.loss(torch.tensor([[3.0], [0.0]]), batch, SPEC, KIND.Options(loss=loss))
    assert losses.tolist() == wanted


def test_predictions_stay_within_the_training_range_unless_asked_otherwise() -> None:
    logits = torch.tensor([[-9.0], [0.25], [9.0]])
    assert KIND.head.scores(logits, TaskBatch({}), SPEC).tolist() == [1.0, 3.5, 5.0]
    assert KIND.head.scores(logits, TaskBatch({}), SPEC | {"clip": False}).tolist() == [-15.0, 3.5, 21.0]
    assert KIND.rows.fit(reviews(10, 0), KIND.Options(clip=False))["clip"] is False
    (answer,) = KIND.report.answers(np.array([3.5], np.float32), SPEC)
    assert answer == {"value": 3.5} and json.dumps(answer)


def test_the_spec_is_that_of_the_known_numbers_and_the_first_guess_their_mean(to_batch: Callable[..., Any]) -> None:
    table = pa.table({"text": ["t"] * 4, "label": [1.0, None, 2.0, 6.0]})
    spec = json.loads(json.dumps(KIND.rows.fit(table, OPTIONS)))
    assert spec == {"mean": 3.0, "deviation": pytest.approx(np.std([1, 2, 6])), "lowest": 1.0, "highest": 6.0, "clip": True}
    vectors, batch = to_batch(KIND.rows.encode(table.select(["text"]), spec, OPTIONS))
    assert batch.labels is None
    assert KIND.head.scores(KIND.head.module(32, spec, OPTIONS)(vectors, batch), batch, spec).tolist() == [3.0] * 4
    assert KIND.rows.fit(pa.table({"text": ["t"] * 2, "label": [2.0, 2.0]}), OPTIONS)["deviation"] == 1


def test_the_metrics_agree_with_scipy_and_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(1, 6, 300).astype(np.float32)
    scores = (labels + rng.normal(size=300)).round(1).astype(np.float32)  # with ties
    found = KIND.report.evaluate(scores, labels, None, SPEC)
    assert found["rmse"] == pytest.approx(root_mean_squared_error(labels, scores), rel=1e-6)
    assert found["mae"] == pytest.approx(mean_absolute_error(labels, scores), rel=1e-6)
    assert found["spearman"] == pytest.approx(spearmanr(labels, scores).statistic)
    assert [m.higher_is_better for m in KIND.metrics] == [False, False, True]


def test_a_constant_orders_nothing_and_equal_labels_have_no_order() -> None:
    assert KIND.report.evaluate(np.full(3, 2.0), np.array([1.0, 2.0, 3.0]), None, SPEC)["spearman"] == 0
    assert set(KIND.report.evaluate(np.array([1.0, 2.0]), np.array([2.0, 2.0]), None, SPEC)) == {"rmse", "mae"}
    assert KIND.report.evaluate(np.zeros(0), np.zeros(0), None, SPEC) == {}


def test_the_report_by_fifths() -> None:
    labels = np.arange(10.0)
    errors, reliability = KIND.report.panels(labels + 1, labels, None, SPEC)
    assert errors.data["rows"] == [[2.0 * i, 2.0 * i + 1, 1.0, 1.0, 1.0, 2] for i in range(5)]
    assert reliability.data["rows"][0] == [1.0, 2.0, 1.5, 0.5, 0.5, 2] and json.dumps([errors.data, reliability.data])
    ratings = np.array([1, 3, 5, 5, 5, 5, 5, 5, 5, 5.0])
    errors, reliability = KIND.report.panels(np.full(10, 4.0), ratings, None, SPEC)
    assert [(row[0], row[1], row[-1]) for row in errors.data["rows"]] == [(1, 3, 2), (5, 5, 8)], "ties stay together"
    assert "quintile" in KIND.report.panels(labels + 1, labels, None, SPEC)[0].title and "quintile" not in errors.title + reliability.title
    assert [row[2:] for row in reliability.data["rows"]] == [[4.0, ratings.mean(), ratings.std(), 10]]
    assert [p.data["rows"] for p in KIND.report.panels(np.zeros(0), np.zeros(0), None, SPEC)] == [[], []]


def test_the_baseline_and_the_mean() -> None:
    table = reviews(300, 0)
    split = np.array(["train"] * 200 + ["test"] * 100)
    found = KIND.rows.naive(table, split, KIND.rows.fit(table, OPTIONS), OPTIONS, "test")
    labels = np.array(table["label"].to_pylist())
    assert found["mean_rmse"] == pytest.approx(np.sqrt(np.mean((labels[200:] - labels[:200].mean()) ** 2)))
    assert found["rmse"] < found["mean_rmse"] / 2 and found["spearman"] > 0.9
    assert KIND.rows.naive(table, np.array(["train"] * 300), KIND.rows.fit(table, OPTIONS), OPTIONS, "test") == {}


def test_decimal_commas_of_a_file_are_read_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("text;price\nshoe;3,5\nboot;€ 1.234,50\nhat;free\nsock;\nbag;7\n", encoding="utf-8")
    table = read_table(path).table
    split = np.array(["train", "train", "train", "validation", "test"])
    mapped = map_fields(KIND, table, split, {"text": "text", "label": "price"}, OPTIONS, "prices.csv")
    assert mapped.table["label"].to_pylist() == [3.5, 1234.5, None, None, 7.0]
    found = {p.code: p for p in mapped.problems}
    assert (found["number_notation"].line, found["number_notation"].count) == (2, 2) and "“3,5” is read as 3.5." in str(
        found["number_notation"]
    )
    wrong = found["not_a_number"]
    assert (wrong.line, wrong.column, wrong.severity) == (4, "price", Severity.ERROR) and "(line 4)" in str(wrong.why)
    assert found["currencies"].severity is Severity.WARNING and "where most have no currency (line 3)" in str(found["currencies"].why)


@pytest.mark.parametrize("wrong", ["n/a-ish", "12 kg", "ca. 5", "1/2", "12%", "five", "2024-01-01"])
def test_a_label_that_is_no_number_is_refused_with_its_lines(wrong: str) -> None:
    labels = [str(i % 7) for i in range(60)]
    labels[5] = labels[40] = wrong
    found = mtl.check(pd.DataFrame({"text": [f"text number {i} of all" for i in range(60)], "label": labels}), "regression")
    (problem,) = [p for p in found.found if p.severity == "error"]
    assert (problem.code, problem.line, problem.count) == ("not_a_number", 6, 2) and "(lines 6, 41)" in str(problem.why)


def test_currencies_are_not_mixed() -> None:
    def codes(labels: list[str]) -> dict[str, str]:
        texts = [f"text number {i} of all" for i in range(len(labels))]
        return {p.code: str(p.severity) for p in mtl.check(pd.DataFrame({"text": texts, "label": labels}), "regression").found}

    assert "currencies" not in codes([f"{i},5 EUR" for i in range(60)]) | codes([f"{i} {'€' if i % 2 else 'EUR'}" for i in range(60)])
    assert codes([f"{i} {'EUR' if i % 2 else 'USD'}" for i in range(60)])["currencies"] == "error"
    assert codes([f"{i}{' EUR' * (i == 12)}" for i in range(60)])["currencies"] == "warning"


def test_check_numbers_that_cannot_be_learned() -> None:
    def check(labels: Any, split: list[str]) -> dict[str, Any]:
        table = pa.table({"text": ["t"] * len(labels), "label": labels, "_line": np.arange(len(labels)) + 2})
        found = KIND.rows.check(table, np.array(split), OPTIONS)
        assert all(p.why.text() and p.remedy.text() for p in found)
        return {p.code: p for p in found}

    assert check([4.0, 4.0, 1.0], ["train", "train", "test"])["one_value"].severity is Severity.ERROR
    assert check([4.0, 3.0, 1.0, 2.0], ["train", "train", "test", "test"]).keys() == {"no_rows_in_split"}
    assert check([4.0, 3.0, 1.0, 1.0], ["train", "train", "test", "validation"]).keys() == {"one_value_in_split"}
    assert check([None, None, 1.0], ["train", "train", "test"])["no_training_rows"].severity is Severity.ERROR
    assert check(["four", "three"], ["train", "test"])["label_type"].count == 2
