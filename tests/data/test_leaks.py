"""What gives a label away is found and what only helps is not; figures by hand and on the real tables."""

from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from mtl_core.data.leaks import _auc, find_leaks
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
    ("clinc150/clinc150_full.parquet", "intent"): [],
    ("bitext_customer_service/train.csv", "intent"): [],
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
