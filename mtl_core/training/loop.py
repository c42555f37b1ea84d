"""Joint training: L(θ) = Σ_k w_k · L_k(θ), one step over rows of all tasks at once.

    for event in train(experiment, prepared, control, folder): ...

A step draws rows of every table, sends each distinct text once through the shared encoder, whatever task it is from, hands the
vectors to the tasks' heads, and takes each task's mean loss over its rows of the step. Nothing here knows of threads, MLflow or
screens: whoever consumes the events does.
"""

import gc
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_core.balancing.fixed import FixedWeights
from mtl_core.base import room
from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import N_, message
from mtl_core.config.experiment import Experiment
from mtl_core.config.steering import differences, differing, steered
from mtl_core.data.compiled import RowBlock
from mtl_core.data.problems import Problem, Severity
from mtl_core.data.shares import SAMPLING
from mtl_core.evaluation.metrics import Metrics
from mtl_core.runtime.batches import assemble
from mtl_core.runtime.devices import device_of, memory_bytes, precision_of
from mtl_core.runtime.lanes import Lanes
from mtl_core.runtime.prepare import Prepared, new_model
from mtl_core.runtime.scoring import Evaluator
from mtl_core.runtime.steps import disk_bytes, forget_after, go_back, places, prune, read_manifest, step_folder
from mtl_core.training.checkpoints import State, checkpoint_bytes, load_newest, save_checkpoint
from mtl_core.training.control import Control
from mtl_core.training.drawing import Drawing
from mtl_core.training.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Failed,
    Finished,
    Gated,
    Paused,
    Resumed,
    RowsMade,
    Started,
    Steered,
    StepDone,
    TaskEnded,
)
from mtl_core.training.final import Final, check_data
from mtl_core.training.joint import Joint
from mtl_core.training.mining import Made, from_tensors, mine, to_tensors
from mtl_core.training.optimizer import Optimizer
from mtl_core.training.pseudo_labels import guess
from mtl_core.training.selection import CheckpointSelector

SPLITS = ("train", "validation", "test")
_MAKERS: dict[str, Callable[..., Made]] = {"mined": mine, "pseudo-labelled": guess}
_NOT_FINITE_ADVICE = N_(
    "The last good checkpoint is kept. Lower the learning rate or the task's weight, and look for extreme values in its data."
)
_OUT_OF_MEMORY_ADVICE = N_(
    "Start again with fewer tokens per micro-batch, a smaller batch size or a shorter max sequence length; the memory is free again."
)


def train(
    experiment: Experiment, prepared: Prepared, control: Control | None = None, folder: Path | None = None, resume: bool = False
) -> Iterator[Event]:
    """Trains, yielding events; the last one is Finished or Failed.

    control: read between steps. folder: the run's, for checkpoints (None: none are kept, and the last model is tested); one that is
    removed on the way is not made again.
    resume: go on from the newest checkpoint that is whole; the numbers are those of a run that never stopped (bit for bit on the CPU).
    """
    control = control or Control()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        while (back := (yield from Trainer(experiment, prepared, control, folder, resume).run())) is not None and folder:
            go_back(folder, back)
            resume = True
        return
    except torch.OutOfMemoryError as error:
        text = str(error).splitlines()[0]
    gc.collect()  # with the error gone, nothing holds the frames in which the model and its activations lay
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    yield Failed(-1, "out_of_memory", text, _OUT_OF_MEMORY_ADVICE)


def _edited(paths: Mapping[str, tuple[Any, Any]]) -> Problem:
    """Of an experiment that is not the one that the checkpoint was trained with. path → (now, then)."""
    changes = ", ".join(f"{path}: {then} → {now}" for path, (now, then) in paths.items())
    why = message(
        "The experiment of this run was edited after it had begun ({changes}). Steps before and after differ in that.", changes=changes
    )
    remedy = message("Start a new run with these settings, unless that is meant. The number of steps stays as it was.")
    return Problem(Severity.WARNING, "experiment_edited", why, remedy, "experiment.yaml")


class NotFinite(Exception):
    """What, the loss of a task or the joint gradient, was found not to be finite; of the gradient, task is that with the largest loss."""

    def __init__(self, step: int, task: str, value: float, gradient: bool = False):
        what = f"The gradient (the largest loss is that of task {task})" if gradient else f"The loss of task {task}"
        super().__init__(f"{what} became {value} in step {step}.")
        self.step, self.task = step, task


