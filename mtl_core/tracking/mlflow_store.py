"""The store that runs are written to: MLflow's own SQLite database in the workspace, made whole or not at all, or the one that
`MLFLOW_TRACKING_URI` names. mlflow is loaded by the functions that need it: 2 s.

The embedded one can always be made again from the journals, so nothing in it is worth a wait, and nothing that happens to it is final.
"""

import json
import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from filelock import FileLock

from mtl_core.base.files import remove, replaced, write_atomically
from mtl_core.base.messages import Message, message
from mtl_core.base.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "MTL Workbench"
STATE = "mlflow.json"
"""In a run's folder: how far it has been written."""
_LOG = logging.getLogger(__name__)


def lock(workspace: Workspace, timeout: float) -> FileLock:
    """Who holds it is the only one that makes, replaces or writes the workspace's store. Raises filelock.Timeout when entered too late."""
    return FileLock(workspace.folder() / "mlflow.lock", timeout=timeout)


def database(workspace: Workspace) -> Path | None:
    """The embedded store's file, there or not; None: the runs are written elsewhere."""
    return None if os.environ.get("MLFLOW_TRACKING_URI") else workspace.folder() / "mlflow.db"


def identity(workspace: Workspace) -> tuple[int, int] | None:
    """Which file the embedded store is: a connection to another one writes what nobody will read. None: it is not there, or elsewhere."""
    path = database(workspace)
    try:
        found = path.stat() if path is not None else None
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino) if found is not None else None


def fault(path: Path) -> Message | str | None:
    """Why a database can no longer be MLflow's, None: it can. A second for each hundred megabytes.

    Raises sqlite3.OperationalError: it cannot be looked at now (it is locked, its folder or disk is not there).
    """
    with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=5)) as store:
        try:
            found = store.execute("pragma quick_check(1)").fetchone()
            if found != ("ok",):
                return str(found[0]).splitlines()[0]
            tables = {name for (name,) in store.execute("select name from sqlite_master where type = 'table'")}
            whole = {"alembic_version", "experiments"} <= tables
            if not whole or store.execute("select count(*) from alembic_version").fetchone() != (1,):
                return message("its tables were never finished")
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:  # "malformed", "not a database"
            return str(error)
    return None


def connect(workspace: Workspace) -> "MlflowClient":
    """A client of the workspace's store. Only under `lock`: an embedded one that is missing is made, one of an older MLflow is brought
    up to date on a copy, and one that is broken is set aside and made anew, for the runs to be written again.

    Raises what MLflow, its driver or a network throws.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the mirror retries by itself
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
        for handler in logging.getLogger(name).handlers:
            if not any(isinstance(known, _WithoutPasswords) for known in handler.filters):
                handler.addFilter(_WithoutPasswords())
    path = database(workspace)
    if path is not None:
        _ready(workspace, path)
    return MlflowClient(tracking_uri=workspace.mlflow_uri)


def there(workspace: Workspace) -> bool:
    """Whether what was written can still be where it was written to: a store elsewhere is asked when there is something to write."""
    return database(workspace) is None or identity(workspace) is not None


def rebuild(workspace: Workspace) -> None:
    """Sets the embedded store aside and makes an empty one; a mirror writes every run to it again. Only under `lock`.

    Does nothing where the runs are written elsewhere. Raises OSError, and what MLflow and its driver throw; the old store stays then.
    """
    path = database(workspace)
    if path is None:
        return
    aside = path.with_name(f"mlflow.{datetime.now():%Y%m%d-%H%M%S}.db") if path.exists() else None
    with _made(path) as temporary:
        _with_tables(temporary)
        if aside is not None:
            path.rename(aside)
            for journal in ("-journal", "-wal", "-shm"):
                path.with_name(path.name + journal).unlink(missing_ok=True)
        for state in workspace.runs.glob(f"*/{STATE}"):
            state.unlink()


def forget_checkpoints(workspace: Workspace, run: Path) -> None:
    """Removes MLflow's copy of a run's checkpoints, which are second names of the same bytes: what is deleted here should be free. Should
    the run come back, they are written again."""
    try:
        state = json.loads((run / STATE).read_text("utf-8"))
        place = workspace.inside("mlartifacts", str(state["run_id"]), "artifacts", "checkpoints")
    except (OSError, ValueError, KeyError, TypeError):
        return
    if place.is_dir():
        remove(place)
        write_atomically(run / STATE, json.dumps({**state, "closed": None}))


def close(client: "MlflowClient | None") -> None:
    """Ends its connections, which may lead to a file or server that is no longer there."""
    engine: Any = getattr(getattr(getattr(client, "_tracking_client", None), "store", None), "engine", None)
    if engine is not None:
        engine.dispose()


def experiment_id(client: "MlflowClient", workspace: Workspace) -> str:
    """MLflow's id of the experiment that all runs belong to, made where it is missing."""
    from mlflow.exceptions import MlflowException

    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    found = client.get_experiment_by_name(name)
    if found is None:
        remote = workspace.mlflow_uri.startswith(("http:", "https:", "databricks"))
        place = None if remote else workspace.folder("mlartifacts").resolve().as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=place))
        except MlflowException:  # made by another process in this moment
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def without_passwords(text: str) -> str:
    """What may be logged and shown of a message that quotes an address: `mysql://user:secret@host/db?password=x` names a password twice."""
    text = re.sub(r"://[^\s'\"]*@", "://***@", text)
    return re.sub(r"(?i)([?&;][^=\s&]*(?:pass|pwd|token|secret|key)[^=\s&]*=)[^\s&;'\"]+", r"\1***", text)


