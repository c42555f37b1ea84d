"""Trainings that a comparison of runs needs: which are there already, and the others one after another, here or in the background.

Each training is known by the hash of everything it depends on: a finished run of the workspace with that hash is used, whoever
started it, unless it was steered. Patience is off everywhere, so that budgets are equal; the best checkpoint is kept by the run's own
rule. What is compared with what is said a floor above, by `alone` and `efficiency`.
"""

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, ExperimentError, experiment_from_dict
from mtl_core.jobs import check_data, evaluation, jobs, perform, perform_evaluation, training
from mtl_core.studies.compare import RunResult
from mtl_core.studies.verdicts import Trained
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Run, RunError, RunState, create_run, list_runs, run
from mtl_core.training.control import Control
from mtl_core.training.events import Evaluated, Event, Resumed, Started, Steered, StepDone, from_json

_VERSION = 2  # of the hash: a new number trains everything again
_LOCK = threading.Lock()


@dataclass(frozen=True)
class PlannedTraining:
    """One of the trainings. row: what it is trained for; task: trained alone; run: the one that is it, or was to become it; state:
    missing where there is none; untested where only the test split is still to be evaluated."""

    row: str
    seed: int
    experiment: Experiment
    key: str
    task: str | None = None
    trial: int | None = None
    run: Run | None = None
    state: Literal["done", "live", "untested", "interrupted", "stopped", "failed", "missing"] = "missing"

    @property
    def label(self) -> str:
        what = f"{self.row}: {self.task}" if self.task else self.row if self.trial is None else f"{self.row} {self.trial + 1}"
        return f"{what} · seed {self.seed}"


@dataclass(frozen=True)
class Needed:
    """What a comparison of the joint run `of` needs. to_come: trainings that depend on the outcome of others."""

    of: Run
    parts: list[PlannedTraining]
    to_come: int = 0

    @property
    def distinct(self) -> list[PlannedTraining]:
        """Each training once: one may be a part of two rows."""
        found: dict[str, PlannedTraining] = {}
        for part in self.parts:
            if part.key not in found or part.experiment.training.test:
                found[part.key] = part
        return list(found.values())

    @property
    def missing(self) -> list[PlannedTraining]:
        """What is still to be trained, and by nobody yet."""
        return [part for part in self.distinct if part.state not in ("done", "live")]

    def of_state(self, *states: str) -> list[PlannedTraining]:
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


class Adds(Protocol):
    def __call__(
        self, row: str, seed: int, wanted: Experiment, *, task: str | None = None, trial: int | None = None
    ) -> PlannedTraining: ...


def finder(of: Run, workspace: Workspace, parts: list[PlannedTraining]) -> Adds:
    """Adds a training to `parts`, with the run that is it."""
    index = _index(workspace)

    def add(row: str, seed: int, wanted: Experiment, *, task: str | None = None, trial: int | None = None) -> PlannedTraining:
        key = key_of(wanted, of.datasets, int(wanted.training.steps or 0))
        found, state = _best(index.get(key, []), wanted.training.test)
        parts.append(PlannedTraining(row, seed, wanted, key, task, trial, found, state))
        return parts[-1]

    return add


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
        raise RunError(message("The run “{run}” failed; only a finished run can be compared with single-task training.", run=of.id))
    if state is not RunState.FINISHED:
        raise RunError(
            message("The run “{run}” is not finished; only a finished run can be compared with single-task training.", run=of.id)
        )
    try:
        experiment = of.experiment
    except ExperimentError as error:
        raise RunError(message("The experiment of the run “{run}” cannot be read by this version.", run=of.id)) from error
    if len(experiment.tasks) < 2:
        raise RunError(message("The run “{run}” has one task only, so it already is a single-task training.", run=of.id))
    if not of.datasets:
        raise RunError(message("The run “{run}” did not record what data it was trained on. Train it again.", run=of.id))
    return experiment


def together(experiment: Experiment, seed: int, n_steps: int, weights: Mapping[str, float] | None = None, test: bool = True) -> Experiment:
    """The joint experiment with another seed; weights: fixed ones instead of its strategy; test: whether it is measured on that split."""
    values = _without_patience(experiment, seed, n_steps, test)
    if weights is not None:
        values["balancing"] = {"name": "fixed"}
        for task, weight in weights.items():
            values["tasks"][task]["weight"] = weight
    return experiment_from_dict(values)


