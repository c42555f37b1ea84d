"""Alone or together: which trainings say whether joint training pays, which of them are there already, and what they say.

For a finished joint run and each of S seeds (its own, +1, +2 ...):

    joint   the run's experiment with that seed; the run itself counts for its own seed
    alone   every task by itself *at equal examples of that task*: a batch is as many rows as the task had in a joint step on average
            (rounded), for as many steps as make up the rows it had in the whole joint run, evaluated at the same points of the training
    tuned   the run's experiment with fixed weights: of N trials with the first seed the best by the mean change on the validation split
            (Δm against training alone), then its other seeds. The first trial has equal weights; of the others each weight is drawn
            log-uniformly from WEIGHTS, all scaled to a mean of 1

Patience is off everywhere, so that budgets are equal; the best checkpoint is kept by the run's own rule. Each training is known by
the hash of everything it depends on: a finished run of the workspace with that hash is used, whoever started it, unless it was steered.
"""

import hashlib
import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mtl_core.data.problems import DataError
from mtl_core.evaluation.alone import LEAST_SEEDS, Mean, Trained, Verdicts, best_trial, verdicts
from mtl_core.evaluation.compare import RunResult
from mtl_core.experiment import Experiment, ExperimentError, experiment_from_dict
from mtl_core.jobs import jobs, perform, training
from mtl_core.messages import Message, message
from mtl_core.runs import Recorder, Run, RunError, RunState, create_run, list_runs, run
from mtl_core.tasks import KINDS
from mtl_core.training.control import Control
from mtl_core.training.events import Evaluated, Event, Resumed, Started, Steered, StepDone, from_json
from mtl_core.training.prepare import store
from mtl_core.workspace import Workspace

__all__ = ["LEAST_SEEDS", "TRIALS", "Mean", "Part", "Plan", "compared", "key_of", "plan", "start", "stop", "train_missing"]

