"""From row numbers to what one step sends through the encoder: each distinct text once, longest first, packed under a token budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from mtl_core.data.compiled import Reading, RowBlock
from mtl_core.model.encoder import Template
from mtl_core.model.packing import Packed, on_device
from mtl_core.tasks.heads import SlotIndex, TaskBatch, Tokens


class Texts(Protocol):
    """Tokenised texts by number. hashes: (T,) uint64, equal for texts that encode alike, in all stores of a step."""

    @property
    def hashes(self) -> np.ndarray: ...
    def ids(self, i: int) -> np.ndarray:
        """Token ids of text i, without special tokens."""

    def chars(self, i: int) -> np.ndarray:
        """(n, 2): from and to which character each of them stands."""


@dataclass
class StepBatch:
    """Rows of several tasks, ready for the model.

    packed: micro-batches; what the encoder makes of them, one after another, are the rows that the tasks' slot indices point into.
    owners: (S,) int64, of each text the place of its task among `tasks` (of a text that several share: the first).
    token_ids: the distinct token ids of all of them, ascending.
    tokens: useful ones, as if every row brought its own texts.
    """

    packed: list[Packed]
    owners: np.ndarray
    tasks: dict[str, TaskBatch]
    token_ids: np.ndarray
    tokens: int


@dataclass
class _Source:
    """The texts of a slot. stores: of the first and the second; codes: (n,), of pairs (n, 2); end: texts up to its last one."""

    stores: tuple[Texts, Texts]
    codes: np.ndarray
    reading: Reading
    end: int

    def ids(self, i: int) -> list[np.ndarray]:
        return [store.ids(code) for store, code in zip(self.stores, np.atleast_1d(self.codes[i]), strict=False)]

    def key(self, i: int) -> list[int]:
        return [int(store.hashes[code]) for store, code in zip(self.stores, np.atleast_1d(self.codes[i]), strict=False)]

    def chars(self, i: int) -> list[np.ndarray]:
        return [store.chars(code) for store, code in zip(self.stores, np.atleast_1d(self.codes[i]), strict=False)]


def assemble(
    blocks: Mapping[str, RowBlock],
    stores: Mapping[str, Mapping[str, Texts | tuple[Texts, Texts]]],
    template: Template,
    micro_batch_tokens: int,
    device: torch.device,
    lanes: int = 1,
    apart: bool = False,
    salt: int | None = 0,
) -> StepBatch:
    """blocks: task → its rows of the step (at least one each); stores: task → slot → where its text codes point (of a pair two);
    micro_batch_tokens: of all that is encoded at once, by `lanes` micro-batches side by side; apart: no text is shared by two tasks;
    salt: of what is drawn to be masked; None: nothing is drawn, and only what stands as a mask in the text is one."""
    keys, owners, kept, end = [np.empty((0, 3), np.uint64)], [np.empty(0, np.int64)], [np.empty(0, bool)], 0
    sources: dict[tuple[str, str], _Source] = {}
    for place, (task, block) in enumerate(blocks.items()):
        for slot, (codes, _) in block.slots.items():
            store, reading = stores[task][slot], block.readings.get(slot, Reading())
            if reading.reads == "ids":
                continue
            written = next((s for s, r in block.readings.items() if r.continues == slot), None) if template.continues else None
            if written in block.slots:
                codes = np.stack([codes, block.slots[written][0]], axis=1)
                store = (_first(store), _first(stores[task][written]))
            key = np.zeros((len(codes), 3), np.uint64)  # (how it is read, hash, hash of the second)
            if codes.ndim == 2:
                pair = store if isinstance(store, tuple) else (store, store)
                key[:, 0], key[:, 1], key[:, 2] = 2, pair[0].hashes[codes[:, 0]], pair[1].hashes[codes[:, 1]]
            else:
                pair = (first := _first(store), first)
                key[:, 0], key[:, 1] = 1, first.hashes[codes]
            key[:, 0] += np.uint64(2 * place * apart + (round(reading.masks * 1e6) << 32))
            keys.append(key)
            owners.append(np.full(len(key), place))
            kept.append(np.full(len(key), reading.reads == "tokens"))
            end += len(key)
            sources[task, slot] = _Source(pair, codes, reading, end)
    _, chosen, inverse = np.unique(np.concatenate(keys), axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    sequences = [_sequence(i, list(sources.values()), template, salt) for i in chosen.tolist()]
    lengths = np.array([len(ids) for ids, _ in sequences], np.int64)
    wanted = np.zeros(len(chosen), bool)
    wanted[inverse[np.concatenate(kept)]] = True
    order = np.argsort(-lengths, kind="stable")
    position = np.argsort(order)[inverse]
    parts = _cut(order, lengths[order], micro_batch_tokens, lanes)
    vectors, states = _places(parts, lengths, wanted)

    def slot_index(task: str, slot: str, block: RowBlock) -> SlotIndex:
        codes, offsets = block.slots[slot]
        if (source := sources.get((task, slot))) is None:
            store = stores[task][slot]
            found = _written(_first(store), codes, device)
            return SlotIndex(torch.empty(0, dtype=torch.long, device=device), None, found)
        at = position[source.end - len(codes) : source.end]
        tokens = _tokens(source, states[at], lengths[order[at]], template, salt, device) if source.reading.reads == "tokens" else None
        return SlotIndex(_tensor(vectors[at], device), None if offsets is None else _tensor(offsets.astype(np.int64), device), tokens)

    return StepBatch(
        packed=[
            Packed.of([sequences[i][0] for i in part], [sequences[i][1] for i in part], device, wanted[part].tolist()) for part in parts
        ],
        owners=np.concatenate(owners)[chosen][order],
        tasks={
            task: task_batch(block, {slot: slot_index(task, slot, block) for slot in block.slots}, device) for task, block in blocks.items()
        },
        token_ids=np.unique(np.concatenate([ids for ids, _ in sequences])) if sequences else np.empty(0, np.int64),
        tokens=int(lengths[inverse].sum()) if len(inverse) else 0,
    )


def _first(store: Texts | tuple[Texts, Texts]) -> Texts:
    return store[0] if isinstance(store, tuple) else store


def task_batch(block: RowBlock, slots: dict[str, SlotIndex], device: torch.device) -> TaskBatch:
    """The rows of a block on the device; slots: where their texts are."""
    return TaskBatch(
        slots,
        {name: _tensor(values, device) for name, values in block.features.items()},
        None if block.labels is None else _tensor(block.labels, device),
        None if block.groups is None else _tensor(block.groups, device),
        {name: (_tensor(values, device), _tensor(offsets, device)) for name, (values, offsets) in block.lists.items()},
        block.strings,
    )


def _sequence(i: int, sources: list[_Source], template: Template, salt: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and types of the i-th text of a step, as the encoder sees it."""
    source = next(s for s in sources if i < s.end)
    i -= source.end - len(source.codes)
    texts = source.ids(i)
    ids, types = template.one(texts[0]) if len(texts) == 1 else template.two(texts[0], texts[1])
    if source.reading.masks:
        ids = ids.copy()
        at, instead = _masks(source, i, template, salt)
        ids[at] = instead
    return ids, types


