"""Packed texts give what padded texts give: states, vectors and gradients."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch._subclasses.fake_tensor import FakeTensorMode

from mtl_core.model import packing
from mtl_core.model.encoder import Encoder, Template, mean_by_index
from mtl_core.model.loading import load_tokenizer
from mtl_core.model.packaged import EncoderError, minilm_token_counts
from mtl_core.model.packing import Packed

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 120}
LLAMA_LIKE = SMALL | {
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
FAMILIES = {
    "bert": transformers.BertConfig(**SMALL, max_position_embeddings=64),
    "roberta": transformers.RobertaConfig(**SMALL, max_position_embeddings=66, pad_token_id=1),
    "qwen2": transformers.Qwen2Config(**{k: v for k, v in LLAMA_LIKE.items() if k != "head_dim"}),
    "distilbert": transformers.DistilBertConfig(
        dim=32, n_layers=2, n_heads=4, hidden_dim=64, vocab_size=120, max_position_embeddings=64, dropout=0.0, attention_dropout=0.0
    ),
}


def packed_texts(lengths: tuple[int, ...], seed: int = 0) -> Packed:
    rng = np.random.default_rng(seed)
    texts = [rng.integers(5, 120, n) for n in sorted(lengths, reverse=True)]
    return Packed.of(texts, [np.zeros(len(t), np.int64) for t in texts], torch.device("cpu"))


def encoder_of(family: str, pooling: str) -> Encoder:
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(FAMILIES[family])
    return Encoder(model, pooling, 64).train()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_packed_equals_padded(family: str, pooling: str) -> None:
    encoder = encoder_of(family, pooling)
    encoder.model.eval()
    assert encoder.packs, f"{family} should be packed, not padded"
    packed = packed_texts((12, 7, 7, 7, 3, 1))
    results = {}
    for packs in (True, False):
        encoder.packs = packs
        encoder.zero_grad()
        encoder.begin_sparse_rows(np.unique(packed.ids.numpy()))
        vectors = encoder(packed)
        (vectors * torch.arange(vectors.numel()).view_as(vectors).sin()).sum().backward()
        gradients = {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}
        results[packs] = vectors.detach(), encoder.rows.grad.clone(), gradients
        encoder.end_sparse_rows()
    (v1, r1, g1), (v2, r2, g2) = results[True], results[False]
    torch.testing.assert_close(v1, v2, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(r1, r2, atol=1e-4, rtol=1e-4)
    assert g1.keys() == g2.keys() and len(g1) > 10
    for name, gradient in g1.items():
        torch.testing.assert_close(gradient, g2[name], atol=1e-4, rtol=1e-4, msg=name)


def test_rows_carry_the_gradient_of_the_whole_table() -> None:
    encoder, packed = encoder_of("bert", "mean"), packed_texts((9, 4, 4))
    encoder.model.eval()
    ids = np.unique(packed.ids.numpy())
    encoder.begin_sparse_rows(ids)
    encoder(packed).square().sum().backward()
    rows = encoder.rows.grad
    encoder.end_sparse_rows()
    assert encoder.embeddings.grad is None
    encoder(packed).square().sum().backward()
    torch.testing.assert_close(encoder.embeddings.grad[ids], rows)
    rest = np.setdiff1d(np.arange(120), ids)
    assert not encoder.embeddings.grad[rest].any()


def test_each_text_is_as_if_it_were_alone() -> None:
    encoder, packed = encoder_of("bert", "mean"), packed_texts((9, 6, 6, 2))
    encoder.eval()
    together = encoder(packed)
    start = 0
    for i, n in enumerate(packed.lengths):
        alone = Packed(packed.ids[start : start + n], packed.positions[start : start + n], packed.token_types[start : start + n], (n,))
        torch.testing.assert_close(encoder(alone)[0], together[i], atol=1e-5, rtol=1e-5)
        start += n


def on_a_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] = (9, 0)) -> FakeTensorMode:
    """A GPU that computes shapes, number formats and devices, but no numbers."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr("torch.backends.cuda.is_flash_attention_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda _: capability)
    monkeypatch.setattr("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: True)
    packing._has_kernel.cache_clear()
    return FakeTensorMode()


@pytest.fixture
def _no_gpu_after() -> Iterator[None]:
    yield
    packing._has_kernel.cache_clear()


@pytest.mark.usefixtures("_no_gpu_after")
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("width", "keys", "formats", "kernel"), [
    (32, 4, "bfloat16 bfloat16", True),
    (8, 2, "bfloat16 bfloat16", True),
    (32, 4, "float32 bfloat16", True),  # as rotary positions leave queries and keys
    (20, 4, "bfloat16 bfloat16", False),
    (264, 4, "bfloat16 bfloat16", False),
])  # fmt: skip
def test_on_a_gpu_the_kernel_for_texts_of_many_lengths_is_used(
    monkeypatch: pytest.MonkeyPatch, width: int, keys: int, formats: str, kernel: bool, causal: bool
) -> None:
    asked = []

    def kernel_of_torch(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *more: object, **options: object) -> torch.Tensor:
        asked.append((q, k, v, *more, options))
        return torch.empty_like(q)

    monkeypatch.setattr(packing, "varlen_attn", kernel_of_torch)
    lengths, (rotated, plain) = (5, 3, 3), [getattr(torch, name) for name in formats.split()]
    with on_a_gpu(monkeypatch), torch.autocast("cuda", torch.bfloat16):
        texts = [np.zeros(n, np.int64) for n in lengths]
        packed = Packed.of(texts, texts, torch.device("cuda:0"))
        q = torch.empty(1, 11, 4, width, dtype=rotated, device="cuda:0").transpose(1, 2)
        k, v = (torch.empty(1, 11, keys, width, dtype=t, device="cuda:0").transpose(1, 2) for t in (rotated, plain))
        with packing.layout(packed):
            found, _ = packing.packed_attention(torch.nn.Identity(), q, k, v, is_causal=causal)
    assert found.shape == (1, 11, 4, width) and found.dtype == torch.bfloat16 and found.device.type == "cuda"
    assert len(asked) == kernel
    if kernel:
        *tensors, offsets, other, longest, same, options = asked[0]
        assert [t.dtype for t in tensors] == 3 * [torch.bfloat16] and [t.shape[0] for t in tensors] == 3 * [11]
        assert all(t.stride(-1) == 1 for t in tensors)
        assert offsets is other and offsets.dtype == torch.int32 and offsets.shape == (4,) and (longest, same) == (5, 5)
        assert options["window_size"] == ((-1, 0) if causal else (-1, -1))
        assert options.get("enable_gqa", False) == (keys != 4)


