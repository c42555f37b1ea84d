"""Scores, losses and reports of a model on stored rows: what evaluation is made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_core.config.parts import TrainingConfig
from mtl_core.evaluation.metrics import Metrics
from mtl_core.model.encoder import Template
from mtl_core.model.multitask import MultiTaskModel
from mtl_core.runtime.batches import assemble
from mtl_core.runtime.full_ranking import Ranking, encode_once, rank_all
from mtl_core.runtime.lanes import Lanes
from mtl_core.runtime.prepare import Prepared, PreparedTask
from mtl_core.tasks.base import Catalogue, Spec
from mtl_core.tasks.heads import TaskBatch

ROWS_AT_ONCE = 2048  # of texts that are encoded already


@dataclass
class Scored:
    """Rows of one task. rows: (R,) their numbers; scores, labels: (R, ...), as by the kind's `scores` and `truth`; groups: (R,) or None;
    losses: (R,) float32.

    gates: expert → what the task gives it, the mean over the rows' distinct texts; empty without experts or without texts.
    ranking: of a whole catalogue; None where the kind ranks none.
    """

    rows: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None
    losses: np.ndarray
    gates: dict[str, float] = field(default_factory=dict)
    ranking: Ranking | None = None

    @property
    def loss(self) -> float:
        """The mean over the rows."""
        return float(self.losses.mean())

    @property
    def ranked(self) -> dict[str, float]:
        """Metrics of a whole catalogue."""
        return self.ranking.metrics() if self.ranking else {}


@dataclass
class _Found:
    """What comes of one task's rows, block by block."""

    model: MultiTaskModel
    name: str
    task: PreparedTask
    scores: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    groups: list[np.ndarray] = field(default_factory=list)
    losses: list[np.ndarray] = field(default_factory=list)
    gates: dict[str, float] = field(default_factory=dict)
    n_texts: int = 0

    def add(self, vectors: Tensor, inputs: TaskBatch, logits: Any) -> None:
        kind, spec = self.task.kind, self.task.spec
        texts = vectors[torch.cat([slot.index for slot in inputs.slots.values()]).unique()] if len(vectors) else vectors
        if len(texts) and (gate_weights := self.model.sharing.gate_weights(texts, self.name)):
            self.gates = {expert: self.gates.get(expert, 0.0) + len(texts) * share for expert, share in gate_weights.items()}
            self.n_texts += len(texts)
        self.losses.append(kind.head.loss(logits, inputs, spec, self.task.options).float().cpu().numpy())
        self.scores.append(kind.head.scores(logits, inputs, spec))
        self.labels.append(kind.head.truth(inputs, spec))
        if inputs.groups is not None:
            self.groups.append(inputs.groups.cpu().numpy())

    def scored(self, rows: np.ndarray, ranking: Ranking | None) -> Scored:
        return Scored(
            rows,
            np.concatenate(self.scores),
            np.concatenate(self.labels),
            np.concatenate(self.groups) if self.groups else None,
            np.concatenate(self.losses),
            {expert: total / self.n_texts for expert, total in self.gates.items()},
            ranking,
        )


@torch.no_grad()
def score(
    model: MultiTaskModel,
    lanes: Lanes,
    tasks: Mapping[str, PreparedTask],
    rows: Mapping[str, np.ndarray],
    template: Template,
    micro_batch_tokens: int,
) -> dict[str, Scored]:
    """rows: task → (n,) which of its rows, n ≥ 1, ascending. The model is put into evaluation mode and back.

    Tasks of one table go through it together: a text that several of them read is encoded once.
    """
    training, found = model.training, dict[str, Scored]()
    model.train(False)
    try:
        for names in _together(model, {name: tasks[name] for name in rows}):
            model.sharing.switch(names[0])
            some = {name: _Found(model, name, tasks[name]) for name in names}
            catalogue = tasks[names[0]].kind.rows.catalogue(tasks[names[0]].options)
            if catalogue:
                found[names[0]] = _with_catalogue(some[names[0]], lanes, rows[names[0]], catalogue, template, micro_batch_tokens)
                continue
            stores = {name: tasks[name].rows.stores for name in names}
            for numbers in _blocks(
                {name: rows[name] for name in names}, min(tasks[name].kind.most_rows(tasks[name].spec) for name in names)
            ):
                blocks = {name: tasks[name].rows.take(own) for name, own in numbers.items()}
                batch = assemble(blocks, stores, template, micro_batch_tokens, lanes.device, lanes.n)
                vectors = lanes.encode(batch.packed)
                for name, logits in model.logits_of(vectors, batch.tasks).items():
                    some[name].add(vectors, batch.tasks[name], logits)
            found |= {name: one.scored(rows[name], None) for name, one in some.items()}
    finally:
        model.train(training)
    return {name: found[name] for name in rows}