TRIALS = 4
WEIGHTS = (0.2, 5.0)
_VERSION = 1  # of the hash: a new number trains everything again
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Part:
    """One of the trainings. run: the one that is it, or was to become it; state: missing where there is none."""

    row: Literal["joint", "alone", "tuned"]
    seed: int
    experiment: Experiment
    key: str
    task: str | None = None
    trial: int | None = None
    run: Run | None = None
    state: Literal["done", "live", "interrupted", "stopped", "failed", "missing"] = "missing"

    @property
    def label(self) -> str:
        what = f"{self.row}: {self.task}" if self.task else self.row if self.trial is None else f"{self.row} {self.trial + 1}"
        return f"{what} · seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """What the comparison of the joint run `of` needs. to_come: trainings that depend on the outcome of others; weights: of the trial
    that was chosen, None before."""

    of: Run
    metrics: dict[str, str]
    parts: list[Part]
    to_come: int = 0
    chosen: int | None = None
    weights: dict[str, float] = field(default_factory=dict)

    @property
    def distinct(self) -> list[Part]:
        """Each training once: one may be a part of two rows."""
        return list({part.key: part for part in self.parts}.values())

    @property
    def missing(self) -> list[Part]:
        """What is still to be trained, and by nobody yet."""
        return [part for part in self.distinct if part.state not in ("done", "live")]

    @property
    def note(self) -> Message | None:
        """Why the run itself does not count for its seed."""
        if facts(self.of).altered:
            return message("This run was steered. A run with the weights it began with takes its place.")
        if _finished_key(self.of.folder, self.of.status.get("ended")) == self.parts[0].key:
            return None
        return message("This run ended early. A run of all its planned steps takes its place.")

    def of_state(self, *states: str) -> list[Part]:
        return [part for part in self.distinct if part.state in states]

    @property
    def n_done(self) -> int:
        return len(self.of_state("done"))

    @property
    def n(self) -> int:
        return len(self.distinct) + self.to_come

    @property
    def complete(self) -> bool:
        return self.n_done == self.n

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


@dataclass(frozen=True)
class Facts:
    """What the journal of a finished run says. examples: task → rows trained on; rows: task → split → rows; altered: weights were
    changed, or an evaluation asked for, on the way: it is not what its experiment describes."""

    examples: Mapping[str, int]
    steps: int
    rows: Mapping[str, Mapping[str, int]]
    computed: str
    altered: bool


def compared(of: Run) -> Experiment:
    """The experiment of a joint run that can be compared. Raises RunError: why it cannot."""
    state = of.state
    if state is RunState.FAILED:
        raise RunError(message("The run “{run}” failed; only a finished run can be compared with training alone.", run=of.id))
    if state is not RunState.FINISHED:
        raise RunError(message("The run “{run}” is not finished; only a finished run can be compared with training alone.", run=of.id))
    try:
        experiment = experiment_from_dict(of.experiment)
    except ExperimentError as error:
        raise RunError(message("The experiment of the run “{run}” cannot be read by this version.", run=of.id)) from error
    if len(experiment.tasks) < 2:
        raise RunError(message("The run “{run}” has one task only: it was trained alone.", run=of.id))
    if not of.datasets:
        raise RunError(message("The run “{run}” did not record what data it was trained on. Train it again.", run=of.id))
    return experiment


def plan(of: Run, workspace: Workspace, n_seeds: int = LEAST_SEEDS, trials: int = TRIALS) -> Plan:
    """trials: of the tuning of fixed weights, 0 for none. Raises RunError: `of` cannot be compared."""
    experiment = compared(of)
    index = _index(workspace)
    metrics = {name: KINDS[task.kind].primary for name, task in experiment.tasks.items()}
    n_steps = int(of.status["n_steps"])
    parts: list[Part] = []

    def add(row: Literal["joint", "alone", "tuned"], seed: int, wanted: Experiment, **more: Any) -> Part:
        key = key_of(wanted, of.datasets, int(wanted.training.steps or 0))
        found, state = _best(index.get(key, []))
        parts.append(Part(row, seed, wanted, key, run=found, state=state, **more))
        return parts[-1]

    chosen, weights = None, draw_weights(list(experiment.tasks), trials, experiment.seed)
    first = experiment.seed
    for seed in range(first, first + n_seeds):
        add("joint", seed, together(experiment, seed, n_steps))
        single = {task: add("alone", seed, alone(experiment, task, seed, n_steps, facts(of)), task=task) for task in experiment.tasks}
        if seed == first:
            tried = [add("tuned", seed, together(experiment, seed, n_steps, w), trial=t) for t, w in enumerate(weights)]
            chosen = _choose(tried, single, metrics)
        elif chosen is not None:
            add("tuned", seed, together(experiment, seed, n_steps, weights[chosen]), trial=chosen)
    to_come = n_seeds - 1 if trials and chosen is None else 0
    return Plan(of, metrics, parts, to_come, chosen, {} if chosen is None else weights[chosen])


def together(experiment: Experiment, seed: int, n_steps: int, weights: Mapping[str, float] | None = None) -> Experiment:
    """The joint experiment with another seed; weights: fixed ones instead of its strategy."""
    values = _without_patience(experiment, seed, n_steps)
    if weights is not None:
        values["balancing"] = {"name": "fixed"}
        for task, weight in weights.items():
            values["tasks"][task]["weight"] = weight
    return experiment_from_dict(values)


def alone(experiment: Experiment, task: str, seed: int, n_steps: int, joint: Facts) -> Experiment:
    """One task of the joint experiment by itself, at equal examples. n_steps: planned for the joint run; joint: what it saw."""
    a_step = joint.examples.get(task, 0) / max(1, joint.steps)
    batch = max(1, round(a_step))
    steps = max(1, round(a_step * n_steps / batch))
    values = _without_patience(experiment, seed, steps)
    values["tasks"] = {task: {**values["tasks"][task], "weight": 1.0}}
    table = values["tasks"][task]["data"]
    values["data"] = {table: values["data"][table]}
    values["balancing"], values["sampling"] = {"name": "fixed"}, {"name": "proportional"}
    values["early_stopping"]["objective"] = "mean"
    values["endings"]["then"] = "train_on"  # alone it would end before it has seen its examples
    values["training"]["batch_size"] = batch
    values["training"]["evaluate_every"] = max(1, round(experiment.training.interval(n_steps) * steps / n_steps))
    return experiment_from_dict(values)


def _without_patience(experiment: Experiment, seed: int, steps: int) -> dict[str, Any]:
    values = experiment.model_dump(mode="json")
    values["seed"] = seed % 2**31
    values["training"]["evaluate_every"] = experiment.training.interval(steps)
    values["training"]["steps"] = steps
    values["early_stopping"]["patience"] = 0
    return values


def draw_weights(tasks: list[str], trials: int, seed: int) -> list[dict[str, float]]:
    """Trial t is the same whatever their number."""
    rng = np.random.default_rng([seed, 0xA10E])
    found = []
    for trial in range(trials):
        drawn = np.exp(rng.uniform(math.log(WEIGHTS[0]), math.log(WEIGHTS[1]), len(tasks))) if trial else np.ones(len(tasks))
        found.append({task: round(float(w), 3) for task, w in zip(tasks, drawn / drawn.mean(), strict=True)})
    return found


def _choose(tried: list[Part], single: Mapping[str, Part], metrics: Mapping[str, str]) -> int | None:
    """The trial with the largest mean change on the validation split; None while one of the trainings is not done."""
    if not tried or any(part.state != "done" for part in (*tried, *single.values())):
        return None
    results = {task: trained(part).result for task, part in single.items()}
    return best_trial([trained(part).result for part in tried], results, metrics)


def key_of(experiment: Experiment, datasets: Mapping[str, str], n_steps: int) -> str:
    """The hash of everything that a training's numbers depend on. datasets: name of a table → hash; n_steps: planned."""
    values = experiment.model_dump(mode="json")
    used = {task["data"] for task in values["tasks"].values()}
    values["data"] = {name: [table, datasets.get(name)] for name, table in values["data"].items() if name in used}
    values["training"] |= {"steps": n_steps, "epochs": None, "evaluate_every": experiment.training.interval(n_steps)}
    del values["name"], values["diagnostics"]
    if len(values["tasks"]) == 1:  # one loss, one table: nothing to balance, to share out, or to average over
        del values["balancing"], values["sampling"], values["early_stopping"]["objective"]
    return hashlib.sha256(json.dumps([_VERSION, values]).encode()).hexdigest()[:32]


