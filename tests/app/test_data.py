"""The page Data: tables are brought in, looked at, become tasks; renamed, changed, replaced, deleted, restored."""

import os
import shutil
from pathlib import Path

import openpyxl
import pytest
from streamlit.testing.v1 import AppTest

from mtl_core.base.trash import list_trash
from mtl_core.base.workspace import Workspace
from mtl_core.config import drafts
from mtl_core.data.upload import upload_name, uploads
from pages.parts import background
from tests.app.conftest import ROOT, Open, no_exception
from tests.opens import opens

REVIEWS = "review,sentiment\n" + "".join(f"<b>bad</b> thing number {i},no\ngood thing number {i},yes\n" for i in range(30))
OTHER = "message,intent\n" + "".join(f"send my money back {i},refund\nwhere is my parcel {i},delivery\n" for i in range(30))


def settled(at: AppTest) -> AppTest:
    """Drawn again until nothing is on its way, as a browser does by itself."""
    while any("hourglass_top" in caption.value for caption in no_exception(at).caption):
        at.run()
    return at


def uploaded(at: AppTest, *files: tuple[str, str | bytes]) -> AppTest:
    contents = [(name, c.encode() if isinstance(c, str) else c, "application/octet-stream") for name, c in files]
    return settled(at.file_uploader[0].set_value(contents).run())


def reopened(opened: Open, **query: str) -> AppTest:
    return settled(opened("data", **query))


def clicked(at: AppTest, key: str) -> AppTest:
    return settled(at.button(key=key).click().run())


def menu(at: AppTest, stored: str, action: str) -> AppTest:
    return settled(at.menu_button(key=f"menu_{stored}").click(action).run())


def problems(at: AppTest) -> str:
    return " ".join(str(cell) for table in at.table for cell in table.value.to_numpy().ravel())


def text(at: AppTest) -> str:
    return " ".join(m.value for m in [*at.markdown, *at.caption, *at.error]).replace("\\", "")


def keys(at: AppTest) -> set[str | None]:
    return {button.key for button in at.button}


def stored(workspace: Workspace) -> dict[str, str]:
    """What the person calls a table → the file it is stored as."""
    return {upload_name(path): path.name for path in uploads(workspace)}


def test_without_a_table_says_what_to_do(opened: Open) -> None:
    at = reopened(opened)
    assert "Upload one table or several" in text(at)
    assert not keys(at) & {"add_all", "train", "empty_trash"}