def _masks(source: _Source, i: int, template: Template, salt: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Which tokens of a sequence are hidden, and what stands there instead: the mask, one in ten times any token, one in ten times itself.

    "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (https://arxiv.org/abs/1810.04805), 3.1.
    """
    texts = source.ids(i)
    places = template.places(*map(len, texts))
    at = np.concatenate([np.arange(start, start + n) for start, n in places])
    ids = np.concatenate([text[:n] for text, (_, n) in zip(texts, places, strict=True)])
    if salt is None:
        return at[ids == template.mask], ids[ids == template.mask]
    rng = np.random.default_rng([salt, *source.key(i)])
    drawn = np.sort(rng.choice(len(at), max(1, round(source.reading.masks * len(at))), replace=False)) if len(at) else np.arange(0)
    how = rng.random(len(drawn))
    any_token = rng.integers(0, template.vocabulary, len(drawn))
    assert template.mask is not None  # checked where tasks are prepared
    return at[drawn], np.where(how < 0.8, template.mask, np.where(how < 0.9, any_token, ids[drawn]))


def _places(parts: list[np.ndarray], lengths: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the texts in the order of `parts`: the row of its vector, and of the state of its first token, in what the encoder gives."""
    vectors, states, end = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for part in parts:
        kept = lengths[part] * wanted[part]
        vectors.append(end + np.arange(len(part)))
        states.append(end + len(part) + np.cumsum(kept) - kept)
        end += len(part) + int(kept.sum())
    return np.concatenate(vectors), np.concatenate(states)


def _tokens(source: _Source, states: np.ndarray, lengths: np.ndarray, template: Template, salt: int | None, device: torch.device) -> Tokens:
    """states: (R,) where each row's states begin; lengths: (R,) of its sequence."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids, part = np.zeros(offsets[-1], np.int64), np.full(offsets[-1], -1, np.int64)
    chars, masked = np.zeros((offsets[-1], 2), np.int64), np.zeros(offsets[-1], bool)
    for i, start in enumerate(offsets[:-1]):
        texts, stands = source.ids(i), source.chars(i)
        ids[start : offsets[i + 1]] = template.one(texts[0])[0] if len(texts) == 1 else template.two(texts[0], texts[1])[0]
        for k, (at, n) in enumerate(template.places(*map(len, texts))):
            part[start + at : start + at + n] = k
            chars[start + at : start + at + n] = stands[k][:n]
        if source.reading.masks:
            masked[start + _masks(source, i, template, salt)[0]] = True
    index = np.repeat(states - offsets[:-1], lengths) + np.arange(offsets[-1])
    return Tokens(*(_tensor(array, device) for array in (index, offsets, ids, part, chars, masked)))


def _written(texts: Texts, codes: np.ndarray, device: torch.device) -> Tokens:
    """Of texts that the encoder never sees, without special tokens."""
    ids = [texts.ids(code) for code in codes.reshape(-1)]
    offsets = np.cumsum([0, *map(len, ids)])
    flat, n = np.concatenate([np.empty(0, np.int64), *ids]).astype(np.int64), offsets[-1]
    arrays = (offsets, flat, np.zeros(n, np.int64), np.zeros((n, 2), np.int64), np.zeros(n, bool))
    return Tokens(None, *(_tensor(array, device) for array in arrays))


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


def _tensor(array: np.ndarray, device: torch.device) -> torch.Tensor:
    return on_device(np.ascontiguousarray(array), device)
