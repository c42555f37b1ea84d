"""Tables that nobody exports and somebody sends: refused, with the figure and the limit, or read; nothing else comes of them."""

import gzip
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.strangers_tables import TABLES
from mtl_core.data.findings import Limits
from mtl_core.data.problems import DataError, Problem, Severity, gathered
from mtl_core.data.read import Table, read_table

SLOW = {
    "one_line_70MB.csv", "header_line_70MB.csv", "open_quote_16MB.csv", "odd_quotes.csv", "ragged_million.csv", "blank_lines.csv",
    "comments_million.csv", "large_cell_60MB.csv", "classes_million.csv", "mixed_encodings.csv", "broken_million.jsonl",
    "no_objects.jsonl", "open_array.json", "open_string.json", "long_value.jsonl", "many_items.jsonl", "bomb_16GB.csv.gz",
    "bomb_one_line.csv.gz", "bomb.jsonl.gz", "bomb.json.gz", "bomb.parquet.gz", "bomb_of_blanks.csv.gz", "gz_in_gz.csv.gz",
    "bomb_4GB.zip", "lzma_bomb.zip", "bz2_bomb.zip", "many_members.zip", "dictionary.parquet", "dictionaries.parquet",
    "rows_many.parquet", "nulls.parquet", "lists.parquet", "page_1GB.parquet", "wide_40000.parquet", "row_million.xlsx",
    "row_billion.xlsx", "column_last.xlsx", "bomb_sheet.xlsx", "bomb_1GB.xlsx", "strings_bomb.xlsx", "rows_blank.xlsx",
    "sheets_20000.xlsx", "false_size.xlsx", "every_byte.csv", "nul_bytes.csv", "random_bytes.csv", "delimiters_only.csv",
    "two_encodings_in_a_row.csv", "keys_new_in_every_line.jsonl", "after_the_array.json", "blanks.json", "wide_nameless.csv",
    "false_size.zip", "keys_twice.jsonl", "fields_in_a_struct.parquet",
}  # fmt: skip
"""Large to make, or to read; `benchmarks/strangers.py` reads them."""


def read(path: Path, **limits: int) -> Table | list[Problem]:
    try:
        return read_table(path, limits=replace(Limits(), **limits))
    except DataError as error:
        return error.problems


@pytest.mark.parametrize("name", sorted(TABLES.keys() - SLOW))
def test_a_hostile_table_is_read_or_refused(tmp_path: Path, name: str) -> None:
    TABLES[name](tmp_path / name)
    found = read(tmp_path / name)
    for problem in found.problems if isinstance(found, Table) else found:
        assert len(str(problem)) < 1500


def refused(path: Path, **limits: int) -> Problem:
    found = read(path, **limits)
    assert isinstance(found, list) and len(found) == 1
    return found[0]


def test_columns_are_counted_before_anything_is_done_to_each(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(40)]
    (csv := tmp_path / "a.csv").write_text(",".join(names) + "\n" + "1," * 39 + "1\n")
    (jsonl := tmp_path / "a.jsonl").write_text("".join(json.dumps({name: 1}) + "\n" for name in names))
    pq.write_table(pa.table({name: [1] for name in names}), parquet := tmp_path / "a.parquet")
    for path in (csv, jsonl, parquet):
        assert str(refused(path, max_columns=39).why) == "The table has 40 columns, more than 39."
        assert isinstance(read(path, max_columns=40), Table)


@pytest.mark.parametrize("kind", ["plain", "categories", "lists", "lists of categories", "lists of one length", "struct"])
def test_what_a_dictionary_becomes_is_known_before_it_does(tmp_path: Path, kind: str) -> None:
    """1,000 rows of one text of 100 kB: 100 MB out of a file of a few kB; the same as categories of pandas, in lists, and in structs."""
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1_000, np.int32)), pa.array(["a" * 100_000]))
    column = texts if "categories" in kind else texts.cast(pa.string())
    if kind in ("lists", "lists of categories"):
        column = pa.ListArray.from_arrays(pa.array(np.arange(0, 1_001, 5, dtype=np.int32)), column)
    elif kind == "lists of one length":
        column = pa.FixedSizeListArray.from_arrays(column, 5)
    elif kind == "struct":
        column = pa.StructArray.from_arrays([column], ["f"])
    pq.write_table(pa.table({"text": column}), path := tmp_path / "a.parquet", compression="zstd")
    assert path.stat().st_size < 20_000
    pa.default_memory_pool().release_unused()
    before = pa.total_allocated_bytes()
    problem = refused(path, max_table_bytes=20 << 20)
    found = re.search(r"the table has (\d+) MB or more; the limit is 20 MB", str(problem.why))
    assert found and int(found[1]) < 65, "one batch at most was decoded"
    assert pa.total_allocated_bytes() - before < 1 << 20
    table = read(path, max_table_bytes=200 << 20)
    assert isinstance(table, Table) and len(table.table) == len(column)


def test_an_archive_that_unpacks_to_more_than_tables_do(tmp_path: Path) -> None:
    content = b"text,label\n" + b"a,yes\n" * 200_000
    (gz := tmp_path / "a.csv.gz").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(zipped := tmp_path / "a.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
    for path in (gz, zipped):
        assert "over 100 times its size" in str(refused(path, free_bytes=1 << 20, max_ratio=100).why)
        assert isinstance(read(path, free_bytes=2 << 20, max_ratio=100), Table)


@pytest.mark.parametrize("many", [False, True])
def test_json_as_deep_as_it_may_be_and_deeper(tmp_path: Path, many: bool) -> None:
    def line(depth: int) -> str:
        return '{"a": ' + "[" * (depth - 1) + '"\\ud800"' + "]" * (depth - 1) + "}"

    text = "[" + line(100) + ",\n" + line(101) + "]" if many else line(100) + "\n" + line(101) + "\n"
    (path := tmp_path / ("a.json" if many else "a.jsonl")).write_text(text)
    found = {p.code: p for p in read(path)}  # type: ignore[union-attr]
    assert found["too_deep"].line == 2 and "100 deep" in str(found["too_deep"].why)


def test_a_kind_of_problem_is_listed_once() -> None:
    from mtl_core.base.messages import message

    def problem(code: str, column: str) -> Problem:
        return Problem(Severity.WARNING, code, message("It is odd."), message("Mend it."), "a.csv", 3, column, 2)

    few = [problem("odd", f"c{i}") for i in range(5)]
    assert gathered(few) == few
    one, other = gathered([*(problem("odd", f"c{i}") for i in range(1_000)), problem("even", "d")])
    assert other.code == "even" and (one.column, one.count) == ("c0", 2_000)
    assert str(one.why) == "It is odd. Likewise in 999 other places: c1, c2, c3, c4, c5 …."
    assert Problem.from_json(one.to_json()) == one
