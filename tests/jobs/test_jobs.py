"""The registry of jobs: real threads and real folders; what they execute are hand-made events."""

import importlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import mtl_core.jobs
from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace
from mtl_core.data.problems import DataError, Problem, Severity
from mtl_core.jobs import Jobs, Work, jobs, perform, training
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import RunError, RunState, create_run, list_runs, run
from mtl_core.training.control import Control
from mtl_core.training.events import CheckpointSaved, Event, Failed, Finished, Paused, Resumed, Started, Steered, StepDone
from tests.experiments import smallest
from tests.opens import opens

EXPERIMENT = smallest("name=test")
OTHER_DEVICE = smallest("training.device=cuda:7")  # a queue of its own; nothing is sent there


def step(n: int) -> StepDone:
    return StepDone(n, {"a": 1 / n}, 1 / n, 0.01, 1.0, {"a": 4}, 100, 0.1, 1000)


class Gate:
    """A training that takes a step whenever it is let: it obeys its control as the loop does."""

    def __init__(self, n_steps: int = 3):
        self.n_steps = n_steps
        self.at_work = threading.Event()
        self.ticks = threading.Semaphore(0)
        self.seen = threading.Semaphore(0)

    def __call__(self, control: Control) -> Iterator[Event]:
        self.at_work.set()
        yield Started(0, self.n_steps, "cpu", "float32", {"a": {"train": 4}}, 1, 1, {"a": 1.0})
        for n in range(1, self.n_steps + 1):
            self.seen.release()
            assert self.ticks.acquire(timeout=30)
            if control.paused:
                yield Paused(n - 1)
                self.seen.release()
                control.wait_while_paused()
                yield Resumed(n - 1)
            commands = control.take(n - 1)
            for changes in commands.changes:
                yield Steered(n, {"tasks.a.weight": 1.0}, changes)
            if commands.stop:
                yield Finished(n - 1, "stopped", "asked", 0)
                return
            yield step(n)
        yield Finished(self.n_steps, "finished", "steps", self.n_steps, {"a": {"auc": 0.5}}, {"a": {"auc": 0.8}}, {"a": {"auc": 0.7}})

    def open(self) -> None:
        for _ in range(self.n_steps + 1):
            self.ticks.release()

    def wait(self) -> None:
        """Until it asks for the next tick (or has paused): everything before is recorded."""
        assert self.seen.acquire(timeout=30)


def raising(error: Exception) -> Work:
    def work(control: Control) -> Iterator[Event]:
        yield step(1)
        raise error

    return work


