"""Ranking a whole catalogue: each distinct text goes through the encoder once, and no more than a chunk of users × items is held.

All that an evaluation needs of a task with a catalogue is made from one float32 matrix (N, hidden), what the encoder gives for its
texts: the rows' own candidates are scored from it, too. What stands above the encoder is applied to a chunk of it at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtl_core.data.compiled import RowBlock
from mtl_core.data.tokens import TextStore
from mtl_core.evaluation import metrics
from mtl_core.model.encoder import Template
from mtl_core.model.multitask import MultiTaskModel
from mtl_core.runtime.batches import assemble, task_batch
from mtl_core.runtime.lanes import Lanes
from mtl_core.runtime.prepare import PreparedTask
from mtl_core.tasks import common
from mtl_core.tasks.base import Catalogue
from mtl_core.tasks.heads import CatalogueHead, SlotIndex, TaskBatch

FIRST = 10  # of a ranking, what coverage and novelty look at
TEXTS_AT_ONCE, USERS_AT_ONCE, ITEMS_AT_ONCE = 4096, 1024, 4096
_ROWS_AT_ONCE = 1 << 16  # that are only counted


@dataclass
class Encoded:
    """The distinct texts of a task's slots. hashes: (N,) uint64, ascending; vectors: (N, hidden) float32, as the encoder gives them."""

    task: PreparedTask
    hashes: np.ndarray
    vectors: Tensor

    def places(self, slot: str, codes: np.ndarray) -> np.ndarray:
        """Rows of `vectors` of the texts of a slot."""
        return np.searchsorted(self.hashes, store_of(self.task, slot).hashes[codes])

    def batch(self, block: RowBlock) -> tuple[Tensor, TaskBatch]:
        """The rows of a block and the vectors that they use, as `assemble` and the encoder give them."""
        places = {slot: self.places(slot, codes) for slot, (codes, _) in block.slots.items()}
        used = np.unique(np.concatenate(list(places.values())))
        device = self.vectors.device
        slots = {
            slot: SlotIndex(
                torch.from_numpy(np.searchsorted(used, places[slot])).to(device),
                None if offsets is None else torch.from_numpy(offsets).to(device),
            )
            for slot, (_, offsets) in block.slots.items()
        }
        return self.vectors[torch.from_numpy(used).to(device)], task_batch(block, slots, device)


@dataclass
class Ranking:
    """rows: (R,) of the table, whose items were ranked; ranks, first, taken: as of `metrics.full_ranking`."""

    rows: np.ndarray
    ranks: np.ndarray
    first: np.ndarray
    taken: np.ndarray

    def metrics(self) -> dict[str, float]:
        return metrics.full_ranking(self.ranks, self.first, self.taken, FIRST)


