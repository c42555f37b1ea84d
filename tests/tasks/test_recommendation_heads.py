"""Recommendation: attention over a history, users against any items, the losses over a step's rows, all by hand."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn import functional as F

from mtl_core.tasks import KINDS
from mtl_core.tasks.heads import SlotIndex, TaskBatch
from mtl_core.tasks.recommendation.modules import History, Matched

KIND = KINDS["recommendation"]
SPEC = {"prior": 0.2}


def options(**chosen: object) -> Any:
    return KIND.Options(dropout=0.0, hidden_size=8, **chosen)


BPR, IN_BATCH = options(loss="bpr"), options(loss="in_batch", scoring="dot")


def batch_of(
    histories: list[list[int]], items: list[int], labels: list[int] | None = None, groups: Sequence[tuple[int, int]] = ()
) -> TaskBatch:
    """Rows whose texts are given by their number; groups: (user, list)."""
    slots = {
        "history": SlotIndex(
            torch.tensor([i for one in histories for i in one], dtype=torch.long), torch.tensor(np.cumsum([0, *map(len, histories)]))
        ),
        "item": SlotIndex(torch.tensor(items)),
    }
    found = torch.tensor([user << 32 | ranked for user, ranked in groups]) if groups else None
    return TaskBatch(slots, labels=None if labels is None else torch.tensor(labels, dtype=torch.float32), groups=found)


def test_attention_begins_as_the_mean() -> None:
    torch.manual_seed(0)
    attention, mean = (History(5, options(history=how)) for how in ("attention", "mean"))
    mean.load_state_dict({"empty": attention.empty})
    vectors, history = torch.randn(4, 5), batch_of([[0, 1, 2], [], [3]], [0] * 3).slots["history"]
    torch.testing.assert_close(attention(vectors, history), mean(vectors, history))
    torch.testing.assert_close(attention(vectors, history)[1], attention.empty)


def test_attention_weighs_by_content_and_place_from_the_newest() -> None:
    torch.manual_seed(0)
    pool, vectors = History(5, options(history="attention")), torch.randn(3, 5)
    with torch.no_grad():
        pool.query.normal_()
        pool.places[:3] = torch.tensor([2.0, 0.5, -1.0])
        pool.places[-1] = 7.0
    history = batch_of([[0], [1, 2, 0]], [0, 0]).slots["history"]
    found = pool.weights(vectors, history.index, history.offsets)
    content = [float(F.layer_norm(vectors[i], (5,)) @ pool.query.detach()) / math.sqrt(5) for i in (1, 2, 0)]
    powers = np.exp(np.add(content, [-1.0, 0.5, 2.0]))
    np.testing.assert_allclose(found.detach(), [1, *(powers / powers.sum())], rtol=1e-5)
    wanted = torch.tensor(powers / powers.sum(), dtype=torch.float32) @ vectors[[1, 2, 0]]
    torch.testing.assert_close(pool(vectors, history)[1], wanted)
    long = batch_of([[0] * 203], [0]).slots["history"]
    weights = pool.weights(vectors, long.index, long.offsets)
    torch.testing.assert_close(weights[:4], weights[:1].expand(4), msg="beyond the places told apart all count as the last of them")
    assert weights[0] > weights[4] and float(weights.detach().sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("chosen", [options(), options(scoring="dot"), IN_BATCH, options(scoring="dot", history="attention")])
def test_any_item_is_scored_as_if_it_were_the_rows_own(chosen: object) -> None:
    torch.manual_seed(0)
    head, vectors = KIND.head.module(6, SPEC, chosen), torch.randn(5, 6)
    for parameter in head.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    rows = batch_of([[0, 1], [], [4, 4, 2]], [0, 0, 0])
    found = head.match(head.users(vectors, rows), vectors)
    assert found.shape == (3, 5)
    for item in range(5):
        wanted = head(vectors, batch_of([[0, 1], [], [4, 4, 2]], [item] * 3))
        torch.testing.assert_close(found[:, item], wanted.logits if isinstance(wanted, Matched) else wanted)


def test_the_dot_product_begins_with_likeness() -> None:
    torch.manual_seed(0)
    head, vectors = KIND.head.module(6, SPEC, options(scoring="dot")), torch.randn(3, 6)
    found = head.match(head.users(vectors, batch_of([[0], [1], [2]], [0] * 3)), vectors)
    torch.testing.assert_close(found, found.T)
    assert float(head.bias.detach()) == pytest.approx(math.log(0.2 / 0.8))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_bpr_compares_the_rows_of_a_list() -> None:
    scores = torch.tensor([1.0, 0.5, 2.0, -1.0, 0.3, 0.7])
    groups = [(0, 0), (0, 0), (0, 0), (0, 1), (1, 2), (1, 2)]
    found = KIND.head.loss(scores, batch_of([[]] * 6, [0] * 6, [1, 0, 0, 0, 1, 1], groups), {}, BPR)
    first, second = softplus(0.5 - 1), softplus(2 - 1)
    alone = [softplus(-1), softplus(-0.3), softplus(-0.7)]  # against a score of 0: another list of the user is another moment
    np.testing.assert_allclose(found, [(first + second) / 2, first, second, *alone], rtol=1e-6)


def test_bpr_with_several_chosen_takes_all_pairs_and_moves_every_row() -> None:
    scores = torch.tensor([0.1, 0.2, 0.3, 0.4], requires_grad=True)
    losses = KIND.head.loss(scores, batch_of([[]] * 4, [0] * 4, [1, 1, 0, 1], [(0, 0)] * 3 + [(1, 1)]), {}, BPR)
    assert float(losses[2].detach()) == pytest.approx((softplus(0.2) + softplus(0.1)) / 2)
    losses.mean().backward()
    assert scores.grad is not None and (scores.grad[[0, 1, 3]] < 0).all() and scores.grad[2] > 0


def matched(logits: np.ndarray, own: list[int], bias: float = 0.0) -> Matched:
    """logits: (R, I) of every row's user with every item."""
    users = torch.tensor(logits, dtype=torch.float32).requires_grad_()
    return Matched(users[torch.arange(len(own)), own] + bias, users, torch.eye(logits.shape[1]), torch.tensor(own))


