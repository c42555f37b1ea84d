"""From row numbers to what one step sends through the encoder: each distinct text once, longest first, packed under a token budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from mtl_core.data.compiled import RowBlock
from mtl_core.model.encoder import Template
from mtl_core.model.packing import Packed
from mtl_core.tasks.base import SlotIndex, TaskBatch


class Texts(Protocol):
    """Tokenised texts by number. hashes: (T,) uint64, equal for texts that encode alike, in all stores of a step."""

    @property
    def hashes(self) -> np.ndarray: ...
    def ids(self, i: int) -> np.ndarray:
        """Token ids of text i, without special tokens."""


@dataclass
class StepBatch:
    """Rows of several tasks, ready for the model.

    packed: micro-batches; their vectors, one after another, are the (S, hidden) that the tasks' slot indices point into.
    owners: (S,) int64, of each text the place of its task among `tasks` (of a text that several share: the first).
    token_ids: the distinct token ids of all of them, ascending.
    tokens: useful ones, as if every row brought its own texts.
    """

    packed: list[Packed]
    owners: np.ndarray
    tasks: dict[str, TaskBatch]
    token_ids: np.ndarray
    tokens: int


def assemble(
    blocks: Mapping[str, RowBlock],
    stores: Mapping[str, Mapping[str, Texts | tuple[Texts, Texts]]],
    template: Template,
    micro_batch_tokens: int,
    device: torch.device,
    lanes: int = 1,
    apart: bool = False,
) -> StepBatch:
    """blocks: task → its rows of the step (at least one each); stores: task → slot → where its text codes point (of a pair two);
    micro_batch_tokens: of all that is encoded at once, by `lanes` micro-batches side by side; apart: no text is shared by two tasks."""
    keys, owners, end = [np.empty((0, 3), np.uint64)], [np.empty(0, np.int64)], 0
    spans: dict[tuple[str, str], tuple[int, int]] = {}
    sources: list[tuple[int, Texts, Texts | None, np.ndarray]] = []
    for place, (task, block) in enumerate(blocks.items()):
        for slot, (codes, _) in block.slots.items():
            store = stores[task][slot]
            key = np.zeros((len(codes), 3), np.uint64)  # (texts and task, hash, hash of the second)
            if codes.ndim == 2:
                pair = store if isinstance(store, tuple) else (store, store)
                key[:, 0], key[:, 1], key[:, 2] = 2, pair[0].hashes[codes[:, 0]], pair[1].hashes[codes[:, 1]]
                sources.append((end + len(key), *pair, codes))
            else:
                single = store[0] if isinstance(store, tuple) else store
                key[:, 0], key[:, 1] = 1, single.hashes[codes]
                sources.append((end + len(key), single, None, codes))
            key[:, 0] += np.uint64(4 * place * apart)
            keys.append(key)
            owners.append(np.full(len(key), place))
            spans[task, slot] = (end, end := end + len(key))
    _, chosen, inverse = np.unique(np.concatenate(keys), axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    sequences = [_sequence(i, sources, template) for i in chosen.tolist()]
    lengths = np.array([len(ids) for ids, _ in sequences], np.int64)
    order = np.argsort(-lengths, kind="stable")
    position = np.argsort(order)[inverse]

    return StepBatch(
        packed=[
            Packed.of([sequences[i][0] for i in part], [sequences[i][1] for i in part], device)
            for part in _cut(order, lengths[order], micro_batch_tokens, lanes)
        ],
        owners=np.concatenate(owners)[chosen][order],
        tasks={
            task: _task_batch(block, {slot: position[slice(*spans[task, slot])] for slot in block.slots}, device)
            for task, block in blocks.items()
        },
        token_ids=np.unique(np.concatenate([ids for ids, _ in sequences])) if sequences else np.empty(0, np.int64),
        tokens=int(lengths[inverse].sum()) if len(inverse) else 0,
    )


def _sequence(i: int, sources: list[tuple[int, Texts, Texts | None, np.ndarray]], template: Template) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and types of the i-th text of a step. sources: (end, store, second store, codes) of each slot."""
    start = 0
    for end, first, second, codes in sources:
        if i < end:
            code = codes[i - start]
            return template.one(first.ids(code)) if second is None else template.two(first.ids(code[0]), second.ids(code[1]))
        start = end
    raise IndexError(i)


def _cut(order: np.ndarray, lengths: np.ndarray, budget: int, lanes: int) -> list[np.ndarray]:
    """`order` in stretches of nearly equal tokens, as few as will do; `lanes` of them have at most `budget` tokens (or are one text)."""
    if not len(order):
        return []
    ends = lengths.cumsum()
    middles, total = ends - lengths / 2, int(ends[-1])
    n = lanes * -(-total // budget)
    while True:
        cuts = np.flatnonzero(np.diff((middles * n / total).astype(np.int64))) + 1
        sizes = np.add.reduceat(lengths, np.append(0, cuts))
        parts = np.split(order, cuts)
        if all(size * lanes <= budget or len(part) == 1 for size, part in zip(sizes, parts, strict=True)):
            return parts
        n += lanes


def _task_batch(block: RowBlock, positions: Mapping[str, np.ndarray], device: torch.device) -> TaskBatch:
    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device, non_blocking=True)

    return TaskBatch(
        slots={
            slot: SlotIndex(tensor(positions[slot]), None if offsets is None else tensor(offsets.astype(np.int64)))
            for slot, (_, offsets) in block.slots.items()
        },
        features={name: tensor(values) for name, values in block.features.items()},
        labels=None if block.labels is None else tensor(block.labels),
        groups=None if block.groups is None else tensor(block.groups),
    )
