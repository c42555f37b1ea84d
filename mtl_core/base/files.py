"""Files and folders that a reader sees whole, and that outlive the power: the old one or the new one, never half of one.

Whatever is written here is brought to the disk under another name first, then takes its place, then its folder is brought to the disk
(write, fsync, rename, fsync of the folder), as "All File Systems Are Not Created Equal: On the Complexity of Crafting Crash-Consistent
Applications" (https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai) has it.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = "."
"""What the names of things begin with that are not whole yet, or no longer wanted: what a kill leaves of them may be removed."""


def write_atomically(path: Path, text: str) -> None:
    """UTF-8, on the disk when this returns. Raises OSError; the old file is then still there."""
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Where to write the new file; it is brought to the disk and takes the old one's place at the end, unless there was an exception."""
    temporary = _temporary(path)
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """An empty folder, in one that is made where it is missing, but not that one's. It is brought to the disk, with all that lies in it
    then, and named `folder` at the end, unless there was an exception. What bore that name is removed first."""
    temporary = _temporary(folder)
    folder.parent.mkdir(exist_ok=True)  # not its parents: a run that was deleted stays so
    temporary.mkdir()
    try:
        yield temporary
        for place, _, names in os.walk(temporary):
            for name in names:
                sync(Path(place, name))
            sync(Path(place))
        remove(folder)
        os.replace(temporary, folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove(folder: Path) -> None:
    """A folder with all that lies in it. It is gone at once: a kill may leave the rest of it under another name, see `TEMPORARY`."""
    gone = _temporary(folder)
    try:
        os.replace(folder, gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)


def link(source: str | Path, target: str | Path) -> None:
    """A second name for a file that is never written to; a copy where the file system has no second names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def sync(path: Path) -> None:
    """Brings a file, or the names in a folder, to the disk. Raises OSError."""
    if os.name == "nt" and path.is_dir():  # Windows has no such thing; it journals its names
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY}{path.name[:200]}.{uuid.uuid4().hex[:8]}")
