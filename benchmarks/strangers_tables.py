"""Tables that nobody exports and somebody sends: bombs of each format, nesting, widths, encodings, false sizes. `TABLES` writes them.

Each has columns `text` and `label`, where its format lets it have any, so that it can be asked for as a task of that kind.
"""

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TABLES: dict[str, Callable[[Path], object]] = {}
"""File name → what writes it. None is larger than 70 MB, all of them together are some 670 MB."""
_HEAD, _ROW = b"text,label\n", b"a good thing,yes\na bad thing,no\n"


def table(name: str) -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    def known(write: Callable[[Path], object]) -> Callable[[Path], object]:
        TABLES[name] = write
        return write

    return known


def _bytes(name: str, content: Callable[[], bytes | str]) -> None:
    TABLES[name] = lambda path: path.write_bytes(c.encode() if isinstance(c := content(), str) else c)


def _csv(cell: str, label: str = "yes", rows: int = 40) -> str:
    """Ordinary rows, then one with a cell of its own."""
    plain = "".join(f"a thing number {i},{'yes' if i % 2 else 'no'}\n" for i in range(rows))
    return f"text,label\n{plain}{cell},{label}\n"


# CSV: widths, lengths, quotes
_bytes("wide_40000.csv", lambda: "text,label," + ",".join(f"c{i}" for i in range(40_000)) + "\n" + "a,yes" + ",1" * 40_000 + "\n")
_bytes("wide_2001.csv", lambda: "text,label," + ",".join(f"c{i}" for i in range(1_999)) + "\n" + ("a,yes" + ",1" * 1_999 + "\n") * 9)
_bytes("wide_same_names.csv", lambda: "text,label" + ",same" * 30_000 + "\n" + "a,yes" + ",1" * 30_000 + "\n")
_bytes("wide_nameless.csv", lambda: "text,label" + "," * 1_990 + "\n" + ("a,yes" + ",1" * 1_990 + "\n") * 40)
_bytes("one_line_70MB.csv", lambda: b"text,label\n" + b"a" * (70 << 20))
_bytes("header_line_70MB.csv", lambda: b"text," * (14 << 20))
_bytes("long_names.csv", lambda: ",".join(["text", "label", *(f"{i}" * 100_000 for i in range(9))]) + "\n" + "a,yes" + ",1" * 9 + "\n")
_bytes("open_quote_16MB.csv", lambda: b'text,label\n"' + _ROW * (16 << 15))
_bytes("odd_quotes.csv", lambda: b"text,label\n" + b'a "thing" b"c,yes\n' * 400_000)
_bytes("ragged_million.csv", lambda: b"text,label\n" + b"a\n" * 1_000_000)
_bytes("blank_lines.csv", lambda: b"text,label\n" + b"\n" * (20 << 20))
_bytes("delimiters_only.csv", lambda: b",;\t|" * (1 << 20))
_bytes("separator_line.csv", lambda: b"sep=a\n" + _HEAD + _ROW)
_bytes("comments_million.csv", lambda: b"# nothing\n" * 1_000_000 + _HEAD + _ROW)
_bytes("large_cell_60MB.csv", lambda: b"text,label\n" + b"a" * (60 << 20) + b",yes\n")
# CSV: bytes that are no text
_bytes("nul_bytes.csv", lambda: _HEAD + b"\0" * (8 << 20) + _ROW)
_bytes("random_bytes.csv", lambda: np.random.default_rng(0).bytes(8 << 20))
_bytes("utf32.csv", lambda: _csv("ünï").encode("utf-32"))
_bytes("utf16_no_mark.csv", lambda: _csv("thing").encode("utf-16-le"))
_bytes("utf16_half.csv", lambda: b"\xff\xfe" + _csv("thing").encode("utf-16-le") + b"\x00\xd8\n")
_bytes("utf7.csv", lambda: _csv("+AGE-"))
_bytes("mixed_encodings.csv", lambda: (_csv("größe").encode("latin-1") + "groß,yes\n".encode()) * 20_000)
_bytes("overlong_utf8.csv", lambda: _HEAD + b"\xc0\xaf\xf5\x80\x80\x80,yes\n" * 1_000)
_bytes("every_byte.csv", lambda: _HEAD + bytes(range(128, 256)) * 50_000 + b",yes\n")
_bytes("two_encodings_in_a_row.csv", lambda: _HEAD + ("喜欢".encode("gb18030") + "喜歡".encode("big5") + b",yes\n") * 50_000)
# CSV: cells that are read further
_bytes("brackets_100000.csv", lambda: _csv("[" * 100_000))
_bytes("brackets_closed.csv", lambda: _csv("[" * 100_000 + "]" * 100_000))
_bytes("brackets_everywhere.csv", lambda: "text,label\n" + ('"' + "[" * 900 + "]" * 900 + '",yes\n') * 400)
_bytes("parentheses.csv", lambda: _csv("[" + "(" * 50_000 + ")" * 50_000 + "]"))
_bytes("braces.csv", lambda: _csv('"' + '{""a"":' * 50_000 + '"'))
_bytes("python_powers.csv", lambda: "text,label\n" + "[9**9**9**9],yes\n" * 40)
_bytes("python_minus.csv", lambda: _csv("[" + "-" * 90_000 + "1]"))
_bytes("quotes_in_list.csv", lambda: _csv("[" + "'\\" * 100_000 + "]"))
_bytes("bars_million.csv", lambda: _csv("|" * 500_000))
_bytes("blanks_in_cell.csv", lambda: _csv("a" + " " * 500_000 + "b"))
_bytes("colons.csv", lambda: "text,label\n" + ("a: " * 30_000 + ",yes\n") * 40)
_bytes("digits_5000.csv", lambda: "text,label\n" + "".join(f"thing {i},{'9' * 5_000}\n" for i in range(40)))
_bytes("groups_of_digits.csv", lambda: "text,label\n" + "".join(f"thing {i},1{'.111' * 9_000}x\n" for i in range(40)))
_bytes("numbers_out_of_range.csv", lambda: "text,label\n" + "".join(f"thing {i},{v}\n" for i in range(20) for v in ("1e308", "-1e308", 1)))
_bytes("numbers_infinite.csv", lambda: "text,label\n" + "".join(f"thing {i},{v}\n" for i in range(20) for v in ("inf", "NaN", "1e999", 2)))
_bytes("dates_out_of_range.csv", lambda: "text,label\n" + "".join(f"thing {i},{y}-13-45T99:99\n" for y in (0, 99999) for i in range(20)))
_bytes("bidi_and_escapes.csv", lambda: _csv("\x1b[2J\u202e\u2066evil\u2069" * 500))
_bytes("combining_marks.csv", lambda: _csv("a" + "\u0301" * 200_000))
_bytes("classes_million.csv", lambda: "text,label\n" + "".join(f"t{i},l{i}\n" for i in range(1_000_000)))
_bytes("formulas.csv", lambda: "text,label\n" + "=cmd|' /C calc'!A0,@SUM(1)\n" * 40)


