"""Alone or together: how each task fares in joint training beside training alone, over seeds, with intervals.

The change of a task is counted so that more is better, whichever way its metric points; the overall change is the field's Δm: the
mean over the tasks of the change relative to training alone (Maninis et al., Attentive Single-Tasking of Multiple Tasks,
https://arxiv.org/abs/1904.08918). Numbers of unequal data, split or metric are left out, and a budget that is unequal is told.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mtl_core.base.messages import N_, Message, message
from mtl_core.evaluation.statistics import t_interval
from mtl_core.studies.compare import Part, RunResult, incomparable
from mtl_core.tasks import higher_is_better

LEAST_SEEDS = 3
"""From which on an interval is worth it."""
_TOLERANCE = 0.01
"""Of the examples: what whole batches leave."""
UNLIKE = {
    "encoder": N_("“{run}” and “{baseline}” have different encoders."),
    "optimizer": N_("“{run}” and “{baseline}” have different optimizers."),
    "schedule": N_("“{run}” and “{baseline}” have different learning rate schedules."),
}
"""Part of the experiment → what is said where the two sides differ in it."""


class Verdict(StrEnum):
    HELPS = "helps"
    HURTS = "hurts"
    NOT_SIGNIFICANT = "not significant"


@dataclass(frozen=True)
class Mean:
    """Of `n` values; half: half the width of its t interval (`t_interval`), None with fewer than LEAST_SEEDS values."""

    value: float
    half: float | None
    n: int

    def text(self, pattern: str = "{:.4f}") -> str:
        return pattern.format(self.value) + ("" if self.half is None else " ± " + pattern.replace("+", "").format(self.half))

    @property
    def verdict(self) -> Verdict:
        """Of a change."""
        if self.half is None or abs(self.value) <= self.half:
            return Verdict.NOT_SIGNIFICANT
        return Verdict.HELPS if self.value > 0 else Verdict.HURTS


@dataclass(frozen=True)
class Trained:
    """A finished run. examples: task → rows trained on; computed: device and precision."""

    seed: int
    result: RunResult
    examples: Mapping[str, int] = field(default_factory=dict)
    computed: str = ""


@dataclass(frozen=True)
class TaskChange:
    """Over the seeds that both have. change: of the metric, paired by seed, more is better; relative: to training alone."""

    task: str
    metric: str
    alone: Mean
    together: Mean
    change: Mean
    relative: Mean | None

    @property
    def verdict(self) -> Verdict:
        return self.change.verdict


@dataclass(frozen=True)
class Row:
    """A way of training jointly. overall: mean relative change; None where no seed has all tasks."""

    name: str
    tasks: list[TaskChange]
    overall: Mean | None


@dataclass(frozen=True)
class Verdicts:
    """warnings: what was left out, and what is unequal."""

    part: Part
    rows: list[Row]
    warnings: list[Message]


def mean_of(values: Sequence[float]) -> Mean:
    """values: at least one."""
    mean, half = map(float, t_interval(values))
    return Mean(mean, half if len(values) >= LEAST_SEEDS else None, len(values))


def gain(metric: str, value: float, than: float) -> float:
    """value less `than`, or the other way round where lower is better."""
    return value - than if higher_is_better(metric) else than - value


def mean_change(together: Mapping[str, float], alone: Mapping[str, float], metrics: Mapping[str, str]) -> float | None:
    """Δm: mean over the tasks (task → main metric) of gain / |alone|; None where a task has no value, or 0 alone."""
    if any(task not in together or not alone.get(task) for task in metrics):
        return None
    return math.fsum(gain(metric, together[task], alone[task]) / abs(alone[task]) for task, metric in metrics.items()) / len(metrics)


def main_values(result: RunResult, metrics: Mapping[str, str], part: Part) -> dict[str, float]:
    """Task → its main metric, where it is known."""
    found = {task: result.tasks.get(task, {}).get(part, {}).get(metric) for task, metric in metrics.items()}
    return {task: value for task, value in found.items() if value is not None and math.isfinite(value)}


def best_trial(tried: Sequence[RunResult], alone: Mapping[str, RunResult], metrics: Mapping[str, str]) -> int:
    """The place of the run with the largest mean change on the validation split. alone: task → its run of the same seed."""
    base = {task: value for task, one in alone.items() for value in main_values(one, {task: metrics[task]}, "best").values()}
    changes = [mean_change(main_values(one, metrics, "best"), base, metrics) for one in tried]
    return max(range(len(tried)), key=lambda t: -math.inf if (change := changes[t]) is None else change)


def verdicts(
    alone: Mapping[str, Sequence[Trained]], rows: Mapping[str, Sequence[Trained]], metrics: Mapping[str, str], part: Part = "test"
) -> Verdicts:
    """alone: task → its runs, one a seed; rows: way of training jointly → its runs, one a seed; metrics: task → main metric."""
    warnings: dict[str, Message] = {}
    found = [_row(name, alone, runs, metrics, part, warnings) for name, runs in rows.items()]
    seeds = min((change.change.n for row in found for change in row.tasks), default=0)
    if seeds < LEAST_SEEDS:
        few = message(
            "Too few seeds for a confidence interval: {n}. A significant result needs at least {least}.", n=seeds, least=LEAST_SEEDS
        )
        warnings[str(few)] = few
    return Verdicts(part, found, list(warnings.values()))


def _row(
    name: str,
    alone: Mapping[str, Sequence[Trained]],
    runs: Sequence[Trained],
    metrics: Mapping[str, str],
    part: Part,
    warnings: dict[str, Message],
) -> Row:
    changes: list[TaskChange] = []
    single: dict[int, dict[str, float]] = {}  # seed → task → value
    joint: dict[int, dict[str, float]] = {}
    for task, metric in metrics.items():
        baselines = {one.seed: one for one in alone.get(task, ())}
        pairs = []
        for one in runs:
            base = baselines.get(one.seed)
            if base is None:
                continue
            reasons = list(_unequal(name, task, base, one, part))
            warnings |= {str(why): why for _, why in reasons}
            value, than = (main_values(r.result, {task: metric}, part).get(task) for r in (one, base))
            if value is None or than is None or any(fatal for fatal, _ in reasons):
                continue
            pairs.append((value, than))
            joint.setdefault(one.seed, {})[task] = value
            single.setdefault(one.seed, {})[task] = than
        if unpaired := {one.seed for one in runs} ^ set(baselines):
            why = message(
                "“{task}” of “{run}” ignores the seeds {seeds}: only one side has them.", task=task, run=name, seeds=_list(unpaired)
            )
            warnings[str(why)] = why
        if not pairs:
            continue
        gains = [gain(metric, value, than) for value, than in pairs]
        relative = [g / abs(than) for g, (_, than) in zip(gains, pairs, strict=True)] if all(than for _, than in pairs) else None
        together, before = zip(*pairs, strict=True)
        changes.append(
            TaskChange(task, metric, mean_of(before), mean_of(together), mean_of(gains), mean_of(relative) if relative else None)
        )
    overall = [change for seed in joint if (change := mean_change(joint[seed], single[seed], metrics)) is not None]
    return Row(name, changes, mean_of(overall) if overall else None)


def _unequal(name: str, task: str, base: Trained, one: Trained, part: Part) -> list[tuple[bool, Message]]:
    """(whether the numbers mean different things, what is unequal), without seeds, so that it is said once."""
    names = {"run": name, "baseline": message("{task} (single-task)", task=task)}
    found: list[tuple[bool, Message]] = []
    if why := incomparable(task, base.result, one.result, part):
        found.append((True, message("“{task}” of “{run}” and of “{baseline}” cannot be compared: {why}", task=task, why=why, **names)))
    for group, template in UNLIKE.items():
        if getattr(base.result.experiment, group, None) != getattr(one.result.experiment, group, None):
            found.append((False, Message(template, names)))
    if base.computed != one.computed:
        found.append(
            (
                False,
                message("“{run}” was computed on {found}, “{baseline}” on {wanted}.", found=one.computed, wanted=base.computed, **names),
            )
        )
    wanted, got = base.examples.get(task), one.examples.get(task)
    batch = base.result.experiment.training.batch_size if base.result.experiment else 0
    if wanted is not None and got is not None and abs(wanted - got) > max(_TOLERANCE * got, batch):
        why = message(
            "“{run}” was trained on {found:,} examples of “{task}”, “{baseline}” on {wanted:,}.",
            found=got,
            wanted=wanted,
            task=task,
            **names,
        )
        found.append((False, why))
    return found


def _list(seeds: set[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))
