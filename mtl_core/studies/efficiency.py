"""Data efficiency: how many rows of a task are enough, alone and jointly. That picture is why anyone trains jointly.

For a finished joint run, one of its tasks, each share of that task's training rows and each of S seeds (the run's own, +1, +2 ...):

    joint   the run's experiment with that share of the task's rows; the other tasks keep theirs
    alone   the task by itself on the same rows, at equal examples of it (see `alone`): as many as in the joint run of the first seed

With a seed the rows of a smaller share are among those of a larger one. What is shown is the main metric on
the validation split, which is whole, by the best model of each training; the test split is left alone. What a kind's `fit` finds, as
which classes there are and how frequent they and the words are, it finds in all training rows: every share is measured on the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment
from mtl_core.studies.comparisons import Needed, PlannedTraining, alone, compared, facts, finder, together, trained
from mtl_core.studies.verdicts import LEAST_SEEDS, Mean, main_values, mean_of
from mtl_core.tasks import KINDS
from mtl_core.tracking.runs import Run, RunError

SHARES = (0.01, 0.05, 0.1, 0.25, 1.0)


@dataclass(frozen=True)
class Point:
    """rows: of the task that were trained on, with the first seed; score: its main metric on the validation split, over the seeds."""

    share: float
    rows: int
    score: Mean


@dataclass(frozen=True)
class EfficiencyPlan(Needed):
    """shares: key of a training → the share of the task's rows that it has."""

    task: str = ""
    metric: str = ""
    shares: dict[str, float] = field(default_factory=dict)

    def curves(self) -> dict[str, list[Point]]:
        """Way of training (joint, alone) → its points, by share, of what is there and has the metric: no validation rows, no point."""
        found: dict[str, dict[float, list[tuple[PlannedTraining, float]]]] = {}
        for part in self.parts:
            if part.state == "done" and (value := main_values(trained(part).result, {self.task: self.metric}, "best")):
                found.setdefault(part.row, {}).setdefault(self.shares[part.key], []).append((part, value[self.task]))
        return {
            row: [Point(share, rows_of(some[0][0], self.task), mean_of([v for _, v in some])) for share, some in sorted(by_share.items())]
            for row, by_share in found.items()
        }


def rows_of(part: PlannedTraining, task: str) -> int:
    """Training rows of the task."""
    assert part.run is not None
    return facts(part.run).rows.get(task, {}).get("train", 0)


def plan(of: Run, workspace: Workspace, task: str, shares: Sequence[float] = SHARES, n_seeds: int = LEAST_SEEDS) -> EfficiencyPlan:
    """Raises RunError: `of` cannot be compared, it has no such task."""
    experiment = compared(of)
    if task not in experiment.tasks:
        raise RunError(message("The run has no task “{task}”. Its tasks are: {tasks}.", task=task, tasks=", ".join(experiment.tasks)))
    n_steps, first, to_come = int(of.status["n_steps"]), experiment.seed, 0
    parts: list[PlannedTraining] = []
    known: dict[str, float] = {}
    add = finder(of, workspace, parts)
    for share in sorted(set(shares), reverse=True):
        scarce = with_share(experiment, task, share)
        joint = [add("joint", seed, together(scarce, seed, n_steps, test=False)) for seed in range(first, first + n_seeds)]
        single: list[PlannedTraining] = []
        if joint[0].run is not None and joint[0].state == "done":
            seen = facts(joint[0].run)
            single = [
                add("alone", seed, alone(scarce, task, seed, n_steps, seen, test=False), task=task)
                for seed in range(first, first + n_seeds)
            ]
        else:
            to_come += n_seeds
        known |= {part.key: share for part in (*joint, *single)}
    return EfficiencyPlan(of, parts, to_come, task, KINDS[experiment.tasks[task].kind].primary, known)


def with_share(experiment: Experiment, task: str, share: float) -> Experiment:
    """The experiment in which the task learns from that share of its training rows, or from all if that is what it has."""
    changed = experiment.tasks[task].model_copy(update={"rows": share})
    return experiment.model_copy(update={"tasks": {**experiment.tasks, task: changed}})
