"""Columns of all sorts as numbers, names, codes and texts; what is the same in every kind."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mtl_core.base.messages import message
from mtl_core.data.problems import Problem, Severity
from mtl_core.tasks import common


def column(values: list[Any], kind: pa.DataType | None = None) -> pa.ChunkedArray:
    half = len(values) // 2
    kind = kind or pa.array(values).type
    return pa.chunked_array([pa.array(values[:half], kind), pa.array(values[half:], kind)])


@pytest.mark.parametrize(
    ("values", "wanted", "bad"),
    [
        ([1, 0, None], [1, 0, np.nan], 0),
        ([1.0, 0.0, None], [1, 0, np.nan], 0),
        ([True, False, None], [1, 0, np.nan], 0),
        (["1", "0", None, " 1 "], [1, 0, np.nan, 1], 0),
        (["yes", "No", "TRUE", "f", "是", "否"], [1, 0, 1, 0, 1, 0], 0),
        (["1", "maybe", "0"], [1, np.nan, 0], 1),
        ([0, 1, 2], [0, 1, np.nan], 1),
        ([0.0, float("inf"), float("nan")], [0, np.nan, np.nan], 2),
        ([None, None], [np.nan, np.nan], 0),
    ],
)
def test_yes_and_no(values: list[Any], wanted: list[float], bad: int) -> None:
    found, wrong = common.yes_no(column(values))
    np.testing.assert_array_equal(found, wanted)
    assert wrong.sum() == bad


def test_names_of_classes() -> None:
    assert common.names(column([1, 2, None])).to_pylist() == ["1", "2", None]
    assert common.names(column([1.0, 2.0, None])).to_pylist() == ["1", "2", None]
    assert common.names(column([1.5, 2.0])).to_pylist() == ["1.5", "2"]
    assert common.names(column([True, False])).to_pylist() == ["true", "false"]
    assert common.names(column([" a ", "", None])).to_pylist() == ["a", None, None]
    assert common.names(column(["a", "b"]).dictionary_encode()).to_pylist() == ["a", "b"]
    assert common.names(column([None, None])).to_pylist() == [None, None]


def test_codes_tell_values_apart_and_missing_ones_from_all() -> None:
    assert common.codes(column(["b", "a", "b", "a"])).tolist() == [0, 1, 0, 1]
    assert common.codes(column(["b", "a", "b"]).dictionary_encode()).tolist() == [0, 1, 0]
    found = common.codes(column(["a", None, "a", None]))
    assert found[0] == found[2] and len(set(found.tolist())) == 3


def test_codes_of_lists_know_order_and_length() -> None:
    lists = [["a", "b"], ["b", "a"], ["a", "b"], [], None, ["a"], ["a", "a"], ["b"]]
    found = common.codes(column(lists, pa.list_(pa.string())))
    assert found[0] == found[2] and found[3] == found[4]
    assert len(set(found.tolist())) == 6
    assert len(set(common.codes(column([[str(i), str(j)] for i in range(60) for j in range(60)])).tolist())) == 3600


def test_texts_and_histories_have_no_nulls() -> None:
    assert common.texts(column(["a", None])).to_pylist() == ["a", ""]
    coded = common.texts(column(["a", None, "a"]).dictionary_encode())
    assert coded.to_pylist() == ["a", "", "a"] and pa.types.is_dictionary(coded.type)
    assert common.texts(column([None, None])).to_pylist() == ["", ""]
    kind = pa.list_(pa.dictionary(pa.int32(), pa.string()))
    assert common.histories(column([["a"], None], kind)).to_pylist() == [["a"], []]
    assert common.histories(column([None])).to_pylist() == [[]]
    assert common.is_empty(column(["a", None, "  ", ""])).tolist() == [False, True, True, True]
    assert common.is_empty(column([["a"], None, []], kind)).tolist() == [False, True, True]


def test_numbers_and_categories_side_by_side() -> None:
    found = common.number_matrix(column([[1.0, None], [2.0, 3.0]]))
    np.testing.assert_array_equal(found, [[1, np.nan], [2, 3]])
    np.testing.assert_array_equal(common.number_matrix(column([1, None])), [[1], [np.nan]])
    np.testing.assert_array_equal(common.number_matrix(column([None, [2.0, 3.0]])), [[np.nan, np.nan], [2, 3]])
    found = common.category_columns(column([["a", None], ["b", "x"]]))
    assert [c.to_pylist() for c in found] == [["a", "b"], ["", "x"]]
    assert [c.to_pylist() for c in common.category_columns(column(["a", None]))] == [["a", ""]]
    values = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(common.matrix(pa.chunked_array([common.fixed(values)])), values)


def test_pairs() -> None:
    pairs = common.pairs(column(["a", "b", "c"]).dictionary_encode(), column(["1", "2", "3"]))
    assert pairs.to_pylist() == [{"a": "a", "b": "1"}, {"a": "b", "b": "2"}, {"a": "c", "b": "3"}]
    assert common.joined(pairs).to_pylist() == ["a 1", "b 2", "c 3"]


def test_a_sample_is_always_the_same_and_never_too_large() -> None:
    rows = np.arange(1000)
    assert common.sample(rows, 2000) is rows
    assert len(set(common.sample(rows, 100).tolist())) == 100
    np.testing.assert_array_equal(common.sample(rows, 100), common.sample(rows, 100))


def test_problems_name_the_columns_of_the_table() -> None:
    problems = [Problem(Severity.ERROR, "one_class", message("Why."), message("How."), column=c) for c in ("label", "text", None)]
    found = common.located(problems, {"label": ["Rating"], "text": ["Title", "Review"]}, "reviews.csv")
    assert [(p.file, p.column) for p in found] == [("reviews.csv", "Rating"), ("reviews.csv", "Title, Review"), ("reviews.csv", None)]
