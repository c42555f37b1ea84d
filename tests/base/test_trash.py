"""The trash: deleted things come back as they were; a kill at any moment loses nothing; nothing outside the workspace is touched."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mtl_core.base import trash
from mtl_core.base.workspace import OutsideWorkspaceError, Workspace


def content(root: Path) -> dict[str, bytes]:
    """Relative path → bytes of every file, without the lock."""
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.fixture
def table(workspace: Workspace) -> Path:
    path = workspace.uploads / "a.csv"
    path.write_bytes(b"a,b\n1,2\n")
    return path


@pytest.fixture
def run(workspace: Workspace) -> Path:
    path = workspace.folder("runs", "abc")
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "best").write_bytes(b"x" * 1000)
    (path / "status.json").write_bytes(b"{}")
    return path


def test_what_has_another_name_elsewhere_is_not_freed(workspace: Workspace, run: Path, tmp_path: Path) -> None:
    """Checkpoints are hard links to MLflow's copy; two names inside the folder are one file."""
    os.link(run / "checkpoints" / "best", tmp_path / "copy")
    assert (trash.size_of(run), trash.freed_by(run)) == (1002, 2)
    (run / "log").write_bytes(b"x" * 10)
    os.link(run / "log", run / "again")
    assert trash.freed_by(run) == 12
    entry = trash.move_to_trash(workspace, run)
    assert entry.n_bytes == 12 == trash.empty_trash(workspace)
    assert (tmp_path / "copy").read_bytes() == b"x" * 1000
    assert trash.freed_by(tmp_path / "copy") == 1000


def test_a_file_and_a_folder_come_back_as_they_were(workspace: Workspace, table: Path, run: Path) -> None:
    before = content(workspace.root)
    first = trash.move_to_trash(workspace, table, "reviews 评论.csv", {"tasks": {"stars": {"kind": "classification"}}})
    second = trash.move_to_trash(workspace, run)
    assert not table.exists()
    assert not run.exists()
    assert trash.list_trash(workspace) == [second, first]
    assert (first.path, first.name, first.n_bytes) == ("uploads/a.csv", "reviews 评论.csv", 8)
    assert (second.path, second.name, second.n_bytes) == ("runs/abc", "abc", 1002)
    assert first.note == {"tasks": {"stars": {"kind": "classification"}}}
    for entry in (first, second):
        assert trash.restore(workspace, entry.id) == entry
    assert content(workspace.root) == before
    assert trash.list_trash(workspace) == []


def test_a_place_in_use_is_asked_about(workspace: Workspace, table: Path) -> None:
    old = trash.move_to_trash(workspace, table)
    table.write_bytes(b"new")
    with pytest.raises(trash.PathInUseError, match=r"a\.csv"):
        trash.restore(workspace, old.id)
    assert table.read_bytes() == b"new"
    trash.restore(workspace, old.id, replace=True)
    assert table.read_bytes() == b"a,b\n1,2\n"
    (new,) = trash.list_trash(workspace)
    trash.restore(workspace, new.id, replace=True)
    assert table.read_bytes() == b"new"


def test_emptying_frees_what_it_said(workspace: Workspace, table: Path, run: Path) -> None:
    first, second = trash.move_to_trash(workspace, table), trash.move_to_trash(workspace, run)
    assert trash.empty_trash(workspace, [first.id]) == 8
    assert trash.list_trash(workspace) == [second]
    with pytest.raises(trash.TrashError, match=first.id):
        trash.restore(workspace, first.id)
    assert trash.empty_trash(workspace) == 1002
    assert content(workspace.root) == {}
    assert trash.empty_trash(workspace) == 0


@pytest.mark.parametrize("where", ["..", "../other.csv", ".", "trash", "trash/x", "uploads/../.."])
def test_only_what_is_in_the_workspace(workspace: Workspace, table: Path, where: str) -> None:
    (workspace.root.parent / "other.csv").write_text("mine")
    before = content(workspace.root.parent)
    with pytest.raises(OutsideWorkspaceError):
        trash.move_to_trash(workspace, workspace.root / where)
    assert content(workspace.root.parent) == before


def test_a_link_is_moved_and_not_what_it_points_to(workspace: Workspace) -> None:
    outside = workspace.root.parent / "other"
    outside.mkdir()
    (outside / "file").write_text("mine")
    (workspace.uploads / "link").symlink_to(outside)
    trash.move_to_trash(workspace, workspace.uploads / "link")
    trash.empty_trash(workspace)
    assert (outside / "file").read_text() == "mine"
    (workspace.root / "away").symlink_to(outside)
    with pytest.raises(OutsideWorkspaceError):  # through a link, out of the workspace
        trash.move_to_trash(workspace, workspace.root / "away" / "file")


def test_what_is_not_there_leaves_no_entry(workspace: Workspace) -> None:
    with pytest.raises(FileNotFoundError):
        trash.move_to_trash(workspace, workspace.uploads / "no.csv")
    assert trash.list_trash(workspace) == []
    assert content(workspace.root) == {}


def test_a_manifest_cannot_lead_out_of_the_workspace(workspace: Workspace, table: Path) -> None:
    entry = trash.move_to_trash(workspace, table)
    manifest = workspace.inside("trash", entry.id, "manifest.json")
    for path in ("../out.csv", "/tmp/out.csv"):
        manifest.write_text(manifest.read_text().replace(entry.path, path))
        assert trash.list_trash(workspace) == []
        with pytest.raises(trash.TrashError):
            trash.restore(workspace, entry.id)
        entry = trash.Trashed(entry.id, path, entry.name, entry.deleted, entry.n_bytes)


KILLED = """
import os, signal, sys
from pathlib import Path
from mtl_core.base import trash
from mtl_core.base.workspace import Workspace
n, what, root = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}
seen = 0
def audit(event, arguments):
    global seen
    if event in CHANGES or event == "open" and arguments[1] is not None and str(arguments[1])[:1] in "wxa":
        seen += 1
        if seen == n:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(audit)
workspace = Workspace(root)
if what == "delete":
    trash.move_to_trash(workspace, root / "runs" / "abc")
elif what == "restore":
    trash.restore(workspace, trash.list_trash(workspace)[0].id)
else:
    trash.empty_trash(workspace)
"""


@pytest.mark.parametrize("what", ["delete", "restore", "empty"])
def test_a_kill_before_any_change_of_the_disk_loses_nothing(workspace: Workspace, what: str) -> None:
    """Killed before its first change, its second …, until one goes through: the run is where it was or in the trash, whole."""
    whole = {"checkpoints/best": b"x" * 1000, "status.json": b"{}"}
    place = workspace.root / "runs" / "abc"
    for n in range(1, 40):
        trash.empty_trash(workspace)
        (place / "checkpoints").mkdir(parents=True, exist_ok=True)
        for name, data in whole.items():
            (place / name).write_bytes(data)
        if what != "delete":
            trash.move_to_trash(workspace, place)
        call = [sys.executable, "-c", KILLED, str(n), what, str(workspace.root)]
        done = subprocess.run(call, cwd=Path(__file__).parents[2], check=False, env=os.environ)
        entries = trash.list_trash(workspace)
        if entries:
            assert not place.exists()
            trash.restore(workspace, entries[0].id)
        if what != "empty" or entries:
            assert content(place) == whole
        if done.returncode == 0:
            assert n > 1
            return
        assert done.returncode == -signal.SIGKILL
    pytest.fail("never went through")
