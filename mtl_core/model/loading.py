"""The files of an encoder: from a name to the model, its tokenizer and its record, checked before anything is trained."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from mtl_core.base.messages import message
from mtl_core.model.folders import check_folder, vocabulary_fault
from mtl_core.model.packaged import EncoderError, packaged_minilm

transformers.utils.logging.disable_progress_bar()  # loading takes a second; its bars would break ours
transformers.utils.logging.set_verbosity_error()  # an unused pooler is not worth a report

RECORD = "pooling.json"  # beside a saved model: how it pools, and whether the pretrained part that writes is in use


def source_of(name: str) -> str:
    """`minilm` → the packaged folder; a local folder or a Hugging Face name stays what it is."""
    if name == "minilm":
        return str(packaged_minilm())
    return str(folder) if (folder := Path(name).expanduser()).is_dir() else name


def load(loader: Any, name: str, **options: Any) -> Any:
    """`loader.from_pretrained`, never with remote code, its many errors made one."""
    try:
        return loader.from_pretrained(source_of(name), trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise EncoderError(
            message(
                "The encoder “{name}” cannot be loaded: {reason} Use minilm, a local folder with a saved model, or a model that is "
                "already in the Hugging Face cache when there is no internet.",
                name=name,
                reason=reason if reason.endswith(".") else reason + ".",
            )
        ) from error


def attention(architecture: Any) -> str:
    """How a model of transformers attends, said by us: its config.json could name a kernel that is fetched from a hub and run.

    architecture: the model's class.
    """
    return "sdpa" if getattr(architecture, "_supports_sdpa", False) else "eager"


def load_model(loader: Any, architecture: Any, name: str, values: dict[str, Any], **options: Any) -> tuple[Any, dict[str, Any]]:
    """A model and transformers' loading info. architecture: its class; values: of its config, in place of the file's.

    Its files choose no code: only safetensors are read, and how it attends is set in the config that it is made of, where a file has
    more than one way to say it.
    """
    config = load(transformers.AutoConfig, name, **values)
    config._attn_implementation = attention(architecture)
    said = {"attn_implementation": attention(architecture), "use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
    return tuple(load(loader, name, config=config, **said, **options))


def load_tokenizer(name: str) -> Any:
    """The fast tokenizer of an encoder. Raises EncoderError: there is none, it knows no words, or more than the model embeds."""
    check_folder(name)
    tokenizer = load(transformers.AutoTokenizer, name, use_fast=True)
    if not tokenizer.is_fast:
        raise EncoderError(message("The encoder “{name}” has no fast tokenizer. Choose a model with a tokenizer.json.", name=name))
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    embeddings = getattr(load(transformers.AutoConfig, name), "vocab_size", None)
    if fault := vocabulary_fault(name, tokenizer.backend_tokenizer, embeddings):
        raise EncoderError(fault)
    try:
        tokenizer.backend_tokenizer.encode("a \u2603 \u6587 \ue000")
    except Exception as error:  # the library raises Exception itself
        why = message("The tokenizer of the encoder “{name}” cannot read unknown characters: {why}. Give it an unknown token (unk_token) "
                      "and save it again.", name=name, why=str(error).rstrip("."))  # fmt: skip
        raise EncoderError(why) from error
    return tokenizer


def checked(name: str, model: Any, found: dict[str, Any]) -> Any:
    """The model, if what is used of it was loaded from its files; transformers draws at random what is not there.

    found: transformers' loading info. Raises EncoderError: weights that are missing, or of another shape.
    """
    kept = model.get_encoder() if model.config.is_encoder_decoder else model
    used = {id(p) for p in kept.parameters()}
    names = {n for n, p in model.named_parameters(remove_duplicate=False) if id(p) in used and "pooler" not in n.split(".")}
    remedy = message("config.json and weights must be of the same model: save both with save_pretrained of transformers.")
    values = {"name": name, "architecture": model.config.model_type, "remedy": remedy}
    for weight, came, wanted in sorted(found["mismatched_keys"]):
        if weight in names:
            values |= {"weight": weight, "came": str(tuple(came)), "wanted": str(tuple(wanted))}
            raise EncoderError(message("The encoder “{name}” does not fit its config.json ({architecture}): the weight {weight} has the "
                                       "shape {came}, wanted {wanted}. {remedy}", **values))  # fmt: skip
    if missing := sorted(names & set(found["missing_keys"])):
        values |= {"n": len(missing), "of": len(names), "first": missing[0]}
        raise EncoderError(
            message(
                "The encoder “{name}” lacks {n} of the {of} weights of its architecture ({architecture}), such as {first}. {remedy}",
                **values,
            )
        )
    return model


def record_of(name: str) -> dict[str, Any]:
    """What the model was made for, by its own record: sentence-transformers', or ours (see `Encoder.save`)."""
    folder = Path(source_of(name))
    if (folder / RECORD).is_file():
        return dict(json.loads((folder / RECORD).read_text()))
    if (folder / "1_Pooling" / "config.json").is_file():
        record = json.loads((folder / "1_Pooling" / "config.json").read_text())
        return {"pooling": "cls" if record.get("pooling_mode_cls_token") else "last" if record.get("pooling_mode_lasttoken") else "mean"}
    return {}
