from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from mtl_core.data.values import as_class, as_grades, as_lists, as_number, as_text, as_time, codes_of


def test_numbers_as_shops_write_them() -> None:
    numbers, wrong = as_number(pa.chunked_array([["1", " 2.5 ", "-3e2"], [".5", "+7", None, "NA", "-", "true"], ["three", "1,5", "0x1"]]))
    assert numbers.to_pylist() == [1.0, 2.5, -300.0, 0.5, 7.0, None, None, None, 1.0, None, None, None]
    assert np.flatnonzero(wrong).tolist() == [9, 10, 11]


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["1,5", "2", None, "-0,25"], [1.5, 2.0, None, -0.25]),
        (["1,234.5", "12", "NA"], [1234.5, 12.0, None]),
        (["1,234", "5,678,901"], [1234.0, 5678901.0]),
        (["1,5", "2.5"], [None, 2.5]),
    ],
)
def test_commas(values: list, numbers: list) -> None:
    assert as_number(pa.chunked_array([pa.array(values)]))[0].to_pylist() == numbers


@pytest.mark.parametrize("values", [["nan", "inf"], ["Infinity", None]])
def test_not_finite_is_no_number(values: list) -> None:
    numbers, wrong = as_number(pa.array(values))
    assert numbers.null_count == 2
    assert wrong.sum() == sum(v in ("inf", "Infinity") for v in values)


def test_numbers_of_other_types() -> None:
    assert as_number(pa.array([True, None, False]))[0].to_pylist() == [1.0, None, 0.0]
    assert as_number(pa.array([2**60 + 1]))[0].to_pylist() == [float(2**60)]
    assert as_number(pa.array([datetime(2024, 1, 1), None]))[1].tolist() == [True, False]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1.10", "1.1", None], ["1.10", "1.1", None]),
        (["1.0", "0"], ["1.0", "0"]),
        (["True", "false"], ["True", "false"]),
        (["007", "7", "1e5", "12,5"], ["007", "7", "1e5", "12,5"]),
        (["1234567890123456781", "1234567890123456782"], ["1234567890123456781", "1234567890123456782"]),
        ([1234567890123456781], ["1234567890123456781"]),
        ([" refund\u200b ", "re\u00adfund", "\ufeffrefund\u00a0"], ["refund"] * 3),
        (["produe\u0301", "produ\u00e9"], ["produ\u00e9"] * 2),
        (["too\u3000 late", " \u200b "], ["too late", None]),
        (["\U0001f469\u200d\U0001f33e"], ["\U0001f469\u200d\U0001f33e"]),
        ([True, None], ["true", None]),
        ([1.0, 2.0, None], ["1", "2", None]),
        ([1.5, 2.0], ["1.5", "2"]),
    ],
)
def test_a_class_keeps_its_spelling(values: list, expected: list) -> None:
    assert as_class(pa.chunked_array([pa.array(values)])).to_pylist() == expected


def test_grades_are_numbers_or_yes_and_no() -> None:
    found = as_grades(pa.chunked_array([["yes", "N", "0,5", "1", None, "NULL", "否", "maybe", "是"]]))
    assert found.values.to_pylist() == [1, 0, 0.5, 1, None, None, 0, None, 1]
    assert np.flatnonzero(found.wrong).tolist() == [7]
    assert np.flatnonzero(found.marked).tolist() == [5]


def test_ids_read_as_floats_lose_their_point() -> None:
    assert as_text(pa.array([17850.0, None])).to_pylist() == ["17850", None]
    assert as_text(pa.array([0.5, 2.25])).to_pylist() == ["0.5", "2.25"]
    assert as_text(pa.array(["a", None]).dictionary_encode()).to_pylist() == ["a", None]


