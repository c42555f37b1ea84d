"""Runs beside each other: differences, their direction, and what must not be compared."""

from dataclasses import replace
from typing import Any

import pytest

from mtl_core.config.experiment import Experiment, experiment_from_dict
from mtl_core.studies.compare import RunResult, compare

VALUES: dict[str, Any] = {
    "data": {"ads": {"file": "ads.csv"}},
    "tasks": {"clicks": {"kind": "search", "data": "ads", "columns": {"query": "q", "product": "p", "label": "click"}}},
}
EXPERIMENT = experiment_from_dict(VALUES)
FIRST = RunResult("first", EXPERIMENT, {"clicks": {"test": {"auc": 0.75, "log_loss": 0.5}, "best": {"auc": 0.8}}}, {"ads": "h"})
SECOND = replace(FIRST, name="second", tasks={"clicks": {"test": {"auc": 0.5, "log_loss": 0.25}}, "intents": {"test": {"accuracy": 0.9}}})


def test_differences_and_their_direction() -> None:
    found = compare([FIRST, SECOND], part="test")
    auc, loss, accuracy = found.metrics
    assert (found.baseline, auc.task, auc.metric) == ("first", "clicks", "auc")
    assert auc.values == {"first": 0.75, "second": 0.5} and auc.differences == {"second": -0.25} and auc.better == {"second": False}
    assert loss.differences == {"second": -0.25} and loss.better == {"second": True}
    assert accuracy.values == {"second": 0.9} and accuracy.differences == {} == accuracy.better
    assert found.warnings == [] and found.settings == {}


def test_an_error_that_grew_beside_a_ranking_that_did_not_fall_is_told() -> None:
    task = {"kind": "regression", "data": "ads", "columns": {"text": "q", "label": "v"}}
    experiment = experiment_from_dict({**VALUES, "tasks": {"stars": task}})
    first = RunResult("first", experiment, {"stars": {"best": {"spearman": 0.94, "rmse": 0.142, "mae": 0.1}}})

    def said(spearman: float, rmse: float) -> list[str]:
        other = replace(first, name="other", tasks={"stars": {"best": {"spearman": spearman, "rmse": rmse, "mae": 0.11}}})
        return [str(warning) for warning in compare([first, other]).warnings]

    assert said(0.96, 0.259) == ["“stars” of “other”: RMSE is worse, 0.259 instead of 0.142, although the main metric did not fall."]
    assert said(0.96, 0.15) == [] and said(0.90, 0.259) == [] and said(0.96, 0.01) == []


def test_another_baseline_and_another_part() -> None:
    assert compare([FIRST, SECOND], baseline="second", part="test").metrics[0].differences == {"first": 0.25}
    (auc,) = compare([FIRST, replace(FIRST, name="again")]).metrics
    assert auc.differences == {"again": 0} and auc.better == {"again": None}
    assert compare([FIRST]).metrics[0].differences == {}


def test_settings_that_differ_are_told() -> None:
    assert compare([FIRST, replace(FIRST, name="b", experiment=EXPERIMENT.model_copy(update={"seed": 1}))]).settings == {
        "seed": {"first": 0, "b": 1}
    }


def changed(part: str, name: str, **values: Any) -> Experiment:
    return experiment_from_dict({**VALUES, part: {name: {**VALUES[part][name], **values}}})


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (replace(FIRST, experiment=changed("data", "ads", file="more.csv"), datasets={}), "the data is not the same."),
        (replace(FIRST, experiment=changed("data", "ads", file="more.csv"), datasets={"ads": "other"}), "the data is not the same."),
        (replace(FIRST, experiment=changed("data", "ads", split={"seed": 1}), datasets={"ads": "other"}), "the data is split differently."),
        (replace(FIRST, datasets={"ads": "other"}), "the data has changed in between."),
        (
            replace(FIRST, experiment=changed("tasks", "clicks", kind="click_through", columns={"label": "click"})),
            "the task has a different kind.",
        ),
        (
            replace(FIRST, experiment=changed("tasks", "clicks", columns={"query": "q", "product": "p", "label": "buy"})),
            "the label is another column.",
        ),
        (
            replace(FIRST, experiment=changed("tasks", "clicks", options={"gains": "exponential"})),
            "they are measured with different options: gains.",
        ),
        (
            replace(FIRST, experiment=changed("tasks", "clicks", columns={"query": "q", "product": "p", "label": "click", "group": "u"})),
            "rows are grouped differently.",
        ),
        (replace(FIRST, rows={"clicks": {"test": 9}}), "they were measured on 10 and on 9 rows."),
        (replace(FIRST, tasks={"clicks": {"test": {"auc": 0.7}}}), "different metrics were measured."),
    ],
)
def test_what_must_not_be_compared(other: RunResult, why: str) -> None:
    base = replace(FIRST, rows={"clicks": {"test": 10}})
    (warning,) = compare([base, replace(other, name="second")], part="test").warnings
    assert warning.text() == f"“clicks” of “second” and of “first” cannot be compared: {why}"


def test_the_same_rows_from_a_file_of_another_name_are_compared() -> None:
    moved = replace(FIRST, name="second", experiment=changed("data", "ads", file="renamed.csv"))
    assert compare([FIRST, moved]).warnings == []


def test_another_weight_may_be_compared_and_other_examples_are_told() -> None:
    heavier = replace(FIRST, name="second", experiment=changed("tasks", "clicks", weight=2.0), examples=300)
    assert compare([FIRST, heavier]).warnings == []
    (warning,) = compare([replace(FIRST, examples=200), heavier]).warnings
    assert warning.text() == "“second” was trained on 300 examples, “first” on 200."


def test_names_must_tell_runs_apart() -> None:
    with pytest.raises(ValueError, match="a name of its own"):
        compare([FIRST, FIRST])
    with pytest.raises(ValueError, match="at least one run"):
        compare([])
    with pytest.raises(ValueError, match="should be one of first"):
        compare([FIRST], baseline="x")
