"""Ranking a whole catalogue at an evaluation, against one row and one item at a time; what goes through the encoder, and how often."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import ExperimentError, experiment_from_dict
from mtl_core.runtime import full_ranking
from mtl_core.runtime.batches import assemble
from mtl_core.runtime.prepare import prepare
from mtl_core.runtime.scoring import Scored
from mtl_core.tasks.recommendation.modules import Matched
from mtl_core.training.events import Evaluated, Finished
from mtl_core.training.loop import Trainer, train
from tests.training.test_joint import trainer_of

ITEMS = [f"{colour} {thing}" for colour in ("red", "blue", "black") for thing in ("hat", "shoe", "long coat", "sock", "tie", "bag")]
FULL = {"full_ndcg_at_10", "full_hr_at_10", "full_mrr", "coverage_at_10", "novelty_at_10"}


@pytest.fixture
def catalogue(description: dict, tmp_path: Path) -> dict:
    """One task; 18 items, one of which stands in a second spelling that the tokenizer does not tell apart, one in histories only."""
    rng = np.random.default_rng(1)
    rows = []
    for i in range(150):
        names = [ITEMS[k] for k in rng.permutation(18)[: rng.integers(0, 10)]] + ["a hat of long ago"] * (i % 7 == 0)
        item = ITEMS[min(int(rng.exponential(4)), 17)] if i % 3 else names[0] if names else ITEMS[0]
        rows.append(
            {"user": i // 5, "history": names, "item": item.upper() if i % 11 == 0 else item, "label": int(i % 2 or rng.random() < 0.3)}
        )
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    description["data"] = {"log": {"file": str(tmp_path / "rows.jsonl"), "split": {"validation": 0.3, "test": 0.1}}}
    description["tasks"] = {"next_item": {**description["tasks"]["next_item"], "options": {"full_ranking": 1000, "dropout": 0.0}}}
    return description


def seen_by_the_encoder(trainer: Trainer) -> Counter[bytes]:
    """Text → how often it goes through the encoder from now on."""
    found: Counter[bytes] = Counter()

    def count(_: Any, inputs: tuple[Any, ...]) -> None:
        found.update(ids.numpy().tobytes() for ids in inputs[0].ids.split(inputs[0].lengths))

    trainer.model.encoder.register_forward_pre_hook(count)
    return found


def score(trainer: Trainer, rows: np.ndarray) -> Scored:
    return trainer.evaluator.score({"next_item": rows})["next_item"]


def by_brute_force(trainer: Trainer, most: int) -> dict[str, float]:
    """Each positive row of validation with each item, as if it were a row of its own."""
    task = trainer.prepared.tasks["next_item"]
    store, rows = task.rows.stores["item"], task.rows.rows("validation")
    distinct = {int(h): i for i, h in enumerate(store.hashes)}  # hash → a code
    taken = Counter(int(store.hashes[c]) for c in _chosen(task.rows.take(task.rows.rows("train")), "item"))
    total = sum(taken.values()) + len(distinct)
    positives = rows[task.rows.take(rows).labels > 0.5]
    positives = positives if most >= len(positives) else np.sort(np.random.default_rng(0).choice(positives, most, replace=False))
    gains, hits, reciprocal, shown, information = [], [], [], set(), []
    for row in positives:
        block = task.rows.take(np.full(len(distinct), row))
        own = int(store.hashes[block.slots["item"][0][0]])
        block.slots["item"] = np.array(list(distinct.values()), np.int32), None
        batch = assemble({"next_item": block}, {"next_item": task.rows.stores}, trainer.template, 4096, torch.device("cpu"))
        with torch.no_grad():
            logits = trainer.model.logits("next_item", trainer.lanes.encode(batch.packed), batch.tasks["next_item"])
        scores = dict(zip(distinct, (logits.logits if isinstance(logits, Matched) else logits).tolist(), strict=True))
        history, offsets = block.slots["history"]
        for seen in (int(task.rows.stores["history"].hashes[c]) for c in history[: offsets[1]]):
            if seen != own:
                scores.pop(seen, None)
        ranking = sorted(scores, key=lambda item: (-scores[item], item == own))
        rank = ranking.index(own) + 1
        gains.append(1 / math.log2(rank + 1) if rank <= 10 else 0)
        hits.append(rank <= 10)
        reciprocal.append(1 / rank)
        shown |= set(ranking[:10])
        information += [-math.log2((taken[item] + 1) / total) for item in ranking[:10]]
    values = (np.mean(gains), np.mean(hits), np.mean(reciprocal), len(shown) / len(distinct), np.mean(information))
    return dict(zip(("full_ndcg_at_10", "full_hr_at_10", "full_mrr", "coverage_at_10", "novelty_at_10"), map(float, values), strict=True))


def _chosen(block: Any, slot: str) -> list[int]:
    return block.slots[slot][0][block.labels > 0.5].tolist()


@pytest.mark.parametrize(
    ("options", "sharing", "most"),
    [
        ({}, "hard", 1000),
        ({"scoring": "dot", "history": "attention"}, "mmoe", 1000),
        ({"scoring": "dot", "loss": "in_batch"}, "adapters", 7),
        ({"loss": "bpr"}, "hard", 7),
    ],
)
def test_ranks_as_one_row_and_one_item_at_a_time(
    catalogue: dict, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, options: dict, sharing: str, most: int
) -> None:
    catalogue["tasks"]["next_item"]["options"] |= {"full_ranking": most, **options}
    catalogue["sharing"] = {"name": sharing}
    trainer = trainer_of(catalogue, workspace, "fixed", {"next_item": 1.0})
    whole = score(trainer, trainer.rows["next_item"].rows("validation"))
    assert whole.ranked == pytest.approx(by_brute_force(trainer, most))
    monkeypatch.setattr(full_ranking, "TEXTS_AT_ONCE", 4)
    monkeypatch.setattr(full_ranking, "USERS_AT_ONCE", 5)
    monkeypatch.setattr(full_ranking, "ITEMS_AT_ONCE", 7)
    monkeypatch.setattr(full_ranking, "_ROWS_AT_ONCE", 9)
    assert score(trainer, trainer.rows["next_item"].rows("validation")).ranked == pytest.approx(whole.ranked)


def test_each_text_is_encoded_once_and_rows_score_as_without_a_catalogue(catalogue: dict, workspace: Workspace) -> None:
    catalogue["sharing"] = {"name": "mmoe"}
    trainer = trainer_of(catalogue, workspace, "fixed", {"next_item": 1.0})
    rows = trainer.rows["next_item"].rows("validation")
    counts = seen_by_the_encoder(trainer)
    found = score(trainer, rows)
    assert len(counts) == 19 and set(counts.values()) == {1}
    task = trainer.prepared.tasks["next_item"]
    task.options = task.options.model_copy(update={"full_ranking": 0})
    without = score(trainer, rows)
    assert without.ranked == {} and found.ranked.keys() == FULL
    np.testing.assert_allclose(found.scores, without.scores, atol=1e-5)
    np.testing.assert_array_equal(found.labels, without.labels)
    np.testing.assert_array_equal(found.groups, without.groups)
    assert found.loss == pytest.approx(without.loss, rel=1e-4) and found.gates.keys() == without.gates.keys() != set()


def test_what_no_head_can_tell_apart_stands_last(catalogue: dict, workspace: Workspace) -> None:
    trainer = trainer_of(catalogue, workspace, "fixed", {"next_item": 1.0})
    torch.nn.init.zeros_(trainer.model.heads["next_item"].output.weight)
    task = trainer.prepared.tasks["next_item"]
    rows = task.rows.rows("validation")
    left = []
    for row in rows[task.rows.take(rows).labels > 0.5]:
        block = task.rows.take(np.array([row]))
        own = task.rows.stores["item"].hashes[block.slots["item"][0]]
        seen = np.unique(task.rows.stores["history"].hashes[block.slots["history"][0]])
        left.append(18 - np.isin(seen, task.rows.stores["item"].hashes).sum() + np.isin(own, seen).sum())
    assert score(trainer, rows).ranked["full_mrr"] == pytest.approx(np.mean(1 / np.array(left)))


def test_a_training_reports_it(catalogue: dict, workspace: Workspace) -> None:
    catalogue["tasks"]["next_item"]["options"] |= {"full_ranking": 5, "loss": "bpr", "history": "attention"}
    experiment = experiment_from_dict(catalogue)
    events = list(train(experiment, prepare(experiment, workspace)))
    end = events[-1]
    assert isinstance(end, Finished) and all(found["next_item"].keys() >= FULL for found in (end.before, end.best, end.test))
    assert all(e.metrics["next_item"].keys() >= FULL for e in events if isinstance(e, Evaluated))


def test_in_batch_without_the_dot_product_is_a_fault(catalogue: dict) -> None:
    catalogue["tasks"]["next_item"]["options"] = {"loss": "in_batch"}
    with pytest.raises(ExperimentError, match=r"tasks\.next_item\.options\.scoring: Found .*, expected dot, because"):
        experiment_from_dict(catalogue)
