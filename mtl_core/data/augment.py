"""Texts as they might also have been written: a word left out, two words in another order, a slip of the keyboard.

"EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks" (https://arxiv.org/abs/1901.11196),
without its synonyms; slips as in "Synthetic and Natural Noise Both Break Neural Machine Translation"
(https://arxiv.org/abs/1711.02173). Each text is changed in a few ways before training, and tokenised like any other; a step draws
one of them for some of its texts. Evaluations see texts as they are.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pydantic import Field as Setting

from mtl_core.base.messages import N_
from mtl_core.base.settings import Options
from mtl_core.data.compiled import RowBlock, SlotLike, Stores
from mtl_core.data.tokens import TextStore, distinct_texts, write_texts
from mtl_core.data.values import Column

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ROWS_OF_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEIGHBOURS = {row[i]: row[max(i - 1, 0) : i] + row[i + 1 : i + 2] for row in _ROWS_OF_KEYS for i in range(len(row))}


class AugmentationConfig(Options):
    share: float = Setting(
        0.0,
        ge=0,
        le=1,
        title=N_("Augmented texts"),
        description=N_("Fraction of a step's texts that are augmented; 0: none. Never in evaluation."),
        json_schema_extra={"stops": [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1], "zero": N_("off")},
    )
    word_dropout: float = Setting(0.1, ge=0, le=0.9, title=N_("Word dropout"), description=N_("Probability of dropping each word."))
    swaps: float = Setting(0.05, ge=0, le=0.9, title=N_("Word swap"), description=N_("Probability of swapping each word with the next."))
    typos: float = Setting(0.05, ge=0, le=0.9, title=N_("Typos"), description=N_("Probability of a typing error in each word."))
    variants: int = Setting(
        4,
        ge=1,
        le=16,
        title=N_("Variants"),
        description=N_("Number of augmented versions of each text, made before training; a step draws one."),
    )


def changed(text: str, options: AugmentationConfig, rng: np.random.Generator) -> str:
    """At least one word is left. Where nothing separates words, as in Chinese, characters take their place."""
    gap = " " if " " in text.strip() or text.isascii() else ""
    words = text.split() if gap else list(text)
    kept = [word for word, draw in zip(words, rng.random(len(words)), strict=True) if draw >= options.word_dropout] or words[:1]
    for i in np.flatnonzero(rng.random(max(len(kept) - 1, 0)) < options.swaps):
        kept[i], kept[i + 1] = kept[i + 1], kept[i]
    slips = rng.random(len(kept)) < options.typos
    return gap.join(_slip(word, rng) if slip else word for word, slip in zip(kept, slips, strict=True))


def _slip(word: str, rng: np.random.Generator) -> str:
    """One letter left out, doubled, swapped with the next, or a neighbour of it on the keyboard. Words without such letters stay."""
    places = [i for i, letter in enumerate(word) if letter.lower() in NEIGHBOURS]
    if len(places) < 2:
        return word
    i, how = int(rng.choice(places)), int(rng.integers(4))
    letter, after = word[i], word[i + 1 :]
    if how == 0:
        return word[:i] + after
    if how == 1:
        return word[:i] + letter * 2 + after
    if how == 2 and after:
        return word[:i] + after[0] + letter + after[1:]
    return word[:i] + str(rng.choice(list(NEIGHBOURS[letter.lower()]))) + after


class VariedTexts:
    """A store and variants of its texts: text i as it is, i + T · v in its v-th variant. As `tokens.TextStore`."""

    def __init__(self, stores: Sequence[TextStore]):
        self.stores, self.n_texts = stores, len(stores[0])
        self.hashes = np.concatenate([store.hashes for store in stores])

    def ids(self, i: int) -> np.ndarray:
        variant, text = divmod(int(i), self.n_texts)
        return self.stores[variant].ids(text)

    def chars(self, i: int) -> np.ndarray:
        variant, text = divmod(int(i), self.n_texts)
        return self.stores[variant].chars(text)


Varied = dict[str, VariedTexts | tuple[VariedTexts, VariedTexts]]
"""Slot → its texts with their variants; of a pair for each half."""


def vary(
    encoded: pa.Table,
    slots: Sequence[SlotLike],
    stores: Stores,
    options: AugmentationConfig,
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
) -> Varied:
    """encoded, slots, stores: as `compile_task` had and made them. Only slots of which vectors are read: spans and targets stay as they
    are. Variants lie beside their store and are made when missing."""

    def of(texts: Column, store: TextStore) -> VariedTexts:
        state = json.dumps(options.model_dump(exclude={"share", "variants"}), sort_keys=True)
        name = f"{store.path.stem}-{hashlib.sha256(state.encode()).hexdigest()[:16]}"
        paths = [store.path.with_name(f"{name}-{v}.arrow") for v in range(options.variants)]
        for v, path in enumerate(paths):
            if not path.is_file():
                rng = np.random.default_rng(v)
                write_texts(path, pa.array([changed(t, options, rng) for t in distinct_texts(texts).to_pylist()]), tokenizer, max_length)
        return VariedTexts([store, *map(TextStore, paths)])

    found: Varied = {}
    for slot in slots:
        if slot.reads != "vector":
            continue
        column, store = encoded.column(slot.name), stores[slot.name]
        if isinstance(store, tuple):
            struct = column.combine_chunks()
            struct = pa.concat_arrays(struct.chunks) if isinstance(struct, pa.ChunkedArray) else struct
            found[slot.name] = of(struct.field(0), store[0]), of(struct.field(1), store[1])
        else:
            found[slot.name] = of(pa.chunked_array([c.flatten() for c in column.chunks]) if slot.shape == "many" else column, store)
    return found


def augmented(block: RowBlock, varied: Varied, options: AugmentationConfig, rng: np.random.Generator) -> RowBlock:
    """The rows with some of their texts in a variant, a text in the same one wherever it stands: losses ask which rows have one text.
    varied: see `vary`."""
    slots = dict(block.slots)
    for slot, texts in varied.items():
        codes, offsets = slots[slot]
        n_texts = np.array([t.n_texts for t in texts] if isinstance(texts, tuple) else texts.n_texts)
        texts_of, place = np.unique(codes, return_inverse=True)
        variant = rng.integers(1, options.variants + 1, len(texts_of)) * (rng.random(len(texts_of)) < options.share)
        slots[slot] = codes + n_texts * variant[place.reshape(codes.shape)], offsets
    return replace(block, slots=slots)
