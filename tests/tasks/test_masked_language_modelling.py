"""Masked language modelling: only hidden tokens count, the same ones in every evaluation; the head; what the check finds; blanks."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn import functional as F

from mtl_core.data.memory import rows_in_memory
from mtl_core.data.problems import Severity
from mtl_core.evaluation import metrics
from mtl_core.model.encoder import Encoder, Template
from mtl_core.runtime.batches import assemble
from mtl_core.tasks import KINDS, is_better

KIND = KINDS["masked_language_modelling"]
OPTIONS = KIND.Options(share=0.3)
TEXTS = ["abababababab", "cdcdcdcdcd", "abababab", "cd", ""]


def rows(n: int = 1) -> pa.Table:
    return KIND.rows.encode(pa.table({"text": TEXTS * n}), {}, OPTIONS)


def head_on(encoder: Encoder) -> Any:
    torch.manual_seed(0)
    head: Any = KIND.head.module(encoder.hidden, {}, OPTIONS)
    head.tie(encoder)
    return head


def test_every_row_with_a_text_counts() -> None:
    assert rows()["label"].to_pylist() == [1, 1, 1, 1, None]


def test_the_loss_is_the_mean_over_the_hidden_tokens_of_a_row(compiled: Callable[..., Any], small_encoder: Encoder) -> None:
    vectors, batch = compiled(KIND, rows(), OPTIONS)
    head, tokens = head_on(small_encoder), batch.slots["text"].tokens
    found = head(vectors, batch)
    assert found.counts.tolist() == [4, 3, 2, 1] and found.hits is None
    hidden = F.layer_norm(F.gelu(head.transform[0](vectors[tokens.index])), (small_encoder.hidden,))
    losses = F.cross_entropy(hidden @ small_encoder.embeddings.T, tokens.ids, reduction="none")
    of_row = [losses[(tokens.rows == r) & tokens.masked] for r in range(4)]
    wanted = [float(part.detach().mean()) for part in of_row]
    np.testing.assert_allclose(KIND.head.loss(found, batch, {}, OPTIONS).tolist(), wanted, rtol=1e-4)
    head.eval()
    scores = KIND.head.scores(head(vectors, batch), batch, {})
    measured = KIND.report.evaluate(scores, batch.labels.numpy(), None, {})
    assert measured["perplexity"] == pytest.approx(float(torch.cat(of_row).detach().mean().exp()), rel=1e-4)
    table = KIND.report.panels(scores, batch.labels.numpy(), None, {})[0].data
    assert sum(row[1] for row in table["rows"]) == 10 and json.dumps(table)
    KIND.head.loss(head.train()(vectors, batch), batch, {}, OPTIONS).sum().backward()
    assert small_encoder.embeddings.grad is None and head.bias.grad is not None


def test_what_is_hidden_changes_with_the_step_only(compiled: Callable[..., Any]) -> None:
    hidden = [compiled(KIND, rows(), OPTIONS, salt)[1].slots["text"].tokens.masked.tolist() for salt in (0, 0, 1)]
    assert hidden[0] == hidden[1] != hidden[2]


def test_learns_a_language(compiled: Callable[..., Any], small_encoder: Encoder) -> None:
    """Of two words a text has one: its hidden letters follow from the others."""
    vectors, batch = compiled(KIND, rows(), OPTIONS)
    head = head_on(small_encoder)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        KIND.head.loss(head(vectors, batch), batch, {}, OPTIONS).mean().backward()
        optimizer.step()
    head.eval()
    found = KIND.report.evaluate(KIND.head.scores(head(vectors, batch), batch, {}), batch.labels.numpy(), None, {})
    assert found["accuracy"] > 0.8 and found["perplexity"] < 6  # of 83


def test_blanks_are_filled_with_words(small_encoder: Encoder) -> None:
    tokenizer = small_encoder.tokenizer
    encoded = KIND.rows.encode(pa.table({"text": ["ab__ab ___", "ab"]}), {}, OPTIONS)
    block, stores = rows_in_memory(encoded, KIND.rows.slots(OPTIONS), tokenizer, 120)
    batch = assemble({"t": block}, {"t": stores}, Template.of(tokenizer, 120), 4096, torch.device("cpu"), salt=None)
    head = head_on(small_encoder).eval()
    with torch.no_grad():
        scores = KIND.head.scores(head(torch.cat([small_encoder(p) for p in batch.packed]), batch.tasks["t"]), batch.tasks["t"], {})
    two, one = KIND.report.answers(scores, {})
    assert list(two) == ["label", "probabilities", "probabilities 2"] and list(one) == ["label", "probabilities"]  # at the end
    assert two["label"] == ", ".join(next(iter(two[key])) for key in list(two)[1:]) and json.dumps(two)
    assert all(word.isalnum() for word in one["probabilities"]) and 0 < len(one["probabilities"]) <= 5
    values = list(one["probabilities"].values())
    assert values == sorted(values, reverse=True) and 0 < sum(values) < 1


def test_perplexity_by_hand() -> None:
    assert metrics.perplexity(np.log([2.0, 8.0]), np.array([1, 1])) == pytest.approx(4)
    assert metrics.perplexity(np.log([2.0, 8.0]), np.array([2, 1])) == pytest.approx(32 ** (1 / 3))
    assert np.isnan(metrics.perplexity(np.empty(0), np.empty(0))) and not is_better("perplexity", 3, 2)


def test_the_baseline_is_how_frequent_words_are() -> None:
    table, split = pa.table({"text": ["a a b", "a b c"]}), np.array(["train", "test"])
    found = KIND.rows.naive(table, split, {}, OPTIONS, "test")  # a: 3 of 6, b: 2 of 6, anything else: 1 of 6
    assert found == {"accuracy": pytest.approx(1 / 3), "perplexity": pytest.approx(36 ** (1 / 3))}
    assert KIND.rows.naive(table, split, {}, OPTIONS, "validation") == {}


def test_check() -> None:
    def codes(texts: list[str | None], split: list[str]) -> dict[str, Severity]:
        found = KIND.rows.check(pa.table({"text": pa.array(texts, pa.string()), "_line": range(len(texts))}), np.array(split), OPTIONS)
        assert all(p.why.text() and p.remedy.text() for p in found)
        return {p.code: p.severity for p in found}

    parts = ["train", "validation", "test"]
    assert codes(["x"] * 3, parts) == {}
    assert codes(["x", "y", "", None], [*parts, "test"]) == {"text_empty": Severity.WARNING, "no_rows_in_split": Severity.WARNING}
    assert codes(["", "y", "z"], parts) == {"text_empty": Severity.WARNING, "no_training_rows": Severity.ERROR}
