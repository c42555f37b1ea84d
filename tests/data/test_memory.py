from pathlib import Path

import numpy as np
import pyarrow as pa

from mtl_core.data.compiled import compile_task
from mtl_core.data.memory import rows_in_memory
from mtl_core.tasks.base import Slot

SLOTS = (Slot("history", "many"), Slot("item"), Slot("both", "pair"))


def test_rows_in_memory_are_those_of_a_file(tmp_path: Path, tokenizer) -> None:
    table = pa.table(
        {
            "history": pa.array([["red shoe", "hat"], [], None], pa.list_(pa.string())),
            "item": pa.array(["hat", None, "red shoe"]),
            "both": pa.array([{"a": "red", "b": "shoe"}, {"a": "hat", "b": None}, {"a": "red", "b": "red"}]),
            "codes": pa.FixedSizeListArray.from_arrays(pa.array(range(6), pa.int64()), 2),
        }
    )
    split = np.array(["train"] * 3)
    rows = compile_task(table, SLOTS, split, tokenizer=tokenizer, max_length=8, folder=tmp_path, key="k")
    block, stores = rows_in_memory(table, SLOTS, tokenizer, 8)
    expected = rows.take(np.arange(3))
    for slot in ("history", "item"):
        ids = [[store.ids(c).tolist() for c in b.slots[slot][0]] for store, b in ((stores[slot], block), (rows.stores[slot], expected))]
        assert ids[0] == ids[1]
    first, second = rows.stores["both"]
    assert [[stores["both"].ids(c).tolist() for c in pair] for pair in block.slots["both"][0]] == [
        [first.ids(a).tolist(), second.ids(b).tolist()] for a, b in expected.slots["both"][0]
    ]
    assert block.slots["history"][1].tolist() == expected.slots["history"][1].tolist() == [0, 2, 2, 2]
    assert block.features["codes"].tolist() == expected.features["codes"].tolist()
    assert block.labels is None
