"""Attribute extraction: labels of all spellings, what is lost and said, BIO by hand, seqeval as the oracle, the dictionary, training."""

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from mtl_core.data.problems import Severity
from mtl_core.tasks import KINDS
from mtl_core.tasks.extraction.head import best_tags
from mtl_core.tasks.spans import Span, objects

KIND = KINDS["extraction"]
OPTIONS = KIND.Options(dropout=0.0)
SPEC = {"attributes": ["brand", "colour"]}
SHOE = "Ellie Shoes red shoe"


def table(texts: list[str | None], labels: list[Any]) -> pa.Table:
    return pa.table({
        "text": pa.array(texts, pa.string()),
        "label": pa.array(labels, None if any(isinstance(label, list) for label in labels) else pa.string()),
        "_line": np.arange(len(texts)) + 2,
    })  # fmt: skip


def spans(encoded: pa.Table, spec: Any = SPEC) -> list[list[tuple[int, int, str]]]:
    columns = (encoded[name].to_pylist() for name in ("starts", "ends", "attributes"))
    return [[(s, e, spec["attributes"][a]) for s, e, a in zip(*row, strict=True)] for row in zip(*columns, strict=True)]


@pytest.mark.parametrize(
    "cell",
    [
        '{"brand": "Ellie Shoes", "colour": ["Red"]}',
        '{"brand": {"ellie shoes": 1, "Ellie": 0}, "colour": {"red": 0.5}, "size": null}',
        '[{"start": 12, "end": 15, "attribute": "colour"}, {"start": 0, "end": 12, "attribute": "brand"}]',
        '[{"start": 12, "end": 15, "label": "colour"}, {"brand": "Ellie Shoes"}]',
        '{"brand": "Ellie Shoes"} {"start": 12, "end": 15, "attribute": "colour"}',
        '["{\\"brand\\": \\"Ellie Shoes\\"}", "{\\"colour\\": \\"red\\"}"]',
        " brand: Ellie Shoes; colour : red;",
        "brand：ellie shoes；colour：RED",
    ],
)
def test_one_label_in_many_spellings(cell: str) -> None:
    """Also: spaces at the ends of a span do not count, sizes that are null are none, and values take the text's own case."""
    encoded = KIND.rows.encode(table([SHOE], [cell]), SPEC, OPTIONS)
    assert spans(encoded) == [[(0, 11, "brand"), (12, 15, "colour")]] and encoded["label"].to_pylist() == [2]


def test_json_lines_with_a_list_of_spans_in_each() -> None:
    one = [json.dumps({"start": 0, "end": 11, "attribute": "brand"}), json.dumps({"colour": "red"})]
    assert spans(KIND.rows.encode(table([SHOE, SHOE], [one, []]), SPEC, OPTIONS)) == [[(0, 11, "brand"), (12, 15, "colour")], []]


def test_no_attributes_are_not_a_missing_label() -> None:
    encoded = KIND.rows.encode(table([SHOE] * 4, ["{}", "[]", None, "what?"]), SPEC, OPTIONS)
    assert encoded["label"].to_pylist() == [0, 0, None, None]


def test_the_longest_value_takes_its_place_first_and_each_value_one_place() -> None:
    labels = ['{"colour": ["red", "dark red"]}', '{"colour": "red", "brand": "red"}', '{"colour": "red"}', '{"colour": ["red", "red"]}']
    found = spans(KIND.rows.encode(table(["dark red shoe, red"] * 4, labels), SPEC, OPTIONS))
    assert found[0] == [(0, 8, "colour"), (15, 18, "colour")]
    assert found[1] == [(5, 8, "colour"), (15, 18, "brand")]
    assert found[2] == [(5, 8, "colour")]
    assert found[3] == [(5, 8, "colour"), (15, 18, "colour")]


def test_rows_are_counted_by_attribute() -> None:
    labels = [{"brand": "acme"}, "brand: acme; colour: red", None, "[]"]
    rows = table(["acme red"] * 4, [json.dumps(one) if isinstance(one, dict) else one for one in labels])
    assert KIND.rows.counted(rows, OPTIONS).to_pylist() == [["brand"], ["brand", "colour"], None, []]


