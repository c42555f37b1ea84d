"""A checkpoint of each version of the format, written as programs of that version wrote it, for `tests/runtime/test_checkpoints.py`.

Nothing here uses the program: names, shapes, keys and settings are those of checkpoints that it left behind when the version was new (the
last one of two steps, of an encoder of a few numbers), and stay as they are. A new version gets its own here, before it changes again. The
values of the tensors are made up. ANSWERS is what the programs of both versions said to TEXTS with these files (commits 6cc9c56, e9ff54a).
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

TEXTS = ["ab ba", "ba", "abab b"]
ANSWERS = [{"up": 0.8539327, "down": 0.1460673}, {"up": 0.8673152, "down": 0.1326848}, {"up": 0.8437405, "down": 0.1562595}]


def write(folder: Path, version: int) -> Path:
    """version: 1; 2, which has format.json and two more settings; 3, which has manifest.json instead, and one more of each."""
    encoder = folder / "encoder"
    encoder.mkdir(parents=True)
    save_file(_tensors(_ENCODER), encoder / "model.safetensors", {"format": "pt"})
    for file, content in {"config": _CONFIG, "pooling": _POOLING, "tokenizer": _tokenizer(), "tokenizer_config": _TOKENIZER_CONFIG}.items():
        (encoder / f"{file}.json").write_text(json.dumps(content), encoding="utf-8")
    save_file(_tensors(_HEAD), folder / "heads.safetensors")
    save_file(_optimizer(), folder / "optimizer.safetensors")
    (folder / "specs.json").write_text(json.dumps(_SPECS), encoding="utf-8")
    state = _STATE | ({"places": []} if version >= 3 else {})
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    experiment = _EXPERIMENT + (_SINCE_2 if version >= 2 else "") + (_SINCE_3 if version >= 3 else "")
    (folder / "experiment.yaml").write_text(experiment, encoding="utf-8")
    if version == 2:
        (folder / "format.json").write_text(json.dumps({"version": version}) + "\n", encoding="utf-8")
    if version >= 3:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        listed = {name: [len(content), hashlib.sha256(content).hexdigest()] for name, content in files.items()}
        manifest = {"version": version, "step": 2, "names": {"best": 0}, "journal": 9, "files": listed}
        own = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps({**manifest, "sha256": own}), encoding="utf-8")
    return folder


def _tensors(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Small numbers; about 1 where a layer norm multiplies."""
    found = {}
    for place, (name, shape) in enumerate(shapes.items()):
        numbers = (np.arange(np.prod(shape)) * 37 + place * 11) % 101
        values = (numbers - 50).astype(np.float32) / 100
        found[name] = (values + 1.0 if name.endswith(("LayerNorm.weight", "layers.0.weight")) else values).reshape(shape)
    return found


def _optimizer() -> dict[str, np.ndarray]:
    """Of each parameter but the word embeddings, whose rows have moments of their own."""
    own, head = [shape for name, shape in _ENCODER.items() if "word_embeddings" not in name], list(_HEAD.values())
    shapes = sorted(own, key=len, reverse=True) + sorted(head, key=len)
    found = {"rows.first": np.full((9, 8), 1e-4, np.float32), "rows.second": np.full((9, 8), 1e-8, np.float32)}
    for place, shape in enumerate(shapes):
        first = np.full(shape, 1e-4, np.float32)
        found |= {f"{place}.exp_avg": first, f"{place}.exp_avg_sq": first**2, f"{place}.step": np.array(2.0, np.float32)}
    return found


