"""`mtl_core.train`: what it takes, what it writes, how it ends."""

import io
import os
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import mtl_core as mtl
from mtl_core.api.foreground import Progress
from mtl_core.api.tables import file_of
from mtl_core.api.training import new_run
from mtl_core.tracking import runs as record
from mtl_core.training.events import StepDone


class TestTables:
    def test_a_frame_is_a_file_of_the_uploads_by_its_content(self, workspace: mtl.Workspace, messages: pd.DataFrame) -> None:
        first = file_of(messages, workspace, "messages")
        assert first.parent == workspace.uploads and first.suffix == ".parquet"
        assert file_of(messages.set_index(messages.index + 5), workspace, "messages") == first, "the index is no content"
        assert file_of(pa.Table.from_pandas(messages, preserve_index=False), workspace, "messages") == first
        assert file_of(messages.head(50), workspace, "messages") != first
        assert len(list(workspace.uploads.iterdir())) == 2
        pd.testing.assert_frame_equal(pd.read_parquet(first), messages)
        assert file_of("a/../b.csv", workspace, "x") == (Path.cwd() / "b.csv")

    @pytest.mark.parametrize(
        "table",
        [
            pd.DataFrame({"a": [1, "x", [2]]}),
            pd.DataFrame({"a": pd.Series(["\ud800"], dtype=object)}),  # no UTF-8
            pa.table({"a": pa.array([{}], pa.struct([]))}),  # Arrow has it, Parquet has not
        ],
    )
    def test_a_frame_of_no_use_says_why(self, workspace: mtl.Workspace, table: pd.DataFrame | pa.Table) -> None:
        with pytest.raises(mtl.DataError, match="of one type"):
            file_of(table, workspace, "mixed")
        assert not list(workspace.uploads.iterdir())


class TestExperiments:
    def test_from_a_file_a_text_a_dict_and_typed(
        self, experiment: dict[str, Any], messages: pd.DataFrame, searches: pd.DataFrame, workspace: mtl.Workspace, tmp_path: Path
    ) -> None:
        tables: dict[str, Any] = {"messages": messages, "searches": tmp_path / "searches.csv"}
        searches.to_csv(tables["searches"], index=False)
        first = new_run(experiment, workspace, tables, {"training.steps": 9})
        assert first.experiment.training.steps == 9
        assert first.experiment.data["searches"].file == str(tables["searches"])
        (tmp_path / "folder").mkdir()
        file = tmp_path / "folder" / "tiny.yaml"
        file.write_text(first.experiment_yaml)
        typed = mtl.Run(first.folder, first.status).experiment
        for given in (file, str(file), first.experiment_yaml, typed, typed.model_dump()):
            again = new_run(given, workspace)
            assert again.experiment_yaml == first.experiment_yaml
            assert again.base == (file.parent if given in (file, str(file)) else Path.cwd())

    def test_all_that_is_wrong_at_once_and_no_run(
        self, experiment: dict[str, Any], messages: pd.DataFrame, workspace: mtl.Workspace
    ) -> None:
        settings = {"training.steps": 0, "tasks.search.wieght": 1}
        with pytest.raises(mtl.ExperimentError) as error:
            mtl.train(experiment, tables={"messages": messages, "serches": messages}, settings=settings)
        paths = {fault.path for fault in error.value.faults}
        assert paths >= {"training.steps", "tasks.search.wieght", "data.serches.file", "data.searches.file"}
        with pytest.raises(FileNotFoundError):
            mtl.train("nothing.yaml")
        assert record.list_runs(workspace) == []

    def test_an_experiment_of_frames_needs_no_data(
        self, experiment: dict[str, Any], messages: pd.DataFrame, workspace: mtl.Workspace
    ) -> None:
        small = {key: value for key, value in experiment.items() if key != "data"} | {"tasks": {"topic": experiment["tasks"]["topic"]}}
        made = new_run(small, workspace, {"messages": messages})
        assert list(made.experiment.data) == ["messages"]


