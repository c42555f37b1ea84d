"""The draft of an experiment: tasks come and go, tables are shared, what is broken is no draft."""

from mtl_core.base.workspace import Workspace
from mtl_core.config import drafts

TASK = {"kind": "classification", "columns": {"text": "a", "label": "b"}}


def test_tasks_on_the_same_table_share_it(workspace: Workspace) -> None:
    drafts.add_task(workspace, "one", TASK, "t", {"file": "t.csv"})
    drafts.add_task(workspace, "two", TASK, "other", {"file": "t.csv"})
    draft = drafts.add_task(workspace, "three", TASK, "t", {"file": "t.csv", "split": {"by": "time", "column": "a"}})
    assert draft == drafts.load(workspace)
    assert {name: task["data"] for name, task in draft.tasks.items()} == {"one": "t", "two": "t", "three": "t-2"}
    assert list(draft.data) == ["t", "t-2"]


def test_a_table_goes_with_its_last_task(workspace: Workspace) -> None:
    drafts.add_task(workspace, "one", TASK, "t", {"file": "t.csv"})
    drafts.add_task(workspace, "two", TASK, "t", {"file": "t.csv"})
    assert list(drafts.remove_task(workspace, "one").data) == ["t"]
    assert drafts.remove_task(workspace, "unknown").tasks.keys() == {"two"}
    assert drafts.remove_task(workspace, "two") == drafts.Draft()


def test_what_is_no_draft_is_an_empty_one(workspace: Workspace) -> None:
    assert drafts.load(workspace) == drafts.Draft()
    for text in ("[1, 2]", "a: [", "data: 3", "tasks: {a: {data: gone}}"):
        (workspace.folder() / "draft.yaml").write_text(text)
        assert drafts.load(workspace) == drafts.Draft()


def test_names_become_what_an_experiment_takes() -> None:
    assert drafts.unused_name("my <table>!.csv", {}) == "my table .csv"
    assert drafts.unused_name("../..", {}) == "table"
    assert drafts.unused_name("t", {"t": 1, "t-2": 1}) == "t-3"
    assert drafts.unused_name("商品", {}) == "商品"
    assert len(drafts.unused_name("x" * 100, {"x" * 60: 1})) <= 64