@pytest.mark.parametrize("patience", [background.PATIENCE, 0.0])
def test_one_table_is_opened_checked_by_itself_and_added(
    opened: Open, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    """Without patience as where everything takes long: each step waits, and is drawn again in the midst of it when it has come."""
    monkeypatch.setattr(background, "PATIENCE", patience)
    at = uploaded(opened("data"), ("../../my reviews.csv", REVIEWS))
    assert list(at.dataframe[0].value.columns) == ["review", "sentiment"]
    assert at.dataframe[0].value["review"][0] == "<b>bad</b> thing number 0"
    file = f"uploads/{at.query_params['table']}"
    assert {p.parent for p in workspace.uploads.iterdir()} == {workspace.uploads}
    settled(at.selectbox(key="kind").set_value("classification").run())
    key = f"{file}.classification"
    at.multiselect(key=f"{key}_text").set_value(["review"])
    settled(at.selectbox(key=f"{key}_label").set_value("sentiment").run())
    assert [metric.value for metric in at.metric] == ["48", "6", "6"]
    assert len(at.get("plotly_chart")) == 1
    at.text_input(key=f"name.{file}.classification").set_value("stars of reviews").run()
    clicked(at, "add_task")
    draft = drafts.load(workspace)
    assert draft.tasks["stars of reviews"]["columns"] == {"text": "review", "label": "sentiment"}
    assert draft.data[draft.tasks["stars of reviews"]["data"]]["file"] == file
    assert "table" not in at.query_params
    clicked(at, "remove_stars of reviews")
    assert not drafts.load(workspace).tasks


def test_several_tables_become_tasks_with_one_click(opened: Open, workspace: Workspace) -> None:
    at = uploaded(opened("data"), ("reviews.csv", REVIEWS), ("messages.csv", OTHER), ("one.csv", "a,b\n1,2\n"), ("no.csv", ""))
    assert "no.csv" in problems(at).replace("\\", "")
    assert set(stored(workspace)) == {"reviews.csv", "messages.csv", "one.csv"}
    assert not at.file_uploader[0].value
    names = stored(workspace)
    assert {f"add_{names['reviews.csv']}", f"add_{names['messages.csv']}"} <= keys(at)
    assert f"add_{names['one.csv']}" not in keys(at)
    clicked(at, "add_all")
    assert {name: task["kind"] for name, task in drafts.load(workspace).tasks.items()} == {
        "reviews": "classification",
        "messages": "classification",
    }
    assert "add_all" not in keys(at)
    assert "train" in keys(at)
    assert "no.csv" not in problems(reopened(opened)).replace("\\", "")


def test_tasks_that_another_window_removed_are_named_when_they_are_to_be_trained(opened: Open, workspace: Workspace) -> None:
    at = uploaded(opened("data"), ("reviews.csv", REVIEWS), ("messages.csv", OTHER))
    clicked(at, "add_all")
    drafts.update(workspace, lambda draft: draft.without_tasks(list(draft.tasks)))
    clicked(at, "train")
    assert any("in another window: " in warning.value for warning in at.warning) and at.session_state.page == "data"


def test_equal_texts_are_kept_in_one_part_by_a_click(opened: Open, workspace: Workspace) -> None:
    rows = "".join(f"a good thing {i % 40},good\na bad thing {i % 40},bad\n" for i in range(60))
    at = uploaded(opened("data"), ("reviews.csv", ("review,sentiment\n" + rows).encode()))
    (stored_as,) = stored(workspace).values()
    clicked(at, f"open_{stored_as}") if f"open_{stored_as}" in keys(at) else None
    assert any("in more than one split" in str(cell) for table in at.table for cell in table.value.to_numpy().ravel())
    clicked(at, "keep_together")
    assert not any("in more than one split" in str(cell) for table in at.table for cell in table.value.to_numpy().ravel())
    assert "keep_together" not in keys(at)


def test_warnings_are_counted_once_and_stay_when_the_task_is_added(opened: Open, workspace: Workspace) -> None:
    rows = "".join(f"这个东西不好 {i},坏\n这个东西很好 {i},好\n" for i in range(30)) + "没有标签,\n"
    at = uploaded(opened("data"), ("reviews.csv", ("review,sentiment\n" + rows).encode("gb18030")))
    n = sum("orange-badge" in str(cell) for table in at.table for cell in table.value.to_numpy().ravel())
    assert n and [table.value.shape[1] for table in at.table] == [3], "one table of problems"
    assert any(f"Warnings: {n}." in warning.value for warning in at.warning)
    sizes = [int(metric.value) for metric in at.metric]
    counted = next(frame.value for frame in at.dataframe if "Label" in frame.value)
    unlabelled = next(int(c.value.split()[-1]) for c in at.caption if c.value.startswith("Rows without a label"))
    assert sum(sizes) == counted[["Training", "Validation", "Test"]].to_numpy().sum() + unlabelled and unlabelled == 1
    clicked(at, "add_task")
    assert [popover.proto.popover.label for popover in at.get("popover")].count(f"Warnings: {n}") == 1
    (stored_as,) = stored(workspace).values()
    clicked(at, f"open_{stored_as}")
    assert "The same kind and columns as: reviews" not in text(at), "the next proposal is not yet a task"
    at.selectbox(key="kind").set_value("classification")
    no_exception(at.run())
    assert "The same kind and columns as: reviews" in text(at)


def test_a_task_is_changed_as_it_stands(opened: Open, workspace: Workspace) -> None:
    at = clicked(uploaded(opened("data"), ("reviews.csv", REVIEWS)), "add_task")
    drafts.update(workspace, lambda draft: draft.with_task("reviews", {"weight": 2.5}, "reviews", draft.data["reviews"]))
    for _again in range(2):
        clicked(at, "change_reviews")
        assert at.selectbox(key="kind").value == "classification"
        file = drafts.load(workspace).data["reviews"]["file"]
        key = f"edit.reviews.{file}.classification"
        assert at.multiselect(key=f"{key}_text").value == ["review"]
        at.slider(key=f"{key}.split.test").set_value(0.3).run()
        clicked(at, "back")
    assert drafts.load(workspace).data["reviews"]["split"].get("test", 0.1) == 0.1
    at = reopened(opened, task="reviews")
    settled(at.slider(key=f"{key}.split.test").set_value(0.25).run())
    at.text_input(key=f"name.{file}.reviews").set_value("stars").run()
    clicked(at, "add_task")
    draft = drafts.load(workspace)
    assert (draft.tasks["stars"]["weight"], draft.data["reviews"]["split"]["test"]) == (2.5, 0.25)
    assert list(draft.tasks) == ["stars"]


def test_a_stratified_split_follows_the_label(opened: Open, workspace: Workspace) -> None:
    """In a suggestion and in a task of one's own; a column that was chosen for itself stays."""
    rows = "".join(f"a {n} shoe,Brand{n % 2},department{n // 2 % 3},{'low' if n % 5 else 'high'}\n" for n in range(90))
    at = uploaded(opened("data"), ("things.csv", "title,brand,department,price\n" + rows))
    prefix = f"uploads/{at.query_params['table']}.classification"
    column = f"{prefix}.split.column.stratified"
    assert at.selectbox(key=f"{prefix}_label").value == at.selectbox(key=column).value == "department"
    assert "The split follows" not in text(at)
    settled(at.selectbox(key=f"{prefix}_label").set_value("price").run())
    assert at.selectbox(key=column).value == "price"
    assert "The split follows the field: by “price” now, no longer by “department”." in text(at)
    clicked(at, "add_task")
    assert drafts.load(workspace).data["things"]["split"]["column"] == "price"

    clicked(at, "change_things")
    at.selectbox(key=f"edit.things.{prefix}_label").set_value(None).run()
    settled(at.selectbox(key=f"edit.things.{prefix}_label").set_value("brand").run())
    assert at.selectbox(key=f"edit.things.{column}").value == "brand"
    settled(at.selectbox(key=f"edit.things.{column}").set_value("department").run())
    settled(at.selectbox(key=f"edit.things.{prefix}_label").set_value("price").run())
    assert at.selectbox(key=f"edit.things.{column}").value == "department" and "The split follows" not in text(at)
    clicked(at, "add_task")
    task, data = drafts.load(workspace).tasks["things"], drafts.load(workspace).data["things"]
    assert (task["columns"]["label"], data["split"]["column"]) == ("price", "department")


def test_a_name_of_another_task_is_not_taken(opened: Open, workspace: Workspace) -> None:
    at = clicked(uploaded(opened("data"), ("reviews.csv", REVIEWS), ("messages.csv", OTHER)), "add_all")
    clicked(at, "change_reviews")
    file = drafts.load(workspace).data["reviews"]["file"]
    at.text_input(key=f"name.{file}.reviews").set_value("messages").run()
    assert at.button(key="add_task").disabled
    assert "There is a task of this name" in text(at)


def test_rename_outlives_a_reload(opened: Open, workspace: Workspace) -> None:
    at = clicked(clicked(uploaded(opened("data"), ("reviews.csv", REVIEWS)), "back"), "add_all")
    (file,) = stored(workspace).values()
    menu(at, file, "rename")
    at.text_input(key=f"rename_{file}").set_value("评论 2024.csv")
    clicked(at, "rename_now")
    assert "评论 2024.csv" in text(reopened(opened))
    assert list(drafts.load(workspace).data) == ["评论 2024"]


def test_delete_says_what_uses_it_and_can_be_undone(opened: Open, workspace: Workspace) -> None:
    at = clicked(uploaded(opened("data"), ("reviews.csv", REVIEWS), ("messages.csv", OTHER)), "add_all")
    before = drafts.load(workspace)
    for name in stored(workspace).values():
        at.checkbox(key=f"select_{name}").set_value(True)
    clicked(at.run(), "delete_selected")
    assert "deleted with it: reviews" in text(at)
    clicked(at, "delete_now")
    assert not stored(workspace)
    assert not drafts.load(workspace).tasks
    clicked(at, "undo_deleted")
    assert drafts.load(workspace) == before
    assert not list_trash(workspace)

    menu(at, stored(workspace)["reviews.csv"], "delete")
    clicked(at, "delete_now")
    at.switch_page("pages/home.py").run()
    at.switch_page("pages/data.py")
    settled(at.run())
    assert "undo_deleted" not in keys(at)
    (entry,) = list_trash(workspace)
    clicked(at, f"restore_{entry.id}")
    assert drafts.load(workspace).tasks.keys() == before.tasks.keys()


def test_emptying_the_trash_asks(opened: Open, workspace: Workspace) -> None:
    at = clicked(uploaded(opened("data"), ("reviews.csv", REVIEWS)), "back")
    menu(at, stored(workspace)["reviews.csv"], "delete")
    clicked(at, "delete_now")
    clicked(at, "empty_trash")
    assert list_trash(workspace)
    clicked(at, "empty_now")
    assert not list_trash(workspace)


def test_a_name_in_use_is_asked_about(opened: Open, workspace: Workspace) -> None:
    at = clicked(clicked(uploaded(opened("data"), ("reviews.csv", REVIEWS)), "back"), "add_all")
    (old,) = stored(workspace).values()
    new = REVIEWS.replace("review,sentiment", "review,sentiment,shop").replace(",no", ",no,a").replace(",yes", ",good,a")
    uploaded(at, ("reviews.csv", new + "more,good,a\n"))
    assert set(stored(workspace)) == {"reviews.csv", "reviews (2).csv"}
    second = stored(workspace)["reviews (2).csv"]
    clicked(at, f"instead_{second}")
    said = text(at)
    for part in (
        "Rows: 60 → 61",
        "New columns: shop",
        "Values of sentiment that are gone: yes",
        "New values of sentiment: good",
        "works with it",
    ):
        assert part in said
    clicked(at, "replace_now")
    assert stored(workspace) == {"reviews.csv": second}
    draft = drafts.load(workspace)
    assert draft.data[draft.tasks["reviews"]["data"]]["file"] == f"uploads/{second}"
    clicked(at, "undo_deleted")
    assert stored(workspace) == {"reviews.csv": old, "reviews (2).csv": second}
    assert drafts.load(workspace).data["reviews"]["file"] == f"uploads/{old}"

    uploaded(at, ("messages.csv", OTHER), ("messages.csv", OTHER), ("messages.csv", OTHER + "more,refund\n"))  # one of them twice
    second = stored(workspace)["messages (2).csv"]
    clicked(at, f"both_{second}")
    assert f"both_{second}" not in keys(at)
    assert {"messages.csv", "messages (2).csv"} <= set(stored(workspace))


def test_a_replacement_says_which_tasks_break(opened: Open, workspace: Workspace) -> None:
    at = clicked(clicked(uploaded(opened("data"), ("reviews.csv", REVIEWS)), "back"), "add_all")
    uploaded(at, ("reviews.csv", OTHER))
    clicked(at, f"instead_{stored(workspace)['reviews (2).csv']}")
    assert "The task **reviews** does not work with it" in text(at)
    assert "Columns that are gone: review, sentiment" in text(at)


def test_a_table_is_read_in_another_process(opened: Open, workspace: Workspace) -> None:
    """Where it is read once: `tests/api/test_looked.py`."""
    shoes = workspace.uploads / "0123456789ab.csv"
    shoes.write_text(REVIEWS.replace("thing", "shoe"), "utf-8")
    with opens(shoes) as n:
        at = reopened(opened, table=shoes.name, kind="classification")
        assert [metric.value for metric in at.metric] == ["48", "6", "6"]
        at.run()
    assert n == [0]


def test_reading_is_cancelled_and_tried_again(opened: Open, workspace: Workspace) -> None:
    large = workspace.uploads / "0123456789ac.csv"
    large.write_text("text,label\n" + "".join(f"a thing number {i},{i % 2}\n" for i in range(1_500_000)), "utf-8")
    at = no_exception(opened("data", table=large.name))
    (cancel,) = [button for button in at.button if str(button.key).startswith("cancel_")]
    at = settled(cancel.click().run())
    assert "Reading it was cancelled" in problems(at)
    assert "again_0123456789ac.csv" in keys(at) and "again_0123456789ac.csv" in keys(reopened(opened))
    large.write_text(REVIEWS, "utf-8")
    os.utime(large, ns=(0, 0))
    assert "again_0123456789ac.csv" not in keys(reopened(opened, table=large.name))  # the file is another: nothing to try again


def test_a_changed_form_is_checked_again(opened: Open) -> None:
    at = uploaded(opened("data"), ("a.csv", REVIEWS))
    key = f"uploads/{at.query_params['table']}.classification"
    assert [metric.value for metric in at.metric] == ["48", "6", "6"]
    settled(at.slider(key=f"{key}.split.test").set_value(0.2).run())
    assert [metric.value for metric in at.metric] == ["42", "6", "12"]
    at.selectbox(key=f"{key}_label").set_value(None).run()
    assert not keys(at) & {"add_task"}
    assert "not optional" in text(at)


def test_the_table_outlives_a_reload(opened: Open) -> None:
    name = uploaded(opened("data"), ("a.csv", REVIEWS)).query_params["table"]
    at = reopened(opened, table=name)
    assert list(at.dataframe[0].value.columns) == ["review", "sentiment"]
    assert "**a.csv**" in text(at)


@pytest.mark.parametrize("query", [{"table": "../draft.yaml"}, {"table": "gone.csv"}, {"task": "gone"}])
def test_what_is_no_table_or_task_shows_the_list(opened: Open, query: dict[str, str]) -> None:
    assert "Upload one table or several" in text(reopened(opened, **query))


def test_empty_cells_are_empty(opened: Open) -> None:
    at = uploaded(opened("data"), ("a.csv", "a,b\n1,\n,2\n"))
    assert at.dataframe[0].value.to_numpy().tolist() == [["1", ""], ["", "2"]]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.csv", b"", "empty"),
        ("header.csv", b"a,b\n", "rows"),
        ("binary.csv", bytes(range(256)) * 20, "binary"),
        ("broken.jsonl", b'{"a": 1}\n{"a": \n', "line 2"),
        ("cut.parquet", b"PAR1 and then nothing", "Parquet"),
    ],
)
def test_bad_files_say_what_is_wrong(opened: Open, name: str, content: bytes, says: str) -> None:
    at = uploaded(opened("data"), (name, content))
    assert at.error
    assert says in problems(at).replace("\\", "")
    assert name in problems(at).replace("\\", "")
    assert "add_task" not in keys(at)


