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
from mtl_core.tasks.common import matrix
from mtl_core.tasks.heads import TaskBatch

KIND = KINDS["click_through"]
OPTIONS = KIND.Options(hidden_size=32, dropout=0.0, minimum_count=1)
CLICK_METRICS = {"auc", "log_loss", "pr_auc", "calibration_error"}


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
    assert set(found) == CLICK_METRICS


def test_learns_from_a_text_alone(learn: Callable[..., dict[str, float]]) -> None:
    assert learn(KIND, ads(100, 0, text=True), ads(100, 1, text=True), OPTIONS)["auc"] == 1


def test_the_cross_layers_by_hand() -> None:
    """With x_1 = x_0 * (W x_0 + b) + x_0 and the fully connected part cut off, the logit is the output layer on x_1."""
    torch.manual_seed(0)
    table = pa.table({"numbers": [1.0, 2.0, 4.0], "label": [0, 1, 1]})
    options = KIND.Options(cross_layers=1, dropout=0.0, bins=2)
    spec = KIND.rows.fit(table, options)
    encoded = KIND.rows.encode(table, spec, options)
    head = KIND.head.module(4, spec, options)
    numbers, missing = (torch.from_numpy(matrix(encoded[name]).copy()) for name in ("numbers", "missing"))
    first = torch.cat([head.features.encoding(numbers), numbers, missing], dim=1)
    width = first.shape[1]
    crossed = first * (first @ head.click.crosses[0].weight.T + head.click.crosses[0].bias) + first
    with torch.no_grad():
        head.click.output.weight[:, width:] = 0
    wanted = crossed @ head.click.output.weight[0, :width] + head.click.output.bias
    torch.testing.assert_close(head(torch.zeros(0, 4), TaskBatch({}, {"numbers": numbers, "missing": missing})), wanted)


@pytest.mark.parametrize("columns", [("categories",), ("numbers",), ("text",), ("categories", "numbers", "text")])
def test_any_of_the_fields_is_enough(columns: tuple[str, ...], to_batch: Callable[..., Any]) -> None:
    whole = ads(60, 0).append_column("text", [["shoe"] * 60])
    table = whole.select([*columns, "label"])
    spec = json.loads(json.dumps(KIND.rows.fit(table, OPTIONS)))
    assert [s.name for s in KIND.rows.slots(OPTIONS, columns)] == [c for c in columns if c == "text"]
    rows = whole.slice(0, 3).select(columns)
    vectors, batch = to_batch(KIND.rows.encode(rows, spec, OPTIONS))
    assert batch.labels is None
    answers = KIND.report.answers(KIND.head.scores(KIND.head.module(32, spec, OPTIONS)(vectors, batch), batch, spec), spec)
    assert len(answers) == 3 and all(0 <= a["probability"] <= 1 for a in answers)
    split = np.array(["train"] * 40 + ["test"] * 20)
    assert set(KIND.rows.naive(table, split, spec, OPTIONS, "test")) == CLICK_METRICS


def test_the_loss_and_the_metrics_agree_with_scikit_learn() -> None:
    logits, labels = torch.randn(50, generator=torch.Generator().manual_seed(0)), torch.arange(50).remainder(3).eq(0).float()
    scores = KIND.head.scores(logits, TaskBatch({}), {})
    losses = KIND.head.loss(logits, TaskBatch({}, labels=labels), {}, OPTIONS)
    found = KIND.report.evaluate(scores, labels.numpy(), None, {})
    assert float(losses.mean()) == pytest.approx(log_loss(labels, scores), rel=1e-5)
    assert found["log_loss"] == pytest.approx(log_loss(labels, scores), rel=1e-5)
    assert found["auc"] == pytest.approx(roc_auc_score(labels, scores))
    (panel,) = KIND.report.panels(scores, labels.numpy(), None, {})
    assert panel.type == "reliability" and sum(panel.data["count"]) == 50 and json.dumps(panel.data)


def test_labels_of_one_class_have_no_auc() -> None:
    assert "auc" not in KIND.report.evaluate(np.array([0.2, 0.3]), np.array([0, 0]), None, {})


def test_logistic_regression_beats_chance() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=400)
    table = pa.table(
        {"numbers": numbers, "categories": rng.choice(["a", "b"], 400), "label": rng.random(400) < 1 / (1 + np.exp(-2 * numbers))}
    )
    split = np.array(["train"] * 300 + ["test"] * 100)
    assert KIND.rows.naive(table, split, KIND.rows.fit(table, OPTIONS), OPTIONS, "test")["auc"] > 0.8


