"""The end of a training: what is kept of single rows, and the test split, evaluated once, by the training or after it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.cli.main import main
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.evaluation.predictions import load_predictions, predictions_file, read_predictions
from mtl_core.jobs import evaluable, evaluation, jobs, perform, perform_evaluation, training
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.tracking.recorder import Recorder
from mtl_core.tracking.runs import Run, RunError, RunState, create_run, run
from mtl_core.tracking.table_rows import table_rows
from mtl_core.training.control import Control
from mtl_core.training.events import Evaluated, EvaluatedAfterwards, Finished, Predicted, Reported
from mtl_core.training.loop import train

TASKS = ("recommended", "search")
Train = Callable[..., Run]


@pytest.fixture(autouse=True)
def no_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    monkeypatch.setattr("mtl_core.api.foreground.MIRROR_SECONDS", 0.0)


@pytest.fixture
def trained(description: dict, workspace: Workspace) -> Train:
    """trained(test=False, ...): a run with these settings of its training; the model of its own best step is kept for every task."""

    def made(**settings: object) -> Run:
        values = {**description, "tasks": {name: description["tasks"][name] for name in TASKS}, "task_stopping": {"keep": "models"}}
        values["data"] = {name: description["data"][name] for name in ("reviews", "searches")}
        values["training"] = {**description["training"], "steps": 8, "precision": "float32", "max_validation_rows": 16, **settings}
        created = create_run(experiment_from_dict(values), workspace, None)
        recorder = Recorder(created.folder)
        perform(recorder, training(created, workspace, False), Control())
        recorder.close()
        return created.refreshed()

    return made


def files(of: Run) -> dict[str, object]:
    """What was kept of the test split, without times."""
    kept = {task: load_predictions(of.folder, task, "test") for task in TASKS}
    plain = {task: (about, [getattr(rows, name) for name in vars(rows)]) for task, (about, rows) in kept.items()}
    return {"reports": of.reports("test"), **plain}


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def test_evaluated_later_is_as_evaluated_at_the_end(trained: Train, workspace: Workspace, capsys: pytest.CaptureFixture) -> None:
    whole, without = trained(), trained(test=False)
    assert whole.state is without.state is RunState.FINISHED and whole.tested
    assert without.tested is None and without.reports("test") == {}
    assert all(
        parts["test"] == {} and parts["best"] == whole.result()["tasks"][task]["best"] for task, parts in without.result()["tasks"].items()
    )
    assert not [e for e in without.events() if isinstance(e, Evaluated | Reported | Predicted) and e.split == "test"]

    assert main(["evaluate", without.id, "--split", "test", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    done = run(workspace, without.id)
    assert printed["tested"] == done.tested.isoformat() and printed["tasks"] == done.result()["tasks"] == whole.result()["tasks"]
    assert done.state is RunState.FINISHED and done.status["ended"] == without.status["ended"]
    for key, kept in files(whole).items():
        assert same(kept, files(done)[key]), key
    one, other = (
        [{**e.to_json(), "seconds": 0} for e in of.events() if isinstance(e, Evaluated) and e.split == "test"] for of in (whole, done)
    )
    assert one == other and len(one) == 1
    later, end = (next(e for e in of.events() if isinstance(e, EvaluatedAfterwards | Finished) and e.peaks) for of in (done, whole))
    assert later.peaks == end.peaks and isinstance(later, EvaluatedAfterwards)
    assert done.series().finished.test == whole.series().finished.test == end.test

    assert main(["evaluate", without.id]) == 2
    assert f"evaluated on {done.tested.astimezone():%Y-%m-%d %H:%M}" in capsys.readouterr().err
    for tested in (whole, done):
        with pytest.raises(RunError, match="once only"):
            evaluable(tested)


def test_in_the_background_and_never_twice(trained: Train, workspace: Workspace) -> None:
    found = trained(test=False)
    jobs().evaluate(found.id, workspace)
    with pytest.raises(RunError):
        jobs().evaluate(found.id, workspace)
    assert jobs().control(found.id) is None, "there is nothing to steer"
    assert jobs().wait(found.id, timeout=60) and not jobs().evaluating(found.id)
    done = found.refreshed()
    assert done.state is RunState.FINISHED and done.tested and done.result()["tasks"]["search"]["test"]
    recorder = Recorder(found.folder)
    failed = perform_evaluation(recorder, evaluation(found, workspace), Control())  # by somebody who did not know
    recorder.close()
    assert failed is not None and "once only" in failed.message
    assert sum(isinstance(e, EvaluatedAfterwards) for e in found.events()) == 1


def test_what_cannot_be_tested_says_why(trained: Train, description: dict, workspace: Workspace, tmp_path: Path) -> None:
    created = create_run(experiment_from_dict(description), workspace, None)
    with pytest.raises(RunError, match="not finished"):
        evaluable(created)
    found = trained(test=False)
    table = Path(found.experiment.data["reviews"].file)
    kept = table.read_bytes()
    table.write_bytes(kept.replace(b"lovely", b"lively"))
    try:
        assert main(["evaluate", found.id]) == 1
    finally:
        table.write_bytes(kept)
    now = found.refreshed()
    assert now.state is RunState.FINISHED and now.tested is None and "reviews” has changed" in now.status["test_error"]
    (checkpoint_folder(found.folder, "best")).rename(tmp_path / "gone")
    with pytest.raises(RunError, match="no checkpoint"):
        evaluable(now)


def test_rows_that_no_evaluation_looked_at_are_scored_when_asked(trained: Train) -> None:
    whole, some, none = trained(predictions="all"), trained(), trained(predictions="none")
    assert whole.result() == some.result() == none.result()
    with pytest.raises(FileNotFoundError):
        read_predictions(none.folder, "search")
    assert not [e for e in none.events() if isinstance(e, Predicted)] and none.reports("test") == some.reports("test")
    costs = {e.split: e for e in whole.events() if isinstance(e, Predicted)}
    assert {split for split, e in costs.items() if not e.evaluated} == {"train", "rest"} and costs["train"].seconds > 0
    started = whole.series().started
    for task in TASKS:
        frame, fewer = read_predictions(whole.folder, task), read_predictions(some.folder, task)
        assert frame["split"].value_counts().to_dict() == started.rows[task]
        assert frame["row"].is_unique and len(fewer[fewer["split"] == "validation"]) <= 16
        both = fewer.merge(frame, on="row", suffixes=("", "_all"))
        assert len(both) == len(fewer) and (both["loss"] == both["loss_all"]).all()
        assert predictions_file(whole.folder, task, "rest").is_file()


def test_a_rows_text_is_found_by_its_number(trained: Train, workspace: Workspace) -> None:
    found = trained()
    frame = read_predictions(found.folder, "recommended").sample(frac=1, random_state=0)
    texts = table_rows(found, "recommended", frame["row"].to_numpy())
    assert texts.index.tolist() == frame["row"].tolist()
    classes = load_predictions(found.folder, "recommended", "test")[0].spec["classes"]
    assert [classes[int(label)] for label in frame["label"]] == texts["recommended"].astype(str).tolist()
    assert set(frame["answer"]) <= set(classes)
    assert all(text.startswith(("lovely", "awful")) for text in texts["text"])
    with pytest.raises(IndexError, match="rows 0 to 149"):
        table_rows(found, "recommended", [150])
    with pytest.raises(RunError, match="no task “x”"):
        table_rows(found, "x", [0])
    gone = Run(found.folder, {**found.status, "datasets": {}})
    with pytest.raises(RunError, match="not stored in this workspace"):
        table_rows(gone, "recommended", [0])


def test_without_a_folder_nothing_is_kept(description: dict, workspace: Workspace) -> None:
    description["training"] |= {"steps": 2, "test": False}
    experiment = experiment_from_dict(description)
    events = list(train(experiment, prepare(experiment, workspace)))
    assert not [e for e in events if isinstance(e, Reported | Predicted)]
    assert isinstance(events[-1], Finished) and events[-1].test == {} and events[-1].best
