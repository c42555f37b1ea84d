"""An upload goes to disk as a stream, under a name of ours: of the name that a browser sends only the format is kept.

What the person calls it stands beside it, in `<stored name>.json`, and is shown wherever the table is.
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any, BinaryIO

from mtl_core.base.files import link, replaced, write_atomically
from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace, new_id
from mtl_core.data.problems import DataError, Problem, Severity
from mtl_core.data.read import FORMATS, SUFFIXES, file_digest

MAX_BYTES = 2 << 30
_CHUNK = 1 << 20
UPLOADS, ASKED = "uploads", "asked"
_ASKED_KEPT = 20


def save_upload(stream: BinaryIO, filename: str, workspace: Workspace, max_bytes: int = MAX_BYTES, folder: str = UPLOADS) -> Path:
    """Writes the stream into the workspace's uploads and returns the path: 12 hexadecimal digits and the suffix of `filename`, which
    is kept as its `upload_name`. Content is kept once: a table that is there under the same name is returned as it is, one under another
    name is another name of the same bytes on the disk.

    folder: of the workspace; ASKED: of files that are to be answered, and no tables of hers: of those the last few stay, so that each
    stands for itself.

    Raises DataError: a suffix that is not one of `read.SUFFIXES`, more than `max_bytes`, nothing in it. Then nothing is kept.
    """
    name = shown_name(filename)
    suffix = next((s for s in sorted((*SUFFIXES, ".zip"), key=len, reverse=True) if name.lower().endswith(s)), None)
    if suffix is None:
        why = message("The format of this file is not known.")
        remedy = message("Use one of {suffixes}, or .gz or .zip of one of them; save others as CSV.", suffixes=", ".join(FORMATS))
        raise DataError([Problem(Severity.ERROR, "unknown_format", why, remedy, name)])
    path, size, digest = workspace.folder(folder) / (new_id() + suffix), 0, hashlib.sha256()
    with replaced(path) as temporary:
        with open(temporary, "wb") as target:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > max_bytes:
                    why = message("The file is larger than {limit} MB.", limit=max_bytes >> 20)
                    raise DataError([Problem(Severity.ERROR, "too_large", why, message("Split the table into smaller files."), name)])
                target.write(chunk)
                digest.update(chunk)
        if not size:
            remedy = message("Export the table again, with a header and rows.")
            raise DataError([Problem(Severity.ERROR, "empty_file", message("The file is empty."), remedy, name)])
    of_it = digest.hexdigest()
    others = [
        p for p in uploads(workspace, folder) if p != path and p.suffix == path.suffix and p.stat().st_size == size and _digest(p) == of_it
    ]
    if known := next((p for p in others if folder == UPLOADS and upload_name(p) == name), None):
        path.unlink()
        return known
    if others:
        with replaced(path) as temporary:
            link(others[0], temporary)
    write_atomically(_beside(path), json.dumps({"name": name, "sha256": of_it, "at": time.time_ns()}, ensure_ascii=False))
    for old in uploads(workspace, folder)[:-_ASKED_KEPT] if folder == ASKED else ():
        old.unlink(missing_ok=True)
        _beside(old).unlink(missing_ok=True)
    return path


def _digest(path: Path) -> str:
    """SHA-256 of an upload, as it was noted when it came, else reckoned."""
    return str(_noted(path).get("sha256") or file_digest(path))


def _noted(path: Path) -> dict[str, Any]:
    """What stands beside an upload; nothing where that cannot be read."""
    try:
        found = json.loads(_beside(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def uploads(workspace: Workspace, folder: str = UPLOADS) -> list[Path]:
    """The tables of the workspace, oldest first."""
    found = [p for p in workspace.inside(folder).glob("*") if p.name[0] != "." and _is_table(p.name.lower())]
    return sorted(found, key=lambda p: (_came(p), p.name))


def _came(path: Path) -> int:
    """When, in nanoseconds: two names of the same bytes have one time of the file between them."""
    at = _noted(path).get("at")
    return at if isinstance(at, int) else path.stat().st_mtime_ns


def upload_name(path: Path) -> str:
    """What the person calls an upload; where nothing says so, the name of the file."""
    name = _noted(path).get("name")
    return shown_name(str(name)) if name else path.name


def name_upload(path: Path, name: str) -> None:
    """Keeps the name of an upload, as `shown_name` makes it."""
    write_atomically(_beside(path), json.dumps({**_noted(path), "name": shown_name(name)}, ensure_ascii=False))


def forget_name(path: Path) -> None:
    """After the upload was deleted."""
    _beside(path).unlink(missing_ok=True)


def _is_table(name: str) -> bool:
    """Whether a file is one, and not what stands beside one: `orders.json` is, `orders.csv.json` is not."""
    suffixes = (*SUFFIXES, ".zip")
    return name.endswith(suffixes) and not name.removesuffix(".json").endswith(suffixes if name.endswith(".json") else ())


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def shown_name(filename: str) -> str:
    """The last part of a name from a browser, without control characters, at most 120 characters; for messages, never for paths."""
    last = filename.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if c.isprintable())[-120:] or "upload"
