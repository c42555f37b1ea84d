"""Texts as token ids, made once: a memory-mapped Arrow file of the distinct texts' ids, so that training memory does not grow with them."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.base.files import replaced
from mtl_core.base.workspace import new_id
from mtl_core.data.values import Column, codes_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BATCH = 4096
_CHARACTERS_PER_TOKEN = 200  # texts are cut here before tokenising: far beyond what a token can span


class TextStore:
    """The token ids of T distinct texts, without special tokens, read from a memory map.

    values: (sum of lengths,) int32, all ids after each other; offsets: (T + 1,) int64; lengths: (T,) int32.
    hashes: (T,) uint64 of the ids: texts of equal hash encode alike, also across stores of one tokenizer and length.
    spans: (sum of lengths, 2) int32, from and to which character of its text a token stands; None where that was not asked for.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        with pa.memory_map(str(path)) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
        ids = batch.column("ids")
        self.offsets: np.ndarray = ids.offsets.to_numpy()
        self.values: np.ndarray = ids.values.to_numpy()
        self.lengths: np.ndarray = batch.column("length").to_numpy()
        self.hashes: np.ndarray = batch.column("hash").to_numpy()
        self.spans: np.ndarray | None = None
        if "spans" in batch.schema.names:
            self.spans = batch.column("spans").values.to_numpy().reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.lengths)

    def ids(self, i: int) -> np.ndarray:
        """(lengths[i],) int32, a view into the map."""
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def chars(self, i: int) -> np.ndarray:
        """(lengths[i], 2) int32, of its `spans`; zeros without."""
        return np.zeros((self.lengths[i], 2), np.int32) if self.spans is None else self.spans[self.offsets[i] : self.offsets[i + 1]]


def text_store(
    texts: Column, tokenizer: "PreTrainedTokenizerBase", max_length: int, folder: Path, key: str = "", spans: bool = False
) -> tuple[TextStore, np.ndarray]:
    """The store of the distinct `texts` (strings or dictionary of strings; null counts as empty) and (N,) int32 codes into it.

    The file is named by what it holds: the texts, the tokenizer, `max_length` (ids kept of a text) and `key` (anything else that matters).
    spans: whether it says which characters a token stands for.
    The same texts therefore share one file, whatever table or task they are from; it is made when missing, and appears whole or not at all.
    """
    codes, distinct = distinct_codes(texts)
    digest = hashlib.sha256(f"1 {fingerprint(tokenizer)} {max_length} {key}{' spans' * spans} ".encode())
    for start in range(0, len(distinct), _BATCH):
        digest.update("\0".join(distinct.slice(start, _BATCH).to_pylist()).encode() + b"\0")
    path = folder / f"texts-{digest.hexdigest()[:32]}.arrow"
    if not path.is_file():
        write_texts(path, distinct, tokenizer, max_length, spans)
    return TextStore(path), codes


def fingerprint(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Hash of what decides how a text is tokenised."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        state: Any = [type(tokenizer).__name__, sorted(tokenizer.get_vocab().items())]
    else:
        state = json.loads(backend.to_str())
        state.pop("truncation", None)  # change with every call
        state.pop("padding", None)
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def distinct_texts(texts: Column) -> pa.Array:
    """In the order of their store."""
    return distinct_codes(texts)[1]


def distinct_codes(texts: Column) -> tuple[np.ndarray, pa.Array]:
    """((N,) int32 codes, the distinct texts in order). A dictionary counts whole, also values that no row uses."""
    raw, values = codes_of(texts)
    values = pc.fill_null(values.cast(pa.string()), "")
    if (raw < 0).any():
        values = pa.concat_arrays([values, pa.array([""])])  # code -1, the last
    values = pc.dictionary_encode(values)
    merged, distinct = values.indices.to_numpy(), values.dictionary
    order = pc.sort_indices(distinct).to_numpy()
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    lookup = rank[merged]
    codes = lookup[raw] if len(lookup) else np.zeros(len(raw), np.int32)
    return codes, distinct.take(pa.array(order))


def write_texts(path: Path, texts: pa.Array, tokenizer: "PreTrainedTokenizerBase", max_length: int, spans: bool = False) -> None:
    """A store of these texts, in their order.

    Ids go through a plain temporary file, so that the Arrow file is one batch and memory holds one batch of texts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    raw, where = (path.with_name(f"{path.name}.{new_id()}.{suffix}") for suffix in ("ids", "spans"))
    lengths, hashes = np.zeros(len(texts), np.int32), np.zeros(len(texts), np.uint64)
    try:
        with open(raw, "wb") as stream, open(where, "wb") as characters:
            for i, (ids, stands) in enumerate(_tokenised(texts, tokenizer, max_length, spans)):
                data = np.asarray(ids, np.int32).tobytes()
                stream.write(data)
                characters.write(np.asarray(stands, np.int32).tobytes())
                lengths[i] = len(ids)
                hashes[i] = _hash(data)
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        values = np.memmap(raw, np.int32, "r") if offsets[-1] else np.zeros(0, np.int32)
        ids = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))
        columns = {"ids": ids, "length": pa.array(lengths), "hash": pa.array(hashes)}
        if spans:
            flat = np.memmap(where, np.int32, "r") if offsets[-1] else np.zeros(0, np.int32)
            columns["spans"] = pa.LargeListArray.from_arrays(pa.array(2 * offsets), pa.array(flat))
        batch = pa.record_batch(columns)
        with replaced(path) as temporary:
            write_batch(batch, temporary)
    finally:
        raw.unlink(missing_ok=True)
        where.unlink(missing_ok=True)


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _tokenised(
    texts: pa.Array, tokenizer: "PreTrainedTokenizerBase", max_length: int, spans: bool
) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
    """(ids, the characters of each; none unless `spans`) of each text."""
    for start in range(0, len(texts), _BATCH):
        batch = pc.utf8_slice_codeunits(texts.slice(start, _BATCH), 0, max_length * _CHARACTERS_PER_TOKEN).to_pylist()
        found = tokenizer(
            batch,
            add_special_tokens=False,
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            return_token_type_ids=False,
            return_offsets_mapping=spans,
        )
        yield from zip(found["input_ids"], found["offset_mapping"] if spans else [[]] * len(batch), strict=True)


def write_batch(batch: pa.RecordBatch, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
