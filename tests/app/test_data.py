"""The page Data: a table is uploaded, looked at, mapped, checked, and becomes a task."""

import pytest
from streamlit.testing.v1 import AppTest

from mtl_core.base.workspace import Workspace
from mtl_core.config import drafts
from tests.app.conftest import ROOT, Open, no_exception
from tests.opens import opens

REVIEWS = "review,stars\n" + "".join(f"<b>bad</b> thing number {i},no\ngood thing number {i},yes\n" for i in range(30))


def uploaded(at: AppTest, name: str, content: bytes) -> AppTest:
    at.file_uploader(key="upload").upload(name, content).run()
    return no_exception(at)


def problems(at: AppTest) -> str:
    return " ".join(str(cell) for table in at.table for cell in table.value.to_numpy().ravel())


def test_without_a_table_says_what_to_do(opened: Open) -> None:
    at = opened("data")
    assert any("Upload a table" in caption.value for caption in at.caption)
    assert any("None yet" in caption.value for caption in at.caption)


def test_upload_map_check_add(opened: Open, workspace: Workspace) -> None:
    at = uploaded(opened("data"), "../../my reviews.csv", REVIEWS.encode())
    assert list(at.dataframe[0].value.columns) == ["review", "stars"]
    assert at.dataframe[0].value["review"][0] == "<b>bad</b> thing number 0"
    file = f"uploads/{at.query_params['table']}"
    assert [p.parent for p in workspace.uploads.iterdir()] == [workspace.uploads]
    at.button_group(key="kind").set_value("classification").run()
    key = f"{file}.classification"
    at.multiselect(key=f"{key}_text").set_value(["review"])
    at.selectbox(key=f"{key}_label").set_value("stars").run()
    at.button(key="check").click().run()
    no_exception(at)
    assert [metric.value for metric in at.metric] == ["48", "6", "6"]
    assert len(at.get("plotly_chart")) == 1
    at.text_input(key=f"name.{file}.classification").set_value("stars of reviews").run()
    at.button(key="add_task").click().run()
    no_exception(at)
    draft = drafts.load(workspace)
    assert draft.tasks["stars of reviews"]["columns"] == {"text": "review", "label": "stars"}
    assert draft.data[draft.tasks["stars of reviews"]["data"]]["file"] == file
    at.button(key="remove_stars of reviews").click().run()
    no_exception(at)
    assert not drafts.load(workspace).tasks


def test_a_table_is_read_once_and_stored_from_what_was_read(opened: Open, workspace: Workspace) -> None:
    shoes = workspace.uploads / "0123456789ab.csv"
    shoes.write_text(REVIEWS.replace("thing", "shoe"), "utf-8")
    with opens(shoes) as n:
        at = opened("data", table=shoes.name, kind="classification")
        at.button(key="check").click().run()
        no_exception(at)
        assert [metric.value for metric in at.metric] == ["48", "6", "6"]
    assert n == [1]


def test_a_changed_mapping_must_be_checked_again(opened: Open) -> None:
    at = uploaded(opened("data"), "a.csv", REVIEWS.encode())
    key = f"uploads/{at.query_params['table']}.classification"
    at.button_group(key="kind").set_value("classification").run()
    at.multiselect(key=f"{key}_text").set_value(["review"])
    at.selectbox(key=f"{key}_label").set_value("stars").run()
    at.button(key="check").click().run()
    assert [b for b in at.button if b.key == "add_task"]
    at.slider(key=f"{key}.split.test").set_value(0.2).run()
    no_exception(at)
    assert not [b for b in at.button if b.key == "add_task"]


def test_the_table_outlives_a_reload(opened: Open) -> None:
    name = uploaded(opened("data"), "a.csv", REVIEWS.encode()).query_params["table"]
    at = opened("data", table=name)
    assert list(at.dataframe[0].value.columns) == ["review", "stars"]


def test_a_name_out_of_the_workspace_is_no_table(opened: Open) -> None:
    at = opened("data", table="../draft.yaml")
    assert any("Upload a table" in caption.value for caption in at.caption)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.csv", b"", "empty"),
        ("header.csv", b"a,b\n", "rows"),
        ("binary.csv", bytes(range(256)) * 20, "binary"),
        ("broken.jsonl", b'{"a": 1}\n{"a": \n', "line 2"),
        ("cut.parquet", b"PAR1 and then nothing", "Parquet"),
        ("open.csv", b'a,b\n1,"never closed\n2,3\n', "quot"),
    ],
)
def test_bad_files_say_what_is_wrong(opened: Open, name: str, content: bytes, says: str) -> None:
    at = uploaded(opened("data"), name, content)
    assert at.error
    assert says in problems(at).replace("\\", "")
    assert name in problems(at).replace("\\", "")
    assert not [b for b in at.button if b.key == "check"]


def test_a_table_that_cannot_be_learned_from_cannot_be_added(opened: Open) -> None:
    at = uploaded(opened("data"), "one.csv", b"text,label\n" + b"".join(b"text %d,same\n" % i for i in range(30)))
    at.button_group(key="kind").set_value("classification").run()
    at.button(key="check").click().run()
    no_exception(at)
    assert at.error
    assert not [b for b in at.button if b.key == "add_task"]


@pytest.mark.parametrize(
    ("table", "kind"),
    [("searches.csv", "search"), ("ads.csv", "click_through"), ("messages.csv", "classification"), ("products.csv", "classification")],
)
def test_the_sample_shop_is_mapped_as_suggested(opened: Open, table: str, kind: str) -> None:
    at = opened("data", source="sample", sample=table)
    assert at.button_group(key="kind").value == kind
    at.button(key="check").click().run()
    no_exception(at)
    assert not at.error, problems(at)
    at.button(key="add_task").click().run()
    no_exception(at)


def test_a_transaction_log_becomes_a_recommendation_task(opened: Open, workspace: Workspace) -> None:
    at = opened("data", source="sample", sample="transactions.csv")
    key = "transactions.csv.recommendation"
    assert at.toggle(key=f"{key}.is_log").value
    chosen = {name: at.selectbox(key=f"{key}.log.{name}").value for name in ("user", "item", "text", "time", "quantity", "rating")}
    assert chosen == {"user": "user", "item": "item_id", "text": "item_text", "time": "time", "quantity": "quantity", "rating": None}
    at.button_group(key=f"{key}.split.by").set_value("time").run()
    at.button(key="check").click().run()
    no_exception(at)
    assert not at.error, problems(at)
    at.button(key="add_task").click().run()
    no_exception(at)
    draft = drafts.load(workspace)
    assert draft.data["transactions"]["split"]["by"] == "time"
    assert draft.tasks["transactions"]["columns"]["history"] == "history"
    assert (ROOT / "data" / draft.data["transactions"]["file"]).is_file()


def test_a_kind_in_the_url_stays_and_another_table_gets_its_own(opened: Open) -> None:
    at = opened("data", source="sample", sample="messages.csv", kind="search")
    assert at.button_group(key="kind").value == "search"
    at.selectbox(key="sample").set_value("ads.csv").run()
    no_exception(at)
    assert at.button_group(key="kind").value == "click_through"
    at.button_group(key="kind").set_value("classification").run()
    assert at.button_group(key="kind").value == "classification"