def facts(of: Run) -> Facts:
    """Of a finished run; read once."""
    return _facts(of.journal, of.journal.stat().st_size)


@lru_cache(maxsize=1024)
def _facts(journal: Path, size: int) -> Facts:
    rows: dict[int, dict[str, int]] = {}
    started: Started | None = None
    looks: list[int] = []
    altered = False
    kinds = (b'"StepDone"', b'"Started"', b'"Resumed"', b'"Evaluated"', b'"Steered"')
    with journal.open("rb") as file:
        for line in file:
            if not any(kind in line[:40] for kind in kinds):
                continue
            event = from_json(json.loads(line))
            if isinstance(event, StepDone):
                rows[event.step] = event.rows
            elif isinstance(event, Resumed) and event.from_checkpoint:
                rows = {step: seen for step, seen in rows.items() if step <= event.step}
                looks = [step for step in looks if step <= event.step]
            elif isinstance(event, Started):
                started = event
            elif isinstance(event, Evaluated) and event.split == "validation":
                looks.append(event.step)
            altered = altered or (isinstance(event, Steered) and not event.refused)
    examples: dict[str, int] = {}
    for seen in rows.values():
        for task, n in seen.items():
            examples[task] = examples.get(task, 0) + n
    n_steps = started.n_steps if started else 0
    every = experiment_from_dict(Run(journal.parent, {}).experiment).training.interval(n_steps)
    asked = any(step % every and step != n_steps for step in looks)
    computed = f"{started.device.partition(':')[0]} {started.precision}" if started else ""
    return Facts(examples, len(rows), started.rows if started else {}, computed, altered or asked)


def trained(part: Part) -> Trained:
    assert part.run is not None
    of, known = part.run, facts(part.run)
    result = RunResult(part.label, of.experiment, of.result()["tasks"], of.datasets, known.rows)
    return Trained(part.seed, result, known.examples, known.computed)


def _index(workspace: Workspace) -> dict[str, list[Run]]:
    """Key → the runs that have it, newest first."""
    found: dict[str, list[Run]] = {}
    for one in list_runs(workspace):
        finished = one.status["state"] == RunState.FINISHED
        key = _finished_key(one.folder, one.status.get("ended")) if finished else one.purpose.get("key")
        if key:
            found.setdefault(key, []).append(one)
    return found


@lru_cache(maxsize=4096)
def _finished_key(folder: Path, ended: float | None) -> str | None:
    """Of what its experiment describes, steered or not. None: of a version that recorded less."""
    of = run(Workspace(folder.parents[1]), folder.name)
    if not of.datasets or "n_steps" not in of.status:
        return None
    try:
        experiment = experiment_from_dict(of.experiment)
    except ExperimentError:
        return None
    if of.result().get("why") == "steps":  # patience that never ran out is as none
        experiment = experiment.model_copy(update={"early_stopping": experiment.early_stopping.model_copy(update={"patience": 0})})
    return key_of(experiment, of.datasets, int(of.status["n_steps"]))


