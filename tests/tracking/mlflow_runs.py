"""A run's events, and what MLflow's tables should then hold of it."""

import sqlite3
from collections.abc import Iterator

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_yaml
from mtl_core.tracking.mlflow_mirror import TAG
from mtl_core.training.events import CheckpointSaved, Evaluated, Event, Finished, Reported, Started, Steered, StepDone

EXPERIMENT = experiment_from_yaml("""\
name: two tasks
seed: 3
data: {shop: {file: shop.csv}}
tasks:
  衣服: {kind: classification, data: shop, weight: 1.5, columns: {text: [title, body], label: dept}}
  ads: {kind: click_through, data: shop, weight: 2, columns: {label: click}}
encoder: {name: minilm}
""")


def step(n: int) -> StepDone:
    return StepDone(n, {"衣服": 1 / n, "ads": 2 / n}, 3 / n, 0.01 / n, 1.5, {"衣服": 4}, 100, 0.5, 1000 + n)


def events(n_steps: int) -> Iterator[Event]:
    yield Started(0, n_steps, "cpu", "float32", {}, 1, 2, {"衣服": 1.5, "ads": 2.0})
    yield Evaluated(0, "validation", {"ads": 0.7}, {"ads": {"auc": 0.5}}, 0.5, 1.0, True)
    for n in range(1, n_steps + 1):
        if n == 3:
            yield Steered(3, {"tasks.ads.weight": 2.0}, {"tasks.ads.weight": 5.0})
        yield step(n)
    yield Evaluated(n_steps, "validation", {"ads": 0.4}, {"ads": {"auc": 0.8}}, 0.8, 1.0, True)
    yield CheckpointSaved(n_steps, "best", "checkpoints/best")
    yield Reported(n_steps, "test", "reports/test.json")
    yield Evaluated(n_steps, "test", {"ads": 0.4}, {"ads": {"auc": 0.7}}, 0.7, 1.0)
    yield Finished(n_steps, "finished", "steps", n_steps, {"ads": {"auc": 0.5}}, {"ads": {"auc": 0.8}}, {"ads": {"auc": 0.7}}, 9.0)


def histories(workspace: Workspace, run_id: str) -> dict[str, list[tuple[int, float]]]:
    """Every metric of the run in the store, as (step, value), straight from its tables: what is doubled shows."""
    with sqlite3.connect(workspace.root / "mlflow.db") as store:
        ids = store.execute("select run_uuid from tags where key = ? and value = ?", (TAG, run_id)).fetchall()
        assert len(ids) == 1
        rows = store.execute("select key, step, value from metrics where run_uuid = ? order by key, step, timestamp", ids[0]).fetchall()
    store.close()
    found: dict[str, list[tuple[int, float]]] = {}
    for key, at, value in rows:
        found.setdefault(key, []).append((at, value))
    return found


def expected(n_steps: int) -> dict[str, list[tuple[int, float]]]:
    steps = range(1, n_steps + 1)
    return {
        "train/衣服/loss": [(n, 1 / n) for n in steps],
        "train/ads/loss": [(n, 2 / n) for n in steps],
        "train/loss": [(n, 3 / n) for n in steps],
        "learning_rate": [(n, 0.01 / n) for n in steps],
        "gradient_norm": [(n, 1.5) for n in steps],
        "tokens_per_second": [(n, 200.0) for n in steps],
        "memory_bytes": [(n, 1000.0 + n) for n in steps],
        "weight/衣服": [(0, 1.5)],
        "weight/ads": [(0, 2.0), (3, 5.0)],
        "validation/ads/loss": [(0, 0.7), (n_steps, 0.4)],
        "validation/ads/auc": [(0, 0.5), (n_steps, 0.8)],
        "validation/objective": [(0, 0.5), (n_steps, 0.8)],
        "test/ads/loss": [(n_steps, 0.4)],
        "test/ads/auc": [(n_steps, 0.7)],
        "test/objective": [(n_steps, 0.7)],
        "before/ads/auc": [(n_steps, 0.5)],
        "best/ads/auc": [(n_steps, 0.8)],
    }
