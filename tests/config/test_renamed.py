"""Experiment files with the names of settings of earlier versions are read as before."""

import pytest

from mtl_core.config.experiment import ExperimentError, experiment_from_yaml
from mtl_core.config.renamed import RENAMED, current_names, current_path

TASKS = """
data: {shop: {file: shop.csv}}
tasks: {intent: {kind: classification, data: shop, columns: {text: text, label: label}}}
"""
OLD = """
endings: {then: freeze, patience: 5}
early_stopping: {minimum_gain: 0.25}
optimizer: {clip: 2}
schedule: {warmup: 0.5}
training: {micro_batch_tokens: 256, evaluation_rows: 50, steps: 3}
"""
NEW = """
task_stopping: {then: freeze, patience: 5}
early_stopping: {min_delta: 0.25}
optimizer: {max_gradient_norm: 2}
schedule: {warmup_ratio: 0.5}
training: {max_tokens_per_micro_batch: 256, max_validation_rows: 50, steps: 3}
"""


def test_old_names_mean_what_todays_mean() -> None:
    old, new = experiment_from_yaml(TASKS + OLD), experiment_from_yaml(TASKS + NEW)
    assert old == new
    assert (old.task_stopping.patience, old.optimizer.max_gradient_norm, old.training.max_validation_rows) == (5, 2, 50)
    assert not any(f"{name.rpartition('.')[2]}:" in old.to_yaml() for name in RENAMED), "it is written with today's names"


def test_every_new_name_is_a_setting() -> None:
    experiment = experiment_from_yaml(TASKS)
    for path in RENAMED.values():
        found: object = experiment
        for name in path.split("."):
            found = getattr(found, name)


def test_overrides_may_have_old_names() -> None:
    assert experiment_from_yaml(TASKS, ["optimizer.clip=3", "endings.patience=7"]).optimizer.max_gradient_norm == 3
    assert experiment_from_yaml(TASKS, {"optimizer.clip": 3}).optimizer.max_gradient_norm == 3
    assert experiment_from_yaml(TASKS + OLD, ["optimizer.max_gradient_norm=4"]).optimizer.max_gradient_norm == 4


def test_faults_of_old_names_have_todays_path_and_the_line_of_the_file() -> None:
    with pytest.raises(ExperimentError) as caught:
        experiment_from_yaml(TASKS + "optimizer:\n  clip: -1\n")
    (fault,) = caught.value.faults
    assert (fault.path, fault.line) == ("optimizer.max_gradient_norm", 5)


def test_old_and_new_name_together_are_a_fault() -> None:
    with pytest.raises(ExperimentError) as caught:
        experiment_from_yaml(TASKS + "optimizer: {clip: 1, max_gradient_norm: 2}\n")
    assert [(fault.path, fault.line) for fault in caught.value.faults] == [("optimizer.clip", 4)]
    for overrides in (["optimizer.clip=1", "optimizer.max_gradient_norm=2"], {"optimizer.max_gradient_norm": 2, "optimizer.clip": -1}):
        with pytest.raises(ExperimentError, match="former name of optimizer"):
            experiment_from_yaml(TASKS, overrides)


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("endings", "task_stopping"),
        ("endings.keep", "task_stopping.keep"),
        ("optimizer.clip", "optimizer.max_gradient_norm"),
        ("optimizer.clipping", "optimizer.clipping"),
        ("tasks.endings.weight", "tasks.endings.weight"),
    ],
)
def test_paths(path: str, new: str) -> None:
    assert current_path(path) == new


def test_values_that_are_no_groups_are_left() -> None:
    assert current_names({"optimizer": "adamw", "endings": 3}) == {"optimizer": "adamw", "task_stopping": 3}
