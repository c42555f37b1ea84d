"""Runs side by side: metrics with the difference to a baseline run, settings that differ, and what may not be compared with what."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean
from typing import Any, Literal

from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import Message, message
from mtl_core.config.experiment import Experiment
from mtl_core.config.seeds import without_seed
from mtl_core.jobs import jobs
from mtl_core.studies.differences import settings
from mtl_core.tasks import KINDS, is_better
from mtl_core.tracking.runs import Run, RunState
from mtl_core.training.events import Started

Part = Literal["before", "best", "test"]


@dataclass(frozen=True)
class RunResult:
    """What is known of a run. What is not known stays empty, and nothing is said about it.

    name: unique among the runs; experiment: as it was at the end, None where it cannot be read; tasks: task → part → metric → value;
    datasets: the experiment's name of a table → hash of the dataset, split included; rows: task → split → rows; examples: rows trained on.
    steered: whether a person changed something on the way.
    """

    name: str
    experiment: Experiment | None
    tasks: Mapping[str, Mapping[str, Mapping[str, float]]]
    datasets: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    examples: int | None = None
    steered: bool = False


@dataclass(frozen=True)
class MetricRow:
    """One metric of one task in every run that has it.

    differences: run → its value less the baseline's, without the baseline itself; better: run → whether that is a gain, None if equal.
    """

    task: str
    metric: str
    values: dict[str, float]
    differences: dict[str, float]
    better: dict[str, bool | None]


@dataclass(frozen=True)
class Comparison:
    """baseline: its name; settings: path → run → value, where not all are equal; warnings: why numbers should not be compared."""

    baseline: str
    part: Part
    metrics: list[MetricRow]
    settings: dict[str, dict[str, Any]]
    warnings: list[Message]


def compare(runs: Sequence[RunResult], baseline: str | None = None, part: Part = "best") -> Comparison:
    """baseline: the name of one of `runs`, None for the first. Raises ValueError: no runs, names that are not unique, no such baseline."""
    by_name = {run.name: run for run in runs}
    if not runs or len(by_name) != len(runs):
        raise ValueError(f"There should be at least one run, each with a name of its own. Found {[run.name for run in runs]}.")
    base = by_name.get(baseline if baseline is not None else runs[0].name)
    if base is None:
        raise ValueError(f"The baseline should be one of {', '.join(by_name)}. Found {baseline!r}.")
    others = [run for run in runs if run is not base]
    metrics = _metrics([base, *others], part)
    return Comparison(
        base.name,
        part,
        metrics,
        settings({run.name: run.experiment.model_dump(mode="json") for run in runs if run.experiment}),
        [*_errors(metrics, base), *_steered(runs), *(warning for run in others for warning in _warnings(base, run, part))],
    )


def _metrics(runs: list[RunResult], part: Part) -> list[MetricRow]:
    """runs: the baseline first."""
    base = runs[0]
    found = dict.fromkeys((task, metric) for run in runs for task, parts in run.tasks.items() for metric in parts.get(part, {}))
    order = list(dict.fromkeys(task for task, _ in found))
    rows = []
    for task, metric in sorted(found, key=lambda key: order.index(key[0])):
        values = {run.name: v for run in runs if (v := run.tasks.get(task, {}).get(part, {}).get(metric)) is not None}
        own = values.get(base.name)
        compared = {name: v for name, v in values.items() if name != base.name} if own is not None else {}
        rows.append(
            MetricRow(
                task,
                metric,
                values,
                {name: v - own for name, v in compared.items() if own is not None},
                {name: None if v == own else is_better(metric, v, own) for name, v in compared.items() if own is not None},
            )
        )
    return rows


MUCH_WORSE = 1.2
"""How much larger an error is that is told although the main metric gained."""


def _errors(metrics: Sequence[MetricRow], base: RunResult) -> list[Message]:
    """A ranking may gain while the numbers behind it get far off: an error that grew beside a main metric that did not fall."""
    kinds = {name: KINDS[task.kind] for name, task in base.experiment.tasks.items()} if base.experiment else {}
    fell = {(row.task, run) for row in metrics if row.task in kinds and row.metric == kinds[row.task].primary for run in row.better
            if row.better[run] is False}  # fmt: skip
    return [
        message(
            "“{task}” of “{run}”: {metric} is worse, {after:.4g} instead of {before:.4g}, although the main metric did not fall.",
            task=row.task,
            run=run,
            metric=message(next(info.label for info in kinds[row.task].metrics if info.name == row.metric)),
            after=row.values[run],
            before=row.values[base.name],
        )
        for row in metrics
        if row.task in kinds and row.metric in {info.name for info in kinds[row.task].metrics if not info.higher_is_better}
        for run in row.differences
        if row.values[run] > MUCH_WORSE * row.values[base.name] and (row.task, run) not in fell
    ]


def _steered(runs: Sequence[RunResult]) -> list[Message]:
    return [message("“{run}” was steered: its settings are those at its end.", run=run.name) for run in runs if run.steered]


def _warnings(base: RunResult, run: RunResult, part: Part) -> list[Message]:
    found = []
    names = {"run": run.name, "baseline": base.name}
    for task in base.tasks:
        if task in run.tasks and (why := incomparable(task, base, run, part)):
            found.append(message("“{task}” of “{run}” and of “{baseline}” cannot be compared: {why}", task=task, why=why, **names))
    if base.examples and run.examples and base.examples != run.examples:
        found.append(
            message(
                "“{run}” was trained on {found:,} examples, “{baseline}” on {wanted:,}.", found=run.examples, wanted=base.examples, **names
            )
        )
    return found


def incomparable(task: str, base: RunResult, run: RunResult, part: Part, joined: bool = False) -> Message | None:
    """The first reason why the task's numbers of two runs do not mean the same. joined: only rows that both have are compared."""
    if base.experiment and run.experiment and (why := _differs(task, base, run, base.experiment, run.experiment)):
        return why
    split = "validation" if part != "test" else "test"
    rows = [r.rows.get(task, {}).get(split) for r in (base, run)]
    measured = [set(r.tasks[task].get(part, {})) for r in (base, run)]
    if not joined and None not in rows and rows[0] != rows[1]:
        return message("they were measured on {first} and on {second} rows.", first=rows[0], second=rows[1])
    if not joined and measured[0] != measured[1]:
        return message("different metrics were measured.")
    return None


