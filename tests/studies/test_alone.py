"""Which trainings a comparison needs, which count as done, and the whole way from the command line."""

import json
import shutil
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.cli.main import main
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.jobs import perform, training
from mtl_core.studies import comparisons
from mtl_core.studies.alone import AlonePlan, draw_weights, plan
from mtl_core.studies.comparisons import facts, key_of
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Run, RunError, RunState, create_run, list_runs, run
from mtl_core.training.control import Control
from mtl_core.training.events import Event, StepDone

TASKS = ("recommended", "ads")


@pytest.fixture(autouse=True)
def no_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    monkeypatch.setattr("mtl_core.cli.alone.MIRROR_SECONDS", 0.0)


def train_missing(joint: Run, workspace: Workspace, n_seeds: int, trials: int, **more: Any) -> AlonePlan:
    plans = partial(plan, joint, workspace, n_seeds, trials)
    comparisons.train_missing(plans, workspace, **more)
    return plans()


@pytest.fixture
def two(description: dict) -> dict:
    """Two tasks; of `recommended` a fifth of the rows have no label."""
    description["tasks"] = {name: description["tasks"][name] for name in TASKS}
    description["data"] = {name: description["data"][name] for name in ("reviews", "ads")}
    description["training"] |= {"steps": 6, "batch_size": 20, "evaluate_every": 3, "precision": "float32"}
    return description


def train_run(values: dict, workspace: Workspace, control: Control | None = None) -> Run:
    created = create_run(experiment_from_dict(values), workspace, None)
    recorder = Recorder(created.folder)
    perform(recorder, training(created, workspace, False), control or Control())
    recorder.close()
    return created.refreshed()


class TestKey:
    DATASETS = {"reviews": "r", "ads": "a", "searches": "s", "log": "l"}

    def key(self, values: dict, **datasets: str) -> str:
        return key_of(experiment_from_dict(values), self.DATASETS | datasets, 6)

    def test_what_the_numbers_depend_on_changes_it(self, two: dict) -> None:
        keys = [self.key(two), self.key(two, ads="b")]
        keys += [
            self.key({**two, **changed})
            for changed in (
                {"seed": 4},
                {"balancing": {"name": "pcgrad"}},
                {"encoder": {**two["encoder"], "max_length": 16}},
                {"training": {**two["training"], "batch_size": 21}},
                {"training": {**two["training"], "evaluate_every": 2}},
                {"tasks": {**two["tasks"], "ads": {**two["tasks"]["ads"], "weight": 2}}},
                {"tasks": {"ads": two["tasks"]["ads"]}},
                {"tasks": dict(reversed(two["tasks"].items()))},  # heads are made in this order
                {"optimizer": {"learning_rate": 2e-3}},
            )
        ]
        assert len(set(keys)) == len(keys)

    def test_nothing_else_does(self, two: dict, description: dict, shop: Path) -> None:
        key = self.key(two)
        spare = {**two["data"], "searches": {"file": str(shop / "searches.csv")}}
        assert self.key({**two, "name": "other", "data": spare, "diagnostics": {"conflicts_every": 0}}, searches="x") == key
        single = {**two, "tasks": {"ads": two["tasks"]["ads"]}, "data": {"ads": two["data"]["ads"]}}
        alike = [single, {**single, "balancing": {"name": "pcgrad"}}, {**single, "sampling": {"name": "uniform"}}]
        alike += [{**single, "training": {**single["training"], **kept}} for kept in ({"test": False}, {"predictions": "all"})]
        alike += [{**single, "early_stopping": {"objective": "ads"}}, {**single, "training": {**single["training"], "epochs": 9}}]
        assert len({self.key(values) for values in alike}) == 1


