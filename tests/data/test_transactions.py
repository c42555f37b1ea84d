from collections import Counter, defaultdict

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_core.data.problems import has_errors
from mtl_core.data.split import SplitConfig
from mtl_core.data.transactions import TransactionConfig, looks_like_log, suggest_roles, to_recommendations

OPTIONS = TransactionConfig(negatives=2)


def log(*events: tuple, **more: list) -> pa.Table:
    """events: (user, item, time); an item's text is its name in capitals."""
    user, item, time = zip(*events, strict=True)
    text = [None if i is None else i.upper() for i in item]
    columns = {
        "user": pa.array(user, pa.string()),
        "item": pa.array(item, pa.string()),
        "text": pa.array(text, pa.string()),
        "time": list(time),
    }
    return pa.table({**columns, **more, "_line": list(range(2, len(events) + 2))})


def positives(table: pa.Table) -> list[tuple]:
    return [(r["user"], r["history"], r["item"], r["_line"]) for r in table.to_pylist() if r["label"] == 1]


def made(table: pa.Table, options: TransactionConfig) -> tuple[pa.Table, list]:
    """All of it for training."""
    rows, parts, problems = to_recommendations(table, options, SplitConfig(validation=0, test=0))
    assert (parts == "train").all()
    return rows, problems


CATALOGUE = [("z", f"i{n}", 100 + n) for n in range(20)]  # a user who takes other items, so that there are negatives


def test_by_hand() -> None:
    table, problems = made(log(("u", "c", 3), ("u", "a", 1), ("u", "b", 2), *CATALOGUE), OPTIONS)
    assert problems == []
    assert positives(table)[:2] == [("u", ["A"], "B", 4), ("u", ["A", "B"], "C", 2)]
    rows = table.to_pylist()[:3]
    assert [r["label"] for r in rows] == [1, 0, 0]
    assert {(r["user"], tuple(r["history"]), r["time"], r["_line"], r["list"]) for r in rows} == {("u", ("A",), 2.0, 4, 0)}
    assert all(r["item"].startswith("I") and r["item"] == r["item_id"].upper() for r in rows[1:])
    assert table.schema.field("history").type == pa.list_(pa.dictionary(pa.int32(), pa.string()))


def test_a_history_holds_nothing_of_the_same_moment_or_later() -> None:
    table, _ = made(log(("u", "a", 1), ("u", "b", 2), ("u", "c", 2), ("u", "d", 3), *CATALOGUE), OPTIONS)
    assert positives(table)[:3] == [("u", ["A"], "B", 3), ("u", ["A"], "C", 4), ("u", ["A", "B", "C"], "D", 5)]


def test_histories_keep_the_latest() -> None:
    events = [("u", f"a{n}", n) for n in range(6)]
    table, _ = made(log(*events, *CATALOGUE), OPTIONS.model_copy(update={"history": 2, "minimum_history": 2}))
    assert positives(table)[0][1] == ["A0", "A1"]
    assert positives(table)[3][1] == ["A3", "A4"]


def test_repeats_count_only_on_wish() -> None:
    events = [("u", "a", 1), ("u", "b", 2), ("u", "a", 3), *CATALOGUE]
    assert [p[:3] for p in positives(made(log(*events), OPTIONS)[0]) if p[0] == "u"] == [("u", ["A"], "B")]
    again, _ = made(log(*events), OPTIONS.model_copy(update={"repeats": True}))
    assert [p[:3] for p in positives(again) if p[0] == "u"] == [("u", ["A"], "B"), ("u", ["A", "B"], "A")]


