"""What the pages' small helpers write: numbers, and the words of a task kind."""

import pytest

from pages.parts.text import number, said


@pytest.mark.parametrize(
    ("value", "text"),
    [(4.19300001, "4.193"), (12.9, "12.9"), (1234.56, "1,235"), (1e6, "1,000,000"), (0.000123456, "0.0001235"), (0.0, "0"), (-3.5, "-3.5")],
)
def test_numbers_have_four_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_only_words_are_translated() -> None:
    assert [said(value, str.upper) for value in ("same", "", 1, 0.5, None)] == ["SAME", "", 1, 0.5, None]
