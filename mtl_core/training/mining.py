"""Rows that are made while training, each like a row of the table, with another text or another label: hard negatives, for instance."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mtl_core.data.compiled import RowBlock, TaskRows
from mtl_core.model.encoder import Template
from mtl_core.model.multitask import MultiTaskModel
from mtl_core.runtime.full_ranking import store_of, text_vectors
from mtl_core.runtime.lanes import Lanes
from mtl_core.runtime.prepare import PreparedTask
from mtl_core.tasks.base import Mining

QUERIES_AT_ONCE = 256


@dataclass
class Made:
    """M rows of a task. rows: (M,) int32, ascending: which row of the table each is like, and is drawn with; labels: (M,);
    codes: slot of shape one → (M,) int32, the texts that stand there instead."""

    rows: np.ndarray
    labels: np.ndarray
    codes: dict[str, np.ndarray] = field(default_factory=dict)

    def added(self, data: TaskRows, numbers: np.ndarray, drawn: np.ndarray) -> RowBlock:
        """The rows `numbers` of a task, and after them what was made of the rows `drawn`."""
        begins, ends = (np.searchsorted(self.rows, drawn, side) for side in ("left", "right"))
        which = np.concatenate([np.empty(0, np.int64), *map(np.arange, begins, ends)])
        block = data.take(np.concatenate([numbers, self.rows[which]]))
        if block.labels is not None:
            block.labels[len(numbers) :] = self.labels[which]
        for slot, codes in self.codes.items():
            block.slots[slot][0][len(numbers) :] = codes[which]
        return block


def to_tensors(made: Mapping[str, Made]) -> dict[str, Tensor]:
    """What was made for each task, as a checkpoint keeps it."""
    arrays = {f"{part}/{task}": a for task, m in made.items() for part, a in {"rows": m.rows, "labels": m.labels, **m.codes}.items()}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def from_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Made]:
    """Inverse of `to_tensors`."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in tensors.items():
        part, _, task = name.partition("/")
        found.setdefault(task, {})[part] = tensor.numpy()
    return {task: Made(parts.pop("rows"), parts.pop("labels"), parts) for task, parts in found.items()}


@torch.no_grad()
def mine(
    model: MultiTaskModel, lanes: Lanes, name: str, task: PreparedTask, mining: Mining, template: Template, micro_batch_tokens: int
) -> Made:
    """Hard negatives as `Mining` says, by the model as it is: each of the texts goes through it once. Draws no random numbers.

    The idea is of "Approximate Nearest Neighbor Negative Contrastive Learning for Dense Text Retrieval"
    (https://arxiv.org/abs/2007.00808); here the search is exact. The negatives of a text are spread over its rows.
    """
    rows = task.rows.rows("train")
    block = task.rows.take(rows)
    assert block.labels is not None

    def distinct(slot: str) -> tuple[np.ndarray, np.ndarray, Tensor]:
        """(codes of the texts that encode differently, (R,) which of them each row has, (T, E) their vectors)"""
        codes, store = block.slots[slot][0], store_of(task, slot)
        _, first, which = np.unique(store.hashes[codes], return_index=True, return_inverse=True)
        found = text_vectors(lanes, slot, store, codes[first], template, micro_batch_tokens)
        places, vectors = zip(*((place, model.embedded(name, part, slot)) for place, part in found), strict=True)
        return codes[first], which, torch.cat(vectors)[np.argsort(np.concatenate(places))]

    training = model.training
    model.train(False)
    model.sharing.switch(name)
    try:
        given, query, queries = distinct(mining.given)
        ranked, item, items = distinct(mining.ranked)
    finally:
        model.train(training)
    right = block.labels > 0
    best, among = [], min(mining.most, len(ranked))
    for start in range(0, len(given), QUERIES_AT_ONCE):
        scores = queries[start : start + QUERIES_AT_ONCE] @ items.T
        here = right & (query >= start) & (query < start + QUERIES_AT_ONCE)
        scores[torch.from_numpy(query[here] - start), torch.from_numpy(item[here])] = -torch.inf
        values, places = scores.topk(among, dim=1)
        best.append(torch.where(values > -torch.inf, places, -1).cpu().numpy())
    text, turn = np.nonzero((found := np.concatenate(best)) >= 0)
    order, counts = np.argsort(query, kind="stable"), np.bincount(query)
    like = rows[order[(np.cumsum(counts) - counts)[text] + turn % counts[text]]]
    ascending = np.argsort(like, kind="stable")
    codes = ranked[found[text, turn]][ascending]
    return Made(like[ascending], np.zeros(len(codes), block.labels.dtype), {mining.ranked: codes})
