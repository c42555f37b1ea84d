"""Work of a page that takes longer than a person waits for a click: done once, in a thread, shown by the first rerun that finds it."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")
PATIENCE = 1.0
"""Seconds that a rerun waits for what it shows; then it shows what is there, and that the rest is on its way."""
_KEPT = 200


class Desk:
    """Every piece of work by a key that says all that it depends on; the last ones are kept."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, "mtl-data")
        self._works: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._latest: dict[Hashable, Hashable] = {}
        self._lock = Lock()

    def ask(self, key: Hashable, work: Callable[[], T], instead_of: Hashable = None) -> "Future[T]":
        """The work of `key`, begun now unless it was before. instead_of: whose earlier work is given up, if it has not begun."""
        with self._lock:
            if instead_of is not None:
                earlier, self._latest[instead_of] = self._latest.get(instead_of), key
                if earlier != key and earlier in self._works and self._works[earlier].cancel():
                    del self._works[earlier]
            found = self._works.get(key)
            if found is None or found.cancelled() or (found.done() and found.exception()):
                found = self._works[key] = self._threads.submit(work)
            self._works.move_to_end(key)
            while len(self._works) > _KEPT:
                gone, _work = self._works.popitem(last=False)
                self._latest = {who: of for who, of in self._latest.items() if of != gone}
            return found


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """One for all sessions: they look at the same tables."""
    return Desk()


def settle(works: Iterable["Future[Any]"]) -> list["Future[Any]"]:
    """Waits a moment for them. Returns those that are still to come."""
    return list(wait(list(works), PATIENCE).not_done)


def ready(work: "Future[T]") -> T | None:
    """None: not yet."""
    return work.result() if work.done() and not work.cancelled() else None


def follow(pending: list["Future[Any]"], sentence: str) -> None:
    """Says that something is on its way, and draws the page again when it is there. sentence: with a place for {seconds}."""
    began = time.monotonic()

    @st.fragment(run_every=0.5)
    def waiting() -> None:
        if any(work.done() for work in pending):
            st.rerun()
        st.caption(":material/hourglass_top: " + sentence.format(seconds=round(time.monotonic() - began + PATIENCE)))

    if pending:
        waiting()
