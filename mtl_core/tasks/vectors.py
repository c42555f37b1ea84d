"""What the kinds share whose head reads one vector a row: of a text, or of two texts read together."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field as Setting
from torch import Tensor, nn

from mtl_core.base.messages import N_
from mtl_core.base.settings import Options
from mtl_core.tasks import common
from mtl_core.tasks.base import Field, Slot, TaskBatch

SECOND = Field(
    "second",
    "text",
    N_("A second text, read together with the first."),
    required=False,
    many=True,
    aliases=("second", "text2", "text_b", "sentence2", "answer", "context"),
)


class VectorOptions(Options):
    hidden_size: int = Setting(
        0, ge=0, le=8192, title=N_("Hidden size"), description=N_("Width of a fully connected layer before the output; 0 for none.")
    )
    dropout: float = Setting(0.1, ge=0, le=0.9, title=N_("Dropout"), description=N_("Share of values dropped in the head while training."))


class VectorHead(nn.Module):
    """Layer norm, dropout, optionally a fully connected layer, then n numbers a row, which begin at the logits of `prior` (None: at 0)."""

    def __init__(self, hidden: int, n: int, options: VectorOptions, prior: float | Sequence[float] | None = None):
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(hidden), nn.Dropout(options.dropout))
        if options.hidden_size:
            self.layers.extend([nn.Linear(hidden, options.hidden_size), nn.GELU(), nn.Dropout(options.dropout)])
        self.layers.append(common.output_layer(options.hidden_size or hidden, n, prior))

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (S, H) → (R, n)."""
        slot = batch.slots["pair"] if "pair" in batch.slots else batch.slots["text"]
        return self.layers(vectors[slot.index])


def slots(fields: Collection[str] | None) -> tuple[Slot, ...]:
    """Of a kind with the fields `text` and, optionally, `second`; fields as for `TaskKind.slots`."""
    both = (Slot("text"), Slot("pair", "pair"))
    return both if fields is None else both[1:] if "second" in fields else both[:1]


def columns(table: pa.Table) -> dict[str, Any]:
    """The slot's column of an encoded table."""
    text = common.texts(table["text"])
    return {"pair": common.pairs(text, common.texts(table["second"]))} if "second" in table.column_names else {"text": text}


def word_features(encoded: pa.Table, train: np.ndarray, *rows: np.ndarray) -> list[Any]:
    """TF-IDF of words and word pairs, counted in the rows `train`, of these and of others: sparse (n, W) each. For naive baselines."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = common.joined(encoded["pair"]) if "pair" in encoded.column_names else common.plain(encoded["text"])
    words = [texts.take(pa.array(r)).to_pylist() for r in (train, *rows)]
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=common.WORD, max_features=100_000)
    vectorizer.fit([*words[0], "a"])  # at least one word
    return [vectorizer.transform(part) for part in words]
