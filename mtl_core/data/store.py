"""A checked table with its split, stored once as Parquet and named by the hash of its content."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace, new_id
from mtl_core.data.findings import LINE
from mtl_core.data.problems import DataError, Problem, Severity, has_errors
from mtl_core.data.read import format_of, read_table
from mtl_core.data.split import PARTS, SplitConfig, part_called, split_rows
from mtl_core.data.transactions import TransactionConfig, to_recommendations

SPLIT = "_split"
VERSION = 2  # of what is stored; a new number reads the sources again
_GROUP_ROWS = 1 << 16
_PARTS = np.array(["", *PARTS])


@dataclass(frozen=True)
class Dataset:
    """A stored table. n_rows counts all rows; rows that are in no part of the split are among them."""

    hash: str
    folder: Path
    name: str
    columns: list[str]
    n_rows: int
    split_sizes: dict[str, int]
    problems: list[Problem]

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The columns asked for (default: all) and `_line`, in the order of the file."""
        table = pa.Table.from_batches([batch for piece in self.batches(columns) for batch in piece.to_batches()])
        return table.unify_dictionaries()

    def batches(self, columns: Sequence[str] | None = None, rows: int = _GROUP_ROWS) -> Iterator[pa.Table]:
        """`table` in pieces of at most `rows` rows, so that memory does not grow with the table."""
        wanted = list(dict.fromkeys([*(self.columns if columns is None else columns), LINE]))
        with pq.ParquetFile(self.folder / "table.parquet", memory_map=True) as file:
            for batch in file.iter_batches(rows, columns=wanted):
                yield pa.Table.from_batches([batch])

    def split(self) -> np.ndarray:
        """(n_rows,) str: "train", "validation", "test" or "" for rows left out."""
        with pq.ParquetFile(self.folder / "table.parquet", memory_map=True) as file:
            codes = file.read([SPLIT]).column(SPLIT).to_numpy()
        return _PARTS[codes]


def store_dataset(
    source: Path,
    workspace: Workspace,
    *,
    split: SplitConfig = SplitConfig(),
    transactions: TransactionConfig | None = None,
    name: str | None = None,
) -> Dataset:
    """Reads, turns a transaction log into recommendations, splits, and stores; a source seen before is found again by its hash.

    source: a file, or a folder with a file for each part (train, valid, test), which then get a column `split`.
    Safe to call from several threads and processes: what is stored appears whole or not at all.
    Raises DataError: the source cannot be used; all problems together.
    """
    source = Path(source)
    name = name or source.name
    options = {
        "version": VERSION,
        "split": split.model_dump(),
        "transactions": transactions.model_dump() if transactions else None,
        "name": name,
    }
    key = hashlib.sha256(json.dumps([_source_hash(source, name), options], sort_keys=True).encode()).hexdigest()[:32]
    known = workspace.folder("datasets", "sources") / f"{key}.json"
    if known.is_file():
        record = json.loads(known.read_text(encoding="utf-8"))
        if workspace.inside("datasets", record["hash"], "table.parquet").is_file():
            return _dataset(record, workspace)
    table, problems = _read(source, name)
    table, parts, more = divide(table, split, transactions, name)
    problems += more
    if has_errors(problems):
        raise DataError(problems)
    record = _write(table, parts, problems, name, workspace)
    _write_text(known, json.dumps(record, ensure_ascii=False, indent=1))
    del table
    pa.default_memory_pool().release_unused()
    return _dataset(record, workspace)


def divide(
    table: pa.Table, split: SplitConfig, transactions: TransactionConfig | None, file: str
) -> tuple[pa.Table, np.ndarray, list[Problem]]:
    """(the rows that tasks learn from, (N,) the part of each, problems): a table as read, or what becomes of a transaction log."""
    if transactions is not None:
        return to_recommendations(table, transactions, split, file)
    return table, *split_rows(table, split, file)


def load_dataset(name: str, workspace: Workspace) -> Dataset:
    """name: the dataset's hash. Raises DataError: no such dataset is stored."""
    try:
        record = json.loads((workspace.inside("datasets", name) / "dataset.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        why = message("The dataset {hash} is not stored any more.", hash=name)
        raise DataError([Problem(Severity.ERROR, "dataset_missing", why, message("Import its file again."))]) from None
    return _dataset(record, workspace)


def _dataset(record: dict[str, Any], workspace: Workspace) -> Dataset:
    problems = [Problem.from_json(p) for p in record["problems"]]
    return Dataset(**{**record, "folder": workspace.inside("datasets", record["hash"]), "problems": problems})


def _source_hash(source: Path, name: str) -> str:
    files = _parts_of(source, name) if source.is_dir() else [source]
    total = hashlib.sha256()
    for file in files:
        try:
            with open(file, "rb") as stream:
                total.update(f"{file.name}:{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
        except FileNotFoundError:
            raise DataError(
                [Problem(Severity.ERROR, "file_missing", message("There is no such file."), message("Check the path."), name)]
            ) from None
    return total.hexdigest()


def _parts_of(folder: Path, name: str) -> list[Path]:
    files = sorted(f for f in folder.iterdir() if format_of(f)[0] and part_called(f.name.partition(".")[0]))
    if not files:
        why = message("The folder holds no table named train, valid or test.")
        raise DataError([Problem(Severity.ERROR, "file_missing", why, message("Put train, valid and test files in it."), name)])
    return files


def _read(source: Path, name: str) -> tuple[pa.Table, list[Problem]]:
    if not source.is_dir():
        read = read_table(source, name=name)
        return read.table, list(read.problems)
    problems: list[Problem] = []
    tables = []
    for file in _parts_of(source, name):
        try:
            read = read_table(file, name=f"{name}/{file.name}")
        except DataError as e:
            problems += e.problems
            continue
        problems += read.problems
        part = file.name.partition(".")[0]
        names = pa.array([part] * read.table.num_rows, pa.string())
        tables.append(read.table if "split" in read.table.column_names else read.table.append_column("split", names))
    if has_errors(problems):
        raise DataError(problems)
    return pa.concat_tables(tables, promote_options="permissive"), problems


def _write(table: pa.Table, parts: np.ndarray, problems: list[Problem], name: str, workspace: Workspace) -> dict[str, Any]:
    codes = np.zeros(len(parts), np.int8)
    for i, part in enumerate(_PARTS):
        codes[parts == part] = i
    columns = [c for c in table.column_names if c not in (LINE, SPLIT)]
    table = table.append_column(SPLIT, pa.array(codes))
    temporary = workspace.folder("datasets", f"tmp-{new_id()}")
    try:
        file = temporary / "table.parquet"
        pq.write_table(table, file, row_group_size=_GROUP_ROWS, compression="zstd", compression_level=1)
        with open(file, "rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()[:24]
        record = {
            "hash": content,
            "name": name,
            "columns": columns,
            "n_rows": table.num_rows,
            "split_sizes": {part: int((parts == part).sum()) for part in PARTS},
            "problems": [p.to_json() for p in problems],
        }
        _write_text(temporary / "dataset.json", json.dumps(record, ensure_ascii=False, indent=1))
        try:
            os.replace(temporary, workspace.inside("datasets", content))
        except OSError:  # another thread was first, or the same content came from another source
            if not workspace.inside("datasets", content, "dataset.json").is_file():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return record


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{new_id()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
