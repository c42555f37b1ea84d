"""What is kept of single rows is enough: the metrics of every kind are computed again from the files of a run alone.

A kind is met here through its tasks in data/whole_shop.yaml, which has one of each.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, load_experiment
from mtl_core.evaluation import metrics
from mtl_core.evaluation.predictions import load_predictions, predictions_file, read_predictions
from mtl_core.runtime.full_ranking import FIRST
from mtl_core.runtime.prepare import prepare
from mtl_core.tasks import KINDS
from mtl_core.training.events import Evaluated, Event, Finished, Predicted
from mtl_core.training.loop import train

DATA = Path(__file__).parents[2] / "data"
SETTINGS = (
    "training.steps=2",
    "training.batch_size=56",
    "training.evaluate_every=2",
    "training.evaluation_rows=40",
    "training.device=cpu",
    "training.precision=float32",
    "tasks.recommendation.options.full_ranking=20",
    "encoder.trainable=full",
)

Trained = tuple[Experiment, list[Event], Path]


@pytest.fixture(scope="module")
def trained(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The whole sample shop with a tiny encoder: experiment, events, the run's folder."""
    folder = tmp_path_factory.mktemp("predictions")
    experiment = load_experiment(DATA / "whole_shop.yaml", [*SETTINGS, f"encoder.name={tiny_encoder}"])
    events = list(train(experiment, prepare(experiment, Workspace(folder / "workspace"), DATA), folder=folder / "run"))
    return experiment, events, folder / "run"


def measured(trained: Trained, part: str) -> dict[str, dict[str, float]]:
    """What the run's best model was said to reach."""
    end = trained[1][-1]
    assert isinstance(end, Finished)
    return {"validation": end.best, "test": end.test}[part]


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("kind", KINDS)
def test_metrics_come_from_the_file_alone(trained: Trained, kind: str, part: str) -> None:
    experiment, _, run = trained
    tasks = [name for name, task in experiment.tasks.items() if task.kind == kind]
    assert tasks, f"data/whole_shop.yaml has no task of the kind {kind}"
    for task in tasks:
        report = KINDS[kind].report
        about, rows = load_predictions(run, task, part, report.types)
        assert (about.task, about.kind, about.part) == (task, kind, part)
        found = report.evaluate(rows.scores, rows.labels, rows.groups, dict(about.spec))
        if rows.ranks is not None and rows.first is not None and about.taken is not None:
            found |= metrics.full_ranking(rows.ranks[ranked := rows.ranks > 0], rows.first[ranked], about.taken, FIRST)
        assert found == measured(trained, part)[task]
        evaluated = [e for e in trained[1] if isinstance(e, Evaluated) and e.split == part and (e.is_best or part == "test")][-1]
        assert float(rows.losses.mean()) == evaluated.losses[task]
        report.panels(rows.scores, rows.labels, rows.groups, dict(about.spec))
        assert len(rows.answers) == len(rows.rows) == len(np.unique(rows.rows))


def test_every_task_is_kept_and_said(trained: Trained) -> None:
    experiment, events, run = trained
    said = {e.split: e for e in events if isinstance(e, Predicted)}
    assert said.keys() == {"validation", "test"} and all(e.evaluated for e in said.values())
    for split, event in said.items():
        assert event.rows.keys() == experiment.tasks.keys()
        for task, n in event.rows.items():
            with pq.ParquetFile(predictions_file(run, task, split)) as file:
                assert file.metadata.num_rows == n > 0
    frame = read_predictions(run, "recommendation")
    assert list(frame.columns) == ["row", "split", "group", "label", "answer", "scores", "loss", "rank"]
    ranked = frame[frame["rank"].notna()]
    assert (ranked["split"] == "test").sum() == 20 and set(ranked["label"]) == {1.0}
