"""`alone RUN`: whether joint training pays, beside training each task alone and beside tuned fixed weights."""

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mtl_core.api.foreground import MIRROR_SECONDS
from mtl_core.base.workspace import Workspace
from mtl_core.cli.text import FAILED, OK, CallError, print_json, print_table
from mtl_core.jobs import quiet_libraries
from mtl_core.tracking.mlflow_mirror import MlflowMirror
from mtl_core.tracking.runs import run

if TYPE_CHECKING:
    from mtl_core.studies.alone import AlonePlan
    from mtl_core.studies.comparisons import Needed, PlannedTraining
    from mtl_core.studies.verdicts import Mean

HELP = "Compare a finished joint run with training each of its tasks alone and with tuned fixed weights; trains what is missing."
_JSON = """\
Every task is trained alone at equal examples of that task, over the same seeds; fixed weights are chosen among --tuned trials on the
validation split. What a finished run of the workspace already is, is not trained again; Ctrl-C stops at once, calling again goes on.

--json prints one object: run_id, part (the split), seeds, complete, trials, weights (of the trial chosen), warnings, budgets (row →
runs, examples), failed, rows: a list of {row: joint or tuned, overall, verdict, tasks: a list of {task, metric, alone, together, change,
relative, verdict}}. Means are {mean, half, n}: half is half the width of the 95 % interval, null with fewer than 3 seeds; a change
counts so that more is better. With --list: run_id and trainings, a list of {label, key, state, run_id}.
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.epilog, parser.formatter_class = _JSON, argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="the run's own, and those after it; default 3")
    parser.add_argument("--tuned", type=int, default=4, metavar="N", help="trials of fixed weights, 0 for none; default 4")
    parser.add_argument("--list", action="store_true", help="only say what would be trained")


def alone(args: argparse.Namespace, workspace: Workspace) -> int:
    for name, least in (("seeds", 1), ("tuned", 0)):
        if not least <= getattr(args, name) <= 100:
            raise CallError(f"--{name}: should be from {least} to 100. Found {getattr(args, name)}.")
    from mtl_core.studies.alone import plan

    found = run(workspace, args.run)

    def plans() -> "AlonePlan":
        return plan(found, workspace, args.seeds, args.tuned)

    now = plans()
    if args.list:
        return list_trainings(now, args.json)
    if now.note:
        print(now.note, file=sys.stderr)
    train_missing(plans, workspace)
    return _print(plans(), args)


def train_missing(plans: "Callable[[], Needed]", workspace: Workspace) -> None:
    """Trains what a comparison needs, and says what it is about to train."""
    from mtl_core.studies import comparisons

    if plans().complete:
        return
    quiet_libraries()
    mirror = MlflowMirror(workspace).start()
    begun = time.monotonic()

    def tell(now: "Needed", part: "PlannedTraining") -> None:
        passed = time.monotonic() - begun
        print(f"{now.n_done + 1}/{now.n}  {part.label}  ({passed:.0f} s so far)", file=sys.stderr, flush=True)

    try:
        comparisons.train_missing(plans, workspace, tell)
    finally:
        mirror.flush(MIRROR_SECONDS)
        mirror.stop(timeout=1)


def list_trainings(now: "Needed", as_json: bool) -> int:
    rows = [[part.label, part.state, part.run.id if part.run else None, part.key] for part in now.distinct]
    if as_json:
        print_json({"run_id": now.of.id, "trainings": [dict(zip(("label", "state", "run_id", "key"), row, strict=True)) for row in rows]})
        return OK
    print_table(["training", "state", "run"], [row[:3] for row in rows])
    if now.to_come:
        print(f"and {now.to_come} more that depend on the outcome of these")
    return OK


def _print(now: "AlonePlan", args: argparse.Namespace) -> int:
    outcome = now.verdicts()
    failed = [part for part in now.distinct if part.state == "failed"]
    budgets = now.budgets()
    if args.json:
        rows = [
            {
                "row": row.name,
                "overall": _mean(row.overall),
                "verdict": row.overall.verdict if row.overall else None,
                "tasks": [
                    {
                        "task": one.task,
                        "metric": one.metric,
                        **{name: _mean(getattr(one, name)) for name in ("alone", "together", "change", "relative")},
                        "verdict": one.verdict,
                    }
                    for one in row.tasks
                ],
            }
            for row in outcome.rows
        ]
        print_json(
            {
                "run_id": now.of.id,
                "part": outcome.part,
                "seeds": args.seeds,
                "complete": now.complete,
                "trials": args.tuned,
                "weights": now.weights,
                "warnings": [str(warning) for warning in outcome.warnings],
                "budgets": {row: {"runs": runs, "examples": examples} for row, (runs, examples) in budgets.items()},
                "failed": [{"label": part.label, "run_id": part.run.id if part.run else None} for part in failed],
                "rows": rows,
            }
        )
    else:
        cells = []
        for row in outcome.rows:
            for one in row.tasks:
                change = one.change.text("{:+.4f}")
                cells.append([row.name, one.task, one.metric, one.alone.text(), one.together.text(), change, one.verdict.value])
            if row.overall:
                cells.append([row.name, "overall", "mean change", "", "", row.overall.text("{:+.2%}"), row.overall.verdict.value])
        print_table(["", "task", "metric", "alone", "together", "change", "joint training"], cells)
        print()
        print_table(["", "runs", "examples"], [[row, runs, f"{examples:,}"] for row, (runs, examples) in budgets.items()])
        if now.weights:
            print(f"\nFixed weights chosen of {args.tuned}: " + ", ".join(f"{task} {w:g}" for task, w in now.weights.items()))
        for warning in outcome.warnings:
            print(f"\n{warning}")
    for part in failed:
        error = part.run.error if part.run else None
        print(f"{part.label} failed: {error.message if error else ''}", file=sys.stderr)
    return FAILED if failed else OK


def _mean(mean: "Mean | None") -> dict[str, Any] | None:
    return None if mean is None else {"mean": mean.value, "half": mean.half, "n": mean.n}
