"""The page Train before the start: an experiment is put together, compared with what one began with, started."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
import yaml
from streamlit.testing.v1 import AppTest

from mtl_core.balancing import BALANCING
from mtl_core.base.workspace import Workspace
from mtl_core.config import drafts
from mtl_core.config.experiment import experiment_from_yaml
from mtl_core.data.shares import SAMPLING
from mtl_core.jobs import Work, jobs
from mtl_core.studies.estimates import BACKGROUND
from mtl_core.tasks import KINDS
from mtl_core.tracking.runs import Run, create_run, list_runs, run
from mtl_core.tracking.status import write_status
from pages.parts import settings
from tests.app.conftest import Open, Script, no_exception


def experiment_of(at: AppTest) -> dict[str, Any]:
    """What the page would start."""
    return dict(yaml.safe_load(experiment_from_yaml(at.code[0].value).to_yaml()))


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
    at.select_slider(key="sample.optimizer.learning_rate").set_value(2e-4)
    at.selectbox(key="sample.encoder.trainable").set_value("frozen")
    no_exception(at.run())
    made = experiment_of(at)
    assert made["tasks"]["search"]["weight"] == 2.5
    assert "ads" not in made["tasks"]
    assert "ads" not in made["data"]
    assert made["training"]["steps"] == 7
    assert made["optimizer"]["learning_rate"] == 2e-4
    assert made["encoder"]["trainable"] == "frozen"


def test_a_strategy_says_what_the_sliders_mean_and_brings_its_options(opened: Open) -> None:
    at = opened("train", **{"from": "sample"})
    assert experiment_of(at)["balancing"] == {"name": "fixed"}
    at.segmented_control(key="sample.group").set_value("gradients")
    no_exception(at.run())
    assert experiment_of(at)["balancing"]["name"] == "pcgrad", "the first of the group"
    at.selectbox(key="sample.balancing.name").set_value("cagrad")
    at.selectbox(key="sample.sampling.name").set_value("annealed")
    no_exception(at.run())
    at.slider(key="sample.balancing.options.radius").set_value(0.3)
    no_exception(at.run())
    made = experiment_of(at)
    assert made["balancing"] == {"name": "cagrad", "options": {"radius": 0.3}}
    assert made["sampling"] == {"name": "annealed", "options": {"most": 1.0}}
    assert "Weight of the task in the mean gradient" in at.slider(key="sample.weight.search").help
    assert any("improves least" in caption.value for caption in at.caption)


def test_the_whole_shop_has_tasks_of_twelve_kinds(opened: Open) -> None:
    at = opened("train", **{"from": "whole"})
    assert len({task["kind"] for task in experiment_of(at)["tasks"].values()}) >= 12
    at.segmented_control(key="from").set_value("sample")
    no_exception(at.run())
    assert len(experiment_of(at)["tasks"]) == 5


@pytest.mark.slow
def test_shares_of_the_tables_are_set_and_started(opened: Open, workspace: Workspace, tiny_encoder: Path) -> None:
    at = opened("train", **{"from": "sample"})
    at.session_state["sample.encoder.name"] = str(tiny_encoder)
    at.selectbox(key="sample.sampling.name").set_value("fixed_shares")
    no_exception(at.run())
    tables = list(experiment_of(at)["data"])
    shares = [n for n in at.number_input if n.key.startswith("sample.sampling.options.shares.")]
    assert [n.key.rpartition(".")[2] for n in shares] == tables and {n.value for n in shares} == {1.0}
    at.number_input(key=f"sample.sampling.options.shares.{tables[0]}").set_value(3.0)
    at.number_input(key=f"sample.sampling.options.shares.{tables[1]}").set_value(0.0)
    no_exception(at.run())
    wanted = dict.fromkeys(tables, 1.0) | {tables[0]: 3.0, tables[1]: 0.0}
    assert experiment_of(at)["sampling"]["options"]["shares"] == wanted
    for name, task in experiment_of(at)["tasks"].items():  # a table that no task uses has no share
        if task["data"] == tables[-1]:
            at.toggle(key=f"sample.use.{name}").set_value(False)
    no_exception(at.run())
    left = {table: share for table, share in wanted.items() if table != tables[-1]}
    assert experiment_of(at)["sampling"]["options"]["shares"] == left
    for table in tables[:-1]:
        at.number_input(key=f"sample.sampling.options.shares.{table}").set_value(0.0)
    no_exception(at.run())
    assert any("a share above 0 for at least one table" in error.value for error in at.error), "at the field"
    assert any("a share above 0 for at least one table" in warning.value for warning in at.warning), "at the start"
    assert at.button(key="start").disabled
    for table, share in left.items():
        at.number_input(key=f"sample.sampling.options.shares.{table}").set_value(share)
    at.number_input(key="sample.training.steps").set_value(1)
    no_exception(at.run())
    at.button(key="start").click().run()
    no_exception(at)
    (run_id,) = jobs().active(workspace)
    assert run(workspace, run_id).experiment.sampling.model_dump() == {"name": "fixed_shares", "options": {"most": 1.0, "shares": left}}
    control = jobs().control(run_id)
    assert control is not None
    control.stop()
    assert jobs().wait(run_id, timeout=120)


def test_another_way_of_sharing_brings_its_options(opened: Open) -> None:
    at = opened("train", **{"from": "sample"})
    assert experiment_of(at)["sharing"] == {"name": "hard"}
    at.selectbox(key="sample.sharing.name").set_value("mmoe")
    no_exception(at.run())
    at.slider(key="sample.sharing.options.experts").set_value(6)
    no_exception(at.run())
    assert experiment_of(at)["sharing"] == {"name": "mmoe", "options": {"width": 256, "gate": "text", "experts": 6}}
    assert any("a gate per task" in caption.value for caption in at.caption)


def test_no_task_chosen_cannot_be_started(opened: Open) -> None:
    at = opened("train", **{"from": "sample"})
    for name in experiment_of(at)["tasks"]:
        at.toggle(key=f"sample.use.{name}").set_value(False)
    no_exception(at.run())
    assert any("at least one task" in warning.value for warning in at.warning)
    assert at.button(key="start").disabled


def test_all_weights_at_zero_cannot_be_started(opened: Open) -> None:
    at = opened("train", **{"from": "sample"})
    sliders = [s for s in at.slider if s.key.startswith("sample.weight.")]
    for slider in sliders:
        assert slider.min == 0 and 5 <= slider.max <= 100, "nothing negative or infinite can be set"
        slider.set_value(0.0)
    no_exception(at.run())
    assert any("a loss weight above 0 for at least one task" in warning.value for warning in at.warning)
    assert at.button(key="start").disabled


def test_one_task_says_that_there_is_nothing_to_balance(opened: Open) -> None:
    at = opened("train", **{"from": "sample"})
    at.segmented_control(key="sample.group").set_value("gradients")
    no_exception(at.run())
    assert not any("nothing to balance" in caption.value for caption in at.caption)
    for name in list(experiment_of(at)["tasks"])[1:]:
        at.toggle(key=f"sample.use.{name}").set_value(False)
    no_exception(at.run())
    assert any("nothing to balance" in caption.value for caption in at.caption)
    assert experiment_of(at)["early_stopping"]["objective"] == "mean"
    assert [b for b in at.button if b.key == "start"]


def test_tasks_of_the_draft_are_trained(opened: Open, workspace: Workspace) -> None:
    task = {"kind": "classification", "columns": {"text": "message", "label": "intent"}}
    drafts.add_task(workspace, "my *intents* <b>", task, "messages", {"file": "messages.csv"})
    drafts.add_task(workspace, "intents", task, "messages", {"file": "messages.csv"})
    drafts.update(workspace, lambda draft: draft.without_tasks(["my *intents* <b>"]))
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
    assert any(p == path and wanted in w for p, w in zip(faults["Setting"], faults["Expected"], strict=True))
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


def encoder_file(name: object) -> bytes:
    task = "{kind: classification, data: t, columns: {text: message, label: intent}}"
    return f"{{name: mine, data: {{t: {{file: messages.csv}}}}, encoder: {{name: {name}}}, tasks: {{a: {task}}}}}".encode()


def test_a_file_uses_a_folder_elsewhere_only_when_the_person_says_so(opened: Open, workspace: Workspace, tiny_encoder: Path) -> None:
    """Nothing in it is looked at before: not even whether it is an encoder. One in the workspace, or typed by hand, is the person's own."""
    at = opened("train", **{"from": "file"})
    at.file_uploader(key="experiment_file").upload("mine.yaml", encoder_file(tiny_encoder.parent)).run()
    no_exception(at)
    assert at.button(key="start").disabled and not any("has no config" in text.value for text in at.warning)
    at.checkbox(key=f"elsewhere.{tiny_encoder.parent}").check().run()
    assert any("has no config" in text.value for text in at.warning), "now it is looked at"
    at.file_uploader(key="experiment_file").upload("mine.yaml", encoder_file(tiny_encoder)).run()
    assert at.button(key="start").disabled
    at.checkbox(key=f"elsewhere.{tiny_encoder}").check().run()
    assert not at.button(key="start").disabled
    own = shutil.copytree(tiny_encoder, workspace.folder("encoders") / "own")
    at.file_uploader(key="experiment_file").upload("mine.yaml", encoder_file(own)).run()
    assert not at.button(key="start").disabled
    typed = opened("train", **{"from": "sample"})
    typed.session_state["sample.encoder.name"] = str(tiny_encoder)
    assert not typed.run().button(key="start").disabled


