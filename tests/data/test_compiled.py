from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mtl_core.data.compiled import TaskRows, compile_task
from mtl_core.tasks.base import Slot

SLOTS = (Slot("history", "many"), Slot("item"), Slot("both", "pair"))
SPLIT = np.array(["train", "train", "test", "", "validation"])


def encoded() -> pa.Table:
    return pa.table(
        {
            "history": pa.array([["red shoe", "hat"], [], None, ["hat"], ["blue", "blue", "hat"]], pa.list_(pa.string())),
            "item": pa.array(["hat", None, "red shoe", "hat", "warm"]),
            "both": pa.array([{"a": "red", "b": "shoe"}, {"a": "hat", "b": None}] + [{"a": "red", "b": "red"}] * 3),
            "label": pa.array([1.0, 0.0, None, 1.0, 0.0], pa.float32()),
            "group": pa.array([7, 7, 8, None, 9], pa.int64()),
            "codes": pa.FixedSizeListArray.from_arrays(pa.array(range(10), pa.int64()), 2),
            "price": pa.array([0.5, 1.5, 2.5, 3.5, 4.5], pa.float32()),
        }
    )


def compiled(tmp_path: Path, tokenizer, table: pa.Table | None = None) -> TaskRows:
    table = encoded() if table is None else table
    return compile_task(table, SLOTS, SPLIT, tokenizer=tokenizer, max_length=8, folder=tmp_path, key="task")


def texts(rows: TaskRows, block, slot: str) -> list:
    codes, offsets = block.slots[slot]
    store = rows.stores[slot]
    if isinstance(store, tuple):
        return [[s.ids(c).tolist() for s, c in zip(store, pair, strict=True)] for pair in codes]
    ids = [store.ids(c).tolist() for c in codes]
    return ids if offsets is None else [ids[a:b] for a, b in pairwise(offsets)]


def test_rows_with_a_label_by_split(tmp_path: Path, tokenizer) -> None:
    rows = compiled(tmp_path, tokenizer)
    assert {part: rows.rows(part).tolist() for part in ("train", "validation", "test")} == {"train": [0, 1], "validation": [4], "test": []}
    assert (rows.n_rows("train"), rows.rows("train").dtype) == (2, np.int32)
    assert {part: rows.unlabelled(part).tolist() for part in ("train", "validation", "test")} == {
        "train": [],
        "validation": [],
        "test": [2],
    }


def test_rows_beyond_the_share_count_as_without_a_label() -> None:
    columns = {"labelled": [i % 3 > 0 for i in range(30)], "label": np.arange(30)}
    split = np.array(["train"] * 20 + ["test"] * 10)
    rows = TaskRows(pa.record_batch(columns).replace_schema_metadata({"shapes": "{}"}), {}, split)
    before = rows.rows("train").tolist()
    rows.fewer("train", 0.5, 0)
    assert len(rows.rows("train")) == len(before) // 2 and set(rows.rows("train")) < set(before)
    assert sorted([*rows.rows("train"), *rows.unlabelled("train")]) == list(range(20)) and (np.diff(rows.unlabelled("train")) > 0).all()
    assert rows.unlabelled("test").tolist() == [21, 24, 27]


def test_a_block_by_hand(tmp_path: Path, tokenizer) -> None:
    rows = compiled(tmp_path, tokenizer)
    block = rows.take(np.array([4, 0, 1, 0]))
    assert texts(rows, block, "history") == [[[3], [3], [5]], [[2, 4], [5]], [], [[2, 4], [5]]]
    assert texts(rows, block, "item") == [[6], [5], [], [5]]
    assert texts(rows, block, "both") == [[[2], [2]], [[2], [4]], [[5], []], [[2], [4]]]
    assert (block.labels.tolist(), block.labels.dtype) == ([0.0, 1.0, 0.0, 1.0], np.float32)
    assert block.groups.tolist() == [9, 7, 7, 7]
    assert block.features["codes"].tolist() == [[8, 9], [0, 1], [2, 3], [0, 1]]
    assert block.features["price"].tolist() == [[4.5], [0.5], [1.5], [0.5]]
    assert block.slots["history"][0].dtype == np.int32
    assert block.slots["both"][0].shape == (4, 2)


def test_no_rows(tmp_path: Path, tokenizer) -> None:
    block = compiled(tmp_path, tokenizer).take(np.array([], np.int32))
    assert block.slots["history"][1].tolist() == [0]
    assert len(block.slots["item"][0]) == len(block.labels) == 0


def test_pieces_and_chunks_are_the_same_as_the_whole(tmp_path: Path, tokenizer) -> None:
    whole = compiled(tmp_path / "a", tokenizer).take(np.arange(5))
    pieces = compile_task(
        (encoded().slice(i, 2) for i in (0, 2, 4)), SLOTS, SPLIT, tokenizer=tokenizer, max_length=8, folder=tmp_path / "b", key="task"
    ).take(np.arange(5))
    for slot in whole.slots:
        for a, b in zip(whole.slots[slot], pieces.slots[slot], strict=True):
            assert np.array_equal(a, b)
    assert np.array_equal(whole.features["codes"], pieces.features["codes"])


def test_dictionaries_share_one_store(tmp_path: Path, tokenizer) -> None:
    items = pa.array(["red", "blue", "warm"])
    history = pa.ListArray.from_arrays(
        pa.array([0, 1, 3, 3], pa.int32()), pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int32()), items)
    )
    item = pa.DictionaryArray.from_arrays(pa.array([2, 2, 0], pa.int32()), items)
    table = pa.table({"history": history, "item": item, "label": pa.array([1, 0, 1])})
    split = np.array(["train"] * 3)
    rows = compile_task(table, SLOTS[:2], split, tokenizer=tokenizer, max_length=8, folder=tmp_path, key="k")
    assert rows.stores["history"] is rows.stores["item"]
    block = rows.take(np.array([1, 2]))
    assert texts(rows, block, "history") == [[[3], [2]], []]
    assert block.labels.dtype == np.int64


def test_without_texts_labels_and_groups(tmp_path: Path, tokenizer) -> None:
    rows = compile_task(
        pa.table({"n": [1.0, 2.0]}), (), np.array(["train", "test"]), tokenizer=tokenizer, max_length=8, folder=tmp_path, key="k"
    )
    block = rows.take(rows.rows("train"))
    assert (block.slots, block.labels, block.groups, block.features["n"].tolist()) == ({}, None, None, [[1.0]])


LISTS = st.lists(st.lists(st.sampled_from(["red", "blue", "hat", "warm"]), max_size=4), min_size=1, max_size=12)


@given(LISTS, st.data())
def test_any_rows_in_any_order(tmp_path_factory, tokenizer, lists: list[list[str]], data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("tokens")
    table = pa.table({"h": pa.array(lists, pa.list_(pa.string()))})
    rows = compile_task(
        table, (Slot("h", "many"),), np.array(["train"] * len(lists)), tokenizer=tokenizer, max_length=8, folder=folder, key="k"
    )
    chosen = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=20))
    numbers = tokenizer.get_vocab()
    assert texts(rows, rows.take(np.array(chosen, np.int64)), "h") == [[[numbers[t]] for t in lists[i]] for i in chosen]
