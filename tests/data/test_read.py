import csv
import gzip
import io
import json
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_core.data.csv_rows import sniff_delimiter
from mtl_core.data.findings import Limits
from mtl_core.data.places import of_file
from mtl_core.data.problems import DataError, Problem
from mtl_core.data.read import Table, read_files, read_table


@pytest.fixture
def write(tmp_path: Path):
    def write(content: bytes | str, name: str = "t.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def rows(table: Table) -> list[dict]:
    return table.table.to_pylist()


def faults(path: Path, **options) -> dict[str, Problem]:
    before = path.read_bytes() if path.exists() else b""
    with pytest.raises(DataError) as caught:
        read_table(path, **options)
    assert not path.exists() or path.read_bytes() == before
    found = {p.code: p for p in caught.value.problems}
    for problem in found.values():
        assert problem.file == options.get("name", path.name)
        assert str(problem.why) and str(problem.remedy)
    return found


# -- what is read rightly -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_in_the_encodings_and_delimiters_of_shops(write, encoding: str, delimiter: str) -> None:
    path = write(f"标题{delimiter}价格\n红色, 运动鞋;好{delimiter}3\n".replace("红色, 运动鞋;好", '"红色, 运动鞋;好"'), encoding=encoding)
    table = read_table(path)
    assert rows(table) == [{"标题": "红色, 运动鞋;好", "价格": "3", "_line": 2}]
    assert table.delimiter == delimiter
    assert [p.code for p in table.problems] == ["guessed_encoding"] * (encoding == "gb18030")


def test_western_csv(write) -> None:
    assert rows(read_table(write("nom;prix\nécharpe d'été;3\n", encoding="cp1252")))[0]["nom"] == "écharpe d'été"


def test_lines_are_those_of_an_editor(write) -> None:
    path = write('text,label\n"two\nlines",1\n\nplain,2\n"and\r\nthree\nlines",3\nlast,4')
    assert read_table(path).table.column("_line").to_pylist() == [2, 5, 6, 9]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(write, end: str) -> None:
    assert rows(read_table(write(end.join(["a,b", "1,2", "3,4", ""])))) == [
        {"a": "1", "b": "2", "_line": 2},
        {"a": "3", "b": "4", "_line": 3},
    ]


def test_texts_stay_as_they_are_and_blank_ones_are_missing(write) -> None:
    assert rows(read_table(write("code,formula,text\n007,=1+1, x \n,  ,<b>1.10</b>\n"))) == [
        {"code": "007", "formula": "=1+1", "text": " x ", "_line": 2},
        {"code": None, "formula": None, "text": "<b>1.10</b>", "_line": 3},
    ]


def test_one_column_and_spaces_in_the_header(write) -> None:
    assert rows(read_table(write(" text \nred shoe\nblue hat\n"))) == [{"text": "red shoe", "_line": 2}, {"text": "blue hat", "_line": 3}]


def test_tsv_with_commas(write) -> None:
    assert rows(read_table(write("a\tb\nx, y\tz, w\n", "t.tsv"))) == [{"a": "x, y", "b": "z, w", "_line": 2}]


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], include_characters='\n\r\t"'), max_size=12)


@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=20),
    st.sampled_from([",", ";", "\t"]),
)
def test_csv_round_trip(tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]], delimiter: str) -> None:
    """What Python's writer writes is read again, cell by cell and line by line."""
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerow(["alpha", "beta", "gamma"])
        writer.writerows(cells)
    table = read_table(path).table
    found = list(zip(*(table.column(c).to_pylist() for c in ("alpha", "beta", "gamma")), strict=True))
    assert found == [tuple(cell if cell.strip() else None for cell in row) for row in cells]
    line = 2
    for row, at in zip(cells, table.column("_line").to_pylist(), strict=True):
        assert at == line
        line += sum(len(cell.replace("\r\n", "\n").replace("\r", "\n").split("\n")) - 1 for cell in row) + 1


