"""The workspace's trash: what a person deleted, whole and in one place, until it is restored or the trash is emptied.

Of each entry, in workspace/trash/<id>/: manifest.json and `content`, the file or folder itself. It is moved by one rename, after the
manifest is written and before it is removed: a kill at any moment leaves the thing either where it was or in the trash, never in half.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from mtl_core.base.files import write_atomically
from mtl_core.base.messages import Message, message
from mtl_core.base.workspace import OutsideWorkspaceError, Workspace, new_id

_MANIFEST, _CONTENT = "manifest.json", "content"


class TrashError(ValueError):
    """Something that the trash cannot do. `message` says why, for people."""

    def __init__(self, message: Message):
        self.message = message
        super().__init__(message.text())


class PathInUseError(TrashError):
    """Something else stands where an entry is to be restored: ask, then restore with `replace`, or not."""


@dataclass(frozen=True)
class Trashed:
    """An entry. path: where it was, in the workspace; name: what people call it; n_bytes: what emptying frees; note: whatever who
    deleted it needs to restore the rest (the tasks that used a table, say)."""

    id: str
    path: str
    name: str
    deleted: datetime
    n_bytes: int
    note: Mapping[str, Any] = field(default_factory=dict)


def move_to_trash(workspace: Workspace, path: Path, name: str | None = None, note: Mapping[str, Any] | None = None) -> Trashed:
    """Moves a file or a folder of the workspace to its trash.

    Args:
        path: below the workspace's root and outside its trash; a link is moved, not what it points to.
        name: what people call it; None: the name of the file.
        note: kept with it, as JSON.

    Raises:
        OutsideWorkspaceError: `path` is not inside the workspace, is all of it, or is in the trash.
        FileNotFoundError: there is nothing at `path`.
    """
    place = path.parent.resolve() / path.name
    root = workspace.root.resolve()
    if path.name in ("", ".", "..") or not place.is_relative_to(root) or place.is_relative_to(root / "trash") or place == root:
        raise OutsideWorkspaceError(f"Only what lies in the workspace can be moved to its trash. Found {str(path)!r}.")
    with _locked(workspace):
        found = Trashed(
            new_id(), place.relative_to(root).as_posix(), name or path.name, datetime.now(UTC), freed_by(place), dict(note or {})
        )
        entry = workspace.folder("trash", found.id)
        try:
            write_atomically(entry / _MANIFEST, json.dumps(_to_json(found), ensure_ascii=False, indent=1))
            os.rename(place, entry / _CONTENT)
        except BaseException:
            shutil.rmtree(entry, ignore_errors=True)
            raise
    return found


def list_trash(workspace: Workspace) -> list[Trashed]:
    """What can be restored, newest first. Entries that were left in half by a kill, or cannot be read, are not among them."""
    entries = (_entry(folder) for folder in workspace.inside("trash").glob("*"))
    return sorted((e for e in entries if e is not None), key=lambda e: e.deleted, reverse=True)


def restore(workspace: Workspace, entry: str, *, replace: bool = False) -> Trashed:
    """Moves an entry back to where it was.

    Args:
        entry: its id.
        replace: whether what stands there now goes to the trash in exchange.

    Raises:
        PathInUseError: something stands there, and `replace` is False.
        TrashError: there is no such entry.
    """
    with _locked(workspace):
        folder = workspace.inside("trash", entry)
        found = _entry(folder)
        if found is None:
            raise TrashError(message("There is no {entry} in the trash.", entry=entry))
        place = workspace.root / found.path
        if os.path.lexists(place):
            if not replace:
                raise PathInUseError(message("There is another {name} now. Restore this one in its place, or leave it.", name=found.path))
            move_to_trash(workspace, place)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.rename(folder / _CONTENT, place)
        shutil.rmtree(folder, ignore_errors=True)
    return found


def empty_trash(workspace: Workspace, ids: Collection[str] | None = None) -> int:
    """Deletes entries for good; None: all of them, and what kills have left. Returns the bytes that were freed."""
    freed = 0
    with _locked(workspace):
        for folder in [f for f in workspace.inside("trash").glob("*") if f.is_dir() and (ids is None or f.name in ids)]:
            found = _entry(folder)
            freed += found.n_bytes if found else 0
            (folder / _MANIFEST).unlink(missing_ok=True)  # first: what is deleted in half is no longer an entry
            shutil.rmtree(folder)
    return freed


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder. Raises FileNotFoundError."""
    total = path.lstat().st_size
    if path.is_dir() and not path.is_symlink():
        total = sum(file.lstat().st_size for file in path.rglob("*") if file.is_symlink() or file.is_file())
    return total


def freed_by(path: Path) -> int:
    """Bytes that are free when `path` is gone: not those of files with another name elsewhere, as checkpoints have in MLflow's copy."""
    files = [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]
    found = [file.lstat() for file in files if file.is_symlink() or file.is_file()]
    names = Counter((one.st_dev, one.st_ino) for one in found)
    sizes = {(one.st_dev, one.st_ino): one.st_size for one in found if names[one.st_dev, one.st_ino] >= one.st_nlink}
    return sum(sizes.values())


def _locked(workspace: Workspace) -> FileLock:
    """One at a time, in this process and in others; the same thread may take it again."""
    return FileLock(workspace.folder("trash") / ".lock", is_singleton=True)


def _entry(folder: Path) -> Trashed | None:
    try:
        values = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        path = Path(values["path"])
        if path.is_absolute() or ".." in path.parts or not os.path.lexists(folder / _CONTENT):
            return None
        deleted = datetime.fromisoformat(values["deleted"])
        return Trashed(folder.name, path.as_posix(), str(values["name"]), deleted, int(values["bytes"]), dict(values["note"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _to_json(found: Trashed) -> dict[str, Any]:
    deleted = found.deleted.isoformat()
    return {"path": found.path, "name": found.name, "deleted": deleted, "bytes": found.n_bytes, "note": dict(found.note)}
