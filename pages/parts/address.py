"""The URL of a page: written at once at the end of a run of its script, and read again when the browser goes back.

Each write is a step of the browser's history. One by one, a change of run, task and split would take three presses of Back.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

import streamlit as st


def begin() -> None:
    """What is written from now on waits for `send`. A fragment that is drawn by itself has no end of that sort, and writes at once."""
    st.session_state.address = {}


def write(key: str, texts: Sequence[str]) -> None:
    """texts: of the key from now on; none: it stands in no URL."""
    if "address" in st.session_state:
        st.session_state.address[key] = list(texts)
    else:
        _send({key: list(texts)})


def send() -> None:
    """At the end of a page. A run that was cut short by another does not come here: the other writes for itself."""
    _send(st.session_state.pop("address", {}))


def stop() -> NoReturn:
    """`st.stop`, after which nothing can be written any more."""
    send()
    st.stop()


def _send(changed: dict[str, list[str]]) -> None:
    stands = {key: st.query_params.get_all(key) for key in st.query_params}
    wanted = {key: texts for key, texts in (stands | changed).items() if texts}
    if wanted != stands:
        st.query_params.from_dict(wanted)
    st.session_state.setdefault("written", {}).update(changed)


def went_back() -> bool:
    """Whether the browser's Back or Forward led here: the URL is not what this page last wrote, and nobody touched a widget since."""
    written: dict[str, list[str]] = st.session_state.get("written", {})
    if all(st.query_params.get_all(key) == texts for key, texts in written.items()):
        return False
    return all(texts_of(st.session_state[key]) == texts for key, texts in written.items() if key in st.session_state)


def texts_of(value: Any) -> list[str]:
    """As a widget's value stands in the URL."""
    values = value if isinstance(value, list) else [value]
    return [str(int(one)) if isinstance(one, bool) else str(one) for one in values if one not in (None, "")]
