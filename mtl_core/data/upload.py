"""An upload goes to disk as a stream, under a name of ours: of the name that a browser sends only the format is kept."""

from pathlib import Path
from typing import BinaryIO

from mtl_core.base.files import replaced
from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace, new_id
from mtl_core.data.problems import DataError, Problem, Severity
from mtl_core.data.read import FORMATS, SUFFIXES

MAX_BYTES = 2 << 30
_CHUNK = 1 << 20


def save_upload(stream: BinaryIO, filename: str, workspace: Workspace, max_bytes: int = MAX_BYTES) -> Path:
    """Writes the stream into the workspace's uploads and returns the path: 12 hexadecimal digits and the suffix of `filename`.

    Raises DataError: a suffix that is not one of `read.SUFFIXES`, more than `max_bytes`, nothing in it. Then nothing is kept.
    """
    name = shown_name(filename)
    suffix = next((s for s in sorted((*SUFFIXES, ".zip"), key=len, reverse=True) if name.lower().endswith(s)), None)
    if suffix is None:
        why = message("The format of this file is not known.")
        remedy = message("Use one of {suffixes}, or .gz or .zip of one of them; save spreadsheets as CSV.", suffixes=", ".join(FORMATS))
        raise DataError([Problem(Severity.ERROR, "unknown_format", why, remedy, name)])
    path, size = workspace.uploads / (new_id() + suffix), 0
    with replaced(path) as temporary:
        with open(temporary, "wb") as target:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > max_bytes:
                    why = message("The file is larger than {limit} MB.", limit=max_bytes >> 20)
                    raise DataError([Problem(Severity.ERROR, "too_large", why, message("Split the table into smaller files."), name)])
                target.write(chunk)
        if not size:
            remedy = message("Export the table again, with a header and rows.")
            raise DataError([Problem(Severity.ERROR, "empty_file", message("The file is empty."), remedy, name)])
    return path


def shown_name(filename: str) -> str:
    """The last part of a name from a browser, without control characters, at most 120 characters; for messages, never for paths."""
    last = filename.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if c.isprintable())[-120:] or "upload"
