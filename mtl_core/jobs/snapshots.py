"""A run as a page draws it, whoever trains it."""

import threading
from dataclasses import dataclass

from mtl_core.base.messages import Message
from mtl_core.data.problems import Problem
from mtl_core.tracking.runs import Run, RunState, Series
from mtl_core.training.events import Event, Failed


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment, for drawing. Nothing in it changes.

    progress: in [0, 1]; seconds_left, memory_bytes, device: None while unknown. position: 1 is next, None when not waiting.
    steerable: whether `jobs().control(run_id)` is there: it is at work, in this process. preparing: at work, before the first step.
    making_ready: what, and how much of it all is done, in [0, 1]; None while unknown.
    problems: of the data, as of the run. refused: it could not go on. error: translate `message` and `advice` as they stand.
    """

    run_id: str
    name: str
    state: RunState
    series: Series
    progress: float | None = None
    seconds_left: float | None = None
    events: tuple[Event, ...] = ()
    device: str | None = None
    memory_bytes: int | None = None
    error: Failed | None = None
    refused: bool = False
    problems: tuple[Problem, ...] = ()
    position: int | None = None
    steerable: bool = False
    pausing: bool = False
    stopping: bool = False
    preparing: bool = False
    making_ready: tuple[Message, float] | None = None


class Follower:
    """Another process's run (or a past one), read from its journal as it grows."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.series = Series()
        self.offset = self.line = 0

    def read(self, run: Run) -> Series:
        with self.lock:
            for record in run.records(self.offset, self.line):
                self.series.extend(record.event)
                self.offset, self.line = record.next_offset, record.line
            return self.series.copy()


def snapshot_of(found: Run, state: RunState, series: Series) -> Snapshot:
    return Snapshot(
        run_id=found.id,
        name=found.name,
        state=state,
        series=series,
        progress=series.progress,
        seconds_left=series.seconds_left if state.live else None,
        events=tuple(series.recent),
        device=series.started.device if series.started else None,
        memory_bytes=int(series.memory_bytes.last[1]) if series.memory_bytes.last else None,
        error=found.error,
        refused=found.refused,
        problems=tuple(found.problems),
        preparing=state is RunState.RUNNING and series.started is None,
    )
