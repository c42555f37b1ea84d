"""What many people look at is made once."""

import threading
import time

from pages.parts.live import SLOWER
from pages.parts.shared import Shared


def test_it_is_made_once_for_all_who_ask_at_the_same_time() -> None:
    shared, made, gate = Shared(), [], threading.Event()

    def make() -> int:
        gate.wait(30)
        made.append(1)
        return 7

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(shared.once("curve", 60, make))) for _ in range(15)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert found == [7] * 15 and made == [1]


def test_another_key_and_what_is_too_old_are_made_anew() -> None:
    shared = Shared()
    numbers = iter(range(10))
    assert [shared.once("a", 60, lambda: next(numbers)), shared.once("b", 60, lambda: next(numbers))] == [0, 1]
    assert shared.once("a", None, lambda: next(numbers)) == 0
    before = time.monotonic()
    while time.monotonic() == before:
        pass
    assert shared.once("a", 0, lambda: next(numbers)) == 2


def test_what_failed_is_tried_again() -> None:
    shared = Shared()
    try:
        shared.once("a", 60, lambda: 1 // 0)
    except ZeroDivisionError:
        assert shared.once("a", 60, lambda: 5) == 5


def test_the_more_look_the_less_often_each_does() -> None:
    def slower(viewers: int) -> int:
        return next(times for most, times in SLOWER.items() if viewers <= most)

    assert [slower(n) for n in (1, 3, 4, 8, 9, 100)] == [1, 1, 2, 2, 4, 4]
