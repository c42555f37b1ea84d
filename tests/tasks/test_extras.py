"""Extra columns: what depends on them alone is learned; knowledge in all forms; texts in two languages. What they are to every kind is in
tests/contracts/test_kinds.py."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.data.problems import Severity
from mtl_core.inference.predictor import Predictor
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.tasks import KINDS, common, search
from mtl_core.tasks.base import Mining
from mtl_core.tasks.extras import linearised, with_extras
from mtl_core.tasks.extras.head import ExtrasModule
from mtl_core.tasks.heads import SlotIndex, TaskBatch
from mtl_core.tasks.search import SearchRows
from mtl_core.training.events import Finished
from mtl_core.training.loop import train
from tests.shop import write

N = 48
RNG = np.random.default_rng(0)
COLOURS = RNG.choice(["navy", "red"], N).tolist()
EXTRAS = {
    "categories": pa.array([[c, RNG.choice(["a", "b"])] for c in COLOURS]),
    "numbers": pa.array(RNG.normal(size=N)),
    "knowledge": pa.array([f'{{"colour": "{c}", "size": {i % 3}}}' for i, c in enumerate(COLOURS)]),
}
WORDS = [f"w{i % 7} v{i % 5}" for i in range(N)]
LABELS = RNG.integers(0, 2, N)
ROWS: dict[str, dict[str, Any]] = {
    "classification": {"text": WORDS},
    "search": {"query": WORDS, "product": WORDS[::-1]},
    "recommendation": {"history": [[w] * (i % 3) for i, w in enumerate(WORDS)], "item": WORDS[::-1]},
}


def rows(kind: str, *extras: str) -> pa.Table:
    return pa.table({**ROWS[kind], "label": LABELS, **{e: EXTRAS[e] for e in extras}})


def options_of(kind: str, **chosen: Any) -> Any:
    return KINDS[kind].Options(**({"dropout": 0.0} if "dropout" in KINDS[kind].Options.model_fields else {}), **chosen)


@pytest.mark.parametrize(
    ("extra", "chosen"), [("categories", {}), ("numbers", {}), ("knowledge", {}), ("knowledge", {"knowledge": "embedded"})]
)
def test_learns_a_label_that_only_an_extra_column_tells(extra: str, chosen: dict[str, str], learn: Callable[..., dict[str, float]]) -> None:
    known = EXTRAS["numbers"].to_numpy() > 0 if extra == "numbers" else np.array(COLOURS) == "red"
    table = pa.table({"text": WORDS, "label": known.astype(int), extra: EXTRAS[extra]})
    kind, options = KINDS["classification"], options_of("classification", **chosen)
    assert learn(kind, table, table, options, steps=60)["accuracy"] == 1
    assert learn(kind, table.drop_columns(extra), table.drop_columns(extra), options, steps=60)["accuracy"] < 0.9


def test_rows_with_one_text_and_the_same_columns_are_one_item() -> None:
    spec = {"vocabularies": [["a"]], "numbers": [], "knowledge": False, "slot": "item"}
    head = ExtrasModule(torch.nn.Identity(), 4, spec)
    seen: list[TaskBatch] = []
    head.head.forward = lambda vectors, batch: seen.append(batch)
    batch = TaskBatch({"item": SlotIndex(torch.tensor([0, 0, 1, 0]))}, {"categories": torch.tensor([[1], [0], [1], [1]])})
    head(torch.randn(2, 4), batch)
    assert seen[0].slots["item"].index.tolist() == [2, 3, 4, 2]


# -- knowledge ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wanted", "bad"),
    [
        ("brand: Zentrik; colour: navy", "brand: Zentrik; colour: navy", False),
        (
            '{"brand": "Zentrik", "colour": ["navy", "white"], "new": true, "no": null}',
            "brand: Zentrik; colour: navy, white; new: true",
            False,
        ),
        ('[["brand", "Zentrik"], ["shoe", "colour", "navy"]]', "brand: Zentrik; shoe colour: navy", False),
        ('["brand", "Zentrik"] ["size", 42]', "brand: Zentrik; size: 42", False),  # a list of JSON Lines, joined
        ('{"品牌": "回力"} made in Shanghai', "品牌: 回力; made in Shanghai", False),
        ('{"brand": "Zen', '{"brand": "Zen', True),
        ("[new] shoe", "[new] shoe", True),
        ("{} ", "", False),
        (None, "", False),
    ],
)
def test_knowledge_in_words(given: str | None, wanted: str, bad: bool) -> None:
    column, wrong = linearised(pa.chunked_array([[given, "x"], ["x", given]], pa.string()))
    assert column.to_pylist() == [wanted, "x", "x", wanted] and wrong.tolist() == [bad, False, False, bad]


def test_knowledge_stands_behind_the_text_that_it_describes() -> None:
    known = ["colour: navy", ""]
    for name, row, slot, wanted in (
        ("classification", {"text": "a", "second": "b"}, "pair", {"a": "a\ncolour: navy", "b": "b"}),
        ("search", {"query": "a", "product": "b"}, "product", "b\ncolour: navy"),
        ("response_selection", {"dialogue": ["a"], "reply": "b"}, "context", "a\ncolour: navy"),
        ("recommendation", {"history": ["a"], "item": "b"}, "item", "b\ncolour: navy"),
        ("click_through", {}, "text", "colour: navy"),
    ):
        kind, options = KINDS[name], options_of(name)
        table = pa.table({**{field: [value] * 2 for field, value in row.items()}, "knowledge": known, "label": [1, 0]})
        encoded = kind.rows.encode(table, kind.rows.fit(table, options), options)
        assert slot in [s.name for s in kind.rows.slots(options, table.column_names)]
        assert encoded[slot][0].as_py() == wanted, name
        assert encoded[slot][1].as_py() == {**row, "pair": {"a": "a", "b": "b"}, "text": "", "context": "a"}[slot], name


def test_knowledge_that_is_the_only_text_is_not_embedded_beside_itself(compiled: Callable[..., Any]) -> None:
    kind, options = KINDS["click_through"], options_of("click_through", knowledge="embedded")
    table = pa.table({"numbers": [[1.0], [2.0]], "knowledge": ["colour: navy", "size: 7"], "label": [1, 0]})
    spec = kind.rows.fit(table, options)
    vectors, batch = compiled(kind, kind.rows.encode(table, spec, options), options)
    assert "extras" not in spec and set(batch.slots) == {"text"} and kind.head.module(32, spec, options)(vectors, batch).shape == (2,)


def test_what_a_text_is_written_from_holds_all_extra_columns_as_words() -> None:
    kind, options = KINDS["generation"], options_of("generation", knowledge="embedded")
    table = pa.table({"source": ["shoe", "hat"], "categories": [["a", None], ["b", "c"]], "numbers": [None, 2.5], "label": ["x", "y"]})
    spec = kind.rows.fit(table, options)
    encoded = kind.rows.encode(table.append_column("knowledge", [["size: 7", None]]), spec, options)
    assert encoded["source"].to_pylist() == ["shoe\nsize: 7; a", "hat\nb; c; 2.5"] and encoded["given"].to_pylist() == ["shoe", "hat"]
    assert spec.pop("seen") == [["a", "b"], ["", "c"]]
    assert spec == kind.rows.plain.rows.fit(table, options) and kind.rows.slots(
        options, ["source", "knowledge"]
    ) == kind.rows.plain.rows.slots(options)


def test_no_span_is_learned_or_found_in_knowledge(compiled: Callable[..., Any]) -> None:
    kind, options = KINDS["extraction"], options_of("extraction")
    table = pa.table({"text": ["ab", "abcd"], "label": ['{"x": "ab"}', '{"x": "7"}'], "knowledge": ["x: ab", "x: 7"]})
    spec = kind.rows.fit(table, options)
    encoded = kind.rows.encode(table, spec, options)
    assert encoded["starts"].to_pylist() == [[0], []] and encoded["text"].to_pylist() == ["ab\nx: ab", "abcd\nx: 7"]
    _, batch = compiled(kind, encoded, options)
    tokens = batch.slots["text"].tokens
    assert tokens.chars[tokens.rows == 0].amax() == 8  # the encoder reads it
    everything = torch.tensor([0.0, 5.0, 9.0]).expand(len(tokens.ids), 3)  # of x, from the first token to the last
    assert [[(s.start, s.end) for s in spans] for spans in kind.head.scores(everything, batch, spec)] == [[(0, 2)], [(0, 4)]]
    assert kind.head.truth(batch, spec)[0][0].text == "ab"
    losses = kind.head.loss(torch.tensor([9.0, 0.0, 0.0]).expand(len(tokens.ids), 3), batch, spec, options)  # no span anywhere
    assert losses[0] > 1 > 0.01 > losses[1]


def test_problems() -> None:
    def found(kind: Any, table: pa.Table, **chosen: Any) -> dict[str, Severity]:
        table = table.append_column("_line", [range(2, len(table) + 2)])
        split = np.array((["train"] * (len(table) - 8)) + ["validation"] * 4 + ["test"] * 4)
        return {p.code: p.severity for p in kind.rows.check(table, split, kind.Options(**chosen))}

    kind, table = KINDS["classification"], rows("classification")
    assert not {c for c in found(kind, rows("classification", *EXTRAS)) if c.startswith(("knowledge", "categories", "numbers"))}
    assert found(kind, table.append_column("knowledge", [[" "] * N]))["knowledge_empty"] is Severity.ERROR
    some = found(kind, table.append_column("knowledge", [[None, "{broken", *["a: b"] * (N - 2)]]))
    assert some["knowledge_missing"] is Severity.INFO and some["knowledge_unreadable"] is Severity.WARNING
    assert found(kind, table.append_column("categories", [["same"] * N]))["categories_silent"] is Severity.WARNING
    assert found(kind, table.append_column("categories", [[str(i) for i in range(N)]]))["categories_silent"] is Severity.WARNING
    assert "numbers_missing" in found(kind, table.append_column("numbers", [[None, *range(N - 1)]]))
    ranking = found(KINDS["recommendation"], rows("recommendation", "numbers"), full_ranking=10)
    assert ranking["extras_of_a_catalogue"] is Severity.ERROR
    assert "extras_of_a_catalogue" not in found(KINDS["recommendation"], rows("recommendation"), full_ranking=10)

    class Mined(SearchRows):
        def mining(self, options: Any) -> Mining:
            return Mining(1, 1, "query", "product")

    miner = with_extras(replace(search.KIND, rows=Mined()))
    assert found(miner, rows("search", "numbers"))["extras_of_mined_negatives"] is Severity.ERROR
    assert "extras_of_mined_negatives" not in found(miner, rows("search", "knowledge"))


def test_baselines_read_knowledge_that_is_written_behind_the_text() -> None:
    kind, options = KINDS["classification"], options_of("classification")
    known = (np.array(COLOURS) == "red").astype(int)
    table = pa.table({"text": WORDS, "label": known, "knowledge": EXTRAS["knowledge"]})
    split = np.array(["train"] * 32 + ["test"] * 16)

    def accuracy(given: pa.Table) -> float:
        return kind.rows.naive(given, split, kind.rows.fit(given, options), options, "test")["accuracy"]

    assert accuracy(table) == 1
    assert accuracy(table.drop_columns("knowledge")) < 0.9


# -- two languages ------------------------------------------------------------------------------------------------------------


def test_baselines_count_characters_where_nothing_separates_words() -> None:
    assert re.findall(common.WORD, "Nike跑鞋 size_42，新") == ["Nike", "跑", "鞋", "size_42", "新"]
    kind = KINDS["classification"]
    texts = [f"{'退款' if i % 2 else '尺码'}{chr(0x4E00 + 7 * i)}{chr(0x4E00 + 13 * i)}" for i in range(40)]
    table = pa.table({"text": texts, "label": [i % 2 for i in range(40)]})
    split = np.array(["train"] * 30 + ["test"] * 10)
    options = options_of("classification")
    assert kind.rows.naive(table, split, kind.rows.fit(table, options), options, "test")["accuracy"] == 1


def test_bilingual_texts_with_extra_columns_from_a_file_to_a_prediction(tmp_path: Path, tiny_encoder: Path, workspace: Workspace) -> None:
    from transformers import BertTokenizer

    encoder, chinese = tmp_path / "encoder", "退款尺码跑鞋品牌回力"
    shutil.copytree(tiny_encoder, encoder)
    vocabulary = (encoder / "vocab.txt").read_text(encoding="utf-8").translate(str.maketrans("0123456789", chinese))
    (encoder / "vocab.txt").write_text(vocabulary, encoding="utf-8")
    BertTokenizer(vocab=str(encoder / "vocab.txt"), do_lower_case=True).save_pretrained(encoder)
    texts = ["退款", "refund", "尺码", "size 跑鞋"]
    lines = [[f"{texts[i % 4]} {chinese[i % 10]}", i // 2 % 2, "ab"[i % 2], i, '{"品牌": "回力"}', "train"] for i in range(40)]
    lines += [["退款 退", 0, "a", 1, "", part] for part in ("validation", "test")] + [["size", 1, "b", 1, "x: y", "validation"]]
    write(tmp_path / "t.csv", ["text", "label", "site", "price", "facts", "split"], lines)
    columns = {"text": "text", "label": "label", "categories": "site", "numbers": "price", "knowledge": "facts"}
    description: dict[str, Any] = {
        "data": {"t": {"file": str(tmp_path / "t.csv"), "split": {"by": "column", "column": "split"}}},
        "tasks": {
            "both": {"kind": "classification", "data": "t", "columns": columns},
            "alone": {"kind": "classification", "data": "t", "columns": columns, "options": {"knowledge": "embedded"}},
            "text": {"kind": "classification", "data": "t", "columns": {"text": "text", "label": "label"}},
        },
        "encoder": {"name": str(encoder), "max_length": 24},
        "training": {"steps": 4, "batch_size": 8, "evaluate_every": 4, "device": "cpu"},
        "diagnostics": {"conflicts_every": 0},
    }
    experiment, folder = experiment_from_dict(description), workspace.folder("runs", "r")
    prepared = prepare(experiment, workspace)
    codes = {p.code for p in prepared.problems}
    assert {"leak_texts", "duplicate_rows", "knowledge_missing"} <= codes
    store = prepared.tasks["text"].rows.stores["text"]
    assert not any(prepared.tokenizer.unk_token_id in store.ids(i) for i in range(len(store)))
    assert "knowledge" in prepared.tasks["alone"].rows.stores and "knowledge" not in prepared.tasks["both"].rows.stores
    *_, end = train(experiment, prepared, folder=folder)
    assert isinstance(end, Finished)
    predictor = Predictor(checkpoint_folder(folder, "last"), device="cpu")
    assert [(f.name, f.type) for f in predictor.fields("both")][1:] == [
        ("categories", "category"),
        ("numbers", "number"),
        ("knowledge", "text"),
    ]
    assert predictor.choices("both") == {"categories": [["a", "b"]]} and predictor.choices("text") == {}
    row = {"text": "退款", "categories": ["a"], "numbers": [3], "knowledge": {"品牌": "回力"}}
    written = {**row, "knowledge": '{"品牌": "回力"}'}
    for task in ("both", "alone"):
        given, same, without = (
            predictor.predict(task, [r])[0]["probability"]
            for r in (row, written, {"text": "退款", "categories": [None], "numbers": [None]})
        )
        assert given == same != without
