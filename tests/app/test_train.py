"""The page Train: an experiment is put together, started, watched, steered, read."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from mtl_core import drafts
from mtl_core.jobs import Work, jobs
from mtl_core.runs import Run, RunState, create_run, run
from mtl_core.training.control import Control
from mtl_core.training.events import Compared, Event, Finished, Started, StepDone
from mtl_core.workspace import Workspace
from tests.app.conftest import EXPERIMENT, ROOT, Open, Script, no_exception


def experiment_of(at: AppTest) -> dict[str, Any]:
    """What the page would start."""
    return dict(yaml.safe_load(at.code[0].value))


def test_empty_draft_says_what_to_do(opened: Open) -> None:
    at = opened("train", **{"from": "draft"})
    assert any("no tasks yet" in info.value for info in at.info)
    assert not [b for b in at.button if b.key == "start"]


def test_sliders_and_settings_become_the_experiment(opened: Open) -> None:
    at = opened("train", **{"from": "sample"})
    names = list(experiment_of(at)["tasks"])
    assert [s.key for s in at.slider if s.key.startswith("sample.weight.")] == [f"sample.weight.{name}" for name in names]
    at.slider(key="sample.weight.search").set_value(2.5)
    at.toggle(key="sample.use.ads").set_value(False)
    at.number_input(key="sample.training.steps").set_value(7)
    at.selectbox(key="sample.encoder.trainable").set_value("frozen")
    no_exception(at.run())
    made = experiment_of(at)
    assert made["tasks"]["search"]["weight"] == 2.5
    assert "ads" not in made["tasks"]
    assert "ads" not in made["data"]
    assert made["training"]["steps"] == 7
    assert made["encoder"]["trainable"] == "frozen"


def test_a_strategy_says_what_the_sliders_mean_and_brings_its_options(opened: Open) -> None:
    at = opened("train", **{"from": "sample"})
    assert experiment_of(at)["balancing"] == {"name": "fixed"}
    at.selectbox(key="sample.balancing.name").set_value("cagrad")
    at.selectbox(key="sample.sampling.name").set_value("annealed")
    no_exception(at.run())
    at.slider(key="sample.balancing.options.radius").set_value(0.3)
    no_exception(at.run())
    made = experiment_of(at)
    assert made["balancing"] == {"name": "cagrad", "options": {"radius": 0.3}}
    assert made["sampling"] == {"name": "annealed", "options": {"most": 1.0}}
    assert "share in the mean gradient" in at.slider(key="sample.weight.search").help
    assert any("helps least" in caption.value for caption in at.caption)


def test_no_task_chosen_cannot_be_started(opened: Open) -> None:
    at = opened("train", **{"from": "sample"})
    for name in experiment_of(at)["tasks"]:
        at.toggle(key=f"sample.use.{name}").set_value(False)
    no_exception(at.run())
    assert any("at least one task" in info.value for info in at.info)
    assert not [b for b in at.button if b.key == "start"]


def test_tasks_of_the_draft_are_trained(opened: Open, workspace: Workspace) -> None:
    task = {"kind": "classification", "columns": {"text": "message", "label": "intent"}}
    drafts.add_task(workspace, "my *intents* <b>", task, "messages", {"file": "messages.csv"})
    drafts.add_task(workspace, "intents", task, "messages", {"file": "messages.csv"})
    drafts.remove_task(workspace, "my *intents* <b>")
    at = opened("train")
    assert list(experiment_of(at)["tasks"]) == ["intents"]


@pytest.mark.parametrize(
    ("text", "path", "wanted"),
    [
        ("tasks: {search: {weight: -1}}", "tasks.search.weight", "at least 0"),
        ("colour: red", "colour", "a known name"),
        ("a: [", "", ""),
    ],
)
def test_faults_of_a_file_are_shown_with_their_path(opened: Open, text: str, path: str, wanted: str) -> None:
    at = opened("train", **{"from": "file"})
    at.file_uploader(key="experiment_file").upload("mine.yaml", text.encode()).run()
    no_exception(at)
    assert at.error
    faults = at.dataframe[0].value
    assert any(p == path and wanted in w for p, w in zip(faults["Setting"], faults["Wanted"], strict=True))
    assert not [b for b in at.button if b.key == "start"]


def test_a_file_fills_the_form(opened: Open) -> None:
    task = "{kind: classification, data: t, weight: 7, columns: {text: message, label: intent}}"
    text = f"{{name: mine, data: {{t: {{file: messages.csv}}}}, tasks: {{a: {task}}}}}"
    at = opened("train", **{"from": "file"})
    at.file_uploader(key="experiment_file").upload("mine.yaml", text.encode()).run()
    no_exception(at)
    made = experiment_of(at)
    assert made["name"] == "mine"
    assert made["tasks"]["a"]["weight"] == 7


def test_unknown_run_is_said(opened: Open) -> None:
    assert any("There is no run" in warning.value for warning in opened("train", run="nonsense").warning)


def test_a_running_job_is_watched_and_steered(opened: Open, workspace: Workspace, script: Script, start: Callable[[Work], str]) -> None:
    run_id = start(script)
    script.go(2)
    script.wait_for_step(2)
    at = opened("train", run=run_id)
    assert at.progress[0].value == 20
    assert len(at.get("plotly_chart")) == 3
    at.slider(key=f"steer.{run_id}.intent").set_value(3.0).run()
    assert script.weights["intent"] == 1.0, "nothing before it is applied"
    at.button(key="apply").click().run()
    no_exception(at)
    script.go()
    script.wait_for_step(3)
    assert script.weights == {"intent": 3.0, "search": 2.0}
    at.button(key="stop").click().run()
    no_exception(at)
    script.go()
    assert jobs().wait(run_id, timeout=60)
    no_exception(at.run())
    assert run(workspace, run_id).state is RunState.STOPPED
    assert not [b for b in at.button if b.key == "stop"]


def test_effective_weights_and_conflicts_are_shown(opened: Open, start: Callable[[Work], str]) -> None:
    def work(control: Control) -> Iterator[Event]:
        weights = {"intent": 1.0, "search": 2.0}
        yield Started(0, 10, "cpu", "float32", {t: {"train": 8, "validation": 2, "test": 2} for t in weights}, 10, 20, weights)
        for step in range(1, 6):
            table = [[1.0, -0.3 - step / 100], [-0.3 - step / 100, 1.0]]
            ahead = {["intent", "search"][step % 2]: {"intent": 0.01, "search": -0.02}}
            yield Compared(step - 1, list(weights), [1.0, 3.0], table, {"layer 1": table}, ahead)
            losses = {"intent": 2 / step, "search": 1 / step}
            yield StepDone(step, losses, 1.0, 1e-4, 1.0, {}, 100, 0.1, 1, {"intent": 0.2, "search": 0.8}, ["intent"] if step == 2 else [])
        yield Finished(5, "finished", "steps", 5)

    run_id = start(work)
    assert jobs().wait(run_id, timeout=60)
    at = opened("train", run=run_id)
    assert len(at.get("plotly_chart")) == 7
    assert any("pull apart since step" in text.value for text in at.markdown)
    assert any("not finite: intent 1" in caption.value for caption in at.caption)
    at.selectbox(key=f"part.{run_id}.en").set_value("layer 1")
    at.select_slider(key=f"look.{run_id}").set_value(0)
    no_exception(at.run())
    assert at.select_slider(key=f"look.{run_id}").value == 0


def test_pause_and_go_on(opened: Open, script: Script, start: Callable[[Work], str]) -> None:
    run_id = start(script)
    script.go(1)
    script.wait_for_step(1)
    at = opened("train", run=run_id)
    at.button(key="pause").click().run()
    control = jobs().control(run_id)
    assert control is not None
    assert control.paused
    no_exception(at.run())
    at.button(key="go_on").click().run()
    no_exception(at)
    assert not control.paused


def test_a_finished_run_shows_its_results(opened: Open, finished: Run) -> None:
    at = opened("train", run=finished.id)
    results = next(d.value for d in at.dataframe if "Metric" in d.value)
    assert set(results["Task"]) == {"intent", "search"}
    assert [tab.label for tab in at.tabs] == ["intent"]
    assert not [b for b in at.button if b.key in ("stop", "pause", "resume")]


def test_a_failed_run_says_why_and_what_to_do(opened: Open, start: Callable[[Work], str]) -> None:
    def work(control: Control) -> Iterator[Event]:
        raise ValueError("<b>it</b> broke")
        yield

    run_id = start(work)
    assert jobs().wait(run_id, timeout=60)
    at = opened("train", run=run_id)
    assert any("error\\.txt" in error.value for error in at.error)
    assert any("\\<b\\>it" in error.value for error in at.error)


def test_a_run_of_a_dead_server_is_interrupted_and_can_be_resumed(opened: Open, workspace: Workspace) -> None:
    lost = create_run(EXPERIMENT, workspace, ROOT / "data")
    status = {**lost.status, "state": "running", "started": lost.status["created"], "owner": {"pid": 2**30, "started": 0}}
    (lost.folder / "status.json").write_text(json.dumps(status))
    at = opened("train", run=lost.id)
    assert any("resumed from its last checkpoint" in warning.value for warning in at.warning)
    assert at.button(key="resume").label == "Resume"
    assert run(workspace, lost.id).status["state"] == "interrupted"
