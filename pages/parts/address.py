"""The URL of a page: written at once at the end of a run of its script, and read again when the browser goes back.

Each write is a step of the browser's history. One by one, a change of run, task and split would take three presses of Back.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.parts import clicks

_WAITING: ContextVar[dict[str, list[str]] | None] = ContextVar("waiting", default=None)
"""What was written while the page was drawn; None: a fragment is drawn by itself. It ends with the run, however that ends."""


@contextmanager
def at_the_end() -> Iterator[None]:
    """What the page within writes is sent when it is drawn. One that another run cuts short sends nothing: the other writes for itself. A
    fragment that is drawn by itself has no end of that sort, and writes at once."""
    token = _WAITING.set({})
    try:
        yield
        _end()
    finally:
        _WAITING.reset(token)


def write(key: str, texts: Sequence[str]) -> None:
    """texts: of the key from now on; none: it stands in no URL."""
    waiting = _WAITING.get()
    if waiting is None:
        _send({key: list(texts)})
    else:
        waiting[key] = list(texts)


def leave() -> None:
    """To the run that follows: the page does not show yet what it will, and the URL stays as it is until it does."""
    if waiting := _WAITING.get():
        waiting.clear()


def stop() -> NoReturn:
    """`st.stop`, after which nothing can be written any more."""
    _end()
    st.stop()


def _end() -> None:
    clicks.forget()
    _send(_WAITING.get() or {})


def _send(changed: dict[str, list[str]]) -> None:
    stands = {key: st.query_params.get_all(key) for key in st.query_params}
    wanted = {key: texts for key, texts in (stands | changed).items() if texts}
    if wanted != stands:
        st.query_params.from_dict(wanted)


def went_back() -> bool:
    """Whether the browser's Back or Forward led here. The URL does not say so: with a click it comes as the browser had it then, and what
    the run before wrote may still have been on its way."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def texts_of(value: Any) -> list[str]:
    """As a widget's value stands in the URL."""
    values = value if isinstance(value, list) else [value]
    return [str(int(one)) if isinstance(one, bool) else str(one) for one in values if one not in (None, "")]
