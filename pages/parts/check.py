"""A table as one task would use it: checked, split, counted; and what of that is shown."""

import json
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from mtl_core import plots
from mtl_core.base.messages import N_, Translate
from mtl_core.base.program import SAMPLE_SHOP
from mtl_core.base.workspace import Workspace
from mtl_core.config.doubts import doubts_of
from mtl_core.config.drafts import files_of, unused_name
from mtl_core.config.experiment import DataConfig, TaskConfig
from mtl_core.config.parts import EncoderConfig
from mtl_core.config.tables import map_task, store_table
from mtl_core.config.understood import Understood
from mtl_core.config.understood import understood as understand
from mtl_core.data.describe import histogram, label_counts, token_lengths
from mtl_core.data.problems import DataError, Problem, has_errors
from mtl_core.data.values import flags
from mtl_core.model.packaged import minilm_token_counts
from mtl_core.tasks.base import TaskKind
from pages.parts import cells, mapping, problems, understood
from pages.parts.background import desk
from pages.parts.frame import workspace
from pages.parts.look import Chosen, read
from pages.parts.text import plain

PARTS = {"train": N_("Training"), "validation": N_("Validation"), "test": N_("Test")}


@dataclass(frozen=True)
class Checked:
    """lengths: text field → (counts, edges)."""

    problems: list[Problem]
    sizes: dict[str, int] = field(default_factory=dict)
    labels: list[dict[str, Any]] = field(default_factory=list)
    n_labels: int = 0
    unlabelled: int = 0
    lengths: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    understood: dict[str, Understood] = field(default_factory=dict)
    kind: TaskKind | None = None

    @property
    def usable(self) -> bool:
        return not has_errors(self.problems)


def ask(chosen: Chosen, data: dict[str, Any], task: dict[str, Any], instead_of: str | None = None) -> "Future[Checked]":
    """Stores the table as a dataset, and looks at it as the task would; again only when something that it depends on has changed.

    data, task: as in an experiment, the task also without its table; instead_of: as in `Desk.ask`.
    """
    where = workspace()
    task = {part: value for part, value in task.items() if part not in ("data", "weight")}  # no check depends on them
    paths = [chosen.path, *(place / file for file in files_of(data) for place in (where.root, SAMPLE_SHOP))]
    changed = [path.stat().st_mtime_ns for path in paths if path.is_file()]
    key = ("check", where, chosen.path, chosen.name, json.dumps([changed, data, task], sort_keys=True))
    return desk().ask(key, lambda: _check(chosen, changed[0], data, task, where), instead_of)


def _check(chosen: Chosen, changed: int, data_values: dict[str, Any], task_values: dict[str, Any], where: Workspace) -> Checked:
    name = unused_name(Path(chosen.name).stem, {})
    data, task = DataConfig.model_validate(data_values), TaskConfig.model_validate({**task_values, "data": name})
    try:
        table = read(chosen.path, chosen.name, changed, data.encoding, data.sheet)
        dataset = store_table(data, name, where, SAMPLE_SHOP, contained=True, read=table)
    except DataError as error:
        return Checked(error.problems)
    mapped = map_task(task, dataset)
    found = [*dataset.problems, *mapped.problems]
    learned = understand(mapped, task.columns, task.options)
    if has_errors(found):
        return Checked(found, dataset.split_sizes, understood=learned, kind=mapped.kind)
    found += doubts_of(dataset, mapped, task.columns, task.options, EncoderConfig())
    texts = [f.name for f in mapped.kind.fields if f.type in ("text", "texts") and f.name in mapped.table.column_names]
    lengths = [token_lengths(mapped.table.column(name), minilm_token_counts) for name in texts]
    labels = mapped.kind.rows.counted(mapped.table, task.options)
    rows, n_labels = ([], 0) if labels is None else label_counts(labels, mapped.split)
    unlabelled = 0 if labels is None else sum(dataset.split_sizes.values()) - int((flags(labels.is_valid()) & (mapped.split != "")).sum())
    of_texts = dict(zip(texts, histogram(lengths), strict=True))
    return Checked(found, dataset.split_sizes, rows, n_labels, unlabelled, of_texts, learned, mapped.kind)


def show(checked: Checked, _: Translate, form: str = "") -> None:
    """All but the table of problems. form: what the keys of the widgets for the columns begin with, so that a column can be left out with
    a click."""
    problems.summary(checked.problems, _, " " + (_("They stand below the form.") if checked.usable else _("They stand above the form.")))
    for column in dict.fromkeys(p.leave_out for p in checked.problems if p.leave_out and form):
        label = _("Leave out “{column}”").format(column=plain(column))
        st.button(label, key=f"leave_out.{column}", icon=":material/block:", on_click=mapping.leave_out, args=(column, form))
    if checked.kind:
        understood.show(checked.understood, checked.kind, _)
    if not checked.usable:
        return
    if not checked.problems:
        st.success(_("No problems found in this table."), icon=":material/check_circle:")
    with st.grid(3, min_column_width=140):
        for part, label in PARTS.items():
            st.metric(_(label), f"{checked.sizes.get(part, 0):,}", border=True)
    folding = st.grid(2, min_column_width=320)  # beside each other where there is room
    with folding.container():
        st.markdown("**" + _("Rows by label") + "**")
        if checked.n_labels > len(checked.labels):
            st.caption(_("The {n} most frequent of {total} labels.").format(n=len(checked.labels), total=checked.n_labels))
        if checked.unlabelled:
            st.caption(_("Rows without a label: {n}").format(n=f"{checked.unlabelled:,}"))
        if checked.labels:
            cells.table(
                {
                    _("Label"): [row["label"] for row in checked.labels],
                    **{_(w): [row[p] for row in checked.labels] for p, w in PARTS.items()},
                },
                height="content" if len(checked.labels) < 8 else 300,
                key="labels",
                alt=_("Rows of each label in training, validation and test"),
            )
        else:
            st.caption(_("Rows of this task are not counted by label."))
    with folding.container():
        st.markdown("**" + _("Text length") + "**")
        if checked.lengths:
            st.plotly_chart(plots.lengths(checked.lengths, translate=_), key="lengths", height=300, alt=_("Number of texts by token count"))
        else:
            st.caption(_("This task uses no texts."))
