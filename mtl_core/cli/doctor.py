"""`doctor`: what is wrong in the workspace, and mending it."""

import argparse

from mtl_core.base.workspace import Workspace
from mtl_core.cli.text import FAILED, OK, print_json, print_table
from mtl_core.tracking.doctor import examine_workspace

HELP = "Examine the workspace: runs, checkpoints, journals, tables, MLflow, what kills left, the disk."


def doctor(args: argparse.Namespace, workspace: Workspace) -> int:
    """Ends with 1 where something is left that is not mended."""
    found = list(examine_workspace(workspace, args.repair))
    if args.json:
        print_json({"findings": [finding.to_json() for finding in found]})
    elif found:
        mended = {True: "mended", False: "can be mended: --repair"}
        rows = [[f.what, f.of, str(f.why), mended[f.repaired] if f.repairable else str(f.remedy)] for f in found]
        print_table(["what", "of", "why", "remedy"], rows)
    else:
        print("Nothing is wrong.")
    return OK if all(finding.repaired for finding in found) else FAILED
