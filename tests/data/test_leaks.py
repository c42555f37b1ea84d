"""What gives a label away is found and what only helps is not; figures by hand and on the real tables."""

from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from mtl_core.data.leaks import _auc, find_leaks, find_pair_leaks
from mtl_core.data.read import read_table

SHARED = Path(__file__).parents[3] / "shared" / "data"
N = 1000
RNG = np.random.default_rng(0)
BOUGHT = RNG.random(N) < 0.3
WORDS = "the a parcel shirt late nice broke small red blue again refund size colour".split()  # noqa: SIM905


def sentence(r: Random) -> str:
    return " ".join(r.choices(WORDS, k=8)) + f" {r.randint(0, 10**6)}"


def names(found: list) -> list[str]:
    return [leak.column for leak in found]


def test_what_is_only_known_afterwards_is_found_and_what_helps_is_not() -> None:
    amount = [round(float(x), 2) if yes else None for yes, x in zip(BOUGHT, RNG.random(N) * 90 + 5, strict=True)]
    reason = [None if yes else ["late", "broken", "wrong size"][i % 3] for i, yes in enumerate(BOUGHT)]
    helps = np.where(RNG.random(N) < 0.7, BOUGHT, RNG.random(N) < 0.5)
    table = pa.table(
        {
            "amount_paid": amount,
            "reason": reason,
            "helps": helps.astype(int),
            "price": RNG.random(N),
            "row_in_sorted_file": np.argsort(np.argsort(BOUGHT, kind="stable"), kind="stable"),
            "words": [sentence(Random(i)) for i in range(N)],
            "bought": BOUGHT.astype(int),
        }
    )
    found = find_leaks(table, "bought", table.column_names)
    assert set(names(found)) == {"amount_paid", "reason", "row_in_sorted_file"}
    assert all(leak.certain and leak.figure >= 0.98 and leak.measure == "AUC" for leak in found)


def test_classes_in_other_words_and_quantities_in_other_units() -> None:
    kind = RNG.integers(0, 5, N)
    price = RNG.random(N) * 100
    table = pa.table(
        {"code": [f"K{k}" for k in kind], "kind": kind, "price": price, "cents": np.round(price * 100).astype(int), "noise": RNG.random(N)}
    )
    (leak,) = find_leaks(table, "kind", ["code", "noise", "price"])
    assert (leak.column, leak.measure, leak.figure) == ("code", "accuracy", 1.0)
    (leak,) = find_leaks(table, "price", ["cents", "noise", "code"])
    assert (leak.column, leak.measure) == ("cents", "R²") and leak.figure > 0.98


def test_what_says_nothing_of_most_rows_and_one_class_of_the_others() -> None:
    r = Random(1)
    paid = [round(r.random() * 40 + 5, 2) if yes and r.random() < 0.4 else 0.0 for yes in BOUGHT]
    often = [3 if yes and r.random() < 0.4 else r.choice([0, 0, 3]) for yes in BOUGHT]
    table = pa.table(
        {
            "paid": paid,
            "paid_text": [f"{p} EUR" if p else "" for p in paid],
            "means": ["card" if p else "none" for p in paid],
            "code": [1 if p else 2 for p in paid],  # of two numbers neither is 0
            "shown": [None if yes and r.random() < 0.4 else r.randint(1, 9) for yes in BOUGHT],
            "often": often,
            "rarely": [1 if i % 97 == 0 and yes else 0 for i, yes in enumerate(BOUGHT)],  # too few rows to tell
            "bought": BOUGHT.astype(int),
        }
    )
    found = {leak.column: leak for leak in find_leaks(table, "bought", table.column_names)}
    sides = {"paid": "", "paid_text": "", "means": "none", "code": "2"}
    assert found.keys() == {*sides, "shown"} and all(leak.certain and leak.figure == 1.0 for leak in found.values())
    n = sum(p > 0 for p in paid)
    assert {name: found[name].usual for name in sides} == sides and all(found[name].rows == n for name in sides)
    assert found["shown"].how == "lacking" and "empty or 0" in str(found["paid"].why("bought"))
    assert f"in {n} rows, “bought” is “1” in 100.0% of them, but in {BOUGHT.mean():.0%}" in str(found["paid"].why("bought"))


def test_where_a_class_is_frequent_that_it_fills_a_corner_is_chance() -> None:
    seldom = RNG.random(N) < 0.03
    table = pa.table({"bot": (~seldom & (RNG.random(N) < 0.1)).astype(int), "click": seldom.astype(int)})
    assert find_leaks(table, "click", ["bot"]) == []


def test_one_class_of_several_that_a_column_decides() -> None:
    kind = RNG.integers(0, 4, N)
    code = np.where(kind == 2, "isbn", [f"x{i}" for i in RNG.integers(0, 6, N)])
    table = pa.table({"code": code, "noise": RNG.integers(0, 6, N), "kind": [["lamp", "sofa", "book", "pan"][k] for k in kind]})
    (leak,) = find_leaks(table, "kind", ["code", "noise"])
    assert (leak.column, leak.how, leak.word, leak.figure, leak.certain) == ("code", "class", "book", 1.0, True)
    assert "“book” from all others with F1 1.000" in str(leak.why("kind"))