# JSON
def _lines(record: Callable[[int], str], n: int = 40) -> str:
    return "".join(record(i) + "\n" for i in range(n))


_bytes("deep.jsonl", lambda: '{"text": ' + "[" * 200_000 + "]" * 200_000 + ', "label": 1}\n')
_bytes("deep_objects.jsonl", lambda: '{"text": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + ', "label": 1}\n')
_bytes("deep_enough.jsonl", lambda: _lines(lambda i: '{"text": ' + "[" * 400 + '"\\ud800"' + "]" * 400 + f', "label": {i % 2}}}', 400))
_bytes("deep.json", lambda: "[" * 500_000)
_bytes("keys_8000.jsonl", lambda: json.dumps({"text": "a", "label": 1} | {f"k{i}": i for i in range(8_000)}) + "\n")
_bytes("keys_new_in_every_line.jsonl", lambda: _lines(lambda i: json.dumps({"text": "a", "label": 1, f"k{i}": i}), 60_000))
_bytes("keys_twice.jsonl", lambda: "{" + ",".join(f'"k{i}": 1' for i in range(100_000)) + ',"text":"a","text":"b","label":1}\n')
_bytes("integer_5000.jsonl", lambda: _lines(lambda i: f'{{"text": "thing {i}", "label": {"9" * 5_000}}}'))
_bytes("exponents.jsonl", lambda: _lines(lambda i: f'{{"text": "thing {i}", "label": {"1e999999999" if i % 3 else "-1E400"}}}'))
_bytes("not_numbers.jsonl", lambda: _lines(lambda i: f'{{"text": "thing {i}", "label": {("NaN", "Infinity", "-Infinity", 1)[i % 4]}}}'))
_bytes("half_characters.jsonl", lambda: _lines(lambda i: f'{{"text": "\\ud800 {i} \\udc00", "lab\\ud800el": 1, "label": {i % 2}}}'))
_bytes("broken_million.jsonl", lambda: '{"text": "a", "label"\n' * 400_000)
_bytes("no_objects.jsonl", lambda: "[1, 2]\n3\nnull\n" * 100_000)
_bytes("open_array.json", lambda: "[" + '{"text": "a", "label": 1},' * 400_000)
_bytes("open_string.json", lambda: '[{"text": "' + "a" * (30 << 20))
_bytes("after_the_array.json", lambda: '[{"text": "a", "label": 1}]' + "x" * (20 << 20))
_bytes("blanks.json", lambda: b"[" + b" " * (20 << 20) + b"]")
_bytes("long_value.jsonl", lambda: '{"text": "' + "a" * (50 << 20) + '", "label": 1}\n')
_bytes("many_items.jsonl", lambda: '{"text": [' + ",".join(["1"] * 3_000_000) + '], "label": 1}\n')


