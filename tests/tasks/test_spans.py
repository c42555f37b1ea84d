"""Spans: found as whole words in any script, the longest first, and the tokens that they cover."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_core.tasks.heads import Tokens, covering, read_to
from mtl_core.tasks.spans import PIECES, apart, lower, objects, occurrences, trimmed, whole


@pytest.mark.parametrize(
    ("value", "text", "found"),
    [
        ("red", "red bored red-hot Red", [0, 10]),
        ("12", "12pack 12 a12", [7]),
        ("8.5-ounce", "an 8.5-ounce can", [3]),
        ("(black)", "shoe(black)x", [4]),
        ("红色", "这件红色连衣裙", [2]),
        ("m码", "红m码x", [1]),
        ("aa", "aaa aa", [4]),
        ("", "text", []),
        ("red", "", []),
    ],
)
def test_values_are_found_as_whole_words(value: str, text: str, found: list[int]) -> None:
    assert occurrences(value, text) == found


@settings(max_examples=30)
@given(st.text("aZİßΣς红ﬁ "))
def test_lower_case_moves_no_character(text: str) -> None:
    assert len(lower(text)) == len(text)


def test_lower_case_of_a_letter_that_becomes_two() -> None:
    assert lower("İSTANBUL Red") == "İstanbul red"


def test_pieces() -> None:
    assert PIECES.findall("Nike's 8.5 红色 鞋M") == ["Nike", "'", "s", "8", ".", "5", "红", "色", "鞋", "M"]


def test_the_longest_takes_its_place_first() -> None:
    # "red patent red": "red" twice, "red patent" once, and a third "red" that finds no place
    assert apart([(3, [0, 11]), (10, [0]), (3, [0, 11])], 14) == [11, 0, None]
    assert apart([(2, []), (0, [])], 5) == [None, None]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 6), st.lists(st.integers(0, 14), max_size=3))))
def test_nothing_that_is_placed_overlaps(wanted: list[tuple[int, list[int]]]) -> None:
    placed = [(start, start + n) for (n, _), start in zip(wanted, apart(wanted, 20), strict=True) if start is not None]
    covered = [i for start, end in placed for i in range(start, end)]
    assert len(covered) == len(set(covered))
    if any(starts for _, starts in wanted):
        assert placed


def test_spaces_at_the_ends_do_not_count() -> None:
    assert trimmed("a  red  shoe", 1, 8) == (3, 6)
    assert trimmed("a   b", 1, 4) == (4, 4)
    assert trimmed("red", 0, 3) == (0, 3)


def test_a_piece_of_a_word_becomes_the_word() -> None:
    text = "no dishwasher, 5kg 红色"
    assert whole(text, 7, 11) == (3, 13)  # “wash” of “dishwasher”
    assert whole(text, 2, 13) == (3, 13)
    assert whole(text, 15, 16) == (15, 18)
    assert whole(text, 19, 20) == (19, 20)  # no spaces between Chinese words: none is known to go on
    assert whole(text, 2, 3) == (3, 3)  # nothing but a space stays nothing


def tokens(rows: list[list[tuple[int, int]]], part: int = 0) -> Tokens:
    """Each row between two special tokens."""
    lengths = [len(row) + 2 for row in rows]
    chars = torch.tensor([c for row in rows for c in [(0, 0), *row, (0, 0)]])
    parts = torch.tensor([p for row in rows for p in [-1, *[part] * len(row), -1]])
    n = len(chars)
    offsets = torch.tensor(np.append(0, np.cumsum(lengths)))
    return Tokens(None, offsets, torch.zeros(n, dtype=torch.long), parts, chars, torch.zeros(n, dtype=torch.bool))


def test_tokens_that_a_span_covers_or_touches() -> None:
    """Row 0: two spans, the second of two tokens and the half of a third; row 1: none; row 2: one that begins after what is read."""
    found = tokens([[(0, 3), (4, 6), (6, 8), (8, 12)], [(0, 3)], [(0, 3)]])
    starts, ends, offsets = torch.tensor([0, 4, 5]), torch.tensor([3, 9, 8]), torch.tensor([0, 2, 2, 3])
    span = covering(found, (starts, offsets), ends)
    assert span.tolist() == [-1, 0, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1]
    assert covering(found, (starts, offsets), ends, part=1).tolist() == [-1] * 12
    assert read_to(found).tolist() == [12, 3, 3] and read_to(found, part=1).tolist() == [0, 0, 0]


def test_no_spans_and_no_texts() -> None:
    none = torch.zeros(0, dtype=torch.long)
    assert covering(tokens([[], [(0, 2)]]), (none, torch.zeros(3, dtype=torch.long)), none).tolist() == [-1] * 5
    assert read_to(tokens([[]])).tolist() == [0]


def test_objects_stay_one_a_row() -> None:
    assert objects([[1, 2], [3, 4]], 2).shape == (2,) and objects([], 0).shape == (0,)
