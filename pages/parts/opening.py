"""Opens a table or a task on the page Data, and closes it again: what is open stands in the URL."""

import streamlit as st


def open_table(stored: str) -> None:
    """The form for a table of the workspace, by its stored name."""
    close()
    st.session_state.table = st.query_params["table"] = stored


def open_task(name: str) -> None:
    """The form for a task of the draft, as it stands there."""
    close()
    for key in [k for k in st.session_state if isinstance(k, str) and k.startswith(edited(name))]:
        del st.session_state[key]
    st.session_state.task = st.query_params["task"] = name


def close() -> None:
    """Back to the list of tables."""
    st.session_state.pop("form_of", None)
    for key in ("table", "task", "kind"):
        st.session_state.pop(key, None)
        st.query_params.pop(key, None)


def edited(name: str) -> str:
    """What the keys of the form for a task of the draft begin with."""
    return f"edit.{name}."
