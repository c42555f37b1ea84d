"""What everybody who looks at a running training is shown: made once for all of them, and asked for less often the more they are."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from streamlit.runtime.scriptrunner import get_script_run_ctx

T = TypeVar("T")
_KEPT = 512  # drawings
_LOOKS = 100.0  # seconds after which somebody looks no more


@dataclass
class _Made:
    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float = 0.0
    value: Any = None


class Shared:
    """Values that many sessions ask for. Every method may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, _Made] = OrderedDict()
        self._seen: dict[tuple[str, str], float] = {}  # (run, session) → when

    def once(self, key: Hashable, seconds: float | None, make: Callable[[], T]) -> T:
        """What `make` gave for this key at most so many seconds ago (None: at any time), else what it gives now. Nobody may change it."""
        with self._lock:
            made = self._made.setdefault(key, _Made())
            self._made.move_to_end(key)
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        with made.lock:
            now = time.monotonic()
            if not made.at or (seconds is not None and now - made.at > seconds):
                made.value, made.at = make(), now
            return cast(T, made.value)

    def viewers(self, run_id: str) -> int:
        """How many sessions have looked at a run lately, this one included."""
        context = get_script_run_ctx()
        now = time.monotonic()
        with self._lock:
            self._seen[run_id, context.session_id if context else ""] = now
            self._seen = {key: at for key, at in self._seen.items() if now - at < _LOOKS}
            return sum(run == run_id for run, _ in self._seen)


SHARED = Shared()
