"""The rows of a task as numbers, in a memory-mapped Arrow file: which texts, label, group and features each row has."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.base.files import replaced
from mtl_core.data.places import PARTS
from mtl_core.data.tokens import TextStore, text_store, write_batch
from mtl_core.data.values import Column

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROWS_VERSION = 2  # of what a file of rows holds
_LABEL, _GROUP = "label", "group"
_SHAPES, _STORES = "shapes", "stores"  # schema metadata: slot → shape and reading; slot → file names


Stores = dict[str, TextStore | tuple[TextStore, TextStore]]
"""Slot → the store of its texts; of a pair one for each half."""
Store = Callable[[Column, bool], tuple[TextStore, np.ndarray]]
"""Column of texts, whether characters are wanted → its store and (N,) codes."""


class SlotLike(Protocol):
    """`mtl_core.tasks.base.Slot`, which lies a floor above."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> str: ...
    @property
    def reads(self) -> str: ...
    @property
    def masks(self) -> float: ...
    @property
    def continues(self) -> str: ...


class Reading(NamedTuple):
    """What is wanted of a slot's texts: see `Slot`."""

    reads: str = "vector"
    masks: float = 0.0
    continues: str = ""

    @classmethod
    def of(cls, slot: SlotLike) -> "Reading":
        return cls(slot.reads, slot.masks, slot.continues)


@dataclass
class RowBlock:
    """R rows of a task, copied out of the map.

    slots: name → (codes into the slot's store (S,) int32, offsets). Shape one: S = R, offsets None. Shape pair: codes (R, 2), offsets None.
        Shape many: row r has codes[offsets[r]:offsets[r + 1]], offsets (R + 1,) int64.
    labels: (R,) float32 or int64, None without; groups: (R,) int64, None without; features: name → (R, F).
    readings: slot → what is wanted of it; vectors where it is not in here. lists: name → (values, offsets (R + 1,)); strings: name → (R,).
    """

    slots: dict[str, tuple[np.ndarray, np.ndarray | None]]
    labels: np.ndarray | None = None
    groups: np.ndarray | None = None
    features: dict[str, np.ndarray] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)
    lists: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    strings: dict[str, np.ndarray] = field(default_factory=dict)


