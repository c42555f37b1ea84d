import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mtl_core.data.places import PARTS
from mtl_core.data.split import SplitConfig, check_leaks, split_rows


def table(**columns: list) -> pa.Table:
    n = len(next(iter(columns.values())))
    return pa.table({**columns, "_line": list(range(2, n + 2))})


def counts(split: np.ndarray) -> dict[str, int]:
    return {part: int((split == part).sum()) for part in ("", *PARTS) if (split == part).any()}


@pytest.mark.parametrize(
    "values", [{"by": "group"}, {"by": "time", "column": ""}, {"validation": 0.5, "test": 0.5}, {"by": "nothing"}, {"shuffle": 1}]
)
def test_options_that_cannot_be(values: dict) -> None:
    with pytest.raises(ValidationError):
        SplitConfig.model_validate(values)


SHARES = st.sampled_from([0.0, 0.1, 0.2, 0.35])


@given(st.integers(3, 300), SHARES, SHARES, st.integers(0, 5))
def test_random_shares_are_exact(n: int, validation: float, test: float, seed: int) -> None:
    options = SplitConfig(validation=validation, test=test, seed=seed)
    split, problems = split_rows(table(a=[0] * n), options)
    wanted = {"validation": max(1, round(n * validation)) if validation else 0, "test": max(1, round(n * test)) if test else 0}
    found = {part: int((split == part).sum()) for part in PARTS}
    assert found == {**wanted, "train": n - sum(wanted.values())}
    assert problems == []
    assert (split_rows(table(a=[0] * n), options)[0] == split).all()


def test_another_seed_is_another_split() -> None:
    rows = table(a=[0] * 100)
    assert (split_rows(rows, SplitConfig(seed=1))[0] != split_rows(rows, SplitConfig(seed=2))[0]).any()


@given(st.lists(st.integers(0, 12), min_size=1, max_size=200), st.integers(0, 5))
def test_groups_stay_together(groups: list[int], seed: int) -> None:
    split, problems = split_rows(table(g=groups), SplitConfig(by="group", column="g", validation=0.2, test=0.2, seed=seed))
    assert all(len(set(split[np.array(groups) == g])) == 1 for g in set(groups))
    assert "train" in split
    if len(set(groups)) >= 3:
        assert set(split) == set(PARTS)
        assert problems == []


@given(st.integers(0, 20))
def test_group_shares_are_about_right(seed: int) -> None:
    groups = np.repeat(np.arange(200), np.random.default_rng(seed).integers(1, 10, 200))
    split, _ = split_rows(table(g=groups.tolist()), SplitConfig(by="group", column="g", validation=0.2, test=0.3, seed=seed))
    assert abs((split == "validation").mean() - 0.2) < 0.02
    assert abs((split == "test").mean() - 0.3) < 0.02


def test_rows_without_group_stand_alone() -> None:
    split, problems = split_rows(table(g=[None] * 20), SplitConfig(by="group", column="g"))
    assert counts(split) == {"train": 16, "validation": 2, "test": 2}
    assert [(p.code, p.line, p.count) for p in problems] == [("no_group", 2, 20)]


def test_time_keeps_moments_together_and_leaves_out_rows_without() -> None:
    days = [
        "2024-01-03",
        "2024-01-01",
        "2024-01-10",
        "2024-01-02",
        "2024-01-09",
        "2024-01-10",
        "2024-01-04",
        "2024-01-05",
        None,
        "2024-01-06",
    ]
    split, problems = split_rows(table(day=days), SplitConfig(by="time", column="day", validation=0.2, test=0.1))
    assert split.tolist() == ["train", "train", "test", "train", "validation", "test", "train", "train", "", "train"]
    assert [(p.code, p.line, p.count) for p in problems] == [("no_time", 10, 1)]


