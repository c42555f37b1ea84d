"""A task out of a table: its kind, columns, options, split and name; checked by itself, then added to the experiment, or changed in it."""

from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import streamlit as st

from mtl_core.api.checked import Checked
from mtl_core.api.looked import Proposal
from mtl_core.api.own_tables import own_tables
from mtl_core.base.messages import Translate
from mtl_core.base.settings import widgets
from mtl_core.base.workspace import new_id
from mtl_core.config import drafts
from mtl_core.data.places import of_file
from mtl_core.tasks import KINDS
from pages.parts import check, log, mapping, opening, settings, splitting
from pages.parts.background import follow, ready, settle
from pages.parts.clicks import clicked, then
from pages.parts.frame import workspace
from pages.parts.look import LOG_COLUMNS, Chosen, other_kind
from pages.parts.text import plain
from pages.parts.url import keep


def build(
    chosen: Chosen, head: pa.Table, start: Proposal, options: dict[str, Any], _: Translate, changes: str | None = None
) -> Checked | None:
    """The form on the left, what it leads to on the right; what is missing is said where it is missing. Returns what the check found, of
    which the caller shows the problems; None: not yet.

    head: the first rows; start: what to begin with; options: how the file is read; changes: the task of the draft that is edited.
    """
    if "kind" in st.session_state and st.session_state.get("form_of", (chosen.file, changes)) != (chosen.file, changes):
        st.session_state.kind = start.task["kind"]  # another table, which no link and no Back asked for
    st.session_state.form_of = (chosen.file, changes)
    keep("kind", start.task["kind"], list(KINDS))
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader(_("Change the task") if changes else _("Create a task"), anchor=False)
        form = _form(chosen, head, start, options, opening.edited(changes) if changes else "", _)
    with right:
        st.subheader(_("Check"), anchor=False)
        if form is not None:
            data, task = form
            return _checked(chosen, data | options, task, changes, _)
        st.caption(_("Runs as soon as every field on the left that is not optional has a column."))
    return None


def _form(
    chosen: Chosen, head: pa.Table, start: Proposal, read_as: dict[str, Any], prefix: str, _: Translate
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(data, task) as in an experiment; None while something is missing."""
    names = of_file(head.column_names)
    st.selectbox(_("Task kind"), list(KINDS), key="kind", format_func=lambda k: _(KINDS[k].label))
    kind = KINDS[st.session_state.kind]

    def of_kind() -> tuple[Proposal, dict[str, Any]]:
        return other_kind(chosen.file, chosen.path.stat().st_mtime_ns, tuple(sorted(read_as.items())), kind.name, head)

    if start.task["kind"] != kind.name:
        start = of_kind()[0]
    st.caption(plain(_(kind.help) + (" " + _("Suggested: {reason}").format(reason=start.why.text(_)) if start.why else "")))
    key = f"{prefix}{chosen.file}.{kind.name}"
    transactions, given_log = None, start.data.get("transactions")
    if kind.takes_logs and st.toggle(
        _("The table is a transaction log (one row per transaction: user, item, time)"),
        bool(given_log),
        key=f"{key}.is_log",
        persist_state="session",
    ):
        transactions = log.choose(names, given_log or {}, f"{key}.log", _)
        if transactions is None:
            return None
        names = ["user", "item_id", "time"]
        mapped: dict[str, Any] = {f.name: f.name for f in kind.fields if f.name in LOG_COLUMNS}
    else:
        mapped = mapping.choose(kind, names, of_kind()[1] if given_log else start.task["columns"], key, _)
    found = widgets(settings.begun(kind.Options, start.task.get("options", {})))
    options = {s.path: s.value for s in found if not settings.drawable(s) and s.value != s.default}  # set in a file: they stay
    if own := [s for s in found if settings.drawable(s)]:
        with st.expander(_("Task options"), icon=":material/tune:"):
            options |= settings.draw_all(own, f"{key}.options", _)
    given = start.data["split"]
    group = kind.grouped_by([name for name, column in mapped.items() if column])
    likely = {"group": mapped.get(group or ""), "stratified": mapped.get("label"), "time": "time"}
    files = {t.file: t.name for t in own_tables(workspace()) if chosen.file.startswith("uploads/") and t.file != chosen.file}
    split = splitting.choose(names, {way: c for way, c in likely.items() if isinstance(c, str)}, given, files, f"{key}.split", _)
    if lacking := mapping.missing(kind, mapped, _):
        st.caption(_("Fields without a column: {fields}").format(fields=plain(", ".join(lacking))))
        return None
    if split is None:
        return None
    data = {"file": chosen.file, "split": split.model_dump(mode="json", exclude_none=True)}
    if transactions is not None:
        data["transactions"] = transactions.model_dump(mode="json", exclude_none=True)
    return data, {"kind": kind.name, "columns": mapped, "options": options}


def _checked(chosen: Chosen, data: dict[str, Any], task: dict[str, Any], changes: str | None, _: Translate) -> Checked | None:
    work = check.ask(chosen, data, task, st.session_state.setdefault("form", new_id()))
    follow(settle([work]), _("Checking the table … {seconds} s"), _)
    checked = ready(work)
    if checked is not None:
        if checked.usable:
            _name(chosen, data, task, changes, _)
        check.show(checked, _, f"{opening.edited(changes) if changes else ''}{chosen.file}.{task['kind']}")
    return checked


def _name(chosen: Chosen, data: dict[str, Any], task: dict[str, Any], changes: str | None, _: Translate) -> None:
    """What to call it, and the button that adds it."""
    draft = drafts.load(workspace())
    table = draft.table_of(data) or drafts.unused_name(Path(chosen.name).stem, draft.data)
    taken = draft.tasks.keys() - {changes}
    wish = changes or drafts.unused_name(table if table not in draft.tasks else f"{table} {task['kind']}", taken)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key = f"name.{chosen.file}.{changes or task['kind']}"
        name = st.text_input(_("Task name"), value=wish, key=key, max_chars=64, width="stretch")
        called = drafts.unused_name(name or wish, {})
        added = clicked(
            _("Save changes") if changes else _("Add task"),
            "add_task",
            type="primary",
            icon=":material/check:" if changes else ":material/add:",
            disabled=called in taken,
        )
    if added:
        then(partial(_add, called, task if changes else {**task, "weight": 1.0}, table, data, changes, _))
    if called in taken:
        st.caption(_("There is a task of this name. Choose another, or change that one."))
    if same := [n for n, t in draft.on_file(chosen.file).tasks.items() if n != changes and drafts.alike(task, t)]:
        st.caption(_("The same kind and columns as: {tasks}").format(tasks=plain(", ".join(same))))


def _add(name: str, task: dict[str, Any], table: str, data: dict[str, Any], changes: str | None, _: Translate) -> None:
    drafts.update(workspace(), lambda draft: draft.with_task(name, task, table, data, changes))
    done = _("Task changed: {name}") if changes else _("Task added: {name}")
    st.toast(done.format(name=plain(name)), icon=":material/check:")
    opening.close()
