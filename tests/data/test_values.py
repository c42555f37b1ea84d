from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from mtl_core.data.values import as_label, as_lists, as_number, as_text, as_time, codes_of


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
        (["1", "0", None], [1, 0, None]),
        (["1.0", "0"], [1, 0]),
        (["True", "false"], [1, 0]),
        (["0.5", "1"], [0.5, 1.0]),
        (["001", "2"], ["001", "2"]),
        (["refund", " 1 "], ["refund", "1"]),
        (["-1", "0"], [-1, 0]),
        ([True, None], [1, None]),
        ([1.0, 2.0], [1, 2]),
        ([None, None], [None, None]),
    ],
)
def test_labels_are_numbers_only_when_all_are(values: list, expected: list) -> None:
    found = as_label(pa.chunked_array([pa.array(values)])).to_pylist()
    assert found == expected
    assert [type(v) for v in found] == [type(v) for v in expected]


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


def test_lists_of_texts() -> None:
    assert as_lists(pa.chunked_array([["a | b|c", None, "d"]])).to_pylist() == [["a", "b", "c"], None, ["d"]]
    assert as_lists(pa.array(['["a", "b, c"]', "[]", "[broken"])).to_pylist() == [["a", "b, c"], [], ["[broken"]]
    assert as_lists(pa.array([["a"], []])).to_pylist() == [["a"], []]


def test_codes_across_chunks() -> None:
    for column in (pa.chunked_array([["b", "a"], ["a", None]]), pa.chunked_array([["b", "a"], ["a", None]]).dictionary_encode()):
        codes, values = codes_of(column)
        assert codes.tolist() == [0, 1, 1, -1]
        assert values.to_pylist() == ["b", "a"]
    assert codes_of(pa.chunked_array([], pa.string()))[0].tolist() == []