def test_a_stray_quotation_mark_is_read_as_a_character(opened: Open) -> None:
    at = uploaded(opened("data"), ("open.csv", b'a,b\n1,"never closed\n2,3\n'))
    assert not at.error
    assert at.dataframe[0].value.to_numpy().tolist() == [["1", '"never closed'], ["2", "3"]]


def test_what_was_wrong_with_a_file_is_not_said_of_the_next(opened: Open) -> None:
    at = uploaded(opened("data"), ("empty.csv", b""))
    assert at.error
    uploaded(at, ("a.csv", REVIEWS), ("b.csv", OTHER))
    assert not at.error


def test_a_table_that_cannot_be_learned_from_cannot_be_added(opened: Open) -> None:
    at = uploaded(opened("data"), ("one.csv", "text,label\n" + "".join(f"text {i},same\n" for i in range(30))))
    settled(at.selectbox(key="kind").set_value("classification").run())
    assert at.error
    assert "add_task" not in keys(at)


def test_a_task_whose_file_is_gone_is_listed(opened: Open, workspace: Workspace) -> None:
    task = {"kind": "classification", "columns": {"text": "a", "label": "b"}}
    drafts.add_task(workspace, "lost", task, "lost", {"file": "uploads/lost.csv"})
    at = reopened(opened)
    assert "change_lost" in keys(at)
    clicked(at, "change_lost")
    clicked(at, "remove_lost")
    assert not drafts.load(workspace).tasks


