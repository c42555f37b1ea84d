"""Runs on the command line: by their ID, the beginning of it, or what a person calls them."""

import argparse
from contextlib import suppress

from mtl_core.base.workspace import OutsideWorkspaceError, Workspace
from mtl_core.cli.text import CallError
from mtl_core.tracking.runs import list_runs

LEAST = 4
"""Characters of an ID that stand for it."""


def by_name(args: argparse.Namespace, workspace: Workspace) -> None:
    """Puts the ID in the place of every run that the call names otherwise. Raises CallError: several are meant."""
    for name in ("run", "baseline", "delete", "in_use"):
        if isinstance(given := getattr(args, name, None), str):
            setattr(args, name, run_id(given, workspace))
    if isinstance(given := getattr(args, "runs", None), list):
        args.runs = [run_id(one, workspace) for one in given]
    for name in ("rename", "note", "name_classes"):
        if given := getattr(args, name, None):
            setattr(args, name, [run_id(given[0], workspace), *given[1:]])


def run_id(text: str, workspace: Workspace) -> str:
    """What is no run stays as it is, a folder among them: whoever needs the run says so. Raises CallError: several are meant."""
    with suppress(OutsideWorkspaceError):  # no name of a folder
        if (workspace.inside("runs", text) / "status.json").is_file():
            return text
    runs = list_runs(workspace)
    found = [run for run in runs if run.name == text] or [run for run in runs if len(text) >= LEAST and run.id.startswith(text)]
    if len(found) > 1:
        listed = ", ".join(f"{run.id} ({run.name}, {run.created.astimezone():%Y-%m-%d %H:%M})" for run in found)
        raise CallError(f"{len(found)} runs are called, or begin with, “{text}”. Use the ID of one: {listed}.")
    return found[0].id if found else text
