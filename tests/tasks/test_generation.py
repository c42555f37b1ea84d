"""Generation: learns to map words, writes what it learnt, and is measured as other libraries measure; what the check finds."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torchmetrics.functional.text import chrf_score, rouge_score

from mtl_core.data.memory import rows_in_memory
from mtl_core.data.problems import Severity
from mtl_core.evaluation import metrics
from mtl_core.model.encoder import Encoder, Template
from mtl_core.runtime.batches import assemble
from mtl_core.tasks import KINDS

KIND = KINDS["generation"]
OPTIONS = KIND.Options(layers=1, dropout=0.0, label_smoothing=0.0, longest_target=8, decoded_share=1.0, beams=2, samples=2)
WORDS = {"red": "rot", "blue": "blau", "green": "gruen", "x": "iks"}
TABLE = pa.table({"source": list(WORDS) * 2, "label": list(WORDS.values()) * 2})
WRITTEN = ["The brand is Chanel.", "a red shoe", "", "totally different words", "one two three four"]
WANTED = ["The product's brand is Chanel", "a shoe that is red", "something", "nothing alike", "one three two four"]


def head_on(encoder: Encoder, options: Any = OPTIONS) -> Any:
    torch.manual_seed(0)
    head: Any = KIND.head.module(encoder.hidden, {}, options)
    head.tie(encoder)
    return head


def test_learns_to_translate_a_few_words(compiled: Callable[..., Any], small_encoder: Encoder) -> None:
    vectors, batch = compiled(KIND, KIND.rows.encode(TABLE, {}, OPTIONS), OPTIONS)
    head = head_on(small_encoder)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        KIND.head.loss(head(vectors, batch), batch, {}, OPTIONS).mean().backward()
        optimizer.step()
    head.eval()
    with torch.no_grad():
        scores = KIND.head.scores(head(vectors, batch), batch, {})
    references = KIND.head.truth(batch, {})
    found = KIND.report.evaluate(scores, references, None, {})
    assert found["rouge_l"] == found["chrf"] == 1 and found["perplexity"] < 1.5
    examples, lengths = KIND.report.panels(scores, references, None, {})
    assert ["red", "rot", "rot"] in examples.data["rows"] and len(lengths.data["rows"]) == 2 and json.dumps([examples.data, lengths.data])
    encoded = KIND.rows.encode(pa.table({"source": ["blue", "x"]}), {}, OPTIONS)
    block, stores = rows_in_memory(encoded, KIND.rows.slots(OPTIONS), small_encoder.tokenizer, 120)
    asked = assemble({"t": block}, {"t": stores}, Template.of(small_encoder.tokenizer, 120), 4096, torch.device("cpu"), salt=None)
    with torch.no_grad():
        vectors, inputs = torch.cat([small_encoder(p) for p in asked.packed]), asked.tasks["t"]
        answers, again = (KIND.report.answers(KIND.head.scores(head(vectors, inputs), inputs, {}), {}) for _ in range(2))
    assert [a["label"] for a in answers] == ["blau", "iks"] and answers == again and json.dumps(answers)
    assert all(0 < len(a["others"]) <= 2 for a in answers)


def test_the_loss_and_the_perplexity_by_hand(compiled: Callable[..., Any], small_encoder: Encoder) -> None:
    vectors, batch = compiled(KIND, KIND.rows.encode(TABLE.slice(0, 4), {}, OPTIONS), OPTIONS)
    head = head_on(small_encoder)
    found = head(vectors, batch)
    assert found.texts is None and found.tokens.tolist() == [4, 5, 6, 4]  # characters and the end
    taught = head.writer.teach(vectors, batch.slots["source"].tokens, batch.slots["target"].tokens, 8)
    losses = -taught.logits.detach().softmax(1)[torch.arange(19), taught.wanted].log()
    means = [float(losses[taught.rows == r].mean()) for r in range(4)]
    np.testing.assert_allclose(found.losses.tolist(), means, rtol=1e-4)
    head.eval()
    scores = KIND.head.scores(head(vectors, batch), batch, {})
    measured = KIND.report.evaluate(scores, KIND.head.truth(batch, {}), None, {})
    assert measured["perplexity"] == pytest.approx(float(losses.mean().exp()), rel=1e-4)
    KIND.head.loss(head.train()(vectors, batch), batch, {}, OPTIONS).sum().backward()
    assert small_encoder.embeddings.grad is None
    assert [name for name, p in head.named_parameters() if p.grad is None] == []


def test_a_target_that_the_token_store_may_have_cut_has_no_end(small_encoder: Encoder) -> None:
    options, most = OPTIONS.model_copy(update={"longest_target": 512}), small_encoder.max_length
    rows = pa.table({"source": ["x", "x"], "label": ["a " * (most + 20), "a " * (most - 1)]})
    encoded = KIND.rows.encode(rows, {}, options)
    block, stores = rows_in_memory(encoded, KIND.rows.slots(options), small_encoder.tokenizer, most)
    batch = assemble({"t": block}, {"t": stores}, small_encoder.template(), 4096, torch.device("cpu"))
    head = head_on(small_encoder, options).train()
    known = replace(batch.tasks["t"], labels=torch.ones(2))
    found = head(torch.cat([small_encoder(part) for part in batch.packed]), known)
    assert found.tokens.tolist() == [most - 1, most], "the second is whole, and has its end"


def test_a_share_of_the_rows_is_written_out(compiled: Callable[..., Any], small_encoder: Encoder) -> None:
    options = OPTIONS.model_copy(update={"decoded_share": 0.25})
    vectors, batch = compiled(KIND, KIND.rows.encode(TABLE, {}, options), options)
    scores = KIND.head.scores(head_on(small_encoder, options).eval()(vectors, batch), batch, {})
    assert [row["text"] is not None for row in scores] == [True, *[False] * 6, True]
    assert all(row["loss"] > 0 for row in scores)
    nothing = KIND.report.evaluate(scores[1:3], KIND.head.truth(batch, {})[1:3], None, {})
    assert set(nothing) == {"perplexity"}


def test_rouge_l_agrees_with_torchmetrics() -> None:
    wanted = [float(rouge_score(a, b, rouge_keys="rougeL")["rougeL_fmeasure"]) for a, b in zip(WRITTEN, WANTED, strict=True)]
    found = [metrics.rouge_l([a], [b]) for a, b in zip(WRITTEN, WANTED, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert metrics.rouge_l(WRITTEN, WANTED) == pytest.approx(np.mean(wanted))


def test_chrf_is_made_of_torchmetrics_precision_and_recall() -> None:
    """It averages the F-scores of the orders; the paper and sacrebleu take that of the averages, which a far beta shows one by one."""

    def theirs(beta: float) -> float:
        return float(chrf_score(written, [[b] for b in wanted], n_word_order=0, beta=beta, lowercase=True))

    written, wanted = ([pair[i] for pair in zip(WRITTEN, WANTED, strict=True) if pair[0]] for i in range(2))  # it forgets the others
    precision, recall = theirs(1e-4), theirs(1e4)
    assert metrics.chrf(written, wanted) == pytest.approx(5 * precision * recall / (4 * precision + recall), rel=1e-4)


def test_the_baseline_takes_the_text_of_the_nearest_row() -> None:
    table = pa.table({"source": ["red shoe", "blue hat", "red shoe 2"], "label": ["a shoe", "a hat", "a shoe"]})
    split = np.array(["train", "train", "test"])
    assert KIND.rows.naive(table, split, {}, OPTIONS, "test") == {"rouge_l": 1.0, "chrf": 1.0}
    assert KIND.rows.naive(table, split, {}, OPTIONS, "validation") == {}


def test_rows_without_a_text_are_left_out_and_numbers_are_texts() -> None:
    table = pa.table({"source": ["a", "", "b", "c"], "label": pa.array([1.0, 2.0, None, 3.0])})
    encoded = KIND.rows.encode(table, {}, OPTIONS)
    assert encoded["label"].to_pylist() == [1, None, None, 1] and encoded["reference"].to_pylist() == ["1", "2", "", "3"]


def test_check() -> None:
    def found(source: list[str | None], label: list[str | None]) -> dict[str, Any]:
        table = pa.table(
            {"source": pa.array(source, pa.string()), "label": pa.array(label, pa.string()), "_line": range(2, len(label) + 2)}
        )
        problems = KIND.rows.check(table, np.array(["train", "validation", "test", "train"][: len(label)]), OPTIONS)
        assert all(p.why.text() and p.remedy.text() for p in problems)
        return {p.code: p for p in problems}

    assert found(["x"] * 4, ["y"] * 4) == {}
    assert set(found(["x", "x", "x", " "], ["y", "y", "y", "y"])) == {"text_empty"}
    assert found(["x"] * 4, ["y", "y", "y", " "])["label_missing"].line == 5
    assert found(["x"] * 3, ["", "y", "z"])["no_training_rows"].severity is Severity.ERROR
    long = found(["x"] * 4, ["a b c d e f g h", "a, b c d e f g h", "y", "红红红红红红红红红"])["target_too_long"]
    assert (long.line, long.count, long.severity) == (3, 2, Severity.WARNING) and "50.0%" in str(long)