def test_check_says_what_is_wrong() -> None:
    table = pa.table(
        {
            "numbers": pa.array([[1.0, None, 5.0], [2.0, None, 6.0], [None, None, 7.0]], pa.list_(pa.float64())),
            "label": [0, 1, 2],
            "_line": [2, 3, 9],
        }
    )
    found = {p.code: p for p in KIND.rows.check(table, np.array(["train", "train", "test"]), OPTIONS)}
    assert {"numbers_missing", "numbers_empty", "label_type"} <= set(found)
    assert (found["numbers_missing"].column, found["numbers_missing"].count, found["numbers_missing"].severity) == ("numbers.0", 1, "info")
    assert found["label_type"].line == 9 and found["label_type"].severity is Severity.ERROR
    bare = KIND.rows.check(pa.table({"label": [0, 1, 0, 1]}), np.array(["train", "train", "validation", "test"]), OPTIONS)
    assert {p.code for p in bare} == {"no_features", "one_class_in_split"}


# -- conversions --------------------------------------------------------------------------------------------------------------

LOGITS = torch.tensor([[2.0, -1.0], [-0.5, 1.5], [0.3, 0.7], [1.0, 1.0]])
CLICK, CONVERSION = torch.tensor([1.0, 0.0, 1.0, 1.0]), torch.tensor([0.0, 0.0, 1.0, float("nan")])


def shop(n: int, seed: int) -> pa.Table:
    """Phones click; of the clicked rows those with a low price convert."""
    rng = np.random.default_rng(seed)
    phone, price = rng.random(n) < 0.5, rng.normal(size=n)
    click = phone ^ (rng.random(n) < 0.1)
    return pa.table(
        {
            "categories": np.where(phone, "phone", "desk"),
            "numbers": price,
            "label": click.astype(int),
            "conversion": (click & (price < 0)).astype(int),
        }
    )


@pytest.mark.parametrize("model", ["esmm", "two_heads"])
def test_the_loss_of_clicks_and_conversions_by_hand(model: str) -> None:
    batch = TaskBatch({}, {"conversion": CONVERSION[:, None]}, CLICK)
    found = KIND.head.loss(LOGITS, batch, {}, KIND.Options(conversion_model=model)).numpy()
    pctr, pcvr = torch.sigmoid(LOGITS.double()).numpy().T
    click = -np.log([pctr[0], 1 - pctr[1], pctr[2], pctr[3]])
    both = pctr * pcvr
    more = {
        "esmm": -np.log([1 - both[0], 1 - both[1], both[2], 1]),  # the last row's conversion is not known
        "two_heads": -np.log([1 - pcvr[0], 1, pcvr[2], 1]),  # the second row has no click
    }
    np.testing.assert_allclose(found, click + more[model], rtol=1e-5)


def test_extreme_logits_have_finite_losses_and_gradients() -> None:
    logits = torch.tensor([[90.0, 90.0], [-90.0, 90.0], [90.0, -90.0]], requires_grad=True)
    batch = TaskBatch({}, {"conversion": torch.tensor([[0.0], [1.0], [1.0]])}, torch.ones(3))
    losses = KIND.head.loss(logits, batch, {}, OPTIONS)
    losses.sum().backward()
    assert losses.isfinite().all() and logits.grad is not None and logits.grad.isfinite().all()
    assert losses[0].item() == pytest.approx(90 - np.log(2), rel=1e-5)  # of p = q = 1 - e^-90, 1 - pq = 2 e^-90


@pytest.mark.parametrize("model", ["esmm", "two_heads"])
def test_learns_clicks_and_conversions_with_two_towers(model: str, to_batch: Callable[..., Any]) -> None:
    options, table, test = OPTIONS.model_copy(update={"conversion_model": model}), shop(400, 0), shop(200, 1)
    spec = json.loads(json.dumps(KIND.rows.fit(table, options)))
    torch.manual_seed(0)
    head = KIND.head.module(32, spec, options)
    first = KIND.head.scores(head(*to_batch(KIND.rows.encode(table, spec, options))), TaskBatch({}), spec)
    np.testing.assert_allclose(first[0], [np.mean(table["label"]), table["conversion"].to_numpy().sum() / table["label"].to_numpy().sum()])
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.02)
    vectors, batch = to_batch(KIND.rows.encode(table, spec, options))
    for _ in range(40):
        optimizer.zero_grad()
        KIND.head.loss(head(vectors, batch), batch, spec, options).mean().backward()
        optimizer.step()
    vectors, batch = to_batch(KIND.rows.encode(test, spec, options))
    scores, truth = KIND.head.scores(head(vectors, batch), batch, spec), KIND.head.truth(batch, spec)
    assert scores.shape == (200, 2) and truth.shape == (200, 3)
    found = KIND.report.evaluate(scores, truth, None, spec)
    assert set(found) == {m.name for m in KIND.metrics} - {"weighted_auc"}
    assert found["cvr_auc"] > 0.99 and found["ctcvr_auc"] > 0.9 and found["ctcvr_log_loss"] < 0.3
    assert {frozenset(answer) for answer in KIND.report.answers(scores, spec)} == {
        frozenset({"click", "purchase_after_click", "click_and_purchase"})
    }


