"""The page Train: an experiment is put together, started, watched, steered, read."""

import json
from collections.abc import Callable, Iterator

import pytest

from mtl_core.base.messages import message
from mtl_core.base.workspace import Workspace
from mtl_core.cli.main import main
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.data.problems import Problem, Severity
from mtl_core.jobs import Work, jobs
from mtl_core.tracking.runs import Run, RunState, create_run, run
from mtl_core.training.control import Control
from mtl_core.training.events import Compared, Event, Finished, Gated, RowsMade, Started, StepDone
from tests.app.conftest import EXPERIMENT, METRICS, ROOT, Open, Script, no_exception


def test_unknown_run_is_said(opened: Open) -> None:
    assert any("There is no run" in warning.value for warning in opened("train", run="nonsense").warning)


def test_a_running_job_is_watched_and_steered(opened: Open, workspace: Workspace, script: Script, start: Callable[[Work], str]) -> None:
    run_id = start(script)
    script.go(2)
    script.wait_for_step(2)
    at = opened("train", run=run_id)
    assert at.progress[0].value == 20
    assert len(at.get("plotly_chart")) == 2, "one a task"
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


def test_what_is_changed_is_marked_listed_and_badged(
    opened: Open, workspace: Workspace, script: Script, start: Callable[[Work], str]
) -> None:
    run_id = start(script)
    script.go(2)
    script.wait_for_step(2)
    at = opened("train", run=run_id)
    at.select_slider(key=f"steer.{run_id}.optimizer.learning_rate").set_value(5e-4)
    at.selectbox(key=f"steer.{run_id}.sampling.name").set_value("uniform").run()
    no_exception(at)
    at.button(key="apply").click().run()
    no_exception(at)
    script.go()
    script.wait_for_step(3)
    no_exception(at.run())
    (change,) = jobs().snapshot(run_id).series.steered
    assert change.new == {"optimizer.learning_rate": 5e-4, "sampling": {"name": "uniform", "options": {"most": 1.0}}}
    assert at.button(key="apply").disabled, "what holds now is what the widgets show"
    for chart in at.get("plotly_chart"):
        figure = json.loads(chart.proto.spec)
        assert 3 in [shape["x0"] for shape in figure["layout"]["shapes"]]
        assert "Learning rate: 1 → 0.0005" in figure["layout"]["annotations"][0]["hovertext"]
    assert any("→ 0\\.0005" in text.value for text in at.markdown)
    assert run(workspace, run_id).steered
    script.go(7)


def test_what_was_applied_is_listed_until_it_holds(opened: Open, script: Script, start: Callable[[Work], str]) -> None:
    run_id = start(script)
    script.go(1)
    script.wait_for_step(1)
    at = opened("train", run=run_id)
    assert any("come with the measurement before step" in c.value for c in at.caption), "when the shares of the update come is said"
    at.slider(key=f"steer.{run_id}.intent").set_value(3.0).run()
    no_exception(at.button(key="apply").click().run())
    assert any("From the next step on" in c.value and "1 → 3" in c.value for c in at.caption), [c.value for c in at.caption]
    assert at.button(key="apply").disabled
    other = opened("train", run=run_id)
    assert any("From the next step on" in c.value for c in other.caption) and other.button(key="apply").disabled, "others see it too"
    at.slider(key=f"steer.{run_id}.intent").set_value(1.0).run()
    assert not at.button(key="apply").disabled, "it can be taken back before it holds"
    at.slider(key=f"steer.{run_id}.intent").set_value(3.0).run()
    script.go(1)
    script.wait_for_step(2)
    no_exception(at.run())
    assert script.weights["intent"] == 3.0 and not any("From the next step on" in c.value for c in at.caption)
    script.go(8)


def test_shares_of_the_tables_can_be_steered(opened: Open, script: Script, start: Callable[[Work], str]) -> None:
    run_id = start(script)
    script.go(1)
    script.wait_for_step(1)
    at = opened("train", run=run_id)
    at.selectbox(key=f"steer.{run_id}.sampling.name").set_value("fixed_shares").run()
    no_exception(at)
    at.button(key="apply").click().run()
    no_exception(at)
    script.go()
    script.wait_for_step(2)
    (change,) = jobs().snapshot(run_id).series.steered
    assert change.new["sampling"] == {"name": "fixed_shares", "options": {"most": 1.0, "shares": {"t": 1.0}}}
    no_exception(at.run())
    assert at.button(key="apply").disabled
    script.go(8)


