"""Which step is best by which rule, and tasks that stop gaining before the others."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.config.parts import OBJECTIVES, EarlyStoppingConfig, TaskStoppingConfig
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.training.checkpoints import load_checkpoint
from mtl_core.training.events import Evaluated, Finished, StepDone, TaskEnded
from mtl_core.training.loop import train
from mtl_core.training.selection import RULES, CheckpointSelector

# Three evaluations of an accuracy and a loss.
VALUES = np.array([[0.2, 2.0], [0.8, 1.0], [0.6, 0.5]])
LOWER = np.array([False, True])


def test_the_rules_are_those_that_an_experiment_may_name() -> None:
    assert list(RULES) == list(OBJECTIVES)


@pytest.mark.parametrize(
    ("rule", "scores"),
    [
        ("mean", [(0.2 - 2.0) / 2, (0.8 - 1.0) / 2, (0.6 - 0.5) / 2]),
        ("mean_rank", [-3.0, -1.5, -1.5]),
        ("mean_delta", [(-0.75 - 0.75) / 2, (0 - 0.5) / 2, (-0.25 - 0) / 2]),
        ("worst", [-0.75, -0.5, -0.25]),
    ],
)
def test_rules_by_hand(rule: str, scores: list[float]) -> None:
    np.testing.assert_allclose(RULES[rule](VALUES, LOWER), scores)


def judged(objective: str, rows: list[dict[str, float]], **task_stopping: object) -> Iterator[tuple[CheckpointSelector, object]]:
    selector = CheckpointSelector(
        EarlyStoppingConfig(objective=objective), TaskStoppingConfig(**task_stopping), dict.fromkeys(rows[0], "auc")
    )
    for step, row in enumerate(rows):
        yield selector, selector.update(step, {task: {"auc": value} for task, value in row.items()})


def test_the_rule_decides_which_step_is_best() -> None:
    rows = [{"a": 0.5, "b": 0.1}, {"a": 0.9, "b": 0.02}, {"a": 0.6, "b": 0.2}]
    found = {rule: [j.is_best for _, j in judged(rule, rows)] for rule in (*OBJECTIVES, "a", "b")}
    assert found["mean"] == [True, True, False], "0.3, 0.46, 0.4"
    assert found["mean_delta"] == [True, False, True], "b lost four fifths in the second, gained in the third"
    assert found["worst"] == [True, False, True]
    assert found["a"] == [True, True, False] and found["b"] == [True, False, True]


def test_peaks_and_ends_of_tasks() -> None:
    rows = [{"a": v, "b": w} for v, w in ((0.5, 0.5), (0.6, 0.6), (0.55, 0.7), (0.6, 0.8), (0.9, 0.9))]
    judgements = list(judged("mean", rows, then="freeze", patience=2))
    selector = judgements[-1][0]
    assert [j.peaked for _, j in judgements] == [["a", "b"], ["a", "b"], ["b"], ["b"], ["a", "b"]]
    assert [j.ended for _, j in judgements] == [[], [], [], ["a"], []], "twice without gain; an equal value is none"
    assert selector.peaks["a"].step == 4 and selector.peaks["a"].ended == 3 and selector.resting(7) == {"a"} and not selector.over


def test_a_rehearsed_task_takes_its_turn() -> None:
    rows = [{"a": 0.5, "b": v} for v in (0.1, 0.2, 0.3)]
    selector = list(judged("mean", rows, then="rehearse", patience=2, rehearse_every=4))[-1][0]
    assert [bool(selector.resting(step)) for step in range(9)] == [False, True, True, True, False, True, True, True, False]


def test_a_judgement_goes_on_from_its_state() -> None:
    rows = [{"a": v, "b": 1 - v} for v in (0.3, 0.5, 0.2, 0.7)]
    whole = [j for _, j in judged("mean_rank", rows, then="freeze", patience=1)]
    selector = list(judged("mean_rank", rows[:2], then="freeze", patience=1))[-1][0]
    other = CheckpointSelector(
        EarlyStoppingConfig(objective="mean_rank"), TaskStoppingConfig(then="freeze", patience=1), {"a": "auc", "b": "auc"}
    )
    other.load(selector.state())
    assert [other.update(n, {t: {"auc": v} for t, v in rows[n].items()}) for n in (2, 3)] == whole[2:]


def test_a_task_without_a_metric_is_no_obstacle() -> None:
    rows = [{"a": 0.5, "b": 0.4}, {"a": 0.6}]
    selector = CheckpointSelector(EarlyStoppingConfig(objective="worst"), TaskStoppingConfig(), {"a": "auc", "b": "auc"})
    found = [selector.update(n, {t: {"auc": v} for t, v in row.items()}) for n, row in enumerate(rows)]
    assert [j.is_best for j in found] == [True, True]


@pytest.mark.parametrize("then", ["freeze", "rehearse"])
def test_a_task_that_stopped_gaining_takes_no_more_rows(description: dict, workspace: Workspace, tmp_path: Path, then: str) -> None:
    description["training"] |= {"steps": 14, "evaluate_every": 2}
    description["task_stopping"] = {"then": then, "patience": 2, "rehearse_every": 5, "keep": "models"}
    experiment = experiment_from_dict(description)
    events = list(train(experiment, prepare(experiment, workspace), folder=tmp_path))
    ended = {e.task: e for e in events if isinstance(e, TaskEnded)}
    assert ended and all(e.then == then and e.peak < e.step for e in ended.values())
    for event in events:
        if isinstance(event, StepDone):
            assert event.rows, "some task is always at work"
            for task in event.rows:
                rests = task in ended and event.step > ended[task].step
                assert not rests or (then == "rehearse" and (event.step - 1) % 5 == 0), (task, event.step)
    end = events[-1]
    assert isinstance(end, Finished) and end.peaks.keys() == experiment.tasks.keys()
    best = {e.step: e.metrics for e in events if isinstance(e, Evaluated) and e.split == "validation"}
    for task in experiment.tasks:
        load_checkpoint(checkpoint_folder(tmp_path, f"peak-{task}"))
        peak = max(best, key=lambda step: (best[step][task][KIND[task]], -step))
        if peak == end.best_step:
            assert end.peaks[task] == end.test[task]


KIND = {"department": "accuracy", "recommended": "accuracy", "search": "ndcg_at_10", "ads": "auc", "next_item": "auc"}


def test_the_head_of_each_tasks_best_step_is_kept(description: dict, workspace: Workspace, tmp_path: Path) -> None:
    experiment = experiment_from_dict(description)
    events = list(train(experiment, prepare(experiment, workspace), folder=tmp_path))
    end = events[-1]
    assert isinstance(end, Finished) and end.peaks == {}
    best = load_checkpoint(checkpoint_folder(tmp_path, "best"))
    for task in experiment.tasks:
        kept = load_file(checkpoint_folder(tmp_path, "last") / "heads" / f"{task}.safetensors")
        own = {f"heads.{task} head.{name}": tensor for name, tensor in best.model.heads[task].state_dict().items()}
        assert kept.keys() == own.keys()
        if best.state.judge["peaks"][task]["step"] == end.best_step:
            assert all(torch.equal(kept[name], own[name]) for name in own)


def test_rows_that_only_a_frozen_task_has_a_label_for(description: dict, workspace: Workspace) -> None:
    description["tasks"] = {name: description["tasks"][name] for name in ("department", "recommended")}
    description["training"] |= {"steps": 40, "batch_size": 1, "evaluate_every": 1}
    description["task_stopping"] = {"then": "freeze", "patience": 2}
    experiment = experiment_from_dict(description)
    events = list(train(experiment, prepare(experiment, workspace)))
    done = [e for e in events if isinstance(e, StepDone)]
    ended = {e.task: e.step for e in events if isinstance(e, TaskEnded)}
    assert all(sum(e.rows.values()) in (1, 2) for e in done), "a row for each task that has a label for it"
    assert isinstance(events[-1], Finished) and ended


def test_a_run_ends_when_every_task_has_stopped_gaining(description: dict, workspace: Workspace) -> None:
    description["training"] |= {"steps": 200, "evaluate_every": 1}
    description["optimizer"] = {"learning_rate": 1e-9, "head_learning_rate": 1e-9}
    description["task_stopping"] = {"then": "freeze", "patience": 1}
    experiment = experiment_from_dict(description)
    end = list(train(experiment, prepare(experiment, workspace)))[-1]
    assert isinstance(end, Finished) and end.why == "patience" and end.step < 200
