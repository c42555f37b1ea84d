"""What differs between experiments: every setting that does not have the same value in all of them."""

from collections.abc import Mapping
from typing import Any

MISSING = None
"""Stands for a setting that an experiment does not have (a task that only others train, say)."""


def settings(experiments: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Path ("optimizer.learning_rate") → run → value, for what is not equal in all, in the order of the experiments.

    experiments: run → the experiment as plain data, as `Experiment.model_dump` or its YAML gives it.
    """
    flat = {run: dict(_flat(experiment)) for run, experiment in experiments.items()}
    paths = dict.fromkeys(path for values in flat.values() for path in values)
    rows = {path: {run: values.get(path, MISSING) for run, values in flat.items()} for path in paths}
    return {path: row for path, row in rows.items() if any(value != next(iter(row.values())) for value in row.values())}


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        path = f"{prefix}.{name}" if prefix else str(name)
        found += _flat(value, path) if isinstance(value, Mapping) and value else [(path, value)]
    return found
