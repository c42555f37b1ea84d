"""A checked table with its split, stored once as Parquet and named by the hash of its content."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mtl_core.base.files import sync, write_atomically
from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace, new_id
from mtl_core.data.places import LINE, PARTS, SPLIT
from mtl_core.data.problems import DataError, Problem, Severity, has_errors
from mtl_core.data.read import Table, file_digest, read_files
from mtl_core.data.split import SplitConfig, split_rows
from mtl_core.data.times import Dates
from mtl_core.data.transactions import TransactionConfig, to_recommendations

VERSION = 3  # of what is stored; a new number reads the sources again
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
    read: Table | None = None,
    others: Mapping[str, Path] | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    dates: Dates | None = None,
) -> Dataset:
    """Reads, turns a transaction log into recommendations, splits, and stores; a source seen before is found again by its hash.

    read: what `read_table` made of the file, where that is at hand. others: for a split by files, the file of a part; None: as the split
    names them, beside the source. encoding, sheet: of `read_table`; dates: of `values.as_time`.
    A file is opened once: to be hashed when one of its size was stored, else to be read.
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
        "encoding": encoding,
        "sheet": sheet,
        "dates": dates,
    }
    others = {part: source.parent / file for part, file in split.files.items()} if others is None else others
    files = [source, *others.values()]
    key, folder = _key(files, options, name), workspace.folder("datasets", "sources")
    if any(folder.glob(f"{key}-*.json")):
        known = folder / f"{key}-{_combined(files, [read.digests[0] if read else None, *([None] * len(others))])}.json"
        if known.is_file():
            record = json.loads(known.read_text(encoding="utf-8"))
            if workspace.inside("datasets", record["hash"], "table.parquet").is_file():
                return _dataset(record, workspace)
    read = read_files(source, others, name=name, encoding=encoding, sheet=sheet, read=read)
    known = folder / f"{key}-{_combined(files, read.digests)}.json"
    table, parts, more = divide(read.table, split, transactions, name, dates)
    problems = read.problems + more
    if has_errors(problems):
        raise DataError(problems)
    record = _write(table, parts, problems, name, workspace)
    write_atomically(known, json.dumps(record, ensure_ascii=False, indent=1))
    del table, read
    pa.default_memory_pool().release_unused()
    return _dataset(record, workspace)


def divide(
    table: pa.Table, split: SplitConfig, transactions: TransactionConfig | None, file: str, dates: Dates | None = None
) -> tuple[pa.Table, np.ndarray, list[Problem]]:
    """(the rows that tasks learn from, (N,) the part of each, problems): a table as read, or what becomes of a transaction log."""
    if transactions is not None:
        return to_recommendations(table, transactions, split, file, dates)
    return table, *split_rows(table, split, file, dates)


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


def _key(files: Sequence[Path], options: dict[str, Any], name: str) -> str:
    """What a source is found again by, before its content. Raises DataError: there is no such file."""
    try:
        sizes = [(file.name, file.stat().st_size) for file in files]
    except (OSError, ValueError):  # also a name that no file can have
        why, remedy = message("There is no such file."), message("Check the path.")
        raise DataError([Problem(Severity.ERROR, "file_missing", why, remedy, name)]) from None
    return hashlib.sha256(json.dumps([sizes, options], sort_keys=True).encode()).hexdigest()[:32]


def _combined(files: Sequence[Path], digests: Sequence[str | None]) -> str:
    """Of the content of all files. digests: those that are known already."""
    content = [digest or file_digest(file) for file, digest in zip(files, digests, strict=True)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


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
        (temporary / "dataset.json").write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
        for written in (file, temporary / "dataset.json", temporary):
            sync(written)
        try:
            os.replace(temporary, workspace.inside("datasets", content))
            sync(workspace.datasets)
        except OSError:  # another thread was first, or the same content came from another source
            if not workspace.inside("datasets", content, "dataset.json").is_file():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return record
