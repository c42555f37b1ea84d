"""A short probe of this machine with an experiment's own model and rows: a few steps, a few evaluated rows, one checkpoint."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mtl_core.config.experiment import Experiment
from mtl_core.runtime.batches import assemble
from mtl_core.runtime.devices import memory_bytes
from mtl_core.runtime.prepare import Prepared, PreparedTask
from mtl_core.runtime.scoring import sample_groups
from mtl_core.training.checkpoints import checkpoint_bytes
from mtl_core.training.control import Control
from mtl_core.training.drawing import Drawing
from mtl_core.training.estimate import Measured, Points, along, rows_of_a_step
from mtl_core.training.loop import Trainer

SIZES = (4, 16, 64, 256)
"""Rows whose distinct tokens are counted: the more rows, the more texts they have in common."""
MOST_TOKENS = 6000
"""Of a step that is measured; a longer one is reckoned from those."""
REPEATS = 2
SCORED = (6, 6, 30, 240)
"""Rows that are scored, the first to warm up, to tell what an evaluation takes whatever its rows, and what a row takes: less, the more
rows with texts in common. A kind that is slow at it, as one that writes, is not asked for the last one."""
SLOW = 0.5  # seconds


def probe(experiment: Experiment, prepared: Prepared, folder: Path, begun: float) -> Measured:
    """folder: an empty one, for a checkpoint. begun: `time.perf_counter()` before `prepare`."""
    quiet = experiment.model_copy(update={"diagnostics": experiment.diagnostics.model_copy(update={"conflicts_every": 0})})
    trainer = Trainer(quiet, prepared, Control(), folder, resume=False)
    load = time.perf_counter() - begun
    try:
        tokens: dict[str, Points] = {table: _tokens(trainer, table) for table in experiment.data}
        rows = {table: len(found) for table, found in trainer.drawing.sampler.rows.items()}
        size = max(2, experiment.training.batch_size)
        whole = sum(along(tokens[table], n) for table, n in rows_of_a_step(experiment, rows).items())
        large = max(2, min(size, round(size * MOST_TOKENS / max(whole, 1))))
        step, memory = [], []
        for batch_size in (max(1, large // 3), large):
            sized = quiet.model_copy(update={"training": quiet.training.model_copy(update={"batch_size": batch_size})})
            trainer.drawing = Drawing(sized, prepared)
            trainer.sampler = trainer.drawing.sampler
            expected = sum(along(tokens[table], n) for table, n in rows_of_a_step(sized, rows).items())
            _run_step(trainer)  # what is only done at first
            memory_bytes(trainer.device)
            seconds = _seconds(lambda: _run_step(trainer), REPEATS)
            step.append((expected, seconds))
            memory.append((min(expected, experiment.training.max_tokens_per_micro_batch), float(memory_bytes(trainer.device))))
        scoring = {table: _scoring(trainer, table) for table in experiment.data}
        save = _seconds(lambda: list(trainer._save()))
        more = max(0.0, memory_bytes(trainer.device) - memory[-1][1])  # what scoring and saving hold beside it
        memory = [(at, held + more) for at, held in memory]
        words = trainer.model.encoder.embeddings  # only a step's rows of them have a gradient
        gradient = sum(p.numel() * p.element_size() for p in trainer.model.shared() if p is not words)
        largest = {
            split: {table: max(len(task.rows.rows(split)) for task in _of(prepared, table)) for table in experiment.data}
            for split in ("validation", "test")
        }
    finally:
        trainer.lanes.close()
    return Measured(
        str(trainer.device),
        trainer.precision,
        rows,
        round(Drawing(experiment, prepared).epoch * experiment.training.batch_size),
        tokens,
        step,
        memory if memory[0][0] < memory[1][0] else memory[1:],
        scoring,
        largest["validation"],
        largest["test"],
        save,
        load,
        gradient=gradient,
        disk=checkpoint_bytes(trainer.model),
    )


def _of(prepared: Prepared, table: str) -> list[PreparedTask]:
    return [task for task in prepared.tasks.values() if task.data == table]


def _run_step(trainer: Trainer) -> None:
    list(trainer._step())
    list(trainer._flush())


def _seconds(work: Callable[[], object], times: int = 1) -> float:
    """The mean."""
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times


def _tokens(trainer: Trainer, table: str) -> list[tuple[float, float]]:
    """(rows, distinct tokens) of a table; a table that is smaller than the next size ends the list."""
    every, rng = trainer.drawing.sampler.rows[table], np.random.default_rng(0)
    found: list[tuple[float, float]] = []
    tasks = {name: task for name, task in trainer.prepared.tasks.items() if task.data == table}
    for size in SIZES:
        n = min(size, len(every))
        if found and n <= found[-1][0]:
            break
        drawn = np.sort(rng.choice(every, n, replace=False))
        own = {name: drawn[np.isin(drawn, task.rows.rows("train"))] for name, task in tasks.items()}
        blocks = {name: tasks[name].rows.take(numbers) for name, numbers in own.items() if len(numbers)}
        stores, budget = {name: trainer.stores[name] for name in blocks}, trainer.options.max_tokens_per_micro_batch
        batch = assemble(blocks, stores, trainer.template, budget, trainer.device, trainer.lanes.n, trainer.joint.apart, 0)
        found.append((float(n), float(sum(sum(packed.lengths) for packed in batch.packed))))
    return found


def _scoring(trainer: Trainer, table: str) -> tuple[float, float]:
    """(seconds of any evaluation, seconds a row) of a table's tasks."""
    sizes: list[int] = []
    seconds: list[float] = []
    for most in SCORED:
        if len(sizes) > 2 and seconds[-1] > SLOW:
            break
        rows = {}
        for name, task in trainer.prepared.tasks.items():
            if task.data == table and len(all_rows := task.rows.rows("validation")):
                rows[name] = sample_groups(all_rows, task.rows.take(all_rows).groups, most, 0)
        if not rows:
            return 0.0, 0.0
        sizes.append(max(map(len, rows.values())))
        seconds.append(_seconds(lambda rows=rows: trainer.evaluator.score(rows)))  # type: ignore[misc]
    if sizes[-1] <= sizes[-2]:
        return 0.0, seconds[-1] / sizes[-1]
    each = max(0.0, (seconds[-1] - seconds[-2]) / (sizes[-1] - sizes[-2]))
    return max(0.0, seconds[-1] - each * sizes[-1]), each
