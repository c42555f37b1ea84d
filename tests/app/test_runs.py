"""The page Runs: the table, what is done with the chosen ones. Boxes are ticked in tests/browser; here the selection is given."""

import json

import pytest
import streamlit as st

from mtl_core.base.workspace import Workspace
from mtl_core.jobs import jobs
from mtl_core.tasks import KINDS
from mtl_core.tracking import keeping
from mtl_core.tracking.runs import all_runs, list_runs
from pages.parts.text import plain
from tests.app.conftest import Open, no_exception
from tests.app.test_compare import recorded


def test_an_empty_workspace_says_what_to_do(opened: Open) -> None:
    at = opened("runs")
    assert any("There is no run yet" in info.value for info in at.info)


def test_the_table_has_state_weights_and_main_metrics_without_what_was_made_to_compare(opened: Open, workspace: Workspace) -> None:
    first, second = (recorded(workspace, f"run {n}", 0.5 + n / 10, weight=1.0 + n) for n in range(2))
    keeping.note(second, "for autumn")
    at = opened("runs")
    shown = at.dataframe[0].value
    assert shown["ID"].tolist() == [second.id, first.id]
    assert shown["Note"].tolist() == ["for autumn", ""]
    kinds = list_runs(workspace)[0].kinds
    assert {f"{task} · {_metric(kind)}" for task, kind in kinds.items()} <= set(shown.columns)
    assert shown.columns.tolist().index("Loss weights") < min(shown.columns.tolist().index(c) for c in shown.columns if " · " in c)
    at.text_input(key="find").set_value("AUTUMN")
    no_exception(at.run())
    assert at.dataframe[0].value["ID"].tolist() == [second.id]
    assert at.query_params["find"] == "AUTUMN"
    at.text_input(key="find").set_value("nothing of the kind")
    no_exception(at.run())
    assert not at.dataframe and any("No run fits" in caption.value for caption in at.caption)


def _metric(kind: str) -> str:
    return next(info.label for info in KINDS[kind].metrics if info.name == KINDS[kind].primary)


def test_a_run_is_deleted_and_comes_back(opened: Open, workspace: Workspace, monkeypatch) -> None:
    found = recorded(workspace, "old", 0.5, weight=1.0)
    kept = recorded(workspace, "new", 0.5, weight=1.0)
    drawn = st.dataframe

    def with_the_last_ticked(data, **options):  # AppTest cannot tick a box
        state = drawn(data, **options)
        return {"selection": {"rows": [len(data) - 1]}} if options.get("on_select") == "rerun" else state

    monkeypatch.setattr(st, "dataframe", with_the_last_ticked)
    at = opened("runs")
    assert at.text_input(key=f"name.{found.id}").value == "old"
    assert at.query_params["chosen"] == [found.id] or at.query_params["chosen"] == found.id
    at.text_input(key=f"name.{found.id}").set_value("older")
    at.button(key="save_name").click()
    no_exception(at.run())
    assert found.name == "older"
    at.button(key="delete_chosen").click()
    no_exception(at.run())
    assert [one.id for one in list_runs(workspace)] == [kept.id]
    at.button(key="undo_deleted").click()
    no_exception(at.run())
    assert {one.id for one in list_runs(workspace)} == {kept.id, found.id}


def test_broken_folders_are_left_out_or_said(opened: Open, workspace: Workspace) -> None:
    """No status, one that is no object, entries that are null: the others are still listed. Without an experiment a run has no curves."""
    found = recorded(workspace, "whole", 0.5)
    for name, text in (("none", None), ("torn", "{"), ("list", "[]"), ("null", '{"state": "finished", "created": null}')):
        (workspace.runs / name).mkdir()
        if text is not None:
            (workspace.runs / name / "status.json").write_text(text, encoding="utf-8")
    (workspace.runs / "a file").write_text("", encoding="utf-8")
    (workspace.runs / "empty").mkdir()
    status = {"state": "finished", "created": 1.0, "started": 1.0, "name": None, "result": None}
    (workspace.runs / "empty" / "status.json").write_text(json.dumps(status), encoding="utf-8")
    assert [one.id for one in list_runs(workspace)] == [found.id, "empty"]
    assert opened("runs").dataframe[0].value["ID"].tolist() == [found.id, "empty"]
    at = no_exception(opened("train", run="empty"))
    assert any("cannot be read" in warning.value for warning in at.warning)


@pytest.mark.parametrize("name", ["home", "data", "train", "runs", "compare", "predict"])
def test_a_damaged_run_breaks_no_page(opened: Open, workspace: Workspace, name: str) -> None:
    recorded(workspace, "whole", 0.5, weight=1.0)
    broken = recorded(workspace, "broken", 0.5, weight=1.0)
    (broken.folder / "status.json").write_text('{"state": "finished", "created": 1.0, "weights": ["heavy"]}')
    at = opened(name)
    said = [line.value for line in at.markdown if broken.id in line.value]
    assert bool(said) == (name in ("home", "runs"))
    if said:
        assert "weights" in said[0]
        at.button(key="mend").click()
        no_exception(at.run())
        assert {one.name for one in list_runs(workspace)} == {"whole", "compared"} and not all_runs(workspace)[1]
        assert not [line for line in at.markdown if "cannot be read" in line.value]


def test_mlflow_says_why_it_is_late_and_is_tried_again(opened: Open, workspace: Workspace) -> None:
    recorded(workspace, "one", 0.5, weight=1.0)
    in_the_way = workspace.folder() / "mlflow.db"
    in_the_way.mkdir()
    mirror = jobs().mirror(workspace)
    assert not mirror.flush(60)
    for page in ("home", "runs"):
        at = opened(page)
        assert any(mirror.error and plain(mirror.error) in text.value for text in at.markdown)
    in_the_way.rmdir()
    at.button(key="tracker_now").click()
    no_exception(at.run())
    assert mirror.flush(60)
    at = opened("runs")
    assert [expander.label for expander in at.expander] == ["MLflow"]
    at.button(key="tracker_rebuild").click()
    no_exception(at.run())
    assert mirror.flush(60)
    assert len(list(workspace.root.glob("mlflow*.db"))) == 2
    mirror.stop(60)