@pytest.mark.parametrize(
    ("table", "kind"),
    [("searches.csv", "search"), ("ads.csv", "click_through"), ("messages.csv", "classification"), ("products.csv", "classification")],
)
def test_the_sample_shop_is_mapped_as_suggested(opened: Open, table: str, kind: str) -> None:
    at = reopened(opened, source="sample", sample=table)
    assert at.selectbox(key="kind").value == kind
    assert not at.error, problems(at)
    clicked(at, "add_task")


def test_a_transaction_log_becomes_a_recommendation_task(opened: Open, workspace: Workspace) -> None:
    at = reopened(opened, source="sample", sample="transactions.csv")
    key = "transactions.csv.recommendation"
    assert at.toggle(key=f"{key}.is_log").value
    chosen = {name: at.selectbox(key=f"{key}.log.{name}").value for name in ("user", "item", "text", "time", "quantity", "rating")}
    assert chosen == {"user": "user", "item": "item_id", "text": "item_text", "time": "time", "quantity": "quantity", "rating": None}
    settled(at.button_group(key=f"{key}.split.by").set_value("time").run())
    assert not at.error, problems(at)
    clicked(at, "add_task")
    draft = drafts.load(workspace)
    assert draft.data["transactions"]["split"]["by"] == "time"
    assert draft.tasks["transactions"]["columns"]["history"] == "history"
    assert (ROOT / "data" / draft.data["transactions"]["file"]).is_file()
    at = reopened(opened, task="transactions")
    key = "edit.transactions." + key
    assert at.toggle(key=f"{key}.is_log").value
    assert at.button_group(key=f"{key}.split.by").value == "time"
    assert not at.error, problems(at)


