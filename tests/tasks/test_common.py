"""Columns of all sorts as numbers, names, codes and texts; what is the same in every kind."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mtl_core.base.messages import message
from mtl_core.config.tables import map_fields
from mtl_core.data.problems import Problem, Severity
from mtl_core.tasks import KINDS, common


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


TWICE: dict[str, tuple[dict[str, list[Any]], list[Any], int]] = {
    "classification": ({"text": ["red hat", "red  hat ", "sock"]}, ["a", "b", "a"], 2),
    "classification with another second": ({"text": ["hat"] * 3, "second": ["x", "y", "z"]}, ["a", "b", "a"], 0),
    "classification told apart by a category": ({"text": ["hat"] * 3, "categories": ["x", "y", "z"]}, ["a", "b", "a"], 0),
    "matching swapped": ({"first": ["hat", "sock", "tie"], "second": ["sock", "hat", "tie"]}, [1, 0, 1], 2),
    "matching in agreement": ({"first": ["hat", "sock", "tie"], "second": ["sock", "hat", "sock"]}, [1, 1, 0], 0),
    "search": ({"query": ["hat", "hat", "hat"], "product": ["red hat", "red hat", "blue hat"]}, [2, 0, 1], 2),
    "search in agreement": ({"query": ["hat", "hat", "sock"], "product": ["red hat", "red hat", "red hat"]}, ["yes", "1", "no"], 0),
    "response_selection": ({"dialogue": ["hi|where?", "hi | where?", "hi"], "reply": ["there"] * 3}, [1, 0, 1], 2),
    "multilabel": ({"text": ["hat", "hat", "hat"]}, ["red, warm", "Warm, red", "red"], 3),
    "multilabel in another order": ({"text": ["hat", "hat", "sock"]}, ["red, warm", "Warm, red", "red"], 0),
    "extraction": ({"text": ["red hat", "red hat", "tie"]}, ["colour: red", "thing: hat", "{}"], 2),
    "click_through": ({"text": ["ad", "ad", "ad"]}, [1, 0, 0], 0),  # a share of clicks is what is learned
    "recommendation": ({"history": [["hat"]] * 3, "item": ["sock"] * 3}, [1, 0, 1], 0),
    "regression": ({"text": ["fine"] * 3}, [4, 5, 3], 0),  # people differ, and the mean of them is an answer
}


@pytest.mark.parametrize("name", TWICE)
def test_what_says_the_same_with_two_labels_is_named_where_it_means_something(name: str) -> None:
    columns, labels, count = TWICE[name]
    kind = KINDS[name.split()[0]]
    table = pa.table({**columns, "label": [str(v) for v in labels], "_line": [2, 3, 4]})
    mapped = map_fields(kind, table, np.array(["train", "train", "validation"]), {f: f for f in (*columns, "label")}, kind.Options(), "t")
    found = {p.code: p for p in mapped.problems}
    problem = found.get("same_text_other_label")
    assert (problem.count if problem else 0) == count, problem
    if problem:
        assert problem.line == 2 and problem.column == "label" and str(columns[next(iter(columns))][0])[:2] in str(problem.why)