def test_more_rows_than_a_chunk(write) -> None:
    table = read_table(write("n\n" + "\n".join(map(str, range(100_000))))).table
    assert table.column("n").to_pylist()[::9999] == [str(i) for i in range(0, 100_000, 9999)]
    assert table.column("_line")[-1].as_py() == 100_001


def test_jsonl(write) -> None:
    lines = [{"text": "红鞋", "n": 1, "ok": True}, {"text": " ", "n": 0.5, "more": {"a": 1}}, {"text": None, "n": "x"}]
    path = write("\n".join(json.dumps(x, ensure_ascii=False) for x in lines[:2]) + "\n\n" + json.dumps(lines[2]) + "\n", "t.jsonl")
    assert rows(read_table(path)) == [
        {"text": "红鞋", "n": "1", "ok": "true", "more": None, "_line": 1},
        {"text": None, "n": "0.5", "ok": None, "more": '{"a": 1}', "_line": 2},
        {"text": None, "n": "x", "ok": None, "more": None, "_line": 4},
    ]


def test_jsonl_lists(write) -> None:
    path = write('{"h": ["a", "b"]}\n{"h": []}\n{"h": "c"}\n{}\n', "t.jsonl")
    assert read_table(path).table.column("h").to_pylist() == [["a", "b"], [], ["c"], None]


def test_jsonl_columns_that_come_late_and_change(write) -> None:
    many = [{"a": 1}] * 40_000 + [{"a": [2], "b": "x"}]
    table = read_table(write("\n".join(map(json.dumps, many)), "t.jsonl")).table
    assert table.num_rows == 40_001
    assert table.column("a").to_pylist()[-2:] == [["1"], ["2"]]
    assert table.column("b").to_pylist()[-2:] == [None, "x"]