# gzip and zip
def _members(head: bytes, block: bytes, n: int, tail: bytes = b"") -> bytes:
    """A gzip file of `head`, n times `block`, `tail`: what it takes is what one block does, n times."""
    packed = gzip.compress(block, 9)
    return gzip.compress(head) + packed * n + (gzip.compress(tail) if tail else b"")


_bytes("bomb_16GB.csv.gz", lambda: _members(_HEAD, _ROW * (1 << 21), 256))
_bytes("bomb_one_line.csv.gz", lambda: _members(_HEAD, b"a" * (64 << 20), 256))
_bytes("bomb.jsonl.gz", lambda: _members(b"", b'{"text": "a", "label": 1}\n' * (1 << 21), 300))
_bytes("bomb.json.gz", lambda: _members(b"[", b'{"text": "a", "label": 1},' * (1 << 21), 300))
_bytes("bomb.parquet.gz", lambda: _members(b"PAR1", bytes(64 << 20), 256))
_bytes("bomb_of_blanks.csv.gz", lambda: _members(_HEAD, b"\n" * (64 << 20), 256))
_bytes("gz_in_gz.csv.gz", lambda: gzip.compress(gzip.compress(_members(_HEAD, _ROW * (1 << 20), 64))))
_bytes("cut.csv.gz", lambda: _members(_HEAD, _ROW * 10_000, 1)[:-9])
_bytes("wrong_sum.csv.gz", lambda: gzip.compress(_HEAD + _ROW * 100)[:-8] + b"\0" * 8)
_bytes("no_gzip.csv.gz", lambda: b"\x1f\x8b" + bytes(1_000))


def _zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _patched(content: bytes, offset: int, change: bytes) -> bytes:
    """A zip whose headers say something else: offset in the directory's entry; the local header has it two bytes before."""
    data = bytearray(content)
    at = data.rindex(b"PK\x01\x02") + offset
    data[at : at + len(change)] = change
    data[offset - 2 : offset - 2 + len(change)] = change
    return bytes(data)


def _zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