def test_what_is_doubtful_of_a_table_is_said_by_a_training_and_looked_for_once(
    experiment: dict[str, Any], workspace: mtl.Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 300
    bought = [i % 3 == 0 for i in range(n)]
    table = pd.DataFrame({
        "device": [["phone", "tablet"][i % 2] for i in range(n)],
        "paid": [i + 1.0 if yes else 0.0 for i, yes in enumerate(bought)],
        "ad": [f"{'boot sole lace heel ' * 6}{i}" for i in range(n)],
        "bought": bought,
    })  # fmt: skip
    columns = {"categories": "device", "numbers": "paid", "text": "ad", "label": "bought"}
    small = {**experiment, "data": {"ads": {}}, "tasks": {"ads": {"kind": "click_through", "data": "ads", "columns": columns}}}
    first = mtl.train(small, tables={"ads": table}, settings={"training.steps": 1}, progress=False)
    said = {p.code: p for p in first.problems}
    assert {"leak", "small_validation", "texts_cut"} <= said.keys() and said["leak"].column == "paid"
    assert said["texts_cut"].column == "ad" and "100%" in str(said["texts_cut"].why) and "16 tokens" in str(said["texts_cut"].why)
    assert {p.code for p in mtl.check(table, "click_through", columns).found} >= {"leak"}

    monkeypatch.setattr("mtl_core.config.doubts.find_leaks", lambda *args: pytest.fail("it was looked for before"))
    second = mtl.train(small, tables={"ads": table}, settings={"training.steps": 1}, progress=False)
    assert second.problems == first.problems
    longer = {"training.steps": 1, "encoder.max_length": 128}
    assert "texts_cut" not in {p.code for p in mtl.train(small, tables={"ads": table}, settings=longer, progress=False).problems}


class TestEnds:
    def test_a_failure_raises_with_the_problems_and_keeps_the_run(
        self, experiment: dict[str, Any], messages: pd.DataFrame, searches: pd.DataFrame, workspace: mtl.Workspace
    ) -> None:
        tables = {"messages": messages.drop(columns="topic"), "searches": searches}
        with pytest.raises(mtl.TrainingError, match="topic") as error:
            mtl.train(experiment, tables=tables, progress=False)
        assert error.value.run.state is record.RunState.FAILED
        assert [p.severity for p in error.value.problems] and mtl.load(error.value.run.id).problems == error.value.problems

    def test_ctrl_c_stops_with_a_checkpoint(
        self,
        experiment: dict[str, Any],
        messages: pd.DataFrame,
        searches: pd.DataFrame,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        original = Progress.__call__

        def interrupt(self: Progress, event: Any) -> None:
            original(self, event)
            if isinstance(event, StepDone) and event.step == 4:
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(Progress, "__call__", interrupt)
        before = signal.getsignal(signal.SIGINT)
        run = mtl.train(experiment, tables={"messages": messages, "searches": searches}, settings={"training.steps": 1000})
        assert run.state is record.RunState.STOPPED and signal.getsignal(signal.SIGINT) is before
        assert run.checkpoint("last") is not None and run.checkpoint("best") is not None
        assert run.curves.step.max() <= 6
        printed = capsys.readouterr()
        assert "Stopping after this step" in printed.err and "topic accuracy" in printed.err and printed.out == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_where_it_can_be_redrawn(trained: mtl.Run) -> None:
    class Told:
        series = trained.series()

    steps = [event for event in trained.events() if isinstance(event, StepDone)]
    for stream, drawn in ((Terminal(), True), (io.StringIO(), False)):
        progress = Progress(Told(), stream, {"topic": "classification", "search": "search"})  # type: ignore[arg-type]
        for event in steps:
            progress(event)
        progress.line("done")
        assert ("[####" in stream.getvalue()) is drawn and stream.getvalue().endswith("done\n")
    silent = Progress(Told(), None, {})  # type: ignore[arg-type]
    silent(steps[0])
    silent.line("nothing")
