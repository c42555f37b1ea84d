"""Whether an encoder's folder has all that a training needs, as far as its files say without torch: a config, weights, a tokenizer."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from mtl_core.base.messages import Message, message
from mtl_core.model.packaged import EncoderError, read_tokenizer

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
ADAPTER = "adapter_config.json"  # names another model, which transformers would fetch
_TOKENIZERS = (TOKENIZER, "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model")
_OTHER_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack")
_WORDS = 2
"""Fewer tokens beside the special ones are no vocabulary: transformers makes such a tokenizer where a folder has none."""


def check_folder(name: str) -> None:
    """Nothing where `name` is not a folder of this machine. Raises EncoderError: what it lacks, or a tokenizer larger than the model."""
    if fault := folder_fault(name):
        raise EncoderError(fault)


def folder_fault(name: str) -> Message | None:
    """What is wrong with an encoder's folder, and what to do; None: nothing that its files tell, or it is no folder."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return None
    values = {"folder": str(folder)}
    if not (folder / CONFIG).is_file():
        return message("The encoder folder {folder} has no {file}. {remedy}", **values, file=CONFIG, remedy=_WHOLE)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        return message("The file {file} of the encoder folder {folder} is not valid JSON: {why}. {remedy}", **values, file=CONFIG,
                       why=str(error), remedy=_WHOLE)  # fmt: skip
    if not isinstance(config, dict) or "model_type" not in config:
        return message("The file {file} of the encoder folder {folder} does not name an architecture (model_type). {remedy}",
                       **values, file=CONFIG, remedy=_WHOLE)  # fmt: skip
    if (folder / ADAPTER).is_file():
        return message("The encoder folder {folder} holds an adapter ({file}). Merge it into its model with merge_and_unload of peft, and "
                       "save that.", **values, file=ADAPTER)  # fmt: skip
    if not (folder / WEIGHTS).is_file() and not (folder / f"{WEIGHTS}.index.json").is_file():
        others = [other for other in _OTHER_WEIGHTS if (folder / other).is_file()]
        if others:
            return message("The weights of the encoder folder {folder} are in {found}; wanted: {file}. Load the model in transformers and "
                           "save it again with save_pretrained.", **values, found=", ".join(others), file=WEIGHTS)  # fmt: skip
        return message("The encoder folder {folder} has no weights ({file}). {remedy}", **values, file=WEIGHTS, remedy=_WHOLE)
    if not any((folder / file).is_file() for file in _TOKENIZERS):
        return message("The encoder folder {folder} has no tokenizer ({file}). {remedy}", **values, file=TOKENIZER, remedy=_TOKENIZER_OF)
    return _tokenizer_fault(folder, config)


def is_folder(name: str) -> bool:
    return Path(name).expanduser().is_dir()


def is_fetched(name: str) -> bool:
    """Whether to load a model that is no folder asks the Hugging Face hub for it: neither its config nor its weights lie here, and the
    network may be asked (`HF_HUB_OFFLINE`)."""
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        here = {file for file in (CONFIG, WEIGHTS, f"{WEIGHTS}.index.json") if isinstance(try_to_load_from_cache(name, file), str)}
    except HFValidationError:  # no name that a hub has
        return False
    return not constants.HF_HUB_OFFLINE and (CONFIG not in here or len(here) == 1)


def hub_size(name: str) -> int | None:
    """Bytes of the weights of a model of the Hugging Face hub, which is asked for it; None: it does not say."""
    from huggingface_hub import HfApi

    try:
        files = HfApi().model_info(name, files_metadata=True, timeout=10).siblings or []
    except (OSError, ValueError):  # no connection, no such model, none for us
        return None
    return sum(file.size or 0 for file in files if file.rfilename.endswith(".safetensors")) or None


def vocabulary_fault(name: str, tokenizer: Tokenizer, embeddings: int | None) -> Message | None:
    """A tokenizer without words, or one that gives ids for which the model has no embedding. embeddings: rows, None if not known."""
    ids = tokenizer.get_vocab(with_added_tokens=True)
    words = len(ids) - len(tokenizer.get_added_tokens_decoder())
    if words < _WORDS:
        return message("The tokenizer of the encoder “{name}” knows {n} tokens, all of them special: every text would be unknown. {remedy}",
                       name=name, n=len(ids), remedy=_TOKENIZER_OF)  # fmt: skip
    size = max(ids.values()) + 1
    if embeddings is not None and size > embeddings:
        return message("The tokenizer of the encoder “{name}” has {tokens} tokens, the model embeddings for {embeddings}. {remedy}",
                       name=name, tokens=size, embeddings=embeddings, remedy=_TOKENIZER_OF)  # fmt: skip
    return None


def _tokenizer_fault(folder: Path, config: dict[str, Any]) -> Message | None:
    if not (folder / TOKENIZER).is_file():  # transformers makes a tokenizer of the other files, and it is looked at then
        return None
    try:
        tokenizer = read_tokenizer(folder / TOKENIZER)
    except Exception as error:  # noqa: BLE001 the library raises Exception itself
        return message("The file {file} of the encoder folder {folder} cannot be read: {why}. {remedy}", folder=str(folder), file=TOKENIZER,
                       why=str(error), remedy=_TOKENIZER_OF)  # fmt: skip
    size = config.get("vocab_size")
    return vocabulary_fault(str(folder), tokenizer, size if isinstance(size, int) else None)


_WHOLE = message("Save model and tokenizer there with save_pretrained of transformers, or choose minilm.")
_TOKENIZER_OF = message("Save the tokenizer that the model was trained with into its folder (tokenizer.save_pretrained).")
