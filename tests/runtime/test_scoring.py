"""Evaluation of several tasks: together where they read one table, with the numbers that each has by itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.runtime.scoring import Scored
from mtl_core.tasks import KINDS
from tests.runtime.test_full_ranking import seen_by_the_encoder
from tests.shop import write
from tests.training.test_joint import trainer_of


def same(one: Scored, other: Scored) -> None:
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert (one.groups is None) == (other.groups is None) and one.loss == pytest.approx(other.loss, rel=1e-5)
    assert one.gates == pytest.approx(other.gates, rel=1e-4)


@pytest.mark.parametrize("sharing", ["hard", "mmoe", "adapters"])
def test_tasks_of_a_table_are_measured_together(description: dict, workspace: Workspace, monkeypatch: Any, sharing: str) -> None:
    """Every fifth row has no label for *recommended*; blocks of 7 rows, so that they end elsewhere for each task alone."""
    monkeypatch.setattr(type(KINDS["classification"]), "rows_at_once", 7)
    description["sharing"] = {"name": sharing}
    trainer = trainer_of(description, workspace, "fixed")
    rows = {name: trainer.rows[name].rows("train") for name in ("department", "search", "recommended")}
    assert set(rows["recommended"]) < set(rows["department"])
    alone = {name: trainer.evaluator.score({name: numbers})[name] for name, numbers in rows.items()}
    seen = seen_by_the_encoder(trainer)
    together = trainer.evaluator.score(rows)
    assert list(together) == list(rows)
    for name, found in together.items():
        same(found, alone[name])
    n_reviews = len(rows["department"])
    twice = sum(seen.values()) - len(seen)
    assert twice >= n_reviews / 2 if sharing == "adapters" else twice < n_reviews / 2


def test_a_row_is_measured_alike_whatever_tasks_are_beside_its_own(
    description: dict, workspace: Workspace, tmp_path: Path, monkeypatch: Any
) -> None:
    """Weights have the mean 1, and every second row is written out, of the rows that are scored together."""
    monkeypatch.setattr(type(KINDS["classification"]), "rows_at_once", 7)
    rng, header = np.random.default_rng(0), ["text", "kind", "place", "clicked", "reply"]
    write(
        tmp_path / "t.csv",
        header,
        [[f"hat {i}", "ab"[i % 2], rng.integers(1, 6), i % 3 // 2, f"re {i}" if i % 4 else ""] for i in range(60)],
    )
    columns: dict[str, Any] = {
        "department": {"text": "text", "label": "kind"},
        "ads": {"text": "text", "position": "place", "label": "clicked"},
        "write": {"source": "text", "label": "reply"},
    }
    kinds = {"department": "classification", "ads": "click_through", "write": "generation"}
    description["tasks"] = {name: {"kind": kinds[name], "data": "t", "columns": own} for name, own in columns.items()}
    description["tasks"]["ads"]["options"] = {"propensity_weighting": True}
    description["data"] = {"t": {"file": str(tmp_path / "t.csv")}}
    trainer = trainer_of(description, workspace, "fixed")
    rows = {name: trainer.rows[name].rows("train") for name in columns}
    together = trainer.evaluator.score(rows)
    for name, numbers in rows.items():
        alone = trainer.evaluator.score({name: numbers})[name]
        assert together[name].loss == pytest.approx(alone.loss, rel=1e-5)
        if name == "write":
            out, wanted = ([row["text"] is not None for row in found.scores] for found in (together[name], alone))
            assert out == wanted and 0.4 < np.mean(out) < 0.6


def test_a_loss_that_compares_rows_does_not_depend_on_other_tasks(description: dict, workspace: Workspace, monkeypatch: Any) -> None:
    """The rows of a query are compared with each other; the blocks of the task beside it would cut them apart."""
    monkeypatch.setattr(type(KINDS["classification"]), "rows_at_once", 7)
    description["tasks"]["search"]["options"] = {"loss": "listwise"}
    description["tasks"]["department"] |= {"data": "searches", "columns": {"text": "product", "label": "relevance"}}
    trainer = trainer_of(description, workspace, "fixed")
    rows = {name: trainer.rows[name].rows("train") for name in ("department", "search")}
    together = trainer.evaluator.score(rows)
    for name, numbers in rows.items():
        same(together[name], trainer.evaluator.score({name: numbers})[name])
