"""State that a person would want to keep or share lies in the URL, by the key of its widget."""

from collections.abc import Collection
from typing import Any

import streamlit as st


def keep(key: str, default: Any = None, options: Collection[Any] | None = None, remember: bool = False) -> None:
    """Called before the widget `key`: takes its value from the URL when the page opens, writes it to the URL when it changed.

    default: the value when neither the URL nor the person gave one; a list for widgets with several choices. It also says the
        type: a bool, int or float in the URL is read as such. The URL leaves out a value that is the default.
    options: values that are not among them are dropped (a run that is gone, a metric of another task). The widget must not be
        given a `default`, `index` or `value` of its own.
    remember: whether who comes back to the page by the navigation, which empties the URL, finds the value again.
    """
    many = isinstance(default, list)
    if key not in st.session_state:
        found = [_read(text, default) for text in st.query_params.get_all(key)]
        given = found if many else found[-1] if found else None
        st.session_state[key] = given if found else st.session_state.get(f"kept.{key}", default)
    value = st.session_state[key]
    if options is not None:
        kept = [v for v in (value if many else [value]) if v in options]
        value = kept if many else kept[0] if kept else default
        if value != st.session_state[key]:
            st.session_state[key] = value
    if remember:
        st.session_state[f"kept.{key}"] = value
    texts = [] if value is None or value == default else [_write(v) for v in (value if many else [value])]
    if texts != st.query_params.get_all(key):
        if texts:
            st.query_params[key] = texts
        else:
            del st.query_params[key]


def _read(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        return text == "1"
    if isinstance(default, (int, float)):
        try:
            return type(default)(text)
        except ValueError:
            return default
    return text


def _write(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