class _WithoutPasswords(logging.Filter):
    """MLflow logs the addresses that it cannot reach, as they were given to it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = without_passwords(record.getMessage()), None
        if record.exc_info:
            record.exc_text = without_passwords(logging.Formatter().formatException(record.exc_info))
        return True


def _ready(workspace: Workspace, path: Path) -> None:
    if not path.exists():
        rebuild(workspace)
    elif why := fault(path):
        _set_aside(workspace, path, why)
    else:
        from mlflow.store.db.utils import _get_latest_schema_revision

        with closing(sqlite3.connect(path, timeout=5)) as store:
            (version,) = store.execute("select version_num from alembic_version").fetchone()
        if version == _get_latest_schema_revision():
            return
        try:
            _bring_up_to_date(path)
        except (OSError, sqlite3.OperationalError):  # now, not for good
            raise
        except Exception as error:  # noqa: BLE001 - whatever a migration throws that meets tables it does not expect
            _set_aside(workspace, path, f"{type(error).__name__}: {error}".splitlines()[0])


def _set_aside(workspace: Workspace, path: Path, why: Message | str) -> None:
    _LOG.warning("MLflow's database %s is broken (%s): it is kept under another name, and all runs are written to a new one.", path, why)
    rebuild(workspace)


def _with_tables(path: Path) -> None:
    """MLflow's tables, in a file that is not there yet."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{path}")
    client.search_experiments(max_results=1)
    close(client)


def _bring_up_to_date(path: Path) -> None:
    from mlflow.store.db.utils import _upgrade_db
    from sqlalchemy import create_engine

    with _made(path) as temporary:
        with closing(sqlite3.connect(path, timeout=5)) as old, closing(sqlite3.connect(temporary)) as new:
            old.backup(new)
        engine = create_engine(f"sqlite:///{temporary}")
        _upgrade_db(engine)
        engine.dispose()


@contextmanager
def _made(path: Path) -> Iterator[Path]:
    """Where to make a database that takes its place whole: the hundreds of steps on the way there need not reach the disk."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    with replaced(path) as temporary:

        def hurry(connection: sqlite3.Connection, record: object) -> None:
            if isinstance(connection, sqlite3.Connection) and _file(connection) == temporary.resolve():
                connection.execute("pragma synchronous = off")
                connection.execute("pragma journal_mode = memory")

        event.listen(Engine, "connect", hurry)
        try:
            yield temporary
        finally:
            event.remove(Engine, "connect", hurry)


def _file(connection: sqlite3.Connection) -> Path | None:
    rows = connection.execute("pragma database_list").fetchall()
    return Path(rows[0][2]).resolve() if rows and rows[0][2] else None
