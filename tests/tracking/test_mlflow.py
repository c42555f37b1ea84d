"""Runs written to MLflow: the real store, in SQLite; late, gone, locked, and written twice."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from mtl_core.base import trash
from mtl_core.base.workspace import Workspace
from mtl_core.evaluation.predictions import write_report
from mtl_core.tracking import keeping
from mtl_core.tracking.mlflow_mirror import MOST_POINTS, MlflowMirror, flat_parameters
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import RunState, run
from mtl_core.training.events import (
    Event,
    Failed,
    Finished,
    Resumed,
    Started,
    StepDone,
)
from tests.tracking.mlflow_runs import events, expected, histories, step


def mlflow_run(workspace: Workspace, run_id: str):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=workspace.mlflow_uri)
    state = json.loads((workspace.runs / run_id / "mlflow.json").read_text())
    return client, client.get_run(state["run_id"])


@pytest.mark.slow
def test_a_run_is_written_whole(recorder: Recorder, workspace: Workspace, mirrors: Callable[[], MlflowMirror]) -> None:
    mirror = mirrors()
    for name in ("best", "last"):
        folder = workspace.folder("runs", recorder.folder.name, "checkpoints", name, "encoder")
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder.parent / "specs.json").write_text("{}")
    for event in events(300):  # more than one batch of 1000 metrics
        if isinstance(event, Finished):  # a training writes its test report before it ends, and forgets an older one as it starts
            write_report(recorder.folder, "test", {"ads": [{"type": "table", "title": "R", "data": {"columns": ["a"], "rows": [[1]]}}]})
        recorder.record(event)
    assert mirror.flush(60)
    run_id = recorder.folder.name
    assert histories(workspace, run_id) == expected(300)
    client, found = mlflow_run(workspace, run_id)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "two tasks"
    assert found.data.tags["mtl_state"] == "finished"
    assert found.data.params["tasks.ads.weight"] == "2.0"
    assert found.data.params["tasks.衣服.columns.text"] == '["title", "body"]'
    assert found.data.params["encoder.name"] == "minilm"
    assert {a.path for a in client.list_artifacts(found.info.run_id)} == {"experiment.yaml", "reports", "checkpoints"}
    report = Path(client.download_artifacts(found.info.run_id, "reports/test.json"))
    assert json.loads(report.read_text("utf-8"))["ads"][0]["title"] == "R"
    for name in ("best", "last"):
        logged = Path(url2pathname(urlsplit(found.info.artifact_uri).path)) / "checkpoints" / name / "encoder/model.safetensors"
        assert os.path.samefile(logged, recorder.folder / "checkpoints" / name / "encoder/model.safetensors")  # no second place on the disk


@pytest.mark.parametrize("event", [Failed(2, "error", "m", "a"), Finished(2, "stopped", "asked", 0)])
@pytest.mark.usefixtures("store")
def test_the_other_ends(recorder: Recorder, workspace: Workspace, mirrors: Callable[[], MlflowMirror], event: Event) -> None:
    recorder.record(step(1))
    recorder.record(event)
    assert mirrors().flush(60)
    client, found = mlflow_run(workspace, recorder.folder.name)
    assert found.info.status == ("FAILED" if isinstance(event, Failed) else "KILLED")
    assert found.data.tags["mtl_state"] == ("failed" if isinstance(event, Failed) else "stopped")
    assert ("error.json" in {a.path for a in client.list_artifacts(found.info.run_id)}) == isinstance(event, Failed)


@pytest.mark.usefixtures("store")
def test_a_store_that_is_gone_and_comes_back_has_lost_nothing(
    recorder: Recorder, workspace: Workspace, mirrors: Callable[[], MlflowMirror]
) -> None:
    database, away = workspace.root / "mlflow.db", workspace.root / "away.db"
    mirror, run_events = mirrors(), events(40)
    for _ in range(10):
        recorder.record(next(run_events))
    wait_until_written(mirror, recorder)
    database.rename(away)
    database.mkdir()  # nothing can be opened there now
    mirror._drop_client()
    for event in run_events:
        recorder.record(event)
    assert recorder.state is RunState.FINISHED  # training went on
    assert not mirror.flush(2)
    assert mirror.error is not None
    database.rmdir()
    away.rename(database)
    assert mirror.flush(60)
    assert mirror.error is None
    assert histories(workspace, recorder.folder.name) == expected(40)


@pytest.mark.slow
@pytest.mark.usefixtures("store")
def test_a_store_that_is_locked_delays_and_loses_nothing(
    recorder: Recorder, workspace: Workspace, mirrors: Callable[[], MlflowMirror]
) -> None:
    mirror, run_events = mirrors(), events(40)
    for _ in range(10):
        recorder.record(next(run_events))
    wait_until_written(mirror, recorder)
    lock = sqlite3.connect(workspace.root / "mlflow.db", isolation_level=None)
    lock.execute("begin exclusive")
    for event in run_events:
        recorder.record(event)
    assert not mirror.flush(8)  # SQLite itself waits 5 s
    lock.execute("rollback")
    lock.close()
    assert mirror.flush(60)
    assert histories(workspace, recorder.folder.name) == expected(40)


@pytest.mark.usefixtures("store")
def test_a_store_that_was_never_there_until_later(
    recorder: Recorder, workspace: Workspace, mirrors: Callable[[], MlflowMirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace.root / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace.root}/file/mlflow.db")
    mirror = mirrors()
    for event in events(5):
        recorder.record(event)
    assert not mirror.flush(3)
    mirror.stop(60)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert mirrors().flush(60)  # a later process
    assert histories(workspace, recorder.folder.name) == expected(5)


@pytest.mark.usefixtures("store")
def test_a_later_process_goes_on_where_the_last_one_was(
    recorder: Recorder, workspace: Workspace, mirrors: Callable[[], MlflowMirror]
) -> None:
    first, run_events = mirrors(), events(30)
    for _ in range(12):
        recorder.record(next(run_events))
    wait_until_written(first, recorder)
    first.stop(60)
    state = recorder.folder / "mlflow.json"
    assert json.loads(state.read_text())["offset"] == (recorder.folder / "events.jsonl").stat().st_size
    for event in run_events:
        recorder.record(event)
    assert mirrors().flush(60)
    assert histories(workspace, recorder.folder.name) == expected(30)


@pytest.mark.parametrize("forgotten", ["progress", "everything"])
@pytest.mark.usefixtures("store")
def test_what_was_written_but_not_noted_is_not_doubled(
    recorder: Recorder,
    workspace: Workspace,
    mirrors: Callable[[], MlflowMirror],
    mirrored: Callable[[int], MlflowMirror],
    forgotten: str,
) -> None:
    mirrored(20).stop(60)
    state = recorder.folder / "mlflow.json"
    if forgotten == "everything":
        state.unlink()
    else:
        state.write_text(json.dumps({"run_id": json.loads(state.read_text())["run_id"]}))
    assert mirrors().flush(60)
    assert histories(workspace, recorder.folder.name) == expected(20)


@pytest.mark.usefixtures("store")
def test_a_store_that_was_emptied_is_filled_again(recorder: Recorder, workspace: Workspace, mirrors: Callable[[], MlflowMirror]) -> None:
    for event in events(5):
        recorder.record(event)
    first = mirrors()
    assert first.flush(60)
    first.stop(60)
    state = recorder.folder / "mlflow.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "run_id": "0" * 32, "closed": None}))
    with sqlite3.connect(workspace.root / "mlflow.db") as store:
        for table in ("metrics", "latest_metrics", "params", "tags"):
            store.execute(f"delete from {table}")
        store.execute("delete from runs")
    store.close()
    assert mirrors().flush(60)
    assert histories(workspace, recorder.folder.name) == expected(5)


@pytest.mark.usefixtures("store")
def test_steps_repeated_after_a_resume_are_written_once(
    recorder: Recorder, workspace: Workspace, mirrors: Callable[[], MlflowMirror]
) -> None:
    mirror, run_events = mirrors(), events(20)
    for _ in range(14):
        recorder.record(next(run_events))
    recorder.set_state(RunState.INTERRUPTED)
    assert mirror.flush(60)
    assert mlflow_run(workspace, recorder.folder.name)[1].info.status == "KILLED"
    recorder.start()
    done = [event for event in events(20) if isinstance(event, StepDone)]
    for event in (Resumed(8, from_checkpoint=True), *done[8:11], *run_events):
        recorder.record(event)
    assert mirror.flush(60)
    assert histories(workspace, recorder.folder.name) == expected(20)
    assert mlflow_run(workspace, recorder.folder.name)[1].info.status == "FINISHED"


@pytest.mark.usefixtures("store")
def test_a_long_run_is_thinned_the_same_way_after_a_restart(
    recorder: Recorder, workspace: Workspace, mirrors: Callable[[], MlflowMirror]
) -> None:
    n_steps = 3 * MOST_POINTS
    recorder.record(Started(0, n_steps, "cpu", "float32", {}, 1, 2, {"ads": 2.0}))
    for n in range(1, 101):
        recorder.record(StepDone(n, {}, 1 / n, 0.1, 1.0, {}, 1, 1.0, 1))
    first = mirrors()
    wait_until_written(first, recorder)
    first.stop(60)
    for n in range(101, 201):
        recorder.record(StepDone(n, {}, 1 / n, 0.1, 1.0, {}, 1, 1.0, 1))
    recorder.record(Failed(200, "error", "m", "a"))
    assert mirrors().flush(60)
    assert [at for at, _ in histories(workspace, recorder.folder.name)["train/loss"]] == [1, *range(3, 201, 3)]


@pytest.mark.usefixtures("store")
def test_a_killed_process_is_written_by_the_next(workspace: Workspace, mirrors: Callable[[], MlflowMirror]) -> None:
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
        mirror = mirrors()
        assert mirror.flush(30)
        assert not (workspace.runs / run_id / "mlflow.json").exists()  # its own process is there to write it
        process.kill()
        process.wait()
    mirror.wake()
    assert mirror.flush(60)
    assert run(workspace, run_id).state is RunState.INTERRUPTED
    assert histories(workspace, run_id)["train/loss"] == [(1, 0.5)]
    assert mlflow_run(workspace, run_id)[1].info.status == "KILLED"


def wait_until_written(mirror: MlflowMirror, recorder: Recorder) -> None:
    """Until MLflow has all of the journal so far. The run goes on, so `flush` says that there is more to come."""
    state = recorder.folder / "mlflow.json"
    size = (recorder.folder / "events.jsonl").stat().st_size
    for _ in range(100):
        mirror.flush(0.5)
        if state.exists() and json.loads(state.read_text()).get("offset") == size:
            return
    pytest.fail(f"MLflow was not written: {mirror.error}")


def test_parameters_are_flat_and_fit() -> None:
    parameters = flat_parameters({"a": {"b": {"c:d/e": 1.5, "f": None}, "g": [1, "x"], "h": {}}, "i": "y" * 7000, "衣": True})
    assert parameters == {"a.b.c_d_e": "1.5", "a.b.f": "null", "a.g": '[1, "x"]', "a.h": "{}", "i": "y" * 6000, "衣": "true"}


@pytest.mark.usefixtures("store")
def test_what_is_deleted_is_free_though_mlflow_had_a_copy(
    recorder: Recorder, workspace: Workspace, mirrors: Callable[[], MlflowMirror], mirrored: Callable[[int], MlflowMirror]
) -> None:
    folder = workspace.folder("runs", recorder.folder.name, "checkpoints", "best", "encoder")
    (folder / "model.safetensors").write_bytes(b"w" * 100_000)
    (folder.parent / "specs.json").write_text("{}")
    mirrored(3).stop(60)
    recorder.close()
    found = run(workspace, recorder.folder.name)
    assert trash.freed_by(found.folder) < 100_000  # two names
    entry = keeping.delete(workspace, found)
    assert entry.n_bytes > 100_000
    keeping.restore(workspace, found.id)
    assert mirrors().flush(60)
    client, shown = mlflow_run(workspace, found.id)
    assert {a.path for a in client.list_artifacts(shown.info.run_id)} == {"experiment.yaml", "checkpoints"}
    assert histories(workspace, found.id) == expected(3)
