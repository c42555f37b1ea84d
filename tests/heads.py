"""Heads without an encoder: a text's vector is the sum of fixed random vectors of its words."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from mtl_core.base.workspace import new_id
from mtl_core.data.compiled import compile_task
from mtl_core.data.memory import rows_in_memory
from mtl_core.model.encoder import Encoder, Template
from mtl_core.runtime.batches import assemble
from mtl_core.tasks.base import TaskKind
from mtl_core.tasks.common import matrix, plain
from mtl_core.tasks.heads import SlotIndex, TaskBatch

HIDDEN = 32
Batch = tuple[Tensor, TaskBatch]


def vector(text: str) -> np.ndarray:
    words = text.split() or [""]
    return np.sum([np.random.default_rng(zlib.crc32(w.encode())).normal(size=HIDDEN) for w in words], axis=0)


def batch_of(encoded: pa.Table) -> Batch:
    """All rows of an encoded table with the vectors of its distinct texts."""
    texts: dict[str, int] = {}

    def place(values: list[str]) -> Tensor:
        return torch.tensor([texts.setdefault(v, len(texts)) for v in values], dtype=torch.long)

    slots, features = {}, {}
    for name in encoded.column_names:
        column, kind = encoded[name], encoded[name].type
        if name in ("label", "group"):
            continue
        if pa.types.is_fixed_size_list(kind):
            features[name] = torch.from_numpy(matrix(column).copy())
        elif pa.types.is_list(kind):
            lists = column.to_pylist()
            offsets = torch.tensor(np.cumsum([0, *map(len, lists)]), dtype=torch.long)
            slots[name] = SlotIndex(place([t for one in lists for t in one]), offsets)
        elif pa.types.is_struct(kind):
            slots[name] = SlotIndex(place([f"{row['a']} {row['b']}" for row in column.to_pylist()]))
        else:
            slots[name] = SlotIndex(place(plain(column).to_pylist()))
    labels = torch.from_numpy(encoded["label"].to_numpy().copy()) if "label" in encoded.column_names else None
    groups = torch.from_numpy(encoded["group"].to_numpy().copy()) if "group" in encoded.column_names else None
    vectors = torch.tensor(np.array([vector(t) for t in texts]) if texts else np.zeros((0, HIDDEN)), dtype=torch.float32)
    return vectors, TaskBatch(slots, features, labels, groups)


@pytest.fixture(scope="session")
def to_batch() -> Callable[[pa.Table], Batch]:
    return batch_of


def train_head(kind: TaskKind, train: pa.Table, test: pa.Table, options: Any, steps: int = 150, rate: float = 0.01) -> dict[str, float]:
    """Metrics on `test` of a head trained alone on all rows of `train` at once."""
    spec = kind.rows.fit(train, options)
    torch.manual_seed(0)
    head: nn.Module = kind.head.module(HIDDEN, spec, options)
    optimizer = torch.optim.AdamW(head.parameters(), lr=rate)
    vectors, batch = batch_of(kind.rows.encode(train, spec, options))
    for _ in range(steps):
        optimizer.zero_grad()
        kind.head.loss(head(vectors, batch), batch, spec, options).mean().backward()
        optimizer.step()
    head.eval()
    vectors, batch = batch_of(kind.rows.encode(test, spec, options))
    with torch.no_grad():
        scores = kind.head.scores(head(vectors, batch), batch, spec)
    groups = None if batch.groups is None else batch.groups.numpy()
    return kind.report.evaluate(scores, kind.head.truth(batch, spec), groups, spec)


@pytest.fixture(scope="session")
def learn() -> Callable[..., dict[str, float]]:
    return train_head


@pytest.fixture(scope="session")
def small_encoder(tiny_encoder: Path) -> Encoder:
    """With characters as tokens, of which a text has 120 at most."""
    return Encoder.load(str(tiny_encoder), max_length=120)


@pytest.fixture
def compiled(small_encoder: Encoder, tmp_path: Path) -> Callable[..., Batch]:
    """(kind, encoded table, options) → what the encoder gives for its rows, and the rows, as in a step."""

    def made(kind: TaskKind, encoded: pa.Table, options: Any, salt: int = 0) -> tuple[Tensor, TaskBatch]:
        slots = [slot for slot in kind.rows.slots(options) if slot.name in encoded.column_names]
        split, tokenizer = np.array(["train"] * len(encoded)), small_encoder.tokenizer
        rows = compile_task(encoded, slots, split, tokenizer=tokenizer, max_length=120, folder=tmp_path / "tokens", key=new_id())
        template = Template.of(tokenizer, 120)
        batch = assemble({"task": rows.take(rows.rows("train"))}, {"task": rows.stores}, template, 4096, torch.device("cpu"), salt=salt)
        with torch.no_grad():
            return torch.cat([small_encoder(packed) for packed in batch.packed]), batch.tasks["task"]

    return made


@pytest.fixture(scope="session")
def asked(small_encoder: Encoder) -> Callable[..., Batch]:
    """(kind, encoded table, options) → the same of rows that an answer is wanted for."""

    def made(kind: TaskKind, encoded: pa.Table, options: Any) -> Batch:
        slots = [slot for slot in kind.rows.slots(options) if slot.name in encoded.column_names]
        rows, stores = rows_in_memory(encoded, slots, small_encoder.tokenizer, 120)
        template = Template.of(small_encoder.tokenizer, 120)
        batch = assemble({"task": rows}, {"task": stores}, template, 4096, torch.device("cpu"), salt=None)
        with torch.no_grad():
            return torch.cat([small_encoder(packed) for packed in batch.packed]), batch.tasks["task"]

    return made
