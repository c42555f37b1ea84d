"""Fixtures of the data tests: a word tokenizer made on the spot, and the real tables where they lie."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

settings.register_profile("no_deadline", deadline=None)  # a busy machine is no fault
settings.load_profile("no_deadline")

WORDS = ["[UNK]", "[PAD]", "red", "blue", "shoe", "hat", "warm", "cold", "for", "kids"]


@pytest.fixture(scope="session")
def tokenizer() -> "PreTrainedTokenizerFast":
    """One token a word, its number the place in `WORDS`."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real tables: `$MTL_DATA`, else `shared/data` beside the checkout."""
    folder = Path(os.environ.get("MTL_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"The real tables are not at {folder}; set MTL_DATA to their folder.")
    return folder