_ENCODER: dict[str, tuple[int, ...]] = {
    "embeddings.LayerNorm.bias": (8,),
    "embeddings.LayerNorm.weight": (8,),
    "embeddings.position_embeddings.weight": (16, 8),
    "embeddings.token_type_embeddings.weight": (2, 8),
    "embeddings.word_embeddings.weight": (9, 8),
    "encoder.layer.0.attention.output.LayerNorm.bias": (8,),
    "encoder.layer.0.attention.output.LayerNorm.weight": (8,),
    "encoder.layer.0.attention.output.dense.bias": (8,),
    "encoder.layer.0.attention.output.dense.weight": (8, 8),
    "encoder.layer.0.attention.self.key.bias": (8,),
    "encoder.layer.0.attention.self.key.weight": (8, 8),
    "encoder.layer.0.attention.self.query.bias": (8,),
    "encoder.layer.0.attention.self.query.weight": (8, 8),
    "encoder.layer.0.attention.self.value.bias": (8,),
    "encoder.layer.0.attention.self.value.weight": (8, 8),
    "encoder.layer.0.intermediate.dense.bias": (8,),
    "encoder.layer.0.intermediate.dense.weight": (8, 8),
    "encoder.layer.0.output.LayerNorm.bias": (8,),
    "encoder.layer.0.output.LayerNorm.weight": (8,),
    "encoder.layer.0.output.dense.bias": (8,),
    "encoder.layer.0.output.dense.weight": (8, 8),
}
_HEAD: dict[str, tuple[int, ...]] = {
    "the mood head.layers.0.bias": (8,),
    "the mood head.layers.0.weight": (8,),
    "the mood head.layers.2.bias": (2,),
    "the mood head.layers.2.weight": (2, 8),
}
_SPECS = {"the mood": {"classes": ["down", "up"], "weights": [1.0, 1.0], "out_of_scope": ""}}
_STATE = {
    "step": 2,
    "n_steps": 2,
    "weights": {"the mood": 1.0},
    "changes": {},
    "sampler": {"step": 2, "position": {"moods": 16}, "credits": [0.0], "sampling": {}},
    "optimizer": {"row_steps": 2},
    "balancing": {},
    "best_step": 0,
    "before": {"the mood": {"accuracy": 0.875, "macro_f1": 0.4666666666666667, "auc": 0.5}},
    "best": {"the mood": {"accuracy": 0.875, "macro_f1": 0.4666666666666667, "auc": 0.5}},
    "without_gain": 2,
    "judge": {
        "history": [{"the mood": 0.875}, {"the mood": 0.875}, {"the mood": 0.875}],
        "best": 0,
        "peaks": {"the mood": {"step": 0, "value": 0.875, "without_gain": 2, "ended": None}},
    },
    "seconds": 0.5,
    "drawn": {"the mood": 16},
    "tuned": {"the mood": {}},
}
_POOLING = {"pooling": "mean", "writes": False}
_CONFIG = {
    "add_cross_attention": False,
    "architectures": ["BertModel"],
    "attention_probs_dropout_prob": 0.0,
    "bos_token_id": None,
    "classifier_dropout": None,
    "dtype": "float32",
    "eos_token_id": None,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "hidden_size": 8,
    "initializer_range": 0.02,
    "intermediate_size": 8,
    "is_decoder": False,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 16,
    "model_type": "bert",
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "pad_token_id": 0,
    "tie_word_embeddings": True,
    "transformers_version": "5.23.0",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": 9,
}
_TOKENIZER_CONFIG = {
    "backend": "tokenizers",
    "cls_token": "[CLS]",
    "do_lower_case": True,
    "is_local": True,
    "local_files_only": False,
    "mask_token": "[MASK]",
    "model_max_length": 1000000000000000019884624838656,
    "pad_token": "[PAD]",
    "sep_token": "[SEP]",
    "strip_accents": None,
    "tokenize_chinese_chars": True,
    "tokenizer_class": "BertTokenizer",
    "unk_token": "[UNK]",
}
_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b"]


def _tokenizer() -> dict[str, Any]:
    """As transformers saves a BertTokenizer."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    cls, sep = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("[CLS]", "[SEP]"))
    first = [cls, {"Sequence": {"id": "A", "type_id": 0}}, sep]
    second = [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": None,
        "added_tokens": [{"id": i, "content": word, **plain} for i, word in enumerate(_WORDS[:5])],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": first,
            "pair": first + second,
            "special_tokens": {name: {"id": name, "ids": [i], "tokens": [name]} for i, name in ((2, "[CLS]"), (3, "[SEP]"))},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: i for i, word in enumerate(_WORDS)},
        },
    }


_EXPERIMENT = """\
name: tiny
seed: 0
data:
  moods:
    file: moods.csv
    transactions: null
    split:
      by: random
      column: null
      validation: 0.2
      test: 0.2
      seed: 0
      values: null
tasks:
  the mood:
    kind: classification
    data: moods
    columns:
      text: text
      label: mood
    weight: 1.0
    options:
      hidden_size: 0
      dropout: 0.1
      out_of_scope: ''
      reject: none
      rejected_share: 0.05
      parent_weight: 0.5
      rows_per_class: 0
      class_weights: none
      knowledge: in_text
    rows: 1.0
    augmentation:
      share: 0.0
      word_dropout: 0.1
      swaps: 0.05
      typos: 0.05
      variants: 4
    pseudo_labels:
      threshold: 0.0
      every: 1
      most: 7.0
encoder:
  name: encoder
  trainable: full
  pooling: auto
  max_length: 8
  dropout: 0.0
sharing:
  name: hard
balancing:
  name: fixed
sampling:
  name: temperature
  options:
    most: 1.0
    temperature: 2.0
optimizer:
  name: adamw
  learning_rate: 0.0001
  head_learning_rate: 0.001
  weight_decay: 0.01
  momentum: 0.9
  clip: 1.0
schedule:
  name: linear
  warmup: 0.1
early_stopping:
  objective: mean
  patience: 0
  minimum_gain: 0.0
endings:
  then: train_on
  patience: 3
  rehearse_every: 10
  keep: heads
diagnostics:
  conflicts_every: 70
training:
  epochs: 3.0
  steps: 2
  batch_size: 8
  micro_batch_tokens: 8192
  evaluate_every: 0
  evaluation_rows: 2000
  device: cpu
  precision: float32
"""
_SINCE_2 = """\
  test: true
  predictions: evaluated
"""
_SINCE_3 = """\
  keep: 3
"""
