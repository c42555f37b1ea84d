"""How often the test rows of a dataset were looked at: each evaluation of a run's test split is a line of the workspace's record, which
stays when the run is deleted. What is chosen after many looks is chosen on the test rows."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from mtl_core.base.workspace import Workspace
from mtl_core.tracking.runs import list_runs

_FILE = "test_looks.jsonl"


def record_look(run: Path, datasets: Mapping[str, str]) -> None:
    """run: its folder in a workspace, whose test split was evaluated now; datasets: table → hash."""
    line = json.dumps({"run": run.name, "time": time.time(), "datasets": sorted(set(datasets.values()))}) + "\n"
    file = os.open(run.parents[1] / _FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def looks_by_dataset(workspace: Workspace) -> dict[str, int]:
    """Hash of a dataset → how many times a run was evaluated on its test rows in this workspace; also by runs from before the record."""
    found: dict[str, int] = {}
    recorded = set()
    path = workspace.root / _FILE
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        try:
            look = json.loads(line)
        except ValueError:  # torn by a kill
            continue
        recorded.add(look["run"])
        for one in look["datasets"]:
            found[one] = found.get(one, 0) + 1
    for run in list_runs(workspace):
        if run.tested and run.id not in recorded:
            for one in set(run.datasets.values()):
                found[one] = found.get(one, 0) + 1
    return found
