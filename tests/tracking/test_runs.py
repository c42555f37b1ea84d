"""The record of runs: journal, status, curves; real files, real processes."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation.predictions import write_report
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Curve, Owner, Run, RunError, RunState, Series, create_run, list_runs, run
from mtl_core.training.events import (
    CheckpointSaved,
    Compared,
    Evaluated,
    Failed,
    Finished,
    Gated,
    Paused,
    Reported,
    Resumed,
    Started,
    Steered,
    StepDone,
)
from tests.experiments import smallest

EXPERIMENT = smallest("name=two tasks")


def started(step: int = 0, n_steps: int = 10) -> Started:
    return Started(step, n_steps, "cpu", "float32", {"a": {"train": 8}}, 3, 5, {"a": 1.0, "b": 2.0})


def step(n: int, loss: float = 0.5, seconds: float = 0.5) -> StepDone:
    return StepDone(n, {"a": loss, "b": 2 * loss}, 3 * loss, 0.01, 1.5, {"a": 4, "b": 4}, 100, seconds, 1000 + n)


def evaluated(n: int, auc: float, is_best: bool = False, split: str = "validation") -> Evaluated:
    return Evaluated(n, split, {"a": 1 - auc}, {"a": {"auc": auc}}, auc, 2.0, is_best)


FINISHED = Finished(10, "finished", "steps", 5, {"a": {"auc": 0.5}}, {"a": {"auc": 0.8}}, {"a": {"auc": 0.7}}, 9.0)


@pytest.fixture
def recorder(workspace: Workspace, tmp_path: Path):
    recorder = Recorder(create_run(EXPERIMENT, workspace, tmp_path).folder)
    yield recorder
    recorder.close()


class TestCurve:
    def test_few_points_are_kept_as_they_are(self) -> None:
        curve = Curve()
        for i in range(5):
            curve.add(i, i * i)
        assert (curve.steps, curve.values) == ([0, 1, 2, 3, 4], [0, 1, 4, 9, 16])

    def test_many_points_keep_their_extremes_and_their_mean(self) -> None:
        curve = Curve(limit=50)
        values = [math.sin(i / 50) for i in range(100_000)]
        values[77_777], values[12_345] = 9.0, -9.0
        for i, value in enumerate(values):
            curve.add(i, value)
        assert len(curve) <= 50
        assert len(curve.points) <= 100
        assert (77_777, 9.0) in curve.points
        assert (12_345, -9.0) in curve.points
        assert curve.steps == sorted(curve.steps)
        assert curve.last == (99_999, values[-1])
        assert sum(b[4] for b in curve._buckets) == pytest.approx(sum(values))

    def test_a_thousand_steps_are_kept_whole_and_no_line_has_more_points(self) -> None:
        curve, values = Curve(), np.random.default_rng(0).random(100_000).tolist()
        for i, value in enumerate(values):
            curve.add(i, value)
            if i == 999:
                assert curve.values == values[:1000]
        assert 500 <= len(curve.points) <= 1000

    def test_what_is_not_finite_or_not_later_is_left_out(self) -> None:
        curve = Curve()
        for at, value in ((1, 0.5), (1, 0.6), (0, 0.7), (2, math.nan), (3, math.inf), (4, 0.8)):
            curve.add(at, value)
        assert curve.points == [(1, 0.5), (4, 0.8)]

    def test_cut_forgets_what_came_after(self) -> None:
        curve = Curve()
        for i in range(10):
            curve.add(i, float(i))
        curve.cut(4)
        curve.add(5, 50.0)
        assert curve.values == [0, 1, 2, 3, 4, 50]


class TestSeries:
    def test_curves_by_task(self) -> None:
        series = Series()
        for event in (
            started(),
            evaluated(0, 0.5),
            step(1),
            step(2, 0.4),
            Steered(3, {"tasks.a.weight": 1.0}, {"tasks.a.weight": 4.0}),
            step(3, 0.3),
        ):
            series.extend(event)
        assert series.tasks == ["a", "b"]
        assert series.loss("a") == ([1, 2, 3], [0.5, 0.4, 0.3])
        assert series.loss("b") == ([1, 2, 3], [1.0, 0.8, 0.6])
        assert series.weight("a") == ([0, 3], [1.0, 4.0])
        assert series.weight("b") == ([0, 3], [2.0, 2.0])
        assert series.current_weights == {"a": 4.0, "b": 2.0}
        assert series.validation("a", "auc") == ([0], [0.5])
        assert series.validation("a", "nothing") == ([], [])
        assert series.tokens_per_second.values == [200.0] * 3
        assert series.progress == 0.3

    def test_seconds_left_counts_evaluations_and_the_final_one(self) -> None:
        series = Series()
        assert series.seconds_left is None
        begun = replace(started(), rows={"a": {"train": 8, "validation": 4, "test": 6}})
        for event in (begun, evaluated(0, 0.5), step(1), step(2), step(3), step(4), evaluated(4, 0.6)):
            series.extend(event)
        final = 2.0 + 2.0 * 6 / 4  # the validation rows once more, and the test rows
        assert series.seconds_left == pytest.approx(6 * (0.5 + 2.0 / 4) + final)  # the evaluation at step 0 comes once
        series.extend(FINISHED)
        assert series.seconds_left == 0

    def test_a_resumed_run_forgets_the_steps_after_its_checkpoint(self) -> None:
        series = Series()
        for event in (started(), step(1), step(2), evaluated(2, 0.6, True), step(3), evaluated(4, 0.9, True), Failed(4, "error", "x", "y")):
            series.extend(event)
        series.extend(Resumed(2, from_checkpoint=True))
        assert series.failed is None
        assert series.best is not None
        assert series.best.step == 2
        series.extend(step(3, 0.1))
        assert series.loss("a") == ([1, 2, 3], [0.5, 0.5, 0.1])
        assert series.validation("a", "auc") == ([2], [0.6])

    def test_how_often_rows_were_seen(self) -> None:
        series = Series()
        assert series.seen == {}
        series.extend(started())
        for number in range(1, 6):
            series.extend(step(number))
        found = series.seen["a"]
        assert (found.rows, found.drawn, found.times, found.often) == (8, 20, 2.5, False)
        series.extend(Resumed(2, from_checkpoint=True))
        series.extend(replace(started(2), drawn={"a": 8}))  # what the lost steps had does not count
        series.extend(step(3))
        assert series.seen["a"].drawn == 12
        series.extend(replace(step(4), rows={"a": 200}))
        assert series.seen["a"].often

    def test_effective_weights_and_what_went_wrong_with_them(self) -> None:
        series = Series()
        series.extend(started())
        for number in range(1, 4):
            series.extend(
                replace(step(number), effective={"a": 0.1 * number, "b": 0.5}, left_out=["b"] if number == 2 else [], fell_back=number > 1)
            )
        assert series.effective_weight("a") == ([1, 2, 3], pytest.approx([0.1, 0.2, 0.3]))
        assert (series.left_out, series.fell_back) == ({"b": 1}, 2)
        series.extend(Resumed(1, from_checkpoint=True))
        assert (series.left_out, series.fell_back) == ({}, 0), "steps that are done again count once"

    def test_looks_at_conflicts_are_thinned_and_cut(self) -> None:
        series = Series()
        series.extend(started())
        for number in range(1000):
            series.extend(Compared(number, ["a", "b"], [1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], {}))
        kept = [look.step for look in series.conflicts]
        assert 200 <= len(kept) <= 400 and kept[0] == 0 and kept == sorted(kept)
        series.extend(Resumed(500, from_checkpoint=True))
        assert series.conflicts[-1].step < 500

    def test_gates_are_thinned_and_cut_after_the_checkpoint_of_their_step(self) -> None:
        series = Series()
        series.extend(started())
        for number in range(0, 1000, 2):
            series.extend(Gated(number, {"a": {"expert 1": 1.0}}))
        assert 200 <= len(series.gates) <= 400 and series.gates[0].step == 0 and series.gates[-1] not in series.recent
        last = series.gates[-20].step
        series.extend(Resumed(last, from_checkpoint=True))
        assert series.gates[-1].step == last

    def test_a_copy_does_not_change(self) -> None:
        series = Series()
        series.extend(started())
        series.extend(step(1))
        copy = series.copy()
        series.extend(step(2))
        assert copy.loss("a") == ([1], [0.5])
        assert copy.step == 1


class TestJournal:
    def test_events_come_back(self, recorder: Recorder) -> None:
        panel = {"type": "table", "title": "Report", "data": {"columns": ["á"], "rows": [["衣服"]]}}
        recorder.record(started())
        events = [
            started(),
            step(1),
            Paused(1),
            Resumed(1),
            Reported(1, "test", write_report(recorder.folder, "test", {"a": [panel]})),
            CheckpointSaved(1, "last", "checkpoints/last"),
        ]
        for event in events[1:]:
            recorder.record(event)
        found = Run(recorder.folder, recorder.status)
        assert list(found.events()) == events
        assert found.reports("test") == {"a": [panel]}
        assert found.reports("validation") == {}
        assert json.loads((recorder.folder / events[4].path).read_text("utf-8")) == {"a": [panel]}
        offsets = [record.next_offset for record in found.records()]
        assert list(found.events(offsets[2])) == events[3:]
        assert offsets[-1] == found.journal.stat().st_size

    def test_reports_of_an_older_version_are_found_in_its_journal(self, recorder: Recorder) -> None:
        lines = [
            {"event": "Reported", "step": step, "split": split, "reports": {"a": [step]}, "time": 1.0}
            for step, split in ((1, "test"), (2, "test"), (3, "validation"))
        ]
        found = Run(recorder.folder, recorder.status)
        found.journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert found.reports("test") == {"a": [2]} and found.reports("validation") == {"a": [3]}
        assert [event.to_json() for event in found.events()] == [
            {k: line[k] for k in ("event", "step", "split")} | {"path": ""} for line in lines
        ]

    @pytest.mark.parametrize("torn", [b'{"event": "StepDone", "st', b"{", b"x" * 200_000])
    def test_a_torn_last_line_is_left_out_and_cut_before_the_next(self, recorder: Recorder, torn: bytes) -> None:
        recorder.record(step(1))
        recorder.close()
        with (recorder.folder / "events.jsonl").open("ab") as file:
            file.write(torn)
        found = Run(recorder.folder, recorder.status)
        assert list(found.events()) == [step(1)]
        again = Recorder(recorder.folder)
        again.record(step(2))
        again.close()
        assert list(found.events()) == [step(1), step(2)]

    def test_a_journal_that_is_only_a_torn_line(self, recorder: Recorder) -> None:
        recorder.close()
        (recorder.folder / "events.jsonl").write_bytes(b'{"event"')
        again = Recorder(recorder.folder)
        again.record(step(1))
        again.close()
        assert list(Run(recorder.folder, recorder.status).events()) == [step(1)]

    def test_lines_of_another_version_are_passed_over(self, recorder: Recorder) -> None:
        recorder.record(step(1))
        with (recorder.folder / "events.jsonl").open("ab") as file:
            file.write(b'{"event": "Teleported", "step": 2}\n{"event": "StepDone"}\nnonsense\n[1]\n')
        recorder.record(step(3))
        assert list(Run(recorder.folder, recorder.status).events()) == [step(1), step(3)]

    def test_a_full_disk_leaves_no_torn_line_and_fails_the_run(self, workspace: Workspace) -> None:
        """RLIMIT_FSIZE makes the system refuse what does not fit, as a full disk does."""
        pytest.importorskip("resource")
        script = f"""