@table("bomb_4GB.zip")
def _bomb_zip(path: Path) -> None:
    block = _ROW * (1 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("t.csv", "w", force_zip64=True) as member:
        member.write(_HEAD)
        for _ in range(64):
            member.write(block)


_bytes("false_method.zip", lambda: _patched(_zipped({"t.csv": _HEAD + _ROW * 100}), 10, struct.pack("<H", 97)))
_bytes("encrypted.zip", lambda: _patched(_zipped({"t.csv": _HEAD + _ROW * 100}), 8, struct.pack("<H", 1)))
_bytes("false_size.zip", lambda: _patched(_zipped({"t.csv": _HEAD + _ROW * (1 << 20)}), 24, struct.pack("<I", 100)))
_bytes("false_sum.zip", lambda: _patched(_zipped({"t.csv": _HEAD + _ROW * 100}), 16, b"\0\0\0\1"))
_bytes("lzma_bomb.zip", lambda: _zipped({"t.csv": _HEAD + _ROW * (12 << 20)}, zipfile.ZIP_LZMA))
_bytes("bz2_bomb.zip", lambda: _zipped({"t.csv": _HEAD + b"a" * (200 << 20)}, zipfile.ZIP_BZIP2))
_bytes("zip_in_zip.zip", lambda: _zipped({"t.csv.zip": _zipped({"t.csv": _HEAD + _ROW})}))
_bytes("outside.zip", lambda: _zipped({"../../../t.csv": _HEAD + _ROW * 40}))
_bytes("many_members.zip", lambda: _zipped({f"{i}.csv": b"" for i in range(60_000)}, zipfile.ZIP_STORED))
_bytes("cut.zip", lambda: _zipped({"t.csv": _HEAD + _ROW * 10_000})[:-40])


# Parquet
def _parquet(path: Path, columns: dict[str, pa.Array], **options: object) -> None:
    pq.write_table(pa.table(columns), path, **options)


@table("dictionary.parquet")
def _dictionary(path: Path) -> None:
    """A text of 1 MB, ten thousand times by its number."""
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, np.int32)), pa.array(["a" * (1 << 20)]))
    _parquet(path, {"text": texts, "label": pa.array(["yes", "no"] * 10_000)}, compression="zstd")


@table("dictionaries.parquet")
def _dictionaries(path: Path) -> None:
    """The same, less in each column, over many of them."""
    one = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1_000, np.int32)), pa.array(["a" * 10_000]))
    _parquet(path, {"text": one, "label": pa.array(["yes", "no"] * 500)} | {f"c{i}": one for i in range(1_000)}, compression="zstd")


@table("rows_many.parquet")
def _rows_many(path: Path) -> None:
    """A hundred and fifty million rows of one value."""
    schema = pa.schema({"text": pa.string(), "label": pa.int64()})
    some = pa.table({"text": pa.repeat("a", 1 << 20), "label": pa.repeat(1, 1 << 20)}, schema)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for _ in range(150):
            writer.write_table(some)


@table("nulls.parquet")
def _nulls(path: Path) -> None:
    schema = pa.schema({"text": pa.string(), "label": pa.string()} | {f"c{i}": pa.float64() for i in range(200)})
    some = pa.table({f.name: pa.nulls(1 << 20, f.type) for f in schema}, schema)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for _ in range(3):
            writer.write_table(some)


@table("lists.parquet")
def _lists_bomb(path: Path) -> None:
    """Lists of a hundred thousand items each."""
    items = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000_000, np.int8)), pa.array(["a" * 100])).cast(
        pa.dictionary(pa.int8(), pa.string())
    )
    lists = pa.ListArray.from_arrays(pa.array(np.arange(0, 20_000_001, 100_000, dtype=np.int32)), items)
    _parquet(path, {"text": lists, "label": pa.array(["yes", "no"] * 100)}, compression="zstd")


@table("page_1GB.parquet")
def _page(path: Path) -> None:
    """One page of zeros, which are packed to nothing."""
    with pq.ParquetWriter(path, pa.schema({"text": pa.binary(), "label": pa.int64()}), compression="zstd", use_dictionary=False) as writer:
        writer.write_table(pa.table({"text": pa.array([bytes(1 << 30)], pa.binary()), "label": [1]}))