def alone(experiment: Experiment, task: str, seed: int, n_steps: int, joint: Facts, test: bool = True) -> Experiment:
    """One task of the joint experiment by itself, at equal examples. n_steps: planned for the joint run; joint: what it saw; test: as
    for `together`.

    Its steps have fewer rows than the joint run's, and the same learning rates: a rate chosen for many rows may be too high for few.
    """
    a_step = joint.examples.get(task, 0) / max(1, joint.steps)
    batch = max(1, round(a_step))
    steps = max(1, round(a_step * n_steps / batch))
    values = _without_patience(experiment, seed, steps, test)
    values["tasks"] = {task: {**values["tasks"][task], "weight": 1.0}}
    table = values["tasks"][task]["data"]
    values["data"] = {table: values["data"][table]}
    values["balancing"], values["sampling"] = {"name": "fixed"}, {"name": "proportional"}
    values["early_stopping"]["objective"] = "mean"
    values["task_stopping"]["then"] = "train_on"  # alone it would end before it has seen its examples
    values["training"]["batch_size"] = batch
    values["training"]["evaluate_every"] = max(1, round(experiment.training.interval(n_steps) * steps / n_steps))
    return experiment_from_dict(values)


def _without_patience(experiment: Experiment, seed: int, steps: int, test: bool) -> dict[str, Any]:
    values = experiment.model_dump(mode="json")
    values["seed"] = seed % 2**31
    values["training"]["evaluate_every"] = experiment.training.interval(steps)
    values["training"]["steps"] = steps
    values["training"] |= {"test": test, "predictions": "evaluated" if test else "none", "keep": 1}
    values["early_stopping"]["patience"] = 0
    return values


def key_of(experiment: Experiment, datasets: Mapping[str, str], n_steps: int) -> str:
    """The hash of everything that a training's numbers depend on. datasets: name of a table → hash; n_steps: planned."""
    values = experiment.model_dump(mode="json")
    used = {task["data"] for task in values["tasks"].values()}
    values["data"] = {name: [table, datasets.get(name)] for name, table in values["data"].items() if name in used}
    values["training"] |= {"steps": n_steps, "epochs": None, "evaluate_every": experiment.training.interval(n_steps)}
    del values["name"], values["diagnostics"]
    for name in ("test", "predictions", "keep"):
        del values["training"][name]
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
    evaluated: list[int] = []
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
                evaluated = [step for step in evaluated if step <= event.step]
            elif isinstance(event, Started):
                started = event
            elif isinstance(event, Evaluated) and event.split == "validation":
                evaluated.append(event.step)
            altered = altered or (isinstance(event, Steered) and not event.refused)
    examples: dict[str, int] = {}
    for seen in rows.values():
        for task, n in seen.items():
            examples[task] = examples.get(task, 0) + n
    n_steps = started.n_steps if started else 0
    every = Run(journal.parent, {}).experiment.training.interval(n_steps)
    asked = any(step % every and step != n_steps for step in evaluated)
    computed = f"{started.device.partition(':')[0]} {started.precision}" if started else ""
    return Facts(examples, len(rows), started.rows if started else {}, computed, altered or asked)


def trained(part: PlannedTraining) -> Trained:
    assert part.run is not None
    of, known = part.run, facts(part.run)
    result = RunResult(part.label, of.experiment, of.result()["tasks"], of.datasets, known.rows)
    return Trained(part.seed, result, known.examples, known.computed)


def _index(workspace: Workspace) -> dict[str, list[Run]]:
    """Key → the runs that have it, newest first."""
    found: dict[str, list[Run]] = {}
    for one in list_runs(workspace):
        finished = one.status["state"] == RunState.FINISHED
        key = finished_key(one.folder, one.status.get("ended")) if finished else one.purpose.get("key")
        if key:
            found.setdefault(key, []).append(one)
    return found


@lru_cache(maxsize=4096)
def finished_key(folder: Path, ended: float | None) -> str | None:
    """Of what its experiment describes, steered or not. None: of a version that recorded less."""
    of = run(Workspace(folder.parents[1]), folder.name)
    if not of.datasets or "n_steps" not in of.status:
        return None
    try:
        experiment = of.experiment
    except ExperimentError:
        return None
    if of.result().get("why") == "steps":  # patience that never ran out is as none
        experiment = experiment.model_copy(update={"early_stopping": experiment.early_stopping.model_copy(update={"patience": 0})})
    return key_of(experiment, of.datasets, int(of.status["n_steps"]))


def _best(runs: list[Run], test: bool) -> tuple[Run | None, Any]:
    """A finished run before one at work before one that can go on before one that did not come to an end. Steered ones do not count.

    test: whether the test split is wanted; a finished run without has its best model, or does not count.
    """
    found = [(one, state) for one in runs if (state := _state(one, test))]
    order = ["done", "live", "untested", "interrupted", "failed", "stopped"]
    return min(found, key=lambda pair: order.index(pair[1]), default=(None, "missing"))


