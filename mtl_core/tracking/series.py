"""The curves of a run, made from its events one by one, and small whatever the number of steps. No torch."""

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from mtl_core.training.events import (
    Compared,
    Evaluated,
    EvaluatedAfterwards,
    Event,
    Failed,
    Finished,
    Gated,
    Missing,
    Paused,
    Resumed,
    RowsMade,
    Started,
    Steered,
    StepDone,
    TaskEnded,
)

Points = tuple[list[int], list[float]]
"""Steps and the values there."""


Look = TypeVar("Look", Compared, Gated)

MOST_MEASUREMENTS = 400
MOST_CHANGES = 1000
SEEN_OFTEN = 20.0
"""Times that a row was seen, above which a table counts as much repeated."""


class Curve:
    """Values by step, small enough to be drawn: at most `limit` buckets, twice as many points. A bucket spans `width` steps and keeps its
    smallest and largest value, so that no peak is lost, and its mean, for smoothing. When the buckets are too many, neighbours are merged
    and `width` doubles.

    Points come in the order of steps; a step that is not after the last one, or a value that is not finite, is left out.
    """

    __slots__ = ("_buckets", "last", "limit", "width")

    def __init__(self, limit: int = 500):
        self.limit = limit
        self.width = 1
        self.last: tuple[int, float] | None = None
        self._buckets: list[tuple[int, float, int, float, float, int]] = []  # low at, low, high at, high, sum, count

    def add(self, step: int, value: float) -> None:
        if not math.isfinite(value) or (self.last is not None and step <= self.last[0]):
            return
        if self.last is not None and step // self.width == self.last[0] // self.width:
            self._buckets[-1] = _merge(self._buckets[-1], (step, value, step, value, value, 1))
        else:
            self._buckets.append((step, value, step, value, value, 1))
        self.last = (step, value)
        while len(self._buckets) > self.limit:
            self.width *= 2
            merged = self._buckets[:1]
            for bucket in self._buckets[1:]:
                if bucket[0] // self.width == merged[-1][0] // self.width:
                    merged[-1] = _merge(merged[-1], bucket)
                else:
                    merged.append(bucket)
            self._buckets = merged

    def cut(self, step: int) -> None:
        """Forgets what came after `step` (the run goes on from there)."""
        self._buckets = [b for b in self._buckets if max(b[0], b[2]) <= step]
        if self.last is not None and self.last[0] > step:
            points = self.points
            self.last = points[-1] if points else None

    def copy(self) -> "Curve":
        curve = Curve(self.limit)
        curve.width, curve.last, curve._buckets = self.width, self.last, self._buckets.copy()
        return curve

    @property
    def points(self) -> list[tuple[int, float]]:
        """(step, value) in order: every point while there are few, later the extremes of each bucket."""
        points: list[tuple[int, float]] = []
        for low_at, low, high_at, high, _, count in self._buckets:
            points += [(low_at, low)] if count == 1 else sorted(((low_at, low), (high_at, high)))
        return points

    @property
    def steps(self) -> list[int]:
        return [step for step, _ in self.points]

    @property
    def values(self) -> list[float]:
        return [value for _, value in self.points]

    @property
    def means(self) -> tuple[list[int], list[float]]:
        """One step and mean value a bucket: what to smooth."""
        return [max(b[0], b[2]) for b in self._buckets], [b[4] / b[5] for b in self._buckets]

    def __len__(self) -> int:
        return len(self._buckets)


def _merge(
    a: tuple[int, float, int, float, float, int], b: tuple[int, float, int, float, float, int]
) -> tuple[int, float, int, float, float, int]:
    low = a[:2] if a[1] <= b[1] else b[:2]
    high = a[2:4] if a[3] >= b[3] else b[2:4]
    return (*low, *high, a[4] + b[4], a[5] + b[5])