def test_rare_attributes_are_left_out() -> None:
    rows = table([SHOE] * 3, ["brand: Ellie Shoes; colour: red", "brand: Ellie", "brand: blue"])
    assert KIND.rows.fit(rows, OPTIONS) == SPEC
    assert KIND.rows.fit(rows, KIND.Options(minimum_count=2)) == {"attributes": ["brand"]}
    assert spans(KIND.rows.encode(rows, {"attributes": ["brand"]}, OPTIONS), {"attributes": ["brand"]})[0] == [(0, 11, "brand")]


# -- what is wrong ------------------------------------------------------------------------------------------------------------


def check(texts: list[str | None], labels: list[Any], split: list[str] | None = None, options: Any = OPTIONS) -> dict[str, Any]:
    found = KIND.rows.check(table(texts, labels), np.array(split or ["train", "validation", "test"]), options)
    assert all(p.why.text() and p.remedy.text() for p in found)
    return {p.code: p for p in found}


def test_nothing_is_wrong() -> None:
    assert check([SHOE] * 3, ["brand: Ellie Shoes"] * 3) == {}


def test_what_is_lost_is_said() -> None:
    texts = [SHOE] * 8
    labels = [
        "brand: Ellie Shoes",
        "brand: Ellie; colour: blue",  # not there
        "colour: shoes red; brand: Ellie Shoes",  # overlap
        '[{"start": 12, "end": 99, "attribute": "colour"}]',
        '[{"start": 15, "end": 16, "attribute": "colour"}]',  # a space
        "colour: ed",  # not a word
        '{"brand": ["Ellie", {}]}',
        None,
    ]
    found = check(texts, labels, ["train"] * 5 + ["validation", "test", "test"])
    assert found.pop("same_text_other_label").count == 6
    assert {c: (p.line, p.count) for c, p in found.items()} == {
        "value_not_in_text": (3, 2),
        "spans_overlap": (4, 1),
        "span_outside_text": (5, 2),
        "label_type": (8, 1),
        "label_missing": (9, 1),
        "no_rows_in_split": (None, 8),
    }
    assert "“colour: blue”" in str(found["value_not_in_text"]) and "“colour: Shoes red”" in str(found["spans_overlap"])
    assert "colour: 12–99" in str(found["span_outside_text"])
    assert found.pop("label_type").severity is Severity.ERROR, "what cannot be read is never left out in silence"
    assert all(p.severity is Severity.WARNING for p in found.values())


@pytest.mark.parametrize(
    "cell",
    ["red", '{"brand": "x"', "[1, 2]", '[{"start": 1, "end": 2}]', '[{"start": "1", "end": 2, "attribute": "a"}]', '{"": "red"}', "colour:",
     '["red"]', '{"a": true}', "[" * 5000],
)  # fmt: skip
def test_cells_that_cannot_be_read(cell: str) -> None:
    found = check([SHOE] * 3, [cell, "brand: Ellie", "brand: Ellie"], ["test", "train", "validation"])
    assert found["label_type"].count == 1 and found["label_type"].line == 2


def test_errors() -> None:
    assert check([SHOE] * 3, ["red"] * 3)["label_type"].severity is Severity.ERROR
    assert check([SHOE] * 3, [None, "brand: red", "{}"])["no_training_rows"].severity is Severity.ERROR
    assert check([SHOE] * 3, ["brand: blue", "{}", "{}"])["nothing_to_learn"].severity is Severity.ERROR
    assert "field_missing" in {p.code for p in KIND.rows.check(pa.table({"text": ["a"]}), np.array(["train"]), OPTIONS)}
    assert check([None, "", " "], ["{}"] * 3)["texts_empty"].severity is Severity.ERROR


def test_attributes_that_training_does_not_know() -> None:
    found = check([SHOE] * 3, ["brand: Ellie", "colour: red", "brand: Ellie; kind: shoe"])["attribute_left_out"]
    assert (found.line, found.count) == (3, 2) and "“colour”" in str(found)
    assert check([SHOE] * 3, ["brand: Ellie; colour: red"] * 3, options=KIND.Options(minimum_count=2))["nothing_to_learn"]


# -- tags ---------------------------------------------------------------------------------------------------------------------


