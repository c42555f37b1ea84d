"""The folder that everything is written to: whom it is open to."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtl_core.base.workspace import Workspace


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_workspace_is_entered_by_its_owner_alone(tmp_path: Path) -> None:
    assert rights(Workspace(tmp_path / "a" / "workspace").runs.parent) == 0o700
    assert rights(tmp_path / "a") == 0o755, "what lies around it is not ours"


@pytest.mark.parametrize(("before", "after"), [(0o755, 0o700), (0o775, 0o700), (0o750, 0o750), (0o1777, 0o1777), (0o500, 0o500)])
def test_an_old_one_is_closed_unless_somebody_gave_rights_to_it(tmp_path: Path, before: int, after: int) -> None:
    (tmp_path / "runs").mkdir()
    tmp_path.chmod(before)
    assert Workspace(tmp_path).runs.is_dir() and rights(tmp_path) == after


def test_a_folder_that_is_no_workspace_yet_keeps_its_rights(tmp_path: Path) -> None:
    """Somebody's own, which holds other things too."""
    tmp_path.chmod(0o755)
    Workspace(tmp_path).folder()
    assert rights(tmp_path) == 0o755
