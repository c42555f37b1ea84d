"""State that a person would want to keep or share lies in the URL, by the key of its widget, from the first moment on."""

from collections.abc import Collection
from typing import Any

import streamlit as st

from mtl_core.base.language import translator
from pages.parts import address
from pages.parts.frame import language
from pages.parts.text import plain


def keep(key: str, default: Any = None, options: Collection[Any] | None = None, remember: bool = False) -> None:
    """Called before the widget `key`: takes its value from the URL when the page opens, or the browser goes back, and writes it there,
    the default too, so that a copied link shows the same tomorrow, when the default may be another.

    default: the value when neither the URL nor the person gave one; a list for widgets with several choices. It also says the
        type: a bool or an int in the URL is read as such. None, an empty text and an empty list stand in no URL.
    options: values that are not among them are dropped (a run that is gone, a metric of another task); one that the URL asked for, and
        a run that this page was open on, is said to be missing. An int has some: the widget's bounds. The widget must not be given a
        `default`, `index` or `value` of its own.
    remember: whether who comes back to the page by the navigation, which empties the URL, finds the value again.

    `frame.begin` forgets the key at a change of page.
    """
    many, memory = isinstance(default, list), f"kept.{st.session_state.page}.{key}"
    st.session_state.setdefault("linked", set()).add(key)
    if isinstance(default, bool):
        options = (False, True)
    stayed = key in st.session_state
    if opened := not stayed:
        found = list(dict.fromkeys(_read(text, default) for text in st.query_params.get_all(key)))  # what is there twice is one
        given = found if many else found[-1] if found else None
        usual = st.session_state.get(memory, default) if st.session_state.recalls else default
        st.session_state[key] = given if found else usual
        opened = bool(found)
    value = st.session_state[key]
    if options is not None:
        kept = [v for v in (value if many else [value]) if v in options]
        missing = [v for v in (value if many else [value]) if v is not None and v not in options]
        value = kept if many else kept[0] if kept else default
        if value != st.session_state[key]:
            st.session_state[key] = value
        if missing and (opened or (stayed and key == "run")):  # a run was deleted meanwhile; others depend on what else is chosen
            st.session_state[f"missing.{key}"] = missing, value
    _say_missing(key, value)
    if remember:
        st.session_state[memory] = value
    address.write(key, address.texts_of(value))


def gone(key: str) -> list[Any]:
    """What was chosen or asked for and is not there."""
    found: list[Any] = st.session_state.get(f"missing.{key}", ([], None))[0]
    return found


def in_vain(*keys: str) -> bool:
    """Whether the link asked for one of these that is not there, and something else is shown instead."""
    return any(f"missing.{key}" in st.session_state for key in keys)


def _say_missing(key: str, value: Any) -> None:
    """What the link asked for and is not there, until something else is chosen."""
    missing, instead = st.session_state.get(f"missing.{key}", ([], None))
    if not missing:
        return
    if instead != value:
        del st.session_state[f"missing.{key}"]
        return
    _ = translator(language())
    names = ", ".join(f"“{plain(v)}”" for v in missing)
    if key in ("run", "runs", "chosen", "from"):
        text = _("There is no run {names} in this workspace.").format(names=names)
    elif key == "task":
        text = _("This run has no task {names}.").format(names=names)
    else:
        text = _("The link asks for {key} = {names}, which is not there.").format(key=plain(key), names=names)
    if shown := ", ".join(f"“{plain(v)}”" for v in (value if isinstance(value, list) else [value]) if v is not None):
        text += " " + _("Shown instead: {shown}.").format(shown=shown)
    st.warning(text, icon=":material/link_off:")


def _read(text: str, default: Any) -> Any:
    """As `default` is; what cannot be read so stays as it is, and is no option."""
    if isinstance(default, bool):
        return {"0": False, "1": True}.get(text, text)
    return int(text) if isinstance(default, int) and text.isascii() and text.isdigit() else text