def test_two_people_see_what_the_other_changed(opened: Open, script: Script, start: Callable[[Work], str]) -> None:
    run_id = start(script)
    script.go(1)
    script.wait_for_step(1)
    one, other = opened("train", run=run_id), opened("train", run=run_id)
    one.slider(key=f"steer.{run_id}.intent").set_value(3.0).run()
    other.slider(key=f"steer.{run_id}.search").set_value(0.5).run()
    other.button(key="apply").click().run()
    script.go()
    script.wait_for_step(2)
    no_exception(one.run())
    assert one.slider(key=f"steer.{run_id}.search").value == 0.5
    assert one.slider(key=f"steer.{run_id}.intent").value == 3.0, "what was not applied yet stays"
    one.button(key="apply").click().run()
    script.go()
    script.wait_for_step(3)
    assert script.weights == {"intent": 3.0, "search": 0.5}
    assert [list(e.new) for e in jobs().snapshot(run_id).series.steered] == [["tasks.search.weight"], ["tasks.intent.weight"]]
    other.slider(key=f"steer.{run_id}.intent").set_value(2.0)
    no_exception(other.run())
    assert any("Changed elsewhere" in info.value for info in other.info)
    assert other.slider(key=f"steer.{run_id}.intent").value == 3.0
    script.go(7)


def test_an_ended_run_offers_nothing_to_change(opened: Open, finished: Run) -> None:
    at = opened("train", run=finished.id)
    assert not [s for s in at.slider if s.key.startswith("steer.")] and not [b for b in at.button if b.key == "apply"]


def test_effective_weights_and_conflicts_are_shown(opened: Open, start: Callable[[Work], str]) -> None:
    def work(control: Control) -> Iterator[Event]:
        weights = {"intent": 1.0, "search": 2.0}
        yield Started(0, 10, "cpu", "float32", {t: {"train": 8, "validation": 2, "test": 2} for t in weights}, 10, 20, weights)
        for step in range(1, 6):
            table = [[1.0, -0.3 - step / 100], [-0.3 - step / 100, 1.0]]
            ahead = {["intent", "search"][step % 2]: {"intent": 0.01, "search": -0.02}}
            yield Compared(step - 1, list(weights), [1.0, 3.0], table, {"layer 1": table}, ahead)
            losses = {"intent": 2 / step, "search": 1 / step}
            yield StepDone(
                step, losses, 1.0, 1e-4, 1.0, {}, 100, 0.1, 1, {"intent": 0.2, "search": 0.8}, ["intent"] if step == 2 else [], step > 3
            )
        yield Finished(5, "finished", "steps", 5)

    run_id = start(work)
    assert jobs().wait(run_id, timeout=60)
    at = opened("train", run=run_id, curve="weight")
    assert len(at.get("plotly_chart")) == 2
    effective = json.loads(at.get("plotly_chart")[0].proto.spec)["data"][1]
    assert effective["name"] == "effective" and effective["y"]
    assert any("not finite: intent 1" in caption.value for caption in at.caption)
    assert any("found no solution" in caption.value and caption.value.endswith(" 2") for caption in at.caption)
    at = opened("train", run=run_id, view="conflicts")
    assert len(at.get("plotly_chart")) == 3
    assert any("“intent” and “search” pull apart since step 4" in text.value for text in at.markdown)
    at.selectbox(key=f"part.{run_id}.en").set_value("layer 1")
    at.select_slider(key=f"measurement.{run_id}").set_value(0)
    no_exception(at.run())
    assert at.select_slider(key=f"measurement.{run_id}").value == 0


