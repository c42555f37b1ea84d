"""The page Predict: a form for each task, made from its kind's fields; a catalogue ranked."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

import mtl_core as mtl
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.jobs import jobs
from mtl_core.tracking.runs import Run, RunState, run
from mtl_core.tracking.status import write_status
from tests.app.conftest import ROOT, Open, no_exception

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def trained(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three steps on three tables of the sample shop with a tiny encoder."""
    shop = yaml.safe_load((ROOT / "data" / "shop.yaml").read_text(encoding="utf-8"))
    tasks = {name: shop["tasks"][name] for name in ("search", "ads", "intent")}
    values = {
        "name": "tiny",
        "data": {name: shop["data"][name] for name in {task["data"] for task in tasks.values()}},
        "tasks": tasks,
        "encoder": {"name": str(tiny_encoder), "max_length": 16},
        "training": {"steps": 3, "batch_size": 16, "max_validation_rows": 50, "device": "cpu"},
    }
    workspace = Workspace(tmp_path_factory.mktemp("trained") / "workspace")
    run_id = jobs().submit(experiment_from_dict(values), workspace, ROOT / "data")
    assert jobs().wait(run_id, timeout=150)
    found = run(workspace, run_id)
    jobs().mirror(workspace).stop(60)  # tests copy the folder
    assert found.state is RunState.FINISHED, (found.folder / "events.jsonl").read_text(encoding="utf-8")[-2000:]
    return found


@pytest.fixture
def model(trained: Run, workspace: Workspace) -> Run:
    """The trained run in the test's own workspace."""
    shutil.copytree(trained.folder, workspace.runs / trained.id)
    return run(workspace, trained.id)


def test_without_a_model_it_says_what_to_do(opened: Open) -> None:
    at = opened("predict")
    assert any("no trained model" in info.value for info in at.info)
    assert not at.selectbox


def test_the_link_to_a_run_wins_over_what_was_open(opened: Open, model: Run, workspace: Workspace) -> None:
    other = shutil.copytree(model.folder, workspace.runs / "000000000001").name
    at = opened("train", run=model.id)
    at.query_params.clear()
    at.query_params["run"] = other
    at.switch_page("pages/predict.py")
    no_exception(at.run())
    assert at.selectbox(key="run").value == other
    assert at.session_state["run"] == other and at.session_state["lang"] == "en"


def test_a_text_gets_its_classes(opened: Open, model: Run) -> None:
    at = opened("predict", run=model.id, task="intent")
    assert [area.label for area in at.text_area] == ["message"]
    at.text_area[0].set_value("where is <b>my</b> *parcel*")
    next(b for b in at.button if b.label == "Predict").click()
    no_exception(at.run())
    answer, probability = (metric.value for metric in at.metric[:2])
    assert probability.endswith("%")
    bars = json.loads(at.get("plotly_chart")[0].proto.spec)["data"][0]
    assert bars["type"] == "bar"
    assert bars["y"][-1] == answer.replace("\\", "")


def test_classes_are_named_without_training_again(opened: Open, model: Run) -> None:
    """The answer on the screen changes with its name; the table's class stays beside it, and two classes never share a name."""
    at = opened("predict", run=model.id, task="intent")
    at.text_area[0].set_value("where is my parcel")
    next(b for b in at.button if b.label == "Predict").click()
    no_exception(at.run())
    shown = {metric.label: metric.value for metric in at.metric}
    cls = shown["Answer"].replace("\\", "")
    at.text_input(key=f"called.{model.id}.intent.{cls}").set_value("My *name* for it")
    next(b for b in at.button if b.label == "Save").click()
    no_exception(at.run())
    named = {metric.label: metric.value.replace("\\", "") for metric in at.metric}
    assert (named["Answer"], named["Class in the table"]) == ("My *name* for it", cls)
    assert named["Probability"] == shown["Probability"]
    assert json.loads(at.get("plotly_chart")[0].proto.spec)["data"][0]["y"][-1] == "My *name* for it"

    other = next(i.key for i in at.text_input if i.key.startswith("called.") and not i.key.endswith(f".{cls}"))
    at.text_input(key=other).set_value("My *name* for it")
    next(b for b in at.button if b.label == "Save").click()
    no_exception(at.run())
    assert any("name of its own" in error.value for error in at.error)
    assert model.class_names("intent") == {cls: "My *name* for it"}