def _differs(task: str, base: RunResult, run: RunResult, first: Experiment, second: Experiment) -> Message | None:
    """What the experiments say of the task and its table."""
    if task not in first.tasks or task not in second.tasks:
        return None
    own, other = first.tasks[task], second.tasks[task]
    tables = first.data[own.data], second.data[other.data]
    hashes = base.datasets.get(own.data), run.datasets.get(other.data)
    kind = KINDS[own.kind]

    def same_columns(of_type: str) -> bool:
        return all(own.columns.get(f.name) == other.columns.get(f.name) for f in kind.fields if f.type == of_type)

    if own.kind != other.kind:
        return message("the task has a different kind.")
    if not all(hashes) or hashes[0] != hashes[1]:  # equal ones have the same rows in the same split, wherever they came from
        if tables[0].model_dump(exclude={"split"}) != tables[1].model_dump(exclude={"split"}):
            return message("the data is not the same.")
        if tables[0].split != tables[1].split:
            return message("the data is split differently.")
        if all(hashes):
            return message("the data has changed in between.")
    if not same_columns("label"):
        return message("the label is another column.")
    if differing := [name for name in kind.measured_by if getattr(own.options, name) != getattr(other.options, name)]:
        return message("they are measured with different options: {names}.", names=", ".join(differing))
    if not same_columns("group"):
        return message("rows are grouped differently.")
    return None