@table("wide_40000.parquet")
def _wide(path: Path) -> None:
    _parquet(path, {"text": pa.array(["a"]), "label": pa.array(["b"])} | {f"c{i}": pa.array([1]) for i in range(40_000)})


@table("fields_in_a_struct.parquet")
def _struct(path: Path) -> None:
    one = pa.StructArray.from_arrays([pa.array([1])] * 20_000, [f"f{i}" for i in range(20_000)])
    _parquet(path, {"text": pa.array(["a"]), "label": pa.array(["b"]), "s": one})


@table("deep.parquet")
def _deep(path: Path) -> None:
    kind, value = pa.string(), pa.array(["a"])
    for _ in range(60):
        value = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), value)
        kind = pa.list_(kind)
    _parquet(path, {"text": value, "label": pa.array(["b"])})


@table("not_utf8.parquet")
def _not_utf8(path: Path) -> None:
    texts = pa.array([b"\xff\xfe"] * 40, pa.binary()).view(pa.string())
    _parquet(path, {"text": texts, "label": pa.array(["yes", "no"] * 20)})


@table("values_out_of_range.parquet")
def _out_of_range(path: Path) -> None:
    _parquet(
        path,
        {
            "text": pa.array([f"thing {i}" for i in range(40)]),
            "label": pa.array([1e308, float("inf"), float("nan"), -1e308] * 10),
            "time": pa.array([2**62, -(2**62), 0, 1] * 10, pa.timestamp("us")),
            "decimal": pa.array([None, "9" * 70, None, None] * 10, pa.string()).cast(pa.decimal256(76, 0)),
            "large": pa.array([2**63 - 1, -(2**63), 0, 1] * 10, pa.int64()),
            "span": pa.array([2**62] * 40, pa.duration("us")),
            "of_day": pa.array([86_399_999_999] * 40, pa.time64("us")),
        },
    )


def _small_parquet() -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table({"text": [f"thing {i}" for i in range(1_000)], "label": ["yes", "no"] * 500}), target)
    return target.getvalue()


_bytes("footer_false.parquet", lambda: _small_parquet()[:-8] + struct.pack("<I", 2**31) + b"PAR1")
_bytes("footer_random.parquet", lambda: (c := _small_parquet())[:-60] + np.random.default_rng(1).bytes(52) + c[-8:])
_bytes("pages_random.parquet", lambda: b"PAR1" + np.random.default_rng(2).bytes(400) + _small_parquet()[404:])
_bytes("marks_only.parquet", lambda: b"PAR1PAR1")
_bytes("cut.parquet", lambda: _small_parquet()[:2_000])


# Workbooks
_SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>'
_CELL = '<c r="{at}" t="inlineStr"><is><t>{text}</t></is></c>'


def _book(**parts: bytes | str) -> dict[str, bytes]:
    """The members of a workbook of one sheet; parts: instead of the usual ones, or beside them."""
    import openpyxl

    target = io.BytesIO()
    book = openpyxl.Workbook()
    for row in [("text", "label"), *((f"thing {i}", "yes" if i % 2 else "no") for i in range(40))]:
        book.active.append(row)
    book.save(target)
    with zipfile.ZipFile(target) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = {"sheet": "xl/worksheets/sheet1.xml", "strings": "xl/sharedStrings.xml", "book": "xl/workbook.xml"}
    return members | {names.get(n, n): p.encode() if isinstance(p, str) else p for n, p in parts.items()}


def _rows(rows: str) -> str:
    return _SHEET.format(rows=rows)


