"""The draft of an experiment: tasks come and go, tables are shared, what is broken is no draft."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from mtl_core.base.workspace import Workspace
from mtl_core.config import drafts
from mtl_core.config.drafts import Draft
from mtl_core.config.parts import Name

TASK = {"kind": "classification", "columns": {"text": "a", "label": "b"}}
A, B = {"file": "uploads/a.csv"}, {"file": "uploads/b.csv"}
PARTS = {"file": "uploads/a.csv", "split": {"by": "files", "test_file": "uploads/b.csv"}}


def draft(**tasks: dict[str, Any]) -> Draft:
    """A draft with a task on each table, called alike."""
    found = Draft()
    for name, data in tasks.items():
        found = found.with_task(name, TASK, name, data)
    return found


def test_tasks_on_the_same_table_share_it(workspace: Workspace) -> None:
    drafts.add_task(workspace, "one", TASK, "t", A)
    drafts.add_task(workspace, "two", TASK, "other", A)
    found = drafts.add_task(workspace, "three", TASK, "t", {**A, "split": {"by": "time", "column": "a"}})
    assert found == drafts.load(workspace)
    assert {name: task["data"] for name, task in found.tasks.items()} == {"one": "t", "two": "t", "three": "t-2"}
    assert list(found.data) == ["t", "t-2"]
    assert found.table_of({**A, "split": {"by": "random", "test": 0.1}}) == "t"
    assert found.table_of(B) is None


def test_a_table_goes_with_its_last_task() -> None:
    found = Draft().with_task("one", TASK, "t", A).with_task("two", TASK, "t", A)
    assert list(found.without_tasks(["one", "unknown"]).data) == ["t"]
    assert found.without_tasks(["one", "two"]) == Draft()


def test_a_changed_task_keeps_its_place_its_weight_and_the_name_of_its_table() -> None:
    before = Draft().with_task("one", {**TASK, "weight": 2.5}, "t", A).with_task("two", TASK, "u", B)
    split = {**A, "split": {"by": "random", "test": 0.2}}
    after = before.with_task("uno", {**TASK, "kind": "multilabel"}, "x", split, instead_of="one")
    assert after.tasks == {"uno": {**TASK, "kind": "multilabel", "weight": 2.5, "data": "t"}, "two": before.tasks["two"]}
    assert after.data == {"t": split, "u": B}
    shared = before.with_task("three", TASK, "t", A).with_task("one", TASK, "t", split, instead_of="one")
    assert shared.data == {"t": A, "u": B, "t-2": split}  # the other task on it keeps it as it is


def test_a_file_is_used_by_tables_that_read_any_part_of_it() -> None:
    found = draft(one=PARTS, two=A, three=B)
    assert found.on_file("uploads/b.csv").tasks.keys() == {"one", "three"}
    assert found.on_file("uploads/a.csv").tasks.keys() == {"one", "two"}
    other = found.with_file("uploads/b.csv", "uploads/c.csv")
    assert other.data == {
        "one": {**PARTS, "split": {"by": "files", "test_file": "uploads/c.csv"}},
        "two": A,
        "three": {"file": "uploads/c.csv"},
    }
    assert other.with_file("uploads/c.csv", "uploads/b.csv") == found


def test_what_was_taken_out_comes_back_under_a_free_name() -> None:
    found = draft(one=A, two=B)
    gone = found.on_file("uploads/a.csv")
    left = found.without_tasks(gone.tasks)
    assert left.joined(gone) == Draft({"two": B, "one": A}, {"two": found.tasks["two"], "one": found.tasks["one"]})
    assert found.joined(gone).data == found.data
    taken = left.with_task("one", TASK, "one", {"file": "uploads/c.csv"}).joined(gone)
    assert taken.tasks["one-2"]["data"] == "one-2"
    assert taken.data["one-2"] == A


def test_a_table_is_renamed_with_its_tasks() -> None:
    found = draft(one=A, two=B).with_table_called("one", "uno")
    assert list(found.data) == ["uno", "two"]
    assert found.tasks["one"]["data"] == "uno"


def test_two_changes_at_once_are_both_kept(workspace: Workspace) -> None:
    names = [f"task {i}" for i in range(20)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: drafts.add_task(workspace, name, TASK, "t", A), names))
    assert sorted(drafts.load(workspace).tasks) == sorted(names)


def test_what_is_no_draft_is_an_empty_one(workspace: Workspace) -> None:
    assert drafts.load(workspace) == drafts.Draft()
    for text in ("[1, 2]", "a: [", "data: 3", "tasks: {a: {data: gone}}"):
        (workspace.folder() / "draft.yaml").write_text(text)
        assert drafts.load(workspace) == drafts.Draft()


def test_names_become_what_an_experiment_takes() -> None:
    assert drafts.unused_name("my <table>!.csv", {}) == "my table"
    assert drafts.unused_name("orders.2024.csv", {}) == drafts.unused_name("orders.2024", {}) == "orders-2024"
    assert drafts.unused_name("products.csv.gz", {}) == drafts.unused_name("products.csv", {}) == "products"
    assert drafts.unused_name("../..", {}) == "table"
    assert drafts.unused_name("t", {"t": 1, "t-2": 1}) == "t-3"
    assert drafts.unused_name("商品", {}) == "商品"
    assert len(drafts.unused_name("x" * 100, {"x" * 60: 1})) <= 64


@given(st.text(max_size=80), st.integers(0, 3))
def test_a_made_name_is_one_that_the_experiment_takes(wish: str, n_taken: int) -> None:
    taken: list[str] = []
    for _ in range(n_taken + 1):
        taken.append(TypeAdapter(Name).validate_python(drafts.unused_name(wish, taken)))
    assert len(set(taken)) == n_taken + 1
