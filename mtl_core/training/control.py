"""The way into a running training. Any thread asks; the loop reads between two steps."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Commands:
    """What was asked since the last look."""

    weights: dict[str, float] = field(default_factory=dict)
    stop: bool = False
    evaluate: bool = False


class Control:
    """Thread-safe. `take` and `wait_while_paused` are for the loop, the rest is for whoever steers."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._weights: dict[str, float] = {}
        self._stop = self._evaluate = self._pause = False

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """New loss weights (≥ 0, finite) from the next step on; tasks not named keep theirs, and those the run does not have are
        passed over. Where all become 0 nothing is learned until one is raised again.

        Raises ValueError: a weight that is negative or not finite.
        """
        for task, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"The weight of {task!r} should be finite and at least 0. Found {weight}.")
        with self._condition:
            self._weights.update(weights)

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

    def evaluate(self) -> None:
        with self._condition:
            self._evaluate = True

    @property
    def paused(self) -> bool:
        return self._pause

    @property
    def stopping(self) -> bool:
        return self._stop

    def take(self) -> Commands:
        """What was asked since the last call; weights and evaluate are cleared, stop stays."""
        with self._condition:
            commands = Commands(dict(self._weights), self._stop, self._evaluate)
            self._weights.clear()
            self._evaluate = False
            return commands

    def wait_while_paused(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: not self._pause)