def text_vectors(
    lanes: Lanes, slot: str, store: TextStore, codes: np.ndarray, template: Template, micro_batch_tokens: int
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Of the texts `codes` (N,) of a slot's store, some at a time: (n,) which of them, and (n, hidden) float32 of the encoder."""
    order = np.argsort(store.lengths[codes], kind="stable")  # texts of one length go through attention together
    for at in range(0, len(order), TEXTS_AT_ONCE):
        chosen = order[at : at + TEXTS_AT_ONCE]
        block = {"": RowBlock({slot: (codes[chosen], None)})}
        batch = assemble(block, {"": {slot: store}}, template, micro_batch_tokens, lanes.device, lanes.n)
        yield chosen, lanes.encode(batch.packed)[batch.tasks[""].slots[slot].index]


def encode_once(lanes: Lanes, task: PreparedTask, template: Template, micro_batch_tokens: int) -> Encoded:
    """All texts of the task's slots, whatever rows they are in. The model is in evaluation mode, and switched to the task."""
    stores = {slot: store_of(task, slot) for slot in task.rows.stores}
    hashes, first = np.unique(np.concatenate([store.hashes for store in stores.values()]), return_index=True)
    vectors = torch.empty(len(hashes), lanes.encoder.hidden, device=lanes.device)
    start = 0
    for slot, store in stores.items():
        places = np.flatnonzero((first >= start) & (first < start + len(store)))  # of texts that no slot before it has
        codes = first[places] - start
        start += len(store)
        for chosen, found in text_vectors(lanes, slot, store, codes, template, micro_batch_tokens):
            vectors[torch.from_numpy(places[chosen]).to(lanes.device)] = found
    return Encoded(task, hashes, vectors)


def rank_all(model: MultiTaskModel, name: str, encoded: Encoded, catalogue: Catalogue, rows: np.ndarray) -> Ranking | None:
    """The items of `rows` among the whole catalogue; None without rows. rows: (R,), those with a positive label.

    An item that is equal to others stands behind them. The model is in evaluation mode.
    """
    task = encoded.task
    rows = common.sample(rows, catalogue.rows)
    items = np.unique(encoded.places(catalogue.slot, np.arange(len(store_of(task, catalogue.slot)))))
    found = [_rank(model, name, encoded, catalogue, items, rows[i : i + USERS_AT_ONCE]) for i in range(0, len(rows), USERS_AT_ONCE)]
    if not found:
        return None
    taken = np.zeros(len(encoded.hashes), np.int64)
    training = task.rows.rows("train")
    for at in range(0, len(training), _ROWS_AT_ONCE):
        block = task.rows.take(training[at : at + _ROWS_AT_ONCE])
        assert block.labels is not None
        taken += np.bincount(encoded.places(catalogue.slot, block.slots[catalogue.slot][0][block.labels > 0.5]), minlength=len(taken))
    ranks, first = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Ranking(rows, ranks, first, taken[items])


def _rank(
    model: MultiTaskModel, name: str, encoded: Encoded, catalogue: Catalogue, items: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(R,) the rank of each row's item, and (R, ≤ FIRST) the places among `items` of those ranked first, -1 where there are no more."""
    block, head, device = encoded.task.rows.take(rows), model.heads[name], encoded.vectors.device
    assert isinstance(head, CatalogueHead)

    def given(vectors: Tensor) -> Tensor:
        return model.sharing(vectors, [name])[name]

    def known(places: np.ndarray) -> Tensor:
        return given(encoded.vectors[torch.from_numpy(places).to(device)])

    vectors, batch = encoded.batch(block)
    users = head.users(given(vectors), batch)
    places = encoded.places(catalogue.slot, block.slots[catalogue.slot][0])
    distinct, which = np.unique(places, return_inverse=True)
    own_scores = head.match(users, known(distinct)).gather(1, torch.from_numpy(which).to(device)[:, None])  # (R, 1)
    own = torch.from_numpy(np.searchsorted(items, places)).to(device)
    seen_rows, seen = np.empty(0, np.int64), np.empty(0, np.int64)
    if catalogue.seen is not None:
        codes, offsets = block.slots[catalogue.seen]
        assert offsets is not None
        seen_rows, seen = np.repeat(np.arange(len(rows)), np.diff(offsets)), encoded.places(catalogue.seen, codes)
        kept = np.isin(seen, items)
        seen_rows, seen = seen_rows[kept], np.searchsorted(items, seen[kept])
    ranks = torch.zeros(len(rows), dtype=torch.long, device=device)
    best, first = torch.empty(len(rows), 0, device=device), torch.empty(len(rows), 0, dtype=torch.long, device=device)
    for start in range(0, len(items), ITEMS_AT_ONCE):
        chunk = items[start : start + ITEMS_AT_ONCE]
        scores = head.match(users, known(chunk)).float()  # (R, n)
        hidden = (seen >= start) & (seen < start + len(chunk))
        scores[torch.from_numpy(seen_rows[hidden]).to(device), torch.from_numpy(seen[hidden] - start).to(device)] = -torch.inf
        here = torch.nonzero((own >= start) & (own < start + len(chunk))).flatten()
        scores[here, own[here] - start] = own_scores[here, 0].float()
        ranks += (scores >= own_scores).sum(1)
        values, at = scores.topk(min(FIRST, len(chunk)), 1)
        best, first = torch.cat([best, values], 1), torch.cat([first, at + start], 1)
        best, order = best.topk(min(FIRST, best.shape[1]), 1)
        first = first.gather(1, order)
    first = torch.where(best == -torch.inf, -1, first)
    return ranks.cpu().numpy(), first.cpu().numpy()


def store_of(task: PreparedTask, slot: str) -> TextStore:
    """Of a slot that is no pair."""
    store = task.rows.stores[slot]
    assert isinstance(store, TextStore)
    return store
