"""The rows of each step: those drawn of the tables, for every task those that it learns from, and what was made of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from mtl_core.config.experiment import Experiment
from mtl_core.data.augment import augmented
from mtl_core.data.compiled import RowBlock
from mtl_core.data.pseudo_labels import PseudoLabelsConfig
from mtl_core.data.sampling import Sampler
from mtl_core.data.shares import SAMPLING
from mtl_core.runtime.prepare import Prepared
from mtl_core.tasks.base import Mining
from mtl_core.training.mining import Made


@dataclass
class Drawn:
    """blocks: task → its rows of a step, a task without rows left out; rows: how many of them are the table's own, not mined ones;
    guessed: how many of these have a pseudo-label, where some do."""

    blocks: dict[str, RowBlock]
    rows: dict[str, int]
    guessed: dict[str, int]


def _mask(rows: np.ndarray, n_rows: int) -> np.ndarray:
    """(n_rows,) bool: True at `rows`."""
    mask = np.zeros(n_rows, bool)
    mask[rows] = True
    return mask


class Drawing:
    """A row is drawn for all tasks of its table at once, so that its texts are encoded once: a table's rows are those that any of its
    tasks learns from, because they have a label, or a pseudo-label now.

    epoch: steps that draw as many rows as the tables have for training, those included that may get a pseudo-label.
    made: task → rows made while training, see `put`.
    """

    def __init__(self, experiment: Experiment, prepared: Prepared):
        self.tasks, self.seed = prepared.tasks, experiment.seed
        self.pseudo_labels = {name: task.pseudo_labels for name, task in experiment.tasks.items() if task.pseudo_labels.threshold}
        self._augmentation = {name: task.augmentation for name, task in experiment.tasks.items()}
        self.made: dict[str, Made] = {}
        self._labelled = {name: _mask(task.rows.rows("train"), task.dataset.n_rows) for name, task in prepared.tasks.items()}
        self._learns = dict(self._labelled)
        rows = {table: np.flatnonzero(mask).astype(np.int32) for table, mask in self._tables(self._learns).items()}
        groups = {table: found for table in rows if (found := self._groups(table, rows[table])) is not None}
        sampling, batch_size = experiment.sampling, experiment.training.batch_size
        self.sampler = Sampler(rows, batch_size, SAMPLING[sampling.name], sampling.options, experiment.seed, groups)
        unlabelled = {name: _mask(self.tasks[name].rows.unlabelled("train"), len(self._labelled[name])) for name in self.pseudo_labels}
        possible = self._tables({name: mask | unlabelled[name] if name in unlabelled else mask for name, mask in self._labelled.items()})
        self.epoch = sum(int(mask.sum()) for mask in possible.values()) / batch_size

    def _tables(self, masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Task → (N,) bool to table → (N,) bool: the rows of any of its tasks."""
        tables: dict[str, np.ndarray] = {}
        for name, task in self.tasks.items():
            tables[task.data] = tables[task.data] | masks[name] if task.data in tables else masks[name]
        return tables

    def _groups(self, table: str, rows: np.ndarray) -> np.ndarray | None:
        """The groups that the rows are drawn by: of several tasks on a table those of the first that asks for it."""
        for task in self.tasks.values():
            if task.data == table and task.rows.groups is not None and task.kind.rows.draws_groups(task.options):
                return task.rows.groups[rows]
        return None

    def put(self, made: Mapping[str, Made]) -> None:
        """Rows made of tasks, from the next step on in place of those that they had; a table that now has others begins a new epoch."""
        self.made |= made
        for name, found in made.items():
            self._learns[name] = self._labelled[name] | _mask(found.rows, len(self._labelled[name]))
        for table in {self.tasks[name].data for name in made}:
            rows = np.flatnonzero(self._tables(self._learns)[table]).astype(np.int32)
            self.sampler.replace(table, rows, self._groups(table, rows))

    def due(self, step: int, n_steps: int) -> dict[str, dict[str, Mining | PseudoLabelsConfig]]:
        """How rows are made before the step after `step` → for which tasks, and what of."""
        minings = {name: task.kind.rows.mining(task.options) for name, task in self.tasks.items()}
        return {
            "mined": {name: m for name, m in minings.items() if m is not None and step and step % m.every == 0},
            "pseudo-labelled": {name: p for name, p in self.pseudo_labels.items() if step and step % self.interval(p, n_steps) == 0},
        }

    def interval(self, options: PseudoLabelsConfig, n_steps: int) -> int:
        """Steps between refreshes; in a run that is shorter than two of them, half of its steps."""
        return max(1, min(round(options.every * self.epoch), n_steps // 2))

    def draw(self, step: int, progress: float, resting: Collection[str] = ()) -> Drawn:
        """The rows of the step after `step`. progress: of the training, in [0, 1]; resting: tasks that get none, as far as possible."""
        awake = {task.data for name, task in self.tasks.items() if name not in resting}
        drawn = self.sampler.draw(progress, {task.data for task in self.tasks.values()} - awake)
        every = {name: drawn[task.data][self._learns[name][drawn[task.data]]] for name, task in self.tasks.items()}
        rows = {name: numbers for name, numbers in every.items() if len(numbers)}
        rows = {name: numbers for name, numbers in rows.items() if name not in resting} or rows  # no row without any of its tasks
        labelled = {name: numbers[self._labelled[name][numbers]] for name, numbers in rows.items()}
        return Drawn(
            {name: self._block(name, labelled[name], drawn[self.tasks[name].data], step) for name in rows},
            {name: len(numbers) for name, numbers in rows.items()},
            {name: n for name, numbers in rows.items() if (n := len(numbers) - len(labelled[name]))},
        )

    def _block(self, name: str, numbers: np.ndarray, drawn: np.ndarray, step: int) -> RowBlock:
        """Rows to learn from: `numbers`, and what was made of those that were `drawn`."""
        task = self.tasks[name]
        block = self.made[name].added(task.rows, numbers, drawn) if name in self.made else task.rows.take(numbers)
        if not task.varied:
            return block
        return augmented(block, task.varied, self._augmentation[name], np.random.default_rng([self.seed, step, *name.encode()]))