@pytest.mark.parametrize(
    "values",
    [
        ["2024-05-31 18:30:00", "2024-06-01 00:00:00"],
        ["2024-05-31T18:30:00Z", "2024-06-01T00:00:00.000Z"],
        ["5/31/2024 18:30", "6/1/2024 0:00"],
        ["31.05.2024 18:30", "01.06.2024 00:00"],
        ["2024年05月31日 18:30", "2024年06月01日 00:00"],
    ],
)
def test_times_in_usual_spellings(values: list[str]) -> None:
    times, wrong = as_time(pa.chunked_array([values]))
    assert times.to_pylist() == [datetime(2024, 5, 31, 18, 30), datetime(2024, 6, 1)]
    assert not wrong.any()


def test_the_format_that_reads_most_wins() -> None:
    times, wrong = as_time(pa.array(["13/01/2024", "02/01/2024", "soon", None]))
    assert times.to_pylist() == [datetime(2024, 1, 13), datetime(2024, 1, 2), None, None]
    assert wrong.tolist() == [False, False, True, False]


def test_times_as_numbers() -> None:
    assert as_time(pa.array(["10", "9"]))[0].to_pylist() == [10.0, 9.0]
    assert as_time(pa.array(["20240131", "20240201"]))[0].to_pylist() == [datetime(2024, 1, 31), datetime(2024, 2, 1)]
    assert as_time(pa.array([3, 1]))[0].to_pylist() == [3.0, 1.0]
    zoned = pa.array([datetime(2024, 1, 1)], pa.timestamp("ns", "UTC"))
    assert as_time(zoned)[0].to_pylist() == [datetime(2024, 1, 1)]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("a | b|c", ["a", "b", "c"]),
        ('["a", "b, c"]', ["a", "b, c"]),
        ("['a', \"b's\", None]", ["a", "b's"]),
        ("('a', 'b')", ["a", "b"]),
        ("['a' 'b c'\n 'd']", ["a", "b c", "d"]),
        ("array(['a', 'b'], dtype=object)", ["a", "b"]),
        ("['a', nan]", ["a"]),
        ("[1, 2.5, true]", ["1", "2.5", "true"]),
        ("[]", []),
        ("[SALE] red | blue", ["[SALE] red", "blue"]),
        ('[{"role": "user", "content": "hi"}, {"from": "gpt", "value": "yes"}]', ["user: hi", "gpt: yes"]),
        ("[{'speaker': 'a', 'text': 'x: y'}, {'content': 'z'}]", ["a: x: y", "z"]),
        ('[{"role": "user", "content": [{"type": "text", "text": "hi"}]}]', ["user: hi"]),
    ],
)
def test_lists_of_texts(cell: str, expected: list[str]) -> None:
    found, broken = as_lists(pa.chunked_array([[cell, None, "d"]]))
    assert found.to_pylist() == [expected, None, ["d"]]
    assert not broken.any()


@pytest.mark.parametrize("cell", ['["a", "b"', "['a', 'b", "[a, b]", '[["a"], ["b"]]', '[{"x": 1}]', "['a' 'b' ... 'z']", "['a', 'b' 'c']"])
def test_a_broken_list_is_refused(cell: str) -> None:
    assert as_lists(pa.array(["x", cell]))[1].tolist() == [False, True]


def test_lists_of_a_column_of_lists() -> None:
    assert as_lists(pa.array([["a"], []]))[0].to_pylist() == [["a"], []]
    found, broken = as_lists(pa.array([['{"role": "user", "content": "hi"}', "[SALE]"], ['["a"]'], None]))
    assert found.to_pylist() == [["user: hi", "[SALE]"], None, None]
    assert broken.tolist() == [False, True, False]


def test_codes_across_chunks() -> None:
    for column in (pa.chunked_array([["b", "a"], ["a", None]]), pa.chunked_array([["b", "a"], ["a", None]]).dictionary_encode()):
        codes, values = codes_of(column)
        assert codes.tolist() == [0, 1, 1, -1]
        assert values.to_pylist() == ["b", "a"]
    assert codes_of(pa.chunked_array([], pa.string()))[0].tolist() == []
