"""What the kinds share whose head reads one vector a row: of a text, or of two texts read together."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field as Setting

from mtl_core.base.messages import N_
from mtl_core.base.settings import Options
from mtl_core.tasks import common
from mtl_core.tasks.base import Field, Slot

SECOND = Field(
    "second",
    "text",
    N_("A second text, read together with the first."),
    required=False,
    many=True,
    aliases=("second", "text2", "text_b", "sentence2", "answer", "context"),
    label=N_("Second text"),
)


class VectorOptions(Options):
    hidden_size: int = Setting(
        0,
        ge=0,
        le=8192,
        title=N_("Hidden size"),
        description=N_("Size of a hidden layer before the output; 0: none."),
        json_schema_extra={"stops": [0, 64, 128, 256, 384, 512, 1024], "zero": N_("none")},
    )
    dropout: float = Setting(0.1, ge=0, le=0.9, title=N_("Dropout"), description=N_("Dropout probability in the head."))


def slots(fields: Collection[str] | None) -> tuple[Slot, ...]:
    """Of a kind with the fields `text` and, optionally, `second`; fields as for `Rows.slots`."""
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
