"""Rows that are made while training: the hardest negatives, found as by trying every pair; a run with them can be resumed exactly."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import ExperimentError, experiment_from_dict
from mtl_core.runtime.batches import assemble
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.tasks.heads import SlotIndex, TaskBatch
from mtl_core.training.checkpoints import load_checkpoint
from mtl_core.training.control import Control
from mtl_core.training.events import Resumed, RowsMade, StepDone, from_json
from mtl_core.training.loop import Trainer, train
from mtl_core.training.mining import Made, from_tensors, mine, to_tensors
from tests.shop import cut_at

CPU = torch.device("cpu")


def only(description: dict, *tasks: str, **options: object) -> dict:
    """The experiment with some tasks, the search with `options`."""
    description["tasks"] = {name: description["tasks"][name] for name in tasks}
    description["data"] = {name: data for name, data in description["data"].items() if name in {"searches", "reviews"}}
    description["data"] = {n: d for n, d in description["data"].items() if any(t["data"] == n for t in description["tasks"].values())}
    description["tasks"]["search"]["options"] = options
    return description


def trainer_of(description: dict, workspace: Workspace) -> Trainer:
    experiment = experiment_from_dict(description)
    return Trainer(experiment, prepare(experiment, workspace), Control(), None, False)


def test_the_hardest_wrong_products_of_each_query(description: dict, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtl_core.runtime.full_ranking.TEXTS_AT_ONCE", 5)
    monkeypatch.setattr("mtl_core.training.mining.QUERIES_AT_ONCE", 3)
    trainer = trainer_of(only(description, "search", mine_every=2, mined=3), workspace)
    task, model = trainer.prepared.tasks["search"], trainer.model
    mining = task.kind.rows.mining(task.options)
    before = torch.get_rng_state()
    made = mine(model, trainer.lanes, "search", task, mining, trainer.template, 8192)
    assert torch.equal(torch.get_rng_state(), before) and model.training

    rows = task.rows.rows("train")
    block = task.rows.take(rows)
    query, product = (block.slots[slot][0] for slot in ("query", "product"))
    batch = assemble({"search": block}, {"search": task.rows.stores}, trainer.template, 8192, CPU)
    slots = batch.tasks["search"].slots
    with torch.no_grad():
        vectors = trainer.lanes.encode(batch.packed)
        for text in np.unique(query):
            own = query == text
            wrong = sorted(set(product.tolist()) - set(product[own & (block.labels > 0)].tolist()))
            at = torch.stack([slots["product"].index[int(np.argmax(product == code))] for code in wrong])
            asked = slots["query"].index[int(np.argmax(own))].repeat(len(wrong))
            logits = model.logits("search", vectors, TaskBatch({"query": SlotIndex(asked), "product": SlotIndex(at)}))
            wanted = {wrong[i] for i in logits.topk(3).indices.tolist()}
            of_text = np.isin(made.rows, rows[own])
            assert set(made.codes["product"][of_text].tolist()) == wanted and of_text.sum() == 3
            assert len(set(made.rows[of_text])) == 3, "spread over the rows of the query"
    assert (made.labels == 0).all() and (np.diff(made.rows) >= 0).all()

    drawn = np.array([*rows[:7], rows[2]])
    found = made.added(task.rows, drawn, drawn)
    extra = [int(i) for row in drawn for i in np.flatnonzero(made.rows == row)]
    assert found.labels.tolist() == [*task.rows.take(drawn).labels, *[0] * len(extra)]
    assert found.slots["product"][0].tolist() == [*task.rows.take(drawn).slots["product"][0], *made.codes["product"][extra]]
    assert found.slots["query"][0].tolist() == task.rows.take(np.array([*drawn, *made.rows[extra]])).slots["query"][0].tolist()
    assert found.groups.tolist() == task.rows.groups[[*drawn, *made.rows[extra]]].tolist()


def test_made_rows_survive_a_checkpoint() -> None:
    labelled = Made(np.array([1, 4], np.int32), np.array([7, 0]))
    mined = Made(np.array([2], np.int32), np.array([0], np.float32), {"product": np.array([5], np.int32)})
    back = from_tensors(to_tensors({"a/b": labelled, "c": mined}))
    assert back["a/b"].labels.tolist() == [7, 0] and back["a/b"].codes == {}
    assert back["c"].codes["product"].dtype == np.int32 and back["c"].labels.dtype == np.float32 and back["c"].rows.tolist() == [2]


def steps(events: list) -> list[dict]:
    return [{**e.to_json(), "seconds": 0, "memory_bytes": 0} for e in events if isinstance(e, StepDone)]


def test_a_run_that_mines_is_resumed_exactly(description: dict, workspace: Workspace, tmp_path: Path) -> None:
    description["training"] |= {"steps": 6, "evaluate_every": 3}
    experiment = experiment_from_dict(only(description, "search", mine_every=2, loss="pairwise"))
    prepared = prepare(experiment, workspace)
    whole = cut_at(5, train(experiment, prepared, folder=tmp_path / "whole"), tmp_path)
    resumed = list(train(experiment, prepared, folder=tmp_path / "cut", resume=True))
    assert isinstance(resumed[0], Resumed) and resumed[0].step == 3, "mined at 2, kept at 3, mined again at 4"
    assert steps(resumed) == steps(whole)[3:]
    mined = [e for e in whole if isinstance(e, RowsMade)]
    assert [e.step for e in mined] == [2, 4] and all(e.how == "mined" and e.rows.keys() == {"search"} for e in mined)
    assert from_json(mined[0].to_json()) == mined[0]
    one, other = (load_checkpoint(checkpoint_folder(tmp_path / name, "last")).made for name in ("whole", "cut"))
    assert one.keys() == {"rows/search", "labels/search", "product/search"}
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())

    description["tasks"]["search"]["options"]["mine_every"] = 0
    events = train(experiment := experiment_from_dict(description), prepare(experiment, workspace))
    plain = steps(list(itertools.takewhile(lambda e: e.step < 4, events)))
    assert plain[:2] == steps(whole)[:2] and plain[2]["losses"] != steps(whole)[2]["losses"]
    assert [step["rows"] for step in plain] == [step["rows"] for step in steps(whole)[:3]], "rows of the tables are counted"


def test_texts_that_are_read_together_cannot_be_mined(description: dict) -> None:
    with pytest.raises(ExperimentError, match="0 for “mine_every” when “pairing” is together"):
        experiment_from_dict(only(description, "search", mine_every=5, pairing="together"))


def test_rows_of_a_search_are_drawn_together_whatever_else_is_on_the_table(description: dict, workspace: Workspace) -> None:
    intent = {"kind": "classification", "data": "searches", "columns": {"text": "query", "label": "relevance"}}
    description["tasks"]["intent"] = intent
    for loss, parted in (("listwise", False), ("pointwise", True)):
        trainer = trainer_of(only(description, "intent", "search", loss=loss), workspace)
        rows = np.concatenate([trainer.sampler.draw()["searches"] for _ in range(4)])
        groups = trainer.rows["search"].groups[rows]
        assert ((np.diff(groups) != 0).sum() > 24) == parted, "searches have eight rows"


def test_the_intent_of_a_query_comes_from_the_same_pass(description: dict, workspace: Workspace) -> None:
    description["tasks"]["intent"] = {"kind": "classification", "data": "searches", "columns": {"text": "query", "label": "relevance"}}
    trainer = trainer_of(only(description, "search", "intent"), workspace)
    rows = trainer.rows["search"].rows("train")[:30]

    def texts(*tasks: str) -> int:
        blocks = {name: trainer.rows[name].take(rows) for name in tasks}
        return sum(len(part.lengths) for part in assemble(blocks, trainer.stores, trainer.template, 8192, CPU).packed)

    assert texts("search", "intent") == texts("search") > texts("intent") > 1