def logits_of(tags: list[list[int]], n: int = 5) -> torch.Tensor:
    """One row a token, of texts between two special tokens; the tag's logit is 3, the others' 0. Specials: the last tag."""
    return 3.0 * torch.nn.functional.one_hot(torch.tensor([t for row in tags for t in [n - 1, *row, n - 1]]), n).float()


def test_tags_by_hand(compiled: Callable[..., Any]) -> None:
    """Tokens are characters: ab = brand, then cd = colour and e = colour beside it, in another row nothing."""
    encoded = KIND.rows.encode(
        table(["ab cde", "xy"], ['[{"start":0,"end":2,"attribute":"brand"},{"start":3,"end":5,"attribute":"colour"},'
                                 '{"start":5,"end":6,"attribute":"colour"}]', "{}"]), SPEC, OPTIONS)  # fmt: skip
    _, batch = compiled(KIND, encoded, OPTIONS)
    right = logits_of([[1, 2, 3, 4, 3], [0, 0]])
    loss = KIND.head.loss(right, batch, SPEC, OPTIONS)
    assert loss.tolist() == pytest.approx([np.log(4 + np.exp(3)) - 3] * 2)  # the special tokens, wrong, do not count
    wrong = KIND.head.loss(logits_of([[1, 1, 3, 4, 4], [0, 0]]), batch, SPEC, OPTIONS)
    assert (wrong - loss).tolist() == pytest.approx([3 * 2 / 5, 0])
    light = KIND.head.loss(right, batch, SPEC, KIND.Options(outside_weight=0.5))
    assert light.tolist() == pytest.approx([float(loss[0]), float(loss[1]) / 2])
    found, true = KIND.head.scores(right, batch, SPEC), KIND.head.truth(batch, SPEC)
    assert [[s.key for s in row] for row in found] == [[s.key for s in row] for row in true] == [
        [(0, 2, "brand"), (3, 5, "colour"), (5, 6, "colour")], []
    ]  # fmt: skip
    assert found[0][0].text == "ab" and found[0][0].probability == pytest.approx(np.exp(3) / (4 + np.exp(3)))
    assert true[0][1] == Span(3, 5, "colour", 1.0, "cd")


def test_nothing_crosses_from_row_to_row_and_a_span_may_hold_a_space(compiled: Callable[..., Any]) -> None:
    _, batch = compiled(KIND, KIND.rows.encode(table(["abc de", "fg"], ["{}", "{}"]), SPEC, OPTIONS), OPTIONS)
    found = KIND.head.scores(logits_of([[1, 3, 4, 4, 1], [2, 0]]), batch, SPEC)
    assert [s.key for s in found[0]] == [(0, 1, "brand"), (1, 5, "colour"), (5, 6, "brand")]
    assert [s.text for s in found[0]] == ["a", "bc d", "e"]
    assert found[1] == [], "its I goes on with no span; the B is the other row's"


def test_the_best_tags_are_those_of_trying_all() -> None:
    lengths, n = [4, 1, 3, 2], 5
    rng = np.random.default_rng(0)
    log = np.log(rng.dirichlet(np.full(n, 0.5), sum(lengths))).astype(np.float32)
    row = np.repeat([0, 1, 3, 4], lengths)
    found = best_tags(log, row)

    def legal(tags: tuple[int, ...]) -> bool:
        return all(t == 0 or t % 2 or before in (t, t - 1) for before, t in zip((0, *tags), tags, strict=False))

    for r in np.unique(row):
        one = log[row == r]
        best = max(filter(legal, product(range(n), repeat=len(one))), key=lambda tags: sum(one[i, t] for i, t in enumerate(tags)))
        assert tuple(found[row == r]) == best
    assert best_tags(log[:0], row[:0]).tolist() == []


def test_a_span_beyond_the_longest_text_is_missed_and_said(compiled: Callable[..., Any]) -> None:
    """118 characters are read."""
    text = "a" * 100 + " brand " + "b" * 30
    rows = table([text], [f"colour: {'b' * 30}; brand: brand"])
    _, batch = compiled(KIND, KIND.rows.encode(rows, SPEC, OPTIONS), OPTIONS)
    true = KIND.head.truth(batch, SPEC)
    assert [(s.name, s.probability) for s in true[0]] == [("brand", 1.0), ("colour", 0.0)]
    assert float(KIND.head.loss(logits_of([[0] * 100 + [1] + [2] * 4 + [3] + [4] * 12]), batch, SPEC, OPTIONS)) < 0.3
    (panel,) = KIND.report.panels(true, true, None, SPEC)
    assert {row[0]: row[4:] for row in panel.data["rows"]} == {
        "brand": [1, 0], "colour": [1, 1], "all values": [2, 1], "macro average": [2, 1]
    }  # fmt: skip