@dataclass(frozen=True)
class Seen:
    """How much of a task was drawn. rows: its training rows with a label; drawn: those of all steps together, a row counted each time.

    A table is gone through in a fresh permutation each time, so that each of its rows was seen `times`, rounded down or up.
    """

    rows: int
    drawn: int

    @property
    def times(self) -> float:
        return self.drawn / self.rows if self.rows else 0.0

    @property
    def often(self) -> bool:
        return self.times > SEEN_OFTEN


class Series:
    """What is drawn of a run. `extend` takes the events in order; memory is bounded.

    losses, weights:      task → Curve (training loss of a step; weight from that step on)
    effective:            task → Curve: what the strategy made of the weights in a step; empty with fixed weights
    left_out, fell_back:  steps without a task (task → count) or without an answer of the strategy
    pseudo_labels:        task → Curve: how many it learns from, from that step on; a task that never had any is left out
    validations:          task → metric → Curve; the metric `loss` is the validation loss
    total_loss, learning_rate, gradient_norm, tokens_per_second, memory_bytes, objective: Curve
    evaluations, recent:  the last 100 evaluations; the last 50 events other than steps
    conflicts:            measurements of the tasks' gradients; of very many every second one, every fourth ...
    gates:                what the tasks listen to above the encoder, thinned alike
    """

    def __init__(self) -> None:
        self.started: Started | None = None
        self.finished: Finished | None = None
        self.failed: Failed | None = None
        self.best: Evaluated | None = None
        self.before: Evaluated | None = None
        self.step = 0
        self.losses: dict[str, Curve] = {}
        self.weights: dict[str, Curve] = {}
        self.effective: dict[str, Curve] = {}
        self._left_out: dict[str, Curve] = {}  # how many steps so far
        self._fell_back = Curve()
        self.pseudo_labels: dict[str, Curve] = {}
        self._drawn: dict[str, int] = {}
        self.validations: dict[str, dict[str, Curve]] = {}
        self.total_loss = Curve()
        self.learning_rate = Curve()
        self.gradient_norm = Curve()
        self.tokens_per_second = Curve()
        self.memory_bytes = Curve()
        self.objective = Curve()
        self.evaluations: deque[Evaluated] = deque(maxlen=100)
        self.recent: deque[Event] = deque(maxlen=50)
        self.conflicts: deque[Compared] = deque()
        self.ended: dict[str, TaskEnded] = {}
        self.steered: deque[Steered] = deque(maxlen=MOST_CHANGES)
        self.gates: deque[Gated] = deque()
        self.missing: deque[Missing] = deque(maxlen=MOST_CHANGES)
        self.paused = False
        self.seconds = 0.0  # spent in steps and evaluations, pauses left out
        self.tokens = 0
        self._durations: deque[float] = deque(maxlen=50)  # of the last steps
        self._evaluation_seconds = self._last_evaluation = 0.0
        self._steps_seen = 0

    @property
    def n_steps(self) -> int | None:
        """Planned steps; None until training starts."""
        return self.started.n_steps if self.started else None

    @property
    def tasks(self) -> list[str]:
        return list(self.weights) or list(self.losses)

    def loss(self, task: str) -> Points:
        """Training loss of the steps in which the task had rows."""
        return _points(self.losses.get(task))

    def mean_loss(self, task: str) -> Points:
        """The same, one mean value a stretch of steps once there are many: what to smooth."""
        curve = self.losses.get(task)
        return curve.means if curve else ([], [])

    def weight(self, task: str) -> Points:
        """Loss weight: where it was set, and at the last step."""
        steps, values = _points(self.weights.get(task))
        return ([*steps, self.step], [*values, values[-1]]) if steps and self.step > steps[-1] else (steps, values)

    def effective_weight(self, task: str) -> Points:
        """The factor of the task's gradient in the update, of a long run the mean of each stretch of steps."""
        curve = self.effective.get(task)
        return curve.means if curve else ([], [])

    def validation(self, task: str, metric: str) -> Points:
        """A metric of the validation split, or "loss"; empty where the task does not have it."""
        return _points(self.validations.get(task, {}).get(metric))

    @property
    def seen(self) -> dict[str, Seen]:
        """Task → how often its training rows were seen; empty until training starts."""
        rows = self.started.rows if self.started else {}
        return {task: Seen(splits.get("train", 0), self._drawn.get(task, 0)) for task, splits in rows.items()}

    @property
    def so_far(self) -> dict[str, dict[str, dict[str, float]]]:
        """Task → "before" and "best" → metric → value, of a run that has no result yet."""
        tasks: dict[str, dict[str, dict[str, float]]] = {}
        for part, evaluated in (("before", self.before), ("best", self.best)):
            for task, metrics in evaluated.metrics.items() if evaluated else ():
                tasks.setdefault(task, {})[part] = dict(metrics)
        return tasks

    @property
    def left_out(self) -> dict[str, int]:
        return {task: int(curve.last[1]) for task, curve in self._left_out.items() if curve.last}

    @property
    def fell_back(self) -> int:
        return int(self._fell_back.last[1]) if self._fell_back.last else 0

    @property
    def current_weights(self) -> dict[str, float]:
        return {task: curve.last[1] for task, curve in self.weights.items() if curve.last}

    @property
    def progress(self) -> float | None:
        """In [0, 1]; None until training starts."""
        if self.finished is not None:
            return 1.0
        return min(1.0, self.step / self.n_steps) if self.n_steps else None

    @property
    def seconds_left(self) -> float | None:
        """From the last 50 steps, the share of time that evaluation takes, and the final evaluation; None before the first step."""
        if self.finished is not None or self.failed is not None:
            return 0.0
        if not self._durations or not self.n_steps:
            return None
        a_step = sum(self._durations) / len(self._durations) + self._evaluation_seconds / self._steps_seen
        return max(0, self.n_steps - self.step) * a_step + self._final_seconds

    @property
    def _final_seconds(self) -> float:
        """Validation rows are scored once more, by the best model, and then the test rows."""
        rows = self.started.rows.values() if self.started else ()
        validation, test = (sum(of_task.get(split, 0) for of_task in rows) for split in ("validation", "test"))
        return self._last_evaluation * (1 + test / validation) if validation else self._last_evaluation

    def extend(self, event: Event) -> None:
        if isinstance(event, StepDone):
            self._step_done(event)
            return
        if isinstance(event, Compared):
            self.conflicts = _with(self.conflicts, event)
            return
        if isinstance(event, Gated):
            self.gates = _with(self.gates, event)
            return
        self.recent.append(event)
        if isinstance(event, Started):
            self._cut(event.step)
            self.started, self.step = event, event.step
            if event.drawn or not event.step:
                self._drawn = dict(event.drawn)
            for task, weight in event.weights.items():
                self.weights.setdefault(task, Curve()).add(event.step, weight)
        elif isinstance(event, Evaluated):
            self._evaluated(event)
        elif isinstance(event, Steered):
            self.steered.append(event)
            for task, weight in event.weights.items():
                curve = self.weights.setdefault(task, Curve())
                curve.cut(event.step - 1)  # of several changes before one step the last one holds
                curve.add(event.step, weight)
        elif isinstance(event, RowsMade):
            self.seconds += event.seconds
            for task, n in event.rows.items() if event.how == "pseudo-labelled" else ():
                if n or task in self.pseudo_labels:
                    curve = self.pseudo_labels.setdefault(task, Curve())
                    curve.cut(event.step - 1)  # a run that goes on from this very step makes them again
                    curve.add(event.step, n)
        elif isinstance(event, TaskEnded):
            self.ended[event.task] = event
        elif isinstance(event, Resumed):
            self.paused = False
            if event.from_checkpoint:
                self._cut(event.step)
                self.step = event.step
        elif isinstance(event, Paused):
            self.paused = True
        elif isinstance(event, Missing):
            self.missing.append(replace(event, step=max(event.step, self.step)))
        elif isinstance(event, Failed):
            self.failed = event
        elif isinstance(event, Finished):
            self.finished = event
        elif isinstance(event, EvaluatedAfterwards) and self.finished is not None:
            self.finished = replace(self.finished, peaks=event.peaks)

    def copy(self) -> "Series":
        """Curves of its own; events are immutable and shared."""
        other = Series()
        other.__dict__.update({name: _copy(value) for name, value in self.__dict__.items()})
        return other

    def _step_done(self, event: StepDone) -> None:
        self.step = event.step
        for task, loss in event.losses.items():
            self.losses.setdefault(task, Curve()).add(event.step, loss)
        for task, factor in event.effective.items():
            self.effective.setdefault(task, Curve()).add(event.step, factor)
        for task in event.left_out:
            self._left_out.setdefault(task, Curve()).add(event.step, self.left_out.get(task, 0) + 1)
        if event.fell_back:
            self._fell_back.add(event.step, self.fell_back + 1)
        self.total_loss.add(event.step, event.total_loss)
        self.learning_rate.add(event.step, event.learning_rate)
        self.gradient_norm.add(event.step, event.gradient_norm)
        self.memory_bytes.add(event.step, event.memory_bytes)
        if event.seconds > 0:
            self.tokens_per_second.add(event.step, event.tokens / event.seconds)
        self.seconds += event.seconds
        self.tokens += event.tokens
        for task, n in event.rows.items():
            self._drawn[task] = self._drawn.get(task, 0) + n - event.guessed.get(task, 0)
        self._durations.append(event.seconds)
        self._steps_seen += 1

    def _evaluated(self, event: Evaluated) -> None:
        self.evaluations.append(event)
        self.seconds += event.seconds
        if event.split == "test" and self.finished is not None:  # of a run that had ended without
            self.finished = replace(self.finished, test=event.metrics)
        if event.split != "validation":
            return
        self._last_evaluation = event.seconds
        if self.before is None:
            self.before = event
        else:
            self._evaluation_seconds += event.seconds if self._steps_seen else 0.0
        if event.is_best:
            self.best = event
        self.objective.add(event.step, event.objective)
        for task, loss in event.losses.items():
            self.validations.setdefault(task, {}).setdefault("loss", Curve()).add(event.step, loss)
        for task, metrics in event.metrics.items():
            for metric, value in metrics.items():
                self.validations.setdefault(task, {}).setdefault(metric, Curve()).add(event.step, value)

    def _cut(self, step: int) -> None:
        """The run goes on from `step`: what an earlier attempt did after it is not part of its history."""
        self.finished = self.failed = None
        self.paused = False
        for curve in _curves(self.__dict__):
            curve.cut(step)
        self.conflicts = deque(look for look in self.conflicts if look.step < step)
        self.ended = {task: event for task, event in self.ended.items() if event.step <= step}
        self.steered = deque((change for change in self.steered if change.step <= step), maxlen=MOST_CHANGES)
        self.missing = deque((gap for gap in self.missing if gap.step < step), maxlen=MOST_CHANGES)
        self.gates = deque(look for look in self.gates if look.step <= step)  # taken before the checkpoint of the same step
        self.best = next((e for e in reversed(self.evaluations) if e.is_best and e.step <= step), None)


def _with(looks: deque[Look], look: Look) -> deque[Look]:
    """One more; of more than MOST_MEASUREMENTS every second one."""
    looks.append(look)
    return deque(list(looks)[::2]) if len(looks) > MOST_MEASUREMENTS else looks


def _points(curve: Curve | None) -> Points:
    points = curve.points if curve else []
    return [step for step, _ in points], [value for _, value in points]


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    return value.copy() if isinstance(value, Curve | deque) else value


def _curves(value: Any) -> list[Curve]:
    if isinstance(value, Curve):
        return [value]
    return [c for v in value.values() for c in _curves(v)] if isinstance(value, dict) else []