@dataclass(frozen=True)
class Group:
    """Runs that are compared as one, because only their seeds differ; or a single run. name: no other group has it."""

    name: str
    runs: tuple[Run, ...]

    @property
    def n_seeds(self) -> int:
        """Less than there are runs where one was trained twice."""
        return len({run.experiment.seed for run in self.runs}) if len(self.runs) > 1 else 1


_ENDED = (RunState.FINISHED, RunState.STOPPED)


def groups_of(runs: Sequence[Run], by_seed: bool = True) -> list[Group]:
    """In the order of their first runs. by_seed: False: each run is by itself."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(_without_seed(run) if by_seed else run.id, []).append(run)
    names = _distinct([_called(members) for members in found.values()], [members[0].id for members in found.values()])
    return [Group(name, tuple(members)) for name, members in zip(names, found.values(), strict=True)]


def _distinct(names: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Those that are there more than once with the beginning of their run's id."""
    return [name if names.count(name) == 1 else f"{name} {run[:4]}" for name, run in zip(names, ids, strict=True)]


def _called(members: Sequence[Run]) -> str:
    """What all of them are called, without their seed; else what the first one is called."""
    names = {without_seed(run.name, run.experiment.seed) for run in members} if len(members) > 1 else set()
    return names.pop() if len(names) == 1 else members[0].name


def _without_seed(run: Run) -> str:
    """Equal for runs that differ by their seed, and their name, alone. A run that has not got to its end is no seed of one that has."""
    if run.state not in _ENDED:
        return run.id
    try:
        values = run.experiment.model_dump(mode="json", exclude={"seed", "name"})
    except ExperimentError:
        return run.id
    return run.id if run.steered else json.dumps([values, run.datasets], sort_keys=True)


def compare_runs(groups: Sequence[Group], baseline: str | None = None, part: Part = "best") -> Comparison:
    """The means of each group's runs. baseline: a group's name; None: the first."""
    found = compare([result_of(group) for group in groups], baseline, part)
    cut = [
        message("“{run}” did not finish: its numbers are those of the steps that it got to.", run=group.name)
        for group in groups
        if any(run.state not in _ENDED and not run.state.live for run in group.runs)
    ]
    cut += [
        message("“{run}” is still at work: its numbers are those of the steps that it has got to.", run=group.name)
        for group in groups
        if any(run.state.live for run in group.runs)
    ]
    return replace(found, warnings=[*cut, *found.warnings])


def tested(groups: Sequence[Group]) -> bool:
    """Whether there are test results of every run."""
    return all(run.tested for group in groups for run in group.runs)


def at_the_end(run: Run) -> Experiment:
    """Its experiment, with what a person changed while it trained. Raises ExperimentError."""
    return jobs().experiment_now(run) if run.steered else run.experiment


def short_names(runs: Sequence[Run]) -> dict[str, str]:
    """Run id → a short name that no other of `runs` has."""
    ids = [run.id for run in runs]
    return dict(zip(ids, _distinct([run.name for run in runs], ids), strict=True))


def result_of(group: Group) -> RunResult:
    """Its metrics are means over its runs, the rest is the first one's."""
    run = group.runs[0]
    try:
        experiment = at_the_end(run)
    except ExperimentError:
        experiment = None
    started = next((event for event in run.events() if isinstance(event, Started)), None)
    examples = int(run.status.get("step") or 0) * experiment.training.batch_size if experiment else None
    found = [one.result()["tasks"] for one in group.runs]
    tasks = {
        task: {
            part: {metric: mean(values_of(found, task, part, metric)) for metric in metrics}
            for part, metrics in parts.items()
            if all(part in one.get(task, {}) for one in found)
        }
        for task, parts in found[0].items()
    }
    return RunResult(group.name, experiment, tasks, run.datasets, started.rows if started else {}, examples, run.steered)


def values_of(results: Sequence[Mapping[str, Any]], task: str, part: str, metric: str) -> list[float]:
    """One metric of each result ({"task": {"part": {metric: value}}}) that has it."""
    found = (result.get(task, {}).get(part, {}).get(metric) for result in results)
    return [value for value in found if value is not None]
