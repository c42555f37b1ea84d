"""What any thread asks for, the loop finds between two steps."""

import threading

import pytest

from mtl_core.training.control import Control


def test_take_clears_what_it_gives() -> None:
    control = Control()
    control.set_weights({"a": 1.0, "b": 2.0})
    control.set_weights({"b": 0.0})
    control.evaluate()
    first, second = control.take(0), control.take(0)
    assert first.changes == [{"tasks.a.weight": 1.0, "tasks.b.weight": 2.0}, {"tasks.b.weight": 0.0}] and first.evaluate
    assert second.changes == [] and not second.evaluate and not second.stop
    control.stop()
    assert control.take(0).stop and control.take(0).stop, "a stop stays"


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_that_mean_nothing_are_refused(weight: float) -> None:
    control = Control()
    with pytest.raises(ValueError, match="'a' should be finite and at least 0"):
        control.set_weights({"b": 1.0, "a": weight})
    assert control.take(0).changes == []


@pytest.mark.parametrize("end", ["resume", "stop"])
def test_a_pause_lasts_until_it_is_ended(end: str) -> None:
    control, waiting = Control(), threading.Event()
    control.pause()

    def loop() -> None:
        waiting.set()
        control.wait_while_paused()

    thread = threading.Thread(target=loop)
    thread.start()
    assert waiting.wait(5) and control.paused
    getattr(control, end)()
    thread.join(5)
    assert not thread.is_alive() and not control.paused