def test_weights_are_drawn_by_the_rule() -> None:
    weights = draw_weights(["a", "b", "c"], 50, seed=7)
    assert weights[0] == {"a": 1, "b": 1, "c": 1}
    assert weights[:5] == draw_weights(["a", "b", "c"], 5, seed=7)
    assert weights[1:] != draw_weights(["a", "b", "c"], 50, seed=8)[1:]
    drawn = np.array([list(w.values()) for w in weights[1:]])
    assert drawn.mean(1) == pytest.approx(np.ones(49), abs=1e-3)
    ratios = drawn.max(1) / drawn.min(1)
    assert ratios.min() > 1
    assert ratios.max() <= 25.1


@pytest.mark.parametrize("sampling", ["temperature", "round_robin", "bandit"])
def test_alone_a_task_sees_as_many_of_its_rows_as_together(two: dict, workspace: Workspace, sampling: str) -> None:
    two["sampling"], two["training"]["steps"] = {"name": sampling}, 9
    joint = train_run(two, workspace)
    seen = dict.fromkeys(TASKS, 0)
    for event in joint.events():
        if isinstance(event, StepDone):
            seen = {task: seen[task] + event.rows.get(task, 0) for task in TASKS}
    for part in plan(joint, workspace, 1, 0).parts:
        if part.task is None:
            continue
        single = train_run(part.experiment.model_dump(mode="json"), workspace)
        batch = part.experiment.training.batch_size
        assert abs(facts(single).examples[part.task] - seen[part.task]) <= batch / 2
        assert facts(single).examples == {part.task: batch * facts(single).steps}
        assert key_of(part.experiment, joint.datasets, facts(single).steps) == part.key
        assert plan(joint, workspace, 1, 0).distinct[1 + TASKS.index(part.task)].state == "done"  # a person's own run counts


def test_experiments_differ_in_what_they_must_only(two: dict, workspace: Workspace) -> None:
    two |= {"balancing": {"name": "uncertainty"}, "early_stopping": {"objective": "ads"}}
    joint = train_run(two, workspace)
    wanted = plan(joint, workspace, 2, 2)
    labels = [part.label for part in wanted.parts]
    assert labels == [
        *("joint · seed 3", "alone: recommended · seed 3", "alone: ads · seed 3", "tuned 1 · seed 3", "tuned 2 · seed 3"),
        *("joint · seed 4", "alone: recommended · seed 4", "alone: ads · seed 4"),
    ]
    assert wanted.parts[0].run == joint
    assert (wanted.n_done, wanted.n, wanted.to_come) == (1, 9, 1)
    by_label = dict(zip(labels, wanted.parts, strict=True))
    again = by_label["joint · seed 4"].experiment
    assert (again.seed, again.balancing.name, again.early_stopping.objective) == (4, "uncertainty", "ads")
    tuned = by_label["tuned 2 · seed 3"].experiment
    assert (tuned.balancing.name, tuned.seed) == ("fixed", 3)
    assert again.training.test and tuned.training == again.training.model_copy(update={"test": False, "predictions": "none"})
    single = by_label["alone: recommended · seed 4"].experiment
    assert (list(single.tasks), single.tasks["recommended"].weight, single.seed) == (["recommended"], 1.0, 4)
    assert (single.encoder, single.optimizer, single.schedule) == (again.encoder, again.optimizer, again.schedule)