def test_parquet_types(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    columns = {
        "s": pa.array(["a", "", None]),
        "d": pa.array(["x", "y", "x"]).dictionary_encode(),
        "large": pa.array(["p", "q", "r"], pa.large_string()),
        "f": pa.array([1.5, float("nan"), None]),
        "list": pa.array([["a"], [], None]),
        "struct": pa.array([{"a": 1}] * 3),
    }
    pq.write_table(pa.table(columns), path)
    table = read_table(path)
    assert rows(table) == [
        {"s": "a", "d": "x", "large": "p", "f": 1.5, "list": ["a"], "_line": 1},
        {"s": None, "d": "y", "large": "q", "f": None, "list": [], "_line": 2},
        {"s": None, "d": "x", "large": "r", "f": None, "list": None, "_line": 3},
    ]
    assert {table.table.schema.field(c).type for c in ("s", "d", "large")} == {pa.string()}
    assert [(p.code, p.column) for p in table.problems] == [("unusable_column", "struct")]


def packed(path: Path, name: str, packing: str) -> Path:
    target = path.with_name(f"{name}.{packing}")
    if packing == "gz":
        target.write_bytes(gzip.compress(path.read_bytes()))
    else:
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("../../" + name, path.read_bytes())
            archive.writestr("__MACOSX/._" + name, b"x")
    return target


@pytest.mark.parametrize("packing", ["gz", "zip"])
def test_packed_files(write, packing: str) -> None:
    expected = [{"a": "1", "_line": 2}]
    assert rows(read_table(packed(write("a\n1\n"), "t.csv", packing))) == expected
    parquet = write(b"", "t.parquet")
    pq.write_table(pa.table({"a": ["1"]}), parquet)
    assert rows(read_table(packed(parquet, "t.parquet", packing))) == [{"a": "1", "_line": 1}]


def test_zip_called_by_its_table_or_not(write, tmp_path: Path) -> None:
    table = packed(write("a\n1\n"), "t.csv", "zip")
    assert rows(read_table(table.rename(tmp_path / "upload.zip"))) == [{"a": "1", "_line": 2}]


@pytest.mark.parametrize(
    ("head", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2\n", ";"),
        ("a\tb\n1,5\t2;3\n", "\t"),
        ("text\nred, blue\n", ","),
        ('"a;x","b"\n1,2\n', ","),
        ("", ","),
    ],
)
def test_sniffing(head: str, delimiter: str) -> None:
    assert sniff_delimiter(head) == delimiter


# -- bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.parquet", "t.csv.gz"])
def test_empty_file(write, name: str) -> None:
    assert set(faults(write(gzip.compress(b"") if name.endswith("gz") else b"", name))) == {"empty_file"}


@pytest.mark.parametrize("content", [b"\n\n  \r\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_file_of_blank_lines(write, content: bytes) -> None:
    assert set(faults(write(content))) == {"empty_file"}


def test_header_only(write) -> None:
    assert set(faults(write("text,label\n"))) == {"no_rows"}
    parquet = write(b"", "t.parquet")
    pq.write_table(pa.table({"a": pa.array([], pa.string())}), parquet)
    assert set(faults(parquet)) == {"no_rows"}


def test_a_title_above_the_header_is_named_as_what_it_is(write) -> None:
    problem = faults(write("Report of 2024\n\ntext,label\na,b\n"))["ragged_rows"]
    assert "remove the lines above it" in str(problem.remedy)


def test_ragged_rows_are_all_counted(write) -> None:
    problem = faults(write("a,b,c\n1,2,3\n1,2\n1,2,3,4\n1,2,3\n1\n"))["ragged_rows"]
    assert (problem.line, problem.count) == (3, 3)
    assert str(problem.why) == "The header has 3 cells; rows with another number: 3 (lines 3, 4, 6). The first has 2."


def test_nul_bytes(write) -> None:
    problem = faults(write(b"a,b\n1,2\n3,\0\n"))["nul_bytes"]
    assert (problem.line, problem.count) == (3, 1)


def test_faults_are_reported_together(write) -> None:
    found = faults(write('a,b,b,\n1,2,3\n\0,2,3,4\n"x"y,1,2,3\n1,2,3,"open\n'))
    assert {code: p.line for code, p in found.items()} == {
        "nul_bytes": 3,
        "duplicate_column": 1,
        "empty_column_name": 1,
        "ragged_rows": 2,
        "bad_quotes": 4,
        "open_quote": 5,
    }
    assert (found["duplicate_column"].column, found["empty_column_name"].column) == ("b", "4")


@pytest.mark.parametrize(
    ("row", "at", "encoding", "codes"),
    [
        (b"3,\0\n", 90_000, "utf-8", ["nul_bytes"]),
        ("3,écharpe d'été\n".encode("cp1252"), 90_000, "cp1252", []),
        ("3,鞋子\n".encode("gb18030"), 100, "gb18030", []),
        (b"3\n4,5\n6,\0\n", 90_000, "utf-8", ["nul_bytes", "ragged_rows"]),
        (b'3,"a', 100_000, "utf-8", ["open_quote"]),
        ("3,schön".encode("cp1252"), 100_000, "cp1252", []),
    ],
)
def test_a_fault_late_in_a_file_that_began_well(write, row: bytes, at: int, encoding: str, codes: list[str]) -> None:
    rows = [b"1,shoe\n"] * 100_000
    path = write(b"a,b\n" + b"".join([*rows[:at], row, *rows[at:]]))
    if codes:
        assert sorted(faults(path)) == codes
    else:
        table = read_table(path)
        assert (table.encoding, table.table.num_rows) == (encoding, 100_001)


def test_binary_file_named_csv(write) -> None:
    assert set(faults(write(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4))) == {"binary_file"}


def test_mixed_encodings(write) -> None:
    content = "标题,类\n红色的鞋,鞋\n".encode() * 5 + "蓝色的帽子,帽\n".encode("gb18030")
    assert faults(write(content))["mixed_encodings"].line == 11


def test_quote_left_open_at_the_end(write) -> None:
    assert faults(write('a,b\n1,2\n3,"open'))["open_quote"].line == 3
    assert faults(write('a,b\n"1\n1",2\n3,"open\n5,6\n'))["open_quote"].line == 4


def test_quote_left_open_in_a_large_file(write) -> None:
    problem = faults(write('a,b\n1,"2\n2"\n3,"open\n' + "some text,5\n" * 100_000))["open_quote"]
    assert problem.line == 4


ROWS = [f"{12 + i},shoe {i}" for i in range(50)]


def quoted(row: str, at: int, delimiter: str = ",") -> str:
    lines = ["size,name", *ROWS[:at], row, *ROWS[at:]]
    return "\n".join(line.replace(",", delimiter) for line in lines) + "\n"


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("row", ['12,"vinyl', '12,"vinyl" record', '"12,vinyl', '12","vinyl', '12,"'])
def test_a_quote_that_opens_no_cell_is_a_character(write, row: str, delimiter: str) -> None:
    table = read_table(write(quoted(row, 20, delimiter), name="t.tsv" if delimiter == "\t" else "t.csv"))
    assert table.table.num_rows == 51
    assert [f"{r['size']},{r['name']}" for r in rows(table)[:20]] == ROWS[:20]
    assert [f"{r['size']},{r['name']}" for r in rows(table)[21:]] == ROWS[20:]
    assert [r["_line"] for r in rows(table)] == list(range(2, 53))
    assert [(p.severity, p.code, p.line) for p in table.problems] == [("warning", "stray_quotes", 22)]


def test_a_cell_that_swallows_rows_is_named_where_quotes_open_cells_elsewhere(write) -> None:
    opened = quoted('12,"vinyl', 20).splitlines()
    opened[40] += '"'
    table = read_table(write("\n".join([*opened, '7,"two', 'lines, of text"'])))
    assert table.table.num_rows == 51 - 19 + 1
    (problem,) = table.problems
    assert (problem.code, problem.severity, problem.line, problem.count) == ("swallowed_rows", "warning", 22, 1)
    assert "the first ends on 41" in str(problem.why)


@pytest.mark.parametrize(
    "row", ['7,"two, with comma\nlines"', '7,"one\n\nthree, here"', '"7, or 8\nor 9",x', '7,"say ""hello"",\n""you"""', '7,"1\n2\n3"']
)
def test_cells_over_several_lines_are_left_alone(write, row: str) -> None:
    table = read_table(write(quoted(row, 20)))
    assert (table.table.num_rows, table.problems) == (51, [])
    assert rows(table)[20] == {**dict(zip(("size", "name"), next(csv.reader(io.StringIO(row, newline=""))), strict=True)), "_line": 22}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^"])
def test_a_line_above_the_header_may_name_the_delimiter(write, delimiter: str) -> None:
    table = read_table(write(f"sep={delimiter}\r\na{delimiter}b\r\n1{delimiter}2\r\n"))
    assert (rows(table), table.delimiter, table.problems) == ([{"a": "1", "b": "2", "_line": 3}], delimiter, [])


def test_comments_above_the_header_are_left_out(write) -> None:
    for comments in ("# exported, 2024\n# by shop\n", "# exported on 2024-03-01\n"):
        table = read_table(write(comments + "a,b,c\n1,2,3\n"))
        assert [(r["a"], r["c"]) for r in rows(table)] == [("1", "3")]
        (problem,) = table.problems
        assert (problem.code, problem.line, str(problem.severity)) == ("comments_skipped", 1, "info") and "# exported" in str(problem.why)
    assert rows(read_table(write("#,a,b\n1,2,3\n"))) == [{"#": "1", "a": "2", "b": "3", "_line": 2}]
    table = read_table(write('#id,text,label\n1,"x, y",a\n2,z,b\n'))
    assert table.problems == [] and rows(table)[0] == {"#id": "1", "text": "x, y", "label": "a", "_line": 2}


def test_columns_that_nobody_named(write) -> None:
    table = read_table(write(",a,\n0,x,\n1,y,\n"))
    assert [p.code for p in table.problems] == ["index_column", "empty_column"]
    assert {p.severity for p in table.problems} == {"info"} and table.table.column_names == ["a", "_line"]
    assert {code: p.column for code, p in faults(write("a,,b\n0,x,1\n")).items()} == {"empty_column_name": "2"}
    assert set(faults(write(",a\nx,1\n"))) == {"empty_column_name"}


def test_delimiters_at_the_end_of_rows(write) -> None:
    table = read_table(write("a,b\n1,2,\n3,4,,\n5,6\n"))
    assert [r["b"] for r in rows(table)] == ["2", "4", "6"]
    assert [(p.code, p.severity, p.line, p.count) for p in table.problems] == [("trailing_delimiters", "info", 2, 2)]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("\ufeff\ufeffa,b\n1,2\n", ["a", "b"]),
        ('\ufeff\ufeff"a",b\n1,2\n', ["a", "b"]),
        ("a,\ufeffb\u200b\n1,2\n", ["a", "b"]),
        ('{"\ufeffa": "1", "b": "2"}\n', ["a", "b"]),
    ],
)
def test_marks_in_names_are_removed(write, content: str, columns: list[str]) -> None:
    table = read_table(write(content, "t.jsonl" if content.startswith("{") else "t.csv"))
    assert table.table.column_names == [*columns, "_line"]
    assert rows(table)[0]["a"] == "1"


def test_lines_that_end_as_on_an_old_mac(write) -> None:
    assert rows(read_table(write('a,b\r1,2\r"3",4\r'))) == [{"a": "1", "b": "2", "_line": 2}, {"a": "3", "b": "4", "_line": 3}]


def test_many_names_are_refused_at_once(write) -> None:
    header = ",".join(f"c{i}" for i in range(50_000))
    assert "50000" in str(faults(write(f"{header}\n{header}\n"))["too_many_columns"].why)
    assert set(faults(write(json.dumps({f"c{i}": 1 for i in range(3_000)}), "t.jsonl"))) == {"too_many_columns"}


def test_quote_left_open_in_the_header(write) -> None:
    assert faults(write('a,"b\n1,2\n'))["open_quote"].line == 1


def test_cell_of_two_megabytes(write) -> None:
    problem = faults(write("a,b\n1,2\n3," + "x" * (2 << 20) + "\n5,6\n"))["cell_too_large"]
    assert (problem.line, problem.count) == (3, 1)


def test_cell_beyond_a_lower_limit_names_its_column(write) -> None:
    limits = Limits(max_cell_bytes=2048)
    problem = faults(write("a,b\n1," + "x" * 3000 + "\n"), limits=limits)["cell_too_large"]
    assert (problem.line, problem.column) == (2, "b")
    problem = faults(write(json.dumps({"b": "x" * 3000}), "t.jsonl"), limits=limits)["cell_too_large"]
    assert (problem.line, problem.column) == (1, "b")
    parquet = write(b"", "t.parquet")
    pq.write_table(pa.table({"b": ["y", "x" * 3000]}), parquet)
    problem = faults(parquet, limits=limits)["cell_too_large"]
    assert (problem.line, problem.column) == (2, "b")


def test_truncated_parquet(write) -> None:
    whole = io.BytesIO()
    pq.write_table(pa.table({"a": list(range(1000))}), whole)
    for size in (10, len(whole.getvalue()) // 2, len(whole.getvalue()) - 1):
        assert set(faults(write(whole.getvalue()[:size], "t.parquet"))) == {"broken_parquet"}


def test_broken_lines_of_jsonl(write) -> None:
    found = faults(write('{"a": 1}\n{"a": \n[1]\n{"a": 2}\nnonsense\n', "t.jsonl"))
    assert (found["broken_json"].line, found["broken_json"].count) == (2, 2)
    assert (found["not_an_object"].line, found["not_an_object"].count) == (3, 1)
    assert "Expecting value" in str(found["broken_json"].why)


@pytest.mark.parametrize("around", [("", "\n", ""), ("[", ",\n", "]")])
def test_json_that_hides_what_it_holds(write, around: tuple[str, str, str]) -> None:
    begin, between, end = around
    records = [
        '{"a": "x", "n": 1.10}',
        '{"a": "y", "b": {"k": 1, "k": 2.50}, "a": "z"}',
        '{"a": "\\ud83d \\ud83d\\ude00", "n": 1e400}',
        '{"n": %s}',
    ]
    table = read_table(write(begin + between.join(records) % ("1" * 5000) + end, "t.jsonl"))
    assert table.table["n"].to_pylist() == ["1.10", None, "1e400", "1" * 5000]
    assert table.table["a"].to_pylist() == ["x", "z", "� 😀", None] and table.table["b"][1].as_py() == '{"k": 2.50}'
    assert {p.code: (p.line, p.count, str(p.severity)) for p in table.problems} == {
        "repeated_key": (2, 1, "warning"),
        "half_character": (3, 1, "warning"),
    }


@pytest.mark.parametrize("first", ['{"k": 1, "k": 2, "a": ', '[{"k": 1, "k": 2}]'])
def test_a_key_twice_in_a_line_that_is_no_record_is_not_blamed_on_the_next(write, first: str) -> None:
    with pytest.raises(DataError) as refused:
        read_table(write(f'{{"a": "w"}}\n{first}\n{{"a": "x"}}\n', "t.jsonl"))
    assert [p.code for p in refused.value.problems] in (["broken_json"], ["not_an_object"])


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    for name in ("x" * 300 + ".csv", "a\0b.csv"):
        with pytest.raises(DataError) as caught:
            read_table(tmp_path / name)
        assert [p.code for p in caught.value.problems] == ["file_missing"]


def test_json_nested_without_end(write) -> None:
    assert "too_deep" in faults(write("[" * 100_000 + "\n", "t.jsonl"))


def test_gz_that_expands_past_the_limit(write) -> None:
    path = write(gzip.compress(b"a\n" + b"x\n" * (8 << 20)), "t.csv.gz")
    assert path.stat().st_size < 1 << 20
    assert set(faults(path, limits=Limits(max_bytes=1 << 20))) == {"too_large"}


def test_zip_that_expands_past_the_limit(write, tmp_path: Path) -> None:
    path = tmp_path / "t.csv.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", b"a\n" + b"x\n" * (8 << 20))
    assert set(faults(path, limits=Limits(max_bytes=1 << 20))) == {"too_large"}


def test_packed_parquet_past_the_limit(write) -> None:
    assert set(faults(write(gzip.compress(bytes(4 << 20)), "t.parquet.gz"), limits=Limits(max_bytes=1 << 20))) == {"too_large"}


@pytest.mark.parametrize("content", [b"not gzip at all", gzip.compress(b"a,b\n" + bytes(range(256)) * 99)[:-40]])
def test_damaged_gz(write, content: bytes) -> None:
    assert set(faults(write(content, "t.csv.gz"))) == {"broken_archive"}


def test_damaged_zip(write) -> None:
    assert set(faults(write(b"PK\x03\x04 nothing more", "t.csv.zip"))) == {"broken_archive"}


@pytest.mark.parametrize("members", [[], ["a.csv", "b.csv"]])
def test_zip_of_none_or_several_tables(tmp_path: Path, members: list[str]) -> None:
    path = tmp_path / "t.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, "a\n1\n")
    assert set(faults(path)) == {"archive_members"}


def test_unknown_format_and_missing_file(write, tmp_path: Path) -> None:
    found = faults(write(b"a,b\n1,2\n", "t.xlsx"))
    assert set(found) == {"broken_workbook"} and "the ending .csv" in str(found["broken_workbook"].remedy)
    secret = faults(write(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4000), "t.xlsx"))  # where a workbook with a password lies
    assert set(secret) == {"broken_workbook"} and "without a password" in str(secret["broken_workbook"].remedy)
    assert set(faults(write(b"x", "table"))) == {"unknown_format"}
    assert set(faults(tmp_path / "nowhere.csv")) == {"file_missing"}