def test_a_kind_in_the_url_stays_and_another_table_gets_its_own(opened: Open) -> None:
    at = reopened(opened, source="sample", sample="messages.csv", kind="search")
    assert at.selectbox(key="kind").value == "search"
    settled(at.selectbox(key="sample").set_value("ads.csv").run())
    assert at.selectbox(key="kind").value == "click_through"
    settled(at.selectbox(key="kind").set_value("classification").run())
    assert at.selectbox(key="kind").value == "classification"


def test_files_of_one_table_are_proposed_as_such(opened: Open, workspace: Workspace) -> None:
    at = uploaded(opened("data"), ("reviews_train.csv", REVIEWS), ("reviews_test.csv", REVIEWS.replace("thing", "shoe")), ("m.csv", OTHER))
    names = stored(workspace)
    assert "Training: reviews_train.csv · Test: reviews_test.csv" in text(at)
    assert f"open_{names['reviews_test.csv']}" not in keys(at)
    clicked(at, f"add_{names['reviews_train.csv']}")
    (data,) = drafts.load(workspace).data.values()
    test_file = f"uploads/{names['reviews_test.csv']}"
    assert data == {"file": f"uploads/{names['reviews_train.csv']}", "split": {"by": "files", "test_file": test_file}}
    assert f"apart_{names['reviews_train.csv']}" not in keys(at)
    clicked(at, "change_reviews_train")
    assert [metric.value for metric in at.metric] == ["54", "6", "60"]
    key = f"edit.reviews_train.{data['file']}.classification.split"
    assert at.selectbox(key=f"{key}.test_file").value == test_file
    at.button_group(key=f"{key}.by").set_value("random").run()
    clicked(settled(at), "add_task")
    assert [data["split"]["by"] for data in drafts.load(workspace).data.values()] == ["random"]


