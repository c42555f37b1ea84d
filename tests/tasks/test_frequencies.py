"""Where heads over the vocabulary begin: at how frequent the words of the training texts are."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from mtl_core.model.encoder import Encoder
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import Spec
from mtl_core.tasks.frequencies import MOST_TEXTS, MOST_WORDS, log_frequencies, words_of


def texts_of(texts: list[str | None]) -> Spec:
    return words_of(pa.array(texts, pa.string()))


def test_words_and_signs_are_counted() -> None:
    assert texts_of(["ab b", None, "", "b!"]) == {"words": [["b", 2], ["ab", 1], ["!", 1]], "texts": 2}
    assert texts_of(["红色 red"])["words"] == [["红", 1], ["色", 1], ["red", 1]]
    many = texts_of([" ".join(f"w{i}" for i in range(MOST_WORDS + 9))])
    assert len(many["words"]) == MOST_WORDS and json.dumps(many)
    assert texts_of(["a"] * (MOST_TEXTS + 9)) == {"words": [["a", MOST_TEXTS]], "texts": MOST_TEXTS}


def test_tokens_begin_at_their_frequency(small_encoder: Encoder) -> None:
    """Tokens are characters: b 2, b within a word 1, a 1, ! 1, and the end of two texts, of 7; a twentieth is left to all tokens alike."""
    n, tokenizer = len(small_encoder.embeddings), small_encoder.tokenizer
    end = tokenizer.sep_token_id
    found = log_frequencies(texts_of(["ab b", "b!"]), small_encoder, end)
    assert found.dtype == np.float32
    found = np.exp(found)
    assert float(found.sum()) == pytest.approx(1, rel=1e-5)
    shares = dict(zip(tokenizer.convert_tokens_to_ids(["b", "##b", "a", "!"]), (2, 1, 1, 1), strict=True)) | {end: 2}
    wanted = np.array([0.95 * shares.get(i, 0) / 7 + 0.05 / n for i in range(n)])
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_without_words_all_tokens_are_alike(small_encoder: Encoder) -> None:
    assert len(np.unique(log_frequencies({}, small_encoder))) == 1
    assert len(np.unique(log_frequencies(texts_of([]), small_encoder, 3))) == 1


def test_a_checkpoint_is_loaded_without_numbers(small_encoder: Encoder) -> None:
    kind = KINDS["masked_language_modelling"]
    with torch.device("meta"):
        module = kind.head.module(small_encoder.hidden, texts_of(["ab"]), kind.Options())
        module.tie(small_encoder)
    assert module.bias.is_meta