@given(st.lists(st.integers(0, 30), min_size=10, max_size=200))
def test_time_never_goes_back(times: list[int]) -> None:
    split, _ = split_rows(table(t=times), SplitConfig(by="time", column="t", validation=0.2, test=0.2))
    moments = np.array(times)
    assert not set(moments[split == "train"]) & set(moments[split == "test"])
    for early, late in (("train", "validation"), ("train", "test"), ("validation", "test")):
        if (split == early).any() and (split == late).any():
            assert moments[split == early].max() < moments[split == late].min()


def test_time_by_hand() -> None:
    split, problems = split_rows(table(t=[5, 1, 2, 3, 4, 6, 7, 8, 9, 10]), SplitConfig(by="time", column="t", validation=0.2, test=0.1))
    assert split.tolist() == ["train", "train", "train", "train", "train", "train", "train", "validation", "validation", "test"]
    assert problems == []


def test_a_large_last_moment_goes_where_the_share_is_nearer() -> None:
    times = [1] * 6 + [2] * 3 + [3]
    options = SplitConfig(by="time", column="t", validation=0.0, test=0.2)
    assert counts(split_rows(table(t=times), options)[0]) == {"train": 9, "test": 1}
    assert counts(split_rows(table(t=times), options.model_copy(update={"test": 0.3}))[0]) == {"train": 6, "test": 4}
    assert counts(split_rows(table(t=[1] * 10), options)[0]) == {"train": 10}


def test_stratified_shares_hold_in_every_class() -> None:
    labels = ["a"] * 100 + ["b"] * 30 + ["c"] * 10 + ["d"]
    split, _ = split_rows(table(label=labels), SplitConfig(by="stratified", column="label", validation=0.1, test=0.2))
    found = {label: counts(split[np.array(labels) == label]) for label in "abcd"}
    assert found == {
        "a": {"train": 70, "validation": 10, "test": 20},
        "b": {"train": 21, "validation": 3, "test": 6},
        "c": {"train": 7, "validation": 1, "test": 2},
        "d": {"train": 1},
    }


def test_given_split_with_usual_spellings() -> None:
    split, problems = split_rows(table(s=["Train", "VAL", " test ", "dev", "oos", None]), SplitConfig(by="column", column="s"))
    assert split.tolist() == ["train", "validation", "test", "validation", "", ""]
    assert [(p.code, p.line, p.count) for p in problems] == [("split_left_out", 6, 2)]
    assert "oos" in str(problems[0].why)


def test_given_split_with_own_values() -> None:
    options = SplitConfig(by="column", column="fold", values={"0": "test", "1": "validation", "2": "train"})
    assert split_rows(table(fold=[0, 1, 2, 3]), options)[0].tolist() == ["test", "validation", "train", ""]


def test_given_split_without_validation_draws_it_from_training() -> None:
    split, problems = split_rows(table(s=["train"] * 20 + ["test"] * 5), SplitConfig(by="column", column="s", validation=0.1))
    assert counts(split) == {"train": 18, "validation": 2, "test": 5}
    assert (split[20:] == "test").all()
    assert [p.code for p in problems] == ["validation_drawn"]


def test_given_split_that_means_nothing_is_an_error() -> None:
    _, problems = split_rows(table(s=["x", "y"]), SplitConfig(by="column", column="s"), "a.csv")
    assert "no_train_rows" in {p.code for p in problems if p.severity == "error"}


def test_rows_that_a_typing_error_leaves_out_are_a_warning() -> None:
    given = table(s=["train"] * 8 + ["val", "test", "trian"])
    (problem,) = split_rows(given, SplitConfig(by="column", column="s"))[1]
    assert (problem.code, str(problem.severity), problem.count) == ("split_left_out", "warning", 1) and "trian" in str(problem.why)
    chosen = SplitConfig(by="column", column="s", values={"train": "train", "val": "validation", "test": "test"})
    assert [str(p.severity) for p in split_rows(given, chosen)[1]] == ["info"], "a person left them out"


