"""What the naive baseline of a task's kind reaches on the validation rows that a run is judged by: whether training has gained anything.

Computed once, and kept in the workspace. No torch.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

from mtl_core.base.files import write_atomically
from mtl_core.base.messages import Message, message
from mtl_core.base.workspace import Workspace
from mtl_core.config.tables import map_task
from mtl_core.data.problems import DataError
from mtl_core.data.store import load_dataset
from mtl_core.evaluation.predictions import load_predictions, predictions_file
from mtl_core.tasks import KINDS
from mtl_core.tracking.runs import Run, run

_VERSION = 1


def naive(one: Run, task: str, workspace: Workspace) -> float | None:
    """The main metric of the naive baseline of the task's kind (popularity, words that are counted, the mean), fitted on the training rows
    and measured on the validation rows of which the run keeps predictions. Takes seconds, of large tables a minute, the first time.

    None: it keeps none, the table is gone, or the baseline has no such metric.
    """
    kept = predictions_file(one.folder, task, "validation")
    if not kept.is_file():
        return None
    content = json.dumps([_VERSION, one.id, task, kept.stat().st_size, kept.stat().st_mtime_ns])
    file = workspace.inside("comparisons", f"naive-{hashlib.sha256(content.encode()).hexdigest()[:32]}.json")
    with suppress(FileNotFoundError, ValueError):
        found: float | None = json.loads(file.read_text("utf-8"))
        return found
    try:
        figure = _measure(one, task, workspace)
    except (DataError, OSError, ValueError, KeyError, ModuleNotFoundError):
        return None  # the table or the predictions are gone, or a library for evaluations is not installed: tried again another time
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(figure))
    return figure


def of_run(run_id: str, task: str, root: Path) -> float | None:
    """`naive`, for a process of its own. Raises RunError: there is no such run."""
    workspace = Workspace(root)
    return naive(run(workspace, run_id), task, workspace)


def not_beaten(one: Run, task: str, figure: float) -> Message | None:
    """What is to be said of a task whose best value on validation rows is no better than `figure`."""
    info = KINDS[one.tasks[task].kind].main
    best = one.result()["tasks"].get(task, {}).get("best", {}).get(info.name)
    if best is None or (best > figure if info.higher_is_better else best < figure):
        return None
    return message(
        "“{task}”: training has not beaten the naive baseline on these validation rows: {metric} {best} at the best step, {naive} without "
        "an encoder. More steps, more rows or a larger weight may help; else its inputs say little of its label.",
        task=task,
        metric=message(info.label),
        best=f"{best:.3f}",
        naive=f"{figure:.3f}",
    )


def _measure(one: Run, task: str, workspace: Workspace) -> float | None:
    config = one.tasks[task]
    kind = KINDS[config.kind]
    mapped = map_task(config, load_dataset(one.datasets.get(config.data, "none"), workspace), one.experiment.seed)
    _about, watched = load_predictions(one.folder, task, "validation", kind.report.types)
    rest = (mapped.split == "validation") & ~np.isin(np.arange(len(mapped.split)), watched.rows)
    split = np.where(rest, "", mapped.split)
    spec = kind.rows.fit(mapped.table.filter(pa.array(split == "train")), config.options)
    return kind.rows.naive(mapped.table, split, spec, config.options, "validation").get(kind.primary)
