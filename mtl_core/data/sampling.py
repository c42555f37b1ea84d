"""Which rows of each table a step draws. A small table is cycled with its own permutations; nothing ever ends early."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from mtl_core.data.shares import Sampling


class Sampler:
    """Draws `batch_size` rows a step from several tables.

    Each table is walked through in a fresh permutation every epoch, made from (seed, table, epoch) alone; of a table with groups whole
    groups change places, and the rows of one stay together (the end of a step may part them). The shares of a step are
    whole numbers whose running sum never strays from the exact one by a row (credits are carried over). `state` is all that the next
    draw depends on.
    """

    def __init__(
        self,
        rows: Mapping[str, np.ndarray],
        batch_size: int,
        sampling: type[Sampling],
        options: Any,
        seed: int,
        groups: Mapping[str, np.ndarray] = MappingProxyType({}),
    ):
        """rows: table → its training rows (int32); groups: table → the group of each of them (int64), where those are drawn together.

        Raises ValueError: a table without training rows, or as `sampling` does.
        """
        for table, numbers in rows.items():
            if not len(numbers):
                raise ValueError(f"The table {table!r} has no training rows.")
        self._rows, self._groups = dict(rows), {table: np.unique(found, return_inverse=True)[1] for table, found in groups.items()}
        self._batch_size = batch_size
        self._seed = seed
        self.change(sampling, options)
        self._step = 0
        self._credits = np.zeros(len(self._rows))
        self._position = dict.fromkeys(self._rows, 0)  # rows drawn since the start, where they were always the same
        self._permutations: dict[str, tuple[int, np.ndarray]] = {}

    @property
    def rows(self) -> dict[str, np.ndarray]:
        """Table → the rows that are drawn of it."""
        return dict(self._rows)

    def change(self, sampling: type[Sampling], options: Any) -> None:
        """Another way of sampling from the next step on; every table goes on where it is. Raises ValueError: as `sampling` does."""
        self.sampling = sampling(list(self._rows), np.array([len(r) for r in self._rows.values()]), options)

    def replace(self, table: str, rows: np.ndarray, groups: np.ndarray | None = None) -> None:
        """Other rows of a table from the next step on, which begins a new epoch with them; nothing changes where they are the same."""
        if np.array_equal(rows, self._rows[table]):
            return
        epochs = -(-self._position[table] // len(self._rows[table]))
        self._rows[table], self._position[table] = rows, epochs * len(rows)
        if groups is not None:
            self._groups[table] = np.unique(groups, return_inverse=True)[1]
        self._permutations.pop(table, None)
        self.sampling.sizes[list(self._rows).index(table)] = len(rows)

    def draw(self, progress: float = 0.0, resting: Collection[str] = ()) -> dict[str, np.ndarray]:
        """table → row numbers for the next step; a table whose turn it is not has none.

        progress: of the training, in [0, 1]; resting: tables that get none, whose share goes to the others in proportion.
        """
        awake = np.array([table not in resting for table in self._rows])
        shares = self.sampling.shares(self._step, progress)
        if not awake.all():
            shares = shares * awake if (shares * awake).any() else awake.astype(np.float64)
            shares = shares / shares.sum()
        self._credits += shares * self._batch_size
        self._step += 1
        counts = np.maximum(np.floor(self._credits + 1e-9), 0).astype(int) * awake
        while missing := self._batch_size - int(counts.sum()):  # largest remainders first; taken back where a debt was left out
            counts[np.argmax(np.where(awake, (self._credits - counts) * np.sign(missing), -np.inf))] += np.sign(missing)
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
            if (group := self._groups.get(table)) is not None:
                order = order[np.argsort(rng.permutation(group.max() + 1)[group[order]], kind="stable")]
            self._permutations[table] = epoch, order
        return self._permutations[table][1]

    @property
    def state(self) -> dict[str, Any]:
        own = {"step": self._step, "position": dict(self._position), "credits": self._credits.tolist()}
        return own | {"sampling": self.sampling.state()}

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        self._step, self._position, self._credits = state["step"], dict(state["position"]), np.array(state["credits"])
        self.sampling.load(state["sampling"])
