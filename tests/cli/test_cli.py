"""The command line, as somebody calls it; trainings are real and tiny."""

import csv
import io
import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mtl_core as mtl
from mtl_core.api.foreground import execute, progress_text
from mtl_core.base.faults import ExperimentError
from mtl_core.base.workspace import Workspace
from mtl_core.cli.main import main
from mtl_core.config.experiment import experiment_from_yaml, load_experiment
from mtl_core.jobs import Jobs, training
from mtl_core.tracking.runs import RunError, RunState, Series, create_run, list_runs, run
from mtl_core.training.events import CheckpointSaved, Evaluated, Finished, Resumed, Started, StepDone
from tests.tracking.test_keeping import ended, with_model

WORDS = {"shoes": ["boot", "sole", "lace", "heel"], "music": ["song", "drum", "tune", "band"], "food": ["bread", "soup", "rice", "cake"]}

EXPERIMENT = """\
name: tiny
data:
  texts: {{file: texts.csv, split: {{by: stratified, column: kind, validation: 0.2, test: 0.2}}}}
  clicks: {{file: clicks.csv}}
tasks:
  kind: {{kind: classification, data: texts, columns: {{text: text, label: kind}}}}
  click: {{kind: click_through, data: clicks, columns: {{numbers: price, categories: site, label: click}}, weight: 0.5}}
encoder: {{name: "{encoder}", max_length: 16}}
training: {{steps: 6, batch_size: 8, evaluate_every: 3, device: cpu, precision: float32}}
"""


