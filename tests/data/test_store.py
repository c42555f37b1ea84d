import gzip
import hashlib
import json
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtl_core.base.messages import Message
from mtl_core.base.workspace import Workspace
from mtl_core.data.problems import DataError, Problem, Severity
from mtl_core.data.read import read_table
from mtl_core.data.split import SplitConfig, check_leaks
from mtl_core.data.store import load_dataset, store_dataset
from mtl_core.data.transactions import TransactionConfig
from tests.opens import opens


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "shop.csv"
    path.write_text("text,label\n" + "".join(f"red shoe {i},{i % 2}\n" for i in range(100)), encoding="utf-8")
    return path


def test_what_is_stored_is_read_again(source: Path, workspace: Workspace) -> None:
    dataset = store_dataset(source, workspace, split=SplitConfig(validation=0.2, test=0.1))
    assert (dataset.name, dataset.columns, dataset.n_rows) == ("shop.csv", ["text", "label"], 100)
    assert dataset.split_sizes == {"train": 70, "validation": 20, "test": 10}
    table, split = dataset.table(), dataset.split()
    assert table.column_names == ["text", "label", "_line"]
    assert table.slice(41, 1).to_pylist() == [{"text": "red shoe 41", "label": "1", "_line": 43}]
    assert {part: int((split == part).sum()) for part in dataset.split_sizes} == dataset.split_sizes
    assert dataset.table(["label"]).column_names == ["label", "_line"]
    assert pa.concat_tables(dataset.batches(rows=7)).equals(table.combine_chunks())
    assert dataset.folder.parent == workspace.datasets
    assert load_dataset(dataset.hash, workspace) == dataset


def test_the_hash_is_that_of_the_content(source: Path, workspace: Workspace, tmp_path: Path) -> None:
    first = store_dataset(source, workspace)
    renamed = tmp_path / "other.csv"
    renamed.write_bytes(source.read_bytes())
    again = store_dataset(renamed, workspace, name="other")
    assert (again.hash, again.name) == (first.hash, "other")
    assert store_dataset(source, workspace, split=SplitConfig(seed=1)).hash != first.hash
    elsewhere = Workspace(tmp_path / "elsewhere")
    assert store_dataset(source, elsewhere).hash == first.hash


def test_a_known_source_is_not_read_again(source: Path, workspace: Workspace) -> None:
    first = store_dataset(source, workspace)
    written = (first.folder / "table.parquet").stat().st_mtime_ns
    assert store_dataset(source, workspace) == first
    assert (first.folder / "table.parquet").stat().st_mtime_ns == written
    source.write_text("text,label\nblue hat,1\nwarm,0\n", encoding="utf-8")
    assert store_dataset(source, workspace).n_rows == 2


