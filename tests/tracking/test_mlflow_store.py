"""MLflow's database in the workspace: made whole, set aside where it is broken, and written again from the journals."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.tracking import mlflow_store
from mtl_core.tracking.doctor import examine_workspace
from mtl_core.tracking.mlflow_mirror import MlflowMirror
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import create_run
from tests.tracking.mlflow_runs import EXPERIMENT, events, expected, histories


def unfinished(path: Path) -> None:
    """What a kill in the first migration leaves: the tables it starts from and no version."""
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    path.unlink()
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    engine.dispose()


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 3 * 4096)


def behind_its_tables(path: Path) -> None:
    """The version of an earlier migration under the tables of the last: bringing it up to date fails half way."""
    with sqlite3.connect(path) as database:
        database.execute("update alembic_version set version_num = '451aebb31d03'")
    database.close()


def text(path: Path) -> None:
    path.write_text("no database, but long enough to be looked at by its first hundred bytes, which SQLite reads as the head of one.")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [unfinished, cut, overwritten, emptied, text])
def test_a_broken_store_is_known(store: Path, damage: Callable[[Path], None]) -> None:
    assert mlflow_store.fault(store) is None
    damage(store)
    assert mlflow_store.fault(store)


def test_one_that_is_locked_or_gone_is_not_broken(store: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        mlflow_store.fault(store.with_name("gone.db"))
    lock = sqlite3.connect(store, isolation_level=None)
    lock.execute("begin exclusive")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        mlflow_store.fault(store)
    lock.close()


@pytest.mark.parametrize("damage", [unfinished, cut, behind_its_tables])
def test_a_broken_store_is_set_aside_and_every_run_is_written_again(
    recorder: Recorder,
    workspace: Workspace,
    store: Path,
    mirrors: Callable[[], MlflowMirror],
    mirrored: Callable[[int], MlflowMirror],
    damage: Callable[[Path], None],
) -> None:
    mirrored(5).stop(60)
    damage(store)
    before = store.read_bytes()
    other = Recorder(create_run(EXPERIMENT, workspace, None).folder)  # something to write: only then is the store opened
    other.start()
    for event in events(3):
        other.record(event)
    other.close()
    assert mirrors().flush(60)
    assert histories(workspace, recorder.folder.name) == expected(5)
    assert histories(workspace, other.folder.name) == expected(3)
    (aside,) = store.parent.glob("mlflow.2*.db")
    assert aside.read_bytes() == before


def test_a_store_that_was_deleted_is_written_again(
    recorder: Recorder, workspace: Workspace, store: Path, mirrored: Callable[[int], MlflowMirror]
) -> None:
    mirror = mirrored(5)
    store.unlink()
    assert mirror.flush(60)
    assert histories(workspace, recorder.folder.name) == expected(5)


def test_on_demand_every_run_is_written_again(
    recorder: Recorder, workspace: Workspace, store: Path, mirrored: Callable[[int], MlflowMirror]
) -> None:
    mirror = mirrored(5)
    with sqlite3.connect(store) as database:
        database.execute("update metrics set value = 9")
    database.close()
    mirror.rebuild()
    assert mirror.flush(60)
    assert histories(workspace, recorder.folder.name) == expected(5)


def test_an_older_store_is_brought_up_to_date_with_all_that_is_in_it(workspace: Workspace) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import InitialBase, _get_alembic_config, _get_latest_schema_revision
    from sqlalchemy import create_engine

    path = workspace.folder() / "mlflow.db"
    config = _get_alembic_config(f"sqlite:///{path}")
    head = _get_latest_schema_revision()
    engine = create_engine(f"sqlite:///{path}")
    InitialBase.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("pragma synchronous = off")
        config.attributes["connection"] = connection
        command.upgrade(config, str(ScriptDirectory.from_config(config).get_revision(head).down_revision))
        connection.exec_driver_sql("insert into experiments (experiment_id, name, lifecycle_stage) values (7, 'mine', 'active')")
    engine.dispose()
    with mlflow_store.lock(workspace, 10):
        client = mlflow_store.connect(workspace)
    assert client.get_experiment("7").name == "mine"
    mlflow_store.close(client)
    assert not list(path.parent.glob("mlflow.2*.db"))


def test_two_that_start_at_once_make_one_store(workspace: Workspace) -> None:
    runs = []
    for _ in range(2):
        begun = Recorder(create_run(EXPERIMENT, workspace, None).folder)
        begun.start()
        for event in events(3):
            begun.record(event)
        begun.close()
        runs.append(begun.folder.name)
    both = [MlflowMirror(workspace, only=run, interval=0.1) for run in runs]
    for mirror in both:
        mirror.start()
    waiting = [threading.Thread(target=mirror.flush, args=(60,)) for mirror in both]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    assert [mirror.error for mirror in both] == [None, None]
    for mirror in both:
        mirror.stop(60)
    for run in runs:
        assert histories(workspace, run) == expected(3)


@pytest.mark.slow
def test_a_kill_while_the_store_is_made_leaves_none(recorder: Recorder, workspace: Workspace, mirrors: Callable[[], MlflowMirror]) -> None:
    for event in events(3):
        recorder.record(event)
    program = f"""
