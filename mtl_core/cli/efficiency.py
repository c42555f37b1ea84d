"""`efficiency RUN`: how many rows of a task are enough, alone and jointly."""

import argparse
from typing import TYPE_CHECKING

from mtl_core.base.workspace import Workspace
from mtl_core.cli.alone import list_trainings, train_missing
from mtl_core.cli.text import FAILED, OK, CallError, print_json, print_table
from mtl_core.tracking.runs import run

if TYPE_CHECKING:
    from mtl_core.studies.efficiency import EfficiencyPlan

HELP = "Train one task of a finished joint run on some of its rows, alone and jointly; trains what is missing."
_EPILOG = """\
For each share and seed the task is trained jointly with the others, which keep all of their rows, and alone at equal examples. What a
finished run of the workspace already is, is not trained again; Ctrl-C stops at once, calling again goes on. Which classes there are, and
how frequent they and the words are, both take from all training rows.

--json prints one object: run_id, task, metric, complete, failed, curves: way (joint, alone) → a list of {share, rows, mean, half, n} on the
validation split; half is half the width of the 95 % interval, null with fewer than 3 seeds. With --list: run_id and trainings,
as of `alone`.
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--task", required=True, metavar="NAME", help="the task that is trained on fewer rows")
    parser.add_argument("--shares", type=float, nargs="+", default=[1, 5, 10, 25, 100], metavar="P", help="per cent; default 1 5 10 25 100")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="the run's own, and those after it; default 3")
    parser.add_argument("--list", action="store_true", help="only say what would be trained")


def efficiency(args: argparse.Namespace, workspace: Workspace) -> int:
    if not 1 <= args.seeds <= 100:
        raise CallError(f"--seeds: should be from 1 to 100. Found {args.seeds}.")
    for share in args.shares:
        if not 0 < share <= 100:
            raise CallError(f"--shares: should be above 0 and at most 100, in per cent. Found {share:g}.")
    from mtl_core.studies.efficiency import plan

    found = run(workspace, args.run)

    def plans() -> "EfficiencyPlan":
        return plan(found, workspace, args.task, [share / 100 for share in args.shares], args.seeds)

    if args.list:
        return list_trainings(plans(), args.json)
    train_missing(plans, workspace)
    now = plans()
    curves, failed = now.curves(), now.of_state("failed")
    if args.json:
        print_json(
            {
                "run_id": now.of.id,
                "task": now.task,
                "metric": now.metric,
                "complete": now.complete,
                "failed": [{"label": part.label, "run_id": part.run.id if part.run else None} for part in failed],
                "curves": {
                    way: [{"share": p.share, "rows": p.rows, "mean": p.score.value, "half": p.score.half, "n": p.score.n} for p in points]
                    for way, points in curves.items()
                },
            }
        )
    else:
        print(f"{now.task}: {now.metric} on the validation split" + ("\n" if curves else ", of which no training has any"))
        cells = [[way, f"{p.share:.0%}", f"{p.rows:,}", p.score.text(), p.score.n] for way, points in curves.items() for p in points]
        if cells:
            print_table(["", "share", "rows", "mean ± half the 95 % interval", "seeds"], cells)
    return FAILED if failed else OK
