import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mtl_core.data.tokens import TextStore, fingerprint, text_store


def test_each_distinct_text_once(tmp_path: Path, tokenizer) -> None:
    store, codes = text_store(pa.chunked_array([["red shoe", "blue hat"], [None, "red shoe", ""]]), tokenizer, 8, tmp_path)
    assert len(store) == 3
    assert [store.ids(c).tolist() for c in codes] == [[2, 4], [3, 5], [], [2, 4], []]
    assert codes.dtype == np.int32
    assert store.lengths.tolist() == [len(store.ids(i)) for i in range(3)]
    assert store.values.dtype == np.int32


def test_long_texts_are_cut(tmp_path: Path, tokenizer) -> None:
    store, (code,) = text_store(pa.array(["red " * 5000 + "shoe"]), tokenizer, 4, tmp_path)
    assert store.ids(code).tolist() == [2, 2, 2, 2]


def test_dictionaries_and_strings_share_a_file(tmp_path: Path, tokenizer) -> None:
    texts = ["red", "blue", "red", None]
    first, codes = text_store(pa.array(texts), tokenizer, 8, tmp_path)
    second, others = text_store(
        pa.chunked_array([pa.array(texts[:2]).dictionary_encode(), pa.array(texts[2:]).dictionary_encode()]), tokenizer, 8, tmp_path
    )
    assert first.path == second.path
    assert codes.tolist() == others.tolist()
    third, _ = text_store(pa.array(["blue", None, "red"]), tokenizer, 8, tmp_path)
    assert third.path == first.path


@pytest.mark.parametrize("change", [{"max_length": 7}, {"key": "x"}, {"texts": pa.array(["red", "shoe"])}])
def test_what_matters_makes_another_file(tmp_path: Path, tokenizer, change: dict) -> None:
    base = {"texts": pa.array(["red", "blue"]), "tokenizer": tokenizer, "max_length": 8, "folder": tmp_path}
    assert text_store(**base)[0].path != text_store(**{**base, **change})[0].path


def test_fingerprint_is_not_moved_by_use(tokenizer) -> None:
    before = fingerprint(tokenizer)
    tokenizer(["red shoe"], truncation=True, max_length=1, padding="max_length")
    assert fingerprint(tokenizer) == before


def test_equal_ids_have_equal_hashes_in_all_stores(tmp_path: Path, tokenizer) -> None:
    a, a_codes = text_store(pa.array(["red shoe", "hat"]), tokenizer, 8, tmp_path)
    b, b_codes = text_store(pa.array(["hat", "warm", "red  shoe"]), tokenizer, 8, tmp_path)
    assert a.hashes[a_codes[1]] == b.hashes[b_codes[0]]
    assert a.hashes[a_codes[0]] == b.hashes[b_codes[2]]
    assert len(set(b.hashes.tolist())) == 3
    assert a.hashes.dtype == b.hashes.dtype == np.uint64


def test_many_texts_in_batches(tmp_path: Path, tokenizer) -> None:
    texts = [f"red {'shoe ' * (i % 5)}{i}" for i in range(10_000)]
    store, codes = text_store(pa.array(texts), tokenizer, 16, tmp_path)
    assert len(store) == 10_000
    for i in (0, 4095, 4096, 9_999):
        assert store.ids(codes[i]).tolist() == [2] + [4] * (i % 5) + [0]


def test_nothing_but_empty_texts(tmp_path: Path, tokenizer) -> None:
    store, codes = text_store(pa.array([None, ""], pa.string()), tokenizer, 8, tmp_path)
    assert (len(store), codes.tolist(), store.ids(0).tolist()) == (1, [0, 0], [])
    store, codes = text_store(pa.array([], pa.string()), tokenizer, 8, tmp_path)
    assert (len(store), len(codes)) == (0, 0)


def test_only_whole_files_appear_also_with_two_threads(tmp_path: Path, tokenizer) -> None:
    from copy import deepcopy

    texts, found, start = pa.array([f"red {i}" for i in range(3000)]), [], threading.Barrier(3)

    def work() -> None:
        own = deepcopy(tokenizer)
        start.wait()
        found.append(text_store(texts, own, 8, tmp_path)[0])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [p.name for p in tmp_path.iterdir()] == [found[0].path.name]
    assert all((store.lengths == 2).all() for store in found)


def test_a_store_opens_from_its_file_alone(tmp_path: Path, tokenizer) -> None:
    store, codes = text_store(pa.array(["red shoe"]), tokenizer, 8, tmp_path)
    assert TextStore(store.path).ids(codes[0]).tolist() == [2, 4]
