"""Another file in a table's place: what changes, which tasks break, then it is done, or not."""

from typing import Any

import streamlit as st

from mtl_core.api.looked import changes
from mtl_core.api.own_tables import OwnTable, own_tables, replace_table
from mtl_core.base.apart import ApartError
from mtl_core.base.messages import Translate
from mtl_core.config import drafts
from mtl_core.data.changes import TableChanges
from mtl_core.data.problems import DataError, Problem, Severity, ended
from mtl_core.tasks import KINDS
from pages.parts import check, problems, received, undo
from pages.parts.background import desk
from pages.parts.frame import workspace
from pages.parts.look import Chosen
from pages.parts.text import plain

MOST = 8
"""Labels that are named; of more, the number is said."""


def ask(old: OwnTable, new: OwnTable | None, _: Translate) -> None:
    """A dialog. new: the table to take; None: to be uploaded in it."""

    @st.dialog(_("Replace {table}").format(table=plain(old.name)), width="medium")
    def dialog() -> None:
        chosen = new or _uploaded(old, _)
        if chosen is None:
            return
        with st.spinner(_("Comparing the tables …")):
            fits = _show_changes(old, chosen, _)
        if old.runs:
            st.caption(
                _("Runs that were trained on the old file: {n}. They keep their results, but can only be resumed with it.").format(
                    n=len(old.runs)
                )
            )
        now, arguments = _("Replace"), (old, chosen)
        if fits and st.button(now, type="primary", icon=":material/swap_horiz:", key="replace_now", on_click=_replace, args=arguments):
            st.rerun()

    dialog()


def _replace(old: OwnTable, new: OwnTable) -> None:
    undo.offer([replace_table(workspace(), old, new.path)])
    st.session_state.get("name_in_use", {}).pop(new.path.name, None)


def _uploaded(old: OwnTable, _: Translate) -> OwnTable | None:
    """The file that is uploaded in the dialog, a table of its own until it takes the other's place."""
    saved: list[tuple[str, str]] = st.session_state.setdefault("replacements", [])  # (table, what was uploaded for it)
    key = f"replacement_{old.path.name}_{len(saved)}"
    if file := st.file_uploader(_("New file"), key=key):
        try:
            saved.append((old.path.name, received.keep(file, key).name))
        except DataError as error:
            problems.show(error.problems, _)
            return None
    name = next((new for of, new in reversed(saved) if of == old.path.name), None)
    return next((t for t in own_tables(workspace()) if t.path.name == name), None)


def _show_changes(old: OwnTable, new: OwnTable, _: Translate) -> bool:
    """Whether the new file can be read at all."""
    draft = drafts.load(workspace()).on_file(old.file)
    labels = [c for task in draft.tasks.values() for c in _labels(task)]
    try:
        before, after = ((t.path, t.name, t.path.stat().st_mtime_ns) for t in (old, new))
        _say(desk().apart(("changes", before, after, *labels), changes, before, after, labels, about=new.path).result(), _)
    except (DataError, ApartError) as error:
        found = error.problems if isinstance(error, DataError) else [ended(error, new.name)]
        problems.show(found, _)
        return not any(p.severity is Severity.ERROR and p.file == new.name for p in found)
    for name, values in draft.tasks.items():
        data = drafts.Draft({"t": draft.data[values["data"]]}).with_file(old.file, new.file).data["t"]
        found = check.ask(Chosen(new.path, new.name, new.file), data, values).result()
        fits = _("The task {task} works with it.") if found.usable else _("The task {task} does not work with it:")
        said = fits.format(task=f"**{plain(name)}**")
        if found.usable:
            st.markdown(f":material/check_circle: {said}")
        else:
            st.error(f"{said} {_first(found.problems, _)}", icon=":material/error:")
    return True


def _say(changes: TableChanges, _: Translate) -> None:
    lines = [_("Rows: {before:,} → {after:,}").format(before=changes.rows[0], after=changes.rows[1])]
    lines += [_("Columns that are gone: {names}").format(names=_listed(changes.gone, _))] if changes.gone else []
    lines += [_("New columns: {names}").format(names=_listed(changes.new, _))] if changes.new else []
    for column, (gone, new) in changes.labels.items():
        lines += [_("Values of {column} that are gone: {names}").format(column=plain(column), names=_listed(gone, _))] if gone else []
        lines += [_("New values of {column}: {names}").format(column=plain(column), names=_listed(new, _))] if new else []
    if len(lines) == 1:
        lines.append(_("The columns are the same, and so are the labels."))
    st.markdown("\n".join(f"- {line}" for line in lines))


def _listed(names: list[str], _: Translate) -> str:
    shown = ", ".join(plain(name) for name in names[:MOST])
    return shown if len(names) <= MOST else _("{names} and {n} more").format(names=shown, n=len(names) - MOST)


def _labels(task: dict[str, Any]) -> list[str]:
    """The columns that hold the labels of a task of the draft."""
    kind = KINDS.get(str(task.get("kind")))
    columns = task.get("columns", {})
    found = [columns.get(f.name) for f in (kind.fields if kind else ()) if f.type == "label" and f.holds != "number"]
    return [c for value in found if value for c in ([value] if isinstance(value, str) else value)]


def _first(found: list[Problem], _: Translate) -> str:
    error = next(p for p in found if p.severity is Severity.ERROR)
    return plain(f"{error.why.text(_)} {error.remedy.text(_)}")
