"""The way into a running training. Any thread asks; the loop reads between two steps."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mtl_core.base.messages import Message


@dataclass(frozen=True)
class Commands:
    """What was asked since the last look. changes: one mapping a request, in their order, path in the experiment → value.

    back: the step of the checkpoint to go back to, None: on.
    """

    changes: list[dict[str, Any]] = field(default_factory=list)
    stop: bool = False
    evaluate: bool = False
    back: int | None = None


class Control:
    """Thread-safe. `take` and `wait_while_paused` are for the loop, the rest is for whoever steers.

    on_stop: is called after `stop`, by the thread that asks; for whoever keeps a training waiting.
    synced: brings the events that were yielded so far to the disk, if somebody keeps them; → the number of the last one.
    preparing: before the first step, what is being made ready, and how much of it is done, in [0, 1].
    """

    def __init__(self) -> None:
        self.on_stop: Callable[[], None] = lambda: None
        self.synced: Callable[[], int] = lambda: 0
        self.preparing: tuple[Message, float] | None = None
        self._condition = threading.Condition()
        self._changes: list[dict[str, Any]] = []
        self._back: int | None = None
        self._stop = self._evaluate = self._pause = False

    def tell(self, what: Message, done: float) -> None:
        """For whoever prepares the training."""
        self.preparing = what, done

    def steer(self, changes: Mapping[str, Any]) -> None:
        """New values of settings from the next step on: path in the experiment → value, such as {"tasks.search.weight": 2.0}.

        What several people ask before the same step is done in the order of asking. The loop refuses what is no valid experiment;
        `jobs().steer` says so at once.
        """
        with self._condition:
            self._changes.append(dict(changes))

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """New loss weights (≥ 0, finite); tasks not named keep theirs.

        Raises ValueError: a weight that is negative or not finite.
        """
        for task, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"The weight of {task!r} should be finite and at least 0. Found {weight}.")
        self.steer({f"tasks.{task}.weight": weight for task, weight in weights.items()})

    def go_back(self, step: int) -> None:
        """Go on from the checkpoint that was taken at `step` before a change; what came after it is forgotten."""
        with self._condition:
            self._back = step
            self._pause = False
            self._condition.notify_all()

    def pause(self) -> None:
        with self._condition:
            self._pause = True

    def resume(self) -> None:
        with self._condition:
            self._pause = False
            self._condition.notify_all()

    def stop(self) -> None:
        """End after the current step, with the final evaluation and a checkpoint."""
        with self._condition:
            self._stop = True
            self._pause = False
            self._condition.notify_all()
        self.on_stop()

    def evaluate(self) -> None:
        with self._condition:
            self._evaluate = True

    @property
    def pending(self) -> dict[str, Any]:
        """What was asked and does not hold yet; of several values of a setting the last."""
        with self._condition:
            return {path: value for changes in self._changes for path, value in changes.items()}

    @property
    def paused(self) -> bool:
        return self._pause

    @property
    def stopping(self) -> bool:
        return self._stop

    def take(self, step: int) -> Commands:
        """What was asked since the last call, cleared; a stop stays. step: steps done."""
        with self._condition:
            commands = Commands(self._changes, self._stop, self._evaluate, self._back)
            self._changes, self._evaluate, self._back = [], False, None
            return commands

    def wait_while_paused(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: not self._pause)