def _together(model: MultiTaskModel, tasks: Mapping[str, PreparedTask]) -> list[list[str]]:
    """Tasks of one table, if the encoder is the same for them. By itself stays one that ranks a catalogue, and one whose loss depends on
    the rows beside a row: it must not be another because of the tasks beside it."""
    groups: dict[str, list[str]] = {}
    for name, task in tasks.items():
        apart = model.sharing.by_task or task.kind.rows.catalogue(task.options) or task.kind.rows.compares(task.options)
        groups.setdefault(f"task {name}" if apart else f"table {task.data}", []).append(name)
    return list(groups.values())


def _blocks(rows: Mapping[str, np.ndarray], most: int) -> Iterator[dict[str, np.ndarray]]:
    """Of each task its rows in a stretch of the table, at most `most`."""
    everything = np.unique(np.concatenate(list(rows.values())))
    for start in range(0, len(everything), most):
        block = everything[start : start + most]
        found = {name: own[np.searchsorted(own, block[0]) : np.searchsorted(own, block[-1], "right")] for name, own in rows.items()}
        yield {name: own for name, own in found.items() if len(own)}


def _with_catalogue(
    found: _Found, lanes: Lanes, rows: np.ndarray, catalogue: Catalogue, template: Template, micro_batch_tokens: int
) -> Scored:
    encoded = encode_once(lanes, found.task, template, micro_batch_tokens)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        vectors, inputs = encoded.batch(found.task.rows.take(rows[start : start + ROWS_AT_ONCE]))
        found.add(vectors, inputs, found.model.logits(found.name, vectors, inputs))
    return found.scored(rows, rank_all(found.model, found.name, encoded, catalogue, rows[np.concatenate(found.labels) > 0.5]))


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

    def __init__(self, model: MultiTaskModel, lanes: Lanes, template: Template, prepared: Prepared, options: TrainingConfig, seed: int):
        self.model, self.tasks, self.tuned = model, prepared.tasks, dict[str, Spec]()
        self._score = partial(score, model, lanes, template=template, micro_batch_tokens=options.max_tokens_per_micro_batch)
        self.watched = {
            name: sample_groups(rows := task.rows.rows("validation"), task.rows.take(rows).groups, options.max_validation_rows, seed)
            for name, task in self.tasks.items()
        }

    def score(self, rows: Mapping[str, np.ndarray]) -> dict[str, Scored]:
        """Of each task those rows, ascending; a task without any is left out."""
        return self._score(tasks=self.tasks, rows={name: numbers for name, numbers in rows.items() if len(numbers)})

    def tune(self, scored: Mapping[str, Scored]) -> None:
        """scored: the watched rows."""
        tasks = {name: self.tasks[name] for name in scored}
        self.tuned = {n: tasks[n].kind.report.tuned(s.scores, s.labels, tasks[n].spec, tasks[n].options) for n, s in scored.items()}

    def specs(self) -> dict[str, Spec]:
        """With what was tuned."""
        return {name: task.spec | self.tuned.get(name, {}) for name, task in self.tasks.items()}

    def metrics(self, scored: Mapping[str, Scored]) -> Metrics:
        specs = self.specs()
        return {n: self.tasks[n].kind.report.evaluate(s.scores, s.labels, s.groups, specs[n]) | s.ranked for n, s in scored.items()}

    def reports(self, scored: Mapping[str, Scored]) -> dict[str, list[dict[str, Any]]]:
        """As JSON."""
        specs = self.specs()
        panels = {n: self.tasks[n].kind.report.panels(s.scores, s.labels, s.groups, specs[n]) for n, s in scored.items()}
        return {n: [{"type": p.type, "title": p.title, "data": p.data} for p in found] for n, found in panels.items()}
