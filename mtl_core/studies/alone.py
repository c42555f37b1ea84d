"""Alone or together: which trainings say whether joint training pays, and what they say.

For a finished joint run and each of S seeds (its own, +1, +2 ...):

    joint   the run's experiment with that seed; the run itself counts for its own seed
    alone   every task by itself *at equal examples of that task*: a batch is as many rows as the task had in a joint step on average
            (rounded), for as many steps as make up the rows it had in the whole joint run, evaluated at the same points of the training
    tuned   the run's experiment with fixed weights: of N trials with the first seed the best by the mean change on the validation split
            (Δm against training alone), then its other seeds. The first trial has equal weights; of the others each weight is drawn
            log-uniformly from WEIGHTS, all scaled to a mean of 1. Of the trials only the one chosen is evaluated on the test split
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mtl_core.base.messages import Message, message
from mtl_core.base.workspace import Workspace
from mtl_core.studies.comparisons import Needed, PlannedTraining, alone, compared, facts, finder, finished_key, together, trained
from mtl_core.studies.verdicts import LEAST_SEEDS, Trained, Verdicts, best_trial, verdicts
from mtl_core.tracking.runs import Run

TRIALS = 4
WEIGHTS = (0.2, 5.0)


@dataclass(frozen=True)
class AlonePlan(Needed):
    """metrics: task → its main metric; weights: of the trial that was chosen, None before."""

    metrics: dict[str, str] = field(default_factory=dict)
    chosen: int | None = None
    weights: dict[str, float] = field(default_factory=dict)

    @property
    def note(self) -> Message | None:
        """Why the run itself does not count for its seed."""
        if facts(self.of).altered:
            return message("This run was changed during training. A run with its initial weights is trained instead.")
        if finished_key(self.of.folder, self.of.status.get("ended")) == self.parts[0].key:
            return None
        return message("This run ended early. A run with all planned steps is trained instead.")

    def budgets(self) -> dict[str, tuple[int, int]]:
        """Row → (runs, examples trained on) of what is done, with all trials."""
        found: dict[str, tuple[int, int]] = {}
        for part in self.parts:
            if part.state == "done" and part.run is not None:
                runs, examples = found.get(part.row, (0, 0))
                found[part.row] = runs + 1, examples + sum(facts(part.run).examples.values())
        return found

    def verdicts(self) -> Verdicts:
        """From what is there so far."""
        alone: dict[str, list[Trained]] = {}
        rows: dict[str, list[Trained]] = {"joint": [], "tuned": []}
        for part in self.parts:
            if part.run is None or part.state != "done":
                continue
            if part.task:
                alone.setdefault(part.task, []).append(trained(part))
            elif part.row == "joint" or part.trial == self.chosen:
                rows[part.row].append(trained(part))
        return verdicts(alone, {name: found for name, found in rows.items() if found}, self.metrics)


def plan(of: Run, workspace: Workspace, n_seeds: int = LEAST_SEEDS, trials: int = TRIALS) -> AlonePlan:
    """trials: of the tuning of fixed weights, 0 for none. Raises RunError: `of` cannot be compared."""
    experiment = compared(of)
    metrics = experiment.main_metrics
    n_steps = int(of.status["n_steps"])
    parts: list[PlannedTraining] = []
    add = finder(of, workspace, parts)
    chosen, weights = None, draw_weights(list(experiment.tasks), trials, experiment.seed)
    first = experiment.seed
    for seed in range(first, first + n_seeds):
        add("joint", seed, together(experiment, seed, n_steps))
        single = {task: add("alone", seed, alone(experiment, task, seed, n_steps, facts(of)), task=task) for task in experiment.tasks}
        if seed == first:
            tried = [add("tuned", seed, together(experiment, seed, n_steps, w, test=False), trial=t) for t, w in enumerate(weights)]
            if (chosen := _choose(tried, single, metrics)) is not None:  # on validation rows; the test split is then for this one only
                parts.remove(tried[chosen])
                add("tuned", seed, together(experiment, seed, n_steps, weights[chosen]), trial=chosen)
        elif chosen is not None:
            add("tuned", seed, together(experiment, seed, n_steps, weights[chosen]), trial=chosen)
    to_come = n_seeds - 1 if trials and chosen is None else 0
    return AlonePlan(of, parts, to_come, metrics, chosen, {} if chosen is None else weights[chosen])


def draw_weights(tasks: list[str], trials: int, seed: int) -> list[dict[str, float]]:
    """Trial t is the same whatever their number."""
    rng = np.random.default_rng([seed, 0xA10E])
    found = []
    for trial in range(trials):
        drawn = np.exp(rng.uniform(math.log(WEIGHTS[0]), math.log(WEIGHTS[1]), len(tasks))) if trial else np.ones(len(tasks))
        found.append({task: round(float(w), 3) for task, w in zip(tasks, drawn / drawn.mean(), strict=True)})
    return found


def _choose(tried: list[PlannedTraining], single: Mapping[str, PlannedTraining], metrics: Mapping[str, str]) -> int | None:
    """The trial with the largest mean change on the validation split; None while one of the trainings is not done."""
    if not tried or any(part.state != "done" for part in (*tried, *single.values())):
        return None
    results = {task: trained(part).result for task, part in single.items()}
    return best_trial([trained(part).result for part in tried], results, metrics)
