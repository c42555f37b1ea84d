"""Alone or together, on the page of a finished joint run: the button, the progress, the table. Trainings are real and tiny."""

import json
import re
import threading
from pathlib import Path

import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.jobs import jobs
from mtl_core.studies.alone import plan
from mtl_core.tracking.runs import Run, list_runs, run
from tests.app.conftest import Open, no_exception


@pytest.fixture
def joint(description: dict, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    monkeypatch.setattr(
        "mtl_core.config.experiment.SAMPLE_SHOP", Path(description["data"]["ads"]["file"]).parent
    )  # contained, as a browser's
    description["tasks"] = {name: description["tasks"][name] for name in ("department", "ads")}
    description["tasks"]["ads"]["weight"] = 2.0  # else the trial with equal weights would be the run itself
    description["data"] = {name: description["data"][name] for name in ("reviews", "ads")}
    description["training"] |= {"steps": 3, "evaluate_every": 3, "precision": "float32"}
    return train_run(description, workspace)


def train_run(description: dict, workspace: Workspace) -> Run:
    run_id = jobs().submit(experiment_from_dict(description), workspace, None)
    assert jobs().wait(run_id, timeout=60)
    return run(workspace, run_id)


def wait_for(joint: Run, workspace: Workspace, trials: int) -> None:
    for thread in threading.enumerate():
        if thread.name == f"mtl-alone-{joint.id}":
            thread.join(timeout=150)
    now = plan(joint, workspace, 3, trials)
    assert now.complete, [(part.label, part.state) for part in now.parts]


def test_one_button_from_a_joint_run_to_the_verdicts(opened: Open, joint: Run, workspace: Workspace) -> None:
    at = opened("train", run=joint.id, view="alone", trials="2")
    assert at.number_input(key="seeds").value == 3
    assert any("1 of 13 trainings is done" in caption.value for caption in at.caption)
    at.button(key="alone_start").click()
    no_exception(at.run())
    assert [made for made in list_runs(workspace) if made.purpose]
    wait_for(joint, workspace, 2)
    no_exception(at.run())
    assert not [b for b in at.button if b.key in ("alone_start", "alone_stop")]
    (table,) = [t.value for t in at.dataframe if "Result" in t.value]
    assert table["Task"].tolist() == ["department", "ads", "Overall"] * 2
    assert table["Training mode"].unique().tolist() == ["Joint, this run", "Joint, tuned fixed weights"]
    assert all(text[0] in "▲▼≈" and len(text) > 2 for text in table["Result"])
    assert all("±" in text for text in table["Change"])
    (budget,) = [t.value for t in at.dataframe if "Training rows used" in t.value]
    assert budget["Runs"].tolist() == [3, 6, 4]
    specs = [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]
    (changes,) = [s for s in specs if "Change from single-task training" in s["layout"]["xaxis"]["title"]["text"]]
    points = [t for t in changes["data"] if t["y"] != [None]]
    assert len(points) == 4
    assert all(t["error_x"]["array"] for t in points)
    assert any("best trial on the validation split" in caption.value for caption in at.caption)

    home = opened("home")
    assert [link for link in home.get("page_link") if "alone" in link.proto.label] == []
    picker = opened("train", run=joint.id).selectbox(key="run")
    assert picker.options[0].startswith("small · 2")
    assert sum("alone: ads" in option for option in picker.options) == 3
    own = next(made for made in list_runs(workspace) if made.purpose)
    assert not [s for s in opened("train", run=own.id, view="alone").subheader if s.value == "Single-task or joint training"]

    at = opened("train", run=joint.id, view="results")
    while any("hourglass_top" in caption.value for caption in no_exception(at).caption):  # as a browser draws it again
        at.run()
    (said,) = [caption.value for caption in at.caption if caption.value.startswith("Naive baselines")]
    assert re.search(r"department: .* [01]\.\d{3} · ads: AUC 0\.\d{3}$", said.replace("\\", "")), said


def test_changed_data_is_refused(opened: Open, joint: Run, workspace: Workspace, shop: Path) -> None:
    path = shop / "ads.csv"
    before = path.read_bytes()
    try:
        path.write_bytes(before.replace(b"buy this", b"try this"))
        at = opened("train", run=joint.id, view="alone")
        at.button(key="alone_start").click()
        no_exception(at.run())
        assert any("has changed since this run" in error.value for error in at.error)
        assert not [made for made in list_runs(workspace) if made.purpose]
    finally:
        path.write_bytes(before)


def test_a_run_with_one_task_is_not_asked(opened: Open, description: dict, joint: Run, workspace: Workspace) -> None:
    description["tasks"].pop("department")
    at = opened("train", run=train_run(description, workspace).id, view="alone")
    assert not [s for s in at.subheader if s.value == "Single-task or joint training"]


def test_stopping_leaves_the_rest_and_says_go_on(opened: Open, joint: Run, workspace: Workspace) -> None:
    at = opened("train", run=joint.id, view="alone", trials="0")
    at.button(key="alone_start").click()
    no_exception(at.run())
    if [b for b in at.button if b.key == "alone_stop"]:
        at.button(key="alone_stop").click()
        no_exception(at.run())
    for run_id in jobs().active(workspace):
        assert jobs().wait(run_id, timeout=60)
    no_exception(at.run())
    now = plan(joint, workspace, 3, 0)
    assert now.of_state("live") == []
    if not now.complete:
        assert at.button(key="alone_start").label == "Resume the comparison"