def test_entries_to_show_stand_in_the_link(opened: Open, model: Run) -> None:
    at = opened("predict", run=model.id, task="search", view="rank", entries="25")
    assert at.slider(key="entries").value == 25
    at.slider(key="entries").set_value(50)
    next(b for b in at.button if b.label == "Rank").click()
    no_exception(at.run())
    assert at.query_params["entries"] == "50"


def test_a_number_is_read_as_a_cell_of_the_table_is(opened: Open, model: Run) -> None:
    """3,5 is 3.5, not 35, and what is no number is refused by its column; a link says what was typed."""

    def asked(typed: str) -> float | None:
        at.text_input(key=f"{model.id}.ads.numbers.0").set_value(typed)
        next(b for b in at.button if b.label == "Predict").click()
        no_exception(at.run())
        answer = at.session_state["asked"][f"{model.id}.ads"].get("answer")
        return answer and float(answer["probability"])

    at = opened("predict", run=model.id, task="ads")
    assert asked("3.5") == asked("3,5") == asked("€ 3,50") != asked("35")
    assert json.loads(at.query_params["ask"])["numbers"][0] == "35"
    assert asked("cheap") is None
    assert [w.value.replace(chr(92), "") for w in at.warning] == ["“numbers (hour)”: expected a number, found “cheap”."]


def test_an_empty_form_is_not_sent(opened: Open, model: Run) -> None:
    at = opened("predict", run=model.id, task="intent")
    next(b for b in at.button if b.label == "Predict").click()
    no_exception(at.run())
    assert [w.value for w in at.warning] == ["Fill in at least one field."]
    assert not at.metric


def test_the_types_of_fields_make_the_form(opened: Open, model: Run) -> None:
    """Categories offer what training knew, numbers and texts have boxes; what is not known may stay empty."""
    at = opened("predict", run=model.id, task="ads")
    offered = {box.label: box.options for box in at.selectbox if box.key not in ("run", "task")}
    assert list(offered) == ["segment", "device", "placement", r"ad\_category"]
    assert "desktop" in offered["device"]
    assert [i.label for i in at.text_input if ".numbers." in i.key] == ["hour", "age", "discount"]
    assert [area.label for area in at.text_area] == [r"ad\_text"]


def test_a_question_in_the_link_is_asked_and_one_that_cannot_be_read_is_said(opened: Open, model: Run) -> None:
    """Numbers stood in links as such before they were typed as texts."""
    for numbers in ([12, 7.5, None], ["12", "7,5", ""]):
        at = opened("predict", run=model.id, task="ads", ask=json.dumps({"numbers": numbers, "text": ["buy"]}))
        no_exception(at)
        assert [i.value for i in at.text_input if ".numbers." in i.key][:1] == ["12"] and len(at.metric) == 1
    at = opened("predict", run=model.id, task="ads", ask="{")
    assert [w.value.replace(chr(92), "") for w in at.warning] == ["The question in the link cannot be read. Ask it here."]


def test_what_was_typed_for_a_run_that_was_deleted_meanwhile_is_kept_and_said(opened: Open, model: Run, workspace: Workspace) -> None:
    other = shutil.copytree(model.folder, workspace.runs / "000000000001")
    at = opened("predict", run=other.name, task="intent")
    at.text_area[0].set_value("where is my parcel")
    shutil.rmtree(other)
    next(b for b in at.button if b.label == "Predict").click()
    no_exception(at.run())
    assert [w.value for w in at.warning] == [f"There is no run “{other.name}” in this workspace. Shown instead: “{model.id}”."]
    assert at.text_area[0].value == "where is my parcel" and not at.metric
    at.text_area[0].set_value("and my bag")
    next(b for b in at.button if b.label == "Predict").click()
    no_exception(at.run())
    assert at.text_area[0].value == "and my bag" and at.metric


def test_a_row_of_a_task_that_is_not_there_is_not_asked_of_another(opened: Open, model: Run) -> None:
    at = opened("predict", run=model.id, task="nothing", row="3")
    no_exception(at)
    assert not at.metric and "row" not in at.query_params
    assert [w.value for w in at.warning] == ["This run has no task “nothing”. Shown instead: “search”."]


