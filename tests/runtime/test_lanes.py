"""Micro-batches side by side give the vectors and gradients of one call, the same ones every time, and leave no thread behind."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch.nn.utils.parametrizations import weight_norm

from mtl_core.model.encoder import Encoder
from mtl_core.model.packing import Packed
from mtl_core.runtime.lanes import Lanes
from mtl_core.training.gradients import TaskGradients
from mtl_core.training.passes import Pass
from tests.model.test_packing import FAMILIES, SMALL, encoder_of

CPU = torch.device("cpu")
LENGTHS = (14, 11, 11, 9, 7, 7, 5, 3, 2)
TOKEN_IDS = np.arange(5, 40)


@pytest.fixture
def encoder(tiny_encoder: Path) -> Encoder:
    return Encoder.load(str(tiny_encoder), max_length=16)


@pytest.fixture
def two(encoder: Encoder) -> Iterator[Lanes]:
    lanes = Lanes(encoder, CPU, "float32", n=2)
    yield lanes
    lanes.close()


def packed(n_parts: int) -> list[Packed]:
    random = np.random.default_rng(0)
    texts = [random.choice(TOKEN_IDS, n) for n in LENGTHS]
    cuts = np.array_split(np.arange(len(texts)), n_parts)
    return [Packed.of([texts[i] for i in part], [np.zeros(LENGTHS[i], np.int64) for i in part], CPU) for part in cuts]


def gradients(lanes: Lanes, n_parts: int) -> list[torch.Tensor]:
    """Of a loss that is no sum over texts."""
    if lanes.encoder.embeddings.requires_grad:
        lanes.encoder.begin_sparse_rows(TOKEN_IDS)
    encoded = Pass(lanes, packed(n_parts))
    torch.logsumexp(encoded.vectors @ encoded.vectors.T, dim=(0, 1)).backward()
    encoded.backward()
    found = [p.grad.clone() for p in lanes.encoder.learning() if p.grad is not None]
    for parameter in lanes.encoder.parameters():
        parameter.grad = None
    lanes.encoder.end_sparse_rows()
    return [encoded.vectors.detach(), *found]


@pytest.mark.parametrize("n_parts", [1, 2, 3, 6], ids="{} parts".format)
@pytest.mark.parametrize("trainable", ["full", "top:1"])
def test_gradients_are_those_of_one_call(encoder: Encoder, two: Lanes, n_parts: int, trainable: str) -> None:
    encoder.train_only(trainable)
    one = gradients(Lanes(encoder, CPU, "float32", n=1), 1)
    side_by_side = gradients(two, n_parts)
    assert len(one) == len(side_by_side) > (20 if trainable == "full" else 10)
    for a, b in zip(one, side_by_side, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_same_numbers_every_time(two: Lanes) -> None:
    first = gradients(two, 5)
    for _ in range(10):
        assert all(torch.equal(a, b) for a, b in zip(first, gradients(two, 5), strict=True))


def test_dropout_is_computed_again_as_it_was(tiny_encoder: Path) -> None:
    lanes = Lanes(Encoder.load(str(tiny_encoder), max_length=16, dropout=0.3), CPU, "float32")
    assert lanes.n == 1, "random numbers come in one order"
    lanes.encoder.train()
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(gradients(lanes, 3))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert not torch.equal(found[0][0], lanes.encode(packed(3)))


def test_a_frozen_encoder_is_gone_through_once(encoder: Encoder, two: Lanes) -> None:
    encoder.train_only("frozen")
    encoded = Pass(two, packed(2))
    assert not encoded.vectors.requires_grad
    encoded.backward()
    torch.testing.assert_close(encoded.vectors, two.encode(packed(1)))


def test_no_texts(two: Lanes) -> None:
    encoded = Pass(two, [])
    encoded.backward()
    assert encoded.vectors.shape == (0, 32)


def test_the_number_of_threads_elsewhere_stays(encoder: Encoder) -> None:
    before = torch.get_num_threads()
    lanes = Lanes(encoder, CPU, "float32", n=2)
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()

    def used(i: int) -> int:
        (torch.rand(300, 300, requires_grad=True) @ torch.rand(300, 300)).sum().backward()
        return torch.get_num_threads()

    assert set(lanes.each(range(4), used)) == {max(1, before // 2)}
    lanes.close()
    assert [torch.get_num_threads(), *seen] == [before, before]


def test_an_error_in_a_lane_is_raised(two: Lanes) -> None:
    broken = [*packed(1), Packed(torch.tensor([10_000]), torch.tensor([0]), torch.tensor([0]), (1,))]
    with pytest.raises(IndexError):
        two.encode(broken)


def loss(vectors: torch.Tensor) -> torch.Tensor:
    return torch.logsumexp(vectors @ vectors.T, dim=(0, 1))


def of_tasks(lanes: Lanes, n_parts: int, owners: np.ndarray, apart: bool) -> torch.Tensor:
    """(3, P): the gradients of three tasks, from one backward pass or from one a task."""
    if lanes.encoder.embeddings.requires_grad:
        lanes.encoder.begin_sparse_rows(TOKEN_IDS)
    rows, learning = TaskGradients(), lanes.encoder.learning()
    rows.begin(learning, 3)
    for tasks in [(0, 1, 2)] if apart else [(0,), (1,), (2,)]:
        torch.manual_seed(5)
        encoded = Pass(lanes, packed(n_parts))
        for task in tasks:
            if (owners == task).any():
                loss(encoded.vectors[torch.from_numpy(owners == task)]).backward()
        if apart:
            encoded.by_task(rows, owners)
        else:
            for parameter, gradient in zip(learning, encoded.gradients(), strict=True):
                if gradient is not None:
                    rows.put(tasks[0], parameter, gradient)
    np.testing.assert_allclose(rows.gramian(), (rows.matrix.double() @ rows.matrix.double().T).numpy(), rtol=1e-4, atol=1e-5)
    lanes.encoder.end_sparse_rows()
    return rows.matrix


OWNERS = np.array([1, 0, -1, 2, 0, 2, 1, 0, 2])


@pytest.mark.parametrize("n_parts", [1, 2, 3, 6], ids="{} parts".format)
@pytest.mark.parametrize("trainable", ["full", "top:1"])
def test_one_backward_pass_gives_the_gradients_of_every_task(encoder: Encoder, two: Lanes, n_parts: int, trainable: str) -> None:
    encoder.train_only(trainable)
    assert encoder.splits()
    owners = np.where(OWNERS == 1, -1, OWNERS) if n_parts == 2 else OWNERS  # one without texts
    found = of_tasks(two, n_parts, owners, apart=True)
    torch.testing.assert_close(found, of_tasks(two, n_parts, owners, apart=False), rtol=1e-4, atol=1e-6)
    assert all(torch.equal(found, of_tasks(two, n_parts, owners, apart=True)) for _ in range(5)), "the same numbers every time"


def test_one_backward_pass_in_bfloat16_keeps_inner_products_in_float32(encoder: Encoder) -> None:
    lanes = Lanes(encoder, CPU, "bfloat16", n=2)
    assert encoder.splits()
    found, exact = of_tasks(lanes, 2, OWNERS, apart=True), of_tasks(Lanes(encoder, CPU, "float32", n=1), 2, OWNERS, apart=True)
    assert 1e-5 < (found - exact).norm() / exact.norm() < 5e-2
    lanes.close()


@pytest.mark.parametrize("family", [*FAMILIES, "albert", "gpt2"])
def test_one_backward_pass_through_other_architectures(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "gpt2", transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=120, n_positions=64))
    monkeypatch.setitem(FAMILIES, "albert", transformers.AlbertConfig(**SMALL, embedding_size=16, max_position_embeddings=64))
    encoder = encoder_of(family, "mean")
    assert encoder.splits()
    encoder.eval()
    lanes = Lanes(encoder, CPU, "float32", n=2)
    torch.testing.assert_close(of_tasks(lanes, 3, OWNERS, apart=True), of_tasks(lanes, 3, OWNERS, apart=False), rtol=1e-3, atol=1e-5)
    lanes.close()


@pytest.mark.parametrize("n_parts", [1, 3])
def test_one_backward_pass_with_dropout(tiny_encoder: Path, n_parts: int) -> None:
    lanes = Lanes(Encoder.load(str(tiny_encoder), max_length=16, dropout=0.3), CPU, "float32")
    lanes.encoder.train()
    assert lanes.encoder.splits() and lanes.encoder.training
    found = of_tasks(lanes, n_parts, OWNERS, apart=True)
    torch.testing.assert_close(found, of_tasks(lanes, n_parts, OWNERS, apart=False), rtol=1e-4, atol=1e-6)
    lanes.encoder.eval()
    assert not torch.allclose(found, of_tasks(lanes, n_parts, OWNERS, apart=True), rtol=1e-2)


def test_what_is_not_finite_stays_in_its_task(encoder: Encoder, two: Lanes) -> None:
    assert encoder.splits()
    encoder.begin_sparse_rows(TOKEN_IDS)
    rows, encoded = TaskGradients(), Pass(two, packed(2))
    rows.begin(encoder.learning(), 3)
    encoded.vectors.grad = torch.ones_like(encoded.vectors)
    encoded.vectors.grad[torch.from_numpy(OWNERS == 1)] = torch.nan
    encoded.by_task(rows, OWNERS)
    assert rows.matrix[1].isnan().any() and rows.matrix[[0, 2]].isfinite().all()
    assert np.isfinite(rows.gramian()).tolist() == [[True, False, True], [False] * 3, [True, False, True]]


def test_an_encoder_whose_parameters_are_not_used_token_by_token_does_not_split(encoder: Encoder) -> None:
    assert encoder.splits()
    weight_norm(encoder.model.encoder.layer[0].output.dense)
    assert not encoder.splits()
    encoder.packs = False
    assert not encoder.splits()


def test_states_of_tokens_come_with_the_vectors(encoder: Encoder, two: Lanes) -> None:
    texts, kept = [np.arange(5, 12), np.arange(7, 11), np.arange(6, 9)], [True, False, True]
    parts = [Packed.of([t], [np.zeros_like(t)], CPU, [k]) for t, k in zip(texts, kept, strict=True)]
    plain = [Packed.of([t], [np.zeros_like(t)], CPU) for t in texts]
    encoded = Pass(two, parts)
    with torch.no_grad():
        wanted = [row for part, k in zip(plain, kept, strict=True) for row in (encoder(part), *([encoder.states(part)] if k else []))]
    torch.testing.assert_close(encoded.vectors.detach(), torch.cat(wanted), atol=1e-5, rtol=1e-5)
    encoded.vectors.sin().sum().backward()
    found = dict(zip(map(id, encoder.learning()), encoded.gradients(), strict=True))
    loss = sum(
        row.sin().sum() for part, k in zip(plain, kept, strict=True) for row in (encoder(part), *([encoder.states(part)] if k else []))
    )
    loss.backward()
    for parameter in encoder.learning():
        if parameter.grad is not None:
            torch.testing.assert_close(found[id(parameter)], parameter.grad, atol=1e-4, rtol=1e-4)
