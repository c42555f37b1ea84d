"""Trainings of a benchmark, each done once: written to results.jsonl in the workspace as soon as it has ended, known by its key."""

import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, experiment_from_dict
from mtl_core.config.tables import store
from mtl_core.jobs import perform, training
from mtl_core.studies.compare import RunResult
from mtl_core.studies.comparisons import facts, key_of
from mtl_core.studies.verdicts import Mean, Trained
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Run, RunState, create_run
from mtl_core.training.control import Control
from mtl_core.training.events import StepDone

SIGNS = {"helps": "▲", "hurts": "▼", "not significant": ""}


@dataclass(frozen=True)
class Result:
    """A line of results.jsonl. step_seconds: median; seconds: the whole training with its evaluations."""

    label: str
    key: str
    seed: int
    experiment: dict[str, Any]
    tasks: dict[str, dict[str, dict[str, float]]]
    datasets: dict[str, str]
    rows: dict[str, dict[str, int]]
    examples: dict[str, int]
    steps: int
    computed: str
    step_seconds: float
    seconds: float

    @property
    def trained(self) -> Trained:
        return Trained(
            self.seed,
            RunResult(self.label, experiment_from_dict(self.experiment), self.tasks, self.datasets, self.rows),
            self.examples,
            self.computed,
        )


class Missing(Exception):
    """Asked for a report, and a training is not there."""


class Bench:
    """Trains what is wanted, unless a result with its key is there. used: those that were asked for."""

    def __init__(self, workspace: Workspace, report: bool):
        self.workspace, self.report = workspace, report
        self.tables = workspace.folder("tables")
        self.file = workspace.root / "results.jsonl"
        lines = self.file.read_text("utf-8").splitlines() if self.file.exists() else []
        self.results = {one.key: one for one in (Result(**json.loads(line)) for line in lines if line.endswith("}"))}
        self.used: dict[str, Result] = {}
        self.hashes: dict[str, str] = {}
        if report:
            self.hashes = {name: found for one in self.results.values() for name, found in one.datasets.items()}

    def __call__(self, label: str, experiment: Experiment) -> Result:
        if not self.hashes:
            self.hashes = {name: store(experiment, name, self.workspace, self.tables, False).hash for name in experiment.data}
        assert experiment.training.steps
        key = key_of(experiment, self.hashes, experiment.training.steps)
        if key not in self.results:
            if self.report:
                raise Missing
            self._train(label, key, experiment)
        self.used[key] = self.results[key]
        return self.results[key]

    def _train(self, label: str, key: str, experiment: Experiment) -> None:
        print(f"{time.strftime('%H:%M:%S')}  {label}", file=sys.stderr, flush=True)
        about = {"name": label, "purpose": {"of": self.workspace.root.name, "part": label, "key": key}}
        target = create_run(experiment, self.workspace, self.tables, about=about)
        recorder = Recorder(target.folder)
        state = perform(recorder, training(target, self.workspace, False), Control())
        recorder.close()
        done = target.refreshed()
        if state is not RunState.FINISHED:
            raise SystemExit(f"{label}: {done.error.message if done.error else state}")
        result = result_of(label, key, experiment, done)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")
        self.results[key] = result


def result_of(label: str, key: str, experiment: Experiment, done: Run) -> Result:
    known = facts(done)
    return Result(
        label=label,
        key=key,
        seed=experiment.seed,
        experiment=done.experiment.model_dump(mode="json"),
        tasks=done.result()["tasks"],
        datasets=done.datasets,
        rows={task: dict(parts) for task, parts in known.rows.items()},
        examples=dict(known.examples),
        steps=known.steps,
        computed=known.computed,
        step_seconds=statistics.median(event.seconds for event in done.events() if isinstance(event, StepDone)),
        seconds=done.seconds or 0.0,
    )


def write(folder: Path, name: str, table: pd.DataFrame) -> None:
    """A table of the benchmark, unless it is there."""
    if not (folder / name).exists():
        table.reset_index(drop=True).to_parquet(folder / f".{name}")
        (folder / f".{name}").rename(folder / name)


def signed(mean: Mean, pattern: str) -> str:
    return f"{mean.text(pattern)} {SIGNS[mean.verdict]}".rstrip()
