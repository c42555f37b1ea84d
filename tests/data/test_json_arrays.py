"""Arrays of JSON objects as tables, and files whose content is not what their name says."""

import gzip
import json
import shutil
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.data import json_rows
from mtl_core.data.problems import DataError
from mtl_core.data.read import read_table
from mtl_core.data.upload import save_upload, uploads

ROWS = [{"text": f"red [shoe], {i}", "tags": ["a", "b"], "n": i} for i in range(300)] + [{"text": '{"x": "]"}', "more": 1.50}]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_is_read_as_its_lines_would_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None) -> None:
    monkeypatch.setattr(json_rows, "_PIECE", 7)  # elements that go over pieces
    lines = read_table(written(tmp_path / "a.jsonl", "\n".join(map(json.dumps, ROWS)))).table
    array = read_table(written(tmp_path / "a.json", "\n " + json.dumps(ROWS, indent=indent) + "\n")).table
    assert array.drop_columns(["_line"]).equals(lines.drop_columns(["_line"]))
    found = array["_line"].to_pylist()
    text = (tmp_path / "a.json").read_text().splitlines()
    assert len(text) == (2 if indent is None else found[-1] + 4) and all(text[n - 1].lstrip().startswith(("{", "[{")) for n in found)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ('[{"a": 1},\n{"a": }]', "broken_json", 2),
        ('[{"a": 1},\n\n{"a": "x', "broken_json", 3),
        ('[{"a": 1}\n{"a": 2}]', "broken_json", 2),
        ('[{"a": 1},\n]', "broken_json", 2),
        ('[{"a": 1}]\n{"a": 2}', "broken_json", 2),
        ('[{"a": 1},\n2, [3]]', "not_an_object", 2),
        ("[]", "empty_file", None),
        ("[" * 5000, "too_deep", 1),
        ('{"rows": [\n{"a": 1}]}', "broken_json", 1),
    ],
)
def test_what_is_no_array_of_objects_is_refused_with_its_line(tmp_path: Path, text: str, code: str, line: int | None) -> None:
    with pytest.raises(DataError) as caught:
        read_table(written(tmp_path / "a.json", text))
    assert [(p.code, p.line) for p in caught.value.problems] == [(code, line)]


def test_an_uploaded_array_is_a_table_and_the_names_beside_tables_are_not(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("orders.json", "other.csv"):
        with open(written(tmp_path / name, '[{"a": 1}]'), "rb") as stream:
            save_upload(stream, name, workspace)
    assert sorted(path.suffix for path in uploads(workspace)) == [".csv", ".json"]


def test_a_name_that_lies_is_read_by_its_content(tmp_path: Path) -> None:
    table, csv = pa.table({"a": ["x", "y"]}), written(tmp_path / "plain.csv", "a\nx\ny\n")
    pq.write_table(table, tmp_path / "parquet.csv")
    pq.write_table(table, tmp_path / "parquet.csv.gz")
    pq.write_table(table, tmp_path / "parquet.xlsx")
    (tmp_path / "gz.csv").write_bytes(gzip.compress(csv.read_bytes()))
    with zipfile.ZipFile(tmp_path / "zip.csv", "w") as archive:
        archive.write(csv, "plain.csv")
    book = openpyxl.Workbook()
    assert book.active is not None
    for cell in ("a", "x", "y"):
        book.active.append([cell])
    book.save(tmp_path / "book.xlsx")
    shutil.move(tmp_path / "book.xlsx", tmp_path / "book.csv")
    for name in ("parquet.csv", "parquet.csv.gz", "parquet.xlsx", "gz.csv", "zip.csv", "book.csv"):
        found = read_table(tmp_path / name)
        assert found.table["a"].to_pylist() == ["x", "y"] and [p.code for p in found.problems] == ["not_as_named"], name
    assert read_table(csv).problems == []


@pytest.mark.parametrize("name", ["a.parquet", "a.xlsx", "a.csv.gz", "a.csv.zip", "a.csv", "a.json"])
@pytest.mark.parametrize(
    "content", [b"a\nx\n\x00\x01", b"\xd0\xcf\x11\xe0" + bytes(600), b"PK\x03\x04" + bytes(50), b"PAR1", b"\x1f\x8b\x08"]
)
def test_other_lies_are_refused_without_a_traceback(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / name)
    assert all(p.remedy.text() for p in caught.value.problems)
