"""A task out of a table: its kind, columns, split and name; checked, then added to the experiment."""

from pathlib import Path
from typing import Any

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.base.settings import widgets
from mtl_core.config import drafts
from mtl_core.data.mapping import suitability
from mtl_core.data.read import Table
from mtl_core.data.transactions import looks_like_log
from mtl_core.tasks import KINDS
from pages.parts import check, log, mapping, settings, splitting
from pages.parts.frame import workspace
from pages.parts.table import Chosen, columns
from pages.parts.text import plain
from pages.parts.url import keep

LOG_COLUMNS = ("user", "history", "item", "item_id", "label", "time", "list")
"""Of the recommendation table that a transaction log becomes; fields of the same name are filled by them."""
SPLIT_NAMES = ("split", "part", "subset", "fold", "划分")
"""What a column with a given split is called."""


def build(chosen: Chosen, table: Table, _: Translate) -> None:
    """The form from top to bottom; what is missing is said where it is missing."""
    st.subheader(_("Create a task"), anchor=False)
    names = columns(table)
    is_log = looks_like_log(names)
    if st.session_state.get("kind_proposed_for") != chosen.file:
        if "kind_proposed_for" in st.session_state or "kind" not in st.query_params:  # another table, or none was asked for
            st.session_state.kind = _likely_kind(table, is_log)
        st.session_state.kind_proposed_for = chosen.file
    keep("kind", next(iter(KINDS)), list(KINDS))
    st.segmented_control(_("Task kind"), list(KINDS), key="kind", required=True, wrap=True, format_func=lambda k: _(KINDS[k].label))
    kind = KINDS[st.session_state.kind]
    st.caption(plain(_(kind.help)))
    key = f"{chosen.file}.{kind.name}"
    transactions = None
    if kind.takes_logs and st.toggle(
        _("The table is a transaction log (one row per transaction: user, item, time)"),
        is_log,
        key=f"{key}.is_log",
        persist_state="session",
    ):
        transactions = log.choose(names, f"{key}.log", _)
        if transactions is None:
            return
        names = ["user", "item_id", "time"]
        mapped: dict[str, Any] = {f.name: f.name for f in kind.fields if f.name in LOG_COLUMNS}
    else:
        mapped = mapping.choose(kind, table.table.slice(0, 1000), key, _)
    options: dict[str, Any] = {}
    if own := [s for s in widgets(kind.Options) if settings.drawable(s)]:
        with st.expander(_("Task options"), icon=":material/tune:"):
            options = settings.draw_all(own, f"{key}.options", _)
    given = next((name for name in names if name.lower() in SPLIT_NAMES), None)
    group = kind.grouped_by([name for name, column in mapped.items() if column])
    likely = {"column": given, "group": mapped.get(group or ""), "stratified": mapped.get("label"), "time": "time"}
    split = splitting.choose(names, {way: c for way, c in likely.items() if isinstance(c, str)}, f"{key}.split", _)
    if lacking := mapping.missing(kind, mapped, _):
        st.caption(_("Fields without a column: {fields}").format(fields=plain(", ".join(lacking))))
        return
    if split is None:
        return
    data = {"file": chosen.file, "split": split.model_dump(mode="json", exclude_none=True)}
    if transactions is not None:
        data["transactions"] = transactions.model_dump(mode="json", exclude_none=True)
    _check_and_add(chosen, table, data, {"kind": kind.name, "columns": mapped, "options": options}, _)


def _likely_kind(table: Table, is_log: bool) -> str:
    """The kind that the names of the columns suit best."""
    if is_log and (kind := next((name for name, kind in KINDS.items() if kind.takes_logs), None)):
        return kind
    sample = table.table.slice(0, 1000)
    return max(KINDS, key=lambda name: suitability(sample, KINDS[name].fields))


def _check_and_add(chosen: Chosen, read: Table, data: dict[str, Any], task: dict[str, Any], _: Translate) -> None:
    draft = drafts.load(workspace())
    table = next((n for n, d in draft.data.items() if d == data), drafts.unused_name(Path(chosen.name).stem, draft.data))
    if st.button(_("Check the table"), key="check", icon=":material/fact_check:", type="primary"):
        st.session_state.checked = (data, task)
    if st.session_state.get("checked") != (data, task):
        st.caption(_("Shows the split, labels, text lengths, duplicates and leaks. Then the task can be added."))
        return
    with st.spinner(_("Checking the table …")):
        checked = check.of(chosen.path, read, table, data, {**task, "data": table})
    check.show(checked, _)
    if not checked.usable:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wish = drafts.unused_name(table if table not in draft.tasks else f"{table} {task['kind']}", draft.tasks)
        name = st.text_input(_("Task name"), value=wish, key=f"name.{chosen.file}.{task['kind']}", max_chars=64, width=320)
        st.button(
            _("Add task"),
            key="add_task",
            type="primary",
            icon=":material/add:",
            on_click=_add,
            args=(drafts.unused_name(name or wish, {}), task, table, data, _("Task added: {name}")),
        )


def _add(name: str, task: dict[str, Any], table: str, data: dict[str, Any], done: str) -> None:
    drafts.add_task(workspace(), name, {**task, "weight": 1.0}, table, data)
    st.toast(done.format(name=plain(name)), icon=":material/check:")