import resource, signal, sys
from pathlib import Path
from mtl_core.jobs import perform
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import create_run
from mtl_core.training.control import Control
from mtl_core.training.events import StepDone
from mtl_core.base.workspace import Workspace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tests.experiments import smallest
run = create_run(smallest(), Workspace(Path({str(workspace.root)!r})), None)
recorder = Recorder(run.folder)
def work(control):
    for n in range(1, 1000):
        if n == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        yield StepDone(n, {{"a": 0.5}}, 0.5, 0.1, 1.0, {{}}, 1, 0.1, 1)
print(perform(recorder, work, Control()), recorder.status["error"]["message"])
"""
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
        assert result.stdout.startswith("failed OSError"), result.stderr
        found = list_runs(workspace)[0]
        lines = found.journal.read_bytes().splitlines(keepends=True)
        assert all(line.endswith(b"\n") and json.loads(line) for line in lines)
        assert len(lines) >= 3


class TestState:
    def test_the_way_of_a_run(self, recorder: Recorder, workspace: Workspace) -> None:
        def state() -> RunState:
            return run(workspace, recorder.folder.name).state

        assert state() is RunState.QUEUED
        recorder.start()
        recorder.record(started())
        assert state() is RunState.RUNNING
        recorder.record(Evaluated(0, "validation", {"a": 1.0}, {"a": {"auc": 0.5}}, 0.5, 1.5))
        recorder.record(Paused(1))
        assert state() is RunState.PAUSED
        recorder.record(Resumed(1))
        assert state() is RunState.RUNNING
        recorder.record(FINISHED)
        found = run(workspace, recorder.folder.name)
        assert found.state is RunState.FINISHED
        assert found.seconds == found.series().seconds == 1.5, "what the page shows as elapsed"
        assert found.result()["tasks"] == {"a": {"before": {"auc": 0.5}, "best": {"auc": 0.8}, "test": {"auc": 0.7}}}

    def test_stopped_and_failed(self, recorder: Recorder) -> None:
        recorder.record(Finished(3, "stopped", "asked", 2))
        assert recorder.state is RunState.STOPPED
        recorder.start()
        recorder.record(Failed(4, "not_finite", "The loss of a is not finite.", "Lower the learning rate.", "a"))
        found = Run(recorder.folder, recorder.status)
        assert found.state is RunState.FAILED
        assert found.error == Failed(4, "not_finite", "The loss of a is not finite.", "Lower the learning rate.", "a")

    def test_the_result_of_a_run_without_an_end(self, recorder: Recorder) -> None:
        for event in (started(), evaluated(0, 0.5), step(1), evaluated(1, 0.6, True)):
            recorder.record(event)
        assert Run(recorder.folder, recorder.status).result() == {"tasks": {"a": {"before": {"auc": 0.5}, "best": {"auc": 0.6}}}}

    def test_only_one_at_a_time(self, recorder: Recorder) -> None:
        with pytest.raises(RunError, match="already being trained"):
            Recorder(recorder.folder)
        recorder.close()
        Recorder(recorder.folder).close()

    def test_a_killed_process_leaves_an_interrupted_run(self, workspace: Workspace) -> None:
        script = f"""