@pytest.mark.parametrize("source", ["file", "sample"])
def test_an_encoder_is_downloaded_only_when_the_person_says_so(opened: Open, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    name = "nobody/has-this-model"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    started: list[str] = []
    monkeypatch.setattr(BACKGROUND, "start", lambda *_: started.append(name))
    at = opened("train", **{"from": source})
    if source == "file":
        at.file_uploader(key="experiment_file").upload("mine.yaml", encoder_file(name))
    else:
        at.session_state["sample.encoder.name"] = name
    no_exception(at.run())
    assert at.button(key="start").disabled and at.button(key=f"how_large.{name}") and not started
    at.checkbox(key=f"elsewhere.{name}").check().run()
    assert not at.button(key="start").disabled


def test_what_needs_labels_or_texts_is_offered_where_it_has_an_effect(opened: Open) -> None:
    at = opened("train", **{"from": "whole"})
    changed = {widget.key.split(".")[2] for widget in at.select_slider if widget.key.endswith("augmentation.share")}
    tasks = experiment_of(at)["tasks"]
    assert changed and set(tasks) - changed == {name for name, task in tasks.items() if not KINDS[task["kind"]].varies(task["columns"])}
    at = opened("train", **{"from": "sample"})
    can = {widget.key.split(".")[2] for widget in at.select_slider if widget.key.endswith("pseudo_labels.every")}
    assert can == {name for name, task in experiment_of(at)["tasks"].items() if task["kind"] in ("classification", "click_through")}


def test_a_line_a_task_says_its_share_and_its_rows(opened: Open) -> None:
    at = opened("train", **{"from": "sample"})
    shares = [caption.value for caption in at.caption if "rows" in caption.value and "%" in caption.value]
    assert len(shares) == 5
    assert [share.split("%")[0] for share in shares] == ["17", "33", "17", "17", "17"], "weights 1, 2, 1, 1, 1 of 6"
    rows = [int(share.split()[-2]) for share in shares]
    assert abs(sum(rows) - 160) <= 2, "tables of one task each share the batch"
    at.toggle(key="sample.use.search").set_value(False)
    no_exception(at.run())
    shares = [caption.value for caption in at.caption if "rows" in caption.value and "%" in caption.value]
    assert [share.split("%")[0] for share in shares] == ["25"] * 4


def test_what_was_changed_is_listed_and_undone(opened: Open) -> None:
    at = opened("train", **{"from": "sample"})
    began = experiment_of(at)
    assert not [b for b in at.button if b.key.startswith("undo.")]
    at.text_input(key="sample.name").set_value("mine")
    at.slider(key="sample.weight.ads").set_value(3.0)
    at.toggle(key="sample.use.category").set_value(False)
    at.selectbox(key="sample.encoder.trainable").set_value("frozen")
    at.segmented_control(key="sample.group").set_value("losses")
    no_exception(at.run())
    lines = [text.value for text in at.markdown if "→" in text.value]
    assert lines == [
        "category: takes part → **left out**",
        "ads · Loss weight: 1 → **3**",
        "Trainable layers: Top 3 layers → **None \\(frozen\\)**",
        "Balancing strategy: Fixed weights → **Uncertainty**",
    ]
    at.text_input(key="sample.name").set_value(began["name"])  # a name is no setting, and not listed
    for path in ("tasks.category", "tasks.ads.weight", "encoder.trainable", "balancing.name"):
        at.button(key=f"undo.{path}").click()
        no_exception(at.run())
    assert experiment_of(at) == began
    assert not [b for b in at.button if b.key.startswith("undo.")]


def test_a_run_is_started_again_with_other_settings(opened: Open, finished: Run, workspace: Workspace) -> None:
    at = opened("train", run=finished.id)
    at.button(key="again").click()
    no_exception(at.run())
    assert at.query_params["from"] == finished.id and "run" not in at.query_params
    again = yaml.safe_load(finished.experiment_yaml) | {"name": "two tasks 2"}
    assert experiment_of(at) == again
    at.slider(key=f"{finished.id}.weight.search").set_value(4.0)
    no_exception(at.run())
    assert [text.value for text in at.markdown if "→" in text.value] == ["search · Loss weight: 1 → **4**"]
    at = opened("train", **{"from": finished.id})
    assert experiment_of(at) == again, "the link is permanent"
    assert not any("changed while this run trained" in info.value for info in at.info)
    write_status(finished.folder, finished.status | {"steered": True})
    create_run(finished.experiment.model_copy(update={"name": "two tasks 2"}), workspace, None)
    at = opened("train", **{"from": finished.id})
    assert experiment_of(at)["name"] == "two tasks 3"
    assert any("changed while this run trained" in info.value for info in at.info)
    assert any("There is no run" in warning.value for warning in opened("train", **{"from": "gone"}).warning)


def test_what_a_steered_run_leaves_behind_is_said(opened: Open, script: Script, start: Callable[[Work], str]) -> None:
    run_id = start(script)
    script.go(1)
    script.wait_for_step(1)
    jobs().steer(run_id, {"tasks.search.weight": 0.5})
    script.go(9)
    assert jobs().wait(run_id, timeout=60)
    assert "not with those at its end" in opened("train", run=run_id).button(key="again").help
    (said,) = [info.value.replace("\\", "") for info in opened("train", **{"from": run_id}).info]
    assert said.startswith("Settings were changed while this run trained.") and "not taken over: search: 1 → 0.5." in said


def test_several_seeds_become_several_runs(opened: Open, workspace: Workspace, tiny_encoder: Path) -> None:
    at = opened("train", **{"from": "sample"})
    at.session_state["sample.encoder.name"] = str(tiny_encoder)
    at.number_input(key="sample.training.steps").set_value(1)
    at.segmented_control(key="n_seeds").set_value(2)
    no_exception(at.run())
    at.button(key="start").click()
    no_exception(at.run())
    runs = sorted(list_runs(workspace), key=lambda found: found.name)
    assert [found.name for found in runs] == ["sample shop seed 0", "sample shop seed 1"]
    assert at.session_state["run"] == runs[0].id
    one, other = (found.experiment.model_dump() for found in runs)
    assert (one.pop("seed"), other.pop("seed")) == (0, 1)
    assert one.pop("name") != other.pop("name") and one == other
    for found in reversed(runs):
        if (control := jobs().control(found.id)) is not None:
            control.stop()
    for found in runs:
        assert jobs().wait(found.id, timeout=120)
        assert run(workspace, found.id).base == Path("data").resolve(), "the sample's tables"


def test_own_tables_get_settings_that_suit_their_size(opened: Open, workspace: Workspace) -> None:
    (workspace.folder("uploads") / "few.csv").write_text(
        "text,label\n" + "".join(f"word {n} {n % 3},{'abc'[n % 3]}\n" for n in range(250)), encoding="utf-8"
    )
    task = {"kind": "classification", "columns": {"text": "text", "label": "label"}}
    drafts.add_task(workspace, "few", task, "few", {"file": "uploads/few.csv"})
    at = opened("train")
    made = experiment_of(at)
    assert (made["training"]["steps"], made["training"]["batch_size"]) == (150, 16)
    assert any("Suits your tables" in caption.value for caption in at.caption)
    at.number_input(key="draft.training.steps").set_value(20)
    no_exception(at.run())
    assert experiment_of(at)["training"]["steps"] == 20, "a person's own value wins"
    assert any(text.value == "Steps: 150 → **20**" for text in at.markdown)


def test_texts_that_the_chosen_encoder_breaks_to_pieces_are_told(opened: Open, workspace: Workspace, tiny_encoder: Path) -> None:
    rows = "".join(f"这件衣服的质量非常不错，下次还会再买 {i},{'好' if i % 2 else '坏'}\n" for i in range(60))
    (workspace.uploads / "zh.csv").write_text("text,label\n" + rows, encoding="utf-8")
    task = {"kind": "classification", "columns": {"text": "text", "label": "label"}, "weight": 1.0}
    drafts.update(workspace, lambda draft: draft.with_task("stars", task, "zh", {"file": "uploads/zh.csv"}))

    def said(at: AppTest) -> list[str]:
        while any("hourglass_top" in caption.value for caption in no_exception(at).caption):
            at.run()
        return [w.value.replace("\\", "") for w in at.warning if "breaks these texts" in w.value]

    at = opened("train")
    (warning,) = said(at)
    assert warning.startswith("stars: The tokenizer of minilm") and "bge-small-zh" in warning
    at.session_state["draft.encoder.name"] = str(workspace.root / "no_tokenizer_here")
    assert said(at.run()) == [], "it is of the encoder that is chosen"
    assert said(opened("train", **{"from": "sample"})) == []


@pytest.mark.parametrize(
    ("came", "held"),
    [("uncertainty", "uncertainty"), ("不确定性", "uncertainty"), ("Uncertainty", "uncertainty"), ("none of them", "fixed")],
)
def test_a_choice_that_came_in_the_words_of_another_language(came: str, held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a browser sends it when the page changes its language before it was drawn in the one before."""
    state = {"sample.balancing.name": came}
    monkeypatch.setattr(st, "session_state", state)
    assert settings.held("sample.balancing.name", BALANCING, "fixed") == held == state["sample.balancing.name"]
    assert settings.held("sample.sampling.name", SAMPLING, "uniform") == "uniform"
