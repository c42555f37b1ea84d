"""The one folder where everything that the program writes lives. Every path that a person can influence is contained here."""

import os
import re
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path

from mtl_core.base.program import default_workspace

_UNTHOUGHT = (0o755, 0o775)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class OutsideWorkspaceError(ValueError):
    """A path that would leave the workspace."""


@dataclass(frozen=True)
class Workspace:
    """root: created on first use. Folders: uploads, asked, datasets, tokens, runs, queue, trash; file mlflow.db."""

    root: Path

    @classmethod
    def default(cls) -> "Workspace":
        """`$MTL_WORKSPACE`, else `workspace/` beside the program, or in the current folder where the program was installed."""
        return cls(Path(os.environ.get("MTL_WORKSPACE") or default_workspace()).resolve())

    @classmethod
    def at(cls, place: "Workspace | Path | str | None") -> "Workspace":
        """A workspace by its folder; None: the default one."""
        if place is None:
            return cls.default()
        return place if isinstance(place, Workspace) else cls(Path(place).expanduser().resolve())

    def folder(self, *names: str) -> Path:
        """A folder of the workspace, created when missing. `names` are checked as by `inside`."""
        path = self.inside(*names)
        _close(self.root)
        for depth in range(len(names)):
            self.root.joinpath(*names[: depth + 1]).mkdir(mode=0o700, exist_ok=True)
        return path

    def inside(self, *names: str) -> Path:
        """The path of `names` under the root.

        Raises OutsideWorkspaceError: a name with a path separator, a leading dot or other characters than letters, digits and `._-`.
        """
        for name in names:
            if not _NAME.fullmatch(name) or ".." in name:
                raise OutsideWorkspaceError(f"The name {name!r} is not one of letters, digits, '.', '_', '-'.")
        return self.root.joinpath(*names)

    def contains(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.root.resolve())

    @property
    def uploads(self) -> Path:
        return self.folder("uploads")

    @property
    def datasets(self) -> Path:
        return self.folder("datasets")

    @property
    def tokens(self) -> Path:
        return self.folder("tokens")

    @property
    def runs(self) -> Path:
        return self.folder("runs")

    @property
    def mlflow_uri(self) -> str:
        """`$MLFLOW_TRACKING_URI`, else the embedded SQLite store."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.folder() / 'mlflow.db'}"


def keep_private() -> None:
    """What this process makes from now on, and those that it starts, is its person's alone to read: 0700 and 0600. For the entries of the
    program; within another program only the workspace's folders are closed."""
    os.umask(0o077)


def _close(root: Path) -> None:
    """A workspace is entered by its owner alone. One from before, with the rights that folders have where nobody thought of it, is closed;
    other rights were given by somebody."""
    root.parent.mkdir(parents=True, exist_ok=True)
    try:
        root.mkdir(mode=0o700)
    except FileExistsError:
        about = root.stat()
        ours = os.name != "nt" and about.st_uid == os.getuid() and (root / "runs").is_dir()
        if ours and stat.S_IMODE(about.st_mode) in _UNTHOUGHT:
            root.chmod(0o700)


def new_id() -> str:
    """A fresh name for a run or an upload: 12 hexadecimal digits."""
    return uuid.uuid4().hex[:12]
