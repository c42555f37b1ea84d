"""Scores, losses and reports of a model on stored rows: what evaluation is made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from mtl_core.experiment_parts import Training
from mtl_core.model.encoder import Template
from mtl_core.model.multitask import MultiTaskModel
from mtl_core.tasks.base import Spec
from mtl_core.training.batches import assemble
from mtl_core.training.events import Metrics
from mtl_core.training.full_ranking import encode_once, rank_all
from mtl_core.training.lanes import Lanes
from mtl_core.training.prepare import Prepared, PreparedTask

ROWS_AT_ONCE = 2048  # of texts that are encoded already


@dataclass
class Scored:
    """Rows of one task. scores, labels: (R, ...), as by the kind's `scores` and `truth`; groups: (R,) or None; loss: mean over the rows.

    gates: expert → what the task gives it, the mean over the rows' distinct texts; empty without experts or without texts.
    ranked: metrics of a whole catalogue; empty where the kind ranks none.
    """

    scores: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None
    loss: float
    gates: dict[str, float] = field(default_factory=dict)
    ranked: dict[str, float] = field(default_factory=dict)


@torch.no_grad()
def score(
    model: MultiTaskModel, lanes: Lanes, name: str, task: PreparedTask, rows: np.ndarray, template: Template, micro_batch_tokens: int
) -> Scored:
    """The model is put into evaluation mode and back."""
    training = model.training
    model.train(False)
    scores, labels, groups, losses = [], [], [], []
    gates, ranked = dict[str, float](), dict[str, float]()
    n_texts = 0
    catalogue = task.kind.catalogue(task.options)
    try:
        model.sharing.switch(name)
        encoded = encode_once(lanes, task, template, micro_batch_tokens) if catalogue else None
        for block in _blocks(rows, ROWS_AT_ONCE if encoded else task.kind.rows_at_once):
            if encoded:
                vectors, inputs = encoded.batch(task.rows.take(block))
            else:
                blocks, stores = {name: task.rows.take(block)}, {name: task.rows.stores}
                batch = assemble(blocks, stores, template, micro_batch_tokens, lanes.device, lanes.n)
                vectors, inputs = lanes.encode(batch.packed), batch.tasks[name]
            logits = model.logits(name, vectors, inputs)
            texts = vectors[torch.cat([slot.index for slot in inputs.slots.values()]).unique()] if len(vectors) else vectors
            if len(texts) and (listens := model.sharing.listens(texts, name)):
                gates = {expert: gates.get(expert, 0.0) + len(texts) * share for expert, share in listens.items()}
                n_texts += len(texts)
            losses.append(task.kind.loss(logits, inputs, task.spec, task.options).float().cpu().numpy())
            scores.append(task.kind.scores(logits, inputs, task.spec))
            labels.append(task.kind.truth(inputs, task.spec))
            if inputs.groups is not None:
                groups.append(inputs.groups.cpu().numpy())
        if catalogue and encoded:
            ranked = rank_all(model, name, encoded, catalogue, rows[np.concatenate(labels) > 0.5])
    finally:
        model.train(training)
    return Scored(
        np.concatenate(scores),
        np.concatenate(labels),
        np.concatenate(groups) if groups else None,
        float(np.concatenate(losses).mean()),
        {expert: total / n_texts for expert, total in gates.items()},
        ranked,
    )


def _blocks(rows: np.ndarray, most: int) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), most):
        yield rows[start : start + most]


def sample_groups(rows: np.ndarray, groups: np.ndarray | None, most: int, seed: int) -> np.ndarray:
    """At most `most` of `rows`, drawn by whole groups (a ranking needs all of its candidates), in their own order; at least one group."""
    if len(rows) <= most:
        return rows
    rng = np.random.default_rng(seed)
    if groups is None:
        return np.sort(rng.choice(rows, most, replace=False))
    names, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = rng.permutation(len(names))
    taken = order[: max(1, int(np.searchsorted(counts[order].cumsum(), most, side="right")))]
    return rows[np.isin(codes, taken)]


class Evaluator:
    """A model in training, measured. watched: task → the validation rows that are looked at on the way; tuned: task → what was chosen on
    them (see `TaskKind.tuned`) for the model as it is."""

    def __init__(self, model: MultiTaskModel, lanes: Lanes, template: Template, prepared: Prepared, options: Training, seed: int):
        self.tasks, self.tuned = prepared.tasks, dict[str, Spec]()
        self._score = partial(score, model, lanes, template=template, micro_batch_tokens=options.micro_batch_tokens)
        self.watched = {
            name: sample_groups(rows := task.rows.rows("validation"), task.rows.take(rows).groups, options.evaluation_rows, seed)
            for name, task in self.tasks.items()
        }

    def score(self, rows: Mapping[str, np.ndarray]) -> dict[str, Scored]:
        """Of each task those rows; a task without any is left out."""
        return {name: self._score(name, self.tasks[name], numbers) for name, numbers in rows.items() if len(numbers)}

    def tune(self, scored: Mapping[str, Scored]) -> None:
        """scored: the watched rows."""
        tasks = {name: self.tasks[name] for name in scored}
        self.tuned = {n: tasks[n].kind.tuned(s.scores, s.labels, tasks[n].spec, tasks[n].options) for n, s in scored.items()}

    def specs(self) -> dict[str, Spec]:
        """With what was tuned."""
        return {name: task.spec | self.tuned.get(name, {}) for name, task in self.tasks.items()}

    def metrics(self, scored: Mapping[str, Scored]) -> Metrics:
        specs = self.specs()
        return {n: self.tasks[n].kind.evaluate(s.scores, s.labels, s.groups, specs[n]) | s.ranked for n, s in scored.items()}

    def reports(self, scored: Mapping[str, Scored]) -> dict[str, list[dict[str, Any]]]:
        """As JSON."""
        specs = self.specs()
        panels = {n: self.tasks[n].kind.report(s.scores, s.labels, s.groups, specs[n]) for n, s in scored.items()}
        return {n: [{"type": p.type, "title": p.title, "data": p.data} for p in found] for n, found in panels.items()}
