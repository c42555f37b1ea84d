"""A run executed here and now."""

import shutil
from collections.abc import Iterator

import pytest

from mtl_core.api.foreground import execute
from mtl_core.base.workspace import Workspace
from mtl_core.tracking.runs import RunError, create_run
from mtl_core.training.control import Control
from mtl_core.training.events import Event, Started, StepDone
from tests.experiments import smallest


def test_a_folder_that_is_removed_meanwhile_ends_in_a_sentence(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    created = create_run(smallest(), workspace, None)

    def work(control: Control) -> Iterator[Event]:
        yield Started(0, 2, "cpu", "float32", {}, 1, 1, {"clicks": 1.0})
        shutil.rmtree(created.folder)
        yield StepDone(1, {}, 1.0, 0.1, 1.0, {}, 1, 0.1, 1)

    with pytest.raises(RunError, match="was removed while it was at work"):
        execute(created, workspace, work, None)
    assert not created.folder.exists()
