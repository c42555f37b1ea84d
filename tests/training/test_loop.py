"""The joint step, the loop around it, and what can happen to it on the way."""

import gc
import itertools
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, experiment_from_dict
from mtl_core.evaluation.predictions import read_report
from mtl_core.inference.predictor import Predictor
from mtl_core.model.multitask import MultiTaskModel
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import Prepared, prepare
from mtl_core.training.checkpoints import load_checkpoint
from mtl_core.training.control import Commands, Control
from mtl_core.training.events import Evaluated, Event, Failed, Finished, Paused, Reported, Resumed, Started, Steered, StepDone
from mtl_core.training.loop import Trainer, train

MATCH = {"kind": "matching", "data": "reviews", "columns": {"first": "text", "second": "department", "label": "recommended"}}


@pytest.fixture
def prepared(experiment: Experiment, workspace: Workspace) -> Prepared:
    return prepare(experiment, workspace)


def steps(events: list[Event]) -> list[dict]:
    """The numbers of the steps, without the clock's."""
    return [{**e.to_json(), "seconds": 0, "memory_bytes": 0} for e in events if isinstance(e, StepDone)]


def evaluations(events: list[Event]) -> list[dict]:
    return [{**e.to_json(), "seconds": 0} for e in events if isinstance(e, Evaluated)]


def test_a_run_from_first_to_last_event(experiment: Experiment, prepared: Prepared, tmp_path: Path) -> None:
    events = list(train(experiment, prepared, folder=tmp_path))
    assert isinstance(events[0], Started) and events[0].n_steps == 12
    assert events[0].rows["recommended"]["train"] < events[0].rows["department"]["train"], "a missing label masks that task only"
    assert [e.step for e in events if isinstance(e, StepDone)] == list(range(1, 13))
    assert [(e.step, e.split) for e in events if isinstance(e, Evaluated)] == [
        (0, "validation"), (4, "validation"), (8, "validation"), (12, "validation"), (12, "test")]  # fmt: skip
    assert {e.split for e in events if isinstance(e, Reported)} == {"validation", "test"}
    end = events[-1]
    assert isinstance(end, Finished) and end.state == "finished" and end.why == "steps"
    assert end.before.keys() == end.best.keys() == end.test.keys() == experiment.tasks.keys()
    assert {"accuracy", "macro_f1"} <= end.test["department"].keys()
    for name in ("best", "last"):
        assert (checkpoint_folder(tmp_path, name) / "encoder" / "model.safetensors").is_file()


def test_it_learns(description: dict, workspace: Workspace, tmp_path: Path) -> None:
    description["training"] |= {"steps": 80, "evaluate_every": 40}
    experiment = experiment_from_dict(description)
    events = list(train(experiment, prepare(experiment, workspace), folder=tmp_path))
    end = events[-1]
    assert isinstance(end, Finished)
    for task, metric in {"department": "accuracy", "next_item": "auc"}.items():
        assert end.best[task][metric] > end.before[task][metric] + 0.05, (task, end.before[task], end.best[task])


def test_the_joint_gradient_is_the_weighted_sum_of_single_ones(description: dict, workspace: Workspace) -> None:
    description["training"]["precision"] = "float32"
    weights = {"department": 2.0, "recommended": 0.5, "search": 1.5, "ads": 0.7, "next_item": 3.0}

    def gradients(chosen: dict[str, float]) -> dict[str, torch.Tensor]:
        for name, task in description["tasks"].items():
            task["weight"] = chosen.get(name, 0.0)
        experiment = experiment_from_dict(description)
        trainer = Trainer(experiment, prepare(experiment, workspace), Control(), None, False)
        trainer.model.eval()
        blocks = {name: data.take(data.rows("train")[:9]) for name, data in trainer.rows.items()}
        from mtl_core.runtime.batches import assemble

        batch = assemble(blocks, trainer.stores, trainer.template, 8192, torch.device("cpu"))
        trainer.joint.gradients([batch], trainer.state.weights)
        rows = torch.zeros_like(trainer.model.encoder.embeddings)
        rows[trainer.model.encoder.row_ids] = trainer.model.encoder.rows.grad
        found = {n: p.grad for n, p in trainer.model.encoder.named_parameters() if p.grad is not None}
        return found | {"rows": rows}

    joint = gradients(weights)
    single = [gradients({name: 1.0}) for name in weights]
    for name, gradient in joint.items():
        wanted = sum(w * g[name] for w, g in zip(weights.values(), single, strict=True))
        torch.testing.assert_close(gradient, wanted, atol=2e-6, rtol=1e-4, msg=name)


