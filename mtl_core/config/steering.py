"""What of an experiment a person may change while it trains."""

from collections.abc import Mapping
from functools import reduce
from operator import getitem
from typing import Any

from mtl_core.base.faults import NOTHING, ExperimentError, Fault
from mtl_core.base.messages import message
from mtl_core.base.settings import set_path
from mtl_core.config.experiment import Experiment, experiment_from_dict

STEERABLE = ("optimizer.learning_rate", "optimizer.head_learning_rate", "sampling", "early_stopping.patience")
"""Beside the tasks' loss weights. What else an experiment says holds for the whole run."""


def steered(experiment: Experiment, changes: Mapping[str, Any]) -> Experiment:
    """`experiment` with `changes` (path → value). Raises ExperimentError: a path that cannot be steered, a value that does not fit."""
    values = experiment.model_dump(mode="json")
    faults = [Fault(path, NOTHING, _wanted(experiment)) for path in changes if path not in _paths(experiment)]
    if faults:
        raise ExperimentError(faults)
    for path, value in changes.items():
        set_path(values, path, value)
    return experiment_from_dict(values)


def differing(old: Experiment, new: Experiment) -> tuple[dict[str, Any], dict[str, Any]]:
    """What can be steered and differs: path → value in `old`, and in `new`."""
    before, after = (_values(experiment) for experiment in (old, new))
    changed = [path for path in before if before[path] != after[path]]
    return {path: before[path] for path in changed}, {path: after[path] for path in changed}


def differences(one: Experiment, other: Experiment) -> dict[str, tuple[Any, Any]]:
    """Everything that differs but the name: path → what each has, None where it has nothing."""

    def flat(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict) or not value:
            return {path: value}
        return {key: leaf for name, inner in value.items() for key, leaf in flat(inner, f"{path}.{name}" if path else name).items()}

    first, second = (flat(experiment.model_dump(mode="json", exclude={"name"}), "") for experiment in (one, other))
    return {path: (first.get(path), second.get(path)) for path in first | second if first.get(path) != second.get(path)}


def _paths(experiment: Experiment) -> list[str]:
    return [*(f"tasks.{name}.weight" for name in experiment.tasks), *STEERABLE]


def _wanted(experiment: Experiment) -> Any:
    return message("one of what can be changed while a run trains: {names}", names=", ".join(_paths(experiment)))


def _values(experiment: Experiment) -> dict[str, Any]:
    values = experiment.model_dump(mode="json")
    return {path: reduce(getitem, path.split("."), values) for path in _paths(experiment)}
