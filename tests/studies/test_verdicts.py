"""Alone or together: changes, intervals and verdicts worked out by hand; nothing unequal goes unsaid."""

import math
from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from mtl_core.config.experiment import experiment_from_dict
from mtl_core.studies.compare import RunResult
from mtl_core.studies.verdicts import Mean, Trained, Verdict, gain, mean_change, mean_of, verdicts

VALUES: dict[str, Any] = {
    "data": {"ads": {"file": "ads.csv"}, "faq": {"file": "faq.csv"}},
    "tasks": {
        "clicks": {"kind": "click_through", "data": "ads", "columns": {"label": "click"}},
        "intents": {"kind": "classification", "data": "faq", "columns": {"text": "text", "label": "intent"}},
    },
    "training": {"batch_size": 10},
}
EXPERIMENT = experiment_from_dict(VALUES)
METRICS = {"clicks": "auc", "intents": "accuracy"}


def trained(seed: int, values: dict[str, float], **more: Any) -> Trained:
    tasks = {task: {"test": {METRICS[task]: value}} for task, value in values.items()}
    return Trained(seed, RunResult("r", EXPERIMENT, tasks), more.pop("examples", dict.fromkeys(values, 1000)), **more)


def runs(values: list[dict[str, float]]) -> list[Trained]:
    return [trained(seed, one) for seed, one in enumerate(values)]


ALONE = {
    "clicks": runs([{"clicks": v} for v in (0.50, 0.60, 0.70)]),
    "intents": runs([{"intents": v} for v in (0.80, 0.80, 0.80)]),
}
JOINT = runs([{"clicks": c, "intents": i} for c, i in ((0.55, 0.72), (0.66, 0.60), (0.75, 0.84))])


def test_a_t_interval_is_scipys() -> None:
    values = [0.3, 0.5, 0.1, 0.4]
    found = mean_of(values)
    low, high = stats.t.interval(0.95, 3, loc=found.value, scale=stats.sem(values))
    assert found.half is not None
    assert (found.value - found.half, found.value + found.half) == pytest.approx((low, high))
    assert mean_of(values[:2]) == Mean(pytest.approx(0.4), None, 2)


def test_changes_and_verdicts_by_hand() -> None:
    found = verdicts(ALONE, {"joint": JOINT}, METRICS)
    assert not found.warnings
    (row,) = found.rows
    clicks, intents = row.tasks
    assert (clicks.alone.value, clicks.together.value) == pytest.approx((0.6, 1.96 / 3))
    assert clicks.change.value == pytest.approx(0.16 / 3)  # 0.05, 0.06, 0.05: paired, far narrower than the runs themselves
    assert clicks.change.half == pytest.approx(stats.t.ppf(0.975, 2) * 0.01 / math.sqrt(3) / math.sqrt(3))
    assert clicks.verdict is Verdict.HELPS
    assert intents.change.value == pytest.approx(-0.08)  # -0.08, -0.20, +0.04
    assert intents.verdict is Verdict.NOT_SIGNIFICANT
    assert row.overall is not None
    by_seed = [(0.1 - 0.1) / 2, (0.1 - 0.25) / 2, (0.05 / 0.7 + 0.05) / 2]
    assert row.overall.value == pytest.approx(sum(by_seed) / 3)


def test_a_task_that_loses_in_every_seed_is_hurt() -> None:
    worse = [replace(one, result=replace(one.result, tasks={"intents": {"test": {"accuracy": 0.7 + one.seed / 100}}})) for one in JOINT]
    (row,) = verdicts(ALONE, {"joint": worse}, {"intents": "accuracy"}).rows
    assert row.tasks[0].verdict is Verdict.HURTS


def test_less_is_more_where_lower_is_better() -> None:
    assert gain("log_loss", 0.4, 0.5) == pytest.approx(0.1)
    assert gain("auc", 0.4, 0.5) == pytest.approx(-0.1)
    assert mean_change({"a": 0.4, "b": 0.6}, {"a": 0.5, "b": 0.5}, {"a": "log_loss", "b": "auc"}) == pytest.approx(0.2)
    assert mean_change({"a": 0.4}, {"a": 0.0}, {"a": "auc"}) is None
    assert mean_change({}, {"a": 0.5}, {"a": "auc"}) is None


