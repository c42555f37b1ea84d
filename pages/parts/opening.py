"""Opens a table or a task on the page Data, and closes it again: what is open stands in the URL, and is so again for who comes back."""

import streamlit as st


def open_table(stored: str) -> None:
    """The form for a table of the workspace, by its stored name."""
    close()
    keep("table", stored)


def open_task(name: str) -> None:
    """The form for a task of the draft, as it stands there."""
    close()
    for key in [k for k in st.session_state if isinstance(k, str) and k.startswith(edited(name))]:
        del st.session_state[key]
    keep("task", name)


def close() -> None:
    """Back to the list of tables."""
    for key in ("form_of", "open.table", "open.task", "kind"):
        st.session_state.pop(key, None)
    for key in ("table", "task", "kind"):
        st.query_params.pop(key, None)


def asked(what: str) -> str:
    """what: "table" or "task". Which one is open; nothing: none."""
    linked = "table" in st.query_params or "task" in st.query_params
    return str(st.query_params.get(what, "") if linked else st.session_state.get(f"open.{what}", ""))


def keep(what: str, name: str) -> None:
    st.session_state[f"open.{what}"] = st.query_params[what] = name


def edited(name: str) -> str:
    """What the keys of the form for a task of the draft begin with."""
    return f"edit.{name}."