def test_gates_and_their_collapse_are_shown(opened: Open, start: Callable[[Work], str]) -> None:
    def work(control: Control) -> Iterator[Event]:
        weights = {"intent": 1.0, "search": 2.0}
        yield Started(0, 10, "cpu", "float32", {t: {"train": 8, "validation": 2, "test": 2} for t in weights}, 10, 20, weights)
        for step in (0, 5):
            yield StepDone(step + 1, {"intent": 1.0, "search": 1.0}, 1.0, 1e-4, 1.0, {}, 100, 0.1, 1)
            yield Gated(step, {task: {"expert 1": 0.5 + step / 10, "expert 2": 0.5 - step / 10} for task in weights})
        yield Finished(5, "finished", "steps", 5)

    run_id = start(work)
    assert jobs().wait(run_id, timeout=60)
    at = opened("train", run=run_id, view="conflicts")
    assert any("The experts have collapsed" in warning.value and "is hardly used" in warning.value for warning in at.warning)
    charts = len(at.get("plotly_chart"))
    at.selectbox(key=f"gates.task.{run_id}").set_value("search")
    no_exception(at.run())
    assert len(at.get("plotly_chart")) == charts


def test_pseudo_labels_are_set_where_they_can_be_and_shown(
    opened: Open, start: Callable[[Work], str], capsys: pytest.CaptureFixture[str]
) -> None:
    def work(control: Control) -> Iterator[Event]:
        weights = {"intent": 1.0, "search": 2.0}
        yield Started(0, 10, "cpu", "float32", {t: {"train": 8, "validation": 2, "test": 2} for t in weights}, 10, 20, weights)
        for step in range(1, 6):
            yield StepDone(step, {"intent": 1.0}, 1.0, 1e-4, 1.0, {"intent": 4}, 100, 0.1, 1, guessed={"intent": 3} if step > 2 else {})
            if step in (2, 4):
                yield RowsMade(step, "pseudo-labelled", {"intent": 500 * step, "search": 0}, 0.1)
        yield Finished(5, "finished", "steps", 5)

    run_id = start(work)
    assert jobs().wait(run_id, timeout=60)
    at = opened("train", run=run_id)
    shown = [caption.value for caption in at.caption if "pseudo-labels" in caption.value]
    assert shown == ["intent learns from pseudo-labels since step 4: 2,000; the first were made after step 2."]
    assert main(["report", run_id, "--json"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["pseudo_labels"] == {"intent": [{"step": 2, "rows": 1000}, {"step": 4, "rows": 2000}]}
    assert report["seen"]["intent"]["drawn"] == 5 * 4 - 3 * 3
    assert main(["report", run_id]) == 0
    assert ["intent", "2000", "4", "2"] in [line.split() for line in capsys.readouterr().out.splitlines()]


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
    at = opened("train", run=finished.id, view="results")
    results = next(d.value for d in at.dataframe if "Metric" in d.value)
    assert set(results["Task"]) == {"intent", "search"}
    assert any(c.value.startswith("Best: at step 10 of 10, the run's best for all tasks together") for c in at.caption)
    assert {"Curves", "Conflicts", "Results", "Alone or together", "Log", "intent"} == {tab.label for tab in at.tabs}
    assert not [b for b in at.button if b.key in ("stop", "pause", "resume")]


def test_warnings_of_the_tables_are_counted_and_listed_in_the_log(opened: Open, start: Callable[[Work], str]) -> None:
    problem = Problem(Severity.WARNING, "leak_texts", message("7 texts are in several splits."), message("Split by group."), "t.csv")

    def work(control: Control) -> Iterator[Event]:
        yield Started(0, 1, "cpu", "float32", {"intent": {"train": 2}}, 1, 1, {"intent": 1.0}, problems=[problem.to_json()])
        yield Finished(1, "finished", "steps", 1, METRICS, METRICS, METRICS, 1.0)

    run_id = start(work)
    assert jobs().wait(run_id, timeout=60)
    at = opened("train", run=run_id, view="log")
    assert any("Warnings of the tables **1**, see Log" in caption.value for caption in at.caption)
    assert [t.value["Reason"].tolist() for t in at.table if "Reason" in t.value] == [["7 texts are in several splits\\."]]


def test_a_metric_that_was_perfect_before_training_is_said_to_show_nothing(opened: Open, start: Callable[[Work], str]) -> None:
    def work(control: Control) -> Iterator[Event]:
        yield Started(0, 1, "cpu", "float32", {"intent": {"train": 2}, "search": {"train": 50}}, 1, 1, {"intent": 1.0, "search": 1.0})
        before = {"intent": {"accuracy": 1.0, "macro_f1": 1.0}, "search": {"ndcg_at_10": 0.9995, "auc": 1.0}}
        best = {"intent": {"accuracy": 0.98, "macro_f1": 1.0}, "search": {"ndcg_at_10": 1.0, "auc": 1.0}}
        yield Finished(1, "finished", "steps", 1, before, best, best, 1.0)

    run_id = start(work)
    assert jobs().wait(run_id, timeout=60)
    (warning,) = [w.value for w in opened("train", run=run_id, view="results").warning if "before training" in w.value]
    said = (
        "search, NDCG@10: 0.9995 before training, 1 at the best step: these rows cannot show what training does. Check whether their lists"
    )
    assert warning.replace("\\", "").startswith(said), "a metric that fell, and one that is not the main one, are not in it"


def test_the_log_holds_events_and_the_experiment(opened: Open, finished: Run) -> None:
    at = opened("train", run=finished.id, view="log")
    events = next(d.value for d in at.dataframe if "Event" in d.value)
    assert events["Event"].iloc[0] == "Finished" and events["Event"].iloc[-1] == "Started"
    assert at.code[0].value == finished.experiment_yaml.strip() and not at.get("plotly_chart")


def test_the_share_of_the_update_moves_with_the_slider(opened: Open, start: Callable[[Work], str], script: Script) -> None:
    """By hand: norms 1 and 3 at the weights 1 and 1 are 1/4 and 3/4 of the update; at the weights 3 and 1, halves."""

    def work(control: Control) -> Iterator[Event]:
        for event in script(control):
            yield event
            if isinstance(event, Started):
                yield Compared(0, ["intent", "search"], [1.0, 3.0], [[1.0, 0.1], [0.1, 1.0]], {})

    run_id = start(work)
    script.go(1)
    script.wait_for_step(1)
    at = opened("train", run=run_id)
    shown = [m.value for m in at.markdown if "%" in m.value]
    assert ["25%" in shown[0], "75%" in shown[1]] == [True, True] and "→" not in "".join(shown)
    no_exception(at.slider(key=f"steer.{run_id}.intent").set_value(3.0).run())
    shown = [m.value for m in at.markdown if "%" in m.value]
    assert "25% → **50%**" in shown[0] and "75% → **50%**" in shown[1]
    script.go(9)


def test_the_test_split_is_evaluated_by_a_button_once(opened: Open, description: dict, workspace: Workspace) -> None:
    description["tasks"] = {"ads": description["tasks"]["ads"]}
    description["data"] = {"ads": description["data"]["ads"]}
    description["training"] |= {"steps": 2, "test": False}
    run_id = jobs().submit(experiment_from_dict(description), workspace, None, contained=False)
    assert jobs().wait(run_id, timeout=60) and run(workspace, run_id).tested is None
    at = opened("train", run=run_id, view="results")
    no_exception(at.button(key="test").click().run())
    assert jobs().wait(run_id, timeout=60)
    at = opened("train", run=run_id, view="results")
    assert not [b for b in at.button if b.key == "test"]
    results = next(d.value for d in at.dataframe if "Metric" in d.value)
    assert results["Test (final)"].notna().all() and run(workspace, run_id).tested


def test_how_often_rows_were_seen_is_shown(opened: Open, finished: Run, start: Callable[[Work], str]) -> None:
    table = next(d.value for d in opened("train", run=finished.id, view="results").dataframe if "Training rows" in d.value)
    assert table["Examples seen"].tolist() == [40, 40] and table["Times each row was seen"].tolist() == [5, 5]

    def work(control: Control) -> Iterator[Event]:
        yield Started(0, 1, "cpu", "float32", {"intent": {"train": 2}, "search": {"train": 50}}, 1, 1, {"intent": 1.0, "search": 1.0})
        yield StepDone(1, {"intent": 1.0, "search": 1.0}, 2.0, 1e-4, 1.0, {"intent": 50, "search": 50}, 100, 0.1, 1)
        yield Finished(1, "finished", "steps", 1, METRICS, METRICS, METRICS, 1.0)

    run_id = start(work)
    assert jobs().wait(run_id, timeout=60)
    at = opened("train", run=run_id, view="results")
    assert [w.value for w in at.warning if "more than 20 times" in w.value and "intent" in w.value and "search" not in w.value]


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
    assert any("no checkpoint yet: resuming begins anew" in warning.value for warning in at.warning)
    assert at.button(key="resume").label == "Resume"
    assert run(workspace, lost.id).status["state"] == "interrupted"