# -- numbers ------------------------------------------------------------------------------------------------------------------

N, NAMES = 12, ["a", "b", "c"]


def drawn(rng: np.random.Generator) -> list[Span]:
    cuts = np.sort(rng.choice(N + 1, 2 * int(rng.integers(0, 4)), replace=False)).tolist()
    return [Span(s, e, NAMES[rng.integers(3)], 1.0, "") for s, e in zip(cuts[::2], cuts[1::2], strict=True)]


def bio(row: list[Span]) -> list[str]:
    tags = ["O"] * N
    for s in row:
        tags[s.start : s.end] = [f"B-{s.name}", *[f"I-{s.name}"] * (s.end - s.start - 1)]
    return tags


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_the_numbers_are_those_of_seqeval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, found = [drawn(rng) for _ in range(8)], [drawn(rng) for _ in range(8)]
    found = [t if rng.random() < 0.4 else f for t, f in zip(true, found, strict=True)]
    values = KIND.report.evaluate(objects(found, 8), objects(true, 8), None, {})
    tags = [list(map(bio, true)), list(map(bio, found))]
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        expected = score(*tags, mode="strict", scheme=IOB2, zero_division=0)
        assert values.get(name, 0) == pytest.approx(expected)
    rows = {row[0]: row for row in KIND.report.panels(objects(found, 8), objects(true, 8), None, {})[0].data["rows"]}
    each = f1_score(*tags, mode="strict", scheme=IOB2, average=None, zero_division=0)
    assert [rows[name][3] for name in NAMES if name in rows] == pytest.approx(each)


def test_nothing_true_and_nothing_found_is_not_defined() -> None:
    none = objects([[], []], 2)
    assert KIND.report.evaluate(none, none, None, SPEC) == {}
    assert KIND.report.panels(none, none, None, SPEC)[0].data["rows"] == []


def test_the_dictionary() -> None:
    """“red” was mostly a colour; “dark red” is longer; “Ellie” is found in any case, not inside of a word; “acme” was never seen."""
    rows = table(
        ["Ellie dark red", "red", "red", "RED ellie", "dark red bored", "acme 红"],
        ["brand: Ellie; colour: dark red", "colour: red", "brand: red", "colour: red; brand: ellie", "colour: dark red", "brand: acme"],
    )
    rows = rows.set_column(1, "label", pa.array([*rows["label"].to_pylist()[:2], "colour: red", *rows["label"].to_pylist()[3:]]))
    found = KIND.rows.naive(rows, np.array(["train"] * 3 + ["test"] * 3), SPEC, OPTIONS, "test")
    assert found == {"precision": 1.0, "recall": 0.75, "f1": pytest.approx(6 / 7)}
    assert KIND.rows.naive(rows, np.array(["test"] * 6), SPEC, OPTIONS, "test") == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert KIND.rows.naive(rows, np.array(["train"] * 6), SPEC, OPTIONS, "test") == {}


def test_predictions_for_people() -> None:
    one = [Span(0, 11, "brand", 0.75, "Ellie Shoes"), Span(12, 15, "colour", 0.5, "red")]
    answers = KIND.report.answers(objects([one, []], 2), SPEC)
    assert answers[0]["label"] == "brand: Ellie Shoes; colour: red" and next(iter(answers[0])) == "label"
    assert answers[0]["spans"][1] == {"attribute": "colour", "text": "red", "start": 12, "end": 15, "probability": 0.5}
    assert answers[1] == {"label": "nothing found", "spans": []} and json.dumps(answers)