@pytest.fixture
def experiment(tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment file with its two tables. There is no MLflow store, so that no time goes into making one."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    monkeypatch.setattr("mtl_core.api.foreground.MIRROR_SECONDS", 0.0)
    random.seed(0)
    with (tmp_path / "texts.csv").open("w", newline="") as file:
        rows = [(f"{random.choice(words)} {random.choice(words)} {i}", kind) for i in range(20) for kind, words in WORDS.items()]
        csv.writer(file).writerows([("text", "kind"), *rows])
    with (tmp_path / "clicks.csv").open("w", newline="") as file:
        clicks = [(i % 7, "abc"[i % 3], int(i % 7 > 3)) for i in range(60)]
        csv.writer(file).writerows([("price", "site", "click"), *clicks])
    path = tmp_path / "tiny.yaml"
    path.write_text(EXPERIMENT.format(encoder=tiny_encoder.as_posix()))
    return path


def last_json(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


class TestTrain:
    def test_a_run_from_file_to_predictions(
        self, experiment: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert main(["train", str(experiment), "--set", "tasks.click.weight=2", "seed=5", "--json"]) == 0
        result = last_json(capsys)
        run_id = result["run_id"]
        assert result["state"] == "finished"
        assert result["seconds"] > 0
        assert set(result["tasks"]) == {"kind", "click"}
        for parts in result["tasks"].values():
            assert set(parts) == {"before", "best", "test"}
        assert set(result["tasks"]["kind"]["test"]) == {"accuracy", "macro_f1"}
        found = run(workspace, run_id)
        assert found.state is RunState.FINISHED
        assert found.tasks["click"].weight == 2
        assert found.experiment.seed == 5
        kinds = [type(event) for event in found.events()]
        assert kinds.count(StepDone) == 6
        assert kinds.count(Evaluated) == 4  # before, step 3, step 6, test
        assert kinds[-1] is Finished
        assert CheckpointSaved in kinds

        assert main(["runs", "--json"]) == 0
        listed = last_json(capsys)["runs"]
        assert [(r["run_id"], r["name"], r["state"]) for r in listed] == [(run_id, "tiny", "finished")]
        assert main(["runs"]) == 0
        assert run_id in capsys.readouterr().out

        assert main(["report", run_id, "--json"]) == 0
        report = last_json(capsys)
        assert report["tasks"] == result["tasks"]
        assert {p["type"] for p in report["reports"]["kind"]} >= {"table", "matrix"}
        assert main(["report", run_id, "--task", "kind"]) == 0
        text = capsys.readouterr().out
        assert "macro_f1" in text
        assert "shoes" in text
        assert "log_loss" not in text
        assert "times each row was seen" in text and "Naive" not in text
        assert main(["report", run_id, "--task", "kind", "--naive", "--json"]) == 0
        figures = last_json(capsys)["naive"]
        assert list(figures) == ["kind"] and 0 <= figures["kind"] <= 1
        assert main(["report", run_id, "--naive"]) == 0
        assert f"Naive baselines on the same validation rows: kind accuracy {figures['kind']:.4f}, click " in capsys.readouterr().out
        seen = report["seen"]
        assert seen["kind"]["training_rows"] == 36 and sum(row["drawn"] for row in seen.values()) == 6 * 8
        assert seen["click"]["times"] == pytest.approx(seen["click"]["drawn"] / seen["click"]["training_rows"])

        rows = '{"text": "boot lace"}\n{"text": "song"}\n\n'
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(rows.encode()), "utf-8"))
        assert main(["predict", run_id, "--task", "kind"]) == 0
        answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(answers) == 2
        assert set(answers[0]["probabilities"]) == set(WORDS)

        assert main(["runs", "--name-classes", run_id, "kind", "shoes=Schuhe = 鞋"]) == 0
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(rows.encode()), "utf-8"))
        capsys.readouterr()
        assert main(["predict", run_id, "--task", "kind"]) == 0
        named = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        called = {name: "Schuhe = 鞋" if name == "shoes" else name for name in WORDS}
        assert [answer["probabilities"] for answer in named] == [
            {called[name]: share for name, share in answer["probabilities"].items()} for answer in answers
        ]
        assert [answer.get("class", answer["label"]) for answer in named] == [answer["label"] for answer in answers]
        assert main(["report", run_id, "--task", "kind"]) == 0
        text = capsys.readouterr().out
        assert "Schuhe = 鞋" in text and "shoes" not in text
        for wrong in (["kind"], ["kind", "boots=x"], ["click", "maybe=x"], ["kind", "shoes"]):
            assert main(["runs", "--name-classes", run_id, *wrong]) == (0 if wrong == ["kind"] else 2)
        capsys.readouterr()
        half = '{"text": "a"}\n{"text": "\\ud83d"}\n'
        for wrong, place in (
            (half, "line 2"),
            ('{"text": "a"}\n{"nonsense": 1}\n', "line 2"),
            ('{"text": "a"}\n[1]\n', "line 2: should be an object of field → value. Found [1]"),
            ('{"text": "a"}\nnull\n{"text": "b"}\n', "line 2: should be an object of field → value. Found null"),
            ('{"text": "a"}\n\n\n{"text": "b"}\n', "line 2: empty"),
            ('{"text": "a"}\n{"text": "b", "text": "c"}\n', "line 2: the key “text” stands twice"),
            ("{", "line 1"),
        ):
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(wrong.encode()), "utf-8"))
            assert main(["predict", run_id, "--task", "kind"]) == 1
            output = capsys.readouterr()
            assert place in output.err and "Row " not in output.err
            assert len(output.out.splitlines()) == (0 if wrong == "{" else 1)  # what came before is answered

        rows = ({"numbers": [2.5], "categories": ["b"]}, {"price": "2.5", "site": "b", "click": "1"}, {"price": 2.5, "categories": "b"})
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(map(json.dumps, rows)).encode()), "utf-8"))
        assert main(["predict", run_id, "--task", "click"]) == 0
        by_field, *by_column = capsys.readouterr().out.splitlines()
        assert by_column == [by_field] * 2

        assert main(["predict", run_id, "--task", "nothing"]) == 2
        assert main(["report", run_id, "--task", "nothing"]) == 2
        assert main(["resume", run_id]) == 2
        assert "finished" in capsys.readouterr().err

    def test_the_main_metric_is_told_on_the_way(self, experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Of a regression it is not the first."""
        old = "click: {kind: click_through, data: clicks, columns: {numbers: price, categories: site, label: click}"
        text = experiment.read_text()
        assert old in text
        experiment.write_text(text.replace(old, "click: {kind: regression, data: clicks, columns: {text: site, label: price}"))
        assert main(["train", str(experiment)]) == 0
        lines = [line for line in capsys.readouterr().err.splitlines() if "validation:" in line]
        assert len(lines) == 3 and all("kind accuracy" in line and "click spearman" in line and "rmse" not in line for line in lines)

    def test_the_same_seed_gives_the_same_numbers(self, experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        results = []
        for _ in range(2):
            assert main(["train", str(experiment), "--json"]) == 0
            results.append(last_json(capsys)["tasks"])
        assert results[0] == results[1]

    @pytest.mark.parametrize(
        "override",
        [
            "tasks.click.weight=-1",
            "tasks.click.weight=.inf",
            "tasks.click.weight=-inf",
            "tasks.click.weight=.nan",
            "surprise=1",
            "training.steps=0",
            "tasks.nothing.weight=1",
        ],
    )
    def test_an_experiment_that_is_wrong_is_a_wrong_call(
        self, experiment: Path, workspace: Workspace, override: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["train", str(experiment), "--set", override, "--json"]) == 2
        output = capsys.readouterr()
        assert override.partition("=")[0].split(".")[-2 if "nothing" in override else -1] in output.err
        assert output.out == ""
        assert list_runs(workspace) == []

    def test_weights_that_are_all_zero_are_a_wrong_call(self, experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["train", str(experiment), "--set", "tasks.click.weight=0", "tasks.kind.weight=0"]) == 2
        assert "a loss weight above 0 for at least one task" in capsys.readouterr().err

    def test_no_such_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["train", "nothing.yaml"]) == 2
        assert "nothing.yaml" in capsys.readouterr().err

    def test_data_that_is_gone_fails_the_run(self, experiment: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
        (experiment.parent / "clicks.csv").unlink()
        assert main(["train", str(experiment), "--json"]) == 1
        result = last_json(capsys)
        assert (result["state"], result["error"]["reason"]) == ("failed", "data")
        assert "clicks.csv" in result["error"]["message"]
        assert run(workspace, result["run_id"]).problems[0].code == "file_missing"

    def test_a_label_column_that_is_not_there(self, experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["train", str(experiment), "--set", "tasks.kind.columns.label=nothing", "--json"]) == 1
        assert "nothing" in last_json(capsys)["error"]["message"]

    @pytest.mark.slow
    def test_ctrl_c_stops_with_a_checkpoint_from_which_it_goes_on(
        self, experiment: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        command = [sys.executable, "-m", "mtl_core", "train", str(experiment), "--set", "training.steps=100000", "--json"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
            assert process.stderr is not None
            assert process.stdout is not None
            next(line for line in process.stderr if "step 3" in line)
            assert Jobs().snapshot(list_runs(workspace)[0].id, workspace).state is RunState.RUNNING  # what the browser sees
            process.send_signal(signal.SIGINT)
            result = json.loads(process.stdout.read().splitlines()[-1])
            process.stderr.read()
        assert process.returncode == 0
        assert result["state"] == "stopped"
        assert set(result["tasks"]["kind"]) == {"before", "best", "test"}

        stopped = [event.step for event in run(workspace, result["run_id"]).events() if isinstance(event, StepDone)][-1]
        monkeypatch.setattr("mtl_core.api.foreground.Progress.__call__", KillAfter(step=stopped + 2))
        assert main(["resume", result["run_id"]]) == 1
        found = run(workspace, result["run_id"])
        assert found.state is RunState.INTERRUPTED
        steps = [event.step for event in found.events() if isinstance(event, StepDone)]
        assert steps == list(range(1, len(steps) + 1))  # resumed exactly where it had stopped
        assert sum(isinstance(event, Resumed) for event in found.events()) == 1
        found.series()

    def test_warnings_of_the_tables_are_said_and_kept(
        self, experiment: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked = create_run(load_experiment(experiment), workspace, experiment.parent)
        texts = experiment.parent / "texts.csv"
        first, *rows = texts.read_text().splitlines(keepends=True)
        texts.write_text("".join([first, *rows, *rows]))  # while it waits: now every text is in several parts
        done = execute(asked, workspace, training(asked, workspace, resume=False), sys.stderr)
        assert {p.code for p in done.problems} >= {"leak_texts", "changed_since", "small_validation"} and done.state is RunState.FINISHED
        err = capsys.readouterr().err
        assert "warning: texts, line 2, column “text”: " in err and "warning: texts.csv: The file was changed after" in err
        assert Jobs().snapshot(done.id, workspace).problems == tuple(done.problems)
        assert main(["train", str(experiment), "--set", "training.steps=1", "--json"]) == 0
        assert {p["code"] for p in last_json(capsys)["problems"]} == {p.code for p in done.problems} - {"changed_since"}

    def test_a_kill_in_the_middle_is_resumed_to_the_same_result(
        self, experiment: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert main(["train", str(experiment), "--json"]) == 0
        whole = last_json(capsys)
        died = KillAfter(step=5)
        monkeypatch.setattr("mtl_core.api.foreground.Progress.__call__", died)
        assert main(["train", str(experiment), "--json"]) == 1
        capsys.readouterr()
        monkeypatch.undo()
        monkeypatch.setenv("MTL_WORKSPACE", str(workspace.root))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{experiment.parent}/file/mlflow.db")
        monkeypatch.setattr("mtl_core.api.foreground.MIRROR_SECONDS", 0.0)
        half = list_runs(workspace)[0]
        assert half.state is RunState.INTERRUPTED
        clicks, journal = experiment.parent / "clicks.csv", half.journal.read_bytes()
        before = clicks.read_text()
        clicks.write_text(before.replace("1,b,0", "1,c,1"))  # of the same classes
        with pytest.raises(RunError, match="“clicks” has changed since this run"):
            Jobs().resume(half.id, workspace)
        assert main(["resume", half.id]) == 2 and "“clicks” has changed since this run" in capsys.readouterr().err
        assert run(workspace, half.id) == half and half.journal.read_bytes() == journal, "it stays what it was"
        clicks.write_text(before)
        assert main(["resume", half.id, "--json"]) == 0
        resumed = last_json(capsys)
        assert resumed["run_id"] == half.id
        assert resumed["tasks"] == whole["tasks"]
        one, two = run(workspace, whole["run_id"]).series(), run(workspace, half.id).series()
        assert one.loss("kind") == two.loss("kind")
        assert one.loss("click") == two.loss("click")
        assert one.validation("kind", "accuracy") == two.validation("kind", "accuracy")


class KillAfter:
    """A second Ctrl-C after a step."""

    def __init__(self, step: int):
        self.step = step

    def __call__(self, event: object) -> None:
        if isinstance(event, StepDone) and event.step == self.step:
            raise KeyboardInterrupt


class TestJobsWithRealTraining:
    def test_a_job_trains_and_is_steered(self, experiment: Path, workspace: Workspace) -> None:
        registry = Jobs()
        text = experiment.read_text().replace("steps: 6", "steps: 2000")
        run_id = registry.submit(experiment_from_yaml(text), workspace, experiment.parent, contained=False)
        control = registry.control(run_id)
        assert control is not None
        control.set_weights({"kind": 7.0})
        control.pause()
        while registry.snapshot(run_id).state is not RunState.PAUSED:
            assert not registry.wait(run_id, 0.05), registry.snapshot(run_id).error
        control.resume()
        while registry.snapshot(run_id).series.current_weights["kind"] != 7:
            assert not registry.wait(run_id, 0.05), registry.snapshot(run_id).error
        control.stop()
        assert registry.wait(run_id, 60)
        snapshot = registry.snapshot(run_id)
        assert snapshot.state is RunState.STOPPED
        assert snapshot.series.current_weights == {"kind": 7.0, "click": 0.5}
        assert snapshot.device == "cpu"
        found = run(workspace, run_id)
        assert found.checkpoint("best") is not None
        assert set(found.result()["tasks"]) == {"kind", "click"}
        registry.mirror(workspace).stop(60)

    def test_steered_back_and_replayed(self, experiment: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
        registry = Jobs()
        text = experiment.read_text().replace("steps: 6", "steps: 2000")
        run_id = registry.submit(experiment_from_yaml(text), workspace, experiment.parent, contained=False)
        control = registry.control(run_id)
        assert control is not None

        def until_paused() -> int:
            control.pause()
            while registry.snapshot(run_id).state is not RunState.PAUSED:
                assert not registry.wait(run_id, 0.05), registry.snapshot(run_id).error
            return registry.snapshot(run_id).series.step

        first = until_paused()
        with pytest.raises(ExperimentError, match="at least 0"):
            registry.steer(run_id, {"tasks.kind.weight": -1.0}, workspace)
        with pytest.raises(RunError, match="still being trained"):
            registry.replay(run_id, workspace)
        registry.steer(run_id, {"tasks.kind.weight": 7.0}, workspace)
        registry.steer(run_id, {"optimizer.learning_rate": 0.002}, workspace)
        control.resume()
        while len(registry.snapshot(run_id).series.steered) < 2:
            assert not registry.wait(run_id, 0.05), registry.snapshot(run_id).error
        until_paused()
        assert run(workspace, run_id).steered
        registry.go_back(run_id, first, workspace)
        while registry.snapshot(run_id).series.steered:
            assert not registry.wait(run_id, 0.05), registry.snapshot(run_id).error
        until_paused()
        assert not run(workspace, run_id).steered, "nothing of what was changed is left"
        registry.steer(run_id, {"tasks.click.weight": 3.0}, workspace)
        control.resume()
        while not registry.snapshot(run_id).series.steered:
            assert not registry.wait(run_id, 0.05), registry.snapshot(run_id).error
        control.stop()
        assert registry.wait(run_id, 60)
        with pytest.raises(RunError, match="ended"):
            registry.steer(run_id, {"tasks.kind.weight": 1.0}, workspace)
        with pytest.raises(RunError, match="ended"):
            registry.go_back(run_id, first, workspace)

        assert main(["replay", run_id, "--json"]) == 0
        found = last_json(capsys)
        assert found["equal"] and found["difference"] is None and found["steps"] == registry.snapshot(run_id).series.step
        again = run(workspace, found["run_id"])
        assert again.replays == run_id and again.steered and again.name.endswith("· replay")

    def test_tables_outside_the_workspace_are_not_read_for_a_browser(self, experiment: Path, workspace: Workspace) -> None:
        registry = Jobs()
        run_id = registry.submit(load_experiment(experiment), workspace, experiment.parent)
        assert registry.wait(run_id, 60)
        snapshot = registry.snapshot(run_id)
        assert snapshot.state is RunState.FAILED
        assert {problem.code for problem in snapshot.problems} == {"file_missing"}
        registry.mirror(workspace).stop(60)


class TestStrategies:
    def test_everything_that_there_is_with_its_source(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["strategies", "--json"]) == 0
        found = last_json(capsys)
        assert found.keys() == {"losses", "gradients", "sampling", "sharing"}
        assert {"fixed", "uncertainty", "famo"} <= found["losses"].keys() and {"pcgrad", "gradnorm"} <= found["gradients"].keys()
        for named in (*found["losses"].values(), *found["gradients"].values()):
            assert "https://" in named["source"] and named["loss_weight"]
        assert found["gradients"]["cagrad"]["parameters"]["radius"]["bounds"] == [0, 1]
        assert {"hard", "mmoe", "ple", "cross_stitch"} <= found["sharing"].keys()
        assert all("https://" in way["source"] for way in found["sharing"].values())
        assert found["sharing"]["mmoe"]["parameters"]["experts"]["default"] == 4
        assert main(["strategies"]) == 0
        assert "cagrad: " in capsys.readouterr().out

    def test_conflicts_of_a_run(self, experiment: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["train", str(experiment), "--set", "balancing.name=upgrad", "diagnostics.conflicts_every=2", "--json"]) == 0
        run_id = last_json(capsys)["run_id"]
        assert main(["conflicts", run_id, "--json"]) == 0
        found = last_json(capsys)
        assert (found["step"], found["measurements"]) == (4, 0), "the new head of one of them hands on no gradient yet"
        (pair,) = found["pairs"]
        assert {pair["task"], pair["and"]} == {"kind", "click"}
        assert sum(found["shares"].values()) == pytest.approx(1)
        assert found["affinity"] == [], "nothing was measured twice"
        assert main(["conflicts", run_id]) == 0
        out = capsys.readouterr().out
        assert "gradient norm share" in out and "was not measured" in out and "Nothing can be said" in out and "inf" not in out
        assert main(["gates", run_id]) == 2, "hard sharing has no experts"
        assert main(["train", str(experiment), "--set", "diagnostics.conflicts_every=0", "--json"]) == 0
        assert main(["conflicts", last_json(capsys)["run_id"]]) == 2

    def test_gates_of_a_run(self, experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["train", str(experiment), "--set", "sharing.name=mmoe", "sharing.options.experts=2", "--json"]) == 0
        run_id = last_json(capsys)["run_id"]
        assert main(["gates", run_id, "--json"]) == 0
        found = last_json(capsys)
        assert found["step"] == 6 and found["weights"].keys() <= {"kind", "click"} and found["collapse"] == []
        assert all(row.keys() == {"expert 1", "expert 2"} and sum(row.values()) == pytest.approx(1) for row in found["weights"].values())
        assert main(["gates", run_id]) == 0
        assert "No expert has collapsed" in capsys.readouterr().out


class TestCheck:
    def test_a_good_table(self, experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = str(experiment.parent / "texts.csv")
        assert main(["check", file, "--kind", "classification", "--map", "text=text", "label=kind"]) == 0
        assert "texts.csv: 60 rows; usable." in capsys.readouterr().out
        assert main(["check", file, "--kind", "classification", "--map", "text=text", "--map", "label=kind", "--json"]) == 0
        result = last_json(capsys)
        assert (result["usable"], result["rows"], result["columns"]) == (True, 60, {"text": ["text"], "label": ["kind"]})

    def test_what_a_table_is_good_for(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        rows = [f"my parcel {i} is late,{('delivery', 'refund', 'size')[i % 3]}" for i in range(60)]
        (tmp_path / "t.csv").write_text("sentence,label\n" + "\n".join(rows), encoding="utf-8")
        assert main(["suggest", str(tmp_path / "t.csv"), "--json"]) == 0
        first = json.loads(capsys.readouterr().out.splitlines()[-1])["suggestions"][0]
        assert (first["kind"], first["columns"]) == ("classification", {"text": "sentence", "label": "label"})
        assert first["split"] == {"by": "stratified", "column": "label"} and first["why"]
        assert main(["check", str(tmp_path / "t.csv"), "--json"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out.splitlines()[-1])["kind"] == "classification" and "Kind as suggested: classification." in err
        assert main(["suggest", str(tmp_path / "t.csv")]) == 0
        assert "--split by=stratified column=label" in capsys.readouterr().out

    def test_a_table_with_errors_says_where_why_and_how_to_mend(self, experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = experiment.parent / "clicks.csv"
        assert main(["check", str(file), "--kind", "click_through", "--map", "numbers=price", "label=site"]) == 1
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("error")]
        assert lines
        assert all("column “" in line for line in lines)
        assert main(["check", str(file), "--kind", "click_through", "--map", "label=nothing", "--json"]) == 1
        result = last_json(capsys)
        assert not result["usable"]
        assert any(p["column"] == "nothing" and p["severity"] == "error" and p["remedy"] for p in result["problems"])

    def test_files_for_validation_and_test(self, experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file, other = str(experiment.parent / "texts.csv"), tmp_path / "other.csv"
        call = ["check", file, "--kind", "classification", "--map", "text=text", "label=kind", "--json", "--validation", str(other)]
        other.write_text("text,kind\nœuvre,shoe\n", encoding="cp1252")
        assert main([*call, "--encoding", "cp1252", "--dates", "day_first"]) == 0
        assert last_json(capsys)["rows"] == 61
        other.write_text("text\nx\n")
        assert main(call) == 1
        assert any(p["code"] == "missing_columns" and p["file"] == "texts.csv/validation" for p in last_json(capsys)["problems"])
        assert main([*call[:-1], "nothing.csv"]) == main([*call[:-2], "--encoding", "nothing"]) == 2

    def test_a_file_that_cannot_be_read(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "empty.csv").touch()
        assert main(["check", str(tmp_path / "empty.csv"), "--kind", "search", "--json"]) == 1
        assert last_json(capsys)["problems"][0]["file"] == "empty.csv"

    @pytest.mark.parametrize(
        "arguments",
        [
            ["nothing.csv", "--kind", "search"],
            ["FILE", "--kind", "nothing"],
            ["FILE", "--kind", "search", "--map", "nothing=a"],
            ["FILE", "--kind", "search", "--map", "query"],
            ["FILE", "--kind", "search", "--split", "by=group"],
            ["FILE", "--kind", "search", "--split", "validation=7"],
            ["FILE", "--kind", "search", "--options", "nothing=7"],
        ],
    )
    def test_a_wrong_call(self, experiment: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        file = str(experiment.parent / "texts.csv")
        assert main(["check", *(file if a == "FILE" else a for a in arguments)]) == 2
        assert capsys.readouterr().err


def test_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kinds", "--json"]) == 0
    kinds = last_json(capsys)
    assert set(kinds) >= {"recommendation", "search", "click_through", "classification"}
    assert kinds["search"]["query"]["required"]
    assert kinds["click_through"]["numbers"]["many"]
    assert main(["kinds"]) == 0
    assert "history" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["report", "nothing"], ["resume", "../x"], ["predict", "nothing", "--task", "a"], ["runs", "--x"], []]
)
def test_wrong_calls(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert capsys.readouterr().err


def test_runs_are_named_noted_pinned_deleted_and_restored(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    older, made = (ended(workspace, purpose={"of": "x", "part": "alone"} if n else {}) for n in range(2))
    newer = with_model(ended(workspace))

    def listed(*arguments: str) -> dict[str, dict[str, Any]]:
        assert main(["runs", *arguments, "--json"]) == 0
        return {one["run_id"]: one for one in last_json(capsys)["runs"]}

    assert list(listed()) == [newer.id, older.id] and list(listed("--all")) == [newer.id, made.id, older.id]
    assert listed("--all")[made.id]["purpose"] == {"of": "x", "part": "alone"}
    one = listed("--rename", older.id, "for autumn", "--note", older.id, "more search", "--in-use", newer.id)
    assert (one[older.id]["name"], one[older.id]["note"], one[older.id]["weights"]) == ("for autumn", "more search", {"a": 4.0})
    assert [one[run_id]["in_use"] for run_id in (older.id, newer.id)] == [False, True]
    assert main(["runs"]) == 0
    out = capsys.readouterr().out
    assert f"* {newer.id}" in out and "for autumn" in out
    table = mtl.runs(workspace.root).set_index("run_id")
    assert table.loc[older.id, "name"] == "for autumn" and table.loc[older.id, "state"] == "finished" and len(table) == 3
    assert not any(one["in_use"] for one in listed("--in-use", "none").values())

    assert main(["runs", "--delete", older.id]) == 0
    said = capsys.readouterr()
    assert f"--restore {older.id}" in said.err and older.id not in said.out
    assert older.id not in mtl.runs(workspace.root).run_id.tolist()
    assert list(listed("--restore", older.id)) == [newer.id, older.id]
    for wrong in (
        ["--rename", "nothing", "x"],
        ["--delete", "nothing"],
        ["--delete", "x" * 300],
        ["--restore", older.id],
        ["--in-use", older.id],
    ):
        assert main(["runs", *wrong]) == 2
        assert capsys.readouterr().out == ""


def test_no_runs_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--json"]) == 0
    assert last_json(capsys) == {"runs": []}


def test_another_workspace(tmp_path: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--workspace", str(tmp_path / "elsewhere")]) == 0
    assert (tmp_path / "elsewhere" / "runs").is_dir()
    assert not workspace.root.exists()


def test_the_bar() -> None:
    series = Series()
    series.extend(Started(0, 100, "cpu", "float32", {}, 1, 1, {"ads": 1.0}))
    event = StepDone(25, {"ads": 0.41}, 0.41, 0.1, 1.0, {}, 600, 2.0, 1)
    series.extend(event)
    assert progress_text(series, event, width=8) == "[##      ] 25/100  2:30 left  300 tokens/s  ads 0.410"


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before