def test_too_many_columns(write) -> None:
    assert "too_many_columns" in faults(
        write(",".join(f"c{i}" for i in range(20)) + "\n" + "1," * 19 + "1\n"), limits=Limits(max_columns=10)
    )


def test_column_with_a_name_of_ours(write) -> None:
    assert faults(write("_line,a\n1,2\n"))["reserved_column"].column == "_line"


def test_messages_call_the_file_by_its_given_name(write) -> None:
    assert faults(write(b"", "0123456789ab.csv"), name="orders.csv")["empty_file"].file == "orders.csv"


def test_parts_whose_types_hold_no_number_of_both_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [2**53 + 1, 2]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"n": [0.5]}), tmp_path / "b.parquet")
    with pytest.raises(DataError) as caught:
        read_files(tmp_path / "a.parquet", {"test": tmp_path / "b.parquet"})
    assert [(p.code, p.column) for p in caught.value.problems] == [("other_type", "n")]


def test_parquet_whose_texts_are_not_utf8_is_refused(tmp_path: Path) -> None:
    wrong = pa.Array.from_buffers(pa.string(), 2, pa.array([b"a\xff", b"b"]).buffers())
    pq.write_table(pa.table({"a": wrong}), tmp_path / "a.parquet")
    assert {code: p.column for code, p in faults(tmp_path / "a.parquet").items()} == {"bad_encoding": "a"}


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_first_row_like_the_others_is_said_to_be_no_header(form: str, tmp_path: Path) -> None:
    cells = [["the parcel is late", "refund"], ["it is broken", "praise"], ["no answer", "refund"], ["too small", "refund"]]
    for above, codes in (([], ["no_header"]), ([["message", "topic"]], []), ([["message", "refund"], ["hi", "no"]], [])):
        frame, path = pd.DataFrame([*above, *cells]), tmp_path / f"t{len(above)}.{form}"
        frame.to_csv(path, index=False, header=False) if form == "csv" else frame.to_excel(path, index=False, header=False)
        table = read_table(path)
        assert [(p.code, p.column) for p in table.problems] == [(code, "refund") for code in codes]