def _best(runs: list[Run]) -> tuple[Run | None, Any]:
    """A finished run before one at work before one that can go on before one that did not come to an end. Steered ones do not count."""
    states = {RunState.FINISHED: "done", RunState.INTERRUPTED: "interrupted", RunState.STOPPED: "stopped", RunState.FAILED: "failed"}
    count = [one for one in runs if one.state is not RunState.FINISHED or not facts(one).altered]
    found = [(one, "live" if one.state.live else states[one.state]) for one in count]
    order = ["done", "live", "interrupted", "failed", "stopped"]
    return min(found, key=lambda pair: order.index(pair[1]), default=(None, "missing"))


def check_data(of: Run, workspace: Workspace) -> None:
    """Raises RunError: a table of the run is gone, or no longer holds what the run was trained on."""
    experiment = compared(of)
    for table in dict.fromkeys(task.data for task in experiment.tasks.values()):
        try:
            now = store(experiment, table, workspace, of.base, of.contained).hash
        except DataError as error:
            raise RunError(error.problems[0].why) from error
        if now != of.datasets.get(table):
            raise RunError(message("The data of the table “{table}” has changed since this run. Train it again first.", table=table))


def _about(of: Run, part: Part) -> dict[str, Any]:
    return {"name": f"{of.name} · {part.label}", "purpose": {"of": of.id, "part": part.label, "key": part.key}}


def train_missing(
    of: Run,
    workspace: Workspace,
    n_seeds: int = LEAST_SEEDS,
    trials: int = TRIALS,
    tell: Callable[[Plan, Part], Any] = lambda plan, part: None,
    listen: Callable[[Event], Any] = lambda event: None,
) -> Plan:
    """One after another, here and now; calling again goes on. tell: hears what is about to be trained. Ends early, with the training in
    state failed, where one fails. Raises RunError: the data has changed, or another process is at work on one of them."""
    now = plan(of, workspace, n_seeds, trials)
    if not now.complete:
        check_data(of, workspace)
    while waiting := [part for part in now.distinct if part.state != "done"]:
        part = waiting[0]
        if part.state == "live":
            raise RunError(message("The run “{run}” is already being trained.", run=part.run.id if part.run else ""))
        tell(now, part)
        train_part(of, part, workspace, listen)
        before, now = part.key, plan(of, workspace, n_seeds, trials)
        if any(p.key == before and p.state != "done" for p in now.parts):
            break
    return now


def train_part(of: Run, part: Part, workspace: Workspace, listen: Callable[[Event], Any] = lambda event: None) -> RunState:
    target, resume = part.run, part.state == "interrupted"
    if target is None or not resume:
        target = create_run(part.experiment.to_yaml(), workspace, of.base, of.contained, _about(of, part))
    recorder = Recorder(target.folder)
    try:
        work = training(target, workspace, resume=resume and target.checkpoint("last") is not None)
        return perform(recorder, work, Control(), listen)
    finally:
        recorder.close()


def start(of: Run, workspace: Workspace, n_seeds: int = LEAST_SEEDS, trials: int = TRIALS) -> None:
    """Queues what is missing, and what depends on its outcome once that is there. Raises RunError as `train_missing`."""
    check_data(of, workspace)
    queued = set(_queue(of, workspace, n_seeds, trials, set()))
    thread = threading.Thread(target=_follow, args=(of, workspace, n_seeds, trials, queued), name=f"mtl-alone-{of.id}", daemon=True)
    thread.start()


def _queue(of: Run, workspace: Workspace, n_seeds: int, trials: int, tried: set[str]) -> Iterator[str]:
    """Yields the keys; those of `tried` have had their chance."""
    with _LOCK:
        now = plan(of, workspace, n_seeds, trials)
        missing = [part for part in now.missing if part.key not in tried]
        for part in missing:
            if part.run is not None and part.state == "interrupted":
                jobs().resume(part.run.id, workspace)
            else:
                text = part.experiment.to_yaml()
                jobs().submit(text, workspace, of.base, contained=of.contained, about=_about(of, part))
    return iter([part.key for part in missing])


def _follow(of: Run, workspace: Workspace, n_seeds: int, trials: int, queued: set[str]) -> None:
    while True:
        now = plan(of, workspace, n_seeds, trials)
        for part in now.of_state("live"):
            if part.run is not None:
                jobs().wait(part.run.id)
        more = set(_queue(of, workspace, n_seeds, trials, queued))
        if not more:
            return
        queued |= more


def stop(of: Run, workspace: Workspace, n_seeds: int = LEAST_SEEDS, trials: int = TRIALS) -> None:
    """What is at work or waiting in this process."""
    for part in reversed(plan(of, workspace, n_seeds, trials).of_state("live")):
        control = jobs().control(part.run.id) if part.run is not None else None
        if control is not None and part.run is not None and part.run.purpose:
            control.stop()
