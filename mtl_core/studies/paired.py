"""Two groups of runs on the same rows: what the main metric of each task changed by, how well that is known, and a verdict.

Made of the predictions that runs keep of single rows (`evaluation/predictions.py`), joined by the rows' numbers; computed once, and kept in
the workspace under a name made of everything it depends on. No torch.
"""

import hashlib
import json
import math
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache, reduce
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from mtl_core.base.files import write_atomically
from mtl_core.base.messages import N_, Message, message, plural
from mtl_core.base.workspace import Workspace
from mtl_core.data.problems import DataError
from mtl_core.data.store import load_dataset
from mtl_core.evaluation.bootstrap import LEAST_UNITS, N_DRAWS, N_SLOW_DRAWS, Difference, draws, paired_difference
from mtl_core.evaluation.predictions import About, PredictedRows, load_predictions, predictions_file
from mtl_core.evaluation.statistics import CONFIDENCE, exact_interval, holm
from mtl_core.evaluation.weighed import Ratio, Weighed
from mtl_core.studies.compare import Group, Part, incomparable, result_of
from mtl_core.tasks import KINDS, higher_is_better
from mtl_core.tasks.base import TaskKind
from mtl_core.tracking.runs import Run

MOST_ROWS = 100_000
"""Of an interval of one run, which is drawn while a person waits."""
_VERSION = 1
_SPLIT: dict[Part, str] = {"best": "validation", "test": "test"}


class Verdict(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    NOT_SIGNIFICANT = "no significant difference"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Pair:
    """What is to be measured: a task of two groups, on a split. why: why it cannot be; among: all runs on whose common rows it is, so that
    the numbers of several groups stand beside each other."""

    task: str
    kind: TaskKind
    baseline: Group
    other: Group
    part: Part
    why: Message | None = None
    among: tuple[Run, ...] = ()

    @property
    def split(self) -> str:
        return _SPLIT[self.part]


@dataclass(frozen=True)
class Change:
    """pair, and what was found. found: None where nothing is known, or not yet. p: by Holm's procedure over the tasks, of which there
    are `n_tasks`."""

    pair: Pair
    found: Difference | None
    p: float = math.nan
    why: Message | None = None
    n_tasks: int = 1

    @property
    def verdict(self) -> Verdict:
        if self.found is None or math.isnan(self.p):
            return Verdict.UNKNOWN
        if self.p > 1 - CONFIDENCE or self.found.value == 0:
            return Verdict.NOT_SIGNIFICANT
        return Verdict.BETTER if (self.found.value > 0) == higher_is_better(self.pair.kind.primary) else Verdict.WORSE

    @property
    def alone(self) -> bool:
        """Whether the difference would be significant if the task were the only one: its interval is without 0, and yet no verdict."""
        if self.found is None or self.found.alike or self.n_tasks < 2 or self.verdict is not Verdict.NOT_SIGNIFICANT:
            return False
        return not self.found.low <= 0 <= self.found.high

    @property
    def words(self) -> Message:
        """The verdict, for people."""
        if self.found is None or self.why is not None:
            return self.why or message("not known")
        if not self.found.known:
            return message("too few rows to say: {n}", n=self.found.n_units)
        if self.found.alike and self.found.value == 0:
            return message("the same on all rows ({n:,})", n=self.found.n_rows)
        if self.verdict is Verdict.BETTER:
            return message("better")
        if self.verdict is Verdict.WORSE:
            return message("worse")
        if self.alone:
            return message("significant alone, not after Holm's correction ({n} tasks)", n=self.n_tasks)
        if self.found.n_units < self.found.n_rows:
            return message("no significant difference on {n:,} groups", n=self.found.n_units)
        return message(
            plural(self.found.n_rows, N_("no significant difference on 1 row"), N_("no significant difference on {n:,} rows")),
            n=self.found.n_rows,
        )


def pairs_of(groups: Sequence[Group], baseline: str, part: Part) -> list[Pair]:
    """Every task of the baseline in every other group that has it, in the order of the groups."""
    base = next(group for group in groups if group.name == baseline)
    own, found = result_of(base), []
    for group in groups:
        if group is base:
            continue
        result = result_of(group)
        for task, config in base.runs[0].tasks.items():
            if task in group.runs[0].tasks:
                why = incomparable(task, own, result, part, joined=True) if own.experiment and result.experiment else None
                pair = Pair(task, KINDS[config.kind], base, group, part, why)
                found.append(replace(pair, why=why or _not_kept(pair)))
    among = {pair.task: list(base.runs) for pair in found}
    for pair in found:
        among[pair.task] += pair.other.runs if pair.why is None else ()
    return [replace(pair, among=tuple(among[pair.task])) for pair in found]


def _not_kept(pair: Pair) -> Message | None:
    for run in (*pair.baseline.runs, *pair.other.runs):
        if not predictions_file(run.folder, pair.task, pair.split).is_file():
            return message("“{run}” keeps no predictions of these rows", run=run.name)
    return None


def changes(pairs: Sequence[Pair], workspace: Workspace, compute: bool = True) -> list[Change]:
    """One for each pair. compute: False: only what was computed before; what is missing has `found` None and no `why`."""
    measured: list[tuple[Difference | None, Message | None]] = []
    for pair in pairs:
        if pair.why is not None:
            measured.append((None, pair.why))
            continue
        found = _kept(_file(pair, workspace))
        if found is None and compute:
            try:
                found = measure(pair, workspace)
            except (OSError, ValueError, KeyError) as error:
                measured.append((None, message("its predictions cannot be read: {error}", error=error)))
                continue
        measured.append((found, None))
    adjusted, sizes = [math.nan] * len(pairs), [1] * len(pairs)
    for other in {id(pair.other) for pair in pairs}:
        family = [i for i, pair in enumerate(pairs) if id(pair.other) == other and (d := measured[i][0]) is not None and d.known]
        for i, p in zip(family, holm([d.p for i in family if (d := measured[i][0]) is not None]), strict=True):
            adjusted[i], sizes[i] = p, len(family)
    return [Change(pair, found, p, why, n) for pair, (found, why), p, n in zip(pairs, measured, adjusted, sizes, strict=True)]


_POOL = ThreadPoolExecutor(1, "mtl-compare")
_LOCK = Lock()
_RUNNING: dict[Path, Future[Any]] = {}


def ahead(pairs: Sequence[Pair], workspace: Workspace, seconds: float = 0.0) -> tuple[int, int]:
    """Starts in the background what was not computed yet, and waits `seconds` for it. Returns how many pairs are done, of how many."""
    files = {_file(pair, workspace): pair for pair in pairs if pair.why is None}
    with _LOCK:
        for file in [file for file, running in _RUNNING.items() if running.done() and not running.exception()]:
            del _RUNNING[file]  # what failed stays, and is not begun again
        for file, pair in files.items():
            if not file.is_file() and file not in _RUNNING:
                _RUNNING[file] = _POOL.submit(measure, pair, workspace)
        mine = [_RUNNING[file] for file in files if file in _RUNNING]
    wait(mine, timeout=seconds)
    return sum(file.is_file() or ((running := _RUNNING.get(file)) is not None and running.done()) for file in files), len(files)


def measure(pair: Pair, workspace: Workspace) -> Difference:
    """Computes it and keeps it. Raises OSError, ValueError: predictions that are gone, or cannot be read."""
    base, other = ([_loaded(run, pair) for run in group.runs] for group in (pair.baseline, pair.other))
    rows = reduce(lambda a, b: np.intersect1d(a, b, assume_unique=True), (_loaded(run, pair)[1].rows for run in pair.among))
    first, second = ([_measure(pair.kind, *one, rows) for one in side] for side in (base, other))
    slow = any(weighed is None for weighed, _ in (*first, *second))
    n_draws = N_SLOW_DRAWS if slow else max(N_DRAWS, 100 * len(pair.baseline.runs[0].tasks))  # Holm's smallest p: 2 / draws · tasks
    sides = [[weighed or copied for weighed, copied in side] for side in (first, second)]
    found = paired_difference(sides[0], sides[1], _units(pair, base[0][1], rows, workspace), n_draws)
    file = _file(pair, workspace)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(vars(found)))
    return found


