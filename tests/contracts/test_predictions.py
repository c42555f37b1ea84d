"""What is kept of single rows is enough: the metrics of every kind are computed again from the files of a run alone."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from mtl_core.evaluation import metrics
from mtl_core.evaluation.predictions import load_predictions, predictions_file, read_predictions
from mtl_core.runtime.full_ranking import FIRST
from mtl_core.tasks import KINDS
from mtl_core.training.events import Evaluated, Finished, Predicted
from tests.contracts.conftest import Trained


def measured(trained: Trained, part: str) -> dict[str, dict[str, float]]:
    """What the run's best model was said to reach."""
    end = trained.whole[-1]
    assert isinstance(end, Finished)
    return {"validation": end.best, "test": end.test}[part]


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("kind", KINDS)
def test_metrics_come_from_the_file_alone(trained: Trained, kind: str, part: str) -> None:
    report = KINDS[kind].report
    about, rows = load_predictions(trained.folder, kind, part, report.types)
    assert (about.task, about.kind, about.part) == (kind, kind, part)
    found = report.evaluate(rows.scores, rows.labels, rows.groups, dict(about.spec))
    if rows.ranks is not None and rows.first is not None and about.taken is not None:
        found |= metrics.full_ranking(rows.ranks[ranked := rows.ranks > 0], rows.first[ranked], about.taken, FIRST)
    assert found == measured(trained, part)[kind]
    evaluated = [e for e in trained.whole if isinstance(e, Evaluated) and e.split == part and (e.is_best or part == "test")][-1]
    assert float(rows.losses.mean()) == evaluated.losses[kind]
    report.panels(rows.scores, rows.labels, rows.groups, dict(about.spec))
    assert len(rows.answers) == len(rows.rows) == len(np.unique(rows.rows))


def test_every_task_is_kept_and_said(trained: Trained) -> None:
    run = trained.folder
    said = {e.split: e for e in trained.whole if isinstance(e, Predicted)}
    assert said.keys() == {"validation", "test"} and all(e.evaluated for e in said.values())
    for split, event in said.items():
        assert event.rows.keys() == KINDS.keys()
        for task, n in event.rows.items():
            with pq.ParquetFile(predictions_file(run, task, split)) as file:
                assert file.metadata.num_rows == n > 0
    frame = read_predictions(run, "recommendation")
    assert list(frame.columns) == ["row", "split", "group", "label", "answer", "scores", "loss", "rank"]
    ranked = frame[frame["rank"].notna()]
    assert (ranked["split"] == "test").sum() == 5 and set(ranked["label"]) == {1.0}


@pytest.mark.parametrize("kind", KINDS)
def test_the_main_metric_of_weighed_rows_is_that_of_the_rows_written_out(trained: Trained, kind: str) -> None:
    report, primary = KINDS[kind].report, KINDS[kind].primary
    about, rows = load_predictions(trained.folder, kind, "test", report.types)
    spec, n = dict(about.spec), len(rows.rows)
    found = report.weighed(rows.scores, rows.labels, rows.groups, spec)
    assert found is not None, "a comparison would be slow"
    expected = report.evaluate(rows.scores, rows.labels, rows.groups, spec)
    assert found(np.ones((1, n)))[0] == pytest.approx(expected[primary], abs=1e-9, nan_ok=True)
    if rows.groups is None and kind != "response_selection":  # whose wrong replies are drawn from all rows
        twice = np.where(np.arange(n) % 3 == 0, 2, 1)
        copied = np.repeat(np.arange(n), twice)
        again = report.evaluate(rows.scores[copied], rows.labels[copied], None, spec)
        assert found(twice[None].astype(float))[0] == pytest.approx(again[primary], abs=1e-9)
