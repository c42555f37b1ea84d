"""What comes of a trained model: reports and predictions on the validation split and, once, on the test split.

Usually a training's last act; `evaluate` does for the test split of a run that ended without it what its training would have done.
"""

import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import numpy as np

from mtl_core.config.experiment import Experiment
from mtl_core.config.parts import TrainingConfig
from mtl_core.config.steering import steered
from mtl_core.evaluation.metrics import Metrics
from mtl_core.evaluation.predictions import About, PredictedRows, write_predictions, write_report
from mtl_core.runtime.checkpoints import checkpoint_folder, load_model
from mtl_core.runtime.devices import device_of, precision_of
from mtl_core.runtime.lanes import Lanes
from mtl_core.runtime.prepare import Prepared
from mtl_core.runtime.scoring import Evaluator, Scored
from mtl_core.tasks.base import Spec
from mtl_core.training.checkpoints import load_state
from mtl_core.training.events import Evaluated, EvaluatedAfterwards, Event, Predicted, Reported
from mtl_core.training.selection import CheckpointSelector

BLOCK_ROWS = 4096  # of a file of predictions
ROWS_AT_ONCE = 1 << 16  # scored in one go, of those that no evaluation looked at


class Final:
    """folder: the run's; None: nothing is kept. step: of the events."""

    def __init__(self, evaluator: Evaluator, folder: Path | None, options: TrainingConfig, step: int):
        self.evaluator, self.folder, self.options, self.step = evaluator, folder, options, step

    def validation(self) -> Iterator[Event]:
        """Of the watched rows."""
        if self.folder is not None:
            yield from self._kept(self.folder, "validation", self.evaluator.score(self.evaluator.watched))

    def test(self, judge: CheckpointSelector) -> Generator[Event, None, Metrics]:
        """The one place where the test split is looked at, but for `peaks`."""
        begun = time.perf_counter()
        scored = self.evaluator.score({name: task.rows.rows("test") for name, task in self.evaluator.tasks.items()})
        metrics, seconds = self.evaluator.metrics(scored), time.perf_counter() - begun
        if self.folder is not None:
            yield from self._kept(self.folder, "test", scored)
        losses = {name: s.loss for name, s in scored.items()}
        yield Evaluated(self.step, "test", losses, metrics, judge.score(metrics), seconds)
        return metrics

    def others(self) -> Iterator[Event]:
        """Predictions of the rows that no evaluation looked at: of training, and of validation those that are not watched."""
        if self.folder is None or self.options.predictions != "all":
            return
        rows = {name: task.rows for name, task in self.evaluator.tasks.items()}
        watched = self.evaluator.watched
        unseen = {
            "train": {name: own.rows("train") for name, own in rows.items()},
            "rest": {name: np.setdiff1d(own.rows("validation"), watched[name], assume_unique=True) for name, own in rows.items()},
        }
        for part, numbers in unseen.items():
            begun = time.perf_counter()
            written = {name: write_predictions(self.folder, self._about(name, part), self._scored(name, n)) for name, n in numbers.items()}
            written = {name: n for name, n in written.items() if n}
            if written:
                yield Predicted(self.step, part, written, time.perf_counter() - begun, evaluated=False)

    def peaks(self, tested: Metrics, judge: CheckpointSelector, best_step: int) -> Metrics:
        """Test metrics of each task by the model of its own best step; the model is another one then. tested: by the run's best model."""
        assert self.folder is not None
        found = {name: metrics for name, metrics in tested.items() if judge.peaks[name].step == best_step}
        for name in (n for n in tested if n not in found):
            self.take(self.folder, f"peak-{name}")
            found |= self.evaluator.metrics(self.evaluator.score({name: self.evaluator.tasks[name].rows.rows("test")}))
        return {name: found[name] for name in tested}

    def take(self, folder: Path, name: str) -> None:
        """The model of a checkpoint, and what was tuned for it."""
        source = checkpoint_folder(folder, name)
        self.evaluator.model.load_state_dict(load_model(source).model.state_dict())
        self.evaluator.tuned = load_state(source).tuned

    def _kept(self, folder: Path, split: str, scored: Mapping[str, Scored]) -> Iterator[Event]:
        yield Reported(self.step, split, write_report(folder, split, self.evaluator.reports(scored)))
        if self.options.predictions == "none":
            return
        begun = time.perf_counter()
        written = {name: write_predictions(folder, self._about(name, split, one), self._blocks(name, one)) for name, one in scored.items()}
        yield Predicted(self.step, split, written, time.perf_counter() - begun)

    def _about(self, name: str, part: str, scored: Scored | None = None) -> About:
        task = self.evaluator.tasks[name]
        taken = scored.ranking.taken if scored is not None and scored.ranking else None
        options = task.options.model_dump(mode="json")
        return About(name, task.kind.name, part, self.step, self.evaluator.specs()[name], options, taken)

    def _scored(self, name: str, rows: np.ndarray) -> Iterator[PredictedRows]:
        """Rows as they come out of the model."""
        for start in range(0, len(rows), ROWS_AT_ONCE):
            scored = self.evaluator.score({name: rows[start : start + ROWS_AT_ONCE]})[name]
            scored.ranking = None  # of a part of the rows it would say nothing
            yield from self._blocks(name, scored)

    def _blocks(self, name: str, scored: Scored) -> Iterator[PredictedRows]:
        kind, spec, ranks, first = self.evaluator.tasks[name].kind, self.evaluator.specs()[name], None, None
        if (ranking := scored.ranking) is not None:
            place = np.searchsorted(scored.rows, ranking.rows)
            ranks, first = np.zeros(len(scored.rows), np.int32), np.full((len(scored.rows), ranking.first.shape[1]), -1, np.int32)
            ranks[place], first[place] = ranking.ranks, ranking.first
        for start in range(0, len(scored.rows), BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            scores = scored.scores[part]
            yield PredictedRows(
                rows=scored.rows[part],
                scores=scores,
                labels=scored.labels[part],
                groups=None if scored.groups is None else scored.groups[part],
                losses=scored.losses[part],
                answers=[next(iter(answer.values())) for answer in kind.report.answers(scores, spec)],
                ranks=None if ranks is None else ranks[part],
                first=None if first is None else first[part],
            )


def check_data(prepared: Prepared, specs: Mapping[str, Spec], tuned: Mapping[str, Spec]) -> None:
    """specs, tuned: of a checkpoint. Raises ValueError: the data has changed since."""
    for name, task in prepared.tasks.items():
        if task.spec | tuned.get(name, {}) != specs[name]:
            raise ValueError(f"The data of task {name!r} is not what the run was started with; start a new run.")


def evaluate(experiment: Experiment, prepared: Prepared, folder: Path) -> Iterator[Event]:
    """The test split of a run that has ended, by its best model; ends with EvaluatedAfterwards. experiment: as it began; folder: the run's.

    Raises FileNotFoundError: no checkpoint called best; ValueError: the data has changed.
    """
    begun, source = time.perf_counter(), checkpoint_folder(folder, "best")
    saved, best = load_model(source), load_state(source)
    check_data(prepared, saved.specs, best.tuned)
    try:
        last = load_state(checkpoint_folder(folder, "last"))
    except FileNotFoundError:  # only the best one was kept
        last = best
    now, device = steered(experiment, last.changes), device_of(experiment.training.device)
    lanes = Lanes(saved.model.to(device).encoder, device, precision_of(experiment.training.precision, device))
    try:
        template = saved.model.encoder.template(prepared.tokenizer)
        evaluator = Evaluator(saved.model, lanes, template, prepared, experiment.training, experiment.seed)
        evaluator.tuned = best.tuned
        judge = CheckpointSelector(
            now.early_stopping, experiment.task_stopping, {name: task.kind.primary for name, task in prepared.tasks.items()}
        )
        judge.load(last.judge)
        final = Final(evaluator, folder, experiment.training, last.step)
        metrics = yield from final.test(judge)
        kept = experiment.task_stopping.keep == "models"
        peaks = final.peaks(metrics, judge, last.best_step) if metrics and kept else {}
        yield EvaluatedAfterwards(last.step, metrics, time.perf_counter() - begun, peaks)
    finally:
        lanes.close()
