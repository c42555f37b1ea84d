"""Texts are changed for training only, in a few ways made once; spans, targets and evaluations see them as they are."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mtl_core.data.augment import NEIGHBOURS, AugmentationConfig, augmented, changed, vary
from mtl_core.data.compiled import compile_task
from mtl_core.model.loading import load_tokenizer
from mtl_core.tasks.base import Slot

OFF = AugmentationConfig(word_dropout=0, swaps=0, typos=0)


def many(text: str, options: AugmentationConfig) -> list[str]:
    return [changed(text, options, np.random.default_rng(i)) for i in range(400)]


def test_with_every_chance_0_nothing_changes() -> None:
    assert set(many("a kettle, for two", OFF)) == {"a kettle, for two"}
    assert changed("", AugmentationConfig(), np.random.default_rng(0)) == ""


def test_words_are_left_out_by_their_chance_and_one_stays() -> None:
    found = many("one two three four five", OFF.model_copy(update={"word_dropout": 0.3}))
    assert np.mean([len(t.split()) for t in found]) == pytest.approx(3.5, abs=0.15)
    assert all(t.split() and set(t.split()) <= {"one", "two", "three", "four", "five"} for t in found)
    assert set(many("only", OFF.model_copy(update={"word_dropout": 0.9}))) == {"only"}


def test_swaps_keep_the_words() -> None:
    found = many("one two three", OFF.model_copy(update={"swaps": 0.5}))
    assert all(sorted(t.split()) == ["one", "three", "two"] for t in found)
    assert {"two one three", "one three two", "two three one"} <= set(found)


def test_a_slip_is_one_key_away() -> None:
    assert NEIGHBOURS["q"] == "w" and NEIGHBOURS["g"] == "fh"
    found = set(many("shoe", OFF.model_copy(update={"typos": 0.9}))) - {"shoe"}
    assert {"hoe", "sshoe", "hsoe", "ahoe", "shie"} <= found
    assert all(abs(len(t) - 4) <= 1 for t in found)
    assert set(many("42 ,", OFF.model_copy(update={"typos": 0.9}))) == {"42 ,"}


def test_characters_stand_for_words_where_nothing_separates_them() -> None:
    found = many("红色的水壶", OFF.model_copy(update={"word_dropout": 0.4}))
    assert any(1 < len(t) < 5 for t in found) and all(" " not in t for t in found)


def test_a_step_draws_texts_and_variants_by_their_share(tiny_encoder: Path, tmp_path: Path) -> None:
    tokenizer, slots = load_tokenizer(str(tiny_encoder)), (Slot("h", "many"), Slot("p", "pair"), Slot("t", reads="tokens"))
    words = [f"red kettle number {i}" for i in range(40)]
    pairs = pa.StructArray.from_arrays([pa.array(words), pa.array(words[::-1])], ["a", "b"])
    table = pa.table({"h": [[w, f"x {w}"] for w in words], "p": pairs, "t": words, "label": np.ones(40, np.float32)})
    rows = compile_task(table, slots, np.array(["train"] * 40), tokenizer=tokenizer, max_length=64, folder=tmp_path, key="k")
    options = AugmentationConfig(share=0.5, word_dropout=0.5, variants=3)
    varied = vary(table, slots, rows.stores, options, tokenizer, 64)
    assert set(varied) == {"h", "p"}, "whose tokens are read stays as it is"
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    vary(table, slots, rows.stores, options.model_copy(update={"share": 0.1}), tokenizer, 64)
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}, "made once"

    block = rows.take(np.arange(40))
    found = augmented(block, varied, options, np.random.default_rng(0))
    again = augmented(block, varied, options, np.random.default_rng(0))
    for slot in ("h", "p"):
        texts = varied[slot]
        n_texts = [t.n_texts for t in texts] if isinstance(texts, tuple) else texts.n_texts
        variant, code = np.divmod(found.slots[slot][0], n_texts)
        assert np.array_equal(code, block.slots[slot][0]) and np.array_equal(found.slots[slot][0], again.slots[slot][0])
        assert set(np.unique(variant)) == {0, 1, 2, 3} and 0.35 < (variant > 0).mean() < 0.65
    assert found.slots["t"] is block.slots["t"]
    twice = augmented(rows.take(np.repeat(np.arange(40), 2)), varied, options, np.random.default_rng(0)).slots["p"][0]
    assert np.array_equal(twice[::2], twice[1::2]), "equal texts stay equal"
    history = varied["h"]
    assert not isinstance(history, tuple)
    store = rows.stores["h"]
    assert not isinstance(store, tuple)
    as_is, other = history.ids(3), [history.ids(3 + v * history.n_texts) for v in (1, 2, 3)]
    assert np.array_equal(as_is, store.ids(3)) and all(len(o) <= len(as_is) for o in other)
    assert len(history.hashes) == 4 * history.n_texts and history.hashes[3] == store.hashes[3]
