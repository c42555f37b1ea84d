"""A step holds each distinct text once, longest first, in micro-batches under the budget; every row finds its own texts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_core.data.compiled import Reading, RowBlock
from mtl_core.model.encoder import Template
from mtl_core.runtime.batches import StepBatch, assemble

CPU = torch.device("cpu")
TEMPLATE = Template((np.array([1]), np.array([2])), (np.array([1]), np.array([2]), np.array([2])), 1, 12)


class Texts:
    """Text i is `lengths[i]` times the token 10 + i."""

    def __init__(self, lengths: list[int], shift: int = 0):
        self._lengths, self._shift = lengths, shift

    @property
    def hashes(self) -> np.ndarray:
        return np.arange(len(self._lengths), dtype=np.uint64) + np.uint64(self._shift)

    def ids(self, i: int) -> np.ndarray:
        return np.full(self._lengths[i], 10 + self._shift + i)

    def chars(self, i: int) -> np.ndarray:
        return np.stack([np.arange(self._lengths[i]), np.arange(self._lengths[i]) + 1], axis=1)


def texts_of(batch: object) -> list[list[int]]:
    """The sequences of a step, in the order of their vectors."""
    return [ids.tolist() for packed in batch.packed for ids in packed.ids.split(packed.lengths)]  # type: ignore[attr-defined]


def test_by_hand() -> None:
    texts = Texts([3, 1, 5])
    blocks = {
        "one": RowBlock({"text": (np.array([0, 1, 0]), None)}, labels=np.array([1.0, 0.0, 1.0], np.float32)),
        "many": RowBlock({"history": (np.array([2, 1]), np.array([0, 2, 2])), "item": (np.array([0, 2]), None)}),
        "pair": RowBlock({"pair": (np.array([[0, 1], [1, 0]]), None)}),
    }
    stores = {"one": {"text": texts}, "many": {"history": texts, "item": texts}, "pair": {"pair": (texts, texts)}}
    batch = assemble(blocks, stores, TEMPLATE, 1000, CPU)
    found = texts_of(batch)
    assert sorted(found) == sorted(
        [[1, 12, 12, 12, 12, 12, 2], [1, 10, 10, 10, 2, 11, 2], [1, 11, 2, 10, 10, 10, 2], [1, 10, 10, 10, 2], [1, 11, 2]]
    )
    assert [len(t) for t in found] == [7, 7, 7, 5, 3]
    place = batch.tasks["one"].slots["text"].index
    assert [found[i] for i in place] == [[1, 10, 10, 10, 2], [1, 11, 2], [1, 10, 10, 10, 2]]
    history = batch.tasks["many"].slots["history"]
    assert history.offsets is not None and history.offsets.tolist() == [0, 2, 2]
    assert [found[i][1] for i in history.index] == [12, 11]
    assert [found[i] for i in batch.tasks["pair"].slots["pair"].index] == [[1, 10, 10, 10, 2, 11, 2], [1, 11, 2, 10, 10, 10, 2]]
    assert batch.token_ids.tolist() == [1, 2, 10, 11, 12]
    assert batch.tokens == (5 + 3 + 5) + (7 + 3) + (5 + 7) + (7 + 7)
    types = batch.packed[0].token_types
    assert types[: 3 * 7].reshape(3, 7).sum() == 2 + 4, "the second text of a pair is of the other type"


def test_apart_no_text_is_shared_by_two_tasks() -> None:
    texts = Texts([3, 1, 5])
    blocks = {
        "a": RowBlock({"text": (np.array([0, 1, 0]), None)}),
        "b": RowBlock({"text": (np.array([1, 2]), None), "pair": (np.array([[0, 1], [0, 1]]), None)}),
    }
    stores = {"a": {"text": texts}, "b": {"text": texts, "pair": (texts, texts)}}
    for apart in (False, True):
        batch = assemble(blocks, stores, TEMPLATE, 1000, CPU, apart=apart)
        found = texts_of(batch)
        assert sorted(map(len, found)) == ([3, 3, 5, 7, 7] if apart else [3, 5, 7, 7])
        for task, place in (("a", 0), ("b", 1)):
            for slot in batch.tasks[task].slots.values():
                owners = batch.owners[slot.index.numpy()].tolist()
                assert set(owners) == {place} if apart else 0 in owners or place in owners
        assert [found[i] for i in batch.tasks["b"].slots["text"].index] == [[1, 11, 2], [1, 12, 12, 12, 12, 12, 2]]


def states_of(batch: StepBatch) -> list[tuple[int, ...]]:
    """What stands for each row that the encoder would give: (token ids of the text) or (token id,)."""
    rows: list[tuple[int, ...]] = []
    for packed in batch.packed:
        rows += [tuple(ids.tolist()) for ids in packed.ids.split(packed.lengths)]
        rows += [(int(token),) for token in packed.ids[packed.kept]] if packed.kept is not None else []
    return rows


@pytest.mark.parametrize("budget", [1000, 8])
def test_tokens_find_their_states(budget: int) -> None:
    texts = Texts([3, 1, 5, 20])
    blocks = {
        "spans": RowBlock({"text": (np.array([2, 0, 2, 3]), None)}, readings={"text": Reading("tokens")}),
        "class": RowBlock({"text": (np.array([1, 0]), None)}),
        "answer": RowBlock({"pair": (np.array([[0, 1], [3, 3]]), None)}, readings={"pair": Reading("tokens")}),
        "write": RowBlock({"target": (np.array([1, 2]), None)}, readings={"target": Reading("ids")}),
    }
    stores = {"spans": {"text": texts}, "class": {"text": texts}, "answer": {"pair": (texts, texts)}, "write": {"target": texts}}
    batch = assemble(blocks, stores, TEMPLATE, budget, CPU)
    rows = states_of(batch)
    assert sum(p.n_rows for p in batch.packed) == len(rows)
    assert [rows[i] for i in batch.tasks["class"].slots["text"].index] == [(1, 11, 2), (1, 10, 10, 10, 2)]
    for task, slot in (("spans", "text"), ("answer", "pair")):
        found = batch.tasks[task].slots[slot]
        assert found.tokens is not None and found.tokens.index is not None
        assert [rows[i] for i in found.tokens.index] == [(int(t),) for t in found.tokens.ids]
        for r, at in enumerate(found.index):
            one = slice(*found.tokens.offsets[r : r + 2])
            assert tuple(found.tokens.ids[one].tolist()) == rows[at]
            assert (found.tokens.rows[one] == r).all()
    tokens = batch.tasks["answer"].slots["pair"].tokens
    assert tokens.part.tolist() == [-1, 0, 0, 0, -1, 1, -1, -1, *[0] * 5, -1, *[1] * 4, -1]
    assert tokens.chars[5].tolist() == [0, 1] and tokens.chars[12].tolist() == [4, 5] and not tokens.masked.any()
    target = batch.tasks["write"].slots["target"]
    assert len(target.index) == 0 and target.tokens.index is None
    assert target.tokens.ids.tolist() == [11, 12, 12, 12, 12, 12] and target.tokens.offsets.tolist() == [0, 1, 6]
    assert batch.tasks["write"].n_rows == 2


def test_masks_are_drawn_by_salt_and_text() -> None:
    template = replace(TEMPLATE, max_length=60, mask=4, vocabulary=9)
    texts = Texts([50, 50, 0])
    block = RowBlock({"text": (np.array([0, 1, 0, 2]), None)}, readings={"text": Reading("tokens", 0.2)})
    plain = RowBlock({"text": (np.array([0]), None)})
    stores = {"words": {"text": texts}, "class": {"text": texts}}

    def seen(salt: int) -> StepBatch:
        return assemble({"words": block, "class": plain}, stores, template, 1000, CPU, salt=salt)

    one, again, other = seen(1), seen(1), seen(2)
    assert torch.equal(one.packed[0].ids, again.packed[0].ids) and not torch.equal(one.packed[0].ids, other.packed[0].ids)
    tokens = one.tasks["words"].slots["text"].tokens
    rows = states_of(one)
    assert [int(tokens.masked[slice(*tokens.offsets[r : r + 2])].sum()) for r in range(4)] == [10, 10, 10, 0]
    hidden = [(int(t), rows[i][0]) for t, i in zip(tokens.ids[tokens.masked], tokens.index[tokens.masked], strict=True)]
    assert {t for t, _ in hidden} == {10, 11} and sum(now == 4 for _, now in hidden) > 15
    kept = [(int(t), rows[i][0]) for t, i in zip(tokens.ids[~tokens.masked], tokens.index[~tokens.masked], strict=True)]
    assert all(t == now for t, now in kept) and not tokens.masked[tokens.part < 0].any()
    assert rows[one.tasks["class"].slots["text"].index[0]] == (1, *[10] * 50, 2), "another task sees the text as it is"


def test_tasks_that_hide_different_shares_see_their_own_masks() -> None:
    template, texts = replace(TEMPLATE, max_length=60, mask=4, vocabulary=9), Texts([50])
    blocks = {
        str(share): RowBlock({"text": (np.array([0]), None)}, readings={"text": Reading("tokens", share)}) for share in (0.1, 0.1001, 0.4)
    }
    batch = assemble(blocks, {task: {"text": texts} for task in blocks}, template, 1000, CPU)
    rows = states_of(batch)
    for task, n in (("0.1", 5), ("0.1001", 5), ("0.4", 20)):
        tokens = batch.tasks[task].slots["text"].tokens
        seen = torch.tensor([rows[i][0] for i in tokens.index])
        assert int(tokens.masked.sum()) == n and torch.equal(seen[~tokens.masked], tokens.ids[~tokens.masked])


def test_a_task_without_texts_needs_no_encoder() -> None:
    batch = assemble({"table": RowBlock({}, np.zeros(4, np.float32), None, {"x": np.ones((4, 2))})}, {"table": {}}, TEMPLATE, 100, CPU)
    assert batch.packed == [] and batch.tokens == 0 and batch.tasks["table"].n_rows == 4


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=30), st.integers(12, 60), st.randoms(use_true_random=False))
def test_whatever_the_texts(lengths: list[int], budget: int, random: object) -> None:
    texts = Texts(lengths)
    codes = np.array([random.randrange(len(lengths)) for _ in range(40)])  # type: ignore[attr-defined]
    batch = assemble({"a": RowBlock({"text": (codes, None)})}, {"a": {"text": texts}}, TEMPLATE, budget, CPU)
    found = texts_of(batch)
    assert len(found) == len(set(codes.tolist())), "each distinct text once"
    assert [len(t) for t in found] == sorted(map(len, found), reverse=True)
    assert all(sum(packed.lengths) <= budget for packed in batch.packed)
    for code, place in zip(codes, batch.tasks["a"].slots["text"].index, strict=True):
        assert found[place] == TEMPLATE.one(texts.ids(code))[0].tolist()
