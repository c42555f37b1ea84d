"""`tables`: what a person has brought into the workspace, as the page *Data* lists it; deleted and restored."""

import argparse
from typing import Any

from mtl_core.api.own_tables import OwnTable, delete_table, own_tables, restore_table, tables_in_trash
from mtl_core.base.trash import Trashed, TrashError
from mtl_core.base.workspace import Workspace
from mtl_core.cli.text import OK, CallError, print_json, print_table

HELP = "List the tables of the workspace with the tasks and runs that use them; delete or restore one."
_JSON = """\
A deleted table goes to the workspace's trash with the draft's tasks on it; restoring brings both back. NAME is what a person calls the
table, or the file it is stored as.

--json prints one object: tables, a list of {name, file, bytes, added, tasks, runs}, and trash, a list of {name, file, bytes, deleted}.
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.epilog, parser.formatter_class = _JSON, argparse.RawDescriptionHelpFormatter
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--delete", metavar="NAME", help="move a table to the trash")
    action.add_argument("--restore", metavar="NAME", help="bring a table back from the trash: the one deleted last of that name")


def tables(args: argparse.Namespace, workspace: Workspace) -> int:
    if args.delete:
        delete_table(workspace, _named(args.delete, own_tables(workspace)))
    if args.restore:
        found = next((e for e in tables_in_trash(workspace) if args.restore in (e.name, e.path, e.id)), None)
        if found is None:
            raise CallError(f"There is no {args.restore} in the trash. {_listed([e.name for e in tables_in_trash(workspace)])}")
        try:
            restore_table(workspace, found.id)
        except TrashError as error:
            raise CallError(str(error)) from error
    own, trash = own_tables(workspace), tables_in_trash(workspace)
    if args.json:
        print_json({"tables": [_table(table) for table in own], "trash": [_entry(entry) for entry in trash]})
    else:
        rows = [[t.name, t.file, f"{t.n_bytes:,}", ", ".join(t.tasks), len(t.runs)] for t in own]
        print_table(["name", "file", "bytes", "tasks", "runs"], [*rows, *([e.name, "trash", f"{e.n_bytes:,}", "", ""] for e in trash)])
    return OK


def _named(name: str, own: list[OwnTable]) -> OwnTable:
    found = [t for t in own if name in (t.name, t.file, t.path.name)]
    if len(found) > 1:
        raise CallError(f"{len(found)} tables are called {name}. Use the file: {', '.join(t.file for t in found)}.")
    if not found:
        raise CallError(f"There is no table {name}. {_listed([t.name for t in own])}")
    return found[0]


def _listed(names: list[str]) -> str:
    return f"There are: {', '.join(names)}." if names else "There is none."


def _table(table: OwnTable) -> dict[str, Any]:
    added = table.added.isoformat(timespec="seconds")
    return {"name": table.name, "file": table.file, "bytes": table.n_bytes, "added": added, "tasks": table.tasks, "runs": table.runs}


def _entry(entry: Trashed) -> dict[str, Any]:
    return {"name": entry.name, "file": entry.path, "bytes": entry.n_bytes, "deleted": entry.deleted.isoformat(timespec="seconds")}
