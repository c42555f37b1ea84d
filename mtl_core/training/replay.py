"""How a steered run is trained again from its events, to the same numbers."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mtl_core.base.messages import Message
from mtl_core.training.control import Commands, Control
from mtl_core.training.events import Evaluated, Event, Failed, Finished, Resumed, Steered, StepDone


@dataclass
class Script:
    """What a person did to a run, by the number of steps done. What was forgotten by going back is not in it.

    last: the step after which the run was asked to stop, or got no further; None: it ended by itself.
    """

    changes: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    evaluations: set[int] = field(default_factory=set)
    last: int | None = None


def history(events: Iterable[Event]) -> list[Event]:
    """The events that led to where the run is: without what an attempt did that was cut short, or that a person went back on."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event, Resumed) and event.from_checkpoint:
            kept = [e for e in kept if e.step <= event.step and not isinstance(e, Finished | Failed)]
        kept.append(event)
    return kept


def script_of(events: Iterable[Event]) -> Script:
    script = Script()
    kept = history(events)
    for event in kept:
        if isinstance(event, Steered) and not event.refused:
            script.changes.setdefault(event.step - 1, []).append(event.new)
        elif isinstance(event, Evaluated) and event.split == "validation":
            script.evaluations.add(event.step)
    ended = next((e for e in reversed(kept) if isinstance(e, Finished)), None)
    if ended is None or ended.why == "asked":
        script.last = max((e.step for e in kept if isinstance(e, StepDone)), default=0)
    return script


class Replay(Control):
    """Steers as a script says; a person may pause or stop."""

    def __init__(self, script: Script, person: Control | None = None):
        super().__init__()
        self._script, self._person = script, person or Control()
        self.synced = lambda: self._person.synced()

    @property
    def paused(self) -> bool:
        return self._person.paused

    @property
    def stopping(self) -> bool:
        return self._person.stopping

    def tell(self, what: Message, done: float) -> None:
        self._person.tell(what, done)

    def wait_while_paused(self) -> None:
        self._person.wait_while_paused()

    def take(self, step: int) -> Commands:
        script, asked = self._script, self._person.take(step)
        stop = asked.stop or (script.last is not None and step >= script.last)
        return Commands(script.changes.get(step, []), stop, step + 1 in script.evaluations)


@dataclass(frozen=True)
class ReplayComparison:
    """steps, evaluations: compared; difference: the first number that is not the same in both, with its step; None: all are."""

    steps: int
    evaluations: int
    difference: str | None = None


def compare_replay(original: Iterable[Event], replay: Iterable[Event]) -> ReplayComparison:
    """Compares every number of training and of validation bit for bit."""
    one, other = _numbers(original), _numbers(replay)
    count = {kind: sum(key[1] == kind for key in one) for kind in ("step", "validation")}
    difference = None
    for key in sorted(one.keys() | other.keys()):
        first, second = one.get(key, {}), other.get(key, {})
        if wrong := [name for name in first | second if first.get(name) != second.get(name)]:
            difference = f"step {key[0]}: {wrong[0]} {first.get(wrong[0])} / {second.get(wrong[0])}"
            break
    return ReplayComparison(count["step"], count["validation"], difference)


def _numbers(events: Iterable[Event]) -> dict[tuple[int, str], dict[str, Any]]:
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for event in history(events):
        record = json.loads(json.dumps(event.to_json()))  # as a journal has it
        if isinstance(event, StepDone):
            names = ("losses", "total_loss", "learning_rate", "gradient_norm", "rows", "tokens", "effective", "left_out", "fell_back")
            found[event.step, "step"] = {name: record[name] for name in names}
        elif isinstance(event, Evaluated) and event.split == "validation":
            found[event.step, event.split] = {name: record[name] for name in ("losses", "metrics")}
    return found