SAME = ["é4", "e\u03014", "é4 ", "\u00a0é4", "é4\u200b", "é\u00ad4"]
"""One value in spellings that nobody can tell apart."""


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_what_a_person_sees(seed: int) -> None:
    groups = [spelling.replace("4", str(i)) for i in range(10) for spelling in SAME]
    split, _ = split_rows(table(g=groups), SplitConfig(by="group", column="g", seed=seed))
    assert all(len(set(split[i * len(SAME) : (i + 1) * len(SAME)])) == 1 for i in range(10))
    labels = [SAME[i % len(SAME)] for i in range(60)]
    split, _ = split_rows(table(label=labels), SplitConfig(by="stratified", column="label", seed=seed))
    plain, _ = split_rows(table(label=["é4"] * 60), SplitConfig(by="stratified", column="label", seed=seed))
    assert split.tolist() == plain.tolist()


@pytest.mark.parametrize("other", ["red  shoe", "red\u00a0shoe", "red shoe\u200b", "Red shoe ", "red sh\u00adoe"])
def test_texts_that_look_alike_leak(other: str) -> None:
    found = check_leaks(table(text=["red shoe", other]), np.array(["train", "test"]), ["text"])
    assert [p.code for p in found] == ["leak_texts"]
    groups = check_leaks(table(text=["a", "b"], g=["red shoe", "red\u00a0shoe "]), np.array(["train", "test"]), ["text"], "g")
    assert [p.code for p in groups] == ["leak_groups"]


def test_missing_column_is_an_error_with_a_hint() -> None:
    split, (problem,) = split_rows(table(product_id=[1, 2]), SplitConfig(by="group", column="productid"), "a.csv")
    assert (split == "").all()
    assert (problem.code, problem.file, problem.column) == ("missing_split_column", "a.csv", "productid")
    assert "product_id" in str(problem.remedy)


@pytest.mark.parametrize(
    ("name", "part"), [("Valid", "validation"), ("holdout", "test"), ("training", "train"), ("训练集", "train"), ("x", None)]
)
def test_usual_spellings(name: str, part: str | None) -> None:
    split, _ = split_rows(table(part=[name, "train"]), SplitConfig(by="column", column="part", validation=0))
    assert split.tolist() == [part or "", "train"]


def test_leaks_by_hand() -> None:
    rows = table(
        a=["red shoe", "Red Shoe ", "blue hat", "blue hat", "warm", None, None, "left out", "left out"],
        b=["x", "x", "y", "y", "z", None, None, "w", "w"],
        g=["1", "2", "3", "3", "1", "4", "5", "6", "6"],
    )
    split = np.array(["train", "test", "train", "train", "validation", "train", "test", "", "train"])
    found = {p.code: p for p in check_leaks(rows, split, ["a", "b"], "g", "t.csv")}
    assert (found["leak_texts"].line, found["leak_texts"].count) == (2, 2)
    assert (found["duplicate_rows"].line, found["duplicate_rows"].count) == (4, 1)
    assert (found["leak_groups"].line, found["leak_groups"].count, found["leak_groups"].column) == (2, 2, "g")


def test_equal_queries_for_other_products_are_no_leak() -> None:
    rows = table(query=["shoe", "shoe"], product=["red", "blue"])
    assert check_leaks(rows, np.array(["train", "test"]), ["query", "product"]) == []
    assert check_leaks(rows, np.array(["train", "test"]), []) == []


def test_leaks_of_lists_and_dictionaries() -> None:
    history = pa.array([["a", "b"], ["a", "b"], ["a"]])
    rows = pa.table({"history": history, "item": pa.array(["x", "x", "x"]).dictionary_encode(), "_line": [2, 3, 4]})
    (problem,) = check_leaks(rows, np.array(["train", "test", "train"]), ["history", "item"])
    assert (problem.code, problem.count) == ("leak_texts", 2)