@pytest.mark.usefixtures("_no_gpu_after")
def test_cards_before_ampere_go_without_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    with on_a_gpu(monkeypatch, (7, 5)):
        assert not packing.kernel_takes(torch.empty(5, 2, 32, dtype=torch.bfloat16, device="cuda:0"))


def test_means_without_a_kernel_for_segments() -> None:
    states, lengths = torch.randn(11, 3, requires_grad=True), torch.tensor([5, 3, 3])
    found, wanted = mean_by_index(states, lengths), torch.segment_reduce(states, "mean", lengths=lengths, axis=0)
    torch.testing.assert_close(found, wanted)
    outward = torch.randn(3, 3)
    gradients = [torch.autograd.grad(result, states, outward)[0] for result in (found, wanted)]
    torch.testing.assert_close(*gradients)


def test_packed_texts_must_be_sorted() -> None:
    with pytest.raises(ValueError, match="longest first"):
        Packed.of([np.array([1]), np.array([1, 2])], [np.array([0]), np.array([0, 0])], torch.device("cpu"))


def test_tokens_are_counted_without_torch_as_transformers_counts_them() -> None:
    texts = ["a green dress that fits well", "", "红色的鞋 ältere Kundin", "x" * 300, "unbelievably " * 200]
    theirs = load_tokenizer("minilm")(texts, add_special_tokens=False)["input_ids"]
    assert minilm_token_counts(texts) == [len(ids) for ids in theirs]


def test_minilm_gives_the_vectors_of_sentence_transformers() -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from mtl_core.model.packaged import packaged_minilm

    texts = ["a green dress that fits well and is long", "red shoes for men", "where is my parcel?"]
    tokenizer, encoder = load_tokenizer("minilm"), Encoder.load("minilm").eval()
    template = Template.of(tokenizer, 128)
    sequences = sorted(
        (template.one(np.array(tokenizer.backend_tokenizer.encode(t, add_special_tokens=False).ids)) for t in texts),
        key=lambda s: -len(s[0]),
    )
    lengths = [len(tokenizer.backend_tokenizer.encode(t).ids) for t in texts]
    ordered = [texts[i] for i in np.argsort([-n for n in lengths], kind="stable")]
    with torch.no_grad():
        ours = torch.nn.functional.normalize(
            encoder(Packed.of([s for s, _ in sequences], [t for _, t in sequences], torch.device("cpu"))), dim=1
        )
    theirs = sentence_transformers.SentenceTransformer(str(packaged_minilm()), device="cpu").encode(ordered, normalize_embeddings=True)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5)


def test_template_cuts_the_longer_text_first() -> None:
    template = Template.of(load_tokenizer("minilm"), 10)
    ids, types = template.one(np.arange(1000, 1020))
    assert ids.tolist() == [101, *range(1000, 1008), 102] and not types.any()
    ids, types = template.two(np.arange(1000, 1002), np.arange(2000, 2020))
    assert ids.tolist() == [101, 1000, 1001, 102, *range(2000, 2005), 102]
    assert types.tolist() == [0] * 4 + [1] * 6
    ids, _ = template.two(np.arange(1000, 1020), np.arange(2000, 2020))
    assert ids.tolist() == [101, *range(1000, 1004), 102, *range(2000, 2003), 102]


@pytest.mark.parametrize(("trainable", "names"), [("frozen", set()), ("top:1", {"1"}), ("full", {"0", "1"})])
def test_trainable_part(trainable: str, names: set[str]) -> None:
    encoder = encoder_of("bert", "mean")
    encoder.train_only(trainable)
    learning = {n.split("layer.")[1][0] for n, p in encoder.named_parameters() if p.requires_grad and "layer." in n}
    assert learning == names
    assert encoder.embeddings.requires_grad == (trainable == "full")


def test_an_encoder_that_cannot_be_had_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"cannot be loaded.*Use minilm"):
        Encoder.load(str(tmp_path / "nothing"))


def test_saved_and_loaded_again(tmp_path: Path) -> None:
    encoder, packed = Encoder.load("minilm", pooling="cls", max_length=32).eval(), packed_texts((9, 4))
    encoder.save(tmp_path, load_tokenizer("minilm"))
    again = Encoder.load(str(tmp_path), max_length=32).eval()
    assert again.pooling == "cls"
    assert torch.equal(encoder(packed), again(packed))