class TaskRows:
    """All rows of a dataset as one task sees them. Row numbers are those of the dataset.

    stores: slot → the store of its texts; of a pair a tuple of two (first, second text). Slots with the same texts share one file.
    groups: (N,) int64 of all rows, None without.
    """

    def __init__(self, batch: pa.RecordBatch, stores: Stores, split: np.ndarray):
        """batch: as `_batch` makes it; split: (N,) str."""
        self.stores = stores
        self._codes: dict[str, np.ndarray] = {}
        self._offsets: dict[str, np.ndarray] = {}
        self._readings: dict[str, Reading] = {}
        for slot, (shape, *reading) in json.loads(batch.schema.metadata[_SHAPES.encode()]).items():
            self._readings[slot] = Reading(*reading)
            column = batch.column(f"slot:{slot}")
            if shape == "many":
                self._codes[slot], self._offsets[slot] = column.values.to_numpy(), column.offsets.to_numpy()
            else:
                self._codes[slot] = column.values.to_numpy().reshape(-1, 2) if shape == "pair" else column.to_numpy()
        self._features = {
            name.removeprefix("feature:"): batch.column(name).values.to_numpy().reshape(len(batch), -1)
            for name in batch.schema.names
            if name.startswith("feature:")
        }
        lists = [name for name in batch.schema.names if name.startswith("list:")]
        self._lists = {n.removeprefix("list:"): (batch.column(n).values.to_numpy(), batch.column(n).offsets.to_numpy()) for n in lists}
        self._strings = {n.removeprefix("string:"): batch.column(n) for n in batch.schema.names if n.startswith("string:")}
        self._labels = batch.column(_LABEL).to_numpy() if _LABEL in batch.schema.names else None
        self.groups: np.ndarray | None = batch.column(_GROUP).to_numpy() if _GROUP in batch.schema.names else None
        labelled = batch.column("labelled").to_numpy(zero_copy_only=False)
        self._rows, self._unlabelled = (
            {part: np.flatnonzero((split == part) & found).astype(np.int32) for part in PARTS} for found in (labelled, ~labelled)
        )

    def rows(self, split: str) -> np.ndarray:
        """(n,) int32: the rows of `split` that have a label, in the order of the table."""
        return self._rows[split]

    def unlabelled(self, split: str) -> np.ndarray:
        """(n,) int32: the other rows of `split`, in the order of the table: without a label, or left out by `fewer`."""
        return self._unlabelled[split]

    def fewer(self, split: str, share: float, seed: int) -> None:
        """Keeps the labels of that share of the rows of a split, at least of one; of whole groups where there are any. With a seed, those
        of a smaller share are among those of a larger one."""
        rows = self._rows[split]
        if share == 1 or not len(rows):
            return
        _, codes = np.unique(rows if self.groups is None else self.groups[rows], return_inverse=True)
        sizes = np.bincount(codes)
        order = np.random.default_rng(seed).permutation(len(sizes))
        taken = order[: max(1, int(np.searchsorted(sizes[order].cumsum(), share * len(rows), side="right")))]
        kept = np.isin(codes, taken)
        self._rows[split], self._unlabelled[split] = rows[kept], np.sort(np.concatenate([self._unlabelled[split], rows[~kept]]))

    def n_rows(self, split: str) -> int:
        return len(self._rows[split])

    def take(self, rows: np.ndarray) -> RowBlock:
        """rows: (R,) integers, in any order, also several times."""
        slots: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
        for slot, codes in self._codes.items():
            offsets = self._offsets.get(slot)
            slots[slot] = (codes[rows], None) if offsets is None else ragged(codes, offsets, rows)
        return RowBlock(
            slots,
            None if self._labels is None else self._labels[rows],
            None if self.groups is None else self.groups[rows],
            {name: feature[rows] for name, feature in self._features.items()},
            dict(self._readings),
            {name: ragged(values, offsets, rows) for name, (values, offsets) in self._lists.items()},
            {name: column.take(pa.array(rows)).to_numpy(zero_copy_only=False) for name, column in self._strings.items()},
        )