def test_the_metrics_of_conversions_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores, click = rng.random((80, 2)), rng.random(80) < 0.6
    conversion = np.where(click, (rng.random(80) < 0.5).astype(float), 0)
    conversion[np.flatnonzero(click)[:5]] = np.nan
    labels = np.stack([click, conversion, np.full(80, np.nan)], axis=1)
    found = KIND.report.evaluate(scores, labels, None, {})
    known = ~np.isnan(conversion)
    clicked, both = known & click, scores.prod(axis=1)
    assert found["auc"] == pytest.approx(roc_auc_score(click, scores[:, 0]))
    assert found["cvr_auc"] == pytest.approx(roc_auc_score(conversion[clicked], scores[clicked, 1]))
    assert found["cvr_log_loss"] == pytest.approx(log_loss(conversion[clicked], scores[clicked, 1]))
    assert found["ctcvr_auc"] == pytest.approx(roc_auc_score(conversion[known], both[known]))
    assert found["ctcvr_log_loss"] == pytest.approx(log_loss(conversion[known], both[known]))
    table, *panels = KIND.report.panels(scores, labels, None, {})
    assert [p.type for p in panels] == ["reliability"] * 3 and json.dumps([p.data for p in (table, *panels)])
    assert [row[1] for row in table.data["rows"]] == [80, clicked.sum(), known.sum()]
    assert table.data["rows"][1][2:] == pytest.approx([conversion[clicked].mean(), scores[clicked, 1].mean()])


def test_the_baseline_says_both() -> None:
    table, split = shop(400, 0), np.array(["train"] * 300 + ["test"] * 100)
    found = KIND.rows.naive(table, split, KIND.rows.fit(table, OPTIONS), OPTIONS, "test")
    assert found["auc"] > 0.8 and found["cvr_auc"] > 0.95 and found["ctcvr_auc"] > 0.8


# -- propensities -------------------------------------------------------------------------------------------------------------


def test_weights_are_clipped_and_self_normalised() -> None:
    """Propensities 1, 1/2, 1/20, 0 and none: weights 1, 2, 4 (cut), and the mean of these for both rows without one."""
    options = KIND.Options(propensity_weighting=True, largest_weight=4, minimum_count=1)
    table = pa.table({"numbers": [0.0] * 5, "label": [0, 1, 0, 1, 0], "propensity": [1, 0.5, 0.05, 0, None]})
    spec = KIND.rows.fit(table, options)
    weight = matrix(KIND.rows.encode(table, spec, options)["weight"])
    np.testing.assert_allclose(weight[:, 0], [1, 2, 4, np.nan, np.nan])
    batch = TaskBatch({}, {"weight": torch.from_numpy(weight.copy())}, torch.tensor([0.0, 1, 0, 1, 0]))
    found = KIND.head.loss(torch.zeros(5), batch, spec, options) / np.log(2)
    np.testing.assert_allclose(found, np.array([1, 2, 4, 7 / 3, 7 / 3]) / (7 / 3), rtol=1e-5)
    assert float(found.mean()) == pytest.approx(1)
    truth = KIND.head.truth(batch, spec)
    np.testing.assert_allclose(truth[:, 2], weight[:, 0])
    scores = np.array([0.2, 0.8, 0.9, 0.4, 0.3])
    metrics = KIND.report.evaluate(scores, truth, None, spec)
    assert metrics["auc"] == pytest.approx(roc_auc_score(truth[:, 0], scores))
    assert metrics["weighted_auc"] == pytest.approx(roc_auc_score(truth[:, 0], scores, sample_weight=[1, 2, 4, 7 / 3, 7 / 3]))


def test_weighting_is_off_by_default_and_no_input_of_a_prediction() -> None:
    table = pa.table({"numbers": [0.0, 1.0], "label": [0, 1], "propensity": [1.0, 0.5]})
    assert "weight" not in KIND.rows.encode(table, KIND.rows.fit(table, OPTIONS), OPTIONS).column_names
    assert [f.name for f in KIND.fields if not f.asked] == ["propensity", "position"]


def test_no_propensity_is_known() -> None:
    batch = TaskBatch({}, {"weight": torch.full((2, 1), float("nan"))}, torch.ones(2))
    assert KIND.head.loss(torch.zeros(2), batch, {}, OPTIONS).tolist() == pytest.approx([np.log(2)] * 2)
