"""What makes a task's figures mean little, though its table can be used: said before training. Loads no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mtl_core.base.messages import message
from mtl_core.config.tables import Mapped
from mtl_core.data.leaks import find_leaks
from mtl_core.data.problems import Problem, Severity
from mtl_core.tasks.base import TaskKind, columns_of


def doubts(table: pa.Table, mapped: Mapped, columns: Mapping[str, Any], file: str | None = None) -> list[Problem]:
    """Inputs that give the label away. table: with the columns of the file; mapped: what `map_fields` made of it, without errors;
    columns: field → column or columns; file: its name for people."""
    return leaks(table, mapped.kind, columns, file)


def leaks(table: pa.Table, kind: TaskKind, columns: Mapping[str, Any], file: str | None = None) -> list[Problem]:
    """A warning for each input that predicts the label by itself, the surest first."""
    given = columns_of(kind.fields, columns)
    label = given.get("label", [])
    if len(label) != 1 or kind.takes_logs or label[0] not in table.column_names:
        return []
    return [
        Problem(
            Severity.WARNING,
            "leak",
            leak.why(label[0]),
            message("Leave it out, unless it is known before the label is.")
            if leak.how == "value"
            else message("Remove it from the texts, unless it is there when the model is used."),
            file,
            column=leak.column,
        )
        for leak in find_leaks(table, label[0], inputs_of(kind, given))
    ]


def inputs_of(kind: TaskKind, given: Mapping[str, Sequence[str]]) -> list[str]:
    """The columns that a model reads: not the label, nor what only says which rows belong together or how they were shown."""
    return [c for f in kind.fields if f.type not in ("label", "group") and f.asked for c in given.get(f.name, ())]