_HEADER = f'<row r="1">{_CELL.format(at="A1", text="text")}{_CELL.format(at="B1", text="label")}</row>'
_ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
_bytes(
    "entities.xlsx",
    lambda: _zipped(_book(sheet=_ENTITIES + "]>" + _rows(_HEADER + f'<row r="2">{_CELL.format(at="A2", text="&j;")}</row>'))),
)
_bytes(
    "outside_entity.xlsx",
    lambda: _zipped(
        _book(
            sheet='<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
            + _rows(_HEADER + f'<row r="2">{_CELL.format(at="A2", text="&a;")}{_CELL.format(at="B2", text="y")}</row>')
        )
    ),
)  # fmt: skip
_bytes("row_million.xlsx", lambda: _zipped(_book(sheet=_rows(_HEADER + f'<row r="1048576">{_CELL.format(at="A1048576", text="a")}</row>'))))
_bytes("row_billion.xlsx", lambda: _zipped(_book(sheet=_rows(_HEADER + '<row r="2000000000"><c r="A2000000000"><v>1</v></c></row>'))))
_bytes(
    "column_last.xlsx",
    lambda: _zipped(_book(sheet=_rows("".join(f'<row r="{i}"><c r="XFD{i}"><v>1</v></c></row>' for i in range(1, 3000))))),
)
_bytes("column_beyond.xlsx", lambda: _zipped(_book(sheet=_rows(_HEADER + '<row r="2"><c r="ZZZZZZ2"><v>1</v></c></row>'))))
_bytes(
    "dimension_false.xlsx",
    lambda: _zipped(_book(sheet=_rows(_HEADER).replace("<sheetData>", '<dimension ref="A1:XFD1048576"/><sheetData>'))),
)
_bytes("bomb_sheet.xlsx", lambda: _zipped(_book(sheet=_rows(_HEADER + "<row><c><v>1</v></c></row>" * 3_000_000))))
_bytes("bomb_1GB.xlsx", lambda: _zipped(_book(sheet=_rows(_HEADER + " " * (1 << 30)))))
_bytes("strings_bomb.xlsx", lambda: _zipped(_book(strings="<sst>" + "<si><t>a</t></si>" * 12_000_000 + "</sst>")))
_bytes("rows_blank.xlsx", lambda: _zipped(_book(sheet=_rows(_HEADER + '<row r="2"/>' * 3_000_000))))
_bytes("sheets_20000.xlsx", lambda: _zipped(_book(book=_many_sheets(20_000))))
_bytes("false_size.xlsx", lambda: _false_sizes(_zipped(_book(sheet=_rows(_HEADER + " " * (600 << 20))))))
_bytes("false_method.xlsx", lambda: _patched(_zipped(_book()), 10, struct.pack("<H", 97)))
_bytes("no_sheet.xlsx", lambda: _zipped({n: c for n, c in _book().items() if "sheet1" not in n}))
_bytes("no_workbook.xlsx", lambda: _zipped({"a.txt": b"b"}))
_bytes("protected.xlsx", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4_000))
_bytes(
    "digits.xlsx",
    lambda: _zipped(
        _book(
            sheet=_rows(
                _HEADER
                + "".join(
                    f'<row r="{i}">{_CELL.format(at=f"A{i}", text="a")}<c r="B{i}"><v>{v}</v></c></row>'
                    for i, v in enumerate(["9" * 5_000, "1e308", "1e999", "NaN", "INF", "--1"], 2)
                )
            )
        )
    ),
)
_bytes(
    "dates.xlsx",
    lambda: _zipped(
        _book(
            sheet=_rows(
                _HEADER
                + "".join(
                    f'<row r="{i}">{_CELL.format(at=f"A{i}", text="a")}<c r="B{i}" t="d"><v>{v}</v></c></row>'
                    for i, v in enumerate(["99999-99-99", "x", ""], 2)
                )
            )
        )
    ),
)


def _many_sheets(n: int) -> str:
    book = _book()["xl/workbook.xml"].decode()
    start, end = book.index("<sheets>") + 8, book.index("</sheets>")
    one = book[start:end]
    return (
        book[:start]
        + "".join(one.replace('"Sheet"', f'"s{i}"').replace('sheetId="1"', f'sheetId="{i + 1}"') for i in range(n))
        + book[end:]
    )


def _false_sizes(content: bytes) -> bytes:
    """Every entry of the directory says that it is 100 bytes when unpacked."""
    data, at = bytearray(content), content.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 24 : at + 28] = struct.pack("<I", 100)
        at = bytes(data).find(b"PK\x01\x02", at + 4)
    return bytes(data)
