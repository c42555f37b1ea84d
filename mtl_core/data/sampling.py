"""How many rows of each table a step draws, and which. A small table is cycled with its own permutations; nothing ever ends early."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Shares = Callable[[np.ndarray, float], np.ndarray]
"""(sizes (S,), temperature) → shares (S,) that sum to 1."""


def _normalised(x: np.ndarray) -> np.ndarray:
    return x / x.sum()


SAMPLING: dict[str, Shares] = {
    "proportional": lambda sizes, temperature: _normalised(sizes.astype(float)),
    "uniform": lambda sizes, temperature: _normalised(np.ones(len(sizes))),
    # size^(1/T): Arivazhagan et al. 2019, Massively Multilingual Neural Machine Translation in the Wild, https://arxiv.org/abs/1907.05019
    "temperature": lambda sizes, temperature: _normalised(sizes.astype(float) ** (1 / temperature)),
}


class Sampler:
    """Draws `batch_size` rows a step from several tables.

    Each table is walked through in a fresh permutation every epoch, made from (seed, table, epoch) alone. The shares of a step are
    whole numbers whose running sum never strays from the exact one by a row (credits are carried over). `state` is all that the next
    draw depends on.
    """

    def __init__(self, rows: Mapping[str, np.ndarray], batch_size: int, name: str, temperature: float, seed: int):
        """rows: table → its training rows (int32). Raises ValueError: a table without training rows."""
        for table, numbers in rows.items():
            if not len(numbers):
                raise ValueError(f"The table {table!r} has no training rows.")
        self._rows = dict(rows)
        self._batch_size = batch_size
        self._seed = seed
        self.shares = SAMPLING[name](np.array([len(r) for r in self._rows.values()]), temperature)
        self._credits = np.zeros(len(self._rows))
        self._position = dict.fromkeys(self._rows, 0)  # rows drawn since the start
        self._permutations: dict[str, tuple[int, np.ndarray]] = {}

    def draw(self) -> dict[str, np.ndarray]:
        """table → row numbers for the next step; a table whose turn it is not has none."""
        self._credits += self.shares * self._batch_size
        counts = np.maximum(np.floor(self._credits + 1e-9), 0).astype(int)
        while missing := self._batch_size - int(counts.sum()):  # largest remainders first; taken back where a debt was left out
            counts[np.argmax((self._credits - counts) * np.sign(missing))] += np.sign(missing)
        self._credits -= counts
        return {table: self._next(table, n) for table, n in zip(self._rows, counts, strict=True)}

    def _next(self, table: str, count: int) -> np.ndarray:
        numbers, parts = self._rows[table], []
        while count > 0:
            epoch, at = divmod(self._position[table], len(numbers))
            part = self._permutation(table, epoch)[at : at + count]
            parts.append(numbers[part])
            self._position[table] += len(part)
            count -= len(part)
        return np.concatenate(parts) if parts else numbers[:0]

    def _permutation(self, table: str, epoch: int) -> np.ndarray:
        if self._permutations.get(table, (-1,))[0] != epoch:
            rng = np.random.default_rng([self._seed, list(self._rows).index(table), epoch])
            order = np.arange(len(self._rows[table]), dtype=np.int32)
            rng.shuffle(order)
            self._permutations[table] = epoch, order
        return self._permutations[table][1]

    @property
    def state(self) -> dict[str, Any]:
        return {"position": dict(self._position), "credits": self._credits.tolist()}

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        self._position = dict(state["position"])
        self._credits = np.array(state["credits"])
