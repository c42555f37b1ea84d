"""What a training will take, before it is started: measured once, kept in the workspace. Loads torch in `measure` only.

    python -m mtl_core.studies.estimates WORKSPACE BASE CONTAINED < experiment.yaml

measures in a process of its own: a probe draws random numbers and must not do so beside a training.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import IO

import psutil

from mtl_core.base.apart import end_with_parent
from mtl_core.base.files import write_atomically
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, experiment_from_yaml
from mtl_core.config.tables import stamps
from mtl_core.training.estimate import Measured

VERSION = 4
"""Of what is kept; a new number measures again."""
BUSY = 0.5
"""Cores that other programs use, from which on a measurement says little about an idle machine."""
_PROGRAM = Path(__file__).parents[2]


def key(experiment: Experiment, workspace: Workspace, base: Path | None, contained: bool) -> str:
    """Names what a measurement depends on: tasks (but for their weights), tables, encoder, sharing, strategy, device, this machine.

    Raises DataError: no such file.
    """
    values = experiment.model_dump(mode="json")
    depends_on = [
        VERSION,
        [{name: value for name, value in task.items() if name != "weight"} for task in values["tasks"].values()],
        list(values["tasks"]),
        values["data"],
        stamps(experiment, workspace, base, contained),
        [values[part] for part in ("encoder", "sharing", "balancing")],
        [values["training"][name] for name in ("device", "precision")],
        [platform.node(), os.cpu_count(), os.environ.get("OMP_NUM_THREADS")],
    ]
    return hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:32]


def known(name: str, workspace: Workspace) -> Measured | None:
    """name: as `key` gives it. None where it was not measured yet, or an hour ago while other programs were busy."""
    try:
        path = _path(name, workspace)
        found = Measured(**json.loads(path.read_text(encoding="utf-8")))
        return found if found.others < BUSY or time.time() - path.stat().st_mtime < 3600 else None
    except (OSError, ValueError, TypeError):
        return None


def measure(experiment: Experiment, workspace: Workspace, base: Path | None = None, contained: bool = False) -> Measured:
    """As it is known, else probed here and now: some seconds, and what it takes to tokenise tables that were not yet.

    Raises DataError: the tables cannot be used; EncoderError: the encoder cannot be had.
    """
    name = key(experiment, workspace, base, contained)
    if (found := known(name, workspace)) is not None:
        return found
    from mtl_core.runtime.prepare import prepare
    from mtl_core.training.probe import probe

    prepare(experiment, workspace, base, contained=contained)  # tables are read and tokenised once, for the training too
    begun = time.perf_counter()
    prepared = prepare(experiment, workspace, base, contained=contained)
    cores, used = os.cpu_count() or 1, time.process_time()
    psutil.cpu_percent()
    with tempfile.TemporaryDirectory(dir=workspace.folder("estimates")) as folder:
        measured = probe(experiment, prepared, Path(folder), begun)
    own = (time.process_time() - used) / (time.perf_counter() - begun)
    measured = replace(measured, others=max(0.0, psutil.cpu_percent() / 100 * cores - own))
    write_atomically(_path(name, workspace), json.dumps(measured.to_json()))
    return measured


def _path(name: str, workspace: Workspace) -> Path:
    return workspace.inside("estimates", f"{name}.json")


class Background:
    """Measures in processes of their own, one at a time. Every method may be called by any thread and returns at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._said: IO[str] | None = None  # a file: nobody reads a pipe while it fills
        self._name = ""
        self.failed: dict[str, str] = {}
        """Name of a measurement → the last line that its process wrote."""

    def busy(self) -> str:
        """The name of what is being measured, or nothing."""
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                if self._process.returncode and self._said:
                    self._said.seek(0)
                    said = self._said.read().strip().splitlines()
                    self.failed[self._name] = said[-1] if said else str(self._process.returncode)
                self._forget()
            return self._name if self._process is not None else ""

    def start(self, name: str, experiment: Experiment, workspace: Workspace, base: Path | None, contained: bool) -> None:
        """Nothing where something is being measured, or this was tried and failed."""
        if self.busy() or name in self.failed:
            return
        call = [sys.executable, "-m", __name__, str(workspace.root), str(base or ""), "1" if contained else ""]
        with self._lock:
            if self._process is not None:
                return
            self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - `_forget` closes it
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": self._said}
            self._process, self._name = subprocess.Popen(call, cwd=_PROGRAM, text=True, encoding="utf-8", **pipes), name  # type: ignore[call-overload]
            assert self._process is not None and self._process.stdin is not None
            self._process.stdin.write(experiment.to_yaml())
            self._process.stdin.close()

    def stop(self) -> None:
        """A training that begins has the machine to itself."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._forget()

    def _forget(self) -> None:
        self._process = None
        if self._said:
            self._said.close()


BACKGROUND = Background()


if __name__ == "__main__":
    from mtl_core.jobs import quiet_libraries

    end_with_parent()
    quiet_libraries()
    measure(
        experiment_from_yaml(sys.stdin.read()),
        Workspace(Path(sys.argv[1])),
        Path(sys.argv[2]) if sys.argv[2] else None,
        bool(sys.argv[3]),
    )
