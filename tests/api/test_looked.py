"""What the page Data finds of a table, as the process finds it that reads it."""

import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtl_core.api.checked import check_task
from mtl_core.api.looked import changes, look, whole
from mtl_core.base.workspace import Workspace
from mtl_core.data.problems import DataError
from tests.opens import opens

ROWS = "".join(f"a bad thing number {i},no\na good thing number {i},yes\n" for i in range(30))
TASK = {"kind": "classification", "columns": {"text": "text", "label": "label"}}


def test_a_table_is_read_once_and_stored_from_what_was_read(tmp_path: Path) -> None:
    (path := Workspace(tmp_path).uploads / "a.csv").write_text("text,label\n" + ROWS)
    with opens(path) as n:
        found = look(path, "a.csv", 1)
        checked = check_task(path, "a.csv", 1, {"file": "uploads/a.csv"}, TASK, Workspace(tmp_path))
    assert n == [1]
    assert found.rows == 60 and found.proposal and found.proposal.task == TASK
    assert checked.usable and checked.sizes == {"train": 48, "validation": 6, "test": 6}
    for answer in (found, checked):  # it goes from process to process
        assert pickle.loads(pickle.dumps(answer)).problems == answer.problems  # noqa: S301 our own
    assert checked.kind and checked.kind.name == "classification"


def test_what_is_to_replace_a_table_is_read_once(tmp_path: Path) -> None:
    old, new = (Workspace(tmp_path).uploads / name for name in ("old.csv", "new.csv"))
    old.write_text("text,label\n" + ROWS)
    new.write_text("text,label\n" + ROWS + "a thing,maybe\n")
    with opens(new) as n:
        assert changes((old, "old.csv", 1), (new, "new.csv", 1), ["label"]).rows == (60, 61)
        assert check_task(new, "new.csv", 1, {"file": "uploads/new.csv"}, TASK, Workspace(tmp_path)).sizes["train"] == 49
    assert n == [1]


@pytest.mark.parametrize("columns", [2, 60])
def test_what_the_server_keeps_of_a_table_is_little(tmp_path: Path, columns: int) -> None:
    """Of 1,000 rows with cells of 20 kB, or 1 MB in each row."""
    names = ["text", "label", *(f"c{i}" for i in range(columns - 2))]
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 100), pa.array(["a " * 10_000])).cast(pa.string())
    pq.write_table(pa.table({name: long if name != "label" else pa.array(["yes", "no"] * 50) for name in names}), tmp_path / "a.parquet")
    found = look(tmp_path / "a.parquet", "a.parquet", 1)
    assert found.head is not None and found.head.column_names[:2] == ["text", "label"]
    assert 1 <= found.head.num_rows <= 100 and len(pickle.dumps(found)) < 3 << 20


def test_a_catalogue_has_its_limit(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text("name\n" + "a thing\n" * 100)
    assert whole(path, "a.csv").table.num_rows == 100
    pq.write_table(pa.table({"name": ["a" * 100_000] * 700}), large := tmp_path / "a.parquet")
    with pytest.raises(DataError, match="up to 64 MB; this one has 66 MB"):
        whole(large, "a.parquet")


def test_of_a_very_wide_table_the_first_columns_and_the_last_are_held_against_each_other(tmp_path: Path) -> None:
    columns = {f"c{i}": [f"{j % 7} {i}" for j in range(60)] for i in range(400)}
    texts = {"text": [f"a thing number {j} that people say something about" for j in range(60)], "label": ["yes", "no"] * 30}
    pq.write_table(pa.table({"text": texts["text"], **columns, "label": texts["label"]}), path := tmp_path / "a.parquet")
    found = look(path, "a.parquet", 1)
    assert len(found.columns) == 402 and found.proposal
    assert not {f"c{i}" for i in range(150, 350)} & set(str(found.proposal.task["columns"]).replace("'", " ").split())