ROWS = [("red shoe", 1), ("blue hat", 0), ("grünes Kleid", 1), ("红色的鞋", 0)] * 3000
CSV = ("text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)).encode()
JSONL = "".join(f'{{"text": "{text}", "label": {label}}}\n' for text, label in ROWS).encode()


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", CSV), ("a.jsonl", JSONL), ("a.csv.gz", gzip.compress(CSV)), ("b.tsv", CSV.replace(b",", b"\t"))]
)
def test_a_file_is_opened_once_to_be_checked_and_once_to_be_stored(name: str, content: bytes, tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with opens(path) as checked:
        read = read_table(path)
    assert read.digests == (hashlib.sha256(content).hexdigest(),)
    with opens(path) as stored:
        first = store_dataset(path, workspace)
    with opens(path) as found:
        again = store_dataset(path, workspace)
    with opens(path) as at_hand:
        other = store_dataset(path, workspace, name="other", read=read)
    with opens(path) as both:
        assert store_dataset(path, workspace, name="other", read=read) == other
    assert (checked, stored, found, at_hand, both) == ([1], [1], [1], [0], [0])
    assert first == again
    assert first.hash == other.hash
    assert first.table().equals(other.table())


def test_a_source_of_the_same_size_is_another(source: Path, workspace: Workspace) -> None:
    first = store_dataset(source, workspace)
    source.write_text(source.read_text().replace("red shoe 7,", "red boot 7,"))
    with opens(source) as n:
        second = store_dataset(source, workspace)
    assert second.hash != first.hash
    assert n == [2]  # hashed, as it might be the one that is known; then read
    assert second.table(["text"]).column("text")[7].as_py() == "red boot 7"


def test_a_table_at_hand_is_named_as_the_dataset(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "a,1\n" * 20)
    read = read_table(path, name="what the person calls it")
    assert {p.file for p in store_dataset(path, workspace, name="t", read=read).problems} <= {"t"}


def test_a_dataset_that_was_removed_is_made_again(source: Path, workspace: Workspace) -> None:
    first = store_dataset(source, workspace)
    for file in first.folder.iterdir():
        file.unlink()
    first.folder.rmdir()
    with pytest.raises(DataError, match="not stored any more"):
        load_dataset(first.hash, workspace)
    assert store_dataset(source, workspace) == first
    assert first.table().num_rows == 100


def test_two_threads_store_the_same(source: Path, workspace: Workspace) -> None:
    found, start = [], threading.Barrier(4)

    def work() -> None:
        start.wait()
        found.append(store_dataset(source, workspace))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({d.hash for d in found}) == 1
    assert sorted(p.name for p in workspace.datasets.iterdir()) == sorted([found[0].hash, "sources"])
    assert all(p.suffix == ".json" for p in (workspace.datasets / "sources").iterdir())


def test_nothing_is_left_of_a_source_that_cannot_be_used(tmp_path: Path, workspace: Workspace) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("a,a\n1\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        store_dataset(bad, workspace)
    assert {p.code for p in caught.value.problems} == {"duplicate_column", "ragged_rows"}
    with pytest.raises(DataError) as caught:
        store_dataset(tmp_path / "gone.csv", workspace)
    assert {p.code for p in caught.value.problems} == {"file_missing"}
    assert [p.name for p in workspace.datasets.iterdir()] == ["sources"]


def test_a_split_column_that_is_missing(source: Path, workspace: Workspace) -> None:
    with pytest.raises(DataError) as caught:
        store_dataset(source, workspace, split=SplitConfig(by="group", column="product"))
    assert [(p.code, p.column, p.file) for p in caught.value.problems] == [("missing_split_column", "product", "shop.csv")]


def test_problems_are_kept(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,s\n1,train\n2,train\n3,val\n4,test\n5,later\n", encoding="utf-8")
    options = SplitConfig(by="column", column="s")
    first, again = (store_dataset(path, workspace, split=options) for _ in range(2))
    assert [p.code for p in first.problems] == ["split_left_out"]
    assert again == first


def test_a_transaction_log(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "log.csv"
    rows = [f"u{u},i{(u * 3 + n) % 30},item {(u * 3 + n) % 30},2024-01-{n + 1:02}" for u in range(20) for n in range(10)]
    path.write_text("who,what,text,when\n" + "\n".join(rows), encoding="utf-8")
    log = TransactionConfig(user="who", item="what", time="when")
    dataset = store_dataset(path, workspace, split=SplitConfig(by="time", column="when", validation=0.2, test=0.2), transactions=log)
    table, split = dataset.table(), dataset.split()
    assert dataset.columns == ["user", "history", "item", "item_id", "label", "time", "list"]
    assert dataset.split_sizes == {"train": 100 * 5, "validation": 40 * 21, "test": 40 * 21}
    assert table.schema.field("history").type == pa.list_(pa.dictionary(pa.int32(), pa.string()))
    lists, times = table.column("list").to_numpy(), table.column("time").to_numpy()
    assert all(len(set(split[lists == n])) == 1 for n in set(lists.tolist()))
    assert times[split == "train"].max() < times[split == "validation"].min() < times[split == "test"].min()


def test_lists_across_row_groups(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "log.csv"
    rows = [f"u{u},i{(u * 3 + n) % 300},item {(u * 3 + n) % 300},{n}" for u in range(2000) for n in range(8)]
    path.write_text("user,item,text,time\n" + "\n".join(rows), encoding="utf-8")
    dataset = store_dataset(path, workspace, transactions=TransactionConfig())
    assert dataset.split_sizes == {"train": 11_200 * 5, "validation": 1_400 * 21, "test": 1_400 * 21}
    table = dataset.table()
    assert len(table.column("history").chunks) > 1
    assert table.column("history")[-1].as_py() == [f"item {(1999 * 3 + n) % 300}" for n in range(7)]


PARTS = {
    "train": [f"red shoe {i}" for i in range(8)],
    "valid": ["blue hat", "red shoe 3"],
    "test": ["warm sock", "red shoe 5", "red shoe 7"],
}
FILES = SplitConfig(by="files", validation_file="valid.tsv", test_file="test.jsonl")


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A table in three files, in three formats; texts of the training file stand in the others too."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    (folder / "train.csv").write_text("text,label\n" + "".join(f"{t},1\n" for t in PARTS["train"]), encoding="utf-8")
    (folder / "valid.tsv").write_text("text\tlabel\n" + "".join(f"{t}\t0\n" for t in PARTS["valid"]), encoding="utf-8")
    lines = [json.dumps({"label": 1, "text": t}) for t in PARTS["test"]]
    (folder / "test.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_a_file_for_each_part(parts: Path, workspace: Workspace) -> None:
    dataset = store_dataset(parts / "train.csv", workspace, split=FILES, name="pairs")
    assert dataset.split_sizes == {"train": 8, "validation": 2, "test": 3} and dataset.columns == ["text", "label"]
    texts, split = dataset.table().column("text").to_numpy(), dataset.split()
    assert {part: texts[split == part].tolist() for part in dataset.split_sizes} == {
        "train": PARTS["train"],
        "validation": PARTS["valid"],
        "test": PARTS["test"],
    }
    assert store_dataset(parts / "train.csv", workspace, split=FILES, name="pairs").hash == dataset.hash
    (parts / "test.jsonl").write_text('{"text": "new", "label": 0}', encoding="utf-8")
    assert store_dataset(parts / "train.csv", workspace, split=FILES, name="pairs").hash != dataset.hash


def test_leaks_across_files_say_the_file_and_its_line(parts: Path, workspace: Workspace) -> None:
    dataset = store_dataset(parts / "train.csv", workspace, split=FILES, name="pairs")
    training = dataset.table().filter(pa.array(dataset.split() != "train"))  # so that the first row of a leak is in another file
    assert Problem(Severity.INFO, "x", Message(""), Message(""), "pairs", training.column("_line")[1].as_py()).where() == (
        "pairs/validation, line 3"
    )
    (leak,) = check_leaks(dataset.table(), dataset.split(), ["text"], file="pairs")
    assert (leak.code, leak.file, leak.line, leak.count) == ("leak_texts", "pairs", 5, 6)


def test_without_a_validation_file_rows_are_drawn_from_training(parts: Path, workspace: Workspace) -> None:
    split = SplitConfig(by="files", test_file="test.jsonl", validation=0.25)
    dataset = store_dataset(parts / "train.csv", workspace, split=split)
    assert dataset.split_sizes == {"train": 6, "validation": 2, "test": 3}
    assert [p.code for p in dataset.problems] == ["validation_drawn"]
    split = SplitConfig(by="files", validation_file="valid.tsv")
    dataset = store_dataset(parts / "train.csv", workspace, split=split)
    assert dataset.split_sizes == {"train": 8, "validation": 2, "test": 0}
    assert [p.code for p in dataset.problems] == ["no_test_rows"]


def test_files_with_other_columns_are_refused_by_name(parts: Path, workspace: Workspace) -> None:
    (parts / "valid.tsv").write_text("text\tgrade\nx\t1\n", encoding="utf-8")
    (parts / "test.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        store_dataset(parts / "train.csv", workspace, split=FILES, name="pairs")
    found = {p.code: (p.file, str(p.why)) for p in caught.value.problems}
    assert found["missing_columns"] == ("pairs/validation", "The training file has columns that this file lacks: label.")
    assert found["additional_columns"] == ("pairs/validation", "This file has columns that the training file lacks: grade.")
    assert found["empty_file"][0] == "pairs/test"
    pq.write_table(pa.table({"text": ["x"], "label": [["a", "b"]]}), parts / "test.parquet")
    pq.write_table(pa.table({"text": ["x"], "label": [1]}), parts / "train.parquet")
    with pytest.raises(DataError, match="The column holds list<item: string>; in the training file it holds int64"):
        store_dataset(parts / "train.parquet", workspace, split=SplitConfig(by="files", test_file="test.parquet"))


def test_a_file_is_read_in_the_encoding_that_a_person_chose(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text\nzażółć\n".encode("cp1250"))
    assert store_dataset(path, workspace, encoding="cp1250").table().column("text").to_pylist() == ["zażółć"]
    assert store_dataset(path, workspace, encoding="iso-8859-1").table().column("text").to_pylist() != ["zażółć"]
    with pytest.raises(DataError, match="line 2: This line has bytes that are not utf-8"):
        store_dataset(path, workspace, encoding="utf-8")