class Trainer:
    """What `train` and a probe of it drive."""

    def __init__(self, experiment: Experiment, prepared: Prepared, control: Control, folder: Path | None, resume: bool):
        self.experiment, self.prepared, self.control, self.folder = experiment, prepared, control, folder
        self.options = experiment.training
        self.device = device_of(self.options.device)
        self.precision = precision_of(self.options.precision, self.device)
        self.rows = {name: task.rows for name, task in prepared.tasks.items()}
        self.stores = {name: {**task.rows.stores, **task.varied} for name, task in prepared.tasks.items()}
        self.drawing = Drawing(experiment, prepared)
        self.sampler = self.drawing.sampler
        self.state = State(
            n_steps=self.options.steps or max(1, round(self.options.epochs * self.drawing.epoch)),
            weights={name: task.weight for name, task in experiment.tasks.items()},
        )
        self.resumed: Resumed | None = None
        self.saved: Path | None = None
        optimizer_tensors = self._load() if resume else None
        if self.state.changes:
            self._use(steered(experiment, self.state.changes))
        if not resume:
            self.model = new_model(experiment, prepared)
        self.model.to(self.device).train()
        self.lanes = Lanes(self.model.encoder, self.device, self.precision)
        self.template = self.model.encoder.template(prepared.tokenizer)
        self.optimizer = Optimizer(self.model, self.experiment.optimizer, experiment.schedule, self.state.n_steps)
        if optimizer_tensors is not None:
            self.optimizer.load(optimizer_tensors, self.state.optimizer)
            self.sampler.state = self.state.sampler
        self.joint = Joint(self.model, self.lanes, prepared.tasks, experiment.balancing)
        primaries = {name: task.kind.primary for name, task in prepared.tasks.items()}
        self.selector = CheckpointSelector(self.experiment.early_stopping, experiment.task_stopping, primaries)
        if resume:
            self.joint.balancing.load(self.state.balancing)
            self.selector.load(self.state.judge)
        self.evaluator = Evaluator(self.model, self.lanes, self.template, prepared, self.options, experiment.seed)
        self.evaluator.tuned = self.state.tuned
        self.every = self.options.interval(self.state.n_steps)
        self.started = time.monotonic() - self.state.seconds
        self.pending: tuple[StepDone, list[str], Tensor] | None = None

    def _load(self) -> dict[str, Tensor] | None:
        if self.folder is None:
            raise ValueError("A run without a folder has no checkpoint to resume from.")
        loaded, damaged = load_newest(self.folder)
        self.model, self.state = loaded.model, loaded.state
        self.drawing.put(from_tensors(loaded.made))
        self.saved = step_folder(self.folder, self.state.step)
        self.resumed = Resumed(self.state.step, True, damaged, read_manifest(self.saved).journal)
        if edited := differences(steered(self.experiment, self.state.changes), loaded.experiment):
            self.prepared.problems.append(_edited(edited))
        check_data(self.prepared, loaded.specs, self.state.tuned)
        return loaded.optimizer

    def run(self) -> Generator[Event, None, int | None]:
        """Returns the step to go back to, None at the end."""
        trainable = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        sizes = {name: {split: len(data.rows(split)) for split in SPLITS} for name, data in self.rows.items()}
        state = self.state
        if self.folder is not None:
            needed = disk_bytes(*checkpoint_bytes(self.model), self.options.keep)
            room.require(self.folder, needed - room.held(self.folder / "checkpoints"))
        if self.resumed is not None and self.folder is not None:
            forget_after(self.folder, state.step)
            yield self.resumed
        yield Started(
            state.step,
            state.n_steps,
            str(self.device),
            self.precision,
            sizes,
            trainable,
            sum(p.numel() for p in self.model.parameters()),
            dict(state.weights),
            dict(state.drawn),
            self.prepared.datasets,
            [problem.to_json() for problem in self.prepared.problems if problem.severity is Severity.WARNING],
        )
        try:
            if self.resumed is None:
                yield from self._evaluate()
            return (yield from self._steps())
        except NotFinite as found:
            yield Failed(
                found.step,
                "not_finite",
                str(found),
                _NOT_FINITE_ADVICE,
                found.task,
            )
        finally:
            self.lanes.close()
        return None

    def _steps(self) -> Generator[Event, None, int | None]:
        state = self.state
        why = "steps"
        while state.step < state.n_steps:
            if self.control.paused:
                yield from self._flush()
                yield from self._save()
                yield Paused(state.step)
                self.control.wait_while_paused()
                yield Resumed(state.step)
                continue
            commands = self.control.take(state.step)
            if commands.stop:
                why = "asked"
                break
            if commands.back is not None and self.folder is not None and commands.back in places(self.folder):
                yield from self._flush()
                return commands.back
            for changes in commands.changes:
                yield from self._steer(changes)
            yield from self._step()
            if state.step % self.every == 0 or commands.evaluate or state.step == state.n_steps:
                yield from self._evaluate()
                patience = self.experiment.early_stopping.patience
                if (patience and state.without_gain >= patience) or self.selector.over:
                    why = "patience"
                    break
        yield from self._flush()
        yield from self._finish(why)
        return None

    def _steer(self, changes: Mapping[str, Any]) -> Iterator[Event]:
        """What a person changed holds from the next step on; before it a checkpoint is taken, unless one was in this step."""
        yield from self._flush()
        step = self.state.step
        try:
            wanted = steered(self.experiment, changes)
            old, new = differing(self.experiment, wanted)
        except ExperimentError as error:
            yield Steered(step + 1, {}, dict(changes), refused=str(error))
            return
        if not new:
            return
        if step not in self.state.places:
            yield from self._save()
            self.state.places.append(step)
        self._use(wanted)
        self.optimizer.change(wanted.optimizer)
        self.state.changes |= new
        yield Steered(step + 1, old, new, checkpoint=None if self.folder is None else step_folder(self.folder, step).name)

    def _use(self, experiment: Experiment) -> None:
        """Takes over what may be steered."""
        if experiment.sampling != self.experiment.sampling:
            self.sampler.change(SAMPLING[experiment.sampling.name], experiment.sampling.options)
        self.experiment = experiment
        self.state.weights = {name: task.weight for name, task in experiment.tasks.items()}

    def _step(self) -> Iterator[Event]:
        """Draws, goes forward and back, updates. Losses are read one step later on a GPU, so that it never waits for the screen."""
        state = self.state
        resting = self.selector.resting(state.step)
        yield from self._make(resting)
        begun, seed = time.perf_counter(), self.experiment.seed * 1_000_003 + state.step
        torch.manual_seed(seed)
        drawn = self.drawing.draw(state.step, state.step / state.n_steps, resting)
        for name, n in drawn.rows.items():
            state.drawn[name] = state.drawn.get(name, 0) + n - drawn.guessed.get(name, 0)
        interval, _ = self.experiment.diagnostics.looks(state.n_steps)
        if interval and state.step % interval == 0 and sum(state.weights[name] > 0 for name in drawn.blocks) > 1 and self.model.shared():
            yield from self._compare(drawn.blocks, seed)
            torch.manual_seed(seed)  # a look changes nothing
            begun = time.perf_counter()
        batches = [
            assemble(
                part, self.stores, self.template, self.options.max_tokens_per_micro_batch, self.device, self.lanes.n, self.joint.apart, seed
            )
            for part in self.joint.parts(drawn.blocks)
        ]
        found = self.joint.gradients(batches, state.weights)
        rate, norm = self.optimizer.step(state.step)
        self.model.encoder.end_sparse_rows()
        self.joint.observe_update(batches, found)
        state.step += 1
        yield from self._flush()
        done = StepDone(
            step=state.step,
            losses={},
            total_loss=0.0,
            learning_rate=rate,
            gradient_norm=0.0,
            rows=drawn.rows,
            tokens=sum(batch.tokens for batch in batches),
            seconds=time.perf_counter() - begun,
            memory_bytes=memory_bytes(self.device),
            left_out=found.left_out,
            fell_back=found.fell_back,
            guessed=drawn.guessed,
        )
        self.pending = done, found.names, torch.cat([found.losses, found.effective, torch.stack([found.total, norm])])
        if self.device.type != "cuda":
            yield from self._flush()

    def _make(self, resting: Collection[str]) -> Iterator[Event]:
        """Rows made by the model as it is now, of the tasks whose turn it is."""
        step, budget = self.state.step, self.options.max_tokens_per_micro_batch
        for how, due in self.drawing.due(step, self.state.n_steps).items():
            tasks = {name: task for name, task in self.prepared.tasks.items() if name in due and name not in resting}
            if not tasks:
                continue
            yield from self._flush()
            begun = time.perf_counter()
            made = {
                name: _MAKERS[how](self.model, self.lanes, name, task, due[name], self.template, budget) for name, task in tasks.items()
            }
            self.drawing.put(made)
            yield RowsMade(step, how, {name: len(found.rows) for name, found in made.items()}, time.perf_counter() - begun)

    def _compare(self, blocks: Mapping[str, RowBlock], salt: int) -> Iterator[Event]:
        """How the tasks' gradients agree on the rows of this step. salt: of what is drawn in it."""
        yield from self._flush()
        budget, n = self.options.max_tokens_per_micro_batch, self.lanes.n
        batches = [
            assemble(p, self.stores, self.template, budget, self.device, n, True, salt) for p in self.joint.parts(blocks, apart=True)
        ]
        step, (every, ahead) = self.state.step, self.experiment.diagnostics.looks(self.state.n_steps)
        look, between = divmod(step // every - 1, ahead)  # not before the first step: a new head hands on no gradient to step along
        yield self.joint.compare(batches, self.state.weights, step, 0.0 if between or look < 0 else self.optimizer.rate(step), look)

    def _flush(self) -> Iterator[Event]:
        if self.pending is None:
            return
        done, names, numbers = self.pending
        self.pending = None
        *values, total, norm = numbers.tolist()
        losses, effective = values[: len(names)], values[len(names) :]
        for name, loss in zip(names, losses, strict=True):
            if not np.isfinite(loss):
                raise NotFinite(done.step, name, loss)
        if not np.isfinite(norm):
            raise NotFinite(done.step, max(zip(losses, names, strict=True))[1], norm, gradient=True)
        tables: dict[str, list[float]] = {}
        for name, loss in zip(names, losses, strict=True):
            tables.setdefault(self.prepared.tasks[name].data, []).append(loss)
        self.sampler.sampling.observe({table: float(np.mean(found)) for table, found in tables.items()})
        yield replace(
            done,
            losses=dict(zip(names, losses, strict=True)),
            total_loss=total,
            gradient_norm=norm,
            effective={} if isinstance(self.joint.balancing, FixedWeights) else dict(zip(names, effective, strict=True)),
        )

    def _evaluate(self) -> Iterator[Event]:
        """On the watched validation rows; keeps the best model and the last state."""
        yield from self._flush()
        begun, state = time.perf_counter(), self.state
        scored = self.evaluator.score(self.evaluator.watched)
        self.evaluator.tune(scored)
        metrics = self.evaluator.metrics(scored)
        selection = self.selector.update(state.step, metrics)
        if state.step == 0:
            state.before = metrics
        if selection.is_best:
            state.best_step, state.best, state.without_gain = state.step, metrics, 0
        else:
            state.without_gain += 1
        losses = {name: s.loss for name, s in scored.items()}
        yield Evaluated(state.step, "validation", losses, metrics, selection.objective, time.perf_counter() - begun, selection.is_best)
        if gates := {name: s.gates for name, s in scored.items() if s.gates}:
            yield Gated(state.step, gates)
        for name in selection.ended:
            yield TaskEnded(state.step, name, self.experiment.task_stopping.then, self.selector.peaks[name].step)
        yield from self._save()

    def _save(self) -> Iterator[Event]:
        """Everything that the next step depends on, unless this step has been saved."""
        state = self.state
        if self.folder is None or self.saved == step_folder(self.folder, state.step):
            return
        state.sampler, state.balancing, state.seconds = self.sampler.state, self.joint.balancing.state(), time.monotonic() - self.started
        state.judge, state.tuned = self.selector.state(), self.evaluator.tuned
        tensors, state.optimizer = self.optimizer.state()
        made, specs, journal = to_tensors(self.drawing.made), self.evaluator.specs(), self.control.synced()
        self.saved = save_checkpoint(
            self.folder, self.model, self.prepared.tokenizer, self.experiment, specs, state, tensors, made, journal, self.saved
        )
        prune(self.folder, self.options.keep, state.places)
        yield CheckpointSaved(state.step, self.saved.name, f"checkpoints/{self.saved.name}")

    def _finish(self, why: str) -> Iterator[Event]:
        """With the best model. The test split is looked at here and only here, if at all: not by a run that was stopped and may be resumed,
        whose test is for `evaluate` once it is kept."""
        state = self.state
        if why == "asked" and state.step % self.every:
            yield from self._evaluate()
        final = Final(self.evaluator, self.folder, self.options, state.step)
        if self.folder is not None and state.best_step != state.step:
            final.take(self.folder, "best")
        yield from final.validation()
        tested: Metrics = {}
        if self.options.test and (why != "asked" or self.folder is None):
            tested = yield from final.test(self.selector)
        yield from final.others()
        keeps = self.folder is not None and self.experiment.task_stopping.keep == "models"
        peaks = final.peaks(tested, self.selector, state.best_step) if tested and keeps else {}
        if self.folder is not None and why != "asked":
            prune(self.folder, 1, ())  # it will neither go on nor back
        seconds, ended = time.monotonic() - self.started, "stopped" if why == "asked" else "finished"
        yield Finished(state.step, ended, why, state.best_step, state.before, state.best, tested, seconds, peaks)
