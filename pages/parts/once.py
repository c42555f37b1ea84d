"""One click, one run. Streamlit answers the second click of a double click in another thread, while the first one's callback is still
at work, and ends the first at its next look at the session's state: what it started would not be known to the second."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Made with each drawing of a button and given to its callback: the work is done by whichever call comes first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: list[T] = []

    def __call__(self, work: Callable[[], T]) -> T:
        with self._lock:
            if not self._found:
                self._found.append(work())
            return self._found[0]