def interval(run: Run, task: str, part: Part, workspace: Workspace) -> tuple[float, float] | None:
    """How well the main metric of one run is known: the middle 95 % of bootstrap draws of the rows that it keeps (`evaluation.bootstrap`).

    Where every row is right, or every one wrong, no draw differs from another: then the exact interval of a share.

    None: it keeps no predictions, there are too few rows, or so many that it would take long; a metric that takes long to compute; one
    that is the same in all draws and no share.
    """
    itself = Group(run.name, (run,))
    pair = Pair(task, KINDS[run.tasks[task].kind], itself, itself, part)
    if _not_kept(pair):
        return None
    try:
        about, kept = _loaded(run, pair)
    except (OSError, ValueError, KeyError):  # damaged
        return None
    if len(kept.rows) > MOST_ROWS:
        return None
    rows = np.sort(kept.rows)
    weighed, _ = _measure(pair.kind, about, kept, rows)
    units = _units(pair, kept, rows, workspace)
    if weighed is None or len(np.unique(units)) < LEAST_UNITS:
        return None
    found = np.concatenate([weighed(weights) for weights in draws(units, N_SLOW_DRAWS)])
    tail = (1 - CONFIDENCE) / 2
    low, high = map(float, np.nanquantile(found, (tail, 1 - tail))) if np.isfinite(found).any() else (math.nan, math.nan)
    if low == high:
        return _of_share(weighed, units, low)
    return (low, high) if math.isfinite(low) else None


