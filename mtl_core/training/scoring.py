"""Scores, losses and reports of a model on stored rows: what evaluation is made of."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from mtl_core.model.encoder import Template
from mtl_core.model.multitask import MultiTaskModel
from mtl_core.tasks.base import Panel
from mtl_core.training.batches import assemble
from mtl_core.training.lanes import Lanes
from mtl_core.training.prepare import PreparedTask


@dataclass
class Scored:
    """Rows of one task. scores, labels: (R, ...), as by the kind's `scores` and `truth`; groups: (R,) or None; loss: mean over the rows.

    gates: expert → what the task gives it, the mean over the rows' distinct texts; empty without experts or without texts.
    """

    scores: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None
    loss: float
    gates: dict[str, float] = field(default_factory=dict)


@torch.no_grad()
def score(
    model: MultiTaskModel, lanes: Lanes, name: str, task: PreparedTask, rows: np.ndarray, template: Template, micro_batch_tokens: int
) -> Scored:
    """The model is put into evaluation mode and back."""
    training = model.training
    model.train(False)
    scores, labels, groups, losses = [], [], [], []
    gates: dict[str, float] = {}
    n_texts = 0
    try:
        for block in _blocks(rows, task.kind.rows_at_once):
            batch = assemble({name: task.rows.take(block)}, {name: task.rows.stores}, template, micro_batch_tokens, lanes.device, lanes.n)
            inputs = batch.tasks[name]
            model.sharing.switch(name)
            vectors = lanes.encode(batch.packed)
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
    finally:
        model.train(training)
    return Scored(
        np.concatenate(scores),
        np.concatenate(labels),
        np.concatenate(groups) if groups else None,
        float(np.concatenate(losses).mean()),
        {expert: total / n_texts for expert, total in gates.items()},
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


def panels_json(panels: list[Panel]) -> list[dict[str, object]]:
    return [{"type": p.type, "title": p.title, "data": p.data} for p in panels]