def test_in_batch_softmax_over_the_items_of_the_step() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 3))
    own, labels = [0, 1, 0, 2, 2], [1, 0, 1, 1, 0]
    groups = [(0, 0), (0, 0), (1, 1), (0, 2), (2, 3)]
    found = KIND.head.loss(matched(logits, own), batch_of([[]] * 5, own, labels, groups), {}, IN_BATCH)
    powers = np.exp(logits)
    wanted = [
        -np.log(powers[0, 0] / (powers[0, 0] + powers[0, 1])),  # user 0 chose item 2 in another row: no candidate against item 0
        0,
        -np.log(powers[2, 0] / powers[2].sum()),  # item 0 stands in two rows and counts once
        -np.log(powers[3, 2] / (powers[3, 2] + powers[3, 1])),
        0,
    ]
    np.testing.assert_allclose(found.detach(), np.array(wanted) * 5 / 3, rtol=1e-5)
    assert float(found.detach().mean()) == pytest.approx(np.sum(wanted) / 3, rel=1e-5), "the mean over the rows is that over the chosen"


def test_in_batch_lowers_often_drawn_items() -> None:
    logits, own = np.random.default_rng(0).normal(size=(2, 2)), [0, 1]
    batch = batch_of([[]] * 2, own, [1, 0], [(0, 0), (1, 1)])
    batch.features["log_count"] = torch.log(torch.tensor([[6.0], [2.0]]))
    found = KIND.head.loss(matched(logits, own), batch, {}, IN_BATCH)
    powers = np.exp(logits[0]) / [6, 2]
    assert float(found[0].detach()) == pytest.approx(2 * -np.log(powers[0] / powers.sum()), rel=1e-5)


def test_no_row_of_in_batch_is_useless() -> None:
    logits, own = np.array([[0.5, 1.0], [0.2, -0.3], [0.1, 0.4]]), [0, 1, 1]
    step = matched(logits, own)
    KIND.head.loss(step, batch_of([[]] * 3, own, [1, 0, 0], [(0, 0), (1, 1), (2, 2)]), {}, IN_BATCH).mean().backward()
    assert step.users.grad is not None and step.users.grad[0].all(), "what was not chosen is a candidate for others"

    alone = KIND.head.loss(matched(logits, own, 0.3), batch_of([[]] * 3, own, [0, 0, 0], [(0, 0), (1, 1), (2, 2)]), {}, IN_BATCH)
    np.testing.assert_allclose(alone.detach(), [softplus(x + 0.3) for x in (0.5, -0.3, 0.4)], rtol=1e-5)  # nothing chosen: cross-entropy
    both = KIND.head.loss(matched(logits[:2], own[:2]), batch_of([[]] * 2, own[:2], [1, 1], [(0, 0), (0, 1)]), {}, IN_BATCH)
    np.testing.assert_allclose(both.detach(), [softplus(-0.5), softplus(0.3)], rtol=1e-5)  # one user chose all there is

    mixed = np.array([[0.5, 1.0], [0.2, -0.3], [0.1, 0.4]])
    found = KIND.head.loss(matched(mixed, own), batch_of([[]] * 3, own, [1, 1, 1], [(0, 0), (0, 0), (1, 1)]), {}, IN_BATCH)
    np.testing.assert_allclose(found.detach(), [softplus(-0.5), softplus(0.3), softplus(0.1 - 0.4)], rtol=1e-5)


def shop(n: int, seed: int) -> pa.Table:
    """Lists of one item of the user's colour and three of others."""
    rng, colours = np.random.default_rng(seed), ["red", "blue", "green", "black"]
    rows = []
    for i in range(n):
        mine = rng.integers(4)
        for c in [mine, *(c for c in range(4) if c != mine)]:
            rows.append(([f"{colours[mine]} t{rng.integers(6)}" for _ in range(2)], f"{colours[c]} t{rng.integers(6)}", int(c == mine), i))
    return pa.table(dict(zip(("history", "item", "label", "list"), map(list, zip(*rows, strict=True)), strict=True)))


@pytest.mark.parametrize("chosen", [BPR, options(loss="bpr", scoring="dot", history="attention"), IN_BATCH])
def test_learns_with_every_loss(learn: Callable[..., dict[str, float]], chosen: object) -> None:
    found = learn(KIND, shop(60, 0), shop(40, 1), chosen, steps=60)
    assert found["auc"] > 0.85 and found["mrr"] > 0.85
