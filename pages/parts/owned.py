"""What is done to a table that one owns: rename, replace, delete; the trash."""

from collections.abc import Sequence

import streamlit as st

from mtl_core.api.own_tables import OwnTable, delete_table, rename_table, restore_table, tables_in_trash
from mtl_core.base.messages import N_, Translate
from mtl_core.base.trash import empty_trash
from pages.parts import replace, states, undo
from pages.parts.frame import workspace
from pages.parts.text import plain, size

ACTIONS = {
    "rename": N_(":material/edit: Rename …"),
    "replace": N_(":material/swap_horiz: Replace the file …"),
    "delete": N_(":material/delete: Delete …"),
}


def menu(tables: Sequence[OwnTable], _: Translate) -> None:
    """tables: the one it is for, and those that hold other parts of it."""
    table = tables[0]
    chosen = st.menu_button(
        _("More"),
        list(ACTIONS),
        key=f"menu_{table.path.name}",
        type="tertiary",
        format_func=lambda a: _(ACTIONS[a]),
    )
    if chosen == "rename":
        _rename(table, _)
    elif chosen == "replace":
        replace.ask(table, None, _)
    elif chosen == "delete":
        _delete(tables, _)


def several(tables: Sequence[OwnTable], _: Translate) -> None:
    """What can be done to those that are selected."""
    if tables and st.button(_("Delete the selected ({n}) …").format(n=len(tables)), key="delete_selected", icon=":material/delete:"):
        _delete(tables, _)


def trash(_: Translate) -> None:
    """What was deleted; back with it, or gone for good."""
    entries = tables_in_trash(workspace())
    if not entries:
        return
    total = size(sum(entry.n_bytes for entry in entries))
    with st.expander(_("Trash: {n} · {size}").format(n=len(entries), size=total), icon=":material/delete:"):
        for entry in entries:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"{plain(entry.name)}  \n:small[{size(entry.n_bytes)} · {states.moment(entry.deleted)}]", width="stretch")
                st.button(_("Restore"), key=f"restore_{entry.id}", icon=":material/restore_from_trash:", on_click=restore, args=(entry.id,))
        if st.button(_("Empty the trash …"), key="empty_trash", icon=":material/delete_forever:"):
            _empty([entry.id for entry in entries], total, _)


def restore(entry: str) -> None:
    restore_table(workspace(), entry)
    if left := [e for e in st.session_state.get("undo", []) if e.id != entry]:
        st.session_state.undo = left
    else:
        st.session_state.pop("undo", None)


def _rename(table: OwnTable, _: Translate) -> None:
    @st.dialog(_("Rename {table}").format(table=plain(table.name)))
    def dialog() -> None:
        key = f"rename_{table.path.name}"
        with st.form(f"form_{key}", border=False):  # Enter renames
            st.text_input(_("Name"), table.name, max_chars=120, key=key)
            now = st.form_submit_button(_("Rename"), type="primary", key="rename_now", on_click=_renamed, args=(table, key))
        if now:
            st.rerun()

    dialog()


def _renamed(table: OwnTable, key: str) -> None:
    if name := st.session_state[key].strip():
        rename_table(workspace(), table, name)


def _delete(tables: Sequence[OwnTable], _: Translate) -> None:
    """What uses them is said first."""

    @st.dialog(_("Delete tables"))
    def dialog() -> None:
        for table in tables:
            uses = [_("deleted with it: {names}").format(names=plain(", ".join(table.tasks)))] if table.tasks else []
            uses += [_("runs that can then not be resumed: {n}").format(n=len(table.runs))] if table.runs else []
            used = "; ".join(uses) or _("used by nothing")
            st.markdown(f"**{plain(table.name)}** · {size(table.n_bytes)}  \n:small[{used}]")
        st.caption(
            _("They go to the trash, which can be undone. Emptying the trash frees {size}.").format(
                size=size(sum(t.n_bytes for t in tables))
            )
        )
        if st.button(_("Move to the trash"), type="primary", icon=":material/delete:", key="delete_now", on_click=_deleted, args=(tables,)):
            st.rerun()

    dialog()


def _empty(entries: list[str], total: str, _: Translate) -> None:
    @st.dialog(_("Empty the trash"))
    def dialog() -> None:
        st.markdown(_("Deletes what is in the trash for good and frees {size}. There is no way back.").format(size=total))
        if st.button(
            _("Delete for good"), type="primary", icon=":material/delete_forever:", key="empty_now", on_click=_gone, args=(entries,)
        ):
            st.rerun()

    dialog()


def _deleted(tables: Sequence[OwnTable]) -> None:
    undo.offer([delete_table(workspace(), table) for table in tables])


def _gone(entries: list[str]) -> None:
    empty_trash(workspace(), entries)
    st.session_state.pop("undo", None)
