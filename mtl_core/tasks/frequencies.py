"""How frequent words are in a shop's texts: where a head that gives every word a probability begins."""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mtl_core.tasks.base import Spec
from mtl_core.tasks.common import WORDS_AND_SIGNS, sample

if TYPE_CHECKING:
    from mtl_core.tasks.heads import Vocabulary

MOST_WORDS = 5000
MOST_TEXTS = 20_000
"""That are counted; more would hardly change how frequent words are."""

_UNSEEN = 0.05  # probability of all tokens together, whether they occur or not


def words_of(texts: pa.Array | pa.ChunkedArray) -> Spec:
    """words: the most frequent words and signs of texts, with how often they occur; texts: how many texts those are.

    texts: (N,) string; of many a sample, always the same.
    """
    found, n = Counter[str](), 0
    for text in texts.take(pa.array(sample(np.arange(len(texts)), MOST_TEXTS))).to_pylist():
        if text:
            found.update(WORDS_AND_SIGNS.findall(text))
            n += 1
    return {"words": [[word, times] for word, times in found.most_common(MOST_WORDS)], "texts": n}


def log_frequencies(spec: Spec, vocabulary: "Vocabulary", end: int | None = None) -> np.ndarray:
    """(V,) float32: log(0.95 · how frequent a token is in the texts of `words_of` + 0.05 / V). end: id of the token that ends each text.

    As the bias of logits over the vocabulary it lets training begin at the words of the shop, not at 30,000 words alike; as for classes
    in "Focal Loss for Dense Object Detection" (https://arxiv.org/abs/1708.02002).
    """
    n = len(vocabulary.embeddings)
    counts = np.zeros(n)
    if words := spec.get("words"):
        pieces = vocabulary.tokenizer([f" {word}" for word, _ in words], add_special_tokens=False)["input_ids"]
        for ids, (_, times) in zip(pieces, words, strict=True):
            np.add.at(counts, ids, times)
        if end is not None:
            counts[end] += spec["texts"]
    total = counts.sum()
    shares = (1 - _UNSEEN) * counts / total if total else counts
    return np.log(shares + _UNSEEN / n).astype(np.float32)