@pytest.fixture
def registry(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """A registry of the test's own, whose threads are over when the test is. There is no MLflow store, which must not matter."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    registry = Jobs()
    yield registry
    for run_id in registry.active():
        control = registry.control(run_id)
        if control is not None:
            control.stop()
    for run_id in registry.active():
        assert registry.wait(run_id, 30)
    registry.mirror(workspace).stop(60)


def test_a_job_runs_to_its_end(registry: Jobs, workspace: Workspace) -> None:
    gate = Gate()
    run_id = registry.submit(EXPERIMENT, workspace, None, gate)
    gate.wait()
    assert registry.active() == registry.active(workspace) == [run_id]
    assert registry.active(Workspace(workspace.root.parent / "other")) == []
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("mtl-jobs-")] == ["mtl-jobs-cpu"]
    gate.open()
    assert registry.wait(run_id, 30)
    snapshot = registry.snapshot(run_id)
    assert snapshot.state is RunState.FINISHED
    assert snapshot.progress == 1
    assert snapshot.series.loss("a") == ([1, 2, 3], [1, 1 / 2, 1 / 3])
    assert snapshot.device == "cpu"
    assert not snapshot.steerable
    assert registry.active() == []
    assert registry.control(run_id) is None
    found = run(workspace, run_id)
    assert found.state is RunState.FINISHED
    assert found.result()["tasks"]["a"]["test"] == {"auc": 0.7}


def test_two_tabs_see_the_same_and_a_snapshot_does_not_change(registry: Jobs, workspace: Workspace) -> None:
    gate = Gate()
    run_id = registry.submit(EXPERIMENT, workspace, None, gate)
    gate.wait()
    one, two = registry.snapshot(run_id), registry.snapshot(run_id)
    assert one == two
    assert one.series.step == 0
    gate.ticks.release()
    gate.wait()
    assert one.series.step == 0
    assert registry.snapshot(run_id).series.step == 1
    assert registry.snapshot(run_id).progress == pytest.approx(1 / 3)
    assert registry.snapshot(run_id).seconds_left == pytest.approx(0.2)
    gate.open()


@pytest.mark.parametrize("when", ["it waits", "it is at work", "half of it"])
def test_a_run_whose_folder_was_removed_ends_with_a_sentence_and_lets_the_next_one_train(
    registry: Jobs, workspace: Workspace, when: str
) -> None:
    first, second, third = Gate(), Gate(), Gate()
    ids = [registry.submit(EXPERIMENT, workspace, None, gate) for gate in (first, second, third)]
    first.wait()
    removed = ids[1] if when == "it waits" else ids[0]
    if when == "half of it":
        (workspace.runs / removed / "events.jsonl").unlink()
    else:
        shutil.rmtree(workspace.runs / removed)
    for gate in (first, second, third):
        gate.open()
    for one in ids:
        assert registry.wait(one, 30)
    snapshot = registry.snapshot(removed)
    assert snapshot.state is RunState.FAILED
    assert snapshot.error is not None and snapshot.error.message == "The folder of the run was removed while it was at work."
    if when == "half of it":
        assert run(workspace, removed).state is RunState.FAILED and not (workspace.runs / removed / "error.txt").exists()
    else:
        assert not (workspace.runs / removed).exists()
    assert [registry.snapshot(one).state for one in ids if one != removed] == [RunState.FINISHED] * 2


def test_steering(registry: Jobs, workspace: Workspace) -> None:
    gate = Gate(5)
    run_id = registry.submit(EXPERIMENT, workspace, None, gate)
    gate.wait()
    control = registry.control(run_id)
    assert control is not None
    control.set_weights({"a": 3.0})
    gate.ticks.release()
    gate.wait()
    assert registry.snapshot(run_id).series.current_weights == {"a": 3.0}
    control.pause()
    assert registry.snapshot(run_id).pausing
    gate.ticks.release()
    gate.wait()
    assert registry.snapshot(run_id).state is RunState.PAUSED
    assert run(workspace, run_id).state is RunState.PAUSED
    control.resume()
    gate.wait()
    assert registry.snapshot(run_id).state is RunState.RUNNING
    control.stop()
    assert registry.snapshot(run_id).stopping
    gate.open()
    assert registry.wait(run_id, 30)
    assert registry.snapshot(run_id).state is RunState.STOPPED


def test_one_job_a_device_the_others_wait(registry: Jobs, workspace: Workspace) -> None:
    first, second, third, elsewhere = Gate(), Gate(), Gate(), Gate()
    a = registry.submit(EXPERIMENT, workspace, None, first)
    first.wait()
    b = registry.submit(EXPERIMENT, workspace, None, second)
    c = registry.submit(EXPERIMENT, workspace, None, third)
    d = registry.submit(OTHER_DEVICE, workspace, None, elsewhere)
    elsewhere.wait()
    assert not second.at_work.is_set()
    assert [registry.snapshot(i).state for i in (a, b, c, d)] == ["running", "queued", "queued", "running"]
    assert [registry.snapshot(i).position for i in (a, b, c, d)] == [None, 1, 2, None]
    assert run(workspace, b).state is RunState.QUEUED
    control = registry.control(b)
    assert control is not None
    control.stop()
    assert registry.wait(b, 30)
    assert registry.snapshot(b).state is RunState.STOPPED
    assert not second.at_work.is_set()
    first.open()
    third.wait()
    assert registry.snapshot(c).state is RunState.RUNNING
    assert registry.active() == [c, d]
    third.open()
    elsewhere.open()


def own_threads() -> list[str]:
    """Of the queues; other tests of this process have some that end when they please."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("mtl-") and "mlflow" not in thread.name)


def test_runs_that_wait_hold_no_threads(registry: Jobs, workspace: Workspace) -> None:
    first = Gate()
    running = registry.submit(EXPERIMENT, workspace, None, first)
    first.wait()
    before = own_threads()
    order: list[int] = []

    def noting(n: int) -> Work:
        def work(control: Control) -> Iterator[Event]:
            order.append(n)
            yield FINISHED

        return work

    waiting = [registry.submit(EXPERIMENT, workspace, None, noting(n)) for n in range(50)]
    assert own_threads() == before
    assert [registry.snapshot(i).position for i in waiting] == list(range(1, 51))
    for run_id in waiting[3:48]:
        control = registry.control(run_id)
        assert control is not None
        control.stop()
        assert registry.snapshot(run_id).state is run(workspace, run_id).state is RunState.STOPPED  # at once
    assert registry.snapshot(waiting[49]).position == 5
    first.open()
    assert all(registry.wait(i, 30) for i in (running, *waiting))
    assert order == [0, 1, 2, 48, 49]
    assert {registry.snapshot(waiting[n], workspace).state for n in order} == {RunState.FINISHED}


def test_a_device_that_has_to_be_found_keeps_its_turn(registry: Jobs, workspace: Workspace) -> None:
    first, second, third = Gate(), Gate(), Gate()
    a = registry.submit(EXPERIMENT, workspace, None, first)
    first.wait()
    b = registry.submit(smallest("training.device=auto"), workspace, None, second)  # on this machine the processor, or a queue of its own
    c = registry.submit(EXPERIMENT, workspace, None, third)
    assert registry.snapshot(c).state is RunState.QUEUED
    for gate in (first, second, third):
        gate.open()
    assert all(registry.wait(i, 60) for i in (a, b, c))
    assert [registry.snapshot(i).state for i in (a, b, c)] == ["finished"] * 3


def test_a_thread_that_is_told_to_end_leaves_the_queue_to_the_next(registry: Jobs, workspace: Workspace) -> None:
    def leaving(control: Control) -> Iterator[Event]:
        yield step(1)
        raise SystemExit

    a = registry.submit(EXPERIMENT, workspace, None, leaving)
    b = registry.submit(EXPERIMENT, workspace, None, lambda control: iter([FINISHED]))
    assert registry.wait(a, 30) and registry.wait(b, 30)
    assert [registry.snapshot(i).state for i in (a, b)] == ["interrupted", "finished"]


def test_an_experiment_is_not_read_again_on_its_way_to_the_training(registry: Jobs, workspace: Workspace) -> None:
    created = create_run(EXPERIMENT, workspace, None)
    assert created.experiment is EXPERIMENT and created.refreshed().experiment is EXPERIMENT
    with opens(created.folder / "experiment.yaml") as n:
        recorder = Recorder(created.folder)
        perform(recorder, training(created, workspace, resume=False), Control())  # up to its table, which is not there
        recorder.close()
    assert n == [0]
    assert recorder.state is RunState.FAILED and run(workspace, created.id).problems[0].code == "file_missing"
    run_id = registry.submit(EXPERIMENT, workspace, None)
    with opens(workspace.runs / run_id / "experiment.yaml") as n:
        assert registry.wait(run_id, 60)
        assert registry.snapshot(run_id).error is not None
    assert n == [0]


PROBLEM = Problem(Severity.ERROR, "label_missing", message("There is no label."), message("Map one."), "a.csv", 3, "y")


@pytest.mark.parametrize(
    ("error", "reason", "text"),
    [
        (ValueError("seven"), "error", "ValueError: seven"),
        (KeyError("x"), "error", "KeyError: 'x'"),
        (MemoryError(), "out_of_memory", "MemoryError: "),
        (DataError([PROBLEM]), "data", "a.csv, line 3, column “y”: There is no label. Map one."),
    ],
)
def test_an_exception_fails_the_run_and_not_the_registry(
    registry: Jobs, workspace: Workspace, error: Exception, reason: str, text: str
) -> None:
    run_id = registry.submit(EXPERIMENT, workspace, None, raising(error))
    assert registry.wait(run_id, 30)
    snapshot = registry.snapshot(run_id)
    assert snapshot.state is RunState.FAILED
    assert snapshot.error is not None
    assert (snapshot.error.reason, snapshot.error.message, snapshot.error.step) == (reason, text, 1)
    assert snapshot.error.advice
    assert list(run(workspace, run_id).events())[-1] == snapshot.error
    assert "Traceback" in (workspace.runs / run_id / "error.txt").read_text()
    assert list(snapshot.problems) == ([PROBLEM] if reason == "data" else [])
    gate = Gate()
    gate.open()
    after = registry.submit(EXPERIMENT, workspace, None, gate)
    assert registry.wait(after, 30)
    assert registry.snapshot(after).state is RunState.FINISHED


def test_a_failure_that_training_itself_reports(registry: Jobs, workspace: Workspace) -> None:
    failed = Failed(2, "not_finite", "The loss of a is not finite.", "Lower the learning rate.", "a")
    run_id = registry.submit(EXPERIMENT, workspace, None, lambda control: iter([step(1), failed]))
    assert registry.wait(run_id, 30)
    assert registry.snapshot(run_id).error == failed


def test_training_without_an_end_is_a_failure(registry: Jobs, workspace: Workspace) -> None:
    run_id = registry.submit(EXPERIMENT, workspace, None, lambda control: iter([step(1)]))
    assert registry.wait(run_id, 30)
    assert registry.snapshot(run_id).state is RunState.FAILED


@pytest.mark.parametrize("text", ["name: test\ntraining: {device: cpu}\nsurprise: 1\n", "{", "- 1", ""])
def test_a_run_whose_experiment_cannot_be_read_is_not_resumed(registry: Jobs, workspace: Workspace, text: str) -> None:
    recorder = Recorder(create_run(EXPERIMENT, workspace, None).folder)
    recorder.set_state(RunState.STOPPED)
    recorder.close()
    (recorder.folder / "experiment.yaml").write_text(text, "utf-8")
    with pytest.raises(RunError, match="cannot be read"):
        registry.resume(recorder.folder.name, workspace)


def test_going_on_after_a_stop(registry: Jobs, workspace: Workspace) -> None:
    run_id = registry.submit(EXPERIMENT, workspace, None, lambda control: iter([step(1), step(2), Finished(2, "stopped", "asked", 0)]))
    assert registry.wait(run_id, 30)
    assert registry.resume(run_id, workspace, lambda control: iter([Resumed(1, True), step(2), step(3), FINISHED])) == run_id
    assert registry.wait(run_id, 30)
    assert registry.snapshot(run_id).state is RunState.FINISHED
    assert registry.snapshot(run_id).series.loss("a")[0] == [1, 2, 3]
    assert len(list(run(workspace, run_id).events())) == 7
    with pytest.raises(RunError, match="finished"):
        registry.resume(run_id, workspace)


FINISHED = Finished(3, "finished", "steps", 3)


def test_what_cannot_go_on(registry: Jobs, workspace: Workspace) -> None:
    gate = Gate()
    live = registry.submit(EXPERIMENT, workspace, None, gate)
    with pytest.raises(RunError, match="already"):
        registry.resume(live, workspace)
    gate.open()
    with pytest.raises(RunError, match="no run"):
        registry.resume("nothing", workspace)
    with pytest.raises(RunError, match="no run"):
        registry.snapshot("nothing", workspace)
    failed = registry.submit(OTHER_DEVICE, workspace, None, raising(ValueError("x")))
    assert registry.wait(failed, 30)
    with pytest.raises(RunError, match="first checkpoint"):
        registry.resume(failed, workspace)
    (workspace.folder("runs", failed, "checkpoints", "last") / "specs.json").write_text("{}")
    registry.resume(failed, workspace, lambda control: iter([FINISHED]))
    assert registry.wait(failed, 30)
    assert registry.snapshot(failed).state is RunState.FINISHED
    assert registry.snapshot(failed).error is None


def test_a_dead_process_leaves_runs_that_are_found_and_go_on(registry: Jobs, workspace: Workspace) -> None:
    script = f"""
import sys, threading
from pathlib import Path
from mtl_core.jobs import jobs
from mtl_core.training.events import StepDone
from mtl_core.base.workspace import Workspace
from tests.experiments import smallest
workspace = Workspace(Path({str(workspace.root)!r}))
def work(control):
    yield StepDone(1, {{"a": 1.0}}, 0.5, 0.1, 1.0, {{}}, 1, 0.1, 1)
    print("running", flush=True)
    threading.Event().wait()
running = jobs().submit(smallest(), workspace, None, work)
waiting = jobs().submit(smallest(), workspace, None, work)
print(running, waiting, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().split() for _ in range(2)]
        running, waiting = next(line for line in lines if len(line) == 2)
        seen = registry.snapshot(running, workspace)
        assert seen.state is RunState.RUNNING  # live, though of another process
        assert not seen.steerable
        assert seen.series.loss("a") == ([1], [1.0])
        process.kill()
        process.wait()
    assert registry.snapshot(running, workspace).state is RunState.INTERRUPTED
    assert set(registry.recover(workspace)) == {running, waiting}
    assert registry.recover(workspace) == []
    assert {run(workspace, i).status["state"] for i in (running, waiting)} == {"interrupted"}
    registry.resume(running, workspace, lambda control: iter([Started(0, 3, "cpu", "float32", {}, 1, 1, {"a": 1.0}), step(1), FINISHED]))
    assert registry.wait(running, 30)
    assert registry.snapshot(running).state is RunState.FINISHED
    assert registry.snapshot(running).series.loss("a") == ([1], [1.0])


def test_the_run_of_another_is_read_as_it_grows(registry: Jobs, workspace: Workspace) -> None:
    recorder = Recorder(create_run(EXPERIMENT, workspace, None).folder)
    recorder.start()
    for n in range(1, 4):
        recorder.record(step(n))
        assert registry.snapshot(recorder.folder.name, workspace).series.step == n
    recorder.record(CheckpointSaved(3, "last", "checkpoints/last"))
    snapshot = registry.snapshot(recorder.folder.name, workspace)
    assert snapshot.events == (CheckpointSaved(3, "last", "checkpoints/last"),)
    assert snapshot.memory_bytes == 1000
    recorder.close()


def test_many_ended_jobs_do_not_pile_up(registry: Jobs, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtl_core.jobs.queues._KEPT", 2)
    ids = []
    for _ in range(5):
        ids.append(registry.submit(EXPERIMENT, workspace, None, lambda control: iter([step(1), FINISHED])))
        assert registry.wait(ids[-1], 30)
    assert len(registry._queues._jobs) <= 3
    assert all(registry.snapshot(i, workspace).state is RunState.FINISHED for i in ids)


def test_there_is_one_registry_even_when_the_module_is_loaded_again() -> None:
    before = jobs()
    module: Callable[[], Jobs] = importlib.reload(mtl_core.jobs).jobs
    assert module() is before
    found: list[Jobs] = []
    threads = [threading.Thread(target=lambda: found.append(jobs())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(map(id, found)) == {id(before)}


def test_nothing_heavy_is_loaded_for_a_first_look(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from mtl_core.jobs import jobs
from mtl_core.tracking.runs import list_runs
from mtl_core.base.workspace import Workspace
workspace = Workspace(Path({str(tmp_path)!r}))
jobs().recover(workspace)
assert list_runs(workspace) == jobs().active() == []
assert jobs().mirror(workspace).flush(30)
print([m for m in ("torch", "transformers", "mlflow", "sklearn", "torchmetrics", "streamlit") if m in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True).stdout == "[]\n"


def test_a_queue_that_cannot_be_written_to_stops_no_training(registry: Jobs, workspace: Workspace) -> None:
    """What keeps several servers apart is not what a run hangs on: its own disk is, which says so itself."""
    first, second = Gate(), Gate()
    one = registry.submit(EXPERIMENT, workspace, None, first)
    first.wait()
    two = registry.submit(EXPERIMENT, workspace, None, second)
    shutil.rmtree(workspace.root / "queue")
    (workspace.root / "queue").touch()
    first.open()
    second.open()
    assert registry.wait(one, 30) and registry.wait(two, 30)
    assert [registry.snapshot(run_id).state for run_id in (one, two)] == [RunState.FINISHED] * 2
    with pytest.raises(OSError, match="queue"):
        registry.submit(EXPERIMENT, workspace, None, Gate())
    refused = list_runs(workspace)[0]
    assert refused.id not in (one, two) and refused.state is RunState.FAILED, "it does not seem to wait"
    Recorder(refused.folder).close()  # nobody holds it


def test_a_clock_that_was_set_back_keeps_nobody_waiting(registry: Jobs, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process takes the turns in the order that the queue shows to all."""
    gates, now = [Gate() for _ in range(3)], iter(range(3 * 10**18, 0, -(10**18)))
    monkeypatch.setattr("mtl_core.jobs.turns.time", SimpleNamespace(time_ns=lambda: next(now)))
    ids = []
    for gate in gates:
        ids.append(registry.submit(EXPERIMENT, workspace, None, gate))
        gates[0].at_work.wait(30)
    assert [registry.snapshot(run_id).position for run_id in ids] == [None, 2, 1]
    for gate in gates:
        gate.open()
    assert all(registry.wait(run_id, 30) for run_id in ids)


def test_two_servers_on_one_workspace_share_one_queue(registry: Jobs, workspace: Workspace) -> None:
    """Another process's job, that waits in front of a third one of this process, and then one that is killed while at work."""
    gate, last = Gate(), Gate()
    first = registry.submit(EXPERIMENT, workspace, None, gate)
    gate.wait()
    program = f"""
import sys
from pathlib import Path
from mtl_core.base.workspace import Workspace
from mtl_core.jobs import Jobs
from tests.experiments import smallest
from tests.jobs.test_jobs import Gate
registry, gate = Jobs(), Gate()
run_id = registry.submit(smallest("name=other"), Workspace(Path({str(workspace.root)!r})), None, gate)
print(run_id, registry.ahead(run_id), flush=True)
gate.wait()
print("at work", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        run_id, ahead = other.stdout.readline().split()
        assert ahead == "1"
        waiting = registry.submit(EXPERIMENT, workspace, None, last)
        assert registry.ahead(waiting) == 2
        gate.open()
        assert registry.wait(first, 30)
        assert other.stdout.readline() == "at work\n"
        assert registry.snapshot(waiting).position == 1 and registry.ahead(waiting) == 1
        assert not last.at_work.is_set()
        other.kill()
        other.wait()
        last.wait()
        assert run(workspace, run_id).state is RunState.INTERRUPTED
        last.open()
    assert registry.wait(waiting, 30)
    assert registry.snapshot(waiting).state is RunState.FINISHED
    assert [path.suffix for path in (workspace.root / "queue").iterdir()] == [".lock"]
