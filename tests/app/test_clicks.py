"""The second click of a double click comes in another thread, while the first one's work is under way."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from pages.parts.clicks import Once


def test_two_threads_do_the_work_once() -> None:
    once: Once[str] = Once()
    both, done = Barrier(2, timeout=10), []

    def work() -> str:
        done.append("run")
        Event().wait(0.05)  # the other one has come meanwhile
        return f"run {len(done)}"

    def click() -> str:
        both.wait()
        return once(work)

    with ThreadPoolExecutor(2) as threads:
        clicks = [threads.submit(click) for _ in range(2)]
    assert [click.result() for click in clicks] == ["run 1", "run 1"]
    assert done == ["run"]


def test_work_that_fails_may_be_tried_again() -> None:
    once: Once[int] = Once()
    with pytest.raises(ZeroDivisionError):
        once(lambda: 1 // 0)
    assert once(lambda: 5) == 5
