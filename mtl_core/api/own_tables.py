"""The tables that a person has brought into the workspace: what each is called, what uses it; renamed, replaced, deleted, restored."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mtl_core.base import trash
from mtl_core.base.faults import ExperimentError
from mtl_core.base.messages import message
from mtl_core.base.trash import Trashed
from mtl_core.base.workspace import Workspace
from mtl_core.config import drafts
from mtl_core.config.drafts import Draft
from mtl_core.data.upload import forget_name, name_upload, shown_name, upload_name, uploads
from mtl_core.tracking.runs import list_runs


@dataclass(frozen=True)
class OwnTable:
    """A table of the workspace. file: as experiments call it; name: as the person does; tasks: of the draft, that read it; runs: ids of
    those that were trained on it."""

    path: Path
    file: str
    name: str
    n_bytes: int
    added: datetime
    tasks: list[str]
    runs: list[str]


def own_tables(workspace: Workspace) -> list[OwnTable]:
    """All of them, oldest first."""
    draft, runs = drafts.load(workspace), _files_of_runs(workspace)
    found = []
    for path in uploads(workspace):
        file, about = f"uploads/{path.name}", path.stat()
        added = datetime.fromtimestamp(about.st_mtime, UTC)
        found.append(OwnTable(path, file, upload_name(path), about.st_size, added, [*draft.on_file(file).tasks], runs.get(file, [])))
    return found


def rename_table(workspace: Workspace, table: OwnTable, name: str) -> None:
    """Calls a table otherwise, in the draft too."""
    name_upload(table.path, name)

    def renamed(draft: Draft) -> Draft:
        for old in [n for n, d in draft.data.items() if d.get("file") == table.file]:
            others = draft.data.keys() - {old}
            draft = draft.with_table_called(old, drafts.unused_name(Path(shown_name(name)).stem, others))
        return draft

    drafts.update(workspace, renamed)


def delete_table(workspace: Workspace, table: OwnTable) -> Trashed:
    """Moves a table to the trash, and takes the tasks on it out of the draft; `restore_table` brings both back."""
    gone = drafts.load(workspace).on_file(table.file)
    entry = trash.move_to_trash(workspace, table.path, table.name, asdict(gone))
    forget_name(table.path)
    drafts.update(workspace, lambda draft: draft.without_tasks(draft.on_file(table.file).tasks))
    return entry


def restore_table(workspace: Workspace, entry: str) -> Trashed:
    """Brings a table back under its name: with the tasks that were deleted with it (one whose name is taken gets another), or into the
    tasks that it was replaced in.

    Raises TrashError: there is no such entry, or it is no table.
    """
    found = next((e for e in tables_in_trash(workspace) if e.id == entry), None)
    if found is None:
        raise trash.TrashError(message("There is no {entry} in the trash.", entry=entry))
    trash.restore(workspace, entry)
    name_upload(workspace.root / found.path, found.name)
    back = Draft(*(_dicts(found.note.get(part)) for part in ("data", "tasks")))
    if new := found.note.get("replaced_by"):
        drafts.update(workspace, lambda draft: draft.with_file(new, found.path, back.data))
        if (workspace.root / new).is_file():
            name_upload(workspace.root / new, str(found.note.get("its_name")))
    else:
        drafts.update(workspace, lambda draft: draft.joined(back))
    return found


def replace_table(workspace: Workspace, table: OwnTable, new: Path) -> Trashed:
    """Puts another upload in a table's place: it takes over its name and its tasks; the one before goes to the trash.

    Runs that were trained on it keep their results; they are resumed or started again only with the file in its place, or restored.
    """
    note = {**asdict(drafts.load(workspace).on_file(table.file)), "replaced_by": f"uploads/{new.name}", "its_name": upload_name(new)}
    drafts.update(workspace, lambda draft: draft.with_file(table.file, f"uploads/{new.name}"))
    name_upload(new, table.name)
    entry = trash.move_to_trash(workspace, table.path, table.name, note)
    forget_name(table.path)
    return entry


def tables_in_trash(workspace: Workspace) -> list[Trashed]:
    """Newest first."""
    return [entry for entry in trash.list_trash(workspace) if entry.path.startswith("uploads/")]


def _files_of_runs(workspace: Workspace) -> Mapping[str, list[str]]:
    """File → ids of the runs whose experiment reads it, where their paths start in the workspace."""
    found = defaultdict(list)
    for run in list_runs(workspace):
        try:
            tables = run.experiment.data.values()
        except (OSError, ExperimentError):  # of a damaged folder
            continue
        for file in {file for table in tables for file in drafts.files_of(table.model_dump(mode="json"))}:
            found[file.removeprefix(f"{workspace.root}/")].append(run.id)
    return found


def _dicts(part: Any) -> dict[str, dict[str, Any]]:
    return dict(part) if isinstance(part, dict) else {}
