"""What a training will take, worked out by hand from what a probe found."""

from dataclasses import replace
from pathlib import Path

import pytest

from mtl_core.base.program import SAMPLE_SHOP
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, experiment_from_dict
from mtl_core.studies.estimates import Background, key, known, measure
from mtl_core.training.estimate import Measured, along, estimate, rows_of_a_step

MEASURED = Measured(
    device="cpu",
    precision="float32",
    rows={"a": 300, "b": 100},
    epoch=400,
    tokens={"a": [(4, 40), (16, 160)], "b": [(4, 80), (16, 160)]},
    step=[(100, 0.2), (200, 0.3)],
    memory=[(100, 1000), (200, 3000)],
    scoring={"a": (0.5, 0.01), "b": (0.0, 0.02)},
    validation={"a": 50, "b": 10},
    test={"a": 60, "b": 20},
    save=0.25,
    load=3.0,
)


def described(**training: object) -> Experiment:
    task = {"kind": "classification", "columns": {"text": "message", "label": "intent"}}
    return experiment_from_dict(
        {
            "data": {"a": {"file": "messages.csv"}, "b": {"file": "messages.csv"}},
            "tasks": {"one": {**task, "data": "a"}, "two": {**task, "data": "b"}},
            "sampling": {"name": "proportional"},
            "diagnostics": {"conflicts_every": 0},
            "training": {"steps": 20, "batch_size": 16, "evaluate_every": 10, **training},
        }
    )


def test_by_hand() -> None:
    """12 rows of a: 120 tokens; 4 of b: 80; together 200: 0.3 s. Three evaluations of 0.5 + 0.5 + 0.2 s with a checkpoint each."""
    found = estimate(described(), MEASURED)
    assert (found.steps, found.examples, found.passes, found.tokens) == (20, 320, 0.8, 200)
    assert found.training == pytest.approx(20 * 0.3)
    scored, tested = 0.5 + 50 * 0.01 + 10 * 0.02, 0.5 + 60 * 0.01 + 20 * 0.02
    assert found.seconds == pytest.approx(3.0 + 6.0 + 3 * (scored + 0.25) + scored + tested)
    assert found.memory_bytes == 3000


def test_a_look_at_conflicts_holds_the_gradients_of_all_tasks() -> None:
    """Two tasks with 500 bytes each, unless nothing is compared; a strategy on gradients holds them in every step, probed ones too."""
    measured = replace(MEASURED, gradient=500)
    compared = described().model_copy(update={"diagnostics": described().diagnostics.model_copy(update={"conflicts_every": 5})})
    assert estimate(compared, measured).memory_bytes == 3000 + 2 * 500
    assert estimate(described(), measured).memory_bytes == 3000
    pcgrad = compared.model_copy(update={"balancing": compared.balancing.model_copy(update={"name": "pcgrad"})})
    assert estimate(pcgrad, measured).memory_bytes == 3000


def test_each_setting_moves_what_it_should() -> None:
    base = estimate(described(), MEASURED)
    assert estimate(described(steps=40), MEASURED).training == pytest.approx(2 * base.training)
    assert estimate(described(steps=None, epochs=2), MEASURED).steps == 2 * 400 / 16
    double = estimate(described(batch_size=32), MEASURED)
    assert double.tokens == round(240 + 80 + 80 / 3), "24 rows of a: 240; 8 rows of b: a third of the way from 80 to 160"
    assert estimate(described(test=False), MEASURED).seconds == pytest.approx(base.seconds - 1.5)
    assert estimate(described(max_validation_rows=10), MEASURED).seconds == pytest.approx(base.seconds - 4 * 40 * 0.01)
    assert estimate(described(max_tokens_per_micro_batch=150), MEASURED).memory_bytes == 2000
    assert estimate(described(predictions="all"), MEASURED).seconds == pytest.approx(base.seconds + 0.5 + 3.0 + 2.0)


