import warnings
import zipfile
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.data.findings import Limits
from mtl_core.data.problems import DataError
from mtl_core.data.read import read_table
from mtl_core.data.store import store_dataset


def book(path: Path, **sheets: list[list[Any]]) -> Path:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        page = made.create_sheet(name)
        for row in rows:
            page.append(row)
    made.save(path)
    return path


def codes(path: Path, **options: Any) -> dict[str, Any]:
    with pytest.raises(DataError) as caught:
        read_table(path, **options)
    return {p.code: p for p in caught.value.problems}


def test_cells_keep_what_is_stored(tmp_path: Path) -> None:
    values = [
        ("text", "红色 shoe", "红色 shoe"), ("code", "007", "007"), ("whole", 1.0, "1"), ("number", 0.1, "0.1"),
        ("long", 1234567890123456, "1234567890123456"), ("truth", True, "true"), ("day", date(2024, 5, 31), "2024-05-31"),
        ("moment", datetime(2024, 5, 31, 18, 30), "2024-05-31 18:30:00"), ("clock", time(18, 30), "18:30:00"), ("error", "#N/A", None),
        ("empty", None, None), ("blank", "  ", None), ("last", "x", "x"),
    ]  # fmt: skip
    path = book(tmp_path / "a.xlsx", one=[[name for name, _, _ in values], [value for _, value, _ in values]])
    page = openpyxl.load_workbook(path)
    page["one"]["D2"].number_format = "0 %"
    page.save(path)
    read = read_table(path)
    assert read.table.to_pylist() == [{**{name: wanted for name, _, wanted in values}, "_line": 2}]
    assert (read.problems, read.encoding, read.delimiter) == ([], None, None)


def test_the_first_sheet_or_one_by_name(tmp_path: Path, workspace: Workspace) -> None:
    path = book(tmp_path / "a.xlsx", orders=[["a"], [1]], returns=[[], ["b"], [None], [2], [3]])
    read = read_table(path)
    assert read.table.to_pylist() == [{"a": "1", "_line": 2}]
    (note,) = read.problems
    assert (note.code, note.severity) == ("several_sheets", "info") and "returns" in str(note.remedy)
    read = read_table(path, sheet="returns")
    assert (read.table.to_pylist(), read.problems) == ([{"b": "2", "_line": 4}, {"b": "3", "_line": 5}], [])
    assert "orders, returns" in str(codes(path, sheet="nothing")["missing_sheet"].remedy)
    assert [store_dataset(path, workspace, sheet=s).n_rows for s in ("orders", "returns")] == [1, 2]


def test_what_is_wrong_is_said_with_the_row(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", one=[["a", "b"], [1, 2], [1, 2, 3], ["x" * 3000]])
    found = codes(path, limits=Limits(max_cell_bytes=2048))
    assert {code: p.line for code, p in found.items()} == {"ragged_rows": 3, "cell_too_large": 4}
    assert set(codes(book(tmp_path / "b.xlsx", one=[["a", "a"], [1, 2]]))) == {"duplicate_column"}
    assert set(codes(book(tmp_path / "c.xlsx", one=[["a", "b"]]))) == {"no_rows"}
    assert set(codes(book(tmp_path / "d.xlsx", one=[]))) == {"empty_file"}
    assert set(codes(book(tmp_path / "e.xlsx", one=[["a", None, "c"], [1, 2, 3]]))) == {"empty_column_name"}
    read = read_table(book(tmp_path / "f.xlsx", one=[[None, "a"], [0, 5], [1, 6]]))
    assert read.table.column_names == ["a", "_line"] and [p.code for p in read.problems] == ["index_column"]


def test_what_is_no_workbook(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    for content in (b"text,label\n", b"\xd0\xcf\x11\xe0" + bytes(600), book(tmp_path / "b.xlsx", one=[["a"], [1]]).read_bytes()[:900]):
        path.write_bytes(content)
        assert set(codes(path)) == {"broken_workbook"}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
    assert set(codes(path)) == {"broken_workbook"}
    path.write_bytes(b"")
    assert set(codes(path)) == {"empty_file"}


def test_a_workbook_that_unpacks_past_the_limit(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", one=[["a"], *[["same text"]] * 5000])
    assert path.stat().st_size < 60_000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(codes(path, limits=Limits(max_bytes=100_000))) == {"too_large"}


def test_why_cells_are_empty_that_are_not_on_the_screen(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    for row in (["text", "label"], ["x", "=1+1"], ["y", "a"], ["z", None], ["v", "=2+2"]):
        made.active.append(row)
    made.active.merge_cells("B3:B4")
    made.save(tmp_path / "a.xlsx")
    table = read_table(tmp_path / "a.xlsx")
    assert table.table["label"].to_pylist() == [None, "a", None, None]
    assert {p.code: (p.line, str(p.severity)) for p in table.problems} == {
        "formula_without_result": (2, "warning"),
        "merged_cells": (3, "warning"),
    }
    assert "2 formulas" in str(table.problems[0].why) and "B3:B4" in str(table.problems[1].why)