def test_files_that_look_like_parts_can_be_kept_apart(opened: Open, workspace: Workspace) -> None:
    at = uploaded(opened("data"), ("reviews_train.csv", REVIEWS), ("reviews_test.csv", OTHER))
    names = stored(workspace)
    assert "columns that this file lacks" in text(at)
    clicked(at, f"apart_{names['reviews_train.csv']}")
    assert {f"add_{name}" for name in names.values()} <= keys(at)


def test_the_encoding_is_a_choice_where_it_is_not_utf8(opened: Open, workspace: Workspace) -> None:
    content = "review,sentiment\n" + "".join(f"это хорошая вещь {i},да\nэто плохая вещь {i},нет\n" for i in range(30))
    at = uploaded(opened("data"), ("отзывы.csv", content.encode("cp1251")))
    file = f"uploads/{at.query_params['table']}"
    settled(at.selectbox(key=f"reading.encoding.{file}").set_value("cp1251").run())
    assert at.dataframe[0].value["review"][0] == "это хорошая вещь 0"
    clicked(at, "add_task")
    assert drafts.load(workspace).data["отзывы"]["encoding"] == "cp1251"
    at = reopened(opened, task="отзывы")
    assert at.selectbox(key=f"reading.encoding.{file}").value == "cp1251"
    assert at.dataframe[0].value["review"][0] == "это хорошая вещь 0"


