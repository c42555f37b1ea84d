"""Folders that are no whole encoder are refused before training, by what is missing and what to do; the torch-free look says the same."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import transformers
from safetensors.torch import load_file, save_file

from mtl_core.model.encoder import Encoder
from mtl_core.model.folders import folder_fault
from mtl_core.model.loading import load_tokenizer
from mtl_core.model.packaged import EncoderError


@pytest.fixture
def folder(tiny_encoder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))


def changed(name: str, **values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def without(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names] and None


def words(n: int) -> Callable[[Path], None]:
    """A tokenizer with ids below `n`, the special ones first."""

    def change(folder: Path) -> None:
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        kept = {word: i for word, i in tokenizer["model"]["vocab"].items() if i < n}
        tokenizer["model"]["vocab"] = kept | {f"word{i}": i for i in range(len(kept), n)}
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("config.json"), "no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "not valid JSON"),
        (lambda f: (f / "config.json").write_text('{"vocab_size": 89}'), "model_type"),
        (without("model.safetensors"), "no weights (model.safetensors)"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pytorch_model.bin; wanted: model.safetensors"),
        (without("tokenizer.json", "tokenizer_config.json", "vocab.txt"), "no tokenizer (tokenizer.json)"),
        (lambda f: (f / "tokenizer.json").write_text("{"), "tokenizer.json of the encoder folder"),
        (words(5), "knows 5 tokens, all of them special"),
        (words(120), "has 120 tokens, the model embeddings for 89"),
        (lambda f: (f / "adapter_config.json").write_text('{"base_model_name_or_path": "evil/model"}'), "holds an adapter"),
        (changed("config.json", vocab_size=50), "has 89 tokens, the model embeddings for 50"),
    ],
)
def test_what_files_tell_is_said_without_torch(folder: Path, change: Callable[[Path], None], says: str) -> None:
    assert folder_fault(str(folder)) is None
    change(folder)
    assert says in str(folder_fault(str(folder)))
    for load in (load_tokenizer, Encoder.load):
        with pytest.raises(EncoderError) as error:
            load(str(folder))
        assert says in str(error.value)


def fewer(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if ".layer.1." not in k}, folder / "model.safetensors", {"format": "pt"})


def of_gpt2(folder: Path) -> None:
    config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=89)
    model = transformers.GPT2Model(config)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (fewer, "lacks 16 of the 37 weights of its architecture (bert), such as encoder.layer.1."),
        (of_gpt2, "lacks 37 of the 37 weights of its architecture (bert)"),
        (changed("config.json", num_hidden_layers=4), "lacks 32 of the 69 weights"),
        (changed("config.json", hidden_size=16), "has the shape (32,), wanted (16,)"),
        (changed("config.json", vocab_size=100), "embeddings.word_embeddings.weight has the shape (89, 32), wanted (100, 32)"),
        (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:5000]), "cannot be loaded"),
        (lambda f: (f / "config.json").write_text('{"model_type": "clip"}'), "no model of texts (its architecture is clip)"),
    ],
)
def test_weights_that_transformers_would_draw_are_refused(folder: Path, change: Callable[[Path], None], says: str) -> None:
    change(folder)
    with pytest.raises(EncoderError) as error:
        Encoder.load(str(folder))
    assert says in str(error.value)


@pytest.mark.parametrize(
    "values",
    [
        {"attn_implementation": "evil/kernel"},
        {"_attn_implementation": "evil/kernel"},
        {"attn_implementation": {"": "evil/kernel"}},
        {"attn_implementation": "flash_attention_2"},
        {"auto_map": {"AutoConfig": "evil/model--code.Config", "AutoModel": "evil/model--code.Model"}},
    ],
    ids=lambda values: next(iter(values)),
)
def test_files_choose_no_code(folder: Path, values: dict[str, object]) -> None:
    """Neither the attention's nor the model's, whichever way a config.json names it; the numbers stay what they are."""
    ours = Encoder.load(str(folder))
    changed("config.json", **values)(folder)
    theirs = Encoder.load(str(folder))
    assert theirs.packs == ours.packs
    for encoder in (ours, theirs):
        encoder.pad()
        assert encoder.model.config._attn_implementation == "sdpa"
        assert type(encoder.model) is transformers.BertModel


def test_a_quantised_model_is_refused(folder: Path) -> None:
    changed("config.json", quantization_config={"quant_method": "mxfp4"})(folder)
    with pytest.raises(EncoderError, match="is quantised \\(mxfp4\\)"):
        Encoder.load(str(folder))


def test_a_tokenizer_that_cannot_read_unknown_characters(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    del tokenizer["model"]["vocab"]["[UNK]"]
    tokenizer["added_tokens"] = [t for t in tokenizer["added_tokens"] if t["content"] != "[UNK]"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(EncoderError, match="unknown token"):
        load_tokenizer(str(folder))


def test_a_tokenizer_smaller_than_the_embedding_will_do(folder: Path) -> None:
    words(60)(folder)
    assert folder_fault(str(folder)) is None and len(load_tokenizer(str(folder))) == 60
    Encoder.load(str(folder))
