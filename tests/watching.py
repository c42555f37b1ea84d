"""What a process does beside its work: whether it asks anything of another machine, and whom its files are open to.

Only what goes through Python is seen of the first, which is all but a library's own sockets."""

import os
import stat
from pathlib import Path


def watched(calls: Path, **more: str) -> dict[str, str]:
    """The environment of a process that writes to the file `calls`, see `tests/watched`; nothing forbids it to ask, as on a person's
    machine."""
    kept = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    return {**kept, "PYTHONPATH": str(Path(__file__).parent / "watched"), "MTL_TEST_CALLS": str(calls), **more}


def asked(calls: Path) -> list[str]:
    """What it asked of other machines so far."""
    return calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []


def open_to_others(folder: Path) -> list[str]:
    """What in a folder, itself included, others than its owner have any right to."""
    return [f"{stat.filemode(p.stat().st_mode)} {p}" for p in (folder, *folder.rglob("*")) if stat.S_IMODE(p.stat().st_mode) & 0o077]
