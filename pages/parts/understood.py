"""What the task reads from its columns: a line a field, so that a value that was read wrongly is seen before training."""

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.config.understood import Understood
from mtl_core.tasks.base import TaskKind
from pages.parts import cells

ROW = 35  # pixels


def show(fields: Mapping[str, Understood], kind: TaskKind, _: Translate) -> None:
    if not fields:
        return
    labels = {field.name: _(field.label or field.name) for field in kind.fields}
    st.markdown("**" + _("Values as read") + "**")
    cells.table(
        {
            _("Field"): [_named(name, labels) for name in fields],
            _("Distinct"): [one.distinct for one in fields.values()],
            _("Missing"): [one.missing for one in fields.values()],
            _("Most frequent values"): [[_written(value) for value in one.values] for one in fields.values()],
            _("First rows"): [[_written(value) for value in one.examples] for one in fields.values()],
        },
        column_config={name: st.column_config.ListColumn(width="large") for name in (_("Most frequent values"), _("First rows"))},
        height=ROW * (len(fields) + 1) + 3,
        key="understood",
        alt=_("Fields of the task with distinct and missing values, the most frequent values and the first rows as read"),
    )


def _named(field: str, labels: Mapping[str, str]) -> str:
    name, _dot, column = field.partition(".")
    return labels.get(name, name) + (f": {column}" if column else "")


def _written(value: Any) -> str:
    """A list in brackets, with its things in quotation marks, so that each is seen as one."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