class TestWhatCounts:
    def test_a_steered_run_does_not(self, two: dict, workspace: Workspace) -> None:
        control = Control()
        control.set_weights({"ads": 3.0})
        joint = train_run(two, workspace, control)
        now = plan(joint, workspace, 1, 0)
        assert now.parts[0].state == "missing"
        assert "changed during training" in str(now.note)

    def test_an_evaluation_asked_for_does_not(self, two: dict, workspace: Workspace) -> None:
        control = Control()
        control.evaluate()
        assert plan(train_run(two, workspace, control), workspace, 1, 0).parts[0].state == "missing"

    def test_patience_that_never_ran_out_does(self, two: dict, workspace: Workspace) -> None:
        two["early_stopping"] = {"patience": 1000}
        joint = train_run(two, workspace)
        now = plan(joint, workspace, 1, 0)
        assert now.parts[0].run == joint
        assert now.note is None

    def test_a_run_that_ended_early_does_not(self, two: dict, workspace: Workspace) -> None:
        two["early_stopping"] = {"patience": 1, "min_delta": 1.0}
        joint = train_run(two, workspace)
        assert joint.result()["why"] == "patience"
        now = plan(joint, workspace, 1, 0)
        assert now.parts[0].state == "missing"
        assert "ended early" in str(now.note)
        assert now.parts[0].experiment.training.steps == 6

    def test_trained_once_and_cached(self, two: dict, workspace: Workspace) -> None:
        joint = train_run(two, workspace)
        trained: list[str] = []
        done = train_missing(joint, workspace, 1, 2, tell=lambda now, part: trained.append(part.label))
        assert done.complete
        chosen = f"tuned {(done.chosen or 0) + 1} · seed 3"
        once = ["alone: recommended · seed 3", "alone: ads · seed 3", "tuned 1 · seed 3", "tuned 2 · seed 3"]
        assert trained == [*once, chosen], "the chosen trial is evaluated on the test split once it is chosen"
        assert len(list_runs(workspace)) == 5
        tests = {made.name: made.tested is not None for made in list_runs(workspace)}
        assert tests == {"small": True, **{f"small · {label}": "alone" in label or label == chosen for label in once}}
        assert not [made for made in list_runs(workspace) if made.purpose and made.checkpoint("best")]
        assert joint.checkpoint("best")
        train_missing(joint, workspace, 1, 2, tell=lambda now, part: pytest.fail(f"{part.label} is trained again"))
        assert len(list_runs(workspace)) == 5

    def test_a_run_that_left_the_test_split_alone_is_evaluated_not_trained(self, two: dict, workspace: Workspace) -> None:
        two["training"]["test"] = False
        joint = train_run(two, workspace)
        assert plan(joint, workspace, 1, 0).parts[0].state == "untested"
        assert train_missing(joint, workspace, 1, 0).complete
        assert len(list_runs(workspace)) == 3
        assert joint.refreshed().tested and joint.refreshed().checkpoint("best"), "it is a person's own"

    def test_one_without_its_model_is_trained_again(self, two: dict, workspace: Workspace) -> None:
        two["training"]["test"] = False
        joint = train_run(two, workspace)
        shutil.rmtree(joint.folder / "checkpoints")
        assert plan(joint, workspace, 1, 0).parts[0].state == "missing"

    def test_an_interrupted_one_goes_on(self, two: dict, workspace: Workspace) -> None:
        joint = train_run(two, workspace)

        def interrupt(event: Event) -> None:
            if event.step == 5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train_missing(joint, workspace, 1, 0, listen=interrupt)
        part = plan(joint, workspace, 1, 0).parts[1]
        assert part.state == "interrupted"
        assert train_missing(joint, workspace, 1, 0).complete
        again = plan(joint, workspace, 1, 0).parts[1]
        assert (again.run and again.run.id) == (part.run and part.run.id)
        assert facts(run(workspace, str(again.run and again.run.id))).steps == 6

    def test_a_failed_one_is_told_and_tried_again(self, two: dict, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        joint = train_run(two, workspace)

        def broken(*args: object, **kwargs: object) -> object:
            raise RuntimeError("no encoder today")

        with monkeypatch.context() as patched:
            patched.setattr("mtl_core.model.encoder.Encoder.load", broken)
            now = train_missing(joint, workspace, 1, 0)
        assert [part.label for part in now.of_state("failed")] == ["alone: recommended · seed 3"]
        assert main(["alone", joint.id, "--seeds", "1", "--tuned", "0"]) == 0


class TestRefusals:
    def test_one_task(self, two: dict, workspace: Workspace) -> None:
        two["tasks"], two["data"] = {"ads": two["tasks"]["ads"]}, {"ads": two["data"]["ads"]}
        with pytest.raises(RunError, match="one task only"):
            plan(train_run(two, workspace), workspace)

    def test_unfinished_and_failed(self, two: dict, workspace: Workspace) -> None:
        control = Control()
        control.stop()
        with pytest.raises(RunError, match="is not finished"):
            plan(train_run(two, workspace, control), workspace)
        two["data"]["ads"]["file"] = "/nowhere.csv"
        failed = train_run(two, workspace)
        assert failed.state is RunState.FAILED
        with pytest.raises(RunError, match="failed"):
            plan(failed, workspace)

    def test_data_that_has_changed(self, two: dict, workspace: Workspace, tmp_path: Path) -> None:
        copy = tmp_path / "ads.csv"
        copy.write_bytes(Path(two["data"]["ads"]["file"]).read_bytes())
        two["data"]["ads"]["file"] = str(copy)
        joint = train_run(two, workspace)
        copy.write_text(copy.read_text().replace("buy this", "try this"))
        with pytest.raises(RunError, match="“ads” has changed since this run"):
            train_missing(joint, workspace, 1, 0)
        copy.unlink()
        with pytest.raises(RunError, match="no file"):
            comparisons.start(partial(plan, joint, workspace, 1, 0), workspace)

    def test_a_run_of_before_data_was_recorded(self, two: dict, workspace: Workspace) -> None:
        joint = train_run(two, workspace)
        old = replace(joint, status={k: v for k, v in joint.status.items() if k != "datasets"})
        with pytest.raises(RunError, match="did not record what data"):
            plan(old, workspace)


def test_in_the_background_the_second_stage_follows(two: dict, workspace: Workspace) -> None:
    two["training"] |= {"steps": 2, "evaluate_every": 2}
    joint = train_run(two, workspace)
    comparisons.start(partial(plan, joint, workspace, 2, 2), workspace)
    comparisons.start(partial(plan, joint, workspace, 2, 2), workspace)  # pressed twice: nothing is trained twice
    for thread in threading.enumerate():
        if thread.name == f"mtl-alone-{joint.id}":
            thread.join(timeout=120)
    now = plan(joint, workspace, 2, 2)
    assert now.complete
    assert now.weights in draw_weights(list(TASKS), 2, 3)
    keys = [str(made.purpose["key"]) for made in list_runs(workspace) if made.purpose]
    assert len(keys) == len(set(keys))
    names = {made.name for made in list_runs(workspace)}
    assert "small · alone: ads · seed 4" in names


def test_from_the_command_line(two: dict, workspace: Workspace, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    two["training"] |= {"steps": 4, "evaluate_every": 4}
    path.write_text(experiment_from_dict(two).to_yaml())
    assert main(["train", str(path), "--json"]) == 0
    run_id = json.loads(capsys.readouterr().out.splitlines()[-1])["run_id"]
    assert main(["alone", run_id, "--list"]) == 0
    listed = " ".join(capsys.readouterr().out.split())
    assert "alone: ads · seed 5 missing" in listed
    assert "and 2 more" in listed
    assert main(["alone", run_id, "--tuned", "2", "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert outcome["complete"]
    assert outcome["failed"] == outcome["warnings"] == []
    assert [row["row"] for row in outcome["rows"]] == ["joint", "tuned"]
    for row in outcome["rows"]:
        assert {one["task"]: one["metric"] for one in row["tasks"]} == {"recommended": "accuracy", "ads": "auc"}
        assert all(one["change"]["n"] == 3 and one["change"]["half"] is not None for one in row["tasks"])
        assert row["verdict"] in ("helps", "hurts", "not significant")
    assert {row: budget["runs"] for row, budget in outcome["budgets"].items()} == {"joint": 3, "alone": 6, "tuned": 4}
    assert outcome["budgets"]["joint"]["examples"] == pytest.approx(outcome["budgets"]["alone"]["examples"], rel=0.1)
    assert main(["alone", run_id, "--tuned", "2"]) == 0
    text = capsys.readouterr()
    assert "joint training" in text.out
    assert "/" not in text.err  # nothing is trained again
    assert main(["alone", "nothing"]) == 2
    assert main(["alone", run_id, "--seeds", "0"]) == 2
