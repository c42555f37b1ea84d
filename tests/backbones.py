"""Families of pretrained transformers in miniature, built and saved with the library's own classes."""

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers

from mtl_core.model.writing import CausalWriter, Seq2SeqWriter

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
QWEN = SIZES | {"num_key_value_heads": 1, "max_position_embeddings": 64, "bos_token_id": None, "eos_token_id": 0, "pad_token_id": None}
BART = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 64,
    "scale_embedding": True,
}
LETTERS = string.ascii_lowercase + string.digits
CHINESE = "红色的连衣裙很好看质量太差尺寸合适喜欢退货"


def word_pieces(letters: str, folder: Path) -> Any:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in LETTERS)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    return transformers.BertTokenizer(vocab=str(folder / "vocab.txt"))


def byte_pairs(tokenizer: Any, *special: str) -> Any:
    return tokenizer(vocab={token: i for i, token in enumerate([*special, "Ġ", *LETTERS])}, merges=[])


def unigrams(tokenizer: Any, *special: str, **options: Any) -> Any:
    last = [("<mask>", 0.0)] if tokenizer is transformers.XLMRobertaTokenizer else []
    return tokenizer(vocab=[*((s, 0.0) for s in special), ("▁", -1.0), *((c, -2.0) for c in LETTERS), *last], **options)


class Family(NamedTuple):
    """config, tokenizer: how they are made; loader: of the class that is saved. What is expected: pooling; packs: without padding; splits:
    all tasks' gradients from one backward pass; writer: the pretrained part that writes."""

    config: Any
    tokenizer: Callable[[Path], Any]
    loader: Any = transformers.AutoModel
    pooling: str = "mean"
    packs: bool = True
    splits: bool = True
    writer: type | None = None


def bert(letters: str) -> Family:
    return Family(transformers.BertConfig(**SIZES, vocab_size=100, max_position_embeddings=64), lambda f: word_pieces(letters, f))


ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
CAUSAL: dict[str, Any] = {"loader": transformers.AutoModelForCausalLM, "pooling": "last", "writer": CausalWriter}
SEQ2SEQ: dict[str, Any] = {"loader": transformers.AutoModelForSeq2SeqLM, "packs": False, "splits": False, "writer": Seq2SeqWriter}
FAMILIES = {
    "bert": bert(LETTERS),
    "bert chinese": bert(CHINESE),
    "roberta": Family(
        transformers.RobertaConfig(**SIZES, vocab_size=100, max_position_embeddings=66, pad_token_id=1, type_vocab_size=1),
        lambda _: byte_pairs(transformers.RobertaTokenizer, *ROBERTA),
    ),
    "xlm-r": Family(
        transformers.XLMRobertaConfig(**SIZES, vocab_size=100, max_position_embeddings=66, pad_token_id=1, type_vocab_size=1),
        lambda _: unigrams(transformers.XLMRobertaTokenizer, *ROBERTA[:4]),
    ),
    "modernbert": Family(
        transformers.ModernBertConfig(
            **SIZES,
            vocab_size=100,
            max_position_embeddings=64,
            local_attention=8,
            global_attn_every_n_layers=2,
            **{f"{name}_token_id": i for i, name in ((0, "pad"), (2, "cls"), (2, "bos"), (3, "sep"), (3, "eos"))},
        ),
        lambda f: word_pieces(LETTERS, f),
    ),
    "gpt2": Family(
        transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=64, vocab_size=100, bos_token_id=0, eos_token_id=0),
        lambda _: byte_pairs(transformers.GPT2Tokenizer, "<|endoftext|>"),
        **CAUSAL,
    ),
    "qwen2": Family(
        transformers.Qwen2Config(**QWEN, vocab_size=100, tie_word_embeddings=True),
        lambda _: byte_pairs(transformers.Qwen2Tokenizer, "<|endoftext|>"),
        **CAUSAL,
    ),
    "qwen3": Family(
        transformers.Qwen3Config(**QWEN, vocab_size=100, head_dim=8, tie_word_embeddings=False),
        lambda _: byte_pairs(transformers.Qwen2Tokenizer, "<|endoftext|>"),
        **CAUSAL,
    ),
    "t5": Family(
        transformers.T5Config(d_model=16, d_kv=8, num_layers=2, num_heads=2, d_ff=32, vocab_size=100, decoder_start_token_id=0),
        lambda _: unigrams(transformers.T5Tokenizer, "<pad>", "</s>", "<unk>", extra_ids=0),
        **SEQ2SEQ,
    ),
    "bart": Family(transformers.BartConfig(**BART, vocab_size=100), lambda _: byte_pairs(transformers.BartTokenizer, *ROBERTA), **SEQ2SEQ),
}


def saved(name: str, folder: Path) -> Path:
    """A model with random weights and its tokenizer. Biases are no zeros and norms no ones: each must be loaded."""
    family = FAMILIES[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = family.loader.from_config(family.config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer = family.tokenizer(folder)
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    return folder
