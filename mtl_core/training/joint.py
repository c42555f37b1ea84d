"""Forward and back for rows of several tasks: their losses, and of all parameters the gradients that the strategy makes of them.

For strategies on gradients the tasks go through the encoder one after another, each forward and back: as the rows of a step belong
to one task each, K task gradients cost the arithmetic of one pass over all of them, and the graph of one task is gone before that
of the next is made. Where tasks share a table, a text that several of them use in a step is encoded once for each: its part in a
task's gradient comes through that task's vectors only, so the gradients are those of the tasks alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mtl_core.balancing import BALANCING, GradientBalancing, LossBalancing
from mtl_core.balancing.fixed import FixedWeights
from mtl_core.config.parts import BalancingConfig
from mtl_core.data.compiled import RowBlock
from mtl_core.model.multitask import MultiTaskModel
from mtl_core.model.packing import on_device
from mtl_core.runtime.batches import StepBatch
from mtl_core.runtime.devices import random_state, set_random_state
from mtl_core.runtime.lanes import Lanes
from mtl_core.runtime.prepare import PreparedTask
from mtl_core.tasks.heads import TaskBatch
from mtl_core.training.events import Compared
from mtl_core.training.gradients import TaskGradients
from mtl_core.training.passes import Pass


@dataclass(frozen=True)
class Found:
    """names: the tasks that have rows; losses, effective: (K,) in that order; total: the joint loss.

    left_out: tasks whose shared gradient was zero or not finite; fell_back: the strategy found no weights.
    """

    names: list[str]
    losses: Tensor
    effective: Tensor
    total: Tensor
    left_out: list[str] = field(default_factory=list)
    fell_back: bool = False


class Joint:
    def __init__(self, model: MultiTaskModel, lanes: Lanes, tasks: Mapping[str, PreparedTask], options: BalancingConfig):
        self.model, self.lanes, self.tasks = model, lanes, tasks
        self._places = {name: place for place, name in enumerate(tasks)}
        strategy = BALANCING[options.name] if len(tasks) > 1 else FixedWeights
        self.balancing = strategy(len(tasks), options.options, lanes.device)
        self._gradients = TaskGradients()
        self.apart = isinstance(self.balancing, GradientBalancing)

    @cached_property
    def _splits(self) -> bool:
        return not self.model.sharing.by_task and self.model.encoder.splits()

    def parts(self, blocks: Mapping[str, RowBlock], apart: bool | None = None) -> list[Mapping[str, RowBlock]]:
        """How the rows of a step go through the encoder: together, or task by task. apart: whether task gradients are wanted (None: as
        the strategy works on them)."""
        apart = self.apart if apart is None else apart
        by_task = self.model.sharing.by_task or (apart and not self._splits)
        return [{name: block} for name, block in blocks.items()] if by_task else [blocks]

    def gradients(self, batches: Sequence[StepBatch], weights: Mapping[str, float]) -> Found:
        """Forward and back; sets the `.grad` of all parameters. batches: as by `parts`; weights: task → its loss weight."""
        encoder = self.model.encoder
        if encoder.embeddings.requires_grad:
            encoder.begin_sparse_rows(np.unique(np.concatenate([batch.token_ids for batch in batches])))
        if isinstance(self.balancing, LossBalancing):
            return self._by_losses(self.balancing, batches, weights)
        assert isinstance(self.balancing, GradientBalancing)
        return self._by_gradients(self.balancing, batches, weights)

    @torch.no_grad()
    def observe_update(self, batches: Sequence[StepBatch], found: Found) -> None:
        """After the update: the losses of the same rows once more, for a strategy that learns from them."""
        if isinstance(self.balancing, LossBalancing) and self.balancing.watches_update:
            places = [p for p, effective in enumerate(found.effective.tolist()) if effective > 0]
            after = []
            for batch in batches:
                self._switch(batch)
                after.append(self._losses(self.lanes.encode(batch.packed), batch))
            losses = torch.cat(after)[places]
            with torch.enable_grad():
                self.balancing.updated(losses, self._at([found.names[p] for p in places]))

    def compare(self, batches: Sequence[StepBatch], weights: Mapping[str, float], step: int, rate: float = 0.0, turn: int = 0) -> Compared:
        """How the tasks' gradients stand to each other at the model as it is; changes nothing. batches: as by `parts`, apart.

        rate: of a step that is taken for a look at the losses behind it, and taken back (0: none); turn: whose, counted through the tasks.
        """
        encoder = self.model.encoder
        rows = self._gradients if isinstance(self.balancing, GradientBalancing) else TaskGradients()  # K × P floats, held for the look only
        if encoder.embeddings.requires_grad:
            encoder.begin_sparse_rows(np.unique(np.concatenate([batch.token_ids for batch in batches])))
        names = [name for batch in batches for name in batch.tasks]
        factors = {name: float(weights[name] > 0) for name in names}
        self._task_gradients(rows, batches, factors, heads=False)
        layers = rows.gramians(self.model.parts())
        kept = [name for name in names if factors[name]]
        total = sum(layers.values(), np.zeros(2 * rows.matrix.shape[:1]))
        affinity = {}
        if rate and kept and total.diagonal()[turn % len(kept)] > 0:  # along a gradient of zero there is no step
            changes = dict(zip(names, self._look_ahead(rows, turn % len(kept), batches, rate).tolist(), strict=True))
            affinity[kept[turn % len(kept)]] = {name: changes[name] for name in kept}
        encoder.end_sparse_rows()
        return Compared(
            step, kept, np.sqrt(np.diag(total)).tolist(), _cosines(total), {part: _cosines(g) for part, g in layers.items()}, affinity
        )

    @torch.no_grad()
    def _look_ahead(self, rows: TaskGradients, row: int, batches: Sequence[StepBatch], rate: float) -> Tensor:
        """(K,): 1 - L(θ - rate · g) / L(θ) for each task's loss L, where g is the row, which is lost; θ, the shared parameters, is not.

        "Efficiently Identifying Task Groupings for Multi-Task Learning", https://arxiv.org/abs/2109.04617.
        """
        learning, random = self.model.shared(), random_state(self.lanes.device)

        def losses() -> Tensor:
            """In float32: one step changes losses by less than bfloat16 can tell. With the same dropout every time."""
            set_random_state(self.lanes.device, random)
            found = []
            for batch in batches:
                self._switch(batch)
                found.append(self._losses(self.lanes.encode(batch.packed, "float32"), batch))
            return torch.cat(found).cpu().double()

        before, here = losses(), [p.data for p in learning]
        try:
            for parameter, ahead in zip(learning, rows.turn_into_step(row, rate), strict=True):
                parameter.data = ahead
            return 1 - losses() / before
        finally:
            for parameter, data in zip(learning, here, strict=True):
                parameter.data = data

    def _task_gradients(self, rows: TaskGradients, batches: Sequence[StepBatch], factors: Mapping[str, float], heads: bool) -> Tensor:
        """Fills a row for each task with a factor above 0: of its loss times the factor. heads: whether theirs are set. → (K,) losses."""
        row_of = {name: row for row, name in enumerate(name for batch in batches for name in batch.tasks if factors[name] > 0)}
        rows.begin(self.model.shared(), len(row_of))
        losses = []
        for batch in batches:
            self._switch(batch)
            encoded = Pass(self.lanes, batch.packed)
            for name, inputs in batch.tasks.items():
                loss = self._loss(name, encoded.vectors, inputs)
                losses.append(loss.detach())
                if name in row_of:
                    self._back(loss * factors[name], encoded.vectors, self.model.own(name) if heads else [], rows, row_of[name])
            if self._splits:
                encoded.by_task(rows, np.array([row_of.get(name, -1) for name in batch.tasks])[batch.owners])
            elif (row := row_of.get(next(iter(batch.tasks)))) is not None:
                for parameter, gradient in zip(self.model.encoder.learning(), encoded.gradients(), strict=True):
                    if gradient is not None:
                        rows.put(row, parameter, gradient)
            if not heads:
                for adapter in self.model.encoder.own():
                    adapter.grad = None
        return torch.stack(losses)

    def _back(self, loss: Tensor, vectors: Tensor, own: Sequence[Tensor], rows: TaskGradients, row: int) -> None:
        """From the loss of one task to the text vectors, to what is its `own`, and to the shared parameters above the encoder: into the
        row."""
        shared = self.model.sharing.shared()
        ends = [*shared, *own, *([vectors] if vectors.requires_grad else [])]
        if not (ends and loss.requires_grad):
            return
        found = iter(torch.autograd.grad(loss, ends, allow_unused=True))
        for parameter in shared:
            if (gradient := next(found)) is not None:
                rows.put(row, parameter, gradient)
        for end in own:
            end.grad = next(found)
        for gradient in found:  # of the vectors, each of which belongs to one task
            if gradient is not None:
                vectors.grad = gradient if vectors.grad is None else vectors.grad.add_(gradient)

    def _loss(self, name: str, vectors: Tensor, inputs: TaskBatch) -> Tensor:
        """The mean loss of a task."""
        return self._mean_loss(name, self.model.logits(name, vectors, inputs), inputs)

    def _losses(self, vectors: Tensor, batch: StepBatch) -> Tensor:
        """(K,): of each task of the batch."""
        logits = self.model.logits_of(vectors, batch.tasks)
        return torch.stack([self._mean_loss(name, logits[name], inputs) for name, inputs in batch.tasks.items()])

    def _mean_loss(self, name: str, logits: Tensor, inputs: TaskBatch) -> Tensor:
        task = self.tasks[name]
        return task.kind.head.loss(logits, inputs, task.spec, task.options).mean()

    def _at(self, names: Sequence[str]) -> Tensor:
        return on_device([self._places[name] for name in names], self.lanes.device)

    def _switch(self, batch: StepBatch) -> None:
        """The encoder works on this batch from now on; where its tasks differ to it, there is one."""
        self.model.sharing.switch(next(iter(batch.tasks)))

    def _by_losses(self, balancing: LossBalancing, batches: Sequence[StepBatch], weights: Mapping[str, float]) -> Found:
        """batches: one, or where the encoder differs by task one a task, whose graphs then live side by side."""
        names = [name for batch in batches for name in batch.tasks]
        passes, parts = [], []
        for batch in batches:
            self._switch(batch)
            passes.append(Pass(self.lanes, batch.packed))
            parts.append(self._losses(passes[-1].vectors, batch))
        losses = torch.cat(parts)
        losses.retain_grad()
        w = on_device([float(weights[name]) for name in names], self.lanes.device)
        counting = [p for p, name in enumerate(names) if weights[name] > 0]
        total = (losses * w).sum()  # what is left where every weight is 0
        if counting:
            places = on_device(counting, self.lanes.device)
            total = balancing.combine(losses[places], w[places], self._at([names[p] for p in counting]))
        total.backward()
        for batch, encoded in zip(batches, passes, strict=True):
            self._switch(batch)
            encoded.backward()
        balancing.learn()
        assert losses.grad is not None  # retained
        return Found(names, losses.detach(), losses.grad, total.detach())

    def _by_gradients(self, balancing: GradientBalancing, batches: Sequence[StepBatch], weights: Mapping[str, float]) -> Found:
        """A head's gradient is that of its task's loss times the loss weight."""
        names = [name for batch in batches for name in batch.tasks]
        counting = [p for p, name in enumerate(names) if weights[name] > 0]
        rows = self._gradients
        stacked = self._task_gradients(rows, batches, weights, heads=True)
        if not rows.matrix.numel():  # nothing is shared that learns: the heads have their gradients
            effective = torch.tensor([weights[name] for name in names]).to(stacked)
            return Found(names, stacked, effective, (stacked * effective).sum())
        effective = torch.zeros(len(names), dtype=torch.float64)
        w = np.array([weights[names[p]] for p in counting])
        gramian = rows.gramian() / np.outer(w, w)
        squared = np.diag(gramian)
        sound = np.flatnonzero((squared > 0) & np.isfinite(squared))
        for p, length in zip(counting, squared, strict=True):
            if not np.isfinite(length):
                for parameter in self.model.own(names[p]):
                    parameter.grad = None
        fell_back = False
        if len(sound):
            used = [counting[k] for k in sound]
            values = stacked[used].cpu().double().numpy()
            places = np.array([self._places[names[p]] for p in used])
            decision = balancing.decide(gramian[np.ix_(sound, sound)], w[sound], values, places)
            matrix = rows.matrix if len(sound) == len(counting) else rows.matrix[torch.from_numpy(sound).to(stacked.device)]
            update, factors = balancing.combine(matrix, decision.effective / w[sound])  # the rows have their weights already
            rows.hand_over(update)
            effective[used] = torch.from_numpy(factors * w[sound])
            fell_back = decision.fell_back
        effective = effective.to(stacked)
        left_out = [names[p] for k, p in enumerate(counting) if k not in sound]
        return Found(names, stacked, effective, (stacked * effective).sum(), left_out, fell_back)


def _cosines(gramian: np.ndarray) -> list[list[float]]:
    lengths = np.sqrt(np.diag(gramian))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (gramian / np.outer(lengths, lengths)).tolist()
