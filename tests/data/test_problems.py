import json

from mtl_core.base.messages import message
from mtl_core.data.problems import DataError, Problem, Severity, has_errors


def problem(severity: Severity, code: str = "code") -> Problem:
    why = message("{part} has {count} rows.", part=message("train"), count=3)
    return Problem(severity, code, why, message("Mend it."), "a.csv", 7, "price", 3)


def test_text_names_file_line_column_reason_and_remedy() -> None:
    assert str(problem(Severity.ERROR)) == "a.csv, line 7, column “price”: train has 3 rows. Mend it."


def test_text_is_translated_as_a_whole() -> None:
    words = {
        "line {line}": "第 {line} 行",
        "column “{column}”": "列“{column}”",
        "train": "训练",
        "{part} has {count} rows.": "{part}有 {count} 行。",
    }
    assert problem(Severity.ERROR).text(lambda s: words.get(s, s)) == "a.csv, 第 7 行, 列“price”: 训练有 3 行。 Mend it."


def test_json_keeps_everything() -> None:
    original = problem(Severity.WARNING)
    again = Problem.from_json(json.loads(json.dumps(original.to_json())))
    assert again == original


def test_error_lists_errors_first() -> None:
    error = DataError([problem(Severity.INFO, "a"), problem(Severity.ERROR, "b"), problem(Severity.WARNING, "c")])
    assert [p.code for p in error.problems] == ["b", "c", "a"]
    assert has_errors(error.problems)
    assert not has_errors(error.problems[1:])
