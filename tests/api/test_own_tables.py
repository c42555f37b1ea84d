"""Tables of the workspace: what uses them; renamed, replaced, deleted and restored with their tasks."""

import io

import pytest

from mtl_core.api.own_tables import OwnTable, delete_table, own_tables, rename_table, replace_table, restore_table, tables_in_trash
from mtl_core.base.trash import TrashError, empty_trash, list_trash
from mtl_core.base.workspace import Workspace
from mtl_core.config import drafts
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.data.upload import save_upload
from mtl_core.tracking.runs import create_run

TASK = {"kind": "classification", "columns": {"text": "a", "label": "b"}, "weight": 2.0}


def brought(workspace: Workspace, name: str = "reviews.csv") -> OwnTable:
    """A table with a task of the draft."""
    path = save_upload(io.BytesIO(b"a,b\nx,y\n" if name == "reviews.csv" else b"a,b\nx,z\n"), name, workspace)
    drafts.add_task(workspace, name.partition(".")[0], TASK, name.partition(".")[0], {"file": f"uploads/{path.name}"})
    return next(t for t in own_tables(workspace) if t.path == path)


def test_what_uses_a_table(workspace: Workspace) -> None:
    table = brought(workspace)
    other = save_upload(io.BytesIO(b"a,b\nx,y\n"), "other.csv", workspace)
    data = {"t": {"file": table.file}, "u": {"file": str(other)}}
    run = create_run(
        experiment_from_dict({"data": data, "tasks": {"t": {**TASK, "data": "t"}, "u": {**TASK, "data": "u"}}}), workspace, None
    )
    first, second = own_tables(workspace)
    assert (first.name, first.n_bytes, first.tasks, first.runs) == ("reviews.csv", 8, ["reviews"], [run.id])
    assert (second.name, second.tasks, second.runs) == ("other.csv", [], [run.id])


def test_delete_and_restore(workspace: Workspace) -> None:
    table, other = brought(workspace), brought(workspace, "订单.csv")
    before = drafts.load(workspace)
    entry = delete_table(workspace, table)
    assert (entry.name, entry.n_bytes) == ("reviews.csv", 8)
    assert own_tables(workspace) == [other]
    assert drafts.load(workspace).tasks.keys() == {"订单"}
    assert sorted(p.name for p in workspace.uploads.iterdir()) == [other.path.name, other.path.name + ".json"]
    assert tables_in_trash(workspace) == [entry]
    restore_table(workspace, entry.id)
    assert {t.file: t for t in own_tables(workspace)} == {t.file: t for t in (table, other)}
    after = drafts.load(workspace)
    assert (after.data, after.tasks) == (before.data, before.tasks)
    with pytest.raises(TrashError):
        restore_table(workspace, entry.id)
    empty_trash(workspace)


def test_what_has_taken_the_name_of_a_restored_task_stays(workspace: Workspace) -> None:
    entry = delete_table(workspace, brought(workspace))
    new = brought(workspace)
    restore_table(workspace, entry.id)
    draft = drafts.load(workspace)
    assert draft.data[draft.tasks["reviews"]["data"]]["file"] == new.file
    assert draft.data[draft.tasks["reviews-2"]["data"]]["file"] == entry.path


def test_rename(workspace: Workspace) -> None:
    table = brought(workspace)
    rename_table(workspace, table, "../stars & 评论.csv")
    assert [t.name for t in own_tables(workspace)] == ["stars & 评论.csv"]
    draft = drafts.load(workspace)
    assert draft.data == {"stars 评论": {"file": table.file}}
    assert draft.tasks["reviews"]["data"] == "stars 评论"


def test_replace(workspace: Workspace) -> None:
    table = brought(workspace)
    new = save_upload(io.BytesIO(b"a,b\nz,y\nz,x\n"), "reviews of june.csv", workspace)
    entry = replace_table(workspace, table, new)
    (now,) = own_tables(workspace)
    assert (now.path, now.name, now.tasks) == (new, "reviews.csv", ["reviews"])
    assert list_trash(workspace) == [entry]
    drafts.add_task(workspace, "later", TASK, "later", {"file": now.file, "split": {"by": "random", "seed": 1}})
    restore_table(workspace, entry.id)
    assert {t.name: t.tasks for t in own_tables(workspace)} == {"reviews.csv": ["reviews"], "reviews of june.csv": ["later"]}
    assert drafts.load(workspace).data["reviews"] == {"file": table.file}
