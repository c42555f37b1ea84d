"""Counts and lengths, worked out by hand."""

import numpy as np
import pyarrow as pa

from mtl_core.data.describe import histogram, label_counts, token_lengths


def words(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def test_labels_by_part_most_frequent_first() -> None:
    labels = pa.chunked_array([["a", "b", None], ["b", "b", "c"]])
    split = np.array(["train", "train", "train", "test", "validation", ""])
    rows, n = label_counts(labels, split)
    assert rows == [
        {"label": "b", "train": 1, "validation": 1, "test": 1},
        {"label": "a", "train": 1, "validation": 0, "test": 0},
    ]
    assert n == 2
    assert label_counts(labels.dictionary_encode(), split, most=1) == (rows[:1], 2)


def test_a_list_of_labels_counts_for_each() -> None:
    labels = pa.array([["a", "b"], [], None, ["b"], ["a"]])
    rows, n = label_counts(labels, np.array(["train", "train", "test", "test", ""]))
    assert n == 2 and rows == [
        {"label": "b", "train": 1, "validation": 0, "test": 1},
        {"label": "a", "train": 1, "validation": 0, "test": 0},
    ]


def test_lengths_of_texts_and_of_lists_of_texts() -> None:
    assert token_lengths(pa.chunked_array([["a b c", None, "", "d"]]), words).tolist() == [3, 0, 1]
    assert token_lengths(pa.chunked_array([[["a b", "c"], [], None, ["d e f"]]]), words).tolist() == [2, 1, 3]
    assert token_lengths(pa.chunked_array([pa.array([None], pa.string())]), words).tolist() == []


def test_many_texts_are_sampled_the_same_each_time() -> None:
    column = pa.chunked_array([[" ".join("w" * (i % 7 + 1)) for i in range(6000)]])
    lengths = token_lengths(column, words)
    assert len(lengths) == 5000
    assert np.array_equal(lengths, token_lengths(column, words))


def test_histograms_share_their_edges_and_lose_nothing() -> None:
    (a, edges), (b, same) = histogram([np.array([1, 1, 2]), np.arange(100)])
    assert np.array_equal(edges, same)
    assert a.sum() == 3
    assert b.sum() == 100
    assert (np.diff(edges) == edges[1]).all()
    assert edges[1] == int(edges[1])
    assert histogram([np.zeros(0, np.int64)])[0][0].sum() == 0
