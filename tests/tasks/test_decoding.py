"""The small decoder and how texts come out of it: with and without the cache, greedy, by beams, sampled."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtl_core.model.encoder import Encoder
from mtl_core.tasks.generation.decoding import Decoder, Decoding
from mtl_core.tasks.heads import Tokens

HIDDEN, LONGEST = 32, 12


def flat(lists: list[list[int]], index: bool = True) -> Tokens:
    ids, offsets = torch.tensor([i for one in lists for i in one], dtype=torch.long), torch.tensor(np.cumsum([0, *map(len, lists)]))
    nothing = torch.zeros(len(ids), dtype=torch.long)
    return Tokens(torch.arange(len(ids)) if index else None, offsets, ids, nothing, torch.zeros(len(ids), 2), nothing.bool())


SOURCE = flat([[2, 5, 6, 3], [2, 7, 3], [], [2, 8, 9, 10, 11, 3]])
VECTORS = torch.randn(len(SOURCE.ids), HIDDEN, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def decoder(small_encoder: Encoder) -> Decoder:
    torch.manual_seed(3)
    made = Decoder(HIDDEN, small_encoder, layers=2, heads=8, dropout=0.0, longest=LONGEST, spec={}).eval()
    with torch.no_grad():
        made.bias.normal_()  # an untrained one likes all tokens alike
        made.leave.weight.mul_(20)
    return made


def without_cache(decoder: Decoder, written: list[list[int]]) -> Tensor:
    """(B, V): logits of what comes behind `written`, everything computed anew."""
    taught = decoder.teach(VECTORS, SOURCE, flat(written, index=False), LONGEST)
    return taught.logits[taught.rows.bincount().cumsum(0) - 1]


@torch.no_grad()
def test_the_cache_changes_nothing(decoder: Decoder) -> None:
    written: list[list[int]] = [[] for _ in range(4)]
    state, ids = decoder.begin(VECTORS, SOURCE), None
    for step in range(6):
        logits = decoder.step(state, ids)
        torch.testing.assert_close(logits, without_cache(decoder, written), rtol=1e-4, atol=1e-5)
        ids = torch.tensor([(7 * step + 5 * row) % 60 + 5 for row in range(4)])
        written = [[*row, int(new)] for row, new in zip(written, ids, strict=True)]
        rows = torch.tensor([2, 0, 1, 3])  # and back again: rows keep what is theirs
        state = decoder.pick(decoder.pick(state, rows), rows.argsort())


@torch.no_grad()
def test_probabilities_sum_to_one_and_may_be_copied(decoder: Decoder) -> None:
    state = decoder.begin(VECTORS, SOURCE)
    torch.testing.assert_close(decoder.step(state, None).exp().sum(1), torch.ones(4), rtol=1e-4, atol=1e-4)
    decoder.gate.weight.zero_()
    decoder.gate.bias.fill_(-30)  # copies only
    found = decoder.step(decoder.begin(VECTORS, SOURCE), None).exp()
    assert [set((row > 1e-6).nonzero()[:, 0].tolist()) for row in found] == [{2, 5, 6, 3}, {2, 7, 3}, {0}, {2, 8, 9, 10, 11, 3}]


@torch.no_grad()
def test_one_beam_takes_the_likeliest_token(decoder: Decoder) -> None:
    banned = [0, 1, 2, 4]
    written = Decoding(LONGEST, banned).search(decoder, decoder.begin(VECTORS, SOURCE), 4, 1)
    texts: list[list[int]] = [[] for _ in range(4)]
    while max(map(len, texts)) < LONGEST and not all(decoder.end in row for row in texts):
        logits = without_cache(decoder, texts)
        logits[:, banned] = -math.inf
        texts = [[*row, decoder.end if decoder.end in row else int(new)] for row, new in zip(texts, logits.argmax(1), strict=True)]
    assert written.tolist() == texts


class Chain:
    """Writes by hand: the next token depends on the last. 0 ends. Greedy goes 1, 3, …; the likeliest text is 2, 0."""

    end = 0
    table = torch.tensor(
        [
            [0.25, 0.25, 0.25, 0.25],
            [0.30, 0.05, 0.25, 0.40],  # after 1
            [0.97, 0.01, 0.01, 0.01],  # after 2
            [0.40, 0.20, 0.20, 0.20],  # after 3
        ]
    )
    first = torch.tensor([0.02, 0.50, 0.45, 0.03])

    def step(self, state: Tensor, ids: Tensor | None) -> Tensor:
        return (self.first.repeat(len(state), 1) if ids is None else self.table[ids]).log()

    def pick(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows]


def test_beams_find_what_greedy_misses() -> None:
    state, writer = torch.arange(3), Chain()
    assert Decoding(6).search(writer, state, 3, 1).tolist() == [[1, 3, 0]] * 3  # type: ignore[arg-type]
    assert [row[:2] for row in Decoding(6).search(writer, state, 3, 2).tolist()] == [[2, 0]] * 3  # type: ignore[arg-type]
    assert Decoding(6, [2]).search(writer, state, 3, 3).eq(2).sum() == 0  # type: ignore[arg-type]
    assert Decoding(1).search(writer, state, 3, 2).shape == (3, 1)  # type: ignore[arg-type]


def test_samples_follow_the_probabilities() -> None:
    state, writer = torch.arange(4000), Chain()

    def drawn(temperature: float, top_p: float) -> list[float]:
        generator = torch.Generator().manual_seed(0)
        found: Any = Decoding(5).sample(writer, state, temperature, top_p, generator)  # type: ignore[arg-type]
        ends = (found == 0).int().argmax(1)
        assert all(set(row[e:]) == {0} for row, e in zip(found.tolist(), ends.tolist(), strict=True) if row[e] == 0)
        return (found[:, 0].bincount(minlength=4) / 4000).tolist()

    np.testing.assert_allclose(drawn(1.0, 1.0), [0.02, 0.50, 0.45, 0.03], atol=0.03)
    np.testing.assert_allclose(drawn(1.0, 0.6), [0, 0.50 / 0.95, 0.45 / 0.95, 0], atol=0.03)
    assert drawn(0.01, 1.0)[1] == pytest.approx(1.0, abs=0.01) and drawn(1.0, 0.4)[1] == 1.0


def test_a_target_that_is_too_long_is_cut_and_has_no_end(decoder: Decoder) -> None:
    taught = decoder.teach(VECTORS, SOURCE, flat([[5] * LONGEST, [6] * (LONGEST + 3), [], [7]], index=False), LONGEST)
    assert taught.rows.bincount().tolist() == [LONGEST + 1, LONGEST, 1, 2] and len(taught.logits) == len(taught.wanted)
    assert taught.wanted[taught.rows == 1].tolist() == [6] * LONGEST and taught.wanted[taught.rows == 3].tolist() == [7, decoder.end]


class Narrow:
    """A vocabulary whose words are narrower than the encoder's states."""

    embeddings = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))

    class tokenizer:
        bos_token_id, cls_token_id, eos_token_id, sep_token_id, pad_token_id = 1, None, 2, None, 0


@torch.no_grad()
def test_words_may_be_narrower_than_states() -> None:
    torch.manual_seed(0)
    decoder = Decoder(HIDDEN, Narrow(), layers=1, heads=6, dropout=0.0, longest=LONGEST, spec={}).eval()  # type: ignore[arg-type]
    assert (decoder.start, decoder.end, decoder.layers[0].heads) == (1, 2, 2)
    assert decoder.step(decoder.begin(VECTORS, SOURCE), None).shape == (4, 30)
    alone, together = ([*map(tuple, Decoding(LONGEST).search(decoder, s, n, 3).tolist())] for s, n in _begun(decoder))
    assert [row[: len(alone[0])] for row in together[1:2]] == [row[: len(together[0])] for row in alone]


def _begun(decoder: Decoder) -> list[tuple[Any, int]]:
    """The second row alone, and all of them: what is written to one does not depend on the others."""
    return [(decoder.pick(decoder.begin(VECTORS, SOURCE), torch.tensor([1])), 1), (decoder.begin(VECTORS, SOURCE), 4)]