import os, sqlite3, sys
from pathlib import Path
from mtl_core.base.workspace import Workspace
from mtl_core.tracking import mlflow_store
from sqlalchemy import event
from sqlalchemy.engine import Engine
workspace = Workspace(Path({str(workspace.root)!r}))
seen = []
@event.listens_for(Engine, "before_cursor_execute")
def die(connection, cursor, statement, *rest):
    seen.append(statement)
    if len(seen) == 150:
        os.kill(os.getpid(), 9)
with mlflow_store.lock(workspace, 10):
    mlflow_store.connect(workspace)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert not (workspace.root / "mlflow.db").exists()
    assert mirrors().flush(60)
    assert histories(workspace, recorder.folder.name) == expected(3)


def test_the_doctor_names_a_broken_store_and_mends_it(workspace: Workspace, store: Path) -> None:
    assert [f.of for f in examine_workspace(workspace)] == []
    cut(store)
    (found,) = examine_workspace(workspace)
    assert (found.what, found.of, found.repairable, found.repaired) == ("tracker", "mlflow.db", True, False)
    (found,) = examine_workspace(workspace, repair=True)
    assert found.repaired
    assert [f.of for f in examine_workspace(workspace)] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://***@host/db"),
        ("no mysql://me:se/c@ret@host:3306/db here", "no mysql://***@host:3306/db here"),
        ("https://host/api?token=secret&page=2", "https://host/api?token=***&page=2"),
        ("postgresql://host/db?user=me&password=secret", "postgresql://host/db?user=me&password=***"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("me@host", "me@host"),
    ],
)
def test_passwords_are_hidden_in_addresses(text: str, shown: str) -> None:
    assert mlflow_store.without_passwords(text) == shown


@pytest.mark.slow
def test_no_password_reaches_a_log_or_the_page(workspace: Workspace) -> None:
    program = f"""
import logging, os
from pathlib import Path
from mtl_core.base.workspace import Workspace
from mtl_core.tracking.mlflow_mirror import MlflowMirror
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import create_run
from tests.tracking.mlflow_runs import EXPERIMENT, events
logging.basicConfig(level=logging.INFO)
workspace = Workspace(Path({str(workspace.root)!r}))
recorder = Recorder(create_run(EXPERIMENT, workspace, None).folder)
recorder.start()
for event in events(2):
    recorder.record(event)
for address in ("mysql+none://me:secret@localhost:1/db", "nothing://me:secret@localhost/", "http://me:secret@127.0.0.1:9"):
    os.environ["MLFLOW_TRACKING_URI"] = address
    mirror = MlflowMirror(workspace, interval=0.1).start()
    while mirror.error is None:
        assert not mirror.flush(1)
    print(mirror.error)
    mirror.stop()
"""
    quickly = {**os.environ, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=quickly)
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr.count("MLflow cannot be written now") >= 3
    assert "secret" not in done.stdout + done.stderr
