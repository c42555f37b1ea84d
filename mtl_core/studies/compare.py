"""Runs side by side: metrics with the difference to a baseline run, settings that differ, and what may not be compared with what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mtl_core.base.messages import Message, message
from mtl_core.studies.differences import settings
from mtl_core.tasks import is_better

Part = Literal["before", "best", "test"]

# Fields of the task kinds that say what is measured. The kinds are not asked: they need torch, and a comparison is shown without.
LABELS = ("label", "answer", "conversion", "parent")
GROUPS = ("user", "list", "group")


@dataclass(frozen=True)
class RunResult:
    """What is known of a run. What is not known stays empty, and nothing is said about it.

    name: unique among the runs; experiment: plain data, as its YAML; tasks: task → part → metric → value;
    datasets: the experiment's name of a table → hash of the dataset, split included; rows: task → split → rows; examples: rows trained on.
    steered: whether a person changed something on the way.
    """

    name: str
    experiment: Mapping[str, Any]
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


def compare(runs: Sequence[RunResult], baseline: str | None = None, part: Part = "test") -> Comparison:
    """baseline: the name of one of `runs`, None for the first. Raises ValueError: no runs, names that are not unique, no such baseline."""
    by_name = {run.name: run for run in runs}
    if not runs or len(by_name) != len(runs):
        raise ValueError(f"There should be at least one run, each with a name of its own. Found {[run.name for run in runs]}.")
    base = by_name.get(baseline if baseline is not None else runs[0].name)
    if base is None:
        raise ValueError(f"The baseline should be one of {', '.join(by_name)}. Found {baseline!r}.")
    others = [run for run in runs if run is not base]
    return Comparison(
        base.name,
        part,
        _metrics([base, *others], part),
        settings({run.name: run.experiment for run in runs}),
        [*_steered(runs), *(warning for run in others for warning in _warnings(base, run, part))],
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


def _steered(runs: Sequence[RunResult]) -> list[Message]:
    text = "“{run}” was steered: what its settings say held only until something was changed."
    return [message(text, run=run.name) for run in runs if run.steered]


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


def incomparable(task: str, base: RunResult, run: RunResult, part: Part) -> Message | None:
    """The first reason why the task's numbers of two runs do not mean the same."""
    own, other = (r.experiment.get("tasks", {}).get(task, {}) for r in (base, run))
    tables = [r.experiment.get("data", {}).get(t.get("data"), {}) for r, t in ((base, own), (run, other))]
    hashes = [r.datasets.get(t.get("data", "")) for r, t in ((base, own), (run, other))]
    split = "validation" if part != "test" else "test"
    rows = [r.rows.get(task, {}).get(split) for r in (base, run)]
    measured = [set(r.tasks[task].get(part, {})) for r in (base, run)]
    if own.get("kind") != other.get("kind"):
        return message("the task is of another kind.")
    if any(tables[0].get(key) != tables[1].get(key) for key in ("file", "transactions")):
        return message("the data is not the same.")
    if tables[0].get("split") != tables[1].get("split"):
        return message("the data is split another way.")
    if all(hashes) and hashes[0] != hashes[1]:
        return message("the data has changed in between.")
    if any(own.get("columns", {}).get(key) != other.get("columns", {}).get(key) for key in LABELS):
        return message("the label is another column.")
    if any((own.get("options") or {}).get(key) != (other.get("options") or {}).get(key) for key in ("gains", "relevant_from")):
        return message("grades count differently.")
    if any(own.get("columns", {}).get(key) != other.get("columns", {}).get(key) for key in GROUPS):
        return message("rows are grouped another way.")
    if None not in rows and rows[0] != rows[1]:
        return message("they were measured on {first} and on {second} rows.", first=rows[0], second=rows[1])
    if measured[0] != measured[1]:
        return message("not the same metrics were measured.")
    return None
