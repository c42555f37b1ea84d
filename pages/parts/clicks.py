"""Buttons that start something of what stands in the widgets of a page, and start it once.

A callback is called before the page is drawn, with what was known at the drawing before: what a person types into a field and leaves by
clicking the button would be missing from it. And Streamlit answers the second click of a double click in another thread, while the first
one's work goes on, and ends the first at its next look at the session's state: what it started would not be known to the second.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, NoReturn, TypeVar

import streamlit as st

T = TypeVar("T")


class Once(Generic[T]):
    """Made with each drawing of a button: the work is done by whichever call comes first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: list[T] = []

    def __call__(self, work: Callable[[], T]) -> T:
        with self._lock:
            if not self._found:
                self._found.append(work())
            return self._found[0]


def clicked(label: str, key: str, **options: Any) -> Once[Any] | None:
    """A button. What it returns when it was clicked comes once, where the page is drawn with all that its widgets hold by then. A run of
    the page that is cut short before leaves it to the next; one that ends without the button has no use for it."""
    button(label, key, **options)
    once = taken(key)
    return None if options.get("disabled") else once


def button(label: str, key: str, **options: Any) -> None:
    """The button alone, where what it does changes how it is drawn: `taken` is asked before."""
    st.button(label, key=key, on_click=_note, args=(key,), **options)


def taken(key: str) -> Once[Any] | None:
    """Whether the button of that key was clicked."""
    once: Once[Any] = st.session_state.setdefault(f"once.{key}", Once())
    if st.session_state.get("clicked") == key and st.session_state.pop("clicked"):
        return once
    st.session_state[f"once.{key}"] = Once()
    return None


def _note(key: str) -> None:
    st.session_state.clicked = key


def forget() -> None:
    """At the end of a page."""
    st.session_state.pop("clicked", None)


def then(work: Callable[[], object]) -> NoReturn:
    """Draws the page again, and does this before: it may set widgets, as a callback may."""
    st.session_state.then = work
    st.rerun()


def due() -> None:
    """What `then` left to be done."""
    if work := st.session_state.pop("then", None):
        work()