def _of_share(weighed: Weighed, units: np.ndarray, value: float) -> tuple[float, float] | None:
    """Of a metric that is a share of equal units, all of which hit, or none."""
    if not isinstance(weighed, Ratio) or value not in (0, 1):
        return None
    sizes = np.bincount(np.unique(units, return_inverse=True)[1], weighed.below)
    sizes = sizes[sizes > 0]
    return exact_interval(int(value) * len(sizes), len(sizes)) if len(np.unique(sizes)) == 1 else None


def known_tests(run: Run, workspace: Workspace, tasks: Collection[str] | None = None) -> dict[str, tuple[float, float]]:
    """Task → `interval` of its test value, where there is one. tasks: those wanted, None: all of the run."""
    wanted = [task for task in run.tasks if tasks is None or task in tasks] if run.tested else []
    found = {task: interval(run, task, "test", workspace) for task in wanted}
    return {task: bounds for task, bounds in found.items() if bounds}


def too_good(run: Run, task: str, tested: tuple[float, float]) -> Message | None:
    """A remark where the best value on validation lies beyond the test's interval, on its better side."""
    metric = KINDS[run.tasks[task].kind].primary
    best = run.result()["tasks"].get(task, {}).get("best", {}).get(metric)
    if best is None or not (best > tested[1] if higher_is_better(metric) else best < tested[0]):
        return None
    return message(
        "“{task}”: the best validation value, {best:.3f}, is beyond the 95 % interval of the test value, {low:.3f} to {high:.3f}. The "
        "model was chosen on validation, or its rows are easier: expect the test value.",
        task=task,
        best=best,
        low=tested[0],
        high=tested[1],
    )


def n_kept(run: Run, pair: Pair) -> int:
    """Rows of which a run keeps predictions."""
    return len(_loaded(run, pair)[1].rows)


def _kept(file: Path) -> Difference | None:
    try:
        values = json.loads(file.read_text("utf-8"))
        return Difference(**{**values, "first": tuple(values["first"]), "second": tuple(values["second"])})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _file(pair: Pair, workspace: Workspace) -> Path:
    def known(run: Run) -> list[Any]:
        status = predictions_file(run.folder, pair.task, pair.split).stat()
        return [run.id, status.st_size, status.st_mtime_ns]

    sides = [sorted(map(known, runs)) for runs in (pair.baseline.runs, pair.other.runs, pair.among)]
    content = json.dumps([_VERSION, pair.task, pair.kind.name, pair.kind.primary, pair.split, sides])
    return workspace.inside("comparisons", f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json")


def _loaded(run: Run, pair: Pair) -> tuple[About, PredictedRows]:
    path = predictions_file(run.folder, pair.task, pair.split)
    return _read(run.folder, pair.task, pair.split, pair.kind.name, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _read(folder: Path, task: str, split: str, kind: str, changed: int) -> tuple[About, PredictedRows]:
    return load_predictions(folder, task, split, KINDS[kind].report.types)


def _measure(kind: TaskKind, about: About, rows: PredictedRows, wanted: np.ndarray) -> tuple[Weighed | None, Weighed]:
    """The main metric of the rows `wanted` (sorted numbers), fast where the kind knows how, and from copied rows."""
    at = np.argsort(rows.rows, kind="stable")
    at = at[np.searchsorted(rows.rows[at], wanted)]
    scores, labels, groups = rows.scores[at], rows.labels[at], None if rows.groups is None else rows.groups[at]
    spec = dict(about.spec)
    return kind.report.weighed(scores, labels, groups, spec), _copied(kind, scores, labels, groups, spec)


def _copied(
    kind: TaskKind, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: dict[str, Any]
) -> Callable[[np.ndarray], np.ndarray]:
    codes = None if groups is None else np.unique(groups, return_inverse=True)[1]

    def one(weights: np.ndarray) -> float:
        times = weights.astype(np.int64)
        rows = np.repeat(np.arange(len(times)), times)
        copy = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
        again = None if codes is None else codes[rows] + len(codes) * copy  # a list that is drawn twice is two lists
        return kind.report.evaluate(scores[rows], labels[rows], again, spec).get(kind.primary, math.nan)

    return lambda weights: np.array([one(row) for row in weights])


def _units(pair: Pair, base: PredictedRows, rows: np.ndarray, workspace: Workspace) -> np.ndarray:
    """What is drawn together: lists and users where the kind has them, else the groups that the split kept together, else single rows."""
    order = np.argsort(base.rows, kind="stable")
    clusters = pair.kind.report.clusters(base.groups)
    if clusters is not None:
        return clusters[order][np.searchsorted(base.rows[order], rows)]
    run = pair.baseline.runs[0]
    table = run.tasks[pair.task].data
    split = run.experiment.data[table].split
    if split.by == "group" and split.column:
        try:
            column = load_dataset(run.datasets.get(table, "none"), workspace).table([split.column])[split.column]
        except (DataError, OSError, KeyError):  # deleted since: the rows' own numbers are all that is left
            return rows
        codes = column.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return np.where(codes[rows] < 0, -1 - rows, codes[rows])
    return rows
