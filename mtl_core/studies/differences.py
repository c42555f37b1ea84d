"""What differs between experiments: every setting that does not have the same value in all of them, and what people call it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mtl_core.base.messages import N_
from mtl_core.base.settings import widgets
from mtl_core.config.experiment import Experiment

MISSING = None
"""Stands for a setting that an experiment does not have (a task that only others train, say)."""


@dataclass(frozen=True)
class Differing:
    """A setting that differs. of: the task or table that it is of, or empty; label: marked; words: run → the value, marked where it is a
    word of ours; None where the experiment has no such setting."""

    of: str
    label: str
    words: dict[str, str | None]


def settings(experiments: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Path ("optimizer.learning_rate") → run → value, for what is not equal in all, in the order of the experiments.

    experiments: run → the experiment as plain data, as `Experiment.model_dump` or its YAML gives it.
    """
    flat = {run: dict(_flat(experiment)) for run, experiment in experiments.items()}
    paths = dict.fromkeys(path for values in flat.values() for path in values)
    rows = {path: {run: values.get(path, MISSING) for run, values in flat.items()} for path in paths}
    return {path: row for path, row in rows.items() if any(value != next(iter(row.values())) for value in row.values())}


def described(experiments: Mapping[str, Experiment]) -> dict[str, Differing]:
    """Path → what differs, in words. Without the name; a task or table that some do not have is one row."""
    known = {run: {w.path: w for w in widgets(experiment)} for run, experiment in experiments.items()}
    found: dict[str, Differing] = {}
    for path, values in settings({run: experiment.model_dump(mode="json") for run, experiment in experiments.items()}).items():
        group, *rest = path.split(".")
        if path == "name":
            continue
        if group in ("tasks", "data"):
            has = {run: rest[0] in getattr(experiment, group) for run, experiment in experiments.items()}
            if not all(has.values()):
                label = N_("Task") if group == "tasks" else N_("Table")
                found[f"{group}.{rest[0]}"] = Differing(rest[0], label, {run: N_("yes") if there else None for run, there in has.items()})
                continue
        widget = {run: of_run[p] for run, of_run in known.items() if (p := _prefix(path, of_run))}
        label = next((one.label for one in widget.values()), path)
        words = {
            run: None if path not in dict(_flat(experiments[run].model_dump(mode="json"))) else _word(widget.get(run), path, value)
            for run, value in values.items()
        }
        found[path] = Differing(rest[0] if group in ("tasks", "data") and rest else "", label, words)
    return found


def _word(widget: Any, path: str, value: Any) -> str | None:
    if widget is not None and widget.path == path:
        return str(widget.word(value))
    return None if value is None else str(value)


def _prefix(path: str, known: Mapping[str, Any]) -> str | None:
    """The path of the widget that sets it: of a mapping's entry the mapping's."""
    while path and path not in known:
        path = path.rpartition(".")[0]
    return path or None


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        path = f"{prefix}.{name}" if prefix else str(name)
        found += _flat(value, path) if isinstance(value, Mapping) and value else [(path, value)]
    return found
