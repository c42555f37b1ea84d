"""Whether an encoder's tokenizer knows the language of some texts; by its `tokenizer.json` alone, without torch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from mtl_core.base.messages import Message, message
from mtl_core.model.packaged import minilm_tokenizer, read_tokenizer

UNKNOWN, PIECES = 0.05, 1.5
_SAMPLE, _CHARACTERS = 400, 600
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
CHINESE = "BAAI/bge-small-zh-v1.5"
MULTILINGUAL = ("intfloat/multilingual-e5-small", "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2")


@dataclass(frozen=True)
class Tokenised:
    """unknown: share of tokens that stand for what the tokenizer does not know; characters: of a text a token; chinese: whether most
    characters are Chinese, Japanese or Korean."""

    unknown: float
    characters: float
    chinese: bool

    @property
    def poor(self) -> bool:
        return self.unknown >= UNKNOWN or self.characters <= (1 / PIECES if self.chinese else PIECES)

    def why(self, encoder: str) -> Message:
        values = {"encoder": encoder, "unknown": self.unknown, "characters": f"{self.characters:.1f}"}
        return message(
            "The tokenizer of {encoder} breaks these texts to pieces: {unknown:.0%} of the tokens are unknown to it, and a token holds "
            "{characters} characters.",
            **values,
        )

    def remedy(self) -> Message:
        fitting = ((CHINESE,) if self.chinese else ()) + MULTILINGUAL
        return message("Choose an encoder of the language, such as {encoders}.", encoders=", ".join(fitting))


def tokenised(texts: Sequence[str], tokenizer: Tokenizer) -> Tokenised | None:
    """What a tokenizer makes of some texts; None where there are none. 400 texts are looked at, 600 characters of each."""
    some = [t[:_CHARACTERS] for t in texts[:: max(1, len(texts) // _SAMPLE)] if t and t.strip()][:_SAMPLE]
    if not some:
        return None
    unknown = {i for i in map(tokenizer.token_to_id, ("[UNK]", "<unk>", "<|unk|>")) if i is not None}
    ids = [i for encoding in tokenizer.encode_batch(some, add_special_tokens=False) for i in encoding.ids]
    letters = sum(len(re.sub(r"\s", "", t)) for t in some)
    cjk = sum(len(_CJK.findall(t)) for t in some)
    return Tokenised(sum(i in unknown for i in ids) / max(len(ids), 1), letters / max(len(ids), 1), cjk > 0.3 * letters)


def tokenizer_of(encoder: str) -> Tokenizer | None:
    """By the encoder's name: the packaged one, that of a local folder, or that of a Hugging Face model that lies on this machine; None
    where there is none to look at. The network is not asked."""
    if encoder == "minilm":
        return minilm_tokenizer()
    file = Path(encoder).expanduser() / "tokenizer.json"
    if not file.is_file():
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            cached = try_to_load_from_cache(encoder, "tokenizer.json")
        except HFValidationError:
            return None
        if not isinstance(cached, str):
            return None
        file = Path(cached)
    try:
        return read_tokenizer(file)
    except Exception:  # noqa: BLE001 the library raises Exception itself; loading the encoder says what is wrong with the file
        return None


def poorly_tokenised(texts: Sequence[str], encoder: str) -> tuple[Message, Message] | None:
    """(why, remedy) where the encoder's tokenizer breaks the texts to pieces; None where it does not, or is not here to be asked.

    From 5 % unknown tokens on, or 1.5 characters a token and less (Chinese, Japanese, Korean: 0.67). Measured with MiniLM: asap_reviews_zh
    has 64 % unknown tokens; the texts of the ten English tables and of the shop none, and 2.3 to 4.9 characters a token (1.9 where a cell
    is JSON); single sentences of German 2.4, Polish 1.9, Russian, Greek and Arabic 1.0 to 1.1.
    """
    tokenizer = tokenizer_of(encoder)
    found = tokenised(texts, tokenizer) if tokenizer else None
    return (found.why(encoder), found.remedy()) if found and found.poor else None