def test_twenty_tables(opened: Open, workspace: Workspace) -> None:
    first = Path(uploads(workspace)[0]) if uploads(workspace) else workspace.uploads / "0.csv"
    first.write_text(REVIEWS, "utf-8")
    for number in range(1, 20):
        shutil.copy(first, workspace.uploads / f"{number}.csv")
    at = clicked(reopened(opened), "add_all")
    assert len(drafts.load(workspace).tasks) == 20
    assert "add_all" not in keys(at)


def test_a_column_that_gives_the_label_away_is_left_out_with_a_click(opened: Open) -> None:
    rows = "".join(f"thing {i},{'red' if i % 3 else 'blue'},{'0.00' if i % 2 else f'{5 + i / 7:.2f}'},{i % 2}\n" for i in range(400))
    at = uploaded(opened("data"), ("visits.csv", "text,color,amount paid,bought\n" + rows))
    settled(at.selectbox(key="kind").set_value("click_through").run())
    key = f"uploads/{at.query_params['table']}.click_through"
    at.multiselect(key=f"{key}_categories").set_value(["color"])
    at.selectbox(key=f"{key}_label").set_value("bought")
    settled(at.multiselect(key=f"{key}_numbers").set_value(["amount paid"]).run())
    table = at.table[0].value
    assert "Warning" in table.iloc[0, 0] and "amount paid" in table.iloc[0, 0] and "AUC 1.000" in table.iloc[0, 1].replace("\\", "")
    clicked(at, "leave_out.amount paid")
    assert at.multiselect(key=f"{key}_numbers").value == [] and at.multiselect(key=f"{key}_categories").value == ["color"]
    assert "leave_out.amount paid" not in keys(at) and "AUC 1.000" not in problems(at).replace("\\", "")
    assert "add_task" in keys(at)


def test_a_sheet_is_chosen_of_those_that_the_workbook_has(opened: Open, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for name, column in (("notes", "remark"), ("orders", "review")):
        page = book.create_sheet(name)
        for row in [(column, "label"), *((f"{column} number {i}", "ab"[i % 2]) for i in range(30))]:
            page.append(row)
    del book["Sheet"]
    book.save(tmp_path / "shop.xlsx")
    at = uploaded(opened("data"), ("shop.xlsx", (tmp_path / "shop.xlsx").read_bytes()))
    key = f"reading.sheet.uploads/{at.query_params['table']}"
    assert at.selectbox(key=key).options == ["notes", "orders"] and "remark" in at.dataframe[0].value.columns
    settled(at.selectbox(key=key).set_value("orders").run())
    assert "review" in at.dataframe[0].value.columns
