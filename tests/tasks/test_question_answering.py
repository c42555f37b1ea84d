"""Question answering: answers of all spellings, what is lost and said, start and end by hand, SQuAD's numbers, the threshold, training."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torchmetrics.functional.text import squad

from mtl_core.data.problems import Severity
from mtl_core.tasks import KINDS
from mtl_core.tasks.question_answering import Answer, _f1
from mtl_core.tasks.spans import objects

KIND = KINDS["question_answering"]
OPTIONS, UNLABELLED = KIND.Options(dropout=0.0), KIND.Options(empty_means="not_labelled")
SPEC = {"longest": 30, "threshold": 0.0}
BAG = "A red bag of Red leather."


def table(passages: list[str | None], answers: list[Any], **more: list[Any]) -> pa.Table:
    return pa.table({
        "question": ["what?"] * len(passages), "passage": pa.array(passages, pa.string()), "answer": answers, **more,
        "_line": np.arange(len(passages)) + 2,
    })  # fmt: skip


def spans(encoded: pa.Table) -> list[tuple[int | None, str]]:
    """The label, and what it marks in the passage."""
    rows = zip(*(encoded[name].to_pylist() for name in ("label", "starts", "ends", "passage")), strict=True)
    return [(label, f"{s[0]} {passage[s[0] : e[0]]}" if s else "") for label, s, e, passage in rows]


@pytest.mark.parametrize(
    ("answer", "start", "found"),
    [
        ("red", None, (1, "2 red")),
        (" Red ", None, (1, "2 red")),
        ("red", 13, (1, "13 Red")),
        ("red", 12, (1, "2 red")),  # not there: where it stands first
        ("leathe", 17, (1, "17 leathe")),  # not a whole word, but said to be there
        ("leathe", None, (None, "")),
        ("blue", 2, (None, "")),
        ('["red leather", "red"]', None, (1, "13 Red leather")),
        ('{"text": ["red", "bag"], "answer_start": [13, 6]}', None, (1, "13 Red")),
        ('{"text": [], "answer_start": []}', None, (0, "")),
        ("[]", None, (0, "")),
        (None, None, (0, "")),
        ("[not json", None, (None, "")),
    ],
)
def test_answers_in_many_spellings(answer: str | None, start: int | None, found: tuple[int | None, str]) -> None:
    rows = table([BAG], pa.array([answer], pa.string()), answer_start=pa.array([start], pa.int64()))
    assert spans(KIND.rows.encode(rows, SPEC, OPTIONS)) == [found]


def test_what_an_empty_answer_means() -> None:
    lists = table([BAG] * 3, [["red", "bag"], [], None])
    assert spans(KIND.rows.encode(lists, SPEC, OPTIONS)) == [(1, "2 red"), (0, ""), (0, "")]
    assert spans(KIND.rows.encode(lists, SPEC, UNLABELLED)) == [(1, "2 red"), (0, ""), (None, "")]
    numbers = table(["at 12 kg, or 0.5"] * 2, [12.0, 0.5])
    assert spans(KIND.rows.encode(numbers, SPEC, OPTIONS)) == [(1, "3 12"), (1, "13 0.5")]


def check(rows: pa.Table, split: list[str] | None = None, options: Any = OPTIONS) -> dict[str, Any]:
    found = KIND.rows.check(rows, np.array(split or ["train", "validation", "test"]), options)
    assert all(p.why.text() and p.remedy.text() for p in found)
    return {p.code: p for p in found}


def test_nothing_is_wrong() -> None:
    assert check(table([BAG] * 3, ["red"] * 3)) == {}


def test_what_is_lost_is_said() -> None:
    rows = table([BAG] * 6, ["red", "blue", '["red", "bag"]', "bag", None, "leathe"], answer_start=pa.array([2, None, None, 1, None, None]))
    split = ["train"] * 3 + ["validation", "test", "test"]
    found = check(rows, split)
    assert {c: (p.line, p.count, p.column, p.severity) for c, p in found.items()} == {
        "answer_not_in_passage": (3, 2, "answer", Severity.WARNING),
        "several_answers": (4, 1, "answer", Severity.INFO),
        "answer_start_wrong": (5, 1, "answer_start", Severity.WARNING),
        "empty_means_no_answer": (6, 1, "answer", Severity.INFO),
    }
    assert "“blue”" in str(found["answer_not_in_passage"])
    unlabelled = check(rows, split, UNLABELLED)
    assert unlabelled["label_missing"].line == 6 and unlabelled["label_missing"].column == "answer"
    assert "no_rows_in_split" in unlabelled and "empty_means_no_answer" not in unlabelled


def test_an_answer_that_is_longer_than_any_that_is_given() -> None:
    rows = table([BAG, BAG, "红色的包"], ["red bag of Red", "bag", "红色的包"])
    found = check(rows, ["train"] * 3, KIND.Options(longest_answer=3))["answer_too_long"]
    assert (found.line, found.count, found.column, found.severity) == (2, 2, "answer", Severity.WARNING) and "more than 3 words" in str(
        found
    )
    assert "answer_too_long" not in check(rows, ["train"] * 3, KIND.Options(longest_answer=4))


def test_errors() -> None:
    assert check(table([BAG] * 3, pa.array([None] * 3, pa.string())))["no_answers"].severity is Severity.ERROR
    assert check(table([BAG] * 3, ["blue", "red", "red"]))["no_training_rows"].severity is Severity.ERROR
    assert check(table([None, "", " "], ["red"] * 3))["texts_empty"].severity is Severity.ERROR
    assert "field_missing" in {p.code for p in KIND.rows.check(pa.table({"question": ["a"]}), np.array(["train"]), OPTIONS)}


# -- start and end ------------------------------------------------------------------------------------------------------------


def logits_of(rows: list[list[tuple[float, float]]]) -> torch.Tensor:
    """Of no answer, then of each token, start and end; -inf up to the longest row."""
    out = torch.full((len(rows), max(map(len, rows)), 2), -torch.inf)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.tensor(row)
    return out


def test_losses_and_answers_by_hand(compiled: Callable[..., Any]) -> None:
    """Tokens are characters. Row 0: “bc”; row 1: no answer; row 2 has no passage. Chinese: there each is a word, too."""
    rows = table(["a bc", "甲乙丙", None], pa.array(["bc", None, None], pa.string()))
    _, batch = compiled(KIND, KIND.rows.encode(rows, SPEC, OPTIONS), OPTIONS)
    zero = logits_of([[(0, 0)] * 4, [(0, 0)] * 4, [(0, 0)]])
    assert KIND.head.loss(zero, batch, SPEC, OPTIONS).tolist() == pytest.approx([np.log(4), np.log(4), 0])
    one = np.log(np.exp(2) + 3)
    logits = logits_of([[(0, 0), (0, 0), (2, 0), (0, 2)], [(0, 0), (0, 2), (2, 0), (0, 0)], [(1, 1)]])
    assert KIND.head.loss(logits, batch, SPEC, OPTIONS).tolist() == pytest.approx([one - 2, one, 0])
    answers, true = KIND.head.scores(logits, batch, SPEC), KIND.head.truth(batch, SPEC)
    p = np.exp(2) / (np.exp(2) + 3)
    assert answers[0][:3] == ("bc", 2, 4) and answers[0][3:] == pytest.approx((p * p, ((1 - p) / 3) ** 2, 4.0))
    assert answers[1][0] == "甲" and answers[1].margin == pytest.approx(2)  # an end before its start is none
    assert answers[2] == Answer("", 0, 0, 0.0, 1.0, -np.inf)
    assert true.tolist() == [("bc", 2, 4, 1.0, 0.0, np.inf), ("", 0, 0, 1.0, 1.0, -np.inf), ("", 0, 0, 1.0, 1.0, -np.inf)]


def test_no_answer_is_longer_than_wanted(compiled: Callable[..., Any]) -> None:
    _, batch = compiled(KIND, KIND.rows.encode(table(["甲乙丙丁"], ["甲乙丙丁"]), SPEC, OPTIONS), OPTIONS)
    logits = logits_of([[(0, 0), (5, 0), (0, 0), (0, 1), (0, 4)]])
    found = {n: KIND.head.scores(logits, batch, {**SPEC, "longest": n})[0].text for n in (1, 3, 4, 99)}
    assert found == {1: "甲", 3: "甲乙丙", 4: "甲乙丙丁", 99: "甲乙丙丁"}


def test_a_word_is_given_whole(compiled: Callable[..., Any]) -> None:
    """The best span is “wash”; tokens are characters."""
    _, batch = compiled(KIND, KIND.rows.encode(table(["dishwasher"], ["dishwasher"]), SPEC, OPTIONS), OPTIONS)
    logits = logits_of([[(0, 0), *[(9, 0) if i == 4 else (0, 9) if i == 7 else (0, 0) for i in range(10)]]])
    assert KIND.head.scores(logits, batch, SPEC)[0][:3] == ("dishwasher", 0, 10)


def test_the_best_span_is_that_of_trying_all(compiled: Callable[..., Any]) -> None:
    passages = ["甲乙丙丁戊己庚辛", "子丑寅", "卯辰巳午未申"]
    _, batch = compiled(KIND, KIND.rows.encode(table(passages, passages), SPEC, OPTIONS), OPTIONS)
    rng = np.random.default_rng(0)
    raw = [rng.normal(size=(len(p) + 1, 2)) * 2 for p in passages]
    for found, row, passage in zip(
        KIND.head.scores(logits_of([r.tolist() for r in raw]), batch, {"longest": 3}), raw, passages, strict=True
    ):
        best = max((row[i + 1, 0] + row[j + 1, 1], i, j) for i in range(len(passage)) for j in range(i, min(i + 3, len(passage))))
        assert (found.start, found.end) == (best[1], best[2] + 1)
        assert found.margin == pytest.approx(best[0] - row[0].sum(), abs=1e-5)


def test_an_answer_beyond_the_longest_text_is_not_learned_but_missed(compiled: Callable[..., Any]) -> None:
    """120 tokens: three special ones, five of the question, 112 of the passage; the second answer is cut in two."""
    passage = "a" * 100 + " bcd " + "e" * 30
    rows = table([passage] * 3, ["bcd", "e" * 30, None])
    vectors, batch = compiled(KIND, KIND.rows.encode(rows, SPEC, OPTIONS), OPTIONS)
    logits = KIND.head.module(32, SPEC, OPTIONS)(vectors, batch)
    assert logits.shape == (3, 113, 2)
    loss = KIND.head.loss(logits, batch, SPEC, OPTIONS)
    assert loss.tolist() == pytest.approx([np.log(113), 0, np.log(113)])
    true = KIND.head.truth(batch, SPEC)
    assert [a.probability for a in true] == [1, 0, 1] and true[1].text == "e" * 30
    (panel,) = KIND.report.panels(KIND.head.scores(logits, batch, SPEC), true, None, SPEC)
    assert [[row[0], *row[3:]] for row in panel.data["rows"]] == [["with an answer", 2, 1], ["without an answer", 1, 0], ["all rows", 3, 1]]


# -- numbers ------------------------------------------------------------------------------------------------------------------


def answers(texts: list[str], margins: list[float] | None = None) -> np.ndarray:
    margins = margins or [1.0 if text else -1.0 for text in texts]
    return objects([Answer(t, 0, len(t), 0.5, 0.25, m) for t, m in zip(texts, margins, strict=True)], len(texts))


GIVEN = ["The red bag!", "red, bag", "a bag", "blue", "it's 5.5 kg", "the the", "bag bag"]
TRUE = ["red bag", "bag red", "the bag", "red bag", "its 55 kg", "bag", "bag of bag"]


def test_the_numbers_are_those_of_squad() -> None:
    found = KIND.report.evaluate(answers(GIVEN), answers(TRUE), None, SPEC)
    expected = squad(
        [{"prediction_text": text, "id": str(i)} for i, text in enumerate(GIVEN)],
        [{"answers": {"text": [text], "answer_start": [0]}, "id": str(i)} for i, text in enumerate(TRUE)],
    )
    assert found == {"exact_match": pytest.approx(float(expected["exact_match"]) / 100), "f1": pytest.approx(float(expected["f1"]) / 100)}


def test_chinese_answers_share_characters() -> None:
    assert _f1("红色的", "红色") == pytest.approx(0.8) and _f1("红色。", "“红色”") == 1 and _f1("红 5 kg", "红5 kg") == 1
    assert _f1("", "") == 1 and _f1("red", "") == 0 and _f1("", "red") == 0


def test_no_answer_counts_as_in_squad_2() -> None:
    found = KIND.report.evaluate(answers(["red", "", "red", ""]), answers(["red", "red", "", ""]), None, SPEC)
    assert found == {"exact_match": 0.5, "f1": 0.5, "no_answer_accuracy": 0.5}
    strict = KIND.report.evaluate(answers(["red", "", "red", ""]), answers(["red", "red", "", ""]), None, {**SPEC, "threshold": 2.0})
    assert strict == {"exact_match": 0.5, "f1": 0.5, "no_answer_accuracy": 1.0}
    assert KIND.report.evaluate(answers([]), answers([]), None, SPEC) == {} and KIND.report.panels(answers([]), answers([]), None, SPEC)


def test_the_threshold_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        given = answers(["red bag"] * 12, np.round(rng.normal(size=12), 1).tolist())
        true = answers(rng.choice(["", "red", "red bag"], 12).tolist())
        chosen = KIND.report.tuned(given, true, SPEC, OPTIONS)["threshold"]
        margins = sorted({a.margin for a in given})
        tries = [margins[0] - 1, *margins]  # all above each are given
        best = max(KIND.report.evaluate(given, true, None, {"threshold": t})["f1"] for t in tries)
        assert KIND.report.evaluate(given, true, None, {"threshold": chosen})["f1"] == pytest.approx(best)
        assert chosen not in margins and json.dumps(chosen)


def test_a_threshold_that_is_set_stays() -> None:
    fixed = KIND.Options(threshold=1.5)
    spec = KIND.rows.fit(table([BAG], ["red"]), fixed)
    assert spec == {"longest": 30, "threshold": 1.5} and KIND.report.tuned(answers(["a"]), answers(["a"]), spec, fixed) == {}
    nothing = objects([Answer("", 0, 0, 0.0, 1.0, -np.inf)], 1)
    assert KIND.report.tuned(nothing, nothing, SPEC, OPTIONS) == {} and KIND.rows.fit(table([BAG], ["red"]), OPTIONS)["threshold"] == 0


def test_the_nearest_sentence() -> None:
    passage = "It is red. The weight is 5 kg! 颜色很好。"
    rows = pa.table({
        "question": ["weight", "weight is?", "颜色", "weight"],
        "passage": [passage] * 4,
        "answer": ["5 kg", "The weight is 5 kg", "颜色很好", None],
    })  # fmt: skip
    found = KIND.rows.naive(rows, np.array(["train"] + ["test"] * 3), SPEC, OPTIONS, "test")
    assert found == {"exact_match": pytest.approx(2 / 3), "f1": pytest.approx(2 / 3), "no_answer_accuracy": 0.0,
                     "always_no_answer_f1": pytest.approx(1 / 3)}  # fmt: skip
    assert KIND.rows.naive(rows, np.array(["train"] * 4), SPEC, OPTIONS, "test") == {}


def test_predictions_for_people() -> None:
    found = KIND.report.answers(answers(["red", "red", ""], [0.5, -0.5, -np.inf]), SPEC)
    assert found[0] == {
        "label": "red", "probability": 0.5, "no_answer_probability": 0.25,
        "spans": [{"text": "red", "start": 0, "end": 3, "probability": 0.5}],
    }  # fmt: skip
    assert found[1] == found[2] == {"label": "no answer", "probability": 0.25, "no_answer_probability": 0.25, "spans": []}
    assert json.dumps(found)


def test_learns_where_the_answer_stands(compiled: Callable[..., Any]) -> None:
    """The digits are the answer, of some passages there are none; from the states of a random encoder."""
    rng = np.random.default_rng(0)
    digits = [str(rng.integers(10, 99)) if i % 4 else "" for i in range(40)]
    passages = [f"{'xyz'[i % 3] * (i % 5 + 1)} {d} kg" for i, d in enumerate(digits)]
    rows = table(passages, digits)
    spec = KIND.rows.fit(rows, OPTIONS)
    rows = rows.set_column(2, "answer", pa.array([d or None for d in digits]))
    vectors, batch = compiled(KIND, KIND.rows.encode(rows, spec, OPTIONS), OPTIONS)
    torch.manual_seed(0)
    head = KIND.head.module(32, spec, OPTIONS)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.03)
    for _ in range(80):
        optimizer.zero_grad()
        KIND.head.loss(head(vectors, batch), batch, spec, OPTIONS).mean().backward()
        optimizer.step()
    scores, true = KIND.head.scores(head(vectors, batch), batch, spec), KIND.head.truth(batch, spec)
    found = KIND.report.evaluate(scores, true, None, {**spec, **KIND.report.tuned(scores, true, spec, OPTIONS)})
    assert found["f1"] > 0.9 and set(found) == {m.name for m in KIND.metrics}


def test_predicts_without_answers(compiled: Callable[..., Any]) -> None:
    encoded = KIND.rows.encode(pa.table({"question": ["what?"] * 2, "passage": ["a red bag", None]}), SPEC, OPTIONS)
    vectors, batch = compiled(KIND, encoded, OPTIONS)
    found = KIND.head.scores(KIND.head.module(32, SPEC, OPTIONS)(vectors, batch), batch, SPEC)
    assert found[0].text in "a red bag" and found[1].text == ""