def _state(one: Run, test: bool) -> str | None:
    if one.state.live:
        return "live"
    if one.state is not RunState.FINISHED:
        return {RunState.INTERRUPTED: "interrupted", RunState.STOPPED: "stopped", RunState.FAILED: "failed"}[one.state]
    known = facts(one)
    if known.altered:
        return None
    if not test or one.tested or not any(rows.get("test") for rows in known.rows.values()):
        return "done"
    if jobs().evaluating(one.id):
        return "live"
    return "untested" if one.checkpoint("best") else None


def _about(of: Run, part: PlannedTraining) -> dict[str, Any]:
    keeps = {"keeps": "best"} if part.trial is not None and not part.experiment.training.test else {}  # should it be chosen
    return {"name": f"{of.name} · {part.label}", "purpose": {"of": of.id, "part": part.label, "key": part.key, **keeps}}


def _tidy(now: Needed) -> None:
    """Once nothing is to be done any more, nothing is kept of trials but their numbers."""
    for part in now.parts if now.complete else ():
        if part.run is not None and part.run.purpose.get("keeps"):
            shutil.rmtree(part.run.folder / "checkpoints", ignore_errors=True)


Plans = Callable[[], Needed]
"""What is needed, as it stands now."""


def train_missing(
    plans: Plans,
    workspace: Workspace,
    tell: Callable[[Needed, PlannedTraining], Any] = lambda needed, part: None,
    listen: Callable[[Event], Any] = lambda event: None,
) -> None:
    """One after another, here and now; calling again goes on. tell: hears what is about to be trained. Ends early, with the training in
    state failed, where one fails. Raises RunError: the data has changed, or another process is at work on one of them."""
    now = plans()
    if not now.complete:
        check_data(now.of, workspace)
    while waiting := [part for part in now.distinct if part.state != "done"]:
        part = waiting[0]
        if part.state == "live":
            raise RunError(message("The run “{run}” is already being trained.", run=part.run.id if part.run else ""))
        tell(now, part)
        train_part(now.of, part, workspace, listen)
        now = plans()
        after = {p.state for p in now.distinct if p.key == part.key}
        if not after <= {"done", "untested"} or (part.state == "untested" and after == {"untested"}):
            break
    _tidy(now)


def train_part(of: Run, part: PlannedTraining, workspace: Workspace, listen: Callable[[Event], Any] = lambda event: None) -> RunState:
    target, resume = part.run, part.state == "interrupted"
    if target is not None and part.state == "untested":
        recorder = Recorder(target.folder)
        try:
            perform_evaluation(recorder, evaluation(target, workspace), Control(), listen)
        finally:
            recorder.close()
        return target.state
    if target is None or not resume:
        target = create_run(part.experiment, workspace, of.base, of.contained, _about(of, part))
    recorder = Recorder(target.folder)
    try:
        work = training(target, workspace, resume=resume and target.checkpoint("last") is not None)
        return perform(recorder, work, Control(), listen)
    finally:
        recorder.close()


def start(plans: Plans, workspace: Workspace) -> None:
    """Queues what is missing, and what depends on its outcome once that is there. Raises RunError as `train_missing`."""
    of = plans().of
    check_data(of, workspace)
    queued = _queue(plans, workspace, set())
    threading.Thread(target=_follow, args=(plans, workspace, queued), name=f"mtl-alone-{of.id}", daemon=True).start()


def _queue(plans: Plans, workspace: Workspace, tried: set[tuple[str, bool]]) -> set[tuple[str, bool]]:
    """(key, whether only the test split was wanted) of what was queued; those of `tried` have had their chance."""
    with _LOCK:
        now = plans()
        missing = [part for part in now.missing if (part.key, part.state == "untested") not in tried]
        for part in missing:
            if part.run is not None and part.state == "untested":
                jobs().evaluate(part.run.id, workspace)
            elif part.run is not None and part.state == "interrupted":
                jobs().resume(part.run.id, workspace)
            else:
                jobs().submit(part.experiment, workspace, now.of.base, contained=now.of.contained, about=_about(now.of, part))
    return {(part.key, part.state == "untested") for part in missing}


def _follow(plans: Plans, workspace: Workspace, queued: set[tuple[str, bool]]) -> None:
    while True:
        for part in plans().of_state("live"):
            if part.run is not None:
                jobs().wait(part.run.id)
        more = _queue(plans, workspace, queued)
        if not more:
            _tidy(plans())
            return
        queued |= more


def stop(plans: Plans) -> None:
    """What is at work or waiting in this process."""
    for part in reversed(plans().of_state("live")):
        control = jobs().control(part.run.id) if part.run is not None else None
        if control is not None and part.run is not None and part.run.purpose:
            control.stop()