def test_micro_batches_change_nothing(description: dict, workspace: Workspace) -> None:
    found = []
    for budget in (8192, 128):
        description["training"] |= {"max_tokens_per_micro_batch": budget, "steps": 3}
        experiment = experiment_from_dict(description)
        found.append([e for e in train(experiment, prepare(experiment, workspace)) if isinstance(e, StepDone)])
    for one, other in zip(*found, strict=True):
        assert one.losses == pytest.approx(other.losses, rel=1e-4)
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-3)


def test_tasks_of_one_table_encode_each_text_once(description: dict, workspace: Workspace) -> None:
    description["tasks"] = {name: description["tasks"][name] for name in ("department", "recommended")}
    experiment = experiment_from_dict(description)
    trainer = Trainer(experiment, prepare(experiment, workspace), Control(), None, False)
    rows = trainer.rows["recommended"].rows("train")[:10]
    from mtl_core.runtime.batches import assemble

    batch = assemble({n: d.take(rows) for n, d in trainer.rows.items()}, trainer.stores, trainer.template, 8192, torch.device("cpu"))
    assert len(batch.packed[0].lengths) == 10
    assert batch.tokens == 2 * sum(batch.packed[0].lengths), "useful tokens count for every task that uses them"


@pytest.mark.parametrize("kill_after", [5, 7, 9])
def test_resumed_numbers_are_those_of_a_run_that_never_stopped(
    description: dict, workspace: Workspace, tmp_path: Path, kill_after: int
) -> None:
    description["encoder"]["dropout"] = 0.1
    description["tasks"]["match"] = MATCH
    experiment = experiment_from_dict(description)
    prepared = prepare(experiment, workspace)
    whole = list(train(experiment, prepared, folder=tmp_path / "whole"))

    cut = train(experiment, prepared, folder=tmp_path / "cut")
    list(itertools.takewhile(lambda e: not (isinstance(e, StepDone) and e.step == kill_after), cut))
    cut.close()
    resumed = list(train(experiment, prepare(experiment, workspace), folder=tmp_path / "cut", resume=True))

    start = kill_after - kill_after % 4  # the last evaluation's checkpoint
    assert isinstance(resumed[0], Resumed) and resumed[0].step == start and resumed[0].from_checkpoint
    assert steps(resumed) == steps(whole)[start:]
    begun = next(e for e in resumed if isinstance(e, Started))
    assert begun.drawn == {name: sum(e["rows"].get(name, 0) for e in steps(whole)[:start]) for name in experiment.tasks}
    assert evaluations(resumed) == [e for e in evaluations(whole) if e["step"] > start or e["split"] == "test"]
    one, other = (load_checkpoint(checkpoint_folder(tmp_path / name, "last")) for name in ("whole", "cut"))
    for (name, a), b in zip(one.model.state_dict().items(), other.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert all(torch.equal(a, other.optimizer[k]) for k, a in one.optimizer.items())


def test_what_a_kind_chose_on_validation_goes_with_the_model(description: dict, workspace: Workspace, tmp_path: Path) -> None:
    description["tasks"] = {"match": MATCH}
    description["task_stopping"] = {"keep": "models"}
    description["early_stopping"] = {"min_delta": 0.9}  # the best model is the first one, the last another, the task's own a third
    experiment = experiment_from_dict(description)
    prepared = prepare(experiment, workspace)
    events = list(train(experiment, prepared, folder=tmp_path))
    end = events[-1]
    assert isinstance(end, Finished) and end.best_step == 0
    task, kind = prepared.tasks["match"], prepared.tasks["match"].kind
    table, thresholds = task.dataset.table(["text", "department"]).to_pylist(), {}
    for name, tested in {"best": end.test, "peak-match": end.peaks, "last": {}}.items():
        folder = checkpoint_folder(tmp_path, name)
        loaded, predictor, found = load_checkpoint(folder), Predictor(folder), {}
        assert loaded.specs["match"] == task.spec | loaded.state.tuned["match"]
        for split in ("validation", "test"):
            rows = task.rows.rows(split)
            asked = [{"first": table[i]["text"], "second": table[i]["department"]} for i in rows]
            found[split] = predictor.scores("match", asked), task.rows.take(rows).labels
        thresholds[name] = loaded.specs["match"]["threshold"]
        assert kind.report.tuned(*found["validation"], task.spec, task.options)["threshold"] == pytest.approx(thresholds[name], abs=1e-5)
        if tested:
            assert tested["match"] == pytest.approx(kind.report.evaluate(*found["test"], None, loaded.specs["match"]))
    assert len(set(thresholds.values())) > 1
    reported = (read_report(tmp_path, "test") or {})["match"][0]["data"]["rows"]
    assert [row[0] for row in reported if row[-1]] == [thresholds["best"]]


def test_a_weight_takes_effect_on_the_very_next_step(experiment: Experiment, prepared: Prepared) -> None:
    control, events = Control(), []
    for event in train(experiment, prepared, control):
        events.append(event)
        if isinstance(event, StepDone) and event.step == 5:
            control.set_weights({"search": 4.0})
            control.set_weights({"unknown": 1.0})
    changed, refused = (e for e in events if isinstance(e, Steered))
    assert (changed.step, changed.old, changed.new) == (6, {"tasks.search.weight": 1.0}, {"tasks.search.weight": 4.0})
    assert refused.step == 6 and "tasks.unknown.weight" in refused.refused and not refused.weights
    weights = {name: task.weight for name, task in experiment.tasks.items()}
    for event in events:
        if isinstance(event, StepDone):
            now = weights | ({"search": 4.0} if event.step >= 6 else {})
            assert event.total_loss == pytest.approx(sum(now[n] * loss for n, loss in event.losses.items()), rel=1e-5), event.step


def test_pause_resume_evaluate_stop(experiment: Experiment, prepared: Prepared, tmp_path: Path) -> None:
    control, events = Control(), []
    for event in train(experiment, prepared, control, tmp_path):
        events.append(event)
        if isinstance(event, StepDone) and event.step == 2:
            control.pause()
        if isinstance(event, Paused):
            control.resume()
        if isinstance(event, Resumed):
            control.evaluate()
        if isinstance(event, StepDone) and event.step == 6:
            control.stop()
    assert [e.step for e in events if isinstance(e, (Paused, Resumed))] == [2, 2]
    assert 3 in [e.step for e in events if isinstance(e, Evaluated)]
    assert [e.step for e in events if isinstance(e, StepDone)] == [1, 2, 3, 4, 5, 6]
    end = events[-1]
    assert isinstance(end, Finished) and (end.state, end.why, end.step) == ("stopped", "asked", 6)
    assert end.test == {} and "test" not in {e.split for e in events if isinstance(e, Evaluated)}  # it may be resumed
    assert load_checkpoint(checkpoint_folder(tmp_path, "last")).state.step == 6


def test_a_pause_does_not_change_the_numbers(experiment: Experiment, prepared: Prepared, tmp_path: Path) -> None:
    control, events = Control(), []
    for event in train(experiment, prepared, control, tmp_path):
        events.append(event)
        if isinstance(event, StepDone) and event.step == 2:
            control.pause()
        if isinstance(event, Paused):
            control.resume()
    assert steps(events) == steps(list(train(experiment, prepared)))


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_last_good_checkpoint(
    description: dict, workspace: Workspace, tmp_path: Path
) -> None:
    description["optimizer"] = {"name": "sgd", "learning_rate": 10, "head_learning_rate": 10, "max_gradient_norm": 0, "momentum": 0.99}
    description["schedule"] = {"name": "constant", "warmup_ratio": 0}
    description["tasks"] = {
        "search": description["tasks"]["search"] | {"weight": 100.0},
        "ads": description["tasks"]["ads"] | {"weight": 100.0},
    }
    description["training"] |= {"steps": 400, "evaluate_every": 400}
    experiment = experiment_from_dict(description)
    prepared = prepare(experiment, workspace)
    events = list(train(experiment, prepared, folder=tmp_path))
    failed = events[-1]
    assert isinstance(failed, Failed) and failed.reason == "not_finite"
    assert failed.step > 0 and failed.task in experiment.tasks and "learning rate" in failed.advice
    state = load_checkpoint(checkpoint_folder(tmp_path, "last"))
    assert all(torch.isfinite(p).all() for p in state.model.parameters())


def test_a_gradient_that_is_not_finite_is_not_called_a_loss(description: dict, workspace: Workspace) -> None:
    """Fixed weights cannot tell whose it is: the run ends."""
    experiment = experiment_from_dict(description)
    trainer = Trainer(experiment, prepare(experiment, workspace), Control(), None, False)
    with torch.no_grad():
        weights = [p for p in trainer.model.heads["recommended"].parameters() if p.ndim == 2]
        weights[-1].fill_(1e25)  # the same for all classes: the loss is finite, its gradient is not
        weights[-1][0].mul_(1.0001)
    failed = list(trainer.run())[-1]
    assert isinstance(failed, Failed) and failed.reason == "not_finite" and failed.message.startswith("The gradient ("), failed


class _OutOfMemory(Control):
    """As a device that has room for two steps."""

    def take(self, step: int) -> Commands:
        if step == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nOf the allocated memory")
        return super().take(step)


def test_out_of_memory_is_answered_and_the_model_let_go(description: dict, workspace: Workspace) -> None:
    experiment = experiment_from_dict(description)
    others = {id(o) for o in gc.get_objects() if type(o) is MultiTaskModel}
    models: list[weakref.ref[torch.nn.Module]] = []
    events = []
    for event in train(experiment, prepare(experiment, workspace), _OutOfMemory()):
        if isinstance(event, StepDone) and not models:
            models = [weakref.ref(o) for o in gc.get_objects() if type(o) is MultiTaskModel and id(o) not in others]
        events.append(event)
    failed = events[-1]
    assert isinstance(failed, Failed) and failed.reason == "out_of_memory" and "fewer tokens" in failed.advice
    assert failed.message == "CUDA out of memory. Tried to allocate 20 GiB."
    assert sum(isinstance(e, StepDone) for e in events) == 2
    assert models and not any(model() for model in models), "nothing holds the model when the event is there"


def test_early_stopping(description: dict, workspace: Workspace, tmp_path: Path) -> None:
    description["early_stopping"] = {"objective": "department", "patience": 2, "min_delta": 1.0}
    description["training"] |= {"steps": 100, "evaluate_every": 3}
    experiment = experiment_from_dict(description)
    end = list(train(experiment, prepare(experiment, workspace), folder=tmp_path))[-1]
    assert isinstance(end, Finished) and (end.why, end.step, end.best_step) == ("patience", 6, 0)


@pytest.mark.parametrize("trainable", ["frozen", "top:1"])
def test_what_is_not_trained_stays_as_it_was(description: dict, workspace: Workspace, tmp_path: Path, trainable: str) -> None:
    description["encoder"]["trainable"] = trainable
    description["early_stopping"] = {"min_delta": 0.9}  # the best one is the first
    experiment = experiment_from_dict(description)
    prepared = prepare(experiment, workspace)
    events = list(train(experiment, prepared, folder=tmp_path))
    assert isinstance(events[-1], Finished)
    before = Trainer(experiment, prepared, Control(), None, False).model.encoder.state_dict()
    after = load_checkpoint(checkpoint_folder(tmp_path, "last")).model.encoder.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert all("layer.1." in name for name in moved)
    assert bool(moved) == (trainable == "top:1")
    frozen = {"frozen": "model.safetensors", "top:1": "frozen.safetensors"}[trainable]
    places = {(checkpoint_folder(tmp_path, name) / "encoder" / frozen).stat().st_ino for name in ("last", "best")}
    assert len(places) == 1, "what does not learn is written once"
    alone = transformers.AutoModel.from_pretrained(checkpoint_folder(tmp_path, "last") / "encoder", add_pooling_layer=False).state_dict()
    ours = {name.removeprefix("model."): tensor for name, tensor in after.items()}
    assert all(torch.equal(alone[name], tensor) for name, tensor in ours.items()), "transformers loads it without us"


def test_weight_zero_leaves_the_task_unlearned(description: dict, workspace: Workspace, tmp_path: Path) -> None:
    description["tasks"]["search"]["weight"] = 0
    experiment = experiment_from_dict(description)
    prepared = prepare(experiment, workspace)
    list(train(experiment, prepared, folder=tmp_path))
    before = Trainer(experiment, prepared, Control(), None, False).model.heads["search"].state_dict()
    after = load_checkpoint(checkpoint_folder(tmp_path, "last")).model.heads["search"].state_dict()
    assert all(torch.allclose(before[k], after[k], atol=1e-3) for k in before)


def test_same_seed_same_numbers_other_seed_others(description: dict, workspace: Workspace) -> None:
    runs = []
    for seed in (3, 3, 4):
        experiment = experiment_from_dict(description | {"seed": seed})
        runs.append(steps(list(train(experiment, prepare(experiment, workspace)))))
    assert runs[0] == runs[1] != runs[2]


def test_the_test_split_is_touched_once(experiment: Experiment, prepared: Prepared) -> None:
    events = list(train(experiment, prepared))
    assert [e.split for e in events if isinstance(e, Evaluated)].count("test") == 1
    assert np.array_equal([e.split for e in events if isinstance(e, Evaluated)][-1], "test")


def test_an_encoder_that_cannot_be_had_and_a_table_that_is_gone_say_so(description: dict, workspace: Workspace) -> None:
    from mtl_core.data.problems import DataError
    from mtl_core.model.packaged import EncoderError

    description["data"]["ads"]["file"] = description["data"]["searches"]["file"] = "gone.csv"
    with pytest.raises(DataError) as error:
        prepare(experiment_from_dict(description), workspace)
    assert [p.code for p in error.value.problems if p.severity == "error"] == ["file_missing", "file_missing"], "both at once"
    description["encoder"]["name"] = "nobody/never-downloaded"
    with pytest.raises(EncoderError, match="already in the Hugging Face cache"):
        prepare(experiment_from_dict(description), workspace)


def test_what_a_head_does_not_learn_it_does_not_learn_after_resuming(description: dict, workspace: Workspace, tmp_path: Path) -> None:
    description["tasks"]["search"]["options"] = {"bias": False}
    experiment = experiment_from_dict(description)
    list(train(experiment, prepare(experiment, workspace), folder=tmp_path))
    loaded = load_checkpoint(checkpoint_folder(tmp_path, "last")).model
    fresh = Trainer(experiment, prepare(experiment, workspace), Control(), None, False).model
    assert {n for n, p in loaded.named_parameters() if p.requires_grad} == {n for n, p in fresh.named_parameters() if p.requires_grad}
    assert not loaded.heads["search"].threshold.requires_grad


@pytest.mark.parametrize("name", ["type", "keys", "training"])
def test_a_task_may_be_called_like_a_part_of_every_module(description: dict, workspace: Workspace, tmp_path: Path, name: str) -> None:
    description["tasks"] = {name: description["tasks"]["department"], "ads": description["tasks"]["ads"]}
    description["training"]["steps"] = 2
    experiment = experiment_from_dict(description)
    end = list(train(experiment, prepare(experiment, workspace), folder=tmp_path))[-1]
    assert isinstance(end, Finished) and end.test.keys() == {name, "ads"}
    loaded = load_checkpoint(checkpoint_folder(tmp_path, "best")).model
    assert list(loaded.heads[name].parameters()) and list(loaded.heads["ads"].parameters())
