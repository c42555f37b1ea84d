"""`compare`: runs side by side, with how well their differences are known, as on the page *Compare*."""

import argparse
import math
from typing import Any

from mtl_core.api.comparing import compare as compare_runs
from mtl_core.base.workspace import Workspace
from mtl_core.cli.text import OK, CallError, print_json, print_table
from mtl_core.tracking.runs import RunError

HELP = "Compare runs: main metrics, differences with intervals, and a verdict for each task."


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--baseline", metavar="RUN", help="the one that the others are compared with; default: the first")
    parser.add_argument("--split", choices=["validation", "test"], default="validation", help="test: the final word, not for choosing")
    parser.add_argument("--single", action="store_true", help="every run by itself, also where only the seed differs")


def compare(args: argparse.Namespace, workspace: Workspace) -> int:
    if len(args.runs) < 2:
        raise CallError(f"Comparing needs two runs or more. Found {args.runs[0]} alone.")
    try:
        found = compare_runs(args.runs, args.baseline, workspace, args.split, by_seed=not args.single)
    except RunError:
        raise
    except ValueError as error:
        raise CallError(str(error)) from error
    differences = [{key: _plain(value) for key, value in row.items()} for row in found.differences.to_dict("records")]
    if args.json:
        metrics = [{str(key): _plain(value) for key, value in row.items()} for row in found.metrics.to_dict("records")]
        settings = {
            str(path): {str(run): _plain(value) for run, value in row.items()} for path, row in found.settings.to_dict("index").items()
        }
        about = {
            "baseline": found.baseline,
            "split": found.split,
            "groups": found.groups,
            "sentences": found.sentences,
            "differences": differences,
        }
        print_json({**about, "metrics": metrics, "settings": settings, "warnings": found.warnings})
        return OK
    together = {name: ids for name, ids in found.groups.items() if len(ids) > 1}
    for name, ids in together.items():
        print(f"“{name}” is {len(ids)} runs that differ by their seed at most ({', '.join(ids)}): means of them. --single: each by itself.")
    for sentence in found.sentences.values():
        print(sentence)
    for warning in found.warnings:
        print(f"Compare with caution: {warning}")
    print()
    if len(found.groups) == 1:
        print_table(["task", "metric", "run", "mean"], found.metrics[["task", "metric", "run", "value"]].to_numpy().tolist())
        return OK
    columns = ["task", "metric", "run", "baseline", "value", "difference", "low", "high", "p", "verdict", "on"]
    cells = []
    for row in differences:
        signed = {c: f"{row[c]:+.4f}" for c in ("difference", "low", "high") if row[c] is not None}
        on = f"{row['n_units']} groups of {row['n_rows']} rows" if 0 < row["n_units"] < row["n_rows"] else f"{row['n_rows']} rows"
        cells.append([(row | signed | {"verdict": row["why"] or row["verdict"], "on": on})[c] for c in columns])
    print_table([*columns[:-1], "on"], cells)
    return OK


def _plain(value: Any) -> Any:
    """JSON has no number that is none."""
    return None if value is None or value != value or (isinstance(value, float) and not math.isfinite(value)) else value