def ragged(codes: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lists of `rows` out of lists of which row r has codes[offsets[r]:offsets[r + 1]]. → (values, offsets)"""
    start = offsets[rows].astype(np.int64)
    lengths = offsets[np.asarray(rows) + 1] - start
    taken = np.concatenate([[0], np.cumsum(lengths)])
    return codes[np.repeat(start - taken[:-1], lengths) + np.arange(taken[-1])], taken


def compile_task(
    encoded: pa.Table | Iterable[pa.Table],
    slots: Sequence[SlotLike],
    split: np.ndarray,
    *,
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
    folder: Path,
    key: str,
) -> TaskRows:
    """Writes the rows of a task and the token ids of its texts to `folder` and opens them.

    encoded: what `TaskKind.encode` made of the dataset's rows, all of them, whole or in pieces in order: one column a slot (string or
        dictionary; list of those for many; struct of two for pair), `label` (null: the task does not learn from the row), `group`,
        features (numbers or fixed_size_list of numbers), lists (list of numbers) and strings.
    split: (N,) str, of the dataset. max_length: token ids kept of a text, without special tokens.
    key: names the file; it stands for all that `encoded` depends on (letters, digits, `-`, `_`).
    """
    made: Stores = {}

    def store(texts: Column, spans: bool) -> tuple[TextStore, np.ndarray]:
        return text_store(texts, tokenizer, max_length, folder, spans=spans)

    table = encoded if isinstance(encoded, pa.Table) else pa.concat_tables(list(encoded), promote_options="default")
    batch = _batch(table, slots, store, made)
    names = {slot: [s.path.name for s in _each(stores)] for slot, stores in made.items()}
    batch = batch.replace_schema_metadata({**batch.schema.metadata, _STORES: json.dumps(names)})
    path = _path(folder, key)
    folder.mkdir(parents=True, exist_ok=True)
    with replaced(path) as temporary:
        write_batch(batch, temporary)
    del table, batch
    pa.default_memory_pool().release_unused()
    return _open(path, split)


def open_task(folder: Path, key: str, split: np.ndarray) -> TaskRows | None:
    """What `compile_task` wrote under `key`, without its table; None when it, or a store of its texts, is not there."""
    try:
        return _open(_path(folder, key), split)
    except FileNotFoundError:
        return None


def _open(path: Path, split: np.ndarray) -> TaskRows:
    with pa.memory_map(str(path)) as source:
        batch = pa.ipc.open_file(source).get_batch(0)
    files = {slot: [path.with_name(n) for n in names] for slot, names in json.loads(batch.schema.metadata[_STORES.encode()]).items()}
    opened = {file: TextStore(file) for file in sorted({f for found in files.values() for f in found})}
    stores: Stores = {slot: opened[f[0]] if len(f) == 1 else (opened[f[0]], opened[f[1]]) for slot, f in files.items()}
    return TaskRows(batch, stores, split)


def _each(stores: TextStore | tuple[TextStore, TextStore]) -> tuple[TextStore, ...]:
    return stores if isinstance(stores, tuple) else (stores,)


def _path(folder: Path, key: str) -> Path:
    return folder / f"rows-{hashlib.sha256(key.encode()).hexdigest()[:32]}.arrow"


def _batch(table: pa.Table, slots: Sequence[SlotLike], store: Store, made: Stores) -> pa.RecordBatch:
    """The encoded table as codes, in one piece; the stores are put into `made`."""
    columns: dict[str, pa.Array] = {}
    for slot in slots:
        columns[f"slot:{slot.name}"], made[slot.name] = _slot(table.column(slot.name), slot, store)
    labelled = pc.is_valid(table.column(_LABEL)) if _LABEL in table.column_names else pa.array(np.ones(table.num_rows, bool))
    columns["labelled"] = _whole(labelled)
    for name in table.column_names:
        if name in made:
            continue
        column = _whole(table.column(name))
        if name == _LABEL:
            columns[name] = pc.fill_null(column, 0)
        elif name == _GROUP:
            columns[name] = pc.fill_null(column.cast(pa.int64()), -1)
        elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0), np.int64)
            columns[f"list:{name}"] = pa.LargeListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(lengths)])), column.flatten())
        elif pa.types.is_string(column.type):
            columns[f"string:{name}"] = pc.fill_null(column, "")
        else:
            columns[f"feature:{name}"] = _feature(column)
    shapes = json.dumps({slot.name: [slot.shape, *Reading.of(slot)] for slot in slots})
    return pa.record_batch(columns).replace_schema_metadata({_SHAPES: shapes})


def _slot(column: pa.ChunkedArray, slot: SlotLike, store: Store) -> tuple[pa.Array, TextStore | tuple[TextStore, TextStore]]:
    shape, spans = slot.shape, slot.reads == "tokens"
    if shape == "one":
        texts, codes = store(column, spans)
        return pa.array(codes), texts
    if shape == "pair":
        struct = _whole(column)
        (first, codes), (second, others) = (store(struct.field(i), spans) for i in range(2))
        return pa.FixedSizeListArray.from_arrays(pa.array(np.stack([codes, others], axis=1).reshape(-1)), 2), (first, second)
    lengths = np.asarray(pc.fill_null(_whole(pc.list_value_length(column)), 0), np.int64)
    texts, codes = store(pa.chunked_array([chunk.flatten() for chunk in column.chunks], type=column.type.value_type), spans)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(codes)), texts


def _feature(column: pa.Array) -> pa.Array:
    """As fixed_size_list; a plain number is a list of one."""
    if pa.types.is_fixed_size_list(column.type):
        return pa.FixedSizeListArray.from_arrays(column.flatten(), column.type.list_size)
    return pa.FixedSizeListArray.from_arrays(column, 1)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
