"""Opens a table or a task on the page Data, and closes it again. The URL says what is open: Back leads out of it, and so
does the navigation of another page (of a click on this page's own name Streamlit tells the script nothing)."""

import streamlit as st

from pages.parts import address, url


def open_table(stored: str) -> None:
    """The form for a table of the workspace, by its stored name."""
    close()
    st.session_state.table = stored


def open_task(name: str) -> None:
    """The form for a task of the draft, as it stands there."""
    close()
    for key in [k for k in st.session_state if isinstance(k, str) and k.startswith(edited(name))]:
        del st.session_state[key]
    st.session_state.task = name


def close() -> None:
    """Back to the list of tables."""
    st.session_state.table = st.session_state.task = ""
    for key in ("form_of", "kind"):
        st.session_state.pop(key, None)


def asked(what: str) -> str:
    """what: "table" or "task". Which one is open; nothing: none."""
    url.keep(what, "")
    return str(st.session_state[what])


def nothing() -> None:
    """The list is shown: no kind of task stands in the URL."""
    address.write("kind", [])


def edited(name: str) -> str:
    """What the keys of the form for a task of the draft begin with."""
    return f"edit.{name}."
