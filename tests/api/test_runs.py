"""A run as a notebook reads and uses it."""

from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
import pytest

import mtl_core as mtl
from mtl_core.tracking import runs as record
from mtl_core.tracking.table_rows import table_rows
from mtl_core.training.events import Evaluated, StepDone


class TestReading:
    def test_it_is_the_record_that_the_app_shows(self, trained: mtl.Run) -> None:
        workspace = mtl.Workspace(trained.folder.parents[1])
        (listed,) = record.list_runs(workspace)
        assert (listed.id, listed.status, listed.state) == (trained.id, trained.status, record.RunState.FINISHED)
        assert isinstance(trained.refreshed(), mtl.Run)
        assert trained.experiment.tasks["search"].weight == 2
        assert list(trained.tasks) == ["topic", "search"]

    def test_metrics_are_those_of_the_record(self, trained: mtl.Run) -> None:
        frame = trained.metrics
        assert list(frame.columns) == ["task", "metric", "split", "checkpoint", "value"]
        result = trained.result()["tasks"]
        found = frame.set_index(["task", "metric", "split", "checkpoint"])["value"]
        assert found["topic", "accuracy", "test", "best"] == result["topic"]["test"]["accuracy"]
        assert found["topic", "accuracy", "validation", "before"] == result["topic"]["before"]["accuracy"]
        assert found.index.is_unique and len(found) == sum(len(values) for parts in result.values() for values in parts.values())

    def test_curves_are_those_of_the_journal(self, trained: mtl.Run) -> None:
        frame = trained.curves
        steps = [event for event in trained.events() if isinstance(event, StepDone)]
        total = frame[frame.series == "total_loss"]
        assert total.task.isna().all() and total.value.tolist() == [event.total_loss for event in steps]
        losses = frame.query("series == 'training_loss' and task == 'topic'")
        assert losses.value.tolist() == [event.losses["topic"] for event in steps if "topic" in event.losses]
        evaluations = [event for event in trained.events() if isinstance(event, Evaluated) and event.split == "validation"]
        accuracy = frame.query("series == 'validation_accuracy'")
        assert accuracy.value.tolist() == [event.metrics["topic"]["accuracy"] for event in evaluations]
        assert set(accuracy.task) == {"topic"} and accuracy.step.tolist() == [0, 3, 6]
        assert trained.weights == {"topic": 1.0, "search": 2.0}
        assert frame.query("series == 'weight' and task == 'search'").value.tolist() == [2.0, 2.0]

    def test_a_report_as_tables(self, trained: mtl.Run) -> None:
        report = trained.report("topic")
        panels = trained.reports("test")["topic"]
        assert list(report) == [panel["title"] for panel in panels]
        matrix = next(panel for panel in panels if panel["type"] == "matrix")
        assert report[matrix["title"]].to_numpy().tolist() == matrix["data"]["values"]
        assert list(report[matrix["title"]].index) == matrix["data"]["labels"]
        assert trained.report("topic", "validation") if trained.reports("validation") else True
        figure = trained.plot_report("topic", matrix["title"])
        assert isinstance(figure, go.Figure) and figure.layout.title.text == matrix["title"]

    @pytest.mark.parametrize(
        "series", ["training_loss", "weight", "effective_weight", "main_metric", "validation_loss", "validation_accuracy"]
    )
    def test_a_chart_of_each_series(self, trained: mtl.Run, series: str) -> None:
        figure = trained.plot_curves(series)
        names = {trace.name.split(" · ")[0] for trace in figure.data}
        assert names >= ({"topic"} if series == "validation_accuracy" else set() if series == "effective_weight" else {"topic", "search"})

    def test_the_conflicts_that_were_measured(self, trained: mtl.Run, tmp_path: Path) -> None:
        settings = {"diagnostics.conflicts_every": 2, "name": "compared"}
        run = mtl.train(trained.experiment, settings=settings, workspace=tmp_path / "own", progress=False)
        assert set(run.plot_conflicts().data[0].x) == {"topic", "search"}

    def test_what_there_is_not(self, trained: mtl.Run, tmp_path: Path) -> None:
        with pytest.raises(mtl.RunError, match=r"the tasks topic, search. Found “ads”"):
            trained.report("ads")
        with pytest.raises(mtl.RunError, match="no chart “Nothing”"):
            trained.plot_report("topic", "Nothing")
        with pytest.raises(ValueError, match="validation_accuracy"):
            trained.plot_curves("nothing")
        with pytest.raises(mtl.RunError, match="no checkpoint “peak-topic”"):
            trained.predictor("peak-topic")
        with pytest.raises(mtl.RunError, match="no run"):
            mtl.load("nothing", tmp_path)
        assert mtl.runs(tmp_path / "new").empty


