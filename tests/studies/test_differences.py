"""Which settings differ."""

from mtl_core.studies.differences import settings


def test_only_what_differs_is_told_by_its_path() -> None:
    first = {"seed": 0, "tasks": {"ads": {"weight": 1.0, "columns": {"text": ["a", "b"]}}}, "training": {"steps": None}}
    second = {"seed": 0, "tasks": {"ads": {"weight": 2.0, "columns": {"text": ["a"]}}}, "training": {"steps": 10}}
    assert settings({"x": first, "y": second}) == {
        "tasks.ads.weight": {"x": 1.0, "y": 2.0},
        "tasks.ads.columns.text": {"x": ["a", "b"], "y": ["a"]},
        "training.steps": {"x": None, "y": 10},
    }


def test_a_setting_that_one_does_not_have_differs() -> None:
    assert settings({"x": {"tasks": {"ads": {"weight": 1.0}}}, "y": {"tasks": {}}}) == {
        "tasks.ads.weight": {"x": 1.0, "y": None},
        "tasks": {"x": None, "y": {}},
    }


def test_equal_experiments_do_not_differ() -> None:
    assert settings({"x": {"a": {"b": [1]}}, "y": {"a": {"b": [1]}}, "z": {"a": {"b": [1]}}}) == {}
    assert settings({"x": {"a": 1}}) == {}