import sys
from pathlib import Path
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import create_run
from mtl_core.training.events import StepDone
from mtl_core.base.workspace import Workspace
from tests.experiments import smallest
run = create_run(smallest(), Workspace(Path({str(workspace.root)!r})), None)
recorder = Recorder(run.folder)
recorder.start()
recorder.record(StepDone(1, {{"a": 0.5}}, 0.5, 0.1, 1.0, {{}}, 1, 0.1, 1))
print(run.id, flush=True)
sys.stdin.read()
"""
        with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            run_id = process.stdout.readline().strip()
            assert run(workspace, run_id).state is RunState.RUNNING
            with pytest.raises(RunError, match="already being trained"):
                Recorder(run(workspace, run_id).folder)
            process.kill()
            process.wait()
        found = run(workspace, run_id)
        assert found.state is RunState.INTERRUPTED
        assert [event.step for event in found.events()] == [1]
        Recorder(found.folder).close()  # the claim went with its process

    def test_a_process_number_used_again_is_not_the_owner(self) -> None:
        me = Owner.current()
        assert me.alive
        assert not Owner(me.pid, me.started - 100).alive

    def test_problems_come_back_translatable(self, recorder: Recorder) -> None:
        inner = message("column {c}", c="x")
        problem = Problem(
            Severity.ERROR, "code", message("Found {n} in {where}.", n=3, where=inner), message("Mend it."), "f.csv", 2, "x", 5
        )
        recorder.fail(Failed(0, "data", "m", "a"), [problem])
        assert Run(recorder.folder, json.loads((recorder.folder / "status.json").read_text())).problems == [problem]


def test_runs_are_listed_newest_first_and_broken_folders_left_out(workspace: Workspace) -> None:
    ids = [create_run(smallest(f"name=r{i}"), workspace, None).id for i in range(3)]
    (workspace.runs / "empty").mkdir()
    (workspace.folder("runs", "broken") / "status.json").write_text("{")
    assert [r.id for r in list_runs(workspace)] == ids[::-1]
    assert [r.name for r in list_runs(workspace)] == ["r2", "r1", "r0"]


@pytest.mark.parametrize("name", ["../x", "nothing", "", "a/b", ".hidden"])
def test_an_unknown_run_is_said_to_be_unknown(workspace: Workspace, name: str) -> None:
    with pytest.raises(RunError, match="no run"):
        run(workspace, name)


@pytest.mark.parametrize("text", ["{", "- a", "", "a: [\x00"])
def test_an_experiment_that_is_none_has_no_tasks(workspace: Workspace, text: str) -> None:
    created = create_run(EXPERIMENT, workspace, None)
    assert list(created.tasks) == ["clicks"] and created.experiment == EXPERIMENT
    (created.folder / "experiment.yaml").write_text(text, "utf-8")
    found = run(workspace, created.id)
    assert found.tasks == {}
    with pytest.raises(ExperimentError):
        _ = found.experiment


def test_training_on_forgets_the_test_of_an_earlier_end(workspace: Workspace) -> None:
    recorder = Recorder(create_run(EXPERIMENT, workspace, None).folder)
    recorder.set_state(RunState.STOPPED, tested=1.0, test_error="x", result={})
    for name in ("predictions", "reports"):
        (recorder.folder / name).mkdir()
    recorder.queue()
    recorder.start()
    recorder.fail(Failed(3, "error", "no memory", ""))  # before a step: it is the model that was tested still
    assert run(workspace, recorder.folder.name).tested and (recorder.folder / "reports").exists()
    recorder.start()
    recorder.record(started())
    found = run(workspace, recorder.folder.name)
    assert found.tested is None and not {"tested", "test_error", "result"} & set(found.status)
    assert not (recorder.folder / "predictions").exists() and found.reports("test") == {}
    recorder.close()
