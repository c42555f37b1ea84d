"""What was just deleted, with the way back until the page is left (`frame.begin` forgets it then; the trash does not)."""

from collections.abc import Callable, Sequence

import streamlit as st

from mtl_core.base.messages import Translate
from mtl_core.base.trash import Trashed
from pages.parts.text import plain, size


def offer(entries: Sequence[Trashed]) -> None:
    """Called where something was moved to the trash; what was offered before stays there."""
    st.session_state.undo = list(entries)


def show(restore: Callable[[str], object], _: Translate) -> None:
    """What lies in the trash since then and a button that brings it back. restore: by an entry's id."""
    entries: list[Trashed] = st.session_state.get("undo", [])
    if not entries:
        return
    freed = size(sum(entry.n_bytes for entry in entries))
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="undo_offer"):
        deleted = _("In the trash: {names}. Emptying the trash frees {size}.")
        st.markdown(
            ":material/delete: " + deleted.format(names=plain(", ".join(entry.name for entry in entries)), size=freed),
            width="stretch",
        )
        st.button(_("Undo"), icon=":material/undo:", key="undo_deleted", on_click=_restore, args=(entries, restore))


def _restore(entries: Sequence[Trashed], restore: Callable[[str], object]) -> None:
    for entry in entries:
        restore(entry.id)
    st.session_state.pop("undo", None)