@pytest.mark.parametrize("options", [OPTIONS, KIND.Options(hidden_size=32, dropout=0.0, outside_weight=0.5)], ids=["plain", "hidden"])
def test_learns_which_words_are_which(options: Any, compiled: Callable[..., Any]) -> None:
    """From the states of a random encoder; more would be learned with it."""
    rng = np.random.default_rng(0)
    pairs = [(rng.choice(["acme", "zeno", "quux"]), rng.choice(["7", "8", "9"])) for _ in range(40)]
    rows = table([f"{b} in {c}" for b, c in pairs], [json.dumps({"brand": str(b), "size": str(c)}) for b, c in pairs])
    spec = KIND.rows.fit(rows, options)
    vectors, batch = compiled(KIND, KIND.rows.encode(rows, spec, options), options)
    torch.manual_seed(0)
    head = KIND.head.module(32, spec, options)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.02)
    assert KIND.report.evaluate(KIND.head.scores(head(vectors, batch), batch, spec), KIND.head.truth(batch, spec), None, spec)["f1"] < 0.2
    for _ in range(60):
        optimizer.zero_grad()
        KIND.head.loss(head(vectors, batch), batch, spec, options).mean().backward()
        optimizer.step()
    assert KIND.report.evaluate(KIND.head.scores(head(vectors, batch), batch, spec), KIND.head.truth(batch, spec), None, spec)["f1"] > 0.95


def test_predicts_without_labels(compiled: Callable[..., Any]) -> None:
    encoded = KIND.rows.encode(pa.table({"text": ["red shoe", None]}), SPEC, OPTIONS)
    vectors, batch = compiled(KIND, encoded, OPTIONS)
    assert KIND.head.scores(KIND.head.module(32, SPEC, OPTIONS)(vectors, batch), batch, SPEC).tolist()[1] == []


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ('[{"start": 7, "end": 10, "label": "colour"}]', None),
        ('[[7, 10, "colour"]]', None),
        ('[7, 10, "colour"]', None),
        ("[(7, 10, 'colour')]", None),
        ('{"entities": [[7, 10, "colour"]]}', None),
        ('[{"start_offset": 7, "end_offset": 10, "label": "colour"}]', None),
        ('[{"value": {"start": 7, "end": 10, "text": "red", "labels": ["colour"]}, "type": "labels"}]', None),
        ('[{"start": 8, "end": 11, "label": "colour", "text": "red"}]', "spans_recounted"),  # UTF-16
        ('[{"start": 11, "end": 14, "label": "colour", "text": "red"}]', "spans_recounted"),  # UTF-8
        ('[{"start": 7, "end": 9, "label": "colour", "text": "red"}]', "spans_recounted"),  # the end is included
        ('[{"start": 0, "end": 3, "label": "colour", "text": "red"}]', "span_text_differs"),
        ('[{"start": 8, "end": 11, "label": "colour"}]', "span_in_word"),
    ],
)
def test_spans_as_other_programs_write_them(cell: str, code: str | None) -> None:
    table = pa.table({"text": ["h\u00e9 \U0001f381 a red hat"] * 3, "label": [cell] * 3, "_line": [2, 3, 4]})
    found = {p.code for p in KIND.rows.check(table, np.array(["train", "validation", "test"]), KIND.Options())}
    assert found & {"spans_recounted", "span_text_differs", "span_in_word", "label_type"} == ({code} if code else set())
    read = KIND.rows.read(table, KIND.Options())["label"][0].as_py()
    if code not in ("span_text_differs", "span_in_word"):
        assert read == ["colour: red"]


def test_the_unit_of_offsets_can_be_set() -> None:
    table = pa.table({"text": ["\U0001f381 a red hat"], "label": ['[[5, 8, "colour"]]']})
    assert KIND.rows.read(table, KIND.Options(offsets="utf16"))["label"].to_pylist() == [["colour: red"]]
    table = pa.table({"text": ["\U0001f381 a red hat"], "label": ['[[7, 10, "colour"]]']})
    assert KIND.rows.read(table, KIND.Options(offsets="bytes"))["label"].to_pylist() == [["colour: red"]]


def test_a_row_is_right_with_all_its_attributes_and_no_others() -> None:
    brand, colour = Span(0, 5, "brand", 1.0, "Ellie"), Span(6, 9, "colour", 1.0, "red")
    found = objects([[brand], [brand, colour], [], [brand]], 4)
    true = objects([[brand], [brand], [], [Span(0, 5, "colour", 1.0, "Ellie")]], 4)
    assert KIND.report.right(found, true, SPEC).tolist() == [True, False, True, False]
