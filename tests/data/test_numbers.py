"""Numbers as people write them: the decimal sign of a column, currencies, grouped digits, and what is said of them."""

import numpy as np
import pyarrow as pa
import pytest

from mtl_core.data.mapping import map_columns
from mtl_core.data.numbers import read_numbers
from mtl_core.data.places import in_file
from mtl_core.data.problems import Severity
from mtl_core.data.values import as_numbers
from mtl_core.tasks.base import Field


@pytest.mark.parametrize(
    ("written", "numbers"),
    [
        (["3,5", "4"], [3.5, 4.0]),
        (["1.234,50", "2.000"], [1234.5, 2000.0]),
        (["1,234.50", "2,000"], [1234.5, 2000.0]),
        (["€ 12,90", "-3,50 €", "EUR 7"], [12.9, -3.5, 7.0]),
        (["$1,299.00", "−$5.5"], [1299.0, -5.5]),
        (["￥１２．５", "99 元"], [12.5, 99.0]),
        (["1 234,5", "1\u202f000\u202f000,25", "12'345,6"], [1234.5, 1000000.25, 12345.6]),
        (["1.234.567", "8"], [1234567.0, 8.0]),
        (["0,125", "1,234"], [0.125, 1.234]),
        (["0.125", "1.234"], [0.125, 1.234]),
        (["three", "3,5"], [None, 3.5]),
        ([None, "-", "4,5"], [None, None, 4.5]),
    ],
)
def test_one_value_says_how_the_column_is_written(written: list, numbers: list) -> None:
    found = read_numbers(pa.chunked_array([pa.array(written)]))
    assert found.values.to_pylist() == numbers
    assert not found.ambiguous.any()
    assert found.wrong.tolist() == [w == "three" for w in written]


@pytest.mark.parametrize(("written", "numbers"), [(["1,234", "12"], [1234.0, 12.0]), (["1.234", "12"], [1.234, 12.0])])
def test_what_no_value_decides_is_called_ambiguous(written: list, numbers: list) -> None:
    found = read_numbers(pa.array(written))
    assert found.values.to_pylist() == numbers and found.ambiguous.tolist() == [True, False]
    ((code, severity, rows, why, _),) = found.remarks(pa.array(written))
    assert (code, severity, rows.tolist()) == ("number_ambiguous", Severity.WARNING, [True, False])
    assert f"“{written[0]}” is read as {numbers[0]:g}." in str(why)


@pytest.mark.parametrize(("decimal", "numbers"), [(".", [1.125, 1125.0, 0.5]), (",", [1125.0, 1.125, 0.5])])
def test_a_known_decimal_sign_decides_what_no_value_does(decimal: str, numbers: list) -> None:
    found = [read_numbers(pa.array([text]), decimal) for text in ("1.125", "1,125", "0.5" if decimal == "." else "0,5")]
    assert [one.values[0].as_py() for one in found] == numbers
    assert not any(one.ambiguous.any() for one in found) and {one.decimal for one in found[2:]} == {decimal}


def test_what_is_larger_than_any_number_is_none() -> None:
    found = read_numbers(pa.array(["1e999", "-1e999", "1e300", "-1e30", None]))
    assert found.values.to_pylist() == [None, None, None, -1e30, None] and found.wrong.tolist() == [True, True, True, False, False]
    of_floats = as_numbers(pa.array([1e308, float("inf"), float("nan"), -1e30]))
    assert of_floats.values.to_pylist() == [None, None, None, -1e30] and of_floats.wrong.tolist() == [True, True, False, False]


def test_of_two_notations_in_one_column_only_plain_numbers_are_read() -> None:
    found = read_numbers(pa.array(["3,5", "2.5", "1,234", "1.234", "1,234.5", "1,234,567"]))
    assert found.values.to_pylist() == [None, 2.5, None, 1.234, 1234.5, 1234567.0]
    assert np.flatnonzero(found.wrong).tolist() == [0, 2] and np.flatnonzero(found.ambiguous).tolist() == [3]


@pytest.mark.parametrize("text", ["030 123 456", "12,34,56", "1.23.456,0", "5 apples", "EUR", "", "192.168.1.1"])
def test_what_only_looks_like_a_number_is_none(text: str) -> None:
    found = read_numbers(pa.array([text, "1"]))
    assert found.values.to_pylist() == [None, 1.0] and found.wrong.tolist() == [True, False]


