"""Whether there is room: a folder that takes what is written, a disk that takes what will be."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

from mtl_core.base.messages import Message, message

FULL = (errno.ENOSPC, errno.EDQUOT)
_TRIED = 65536  # bytes: less may still go where a file system keeps small files


class RoomError(OSError):
    """Nothing can be written, or not all that is about to be. Its text is a sentence; errno is ENOSPC."""

    def __init__(self, text: Message):
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.message = text

    def __str__(self) -> str:
        return str(self.message)


def try_out(folder: Path) -> None:
    """Raises RoomError: nothing can be written to a folder, which is made where it is missing; why, and what to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * _TRIED)
            file.flush()
    except OSError as error:
        why: object = message("it is not a folder") if folder.exists() and not folder.is_dir() else error.strerror or error
        full = error.errno in FULL
        remedy = message("Free disk space.") if full else message("Fix its permissions, or set MTL_WORKSPACE to another folder.")
        raise RoomError(message("Nothing can be written to {folder}: {why}. {remedy}", folder=folder, why=why, remedy=remedy)) from error


def held(folder: Path) -> int:
    """Bytes of all files in a folder, each once however many names it has there, as checkpoints share files; 0: it is not there."""
    found = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum({(one.st_dev, one.st_ino): one.st_size for one in found}.values())


def require(folder: Path, needed: int) -> None:
    """Raises RoomError: the disk of `folder` has less than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RoomError(
            message(
                "The disk of {folder} has {free} MB free; the checkpoints of this training need about {needed} MB (less with a smaller "
                "training.keep).",
                folder=folder,
                free=f"{free / 1e6:,.0f}",
                needed=f"{needed / 1e6:,.0f}",
            )
        )