@pytest.mark.parametrize(
    ("header", "values", "named"),
    [
        (["the parcel has not come yet", "late"], ["my parcel {i} is not here yet", "topic {i}"], "the parcel has not come yet"),
        (["2024-01-01", "3"], ["2024-01-{d}", "{i}"], "2024-01-01"),
        (["u1", "0.25"], ["user {i}", "{i}.5"], "0.25"),
        (["196", "242", "3"], ["{i}", "7{i}", "1{i}"], "196"),
        (["message", "2024-01-01"], ["my parcel {i} is not here yet", "2024-01-{d}"], None),  # a word above sentences
        (["2019", "2020", "2021"], ["{i}", "7{i}", "1{i}"], None),  # years, in their order
        (["What did you like about it?", "score"], ["the price of number {i} was low", "word {i}"], None),
        (["a", "b"], ["x{i}", "y{i}"], None),
    ],
)
def test_names_that_all_look_like_values_are_said_to_be_a_row(
    header: list[str], values: list[str], named: str | None, tmp_path: Path
) -> None:
    rows = [[form.format(i=i, d=f"{i % 28 + 1:02d}") for form in values] for i in range(2, 40)]
    pd.DataFrame([header, *rows]).to_csv(tmp_path / "t.csv", index=False, header=False)
    assert [p.column for p in read_table(tmp_path / "t.csv").problems if p.code == "no_header"] == ([named] if named else [])


def test_the_programs_own_columns_are_reserved_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("_id,_split,_line\n1,2,3\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "t.csv")
    assert [(p.code, p.column) for p in caught.value.problems] == [("reserved_column", "_split"), ("reserved_column", "_line")]
    (tmp_path / "t.csv").write_text("_id,_text\n1,2\n", encoding="utf-8")
    assert of_file(read_table(tmp_path / "t.csv").table.column_names) == ["_id", "_text"]