class TestUsing:
    def test_kept_predictions_are_what_the_model_says(self, trained: mtl.Run) -> None:
        kept = trained.predictions("topic")
        assert list(kept.columns) == ["row", "split", "label", "answer", "scores", "loss"] and set(kept.split) == {"validation", "test"}
        rows = table_rows(trained, "topic", kept.row.to_numpy())
        assert trained.predict("topic", rows).label.tolist() == kept.answer.tolist()
        of_test = kept[kept.split == "test"]
        right = (of_test.answer == rows.loc[of_test.row, "topic"].to_numpy()).mean()
        assert right == trained.metrics.query("task == 'topic' and metric == 'accuracy' and split == 'test'").value.item()
        with pytest.raises(mtl.RunError, match="Found “ads”"):
            trained.predictions("ads")

    def test_predictions_from_texts_dicts_and_tables_are_the_same(self, trained: mtl.Run) -> None:
        texts = ["boot lace", "song drum"]
        want = trained.predict("topic", texts)
        assert want.label.isin(["shoes", "music", "food"]).all() and want.probability.between(0, 1).all()
        frame = pd.DataFrame({"message": texts, "topic": ["?", "?"], "else": [1, np.nan]}, index=["a", "b"])
        for rows in (
            [{"text": text} for text in texts],
            [{"message": text} for text in texts],
            pa.table({"text": texts}),
            pd.Series(texts),
        ):
            pd.testing.assert_frame_equal(trained.predict("topic", rows), want)
        of_frame = trained.predict("topic", frame)
        assert list(of_frame.index) == ["a", "b"]
        pd.testing.assert_frame_equal(of_frame.reset_index(drop=True), want)
        assert len(trained.predict("topic", "boot")) == 1
        assert trained.predict("topic", pd.DataFrame({"message": []})).empty

    def test_a_ranking_is_by_relevance(self, trained: mtl.Run) -> None:
        titles = ["boot", "song", "bread", "lace"]
        ranked = trained.rank("search", {"query": "shoes"}, titles, k=3)
        assert list(ranked.columns) == ["row", "product", "relevance"] and ranked.index.tolist() == [1, 2, 3]
        assert ranked.relevance.is_monotonic_decreasing and [titles[row] for row in ranked.row] == ranked["product"].tolist()
        frame = pd.DataFrame({"title": titles, "price": 1}, index=[7, 8, 9, 10])
        of_frame = trained.rank("search", {"query": "shoes"}, frame, k=3)
        assert of_frame["product"].tolist() == ranked["product"].tolist()
        assert of_frame.row.tolist() == [row + 7 for row in ranked.row]
        assert trained.rank("search", {"query": "shoes"}, [{"title": t} for t in titles], k=3).equals(ranked)

    def test_rows_that_cannot_be_predicted_on(self, trained: mtl.Run) -> None:
        with pytest.raises(mtl.InputError, match="“nothing” is no field of this task"):
            trained.predict("topic", [{"nothing": "x"}])
        for missing in ([None], [float("nan")], pd.Series(["a", None])):
            with pytest.raises(mtl.InputError, match="is empty"):
                trained.predict("topic", missing)
        with pytest.raises(mtl.InputError, match="at least 1"):
            trained.rank("search", {"query": "a"}, ["b"], k=0)
        with pytest.raises(mtl.InputError, match="query, product"):
            trained.predict("search", ["shoes"])
        with pytest.raises(mtl.InputError, match="is not a ranking task"):
            trained.rank("topic", {"text": "x"}, ["a"])


class TestComparing:
    def test_a_run_with_itself_under_other_weights(self, trained: mtl.Run) -> None:
        workspace = trained.folder.parents[1]
        other = mtl.train(trained.experiment, settings={"tasks.search.weight": 1, "name": "other"}, workspace=workspace, progress=False)
        assert mtl.runs(workspace).run_id.tolist() == [other.id, trained.id]
        found = mtl.compare([trained, other.id], workspace=workspace)
        assert (found.baseline, found.split, list(found.runs)) == ("tiny", "validation", ["tiny", "other"])
        assert found.settings.loc["tasks.search.weight"].tolist() == [2.0, 1.0]
        metrics = found.metrics.set_index(["task", "metric", "run"]).sort_index()
        values = metrics.value["topic", "accuracy"]
        assert metrics.difference["topic", "accuracy", "other"] == pytest.approx(values["other"] - values["tiny"])
        assert metrics.difference.xs("tiny", level="run").isna().all()
        assert found.warnings == []
        assert {bar.name for bar in found.plot().data} == {"tiny", "other"} == {line.name for line in found.plot_curves("topic").data}
        assert mtl.compare([trained, other], baseline=other).baseline == "other"
        with pytest.raises(ValueError, match="different runs"):
            mtl.compare([trained, trained])
        with pytest.raises(ValueError, match="different runs"):
            mtl.compare([])
