"""A table as one task would use it: checked, split, counted; and what of that is shown."""

import json
from typing import Any

import streamlit as st

from mtl_core import plots
from mtl_core.api.checked import Checked, check_task
from mtl_core.base.apart import Call
from mtl_core.base.messages import N_, Translate
from mtl_core.base.program import SAMPLE_SHOP
from mtl_core.config.drafts import files_of
from mtl_core.data.problems import ended
from pages.parts import cells, mapping, problems, splitting, understood
from pages.parts.background import desk
from pages.parts.frame import workspace
from pages.parts.look import Chosen
from pages.parts.text import plain

PARTS = {"train": N_("Training"), "validation": N_("Validation"), "test": N_("Test")}


def ask(chosen: Chosen, data: dict[str, Any], task: dict[str, Any], instead_of: str | None = None) -> Call:
    """The `Checked` of a table, which is stored as a dataset and looked at as the task would, in a process of its own; again only when
    something that it depends on has changed.

    data, task: as in an experiment, the task also without its table; instead_of: as in `Desk.ask`.
    """
    where = workspace()
    task = {part: value for part, value in task.items() if part not in ("data", "weight")}  # no check depends on them
    paths = [chosen.path, *(place / file for file in files_of(data) for place in (where.root, SAMPLE_SHOP))]
    changed = [path.stat().st_mtime_ns for path in paths if path.is_file()]
    key = ("check", where, chosen.path, chosen.name, json.dumps([changed, data, task], sort_keys=True))
    return desk().apart(
        key, check_task, chosen.path, chosen.name, changed[0], data, task, where,
        about=chosen.path, otherwise=lambda error: Checked([ended(error, chosen.name)]), instead_of=instead_of,
    )  # fmt: skip


def show(checked: Checked, _: Translate, form: str = "") -> None:
    """All but the table of problems. form: what the keys of the widgets for the columns begin with, so that a column can be left out with
    a click."""
    problems.summary(checked.problems, _, " " + (_("They stand below the form.") if checked.usable else _("They stand above the form.")))
    for column in dict.fromkeys(column for p in checked.problems if form for column in p.leave_out):
        label = _("Leave out “{column}”").format(column=plain(column))
        st.button(label, key=f"leave_out.{column}", icon=":material/block:", on_click=mapping.leave_out, args=(column, form))
    if form and (repeated := next((p.column for p in checked.problems if p.code == "leak_texts"), None)):
        splitting.offer_group(repeated, f"{form}.split", _)
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