@pytest.mark.parametrize("how", ["name", "word"])
def test_a_text_that_names_its_class(how: str) -> None:
    r, kinds = Random(3), ["delivery", "refund", "size"]
    label = [r.randrange(3) for _ in range(N)]
    said = [f"[{kinds[k]}] " if how == "name" else f"queue-{k} " for k in label]
    texts = [s + sentence(r) for s in said]
    table = pa.table({"text": texts, "label": [kinds[k] for k in label], "honest": [sentence(r) for _ in range(N)]})
    (leak,) = find_leaks(table, "label", ["text", "honest"])
    assert (leak.column, leak.how, leak.certain) == ("text", how, True)
    assert "{" not in leak.why("label").text()


def test_few_rows_single_values_and_free_text_as_label_raise_nothing() -> None:
    assert find_leaks(pa.table({"a": [1, 2], "b": [0, 1]}), "b", ["a"]) == []
    assert find_leaks(pa.table({"a": range(300), "b": [1] * 300}), "b", ["a"]) == []
    assert find_leaks(pa.table({"a": range(300), "b": [sentence(Random(i)) for i in range(300)]}), "b", ["a"]) == []
    assert find_leaks(pa.table({"a": [None] * 300, "b": [0, 1] * 150}), "b", ["a"]) == []


def test_the_area_under_the_curve_is_that_of_scikit_learn() -> None:
    scores = RNG.integers(0, 7, N) / 7
    assert _auc(scores, BOUGHT) == pytest.approx(roc_auc_score(BOUGHT, scores))


REAL = {
    ("online_shoppers_intention/online_shoppers_intention.csv", "Revenue"): ["PageValues"],
    ("clinc150/clinc150_full.parquet", "intent"): ["split", "domain"],  # a split and a domain for what is out of scope
    ("bitext_customer_service/train.csv", "intent"): ["category"],  # the only intents of their category
    ("bitext_customer_service/train.csv", "category"): ["intent"],
    ("oa_mine_attributes/train.parquet", "category"): [],
    ("epqa_dev/dev.parquet", "label"): [],
    ("semipqa/attribute_ranking_dev.parquet", "label"): [],
    ("womens_clothing_reviews/reviews.parquet", "Recommended IND"): ["Rating"],
    ("womens_clothing_reviews/reviews.parquet", "Department Name"): ["Class Name", "Clothing ID"],
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real tables of ../shared/data are not here")
@pytest.mark.parametrize(("file", "label"), REAL)
def test_alarms_on_real_tables(file: str, label: str) -> None:
    table = read_table(SHARED / file).table
    inputs = [c for c in table.column_names if c != label and not c.startswith("_")]
    assert names(find_leaks(table, label, inputs)) == REAL[file, label]


def test_two_columns_that_give_the_label_away_together_and_not_alone() -> None:
    """label = a XOR b; more was paid than it cost; paid = total less shipping; amount = price times quantity. And what only helps, or
    is told by one of them alone, is no pair."""
    rng = np.random.default_rng(5)
    a, b, c = (rng.integers(0, 2, N) for _ in range(3))
    paid, cost = rng.random(N) * 90, rng.random(N) * 90
    table = pa.table({"a": a, "b": b, "c": c, "xor": a ^ b, "paid": paid, "cost": cost, "kept": (paid > cost).astype(int)})
    (pair,) = find_pair_leaks(table, "xor", ["a", "b", "c", "paid"])
    assert set(pair.columns) == {"a", "b"} and pair.figure == 1.0 and pair.alone < 0.6 and pair.measure == "AUC"
    (pair,) = find_pair_leaks(table, "kept", ["a", "paid", "cost", "c"])
    assert set(pair.columns) == {"paid", "cost"} and pair.figure > 0.98
    total, shipping, price, quantity = rng.random(N) * 100 + 5, rng.random(N) * 80, rng.random(N) * 9 + 1, rng.integers(1, 30, N)
    table = pa.table(
        {"total": total, "shipping": shipping, "net": total - shipping, "price": price, "quantity": quantity, "amount": price * quantity}
    )
    inputs = ["total", "shipping", "price", "quantity"]
    assert [set(p.columns) for p in find_pair_leaks(table, "net", inputs)] == [{"total", "shipping"}]
    assert [set(p.columns) for p in find_pair_leaks(table, "amount", inputs)] == [{"price", "quantity"}]
    noisy = np.where(rng.random(N) < 0.9, a ^ b, rng.integers(0, 2, N))
    assert find_pair_leaks(pa.table({"a": a, "b": b, "label": noisy}), "label", ["a", "b"]) == []
    assert find_pair_leaks(pa.table({"a": a, "b": b, "label": a}), "label", ["a", "b"]) == [], "one alone is another warning"
    thing = [f"u{i}" for i in range(N)]
    assert find_pair_leaks(pa.table({"a": thing, "b": b, "label": a}), "label", ["a", "b"]) == [], "a name of the row"