def test_what_is_dropped_is_reported_with_its_first_line() -> None:
    events = [
        (None, "a", 1),
        ("u", None, 1),
        ("u", "a", None),
        ("u", "POST", 2),
        ("u", "b", 3),
        ("u", "c", 4),
        ("u", "i1", 5),
        ("u", "i2", 6),
        *CATALOGUE,
    ]
    n = len(CATALOGUE)
    table, problems = made(
        log(*events, quantity=["1"] * 4 + ["-3", "x", "1", "1"] + ["1"] * n, rating=[5.0] * 6 + [1.0, 5.0] + [5.0] * n),
        OPTIONS.model_copy(update={"quantity": "quantity", "rating": "rating", "item_pattern": "^[a-z]", "minimum_history": 0}),
    )
    assert [(p.code, p.line, p.count, p.column) for p in problems if p.code != "few_negatives"] == [
        ("no_user", 2, 1, "user"),
        ("no_item", 3, 1, "item"),
        ("item_pattern", 5, 1, "item"),
        ("no_time", 4, 1, "time"),
        ("no_quantity", 6, 2, "quantity"),
        ("low_rating", 8, 1, "rating"),
    ]
    assert [p for p in positives(table) if p[0] == "u"] == [("u", [], "I2", 9)]


def test_the_most_frequent_text_of_an_item_is_used() -> None:
    events = log(("u", "a", 1), ("u", "b", 2), ("v", "b", 1), ("w", "b", 1), *CATALOGUE)
    texts = ["A", "old b", "new b", "new b", *events.column("text").to_pylist()[4:]]
    table, _ = made(events.set_column(2, "text", pa.array(texts)), OPTIONS)
    assert positives(table)[0][2] == "new b"


def test_items_without_any_text_are_dropped() -> None:
    events = log(("u", "a", 1), ("u", "b", 2), ("u", "c", 3), *CATALOGUE)
    texts = ["A", None, "C", *events.column("text").to_pylist()[3:]]
    table, problems = made(events.set_column(2, "text", pa.array(texts)), OPTIONS)
    assert problems[0].code == "no_item_text"
    assert positives(table)[0] == ("u", ["A"], "C", 4)


def test_negatives_are_never_taken_by_the_user_and_never_twice() -> None:
    events = [(f"u{u}", f"i{(u * 7 + n * 3) % 40}", n) for u in range(30) for n in range(10)]
    table, _ = made(log(*events), OPTIONS.model_copy(update={"negatives": 5}))
    taken = defaultdict(set)
    for user, item, _ in events:
        taken[user].add(item.upper())
    by_list = defaultdict(list)
    for row in table.to_pylist():
        by_list[row["list"]].append(row)
    for rows in by_list.values():
        items = [r["item"] for r in rows]
        assert [r["label"] for r in rows] == [1, 0, 0, 0, 0, 0]
        assert len(set(items)) == 6
        assert not set(items[1:]) & taken[rows[0]["user"]]


def test_items_of_equal_text_are_no_negatives_of_each_other() -> None:
    events = log(("u", "a1", 1), ("u", "b", 2), ("v", "a2", 1), ("v", "c", 2))
    texts = pa.array(["same", "B", "same", "C"])
    table, problems = made(events.set_column(2, "text", texts), OPTIONS)
    assert [(r["item"], r["label"]) for r in table.to_pylist() if r["user"] == "u"] == [("B", 1), ("C", 0)]
    assert [(p.code, p.count) for p in problems] == [("few_negatives", 2)]


@pytest.mark.parametrize("sampling", ["uniform", "popularity"])
def test_negatives_follow_their_distribution(sampling: str) -> None:
    popular = [(f"p{n}", "hit", n) for n in range(30)] + [(f"q{n}", f"rare{n}", n) for n in range(10)]
    users = [(f"u{u}", f"own{i}", i) for u in range(200) for i in range(2)]
    options = OPTIONS.model_copy(update={"negatives": 1, "negative_sampling": sampling})
    drawn = Counter(r["item"] for r in made(log(*popular, *users), options)[0].to_pylist() if r["label"] == 0)
    share = drawn["HIT"] / sum(drawn.values())
    assert share == pytest.approx(30 / 40 if sampling == "popularity" else 1 / 11, abs=0.1)


