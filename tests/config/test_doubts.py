"""Measures that cannot say anything, inputs that say too much, texts that an encoder cannot read."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import mtl_core as mtl
from mtl_core.config.doubts import points
from mtl_core.data.problems import Problem

SHARED = Path(__file__).parents[3] / "shared" / "data"
R = Random(5)
WORDS = "the parcel shirt late nice broke small red blue again refund size colour lamp".split()  # noqa: SIM905


def said(n: int) -> list[str]:
    return [" ".join(R.choices(WORDS, k=6)) + f" {i}" for i in range(n)]


def codes(table: dict[str, Any], kind: str, **others: Any) -> set[str]:
    result = mtl.check(pa.table(table), kind, **others)
    assert result.usable, result.found
    return {p.code for p in result.found}


def test_half_the_width_of_an_interval_is_that_of_a_share_of_one_half() -> None:
    assert [points(n) for n in (60, 100, 400, 9604)] == [13, 10, 5, 1]  # 1.96 √(0.25 / n)


def test_small_parts_say_what_difference_can_be_seen() -> None:
    table = {"text": said(600), "label": ["a", "b", "c"] * 200}
    result = mtl.check(pa.table(table), "classification", split={"by": "random", "test": 0.1, "validation": 0.4})
    found = {p.code: p for p in result.found}
    assert "small_validation" not in found and "60 rows" in str(found["small_test"].why) and "±13 points" in str(found["small_test"].why)


def test_a_mean_over_lists_is_no_share_either() -> None:
    table = {"q": [f"{WORDS[i // 6 % 14]} {i // 84}" for i in range(600)], "p": said(600), "r": [i % 3 for i in range(600)]}
    found = {
        p.code: p
        for p in mtl.check(
            pa.table(table), "search", {"query": "q", "product": "p", "label": "r"}, split={"by": "group", "column": "q"}
        ).found
    }
    assert "lists: an average over them" in str(found["small_test"].why) and "points" not in str(found["small_test"].why)


def test_an_average_error_is_no_share_and_only_the_column_with_gaps_lacks_numbers() -> None:
    r = Random(1)
    table = {"text": said(300), "stars": [r.uniform(1, 5) for _ in range(300)]}
    found = {p.code: p for p in mtl.check(pa.table(table), "regression", {"text": "text", "label": "stars"}).found}
    assert "share" not in str(found["small_test"].why) and "30 rows" in str(found["small_test"].why)
    clicks = {"price": [None, *range(299)], "slot": [i % 7 for i in range(300)], "click": [i % 2 for i in range(300)]}
    (gap,) = (
        p
        for p in mtl.check(pa.table(clicks), "click_through", {"numbers": ["price", "slot"], "label": "click"}).found
        if p.code == "numbers_missing"
    )
    assert (gap.column, gap.count, gap.severity) == ("price", 1, "info")


def test_few_rows_of_the_rarer_label() -> None:
    table = {"text": said(3000), "label": [int(i % 100 == 0) for i in range(3000)]}
    assert "few_positives_validation" in codes(table, "classification", split={"by": "stratified", "column": "label"})
    table["label"] = [i % 2 for i in range(3000)]
    assert not {c for c in codes(table, "classification") if c.startswith("few")}


LISTS = [("alone", "mixed", "lists_of_one_validation"), ("shared", "equal", "one_grade_validation"), ("shared", "mixed", "")]


@pytest.mark.parametrize(("query", "grade", "code"), LISTS)
def test_lists_in_which_there_is_nothing_to_rank(query: str, grade: str, code: str) -> None:
    n = 2000
    queries = [f"red lamp {i if query == 'alone' else i // 5}" for i in range(n)]
    grades = [(i // 5) % 2 if grade == "equal" else i % 5 % 3 for i in range(n)]
    table = {"query": queries, "product": said(n), "label": grades}
    found = codes(table, "search", split={"by": "group", "column": "query"})
    assert {c for c in found if c.startswith(("lists_of_one", "one_grade"))} == (
        {code, code.replace("validation", "test")} if code else set()
    )


def test_a_baseline_that_is_right_already() -> None:
    labels = [R.choice(["exchange", "delivery"]) for _ in range(800)]
    table = {"text": [f"{t} {label} please" for t, label in zip(said(800), labels, strict=True)], "label": labels}
    assert {"saturated", "leak_needed"} <= codes(table, "classification")
    table["label"] = [R.choice(["exchange", "delivery"]) for _ in range(800)]
    assert not {"saturated", "leak", "leak_needed"} & codes(table, "classification")


def test_a_leak_names_the_column_to_leave_out_and_is_never_suggested() -> None:
    bought = np.random.default_rng(0).random(800) < 0.4
    table = pa.table(
        {
            "device": R.choices(["phone", "desktop"], k=800),
            "age": R.choices(range(18, 80), k=800),
            "amount_paid": [R.random() * 50 + 5 if b else 0.0 for b in bought],
            "voucher": [R.random() * 5 if b and i % 3 == 0 else 0.0 for i, b in enumerate(bought)],  # of a third of those who bought
            "bought": bought.astype(int),
        }
    )
    first = mtl.suggest(table)[0]
    assert first.kind == "click_through" and first.columns == {"categories": ["device"], "numbers": ["age"], "label": ["bought"]}
    result = mtl.check(table, "click_through", {"categories": "device", "numbers": ["age", "amount_paid", "voucher"], "label": "bought"})
    assert sorted(c for p in result.found for c in p.leave_out) == ["amount_paid", "voucher"]


def test_of_two_inputs_that_give_the_label_away_together_either_may_be_left_out() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.random(800) < 0.5, draw.random(800) < 0.5
    table = pa.table({"gift": np.where(a, "yes", "no"), "member": np.where(b, "yes", "no"), "bought": (a ^ b).astype(int)})
    found = mtl.check(table, "click_through", {"categories": ["gift", "member"], "label": "bought"}).found
    (pair,) = (p for p in found if p.code == "leak_pair")
    assert pair.leave_out == ("gift", "member") and Problem.from_json(json.loads(json.dumps(pair.to_json()))) == pair


def test_the_only_column_of_a_required_field_is_not_to_be_left_out() -> None:
    r = Random(3)
    same = [i % 2 for i in range(600)]
    second = [
        f"{'copy' if r.random() < (0.9 if s else 0.1) else 'other'} lamp" for s in same
    ]  # few distinct texts that tell much, but not all
    table = pa.table({"title_a": said(600), "title_b": second, "same": same})
    columns = {"first": "title_a", "second": "title_b", "label": "same"}
    (leak,) = (p for p in mtl.check(table, "matching", columns).found if p.code.startswith("leak_needed"))
    assert (leak.column, leak.severity, leak.leave_out) == ("title_b", "info", ())
    several = mtl.check(table, "classification", {"text": ["title_a", "title_b"], "label": "same"}).found
    assert [p.leave_out for p in several if p.code == "leak"] == [("title_b",)]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real tables of ../shared/data are not here")
def test_chinese_texts_with_an_english_encoder() -> None:
    found = [p for p in mtl.check(SHARED / "asap_reviews_zh" / "reviews.parquet").found if p.code == "tokenizer"]
    assert len(found) == 1 and "64%" in str(found[0].why) and "bge-small-zh" in str(found[0].remedy)


def test_a_language_without_a_table_at_hand_and_english() -> None:
    labels = {"label": ["a", "b"] * 100}
    assert "tokenizer" in codes({"text": [f"这件衣服的质量非常不错，下次还会再买 {i}" for i in range(200)], **labels}, "classification")
    assert "tokenizer" in codes({"text": [f"Где моя посылка, заказ номер {i}" for i in range(200)], **labels}, "classification")
    assert "tokenizer" not in codes({"text": said(200), **labels}, "classification")


def test_inputs_that_determine_each_other_are_named_and_rare_values_are_not() -> None:
    n = 1000
    city = R.choices(["Berlin", "Wien", "Graz"], k=n)
    table = {
        "city": city,
        "code": [{"Berlin": "B", "Wien": "W", "Graz": "G"}[c] for c in city],
        "land": ["DE" if c == "Berlin" else "AT" for c in city],  # is told by the city, and does not tell it
        "rare": [int(i % 300 == 0) for i in range(n)],
        "seldom": [int(i % 300 == 7) for i in range(n)],  # agrees with it in 99 of 100 rows, and says nothing of it
        "visit": [str(i) for i in range(n)],
        "ticket": [f"t{i}" for i in range(n)],
        "label": R.choices([0, 1], k=n),
    }
    columns = {"categories": [c for c in table if c != "label"], "label": "label"}
    found = [p for p in mtl.check(pa.table(table), "click_through", columns).found if p.code == "pair"]
    assert [(p.column, p.why.values["one"], p.why.values["figure"]) for p in found] == [("code", "city", "1.000")]
    assert all(str(p.severity) == "info" for p in found)
