"""What the pages' small helpers write: numbers, and the words of a task kind."""

import re

import pytest

from pages.parts.text import number, plain, rough, said, size


@pytest.mark.parametrize(
    ("value", "text"),
    [(4.19300001, "4.193"), (12.9, "12.9"), (1234.56, "1,235"), (1e6, "1,000,000"), (0.000123456, "0.0001235"), (0.0, "0"), (-3.5, "-3.5")],
)
def test_numbers_have_four_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_only_words_are_translated() -> None:
    assert [said(value, str.upper) for value in ("same", "", 1, 0.5, None)] == ["SAME", "", 1, 0.5, None]


def test_size() -> None:
    sizes = [0, 999, 1000, 1234, 9_949, 9_950, 34_000_000, 999_499_999, 999_500_000, 5_600_000_000_000_000]
    assert [size(n) for n in sizes] == ["0 B", "999 B", "1.0 kB", "1.2 kB", "9.9 kB", "10 kB", "34 MB", "999 MB", "1.0 GB", "5600 TB"]


def test_an_estimate_is_told_no_finer_than_it_can_be() -> None:
    assert [rough(seconds, str) for seconds in (42.2, 59, 666, 3569, 3580, 7850)] == [
        "42 s",
        "59 s",
        "11 min",
        "59 min",
        "1 h 00 min",
        "2 h 10 min",
    ]


@pytest.mark.parametrize(
    "text",
    ["https://evil.example", "www.evil.example", "WWW.evil.example", "me@evil.example", "![](http://evil.example/x.png)", "**a** [b](c)"],
)
def test_a_text_is_neither_markup_nor_a_link(text: str) -> None:
    """As people read it, it is what it was; what a browser makes of it is in tests/browser/test_closed.py."""
    shown = plain(text)
    assert re.sub(r"\\(.)|\u2060", r"\1", shown) == text
    assert not re.search(r"://|www\\?\.|@\w", shown, re.IGNORECASE) and not re.search(r"(?<!\\)[*\[!<]", shown)


def test_what_is_no_address_stays() -> None:
    assert plain("NDCG@10: 1") == "NDCG@10\\: 1" and plain("a @ b") == "a @ b"
