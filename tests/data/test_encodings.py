import io
from functools import partial

import pytest

from mtl_core.data.encodings import CHUNK, LimitError, Scan, scan


def scanned(data: bytes, max_bytes: int = 1 << 30, max_line_bytes: int = 1 << 30) -> Scan:
    return scan(partial(io.BytesIO, data), "t.csv", max_bytes, max_line_bytes)


CHINESE = "标题,类别\n红色运动鞋,鞋\n蓝色棉帽子,帽\n"
WESTERN = "titre,catégorie\nélégant manteau d'été,vêtement\n“très” chaud – 20 €,chapeau\nà l'eau,été\n"


@pytest.mark.parametrize(
    ("text", "written", "found"),
    [
        ("a,b\n1,2\n", "ascii", "utf-8"),
        (CHINESE, "utf-8", "utf-8"),
        (CHINESE, "utf-8-sig", "utf-8-sig"),
        (CHINESE, "utf-16", "utf-16"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE + "一,二\n" * 50, "gb18030", "gb18030"),
        (WESTERN, "utf-8", "utf-8"),
        (WESTERN, "utf-16-le", "utf-16-le"),
        (WESTERN, "utf-16-be", "utf-16-be"),
        (WESTERN, "cp1252", "cp1252"),
        ("größe\nstraße und maß\n", "cp1252", "cp1252"),
    ],
)
def test_encoding_is_found(text: str, written: str, found: str) -> None:
    result = scanned(text.encode(written))
    assert (result.encoding, result.problems) == (found, [])


def test_utf16_with_big_endian_mark() -> None:
    assert scanned(b"\xfe\xff" + CHINESE.encode("utf-16-be")).encoding == "utf-16"


@pytest.mark.parametrize(("first", "second"), [("utf-8", "gb18030"), ("gb18030", "utf-8")])
def test_mixture_names_the_first_line_of_the_fewer(first: str, second: str) -> None:
    data = (CHINESE * 3).encode(first) + "白色衬衫,衣\n".encode(second)
    result = scanned(data)
    assert result.encoding is None
    (problem,) = result.problems
    assert (problem.code, problem.line) == ("mixed_encodings", 10)


def test_mixture_of_western_encodings() -> None:
    (problem,) = scanned(WESTERN.encode("utf-8") + "déjà vu\n".encode("cp1252")).problems
    assert (problem.code, problem.line) == ("mixed_encodings", 5)


def test_gb18030_beside_bytes_that_it_has_not() -> None:
    (problem,) = scanned((CHINESE * 3).encode("gb18030") + b"caf\xe9,1\n" + CHINESE.encode("gb18030")).problems
    assert (problem.code, problem.line) == ("mixed_encodings", 10)


def test_character_across_two_chunks() -> None:
    data = b"a" * (CHUNK - 1) + "é\n".encode() + b"b" * CHUNK
    assert scanned(data).encoding == "utf-8"


def test_character_cut_off_at_the_end() -> None:
    assert scanned(CHINESE.encode() + "鞋".encode()[:2]).encoding != "utf-8"


def test_utf16_cut_off() -> None:
    (problem,) = scanned(CHINESE.encode("utf-16") + b"a").problems
    assert (problem.code, problem.line) == ("bad_encoding", 4)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n" + bytes(200), b"PK\x03\x04" + bytes(range(256)), bytes(range(256)) * 20])
def test_binary_data_is_not_text(data: bytes) -> None:
    (problem,) = scanned(data).problems
    assert problem.code == "binary_file"


def test_nul_bytes_are_counted_and_the_first_named() -> None:
    result = scanned(b"a,b\n1,2\n3\0,4\n5,6\n\0\n")
    (problem,) = result.problems
    assert (problem.code, problem.line, problem.count, result.encoding) == ("nul_bytes", 3, 2, "utf-8")


def test_reading_stops_at_the_limit() -> None:
    stream = io.BytesIO(b"a" * (10 * CHUNK))
    with pytest.raises(LimitError) as caught:
        scan(lambda: stream, "t.csv", 2 * CHUNK, 1 << 30)
    assert caught.value.problem.code == "too_large"
    assert stream.closed


def test_line_without_end_is_refused() -> None:
    with pytest.raises(LimitError) as caught:
        scanned(b"a\nb\n" + b"c" * (3 * CHUNK), max_line_bytes=CHUNK)
    assert (caught.value.problem.code, caught.value.problem.line) == ("line_too_long", 3)
