"""The first page: with and without runs, fast and light."""

import json
import subprocess
import sys

import pytest
from streamlit import config

from mtl_core.tracking.runs import Run
from tests.app.conftest import ROOT, Open


def test_empty_workspace_says_what_to_do(opened: Open) -> None:
    at = opened("home")
    assert at.title[0].value == "One model for all tasks of your shop"
    assert at.button(key="train_sample").label == "Train the sample shop"
    assert at.button(key="train_whole").label == "Train the whole sample shop"
    assert any("No run yet" in caption.value for caption in at.caption)


def test_recent_runs_lead_to_their_page(opened: Open, finished: Run) -> None:
    at = opened("home")
    assert not any("No run yet" in caption.value for caption in at.caption)
    recent = at.dataframe[0].value
    assert recent["Name"].tolist() == ["two tasks"] and "ID" not in recent, "the page Runs has room for it"
    assert recent["State"].tolist() == ["Finished"]
    assert any(link.label == "All runs: 1" for link in at.page_link)


@pytest.mark.parametrize(("address", "allow", "said"), [("0.0.0.0", "1", True), ("127.0.0.1", "1", False), ("0.0.0.0", "", False)])
def test_it_says_that_all_may_come_in(opened: Open, monkeypatch: pytest.MonkeyPatch, address: str, allow: str, said: bool) -> None:
    monkeypatch.setenv("MTL_ALLOW_NETWORK", allow)
    before = config.get_option("server.address")
    config.set_option("server.address", address)
    try:
        found = [info.value for info in opened("home").info]
    finally:
        config.set_option("server.address", before)
    assert any("MTL_ALLOW_NETWORK=1" in text for text in found) == said


def test_first_paint_loads_no_heavy_package() -> None:
    program = """
import json, sys
from streamlit.testing.v1 import AppTest
at = AppTest.from_file("app.py", default_timeout=60).run()
assert not at.exception, at.exception
print(json.dumps(sorted({"torch", "transformers", "mlflow", "sklearn", "captum"} & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_a_run_of_many_tasks_has_as_many_columns_as_a_screen_has_room_for(opened: Open, finished: Run) -> None:
    status = finished.folder / "status.json"
    kept = json.loads(status.read_text("utf-8"))
    status.write_text(json.dumps(kept | {"kinds": {f"task {i}": "classification" for i in range(14)}}), encoding="utf-8")
    at = opened("home")
    columns = list(at.dataframe[0].value.columns)
    assert len([name for name in columns if name.endswith("· Accuracy")]) == 5
    assert any("Without a column: 9 more tasks." in caption.value for caption in at.caption)