def test_plain_numbers_are_read_as_they_are() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=50) * 10.0 ** rng.integers(-9, 9, 50), [0.0, 1500.0, -2e-7]])
    found = read_numbers(pa.array([repr(float(v)) for v in values]))
    assert found.values.to_pylist() == values.tolist()
    assert not (found.wrong | found.rewritten | found.ambiguous).any()


@pytest.mark.parametrize(
    "field", [Field("label", "label", "", holds="number"), Field("numbers", "number", "", many=True)], ids=["label", "number"]
)
def test_a_table_says_what_was_read_as_what(field: Field) -> None:
    table = pa.table({"text": ["x", "y", "z"], "price": ["4", "€ 12,90", "cheap"], "_line": [2, 3, 4]})
    mapped, problems = map_columns(table, [field], {field.name: "price"}, "shop.csv")
    assert mapped[field.name].to_pylist() == [4.0, 12.9, None]
    assert {p.code: (p.severity, p.line, p.count) for p in problems} == {
        "not_a_number": (Severity.ERROR if field.type == "label" else Severity.WARNING, 4, 1),
        "number_notation": (Severity.INFO, 3, 1),
        **({"currencies": (Severity.WARNING, 3, 1)} if field.type == "label" else {}),
    }
    notation = problems[1]
    assert "“€ 12,90” is read as 12.9." in str(notation) and notation.column == "price" and notation.file == "shop.csv"


@pytest.mark.parametrize(
    ("training", "test", "number"),
    [
        (["0.5", "1.5"], ["1,000", "1,001"], "1000"),  # by itself: 1 or 1000
        (["0,5", "1,5"], ["1.000", "1.001"], "1000"),  # by itself: 1
    ],
)
def test_a_file_whose_numbers_other_files_decide(training: list[str], test: list[str], number: str) -> None:
    lines = [2, 3, *in_file(np.array([2, 3]), 2).tolist()]
    table = pa.table({"text": ["t"] * 4, "y": training + test, "_line": lines})
    mapped, problems = map_columns(table, (Field("label", "label", "", holds="number"),), {"label": "y"}, "t")
    found = {p.code: p for p in problems}["number_notation_of_file"]
    assert (str(found.severity), found.file, found.line, found.count) == ("warning", "t/test", 2, 2)
    assert f"“{test[0]}” as {number}" in str(found.why) and str(mapped["label"][2].as_py()) == f"{number}.0"


def test_files_that_say_themselves_how_their_numbers_are_written_need_no_word() -> None:
    table = pa.table({"y": ["0,5", "1,5", "2,5"], "_line": [2, 3, in_file(2, 2)]})
    _, problems = map_columns(table, (Field("label", "label", "", holds="number"),), {"label": "y"}, "t")
    assert [p.code for p in problems] == ["number_notation"]


def test_yes_and_no_are_the_same_in_every_file() -> None:
    table = pa.table({"text": ["t"] * 4, "y": ["yes", "no", "yes", "no"], "_line": [2, 3, *in_file(np.array([2, 3]), 2).tolist()]})
    mapped, problems = map_columns(table, (Field("label", "label", "", holds="grade"),), {"label": "y"}, "t")
    assert mapped["label"].to_pylist() == [1.0, 0.0, 1.0, 0.0] and not problems


def test_true_among_numbers_is_said() -> None:
    field = Field("label", "label", "", holds="number")
    table = pa.table({"y": ["2.5", "true", "3"], "_line": [2, 3, 4]})
    mapped, (problem,) = map_columns(table, (field,), {"label": "y"})
    assert (problem.code, problem.line, problem.count, mapped["label"].to_pylist()) == ("truth_as_number", 3, 1, [2.5, 1, 3])
    assert map_columns(table.slice(1, 1), (field,), {"label": "y"})[1] == []


def test_a_number_too_large_for_any_is_none() -> None:
    found = read_numbers(pa.array(["1e999", "9" * 400, "-2e308", "1e3"]))
    assert found.values.to_pylist() == [None, None, None, 1000] and found.wrong.tolist() == [True, True, True, False]
