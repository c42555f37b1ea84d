"""Work of a page that takes longer than a person waits for a click: done once, in a thread, shown by the first rerun that finds it."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

import streamlit as st

from mtl_core.base.apart import APART, ApartError, Call
from mtl_core.base.messages import Translate

T = TypeVar("T")
F = TypeVar("F", bound=Future[Any])
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
        return self._ask(key, lambda: self._threads.submit(work), instead_of)

    def apart(
        self,
        key: Hashable,
        function: Callable[..., Any],
        *args: Any,
        about: Path,
        otherwise: Callable[[ApartError], Any] | None = None,
        instead_of: Hashable = None,
    ) -> Call:
        """The same of work on a file, `about`, in a process of its own. otherwise: what it comes to where it was ended."""
        n_bytes = about.stat().st_size if about.is_file() else 0
        return self._ask(key, lambda: APART.submit(function, *args, about=about, n_bytes=n_bytes, otherwise=otherwise), instead_of)

    def forget(self, about: Path) -> None:
        """What was found of a file is to be found anew."""
        with self._lock:
            for key in [k for k, work in self._works.items() if isinstance(work, Call) and work.about == about and work.done()]:
                del self._works[key]

    def _ask(self, key: Hashable, begin: Callable[[], F], instead_of: Hashable) -> F:
        with self._lock:
            if instead_of is not None:
                earlier, self._latest[instead_of] = self._latest.get(instead_of), key
                if earlier != key and (given_up := self._works.get(earlier)) and not given_up.done():
                    if isinstance(given_up, Call):
                        given_up.stop()
                    if given_up.cancel() or isinstance(given_up, Call):
                        del self._works[earlier]
            found = self._works.get(key)
            if found is None or found.cancelled() or (found.done() and found.exception()):
                found = self._works[key] = begin()
            self._works.move_to_end(key)
            while len(self._works) > _KEPT:
                gone, _work = self._works.popitem(last=False)
                self._latest = {who: of for who, of in self._latest.items() if of != gone}
            return cast(F, found)


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


def _stop(calls: Iterable[Call]) -> None:
    for call in calls:
        call.stop()


def follow(pending: Sequence["Future[Any]"], sentence: str, _: Translate) -> None:
    """Says that something is on its way and how far it is, lets a person cancel it, and draws the page again when it is there. sentence:
    with a place for {seconds}."""
    began = time.monotonic()
    calls = [work for work in pending if isinstance(work, Call)]

    @st.fragment(run_every=0.5)
    def waiting() -> None:
        if any(work.done() for work in pending):
            st.rerun()
        said = ":material/hourglass_top: " + sentence.format(seconds=round(time.monotonic() - began + PATIENCE))
        share = next((call.share for call in calls if call.share == call.share), None)  # nan: not known
        with st.container(horizontal=True, vertical_alignment="center"):
            with st.container():
                st.caption(said)
                if share is not None:
                    st.progress(share)
            if calls:
                st.button(_("Cancel"), key=f"cancel_{sentence}", icon=":material/close:", on_click=_stop, args=(calls,))

    if pending:
        waiting()
