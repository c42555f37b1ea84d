"""Which column fills which field of a task kind: as proposed, corrected by the person."""

from typing import Any

import streamlit as st

from mtl_core.base.messages import Translate
from pages.parts.text import plain


def choose(kind: Any, columns: list[str], given: dict[str, Any], key: str, _: Translate) -> dict[str, str | list[str]]:
    """One widget a field of `kind`. Returns field → column or columns; fields without a column are left out.

    columns: of the table; given: field → column or columns to begin with. key: changes with the table and kind, so that a new table gets
    what is given for it.
    """
    mapping: dict[str, str | list[str]] = {}
    with st.grid(2, min_column_width=300):
        for field in kind.fields:
            begin = given.get(field.name, [])
            proposed = [c for c in ([begin] if isinstance(begin, str) else begin) if c in columns]
            called = plain(_(field.label or field.name))
            label = called if field.required else _("{field} (optional)").format(field=called)
            name = f"{key}_{field.name}"
            with st.container(gap="xxsmall"):
                chosen: str | list[str] | None
                if field.many:
                    st.session_state.setdefault(name, proposed)
                    chosen = st.multiselect(label, columns, key=name, placeholder=_("Choose columns"), persist_state="session")
                else:
                    st.session_state.setdefault(name, proposed[0] if proposed else None)
                    chosen = st.selectbox(label, columns, key=name, index=None, placeholder=_("Choose a column"), persist_state="session")
                st.caption(plain(_(field.help)))
            if chosen:
                mapping[field.name] = chosen[0] if isinstance(chosen, list) and len(chosen) == 1 else chosen
    return mapping


def missing(kind: Any, mapping: dict[str, str | list[str]], _: Translate) -> list[str]:
    """What the required fields that have no column yet are called."""
    return [_(field.label or field.name) for field in kind.fields if field.required and not mapping.get(field.name)]


def leave_out(column: str, key: str) -> None:
    """The column is no input any more. key: as for `choose`."""
    for name, chosen in list(st.session_state.items()):
        if isinstance(name, str) and name.startswith(f"{key}_") and not name.endswith("_label"):
            if isinstance(chosen, list) and column in chosen:
                st.session_state[name] = [c for c in chosen if c != column]
            elif chosen == column:
                st.session_state[name] = None