def test_two_seeds_have_no_interval_and_no_verdict() -> None:
    found = verdicts({name: r[:2] for name, r in ALONE.items()}, {"joint": JOINT[:2]}, METRICS)
    assert all(one.change.half is None and one.verdict is Verdict.NOT_SIGNIFICANT for one in found.rows[0].tasks)
    assert any("Too few seeds for a confidence interval: 2" in str(warning) for warning in found.warnings)


def test_only_seeds_that_both_have_are_compared_and_that_is_said() -> None:
    found = verdicts({**ALONE, "clicks": ALONE["clicks"][:2]}, {"joint": JOINT}, METRICS)
    clicks = found.rows[0].tasks[0]
    assert clicks.change.n == 2
    assert clicks.change.value == pytest.approx(0.055)
    assert any("“clicks” of “joint” ignores the seeds 2" in str(warning) for warning in found.warnings)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"data": {**VALUES["data"], "ads": {"file": "more.csv"}}}, "the data is not the same"),
        ({"data": {**VALUES["data"], "ads": {"file": "ads.csv", "split": {"seed": 1}}}}, "split differently"),
    ],
)
def test_unequal_data_is_left_out_and_said(changed: dict[str, Any], why: str) -> None:
    other = [replace(one, result=replace(one.result, experiment=experiment_from_dict({**VALUES, **changed}))) for one in JOINT]
    found = verdicts(ALONE, {"joint": other}, METRICS)
    assert [one.task for one in found.rows[0].tasks] == ["intents"]
    assert [str(w) for w in found.warnings if why in str(w)]
    assert found.rows[0].overall is None


def test_changed_content_and_other_metrics_are_left_out() -> None:
    base = [replace(one, result=replace(one.result, datasets={"ads": "old"})) for one in ALONE["clicks"]]
    joint = [replace(one, result=replace(one.result, datasets={"ads": "new"})) for one in JOINT]
    found = verdicts({**ALONE, "clicks": base}, {"joint": joint}, METRICS)
    assert any("has changed in between" in str(w) for w in found.warnings)
    more = {"clicks": {"test": {"auc": 0.5, "log_loss": 1.0}}}
    base = [replace(one, result=replace(one.result, tasks=more)) for one in ALONE["clicks"]]
    assert any("different metrics" in str(w) for w in verdicts({**ALONE, "clicks": base}, {"joint": JOINT}, METRICS).warnings)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"examples": {"clicks": 900}}, "was trained on 1,000 examples of “clicks”"),
        ({"computed": "cpu bfloat16"}, "was computed on"),
        (
            {"result": RunResult("r", experiment_from_dict({**VALUES, "encoder": {"name": "other"}}), {"clicks": {"test": {"auc": 0.5}}})},
            "different encoders",
        ),
    ],
)
def test_an_unequal_budget_or_training_is_said(changed: dict[str, Any], why: str) -> None:
    found = verdicts({**ALONE, "clicks": [replace(one, **changed) for one in ALONE["clicks"]]}, {"joint": JOINT}, METRICS)
    assert len(found.rows[0].tasks) == 2
    assert sum(why in str(warning) for warning in found.warnings) == 1


def test_what_whole_batches_leave_is_no_difference() -> None:
    near = {**ALONE, "clicks": [replace(one, examples={"clicks": 1009}) for one in ALONE["clicks"]]}
    assert not verdicts(near, {"joint": JOINT}, METRICS).warnings


def test_several_ways_stand_beside_one_baseline() -> None:
    found = verdicts(ALONE, {"joint": JOINT, "tuned": JOINT}, METRICS)
    assert [row.name for row in found.rows] == ["joint", "tuned"]
    assert found.rows[0].tasks == found.rows[1].tasks