def test_looks_at_conflicts_are_counted() -> None:
    def looked(every: int | None, steps: int) -> float:
        diagnostics = described().diagnostics.model_copy(update={"conflicts_every": every})
        return estimate(described(steps=steps).model_copy(update={"diagnostics": diagnostics}), MEASURED).training

    assert looked(10, 20) == pytest.approx((20 + 2 * 1.3 + 1.5) * 0.3), "at the steps 0 and 10, with a step ahead behind the first"
    assert looked(None, 60) == pytest.approx((60 + 4 * 1.3 + 1.5) * 0.3), "by default at 0, 15, 30 and 45, once with a step ahead"


def test_rows_of_a_step() -> None:
    assert rows_of_a_step(described(), {"a": 300, "b": 100}) == {"a": 12.0, "b": 4.0}
    assert rows_of_a_step(described(), {"a": 300}) == {}
    turns = experiment_from_dict({**described().model_dump(mode="json"), "sampling": {"name": "round_robin"}})
    assert rows_of_a_step(turns, {"a": 300, "b": 100}) == {"a": 8.0, "b": 8.0}


def test_along_a_line() -> None:
    points = [(10, 1.0), (20, 3.0), (40, 4.0)]
    assert [along(points, x) for x in (10, 15, 20, 30, 60)] == [1.0, 2.0, 3.0, 3.5, 5.0]
    assert along(points, 1) == 0.0, "never below 0"
    assert along([(10, 5.0), (20, 1.0)], 40) == 5.0, "more is never less"
    assert along([(10, 5.0)], 20) == 10.0


@pytest.fixture
def small(tiny_encoder: Path) -> Experiment:
    task = {"kind": "classification", "data": "a", "columns": {"text": "message", "label": "intent"}}
    return experiment_from_dict(
        {
            "data": {"a": {"file": "messages.csv", "split": {"by": "column", "column": "split"}}},
            "tasks": {"one": task},
            "encoder": {"name": str(tiny_encoder), "max_length": 16},
            "training": {"steps": 5, "batch_size": 8, "device": "cpu"},
        }
    )


def test_a_probe_is_kept_by_what_it_depends_on(small: Experiment, workspace: Workspace) -> None:
    base = SAMPLE_SHOP
    name = key(small, workspace, base, False)
    assert known(name, workspace) is None
    found = measure(small, workspace, base)
    again = known(name, workspace)
    assert again is not None and estimate(small, again) == estimate(small, found) and measure(small, workspace, base) == again
    assert found.rows == {"a": 1040} and found.validation == {"a": 148}
    assert all(seconds > 0 for _, seconds in found.step) and found.save > 0 and found.scoring["a"][1] >= 0
    counts = [tokens for _, tokens in found.tokens["a"]]
    assert counts == sorted(counts) and counts[0] >= 4 * 3, "a text has its own tokens and two around it"
    assert not [path for path in workspace.inside("estimates").iterdir() if path.is_dir()], "the checkpoint of the probe is gone"

    def changed(**parts: object) -> str:
        return key(experiment_from_dict({**small.model_dump(mode="json"), **parts}), workspace, base, False)

    values = small.model_dump(mode="json")
    assert changed(training={**values["training"], "batch_size": 64, "steps": 100}) == name
    assert changed(tasks={"one": {**values["tasks"]["one"], "weight": 3.0}}) == name
    assert changed(seed=7, name="another") == name
    assert changed(encoder={**values["encoder"], "trainable": "frozen"}) != name
    assert changed(balancing={"name": "pcgrad"}) != name
    assert changed(tasks={"one": {**values["tasks"]["one"], "rows": 0.5}}) != name


def test_a_process_that_measures_is_ended_and_says_why_it_failed(small: Experiment, workspace: Workspace) -> None:
    background = Background()
    background.start("there", small, workspace, SAMPLE_SHOP, False)
    process = background._process
    assert background.busy() == "there" and process is not None
    background.start("another", small, workspace, SAMPLE_SHOP, False)
    assert background.busy() == "there", "one at a time"
    background.stop()
    assert process.returncode is not None and not background.busy() and not background.failed
    gone = experiment_from_dict({**small.model_dump(mode="json"), "data": {"a": {"file": "nothing.csv"}}})
    background.start("gone", gone, workspace, None, False)
    process = background._process
    assert process is not None and process.wait(60) == 1 and not background.busy()
    assert "nothing.csv" in background.failed["gone"]
    background.start("gone", gone, workspace, None, False)
    assert not background.busy(), "it is not tried again"