def test_few_rows_of_each_user_and_the_same_with_the_same_seed() -> None:
    events = [(f"u{u}", f"i{n}", n) for u in range(5) for n in range(40)] + [("v", f"j{n}", n) for n in range(10)]
    options = OPTIONS.model_copy(update={"positives_per_user": 7})
    table, _ = made(log(*events), options)
    assert set(Counter(p[0] for p in positives(table)).values()) == {7}
    assert made(log(*events), options)[0].equals(table)
    assert not made(log(*events), options.model_copy(update={"seed": 1}))[0].equals(table)


EVENTS = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from([f"i{n}" for n in range(12)]), st.integers(0, 8)), min_size=1, max_size=60
)


@given(EVENTS, st.booleans(), st.integers(1, 4))
def test_no_future_item_in_any_history(events: list[tuple], repeats: bool, length: int) -> None:
    table, problems = made(log(*events), OPTIONS.model_copy(update={"repeats": repeats, "history": length}))
    if has_errors(problems):
        assert table.num_rows == 0
    for row in table.to_pylist():
        earlier = {i.upper() for u, i, t in events if u == row["user"] and t < row["time"]}
        assert 1 <= len(row["history"]) <= length
        assert set(row["history"]) <= earlier
        if row["label"]:
            assert (row["user"], row["item"].lower(), row["time"]) in events
            assert repeats or row["item"] not in row["history"]


def test_missing_columns_are_reported_together() -> None:
    table, problems = made(log(("u", "a", 1)), TransactionConfig(user="User", item="sku", rating="stars"))
    assert table.num_rows == 0
    assert [(p.code, p.column, p.severity) for p in problems] == [("missing_column", c, "error") for c in ("User", "sku", "stars")]
    assert "“user”" in str(problems[0].remedy)


def test_nothing_to_learn_from_is_an_error() -> None:
    assert {p.code for p in made(log(("u", "a", 1), ("v", "b", 1)), OPTIONS)[1]} == {"no_histories"}
    assert "no_transactions" in {p.code for p in made(log((None, "a", 1)), OPTIONS)[1]}
    assert {p.code for p in made(log(("u", "a", 1)), TransactionConfig(item_pattern="["))[1]} == {"bad_pattern"}


@pytest.mark.parametrize(("by", "column"), [("time", "time"), ("group", "user"), ("random", None)])
def test_evaluation_has_its_own_number_of_negatives(by: str, column: str | None) -> None:
    events = [(f"u{u}", f"i{(u * 7 + n * 3) % 40}", n) for u in range(30) for n in range(10)]
    options = OPTIONS.model_copy(update={"evaluation_negatives": 9})
    table, parts, problems = to_recommendations(log(*events), options, SplitConfig(by=by, column=column, validation=0.2, test=0.2))
    assert problems == []
    lists = table.column("list").to_numpy()
    assert set(parts) == {"train", "validation", "test"}
    for number in set(lists):
        inside = set(parts[lists == number])
        assert len(inside) == 1, "a positive and its negatives stay together"
        assert (lists == number).sum() == (3 if inside == {"train"} else 10)


def test_what_the_split_leaves_out_makes_no_rows() -> None:
    events = [("u", "a", 1), ("u", "b", 2), ("v", "c", 1), ("v", "d", 2), *CATALOGUE]
    split = SplitConfig(by="column", column="user", values={"u": "train"})
    table, parts, problems = to_recommendations(log(*events), OPTIONS, split)
    assert set(table.column("user").to_pylist()) == {"u"} and (parts == "train").sum() == 3
    assert [p.code for p in problems][:1] == ["split_left_out"]


def test_columns_of_a_log_are_known_by_their_names() -> None:
    names = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]
    wanted = {"user": "CustomerID", "item": "StockCode", "text": "Description", "time": "InvoiceDate", "quantity": "Quantity"}
    assert suggest_roles(names) == wanted
    assert looks_like_log(names)
    assert not looks_like_log(["user", "product", "date"]), "one column is not two things"
