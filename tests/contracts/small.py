"""A small table of every kind, made from its example, and an experiment on such tables."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from mtl_core.config.tables import Mapped, map_fields
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import TaskKind

TIMES = 16
SPLIT = ("train", "train", "validation", "test")


def rows(kind: TaskKind) -> list[dict[str, Any]]:
    """The rows of the example sixteen times over, each time in another part of the split and with other texts and groups."""
    types = {field.name: field.type for field in kind.fields}

    def other(name: str, cell: Any, time: int) -> Any:
        if types[name] == "texts":
            return [f"{text} {time}" for text in cell]
        return f"{cell} {time}" if types[name] in ("text", "group") else cell

    return [
        {name: other(name, cell, time) for name, cell in row.items()} | {"split": SPLIT[time % len(SPLIT)]}
        for time in range(TIMES)
        for row in kind.example
    ]


def columns(kind: TaskKind) -> dict[str, str]:
    """Every field of the example is filled by the column that is called like it."""
    return {name: name for row in kind.example for name in row}


def mapped(kind: TaskKind, options: Any = None) -> Mapped:
    """As a task reads it, with its problems."""
    table = pa.Table.from_pylist(rows(kind))
    table = table.append_column("_line", pa.array(range(2, len(table) + 2)))
    split = table["split"].to_numpy()
    return map_fields(kind, table, split, columns(kind), kind.Options() if options is None else options, kind.name)


def described(kinds: Iterable[str], encoder: Path, folder: Path, **groups: Any) -> dict[str, Any]:
    """An experiment with a task of each kind, called like it, on a file of its own in `folder`. groups: of the experiment, as balancing."""
    tasks, tables = {}, {}
    for name in kinds:
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows(KINDS[name])), encoding="utf-8")
        tables[name] = {"file": str(file), "split": {"by": "column", "column": "split"}}
        tasks[name] = {"kind": name, "data": name, "columns": columns(KINDS[name])}
    return {
        "data": tables,
        "tasks": tasks,
        "encoder": {"name": str(encoder), "max_length": 48},
        "training": {"steps": 4, "batch_size": 4 * len(tasks), "evaluate_every": 2, "device": "cpu", "precision": "float32"},
        "optimizer": {"learning_rate": 1e-3, "head_learning_rate": 5e-3},
        "diagnostics": {"conflicts_every": 0},
        **groups,
    }
