"""What click-through learns from: conversions without a click, propensities that cannot be, positions."""

import numpy as np
import pyarrow as pa
import pytest

from mtl_core.data.mapping import suggest
from mtl_core.data.problems import Problem, Severity
from mtl_core.tasks import KINDS
from mtl_core.tasks.click_through import clicks

KIND = KINDS["click_through"]
TABLE = pa.table(
    {
        "numbers": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "label": [1, 1, 0, 0, 1, 0],
        "conversion": [1, 0, 1, None, None, 0],
        "_line": [2, 3, 5, 6, 7, 8],
    }
)
SPLIT = np.array(["train", "train", "train", "validation", "test", "test"])


def check(table: pa.Table, **options: object) -> dict[str, Problem]:
    found = KIND.rows.check(table, SPLIT, KIND.Options(**options))
    assert all(p.why.text() and p.remedy.text() for p in found)
    return {p.code: p for p in found}


@pytest.mark.parametrize(
    ("treatment", "click", "conversion", "said"),
    [
        ("ignore", [1, 1, 0, 0, 1, 0], [1, 0, 0, 0, np.nan, 0], "is ignored"),
        ("clicked", [1, 1, 1, 0, 1, 0], [1, 0, 1, 0, np.nan, 0], "counts as clicked"),
        ("leave_out", [1, 1, np.nan, 0, 1, 0], [1, 0, 1, 0, np.nan, 0], "is left out"),
    ],
)
def test_a_conversion_without_a_click(treatment: str, click: list[float], conversion: list[float], said: str) -> None:
    found = clicks.labels_of(TABLE, KIND.Options(without_click=treatment))
    np.testing.assert_array_equal(found, [click, conversion])
    problem = check(TABLE, without_click=treatment)["conversion_without_click"]
    assert (problem.line, problem.count, problem.severity) == (5, 1, Severity.WARNING) and said in str(problem)


def test_check_conversions() -> None:
    found = check(TABLE)
    assert (found["conversion_missing"].line, found["conversion_missing"].count) == (7, 1)
    assert "one_conversion" not in found
    alike = check(TABLE.set_column(2, "conversion", [[1, 1, 0, 0, 2, 0]]))
    assert alike["one_conversion"].severity is Severity.WARNING
    assert (alike["label_type"].column, alike["label_type"].line, alike["label_type"].severity) == ("conversion", 7, Severity.ERROR)


def test_propensities_that_cannot_be() -> None:
    table = TABLE.drop(["conversion"]).append_column("propensity", [[1, 0.2, 0, -1, 1.5, None]])
    found = check(table)
    assert (found["propensity_out_of_range"].line, found["propensity_out_of_range"].count) == (5, 3)
    assert "the first is 0." in str(found["propensity_out_of_range"]) and found["propensity_missing"].count == 1
    weights = clicks.weights_of(table, KIND.Options())
    np.testing.assert_allclose(weights, [1, 5, np.nan, np.nan, np.nan, np.nan])


def test_positions() -> None:
    table = TABLE.drop(["conversion"]).append_column("position", [[1, 4, 100, 0, 1.5, None]])
    found = check(table)
    assert (found["position_out_of_range"].line, found["position_out_of_range"].count) == (6, 2)
    np.testing.assert_allclose(clicks.weights_of(table, KIND.Options()), [1, 4, 10, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(clicks.weights_of(table, KIND.Options(position_power=0.5))[:3], [1, 2, 10])
    assert "no_propensity" in check(TABLE, propensity_weighting=True) and "no_propensity" not in check(table, propensity_weighting=True)


def test_the_only_label_of_a_table_is_the_required_one() -> None:
    one = pa.table({"price": [1.5, 2.5, 3.5], "conversion": [0, 1, 0]})
    assert suggest(one, KIND.fields)["label"] == ["conversion"]
    two = suggest(one.append_column("click", [[1, 1, 0]]), KIND.fields)
    assert (two["label"], two["conversion"]) == (["click"], ["conversion"])
