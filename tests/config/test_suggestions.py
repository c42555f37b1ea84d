"""What is suggested for tables as people have them: the right kind first, and in its columns what a person would have chosen."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from mtl_core import check
from mtl_core.config.suggestions import Suggestion, nested, suggestions
from mtl_core.data.read import read_table
from tests.config.later_shapes import LATER
from tests.config.rival_shapes import RIVALS
from tests.config.shapes import SHAPES

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"

SHOP = {
    "ads.csv": ("click_through", {"label": "click", "text": "ad_text"}, "stratified"),
    "ads_conversions.csv": ("click_through", {"label": "click", "conversion": "conversion"}, "stratified"),
    "catalogue.csv": ("classification", {"text": "title", "label": "category"}, "stratified"),
    "descriptions.csv": ("generation", {"source": "facts", "label": "description"}, "random"),
    "dialogues.csv": ("response_selection", {"dialogue": "dialogue", "reply": "reply"}, "column"),
    "messages.csv": ("classification", {"text": "message", "label": "intent"}, "column"),
    "offers.csv": ("matching", {"first": "offer_a", "second": "offer_b", "label": "same"}, "group"),
    "products.csv": ("classification", {"text": ["title", "description"], "label": "category"}, "stratified"),
    "questions.csv": ("question_answering", {"question": "question", "passage": "passage", "answer": "answer"}, "column"),
    "reviews.csv": ("multilabel", {"label": "themes"}, "column"),
    "searches.csv": ("search", {"query": "query", "product": "title", "label": "relevance"}, "group"),
    "shop_texts.csv": ("masked_language_modelling", {"text": "text"}, "random"),
    "titles.csv": ("extraction", {"text": "title", "label": "attributes"}, "random"),
    "transactions.csv": ("recommendation", {}, "time"),
}
REAL = {
    "asap_reviews_zh/reviews.parquet": ("regression", {"text": "reviewbody", "label": "star"}, "column"),
    "bitext_customer_service/train.csv": ("classification", {"text": "utterance", "label": "intent", "parent": "category"}, "stratified"),
    "clinc150/clinc150_full.parquet": ("classification", {"text": "text", "label": "intent", "parent": "domain"}, "column"),
    "epqa_dev/dev.parquet": ("search", {"query": "question", "product": "candidate", "label": "label", "group": "qid"}, "group"),
    "oa_mine_attributes/train.parquet": ("extraction", {"text": "input", "label": "target_scores"}, "random"),
    "online_retail_uk/online_retail.parquet": ("recommendation", {}, "time"),
    "online_shoppers_intention/online_shoppers_intention.csv": ("click_through", {"label": "Revenue"}, "stratified"),
    "pricerunner/pricerunner_aggregate.parquet": ("classification", {"text": "product_title", "label": "category_label"}, "stratified"),
    "product_matching_amazon_google/train.parquet": ("matching", {"label": "label"}, "group"),
    "semipqa/attribute_ranking_dev.parquet": ("search", {"query": "question", "product": "candidate", "label": "label"}, "group"),
    "semipqa/data_to_text_train.parquet": ("generation", {"source": "data", "label": "text"}, "random"),
    "womens_clothing_reviews/reviews.parquet": ("regression", {"text": ["Title", "Review Text"], "label": "Rating"}, "random"),
}


def first(table: pa.Table) -> Suggestion:
    found = suggestions(table)
    assert found, "nothing is suggested"
    assert found[0].why.text() and [s.score for s in found] == sorted((s.score for s in found), reverse=True)
    return found[0]


def is_right(found: Suggestion, kind: str, columns: dict[str, str | list[str]], by: str) -> None:
    assert found.kind == kind
    given = found.to_json()["columns"]
    assert {field: given.get(field) for field in columns} == columns
    assert found.split.by == by


@pytest.mark.parametrize("name", SHOP)
def test_the_tables_of_the_sample_shop(name: str) -> None:
    is_right(first(read_table(ROOT / "data" / name).table), *SHOP[name])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real tables of ../shared/data are not here")
@pytest.mark.parametrize("name", REAL)
def test_real_tables(name: str) -> None:
    is_right(first(read_table(SHARED / name).table), *REAL[name])


@pytest.mark.parametrize("name", [*SHAPES, *LATER, *RIVALS])
def test_shapes_of_public_tables(name: str) -> None:
    columns, kind, fields, by = (SHAPES | LATER | RIVALS)[name]
    found = first(pa.table(columns))
    assert found.kind in ((kind,) if isinstance(kind, str) else kind)
    given = found.to_json()["columns"]
    assert {field: given.get(field) for field in fields} == fields
    assert found.split.by in ((by,) if isinstance(by, str) else by)
    inputs = {c for field, names in found.columns.items() for c in names if field not in ("label", "group", "user", "list")}
    ids = "id Id qid review_id filename link customerID user_id user CustomerID train_id productid imageid pair_id example_id".split()  # noqa: SIM905
    for s in suggestions(pa.table(columns), most=50):
        assert not {*s.columns.get("label", ())} & {c for f, names in s.columns.items() if f != "label" for c in names}, "its own input"
    assert not inputs & {*ids}, "what only names a row is no input"


def test_few_products_and_queries_are_no_classes() -> None:
    """That a text comes again does not make it a class, where it is called like a text."""
    r = Random(1)
    for n_queries, n_products in ((12, 40), (40, 30), (200, 50)):
        queries = [f"{r.choice(['red', 'blue'])} thing{i}" for i in range(n_queries)]
        products = [f"{r.choice(['steel', 'wool'])} thing{i}" for i in range(n_products)]
        rows = [(r.choice(queries), r.choice(products), r.randrange(4), r.randint(1, 5000)) for _ in range(600)]
        table = pa.table(dict(zip(("query", "product_title", "grade", "n_impressions"), map(list, zip(*rows, strict=True)), strict=True)))
        found = first(table)
        assert (found.kind, found.columns["product"], found.columns["label"]) == ("search", ["product_title"], ["grade"])
    canned = [f"Please try {w} and tell us whether it helped." for w in ("this", "that", "again", "later")]
    talks = pa.table({"question": [f"Why is my lamp {i} dark again?" for i in range(400)], "answer": [canned[i % 4] for i in range(400)]})
    assert "response_selection" in {s.kind for s in suggestions(talks)}


@pytest.mark.parametrize("name", ["slot", "position", "rank_shown", "shown_at_position"])
def test_where_it_was_shown_is_a_position_and_no_number(name: str) -> None:
    r, n = Random(10), 400
    table = {"device": [r.choice("abc") for _ in range(n)], "price": [r.uniform(4, 90) for _ in range(n)]}
    table |= {name: [r.randint(1, 6) for _ in range(n)], "clicked": [r.randrange(2) for _ in range(n)]}
    found = first(pa.table(table))
    assert (found.kind, found.columns["position"], found.columns["numbers"]) == ("click_through", [name], ["price"])
    table[name][0] = 0  # not counted from 1: a number as others
    assert first(pa.table(table)).columns["numbers"] == ["price", name]


@pytest.mark.parametrize("name", ["helpful_votes", "rank_shown", "num_reviews", "view_count"])
def test_counts_are_no_classes(name: str) -> None:
    r, n = Random(11), 400
    table = {"review": [f"thing {i} fits well and came late again" for i in range(n)], "stars": [r.randint(1, 5) for _ in range(n)]}
    found = suggestions(pa.table(table | {name: [r.randrange(13) for _ in range(n)]}), most=50)
    assert [name] not in [s.columns.get("label") for s in found] and found[0].columns["label"] == ["stars"]


@pytest.mark.parametrize("name", ["review", "comment", "customer_message", "note"])
def test_a_review_is_no_query_and_no_search_finds_one(name: str) -> None:
    """Neither way round, also where texts come again; but a column called a query is one, and relevance is of a search."""
    columns = dict(RIVALS["reviews with a derived score"][0])
    said = {name: columns.pop("review")}
    grades = {"stars": columns["stars"], "sentiment_score": columns["sentiment_score"]}
    shapes = [said | columns] + ([{"product": columns["product"]} | said | grades] if name != "note" else [])
    for table in shapes:
        assert "search" not in {s.kind for s in suggestions(pa.table(table), most=50)}
    for asked in ({"query": columns["product"], "title": said[name], **grades}, {**said, **columns, "relevance": columns["stars"]}):
        assert "search" in {s.kind for s in suggestions(pa.table(asked), most=50)}


def test_names_may_begin_with_an_underscore() -> None:
    found = first(pa.table({"_text": [f"parcel {i} is very late" for i in range(300)], "_label": ["a", "b", "c"] * 100}))
    assert (found.kind, found.columns) == ("classification", {"text": ["_text"], "label": ["_label"]})


def lists(n: int, item: Callable[[Random], str], most: int) -> list[list[str]]:
    return [[item(r) for _ in range(r.randint(1, most))] for r in map(Random, range(n))]


@pytest.mark.parametrize("most", [4, 2])
@pytest.mark.parametrize("codes", [False, True])
def test_the_columns_of_a_recommendation_as_the_readme_has_them(most: int, codes: bool) -> None:
    r, n = Random(9), 400
    item = (lambda r: f"p{r.randrange(90)}") if codes else lambda r: f"{r.choice(['red', 'old', 'blue'])} lamp {r.randrange(30)}"
    rows = {"user": [f"u{i % 40}" for i in range(n)], "history": ["|".join(past) for past in lists(n, item, most)]}
    table = pa.table(rows | {"item": [item(r) for _ in range(n)], "label": [r.randrange(2) for _ in range(n)]})
    found = first(table)
    assert (found.kind, found.columns) == ("recommendation", {name: [name] for name in ("user", "history", "item", "label")})


@pytest.mark.parametrize("form", [json.dumps, list, " | ".join])
@pytest.mark.parametrize("words", ["hi", "hello my lamp is broken since yesterday"])
def test_the_columns_of_a_response_selection_as_the_readme_has_them(form: Callable[[list[str]], Any], words: str) -> None:
    n = 400
    talks = [form([f"{turn} {i}" for i, turn in enumerate(turns)]) for turns in lists(n, lambda r: f"{words} {r.randrange(999)}", 4)]
    rows = {
        "dialogue": talks,
        "reply": [f"we send you a new one on day {i % 200}" for i in range(n)],
        "label": [i * 7 % 3 % 2 for i in range(n)],
    }
    found = first(pa.table(rows))
    assert (found.kind, found.columns) == ("response_selection", {name: [name] for name in rows})


SPLITS = [
    ("split", "0001200", {"0": "train", "1": "validation", "2": "test"}),
    ("data_split", [0, 0, 1], {"0": "train", "1": "test"}),
    ("is_test", [0, 0, 1], {"0": "train", "1": "test"}),
    ("in_train_set", ["yes", "yes", "no"], {"no": "test", "yes": "train"}),
    ("fold", ["tr", "tr", "va", "te"], None),
    ("used_for", ["train", "train", "dev", "test"], None),
]


@pytest.mark.parametrize(("name", "values", "parts"), SPLITS)
def test_a_given_split_is_used_and_never_a_label(name: str, values: Sequence[Any], parts: dict[str, str] | None) -> None:
    r = Random(8)
    n = 420
    rows = {"message": [f"parcel {i} is {r.choice(['late', 'broken'])}" for i in range(n)], "intent": [r.choice("abc") for _ in range(n)]}
    table = pa.table(rows | {name: [values[i * 31 % n % len(values)] for i in range(n)]})
    for s in suggestions(table, most=50):
        assert (s.split.by, s.split.column, s.split.values) == ("column", name, parts) and s.columns.get("label") != [name]
    result = check(table)
    assert result.usable and "split_left_out" not in {p.code for p in result.found}


@pytest.mark.parametrize(("name", "values"), [("fold", "01234"), ("split", "1112223"), ("kfold_fold", [1, 2, 3])])
def test_folds_and_numbers_that_say_no_part_are_no_label_either(name: str, values: Sequence[Any]) -> None:
    table = {"message": [f"parcel {i} is late" for i in range(420)], "intent": [Random(i).choice("abc") for i in range(420)]}
    for s in suggestions(pa.table(table | {name: [values[i % len(values)] for i in range(420)]}), most=50):
        assert s.columns.get("label") != [name] and s.split.column != name


def test_languages_that_are_spelled_like_parts_are_no_split() -> None:
    table = {"message": [f"parcel {i} is late" for i in range(420)], "language": [("tr", "te")[i % 2] for i in range(420)]}
    assert first(pa.table(table)).columns["label"] == ["language"]


def test_only_a_time_that_every_row_has_and_that_does_not_say_the_label_divides() -> None:
    r, n = Random(6), 400
    click = [r.randrange(4) == 0 for _ in range(n)]
    days = [f"2024-0{r.randint(1, 9)}-{r.randint(10, 28)}" for _ in range(n)]
    table = {"message": [r.choice(["free parcel", "half price"]) for _ in range(n)], "hour": [r.randrange(24) for _ in range(n)]}
    table |= {"click": [int(c) for c in click]}
    late = sorted(days)
    times = {
        "clicked_at": [d if c else None for d, c in zip(days, click, strict=True)],  # only of clicked rows
        "seen_on": [d if r.random() < 0.8 else "" for d in days],  # with gaps
        "birthday": days,
        "closed": [late[-1 - i % 50] if c else late[i % 100] for i, c in enumerate(click)],  # says the label
        "valid_until": days,
    }
    for name, values in times.items():
        assert first(pa.table(table | {name: values})).split_text == "by=stratified column=click", name
    assert first(pa.table(table | times | {"shown_on": days})).split_text == "by=time column=shown_on"
    taken = {"user_id": [f"u{i % 20}" for i in range(n)], "item_id": [f"p{i % 31}" for i in range(n)]}
    taken["title"] = [f"red lamp {i % 31}" for i in range(n)]
    assert "recommendation" not in {s.kind for s in suggestions(pa.table(taken | {"birthday": days}))}
    assert first(pa.table(taken | {"birthday": days, "ordered": days})).split_text == "by=time column=ordered"


@pytest.mark.parametrize(
    "names", [("title_shop", "title_supplier", "duplicate"), ("text_a", "text_b", "same"), ("name_ours", "name_theirs", "match")]
)
@pytest.mark.parametrize("words", [("yes", "no"), ("same", "different"), ("match", "no match"), (1, 0)])
def test_two_titles_of_the_same_sort_are_matched(names: tuple[str, str, str], words: tuple) -> None:
    r = Random(4)
    things = [f"{r.choice(['steel', 'wool', 'red'])} lamp number {i}" for i in range(120)]
    rows = [(r.choice(things), r.choice(things), r.choice(words), r.uniform(5, 90), r.uniform(5, 90)) for _ in range(400)]
    columns = dict(zip((*names, "price_shop", "price_supplier"), map(list, zip(*rows, strict=True)), strict=True))
    found = first(pa.table(columns))
    assert found.kind == "matching" and found.columns == {"first": [names[0]], "second": [names[1]], "label": [names[2]]}
    assert found.split.by in ("stratified", "group") and check(pa.table(columns)).usable


def test_a_label_is_no_input_an_id_no_label_and_tables_without_texts_have_one() -> None:
    r, n = Random(2), 400
    said = [f"red thing{i} fits well" for i in range(40)]
    for s in suggestions(pa.table({"message": [said[i % 40] for i in range(n)], "team": [r.choice("ab") for _ in range(n)]})):
        assert not {*s.columns.get("label", [])} & {*s.columns["text"]}
    people = {"height_cm": [r.randint(150, 200) for _ in range(n)], "body": [r.choice(["slim", "big"]) for _ in range(n)]}
    found = first(pa.table({**people, "size": [r.choice("SML") for _ in range(n)]}))
    assert (found.kind, found.columns["label"], found.columns["text"]) == ("classification", ["size"], ["body"])
    viewed = ["|".join(r.sample(said, 3)) for _ in range(n)]
    sessions = {"user_id": [i % 50 for i in range(n)], "viewed": viewed, "item": [r.choice(said) for _ in range(n)]}
    found = first(pa.table({**sessions, "chosen": [r.randrange(2) for _ in range(n)]}))
    assert (found.kind, found.columns["history"]) == ("recommendation", ["viewed"])
    items = {"order_item_id": [i % 2 for i in range(n)], "seller": [f"s{i % 9}" for i in range(n)], "price": [r.random() for _ in range(n)]}
    assert all(s.columns.get("label") != ["order_item_id"] for s in suggestions(pa.table(items)))


def test_a_suggestion_whose_own_check_refuses_is_not_the_first() -> None:
    """Days that no February has divide nothing; and where one class came before all others, training would have it alone."""
    table = {"message": [f"my parcel {i} is {'late' if i % 2 else 'fine'} again" for i in range(80)]}
    table |= {"label": [("fine", "late")[i % 2] for i in range(80)]}
    feb = pa.table(table | {"date": [f"2024-02-{30 + i % 2}" for i in range(80)]})
    assert first(feb).split_text == "by=stratified column=label" and check(feb).usable
    ordered = pa.table(
        {
            "message": table["message"],
            "label": ["fine"] * 64 + ["late"] * 16,
            "date": [f"2024-{i // 28 + 1:02d}-{i % 28 + 1:02d}" for i in range(80)],
        }
    )
    assert first(ordered).split_text == "by=stratified column=label" and check(ordered).usable


def test_a_long_table_that_is_sorted_by_its_label() -> None:
    n = 30_000
    found = first(pa.table({"message": [f"my parcel {i % 997} is {'late' if i < n - 999 else 'fine'} again" for i in range(n)],
                            "label": ["late"] * (n - 999) + ["fine"] * 999}))  # fmt: skip
    assert (found.kind, found.columns["label"]) == ("classification", ["label"])


def test_why_a_nested_table_suits_no_kind(tmp_path: Path) -> None:
    rows = [
        {"order": {"id": i, "to": {"city": "Rome"}}, "items": [{"sku": f"s{i % 5}"}], "meta": {"label": "ab"[i % 2]}} for i in range(80)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = check(tmp_path / "t.jsonl")
    assert not found.usable and [(p.code, str(p.severity)) for p in found.found] == [("nested", "error")]
    assert "“order”, “items”, “meta”" in str(found.found[0].why) and "Flatten" in str(found.found[0].remedy)
    assert nested(read_table(ROOT / "data" / "dialogues.csv").table) == []
