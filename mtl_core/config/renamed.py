"""Settings that had another name in earlier versions. Experiment files and runs that say them are read as if they said today's."""

import copy
from collections.abc import Mapping
from typing import Any

RENAMED = {
    "endings": "task_stopping",
    "early_stopping.minimum_gain": "early_stopping.min_delta",
    "optimizer.clip": "optimizer.max_gradient_norm",
    "schedule.warmup": "schedule.warmup_ratio",
    "training.micro_batch_tokens": "training.max_tokens_per_micro_batch",
    "training.evaluation_rows": "training.max_validation_rows",
}
"""Old path → new path, both in the same group of the experiment."""


def current_path(path: str) -> str:
    """`path` with today's names: "optimizer.clip" → "optimizer.max_gradient_norm", "endings.keep" → "task_stopping.keep"."""
    for old, new in RENAMED.items():
        if path == old or path.startswith(f"{old}."):
            return new + path.removeprefix(old)
    return path


def current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an experiment's `values` with today's names. Where both are there the old one stays; see `named_twice`."""
    renamed = copy.deepcopy(dict(values))
    for old, new in RENAMED.items():
        group, _, name = old.rpartition(".")
        node = renamed.get(group) if group else renamed
        today = new.rpartition(".")[2]
        if isinstance(node, dict) and name in node and today not in node:
            node[today] = node.pop(name)
    return renamed


def named_twice(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Old and new path of settings that an experiment's `values` have under both names."""
    found = []
    for old, new in RENAMED.items():
        group, _, name = old.rpartition(".")
        node = values.get(group) if group else values
        if isinstance(node, Mapping) and name in node and new.rpartition(".")[2] in node:
            found.append((old, new))
    return found
