"""Work in a process of its own: what comes back of it, what ends it, and what it leaves."""

import json
import os
import signal
import threading
from pathlib import Path

import psutil
import pytest

from mtl_core.base import apart as running
from mtl_core.base.apart import Apart, ApartError, tell


@pytest.fixture(scope="module")
def apart():
    apart = Apart(memory=400 << 20)
    yield apart
    apart.close()


def double(number: int) -> tuple[int, int]:
    return os.getpid(), 2 * number


def refuse(number: int) -> None:
    raise ValueError(number)


def fill(megabytes: int) -> int:
    return len(bytearray(b"a" * (megabytes << 20)))


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class OddError(Exception):
    """Which cannot be made again from what it holds."""

    def __init__(self, one: int, other: int):
        super().__init__(one + other)


def refuse_oddly() -> None:
    raise OddError(1, 2)


def answer_wrongly() -> None:
    """As what has taken the process over might."""
    value = {"record": "subprocess:Popen", "of": {"args": "true"}}
    head = json.dumps({"kind": "done", "value": value, "behind": []}).encode()
    running._channel.write(len(head).to_bytes(8, "big") + head)
    running._channel.flush()


def turn(ready: Path) -> None:
    ready.touch()
    while True:
        tell(0.25)


def priority() -> int:
    return int(psutil.Process().nice())


def test_what_it_returns_and_raises_comes_back(apart: Apart) -> None:
    first, second = (apart.submit(double, n).result() for n in (2, 3))
    assert first == (second[0], 4) and second[1] == 6 and first[0] != os.getpid()
    with pytest.raises(ValueError, match="7"):
        apart.submit(refuse, 7).result()
    assert apart.submit(double, 1).result() == (first[0], 2)
    assert apart.submit(priority).result() > psutil.Process().nice()


def test_more_memory_than_the_limit_ends_it_with_the_figures(apart: Apart) -> None:
    call = apart.submit(fill, 1_500)
    with pytest.raises(ApartError, match=r"took 0\.[4-9] GB of memory, more than 0\.4 GB") as caught:
        call.result()
    assert caught.value.code == "too_much_memory" and 400 << 20 < call.peak < 800 << 20
    assert apart.submit(fill, 1).result() == 1 << 20
    assert apart.submit(fill, 1_500, otherwise=lambda error: error.code).result() == "too_much_memory"


def test_a_process_that_ends_by_itself_is_said_and_replaced(apart: Apart) -> None:
    with pytest.raises(ApartError, match="-9") as caught:
        apart.submit(end).result()
    assert caught.value.code == "process_ended" and apart.submit(double, 4).result()[1] == 8


def test_an_error_of_another_program_is_told_by_its_name(apart: Apart) -> None:
    with pytest.raises(RuntimeError, match="OddError: 3"):
        apart.submit(refuse_oddly).result()
    assert apart.submit(double, 5).result()[1] == 10


def test_what_is_no_answer_ends_the_process(apart: Apart) -> None:
    with pytest.raises(ApartError) as caught:
        apart.submit(answer_wrongly).result()
    assert caught.value.code == "process_ended" and apart.submit(double, 6).result()[1] == 12


def test_stopped_at_a_word_and_told_how_far_it_is(apart: Apart, tmp_path: Path) -> None:
    call = apart.submit(turn, tmp_path / "ready")
    while call.share != 0.25:
        assert not call.done()
        threading.Event().wait(0.01)
    call.stop()
    with pytest.raises(ApartError) as caught:
        call.result()
    assert caught.value.code == "cancelled"
    late = apart.submit(turn, tmp_path / "ready")
    late.stop()
    assert isinstance(late.exception(), ApartError)


def test_the_time_is_that_of_the_processor(apart: Apart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtl_core.base.apart.SECONDS", 0.2)
    with pytest.raises(ApartError, match="seconds of the processor"):
        apart.submit(turn, tmp_path / "ready").result()


def test_none_is_left_when_it_is_closed() -> None:
    apart = Apart()
    process = psutil.Process(apart.submit(double, 1).result()[0])
    apart.close()
    assert not process.is_running()