def test_the_sample_catalogue_is_ranked(opened: Open, model: Run) -> None:
    at = opened("predict", run=model.id, task="search", view="rank")
    assert at.multiselect[0].value == ["title"]
    at.text_area[0].set_value("yellow saucepan")
    next(b for b in at.button if b.label == "Rank").click()
    no_exception(at.run())
    ranked = at.dataframe[0].value
    assert ranked["Rank"].tolist() == list(range(1, 11))
    assert ranked["Relevance"].is_monotonic_decreasing
    assert "title" in ranked
    assert at.get("download_button")


def test_what_the_table_of_an_own_run_holds_is_ranked_not_the_sample_shop(
    opened: Open, trained: Run, model: Run, workspace: Workspace
) -> None:
    shutil.copytree(trained.folder.parents[1] / "datasets", workspace.root / "datasets")
    write_status(model.folder, {**model.status, "base": str(workspace.root)})
    at = opened("predict", run=model.id, task="search", view="rank")
    assert at.segmented_control(key="catalogue").value == "own" and len(at.segmented_control(key="catalogue").options) == 2
    at.text_area[0].set_value("yellow saucepan")
    next(b for b in at.button if b.label == "Rank").click()
    no_exception(at.run())
    titles = at.dataframe[0].value["title"]
    assert len(set(titles)) == 10 and set(titles) <= set(pd.read_csv(ROOT / "data" / trained.experiment.data["searches"].file)["title"])


def test_an_uploaded_catalogue_is_ranked_and_formulas_are_shown_as_text(opened: Open, model: Run) -> None:
    at = opened("predict", run=model.id, task="search", view="rank", catalogue="upload")
    at.file_uploader[0].upload("mine.csv", b"title,Rank\n=1+1 saucepan,7\n<b>bold</b> pan,8\n")
    no_exception(at.run())
    at.text_area[0].set_value("saucepan")
    next(b for b in at.button if b.label == "Rank").click()
    no_exception(at.run())
    ranked = at.dataframe[0].value
    assert sorted(ranked["title"]) == ["'=1+1 saucepan", "<b>bold</b> pan"]  # the toolbar saves what is shown
    assert sorted(ranked["Rank"]) == ["7", "8"]
    assert ranked["Rank ·"].tolist() == [1, 2]


def test_a_broken_catalogue_is_explained(opened: Open, model: Run) -> None:
    at = opened("predict", run=model.id, task="search", view="rank", catalogue="upload")
    at.file_uploader[0].upload("empty.csv", b"title\n")
    no_exception(at.run())
    assert len(at.error) == 1


def test_a_file_of_rows_is_answered_as_the_rows_are_one_by_one(opened: Open, model: Run, workspace: Workspace) -> None:
    at = opened("predict", run=model.id, task="intent", view="rows")
    messages = ["where is my parcel?", "=refund please", "I want, quickly, a refund"]
    at.file_uploader[0].upload("mine.csv", pd.DataFrame({"message": messages, "class": "x"}).to_csv(index=False).encode())
    no_exception(at.run())
    found = at.dataframe[0].value
    assert (
        found["Line"].tolist() == [2, 3, 4]
        and found["message"].tolist() == ["'" + m if m[0] == "=" else m for m in messages]
        and found["class"].tolist() == ["x"] * 3
    )
    assert found.iloc[:, 1].tolist() == mtl.load(model.id, workspace).predict("intent", messages)["label"].tolist()
    assert at.get("download_button")


def test_what_is_wrong_with_a_file_of_rows_is_said_by_its_line(opened: Open, model: Run) -> None:
    at = opened("predict", run=model.id, task="search", view="rows")
    at.file_uploader[0].upload("mine.csv", b"query,title\na,b\nc,d\ne,\n")
    no_exception(at.run())
    assert not at.dataframe and len(at.error) == 1
    (table,) = at.table
    assert "mine\\.csv, line 4" in str(table.value.iloc[0, 0]) and "product" in str(table.value.iloc[0, 1])
    at = opened("predict", run=model.id, task="search", view="rows")
    at.file_uploader[0].upload("mine.csv", b"text\na\n")
    no_exception(at.run())
    assert str(at.table[0].value.iloc[0, 1]).startswith("The file lacks columns that the task reads")


def test_a_kind_that_ranks_nothing_has_no_ranking(opened: Open, model: Run) -> None:
    at = opened("predict", run=model.id, task="intent", view="rank")
    assert len(at.segmented_control(key="view").options) == 2 and at.segmented_control(key="view").value == "one"
    assert any(b.label == "Predict" for b in at.button)
