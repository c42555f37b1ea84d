"""What is gone from a journal, or was altered, is noticed wherever it is; what a kill leaves is no damage."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mtl_core.tracking.journal import line_of, read
from mtl_core.tracking.series import Series
from mtl_core.training.events import Event, Missing, Paused, Resumed

EVENTS = [Paused(step) for step in range(1, 9)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(line_of(event, number, 7.0) for number, event in enumerate(EVENTS, 1)))
    return path


def found(path: Path, to: int = 0) -> list[Event]:
    return [record.event for record in read(path, to=to)]


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_a_whole_one(path: Path) -> None:
    assert found(path, to=8) == EVENTS
    assert [(record.line, record.time) for record in read(path)] == [(number, 7.0) for number in range(1, 9)]
    second = next(iter(read(path))).next_offset
    assert [record.event for record in read(path, second, 1)] == EVENTS[1:] == [record.event for record in read(path, second)]


DAMAGES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], list[Event]]] = {
    "a line is gone": (lambda old: old[:3] + old[4:], [*EVENTS[:3], Missing(3, 1), *EVENTS[4:]]),
    "three are": (lambda old: old[:3] + old[6:], [*EVENTS[:3], Missing(3, 3), *EVENTS[6:]]),
    "the first is": (lambda old: old[1:], [Missing(0, 1), *EVENTS[1:]]),
    "the last ones are": (lambda old: old[:6], [*EVENTS[:6], Missing(6, 2)]),
    "a number was altered": (
        lambda old: [line.replace(b'"step": 5', b'"step": 3') for line in old],
        [*EVENTS[:4], Missing(4, 1), *EVENTS[5:]],
    ),
    "a line is no text": (lambda old: [*old[:4], b"\xff\x00\n", *old[5:]], [*EVENTS[:4], Missing(4, 1), *EVENTS[5:]]),
    "a line was cut": (lambda old: [*old[:4], old[4][:20] + b"\n", *old[5:]], [*EVENTS[:4], Missing(4, 1), *EVENTS[5:]]),
    "two lines became one": (lambda old: [*old[:4], old[4][:-1] + old[5], *old[6:]], [*EVENTS[:4], Missing(4, 2), *EVENTS[6:]]),
    "a line is there twice": (lambda old: [*old[:4], old[3], *old[4:]], [*EVENTS[:4], *EVENTS[4:]]),
    "two are exchanged": (lambda old: [*old[:3], old[4], old[3], *old[5:]], [*EVENTS[:3], Missing(3, 1), *EVENTS[4:]]),
    "the checksum is gone": (
        lambda old: [*old[:4], old[4][: old[4].index(b',"crc"')] + b"}\n", *old[5:]],
        [*EVENTS[:4], Missing(4, 1), *EVENTS[5:]],
    ),
    "the last line was altered": (lambda old: [*old[:7], old[7].replace(b"8", b"6", 1)], [*EVENTS[:7], Missing(7, 1)]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_noticed_where_it_is(path: Path, damage: str) -> None:
    change, wanted = DAMAGES[damage]
    path.write_bytes(b"".join(change(lines(path))))
    assert found(path, to=8) == wanted


def test_what_a_kill_leaves_of_a_line_is_no_damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])
    assert found(path) == EVENTS[:7]


def test_who_reads_on_behind_a_damaged_end_counts_it_once(path: Path) -> None:
    path.write_bytes(b"".join(lines(path)[:7]) + b"nonsense\n")
    last = list(read(path))[-1]
    assert (last.event, last.line) == (Missing(7, 1), 8)
    with path.open("ab") as file:
        file.write(line_of(Paused(9), last.line + 1, 7.0))
    assert [record.event for record in read(path, last.next_offset, last.line)] == [Paused(9)]
    assert found(path) == [*EVENTS[:7], Missing(7, 1), Paused(9)]


def test_the_end_that_a_checkpoint_knew_of_was_gone_when_the_run_went_on(path: Path) -> None:
    path.write_bytes(b"".join(lines(path)[:5]) + line_of(Resumed(8, True, {}, journal=8), 6, 7.0) + line_of(Paused(9), 7, 7.0))
    assert found(path) == [*EVENTS[:5], Missing(5, 3), Resumed(8, True, {}, journal=8), Paused(9)]
    series = Series()
    for event in found(path):
        series.extend(event)
    assert list(series.missing) == [Missing(5, 3)], "it is before where the run went on"
    series.extend(Resumed(4, True))
    assert not series.missing, "what was gone is no part of the run any more"


def test_lines_of_older_and_newer_programs(path: Path) -> None:
    path.write_bytes(b'{"event": "Paused", "step": 1, "time": 3.0}\n{"event": "Teleported", "step": 2}\n' + path.read_bytes())
    assert found(path) == [Paused(1), *EVENTS]
    path.write_bytes(b'{"event": "Paused", "step": 1}\nnonsense\n{"event": "Paused", "step": 3}\n')
    assert found(path) == [Paused(1), Missing(1, 1), Paused(3)]


def test_a_journal_that_was_removed_is_missing_as_far_as_it_was_known(path: Path) -> None:
    assert [record.event for record in read(path.with_name("gone"), to=5)] == [Missing(0, 5)]
    assert list(read(path.with_name("gone"))) == []
    path.write_bytes(line_of(Paused(7), 6, 1.0))  # what the run that went on wrote
    assert [record.event for record in read(path)] == [Missing(0, 5), Paused(7)]
