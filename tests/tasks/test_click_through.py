"""Click-through: categories, numbers and text as features, cross layers by hand."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from mtl_core.data.problems import Severity
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import TaskBatch
from mtl_core.tasks.common import matrix

KIND = KINDS["click_through"]
OPTIONS = KIND.Options(hidden_size=32, dropout=0.0, minimum_count=1)


def ads(n: int, seed: int, text: bool = False) -> pa.Table:
    """Clicks depend on a crossing: phones click on cheap things, others on dear ones. With a text, only it says so."""
    rng = np.random.default_rng(seed)
    device, price = rng.choice(["phone", "desk", "tablet"], n), rng.exponential(100, n)
    click = (device == "phone") == (price < 70)
    columns: dict[str, Any] = {
        "categories": [[d, str(w)] for d, w in zip(device, rng.integers(0, 7, n), strict=True)],
        "numbers": [[p, None if rng.random() < 0.1 else rng.normal()] for p in price],
        "label": click,
    }
    if text:
        columns = {"text": np.where(click, "lovely shoe", "plain shoe"), "label": click}
    return pa.table(columns)


def test_learns_a_crossing_of_a_category_and_a_number(learn: Callable[..., dict[str, float]]) -> None:
    found = learn(KIND, ads(600, 0), ads(300, 1), OPTIONS)
    assert found["auc"] > 0.95 and found["log_loss"] < 0.4
    assert set(found) == {m.name for m in KIND.metrics}


def test_learns_from_a_text_alone(learn: Callable[..., dict[str, float]]) -> None:
    assert learn(KIND, ads(100, 0, text=True), ads(100, 1, text=True), OPTIONS)["auc"] == 1


def test_the_cross_layers_by_hand() -> None:
    """With x_1 = x_0 * (W x_0 + b) + x_0 and the fully connected part cut off, the logit is the output layer on x_1."""
    torch.manual_seed(0)
    table = pa.table({"numbers": [1.0, 2.0, 4.0], "label": [0, 1, 1]})
    options = KIND.Options(cross_layers=1, dropout=0.0, bins=2)
    spec = KIND.fit(table, options)
    encoded = KIND.encode(table, spec, options)
    head = KIND.head(4, spec, options)
    numbers, missing = (torch.from_numpy(matrix(encoded[name]).copy()) for name in ("numbers", "missing"))
    first = torch.cat([head.features.encoding(numbers), numbers, missing], dim=1)
    width = first.shape[1]
    crossed = first * (first @ head.crosses[0].weight.T + head.crosses[0].bias) + first
    with torch.no_grad():
        head.output.weight[:, width:] = 0
    wanted = crossed @ head.output.weight[0, :width] + head.output.bias
    torch.testing.assert_close(head(torch.zeros(0, 4), TaskBatch({}, {"numbers": numbers, "missing": missing})), wanted)


@pytest.mark.parametrize("columns", [("categories",), ("numbers",), ("text",), ("categories", "numbers", "text")])
def test_any_of_the_fields_is_enough(columns: tuple[str, ...], to_batch: Callable[..., Any]) -> None:
    whole = ads(60, 0).append_column("text", [["shoe"] * 60])
    table = whole.select([*columns, "label"])
    spec = json.loads(json.dumps(KIND.fit(table, OPTIONS)))
    assert [s.name for s in KIND.slots(OPTIONS, columns)] == [c for c in columns if c == "text"]
    rows = whole.slice(0, 3).select(columns)
    vectors, batch = to_batch(KIND.encode(rows, spec, OPTIONS))
    assert batch.labels is None
    answers = KIND.present(KIND.scores(KIND.head(32, spec, OPTIONS)(vectors, batch), batch, spec), spec)
    assert len(answers) == 3 and all(0 <= a["probability"] <= 1 for a in answers)
    split = np.array(["train"] * 40 + ["test"] * 20)
    assert set(KIND.naive(table, split, spec, OPTIONS, "test")) == {m.name for m in KIND.metrics}


def test_the_loss_and_the_metrics_agree_with_scikit_learn() -> None:
    logits, labels = torch.randn(50, generator=torch.Generator().manual_seed(0)), torch.arange(50).remainder(3).eq(0).float()
    scores = KIND.scores(logits, TaskBatch({}), {})
    losses = KIND.loss(logits, TaskBatch({}, labels=labels), {}, OPTIONS)
    found = KIND.evaluate(scores, labels.numpy(), None, {})
    assert float(losses.mean()) == pytest.approx(log_loss(labels, scores), rel=1e-5)
    assert found["log_loss"] == pytest.approx(log_loss(labels, scores), rel=1e-5)
    assert found["auc"] == pytest.approx(roc_auc_score(labels, scores))
    (panel,) = KIND.report(scores, labels.numpy(), None, {})
    assert panel.type == "reliability" and sum(panel.data["count"]) == 50 and json.dumps(panel.data)


def test_labels_of_one_class_have_no_auc() -> None:
    assert "auc" not in KIND.evaluate(np.array([0.2, 0.3]), np.array([0, 0]), None, {})


def test_logistic_regression_beats_chance() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=400)
    table = pa.table(
        {"numbers": numbers, "categories": rng.choice(["a", "b"], 400), "label": rng.random(400) < 1 / (1 + np.exp(-2 * numbers))}
    )
    split = np.array(["train"] * 300 + ["test"] * 100)
    assert KIND.naive(table, split, KIND.fit(table, OPTIONS), OPTIONS, "test")["auc"] > 0.8


def test_check_says_what_is_wrong() -> None:
    table = pa.table(
        {
            "numbers": pa.array([[1.0, None], [2.0, None], [None, None]], pa.list_(pa.float64())),
            "label": [0, 1, 2],
            "_line": [2, 3, 9],
        }
    )
    found = {p.code: p for p in KIND.check(table, np.array(["train", "train", "test"]), OPTIONS)}
    assert {"numbers_missing", "numbers_empty", "label_type"} <= set(found)
    assert found["label_type"].line == 9 and found["label_type"].severity is Severity.ERROR
    bare = KIND.check(pa.table({"label": [0, 1, 0, 1]}), np.array(["train", "train", "validation", "test"]), OPTIONS)
    assert {p.code for p in bare} == {"no_features", "one_class_in_split"}
