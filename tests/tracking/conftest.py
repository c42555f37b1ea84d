"""A run that is recorded, MLflow's store, and mirrors that write the one to the other."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.tracking.mlflow_mirror import MlflowMirror
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import create_run
from tests.tracking.mlflow_runs import EXPERIMENT, events


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, made once: it takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(workspace: Workspace, empty_store: Path) -> Path:
    return Path(shutil.copy(empty_store, workspace.folder() / "mlflow.db"))


@pytest.fixture
def recorder(workspace: Workspace) -> Iterator[Recorder]:
    recorder = Recorder(create_run(EXPERIMENT, workspace, None).folder)
    recorder.start()
    yield recorder
    recorder.close()


@pytest.fixture
def mirrors(workspace: Workspace) -> Iterator[Callable[[], MlflowMirror]]:
    """Makes mirrors that are stopped at the end of the test."""
    started: list[MlflowMirror] = []

    def start() -> MlflowMirror:
        started.append(MlflowMirror(workspace, interval=0.1).start())
        return started[-1]

    yield start
    for mirror in started:
        mirror.stop(60)


@pytest.fixture
def mirrored(recorder: Recorder, mirrors: Callable[[], MlflowMirror]) -> Callable[[int], MlflowMirror]:
    """Records a run of so many steps and has it written, by a mirror that goes on."""

    def written(n_steps: int) -> MlflowMirror:
        for event in events(n_steps):
            recorder.record(event)
        mirror = mirrors()
        assert mirror.flush(60)
        return mirror

    return written
