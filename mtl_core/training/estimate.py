"""Steps, time, memory and examples of a training before it begins: arithmetic over what `training/probe.py` has measured. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mtl_core.balancing import BALANCING, GradientBalancing
from mtl_core.config.experiment import Experiment
from mtl_core.data.shares import SAMPLING
from mtl_core.runtime.steps import disk_bytes

Points = Sequence[Sequence[float]]
"""(x, y) pairs, x ascending."""
STEPS_OF_A_LOOK, STEPS_AHEAD = 1.3, 1.5
"""What one measurement of gradient conflicts takes, in steps, and what its step ahead takes beside (benchmarks/RESULTS.md)."""


@dataclass(frozen=True)
class Measured:
    """What a probe found of a machine and of an experiment's data. Seconds and bytes.

    rows: table → training rows; epoch: rows of all tables in one pass, those included that may get a pseudo-label.
    tokens: table → (rows, distinct tokens that so many rows send through the encoder).
    step: (tokens of a step, its seconds); memory: (tokens of a micro-batch, peak bytes while it was trained on).
    scoring: table → (seconds of any evaluation, seconds a row); validation, test: table → rows (of the task with most).
    save, load: a checkpoint's seconds; those before the first step, with tables that are already tokenised.
    others: processor cores that other programs used meanwhile; what was measured is slower by that.
    gradient: bytes of one task's gradient of the shared parameters.
    disk: bytes that all checkpoints share, and of each beside.
    """

    device: str
    precision: str
    rows: dict[str, int]
    epoch: int
    tokens: dict[str, Points]
    step: Points
    memory: Points
    scoring: dict[str, tuple[float, float]]
    validation: dict[str, int]
    test: dict[str, int]
    save: float
    load: float
    others: float = 0.0
    gradient: int = 0
    disk: tuple[int, int] = (0, 0)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Estimate:
    """steps, examples: rows drawn in all of them, passes: over the training rows of all tables; tokens: a step sends through the encoder;
    seconds: from start to end, of which the steps take `training`; memory_bytes: at its peak; disk_bytes: of its checkpoints, while it
    trains; others: as of `Measured`."""

    steps: int
    examples: int
    passes: float
    tokens: int
    seconds: float
    training: float
    memory_bytes: int
    disk_bytes: int
    device: str
    others: float = 0.0


def estimate(experiment: Experiment, measured: Measured) -> Estimate:
    """measured: of an experiment with the same tasks, tables, encoder, sharing and strategy; anything else may differ.

    Without rows made while training, early stopping, and what other programs take of the machine meanwhile.
    """
    options = experiment.training
    steps = options.steps or max(1, round(options.epochs * measured.epoch / options.batch_size))
    drawn = rows_of_a_step(experiment, measured.rows)
    tokens = sum(along(measured.tokens[table], n) for table, n in drawn.items())
    step = along(measured.step, tokens)
    every, to_one_ahead = experiment.diagnostics.looks(steps)
    looks = -(-steps // every) if every and len(experiment.tasks) > 1 else 0  # the first before the first step
    training = (steps + looks * STEPS_OF_A_LOOK + -(-max(looks - 1, 0) // to_one_ahead) * STEPS_AHEAD) * step
    watched = {table: min(n, options.max_validation_rows) for table, n in measured.validation.items()}
    evaluations = 1 + -(-steps // options.interval(steps))
    seconds = measured.load + training + evaluations * (_scored(measured, watched) + measured.save)
    seconds += _scored(measured, watched) + (_scored(measured, measured.test) if options.test else 0.0)
    if options.predictions == "all":
        seconds += _scored(measured, measured.rows)
    memory = along(measured.memory, min(tokens, options.max_tokens_per_micro_batch))
    if looks and not issubclass(BALANCING[experiment.balancing.name], GradientBalancing):  # these hold all gradients anyway
        memory += len(experiment.tasks) * measured.gradient
    examples = steps * options.batch_size
    return Estimate(
        steps,
        examples,
        examples / measured.epoch,
        round(tokens),
        seconds,
        training,
        round(memory),
        disk_bytes(*measured.disk, options.keep),
        measured.device,
        measured.others,
    )


def rows_of_a_step(experiment: Experiment, rows: Mapping[str, int]) -> dict[str, float]:
    """Table → rows that a step draws of it, the mean over a training. rows: table → training rows; empty where one is not known."""
    tables = list(experiment.data)
    if not all(rows.get(table) for table in tables):
        return {}
    sampling = experiment.sampling
    way = SAMPLING[sampling.name](tables, np.array([rows[table] for table in tables]), sampling.options)
    n = 4 * len(tables)  # some take turns, some change from the beginning to the end
    shares = np.mean([way.shares(step, step / n) for step in range(n)], axis=0)
    return dict(zip(tables, (shares * experiment.training.batch_size).tolist(), strict=True))


def along(points: Points, x: float) -> float:
    """y at x on the line through the two points nearest to it, never falling and never below 0; (0, 0) is on it for a single point."""
    if len(points) == 1:
        return points[0][1] * x / points[0][0]
    high = next((i for i, point in enumerate(points) if point[0] >= x), len(points) - 1)
    (x0, y0), (x1, y1) = points[max(high, 1) - 1], points[max(high, 1)]
    slope = max(0.0, (y1 - y0) / (x1 - x0))
    return max(0.0, y0 + slope * (x - x0))


def _scored(measured: Measured, rows: dict[str, int]) -> float:
    return sum(fixed + each * rows[table] for table, (fixed, each) in measured.scoring.items() if rows.get(table))
