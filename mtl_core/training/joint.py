"""Forward and back for rows of several tasks: their losses, and of all parameters the gradients that the strategy makes of them.

For strategies on gradients the tasks go through the encoder one after another, each forward and back: as the rows of a step belong
to one task each, K task gradients cost the arithmetic of one pass over all of them, and the graph of one task is gone before that
of the next is made. Where tasks share a table, a text that several of them use in a step is encoded once for each: its part in a
task's gradient comes through that task's vectors only, so the gradients are those of the tasks alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mtl_core.balancing import BALANCING, GradientBalancing, LossBalancing
from mtl_core.balancing.fixed import FixedWeights
from mtl_core.data.compiled import RowBlock
from mtl_core.experiment_parts import Balancing
from mtl_core.model.multitask import MultiTaskModel
from mtl_core.training.batches import StepBatch
from mtl_core.training.events import Compared
from mtl_core.training.gradients import TaskGradients
from mtl_core.training.lanes import Lanes, Pass
from mtl_core.training.prepare import PreparedTask


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
    def __init__(self, model: MultiTaskModel, lanes: Lanes, tasks: Mapping[str, PreparedTask], options: Balancing):
        self.model, self.lanes, self.tasks = model, lanes, tasks
        self._places = {name: place for place, name in enumerate(tasks)}
        strategy = BALANCING[options.name] if len(tasks) > 1 else FixedWeights
        self.balancing = strategy(len(tasks), options.options, lanes.device)
        self._gradients = TaskGradients()

    def parts(self, blocks: Mapping[str, RowBlock]) -> list[Mapping[str, RowBlock]]:
        """How the rows of a step go through the encoder: together, or task by task."""
        apart = isinstance(self.balancing, GradientBalancing) or self.model.sharing.by_task
        return [{name: block} for name, block in blocks.items()] if apart else [blocks]

    def gradients(self, batches: Sequence[StepBatch], weights: Mapping[str, float]) -> Found:
        """Forward and back; sets the `.grad` of all parameters. batches: as by `parts`; weights: task → its loss weight."""
        encoder = self.model.encoder
        if encoder.embeddings.requires_grad:
            encoder.open_rows(np.unique(np.concatenate([batch.token_ids for batch in batches])))
        if isinstance(self.balancing, LossBalancing):
            return self._by_losses(self.balancing, batches, weights)
        assert isinstance(self.balancing, GradientBalancing)
        return self._by_gradients(self.balancing, batches, weights)

    @torch.no_grad()
    def look_back(self, batches: Sequence[StepBatch], found: Found) -> None:
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

    def compare(self, batches: Sequence[StepBatch], weights: Mapping[str, float], step: int) -> Compared:
        """How the tasks' gradients stand to each other at the model as it is; changes nothing. batches: one a task."""
        encoder = self.model.encoder
        rows = self._gradients if isinstance(self.balancing, GradientBalancing) else TaskGradients()  # K × P floats, held for the look only
        kept = [batch for batch in batches if weights[next(iter(batch.tasks))] > 0]
        if encoder.embeddings.requires_grad:
            encoder.open_rows(np.unique(np.concatenate([batch.token_ids for batch in kept])))
        rows.begin(self.model.shared(), len(kept))
        for batch in kept:
            self._switch(batch)
            encoded = Pass(self.lanes, batch.packed)
            (loss,) = self._losses(encoded.vectors, batch)
            sharing = self._back(loss, encoded, [])
            rows.add([*encoded.gradients(), *sharing])
            for parameter in encoder.own():
                parameter.grad = None
        layers = rows.gramians(self.model.parts())
        encoder.close_rows()
        total = sum(layers.values(), np.zeros((len(kept), len(kept))))
        return Compared(
            step,
            [next(iter(batch.tasks)) for batch in kept],
            np.sqrt(np.diag(total)).tolist(),
            _cosines(total),
            {part: _cosines(gramian) for part, gramian in layers.items()},
        )

    def _losses(self, vectors: Tensor, batch: StepBatch) -> Tensor:
        """(K,): the mean loss of each task of the batch."""
        losses, logits = [], self.model.logits_of(vectors, batch.tasks)
        for name, inputs in batch.tasks.items():
            task = self.tasks[name]
            losses.append(task.kind.loss(logits[name], inputs, task.spec, task.options).mean())
        return torch.stack(losses)

    def _back(self, loss: Tensor, encoded: Pass, own: Sequence[Tensor]) -> list[Tensor | None]:
        """From the loss of one task: sets the `.grad` of the vectors and of `own`; → the gradients of the sharing's shared parameters,
        whose `.grad` is left alone."""
        shared = self.model.sharing.shared()
        ends = [*shared, *own, *([encoded.vectors] if encoded.vectors.requires_grad else [])]
        if not (ends and loss.requires_grad):
            return [None] * len(shared)
        found = torch.autograd.grad(loss, ends, allow_unused=True)
        for end, gradient in zip(ends[len(shared) :], found[len(shared) :], strict=True):
            end.grad = gradient
        return list(found[: len(shared)])

    def _at(self, names: Sequence[str]) -> Tensor:
        return torch.tensor([self._places[name] for name in names], device=self.lanes.device)

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
        w = torch.tensor([weights[name] for name in names], device=self.lanes.device)
        counting = [p for p, name in enumerate(names) if weights[name] > 0]
        total = (losses * w).sum()  # what is left where every weight is 0
        if counting:
            total = balancing.combine(losses[counting], w[counting], self._at([names[p] for p in counting]))
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
        rows, losses = self._gradients, []
        rows.begin(self.model.shared(), len(counting))
        for place, (name, batch) in enumerate(zip(names, batches, strict=True)):
            self._switch(batch)
            encoded = Pass(self.lanes, batch.packed)
            (loss,) = self._losses(encoded.vectors, batch)
            losses.append(loss.detach())
            if place in counting:
                sharing = self._back(loss * weights[name], encoded, self.model.own(name))
                rows.add([*encoded.gradients(), *sharing])
        stacked = torch.stack(losses)
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
            values = stacked[used].double().cpu().numpy()
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
