"""Rows of the table to try a model on: right, wrong, any; values as the form takes them."""

from pathlib import Path

import numpy as np
import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict, experiment_from_yaml
from mtl_core.config.tables import store
from mtl_core.evaluation.predictions import About, PredictedRows, write_predictions
from mtl_core.tracking import examples
from mtl_core.tracking.runs import Run, RunError, create_run
from mtl_core.tracking.table_rows import places

EXPERIMENT = experiment_from_yaml("""
name: mood
data: {t: {file: t.csv}}
tasks:
  mood: {kind: classification, data: t, columns: {text: [title, body], label: mood, categories: shop, numbers: price}}
""")


@pytest.fixture
def found(workspace: Workspace, tmp_path: Path) -> Run:
    """Rows 0 to 39 of a table; the model says class 1 to all of rows 10 to 19, whose classes are 0 and 1 in turn."""
    lines = [f"title {i},{'word ' * 30},{'ab'[i % 2]},{7 if i % 3 else ''},{i}.5" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["title,body,mood,shop,price", *lines]), encoding="utf-8")
    made = create_run(EXPERIMENT, workspace, tmp_path)
    dataset = store(EXPERIMENT, "t", workspace, tmp_path, False)
    made.status["datasets"] = {"t": dataset.hash}
    rows = np.arange(10, 20)
    scores = np.tile(np.array([[0.2, 0.8]], np.float32), (10, 1))
    labels = (rows % 2).astype(np.int64)
    losses = np.where(labels == 1, 0.2, 1.6).astype(np.float32)
    spec = {"classes": ["a", "b"], "out_of_scope": ""}
    block = PredictedRows(rows, scores, labels, None, losses, ["b"] * 10)
    write_predictions(made.folder, About("mood", "classification", "test", 5, spec), [block])
    return made


@pytest.mark.parametrize("seed", range(5))
def test_right_and_wrong_rows(found: Run, seed: int) -> None:
    assert examples.has_examples(found, "mood")
    assert examples.choose_row(found, "mood", "right", seed) in {11, 13, 15, 17, 19}
    assert examples.choose_row(found, "mood", "wrong", seed) in {10, 12, 14, 16, 18}
    assert 10 <= examples.choose_row(found, "mood", "any", seed) < 20


def test_a_wrong_row_that_is_not_there_is_said(found: Run) -> None:
    """A row that was answered right is never offered as a wrong one."""
    labels, scores = np.array([1, 1]), np.tile(np.array([[0.2, 0.8]], np.float32), (2, 1))
    block = PredictedRows(np.array([11, 13]), scores, labels, None, np.array([0.2, 0.3], np.float32), ["b"] * 2)
    write_predictions(found.folder, About("mood", "classification", "test", 5, {"classes": ["a", "b"], "out_of_scope": ""}), [block])
    assert examples.choose_row(found, "mood", "right", 0) in {11, 13}
    with pytest.raises(RunError, match="All 2 evaluated rows of the task “mood” were answered right"):
        examples.choose_row(found, "mood", "wrong", 0)


def test_a_number_is_predicted_badly_by_what_is_shown(workspace: Workspace, tmp_path: Path) -> None:
    """The loss is of the number before it is clipped: 1 of 1 star has the highest. All right: none is bad."""
    task = {"kind": "regression", "data": "t", "columns": {"text": "text", "label": "stars"}}
    made = create_run(experiment_from_dict({"data": {"t": {"file": "t.csv"}}, "tasks": {"stars": task}}), workspace, tmp_path)
    about, rows, labels = About("stars", "regression", "test", 5, {}), np.arange(3), np.array([1.0, 3.0, 5.0])
    for scores, bad in ((np.array([1, 2.5, 5], np.float32), 1), (np.array([1, 3, 5], np.float32), None)):
        losses = np.array([9, 1, 0.5], np.float32)
        write_predictions(made.folder, about, [PredictedRows(rows, scores, labels, None, losses, scores.tolist())])
        if bad is not None:
            assert {examples.choose_row(made, "stars", "wrong", seed) for seed in range(4)} == {bad}
        else:
            with pytest.raises(RunError, match="All 3 evaluated rows"):
                examples.choose_row(made, "stars", "wrong", 0)


def test_without_kept_predictions(found: Run, workspace: Workspace, tmp_path: Path) -> None:
    other = create_run(EXPERIMENT, workspace, tmp_path)
    assert not examples.has_examples(other, "mood")
    with pytest.raises(RunError, match="keeps no predictions"):
        examples.choose_row(other, "mood", "any", 0)
    with pytest.raises(RunError, match="not stored"):
        examples.example(other, "mood", 0)
    assert examples.lengths(other, "mood") == {}


def test_a_row_as_the_form_takes_it(found: Run) -> None:
    row = examples.example(found, "mood", 13)
    assert row.labels == {"mood": "b"} and examples.blanked_slot(found, "mood") is None
    assert row.values["text"][0] == "title 13" and row.values["text"][1].startswith("word word")
    assert row.values["categories"] == ["7"] and row.values["numbers"] == [13.5]
    assert examples.example(found, "mood", 12).values["categories"] == [None]
    with pytest.raises(RunError, match="no row 40"):
        examples.example(found, "mood", 40)


def test_a_row_is_called_as_an_editor_counts_its_lines(workspace: Workspace, tmp_path: Path) -> None:
    """From 1, with the header and the lines within a cell, in the part's own file: as `check` says it."""
    (tmp_path / "t.csv").write_text('title,body,mood,shop,price\na,"x\ny",a,7,1\nc,d,b,7,2\n', encoding="utf-8")
    (tmp_path / "v.csv").write_text("title,body,mood,shop,price\ne,f,b,7,3\n", encoding="utf-8")
    values = EXPERIMENT.model_dump(mode="json")
    values["data"]["t"]["split"] = {"by": "files", "validation_file": "v.csv"}
    made = create_run(parts := experiment_from_dict(values), workspace, tmp_path)
    dataset = store(parts, "t", workspace, tmp_path, False)
    made.status["datasets"] = {"t": dataset.hash}
    assert places(made, "mood", [2, 0, 1]).values.tolist() == [["t/validation", 2], ["t", 2], ["t", 4]]
    row = examples.example(made, "mood", 2)
    assert (row.file, row.line, row.values["text"]) == ("t/validation", 2, ["e", "f"])


def test_a_row_of_masked_words_hides_one_and_says_which(workspace: Workspace, tmp_path: Path) -> None:
    values = {"name": "words", "data": {"t": {"file": "t.csv"}}}
    task = {"kind": "masked_language_modelling", "data": "t", "columns": {"text": ["title", "body"]}}
    experiment = experiment_from_dict({**values, "tasks": {"words": task}})
    lines = [*(f"5,wool coat {i} a" for i in range(20)), *("雨衣好,x" for _ in range(20))]
    (tmp_path / "t.csv").write_text("\n".join(["title,body", *lines]), encoding="utf-8")
    made = create_run(experiment, workspace, tmp_path)
    made.status["datasets"] = {"t": store(experiment, "t", workspace, tmp_path, False).hash}
    assert examples.blanked_slot(made, "words") == "text"
    row = examples.example(made, "words", 3)
    ((column, word),) = row.labels.items()
    assert column == "body" and word in {"wool", "coat"}
    assert row.values["text"] == ["5", "wool coat 3 a".replace(word, "___")] == examples.example(made, "words", 3).values["text"]
    chinese = examples.example(made, "words", 30)
    assert chinese.labels["title"] in "雨衣好" and chinese.values["text"][0] == "雨衣好".replace(chinese.labels["title"], "___")


def test_numbers_of_a_row_are_read_as_training_read_their_column(found: Run, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("title;body;mood;shop;price\na;b;a;7;1.125\nc;d;b;7;0,5\n", encoding="utf-8")
    found.status["datasets"] = {"t": store(EXPERIMENT, "t", workspace, tmp_path, False).hash}
    best = found.folder / "checkpoints" / "best"
    best.mkdir(parents=True)
    (best / "specs.json").write_text('{"mood": {"decimals": {"numbers": [","]}}}')
    assert [examples.example(found, "mood", row).values["numbers"] for row in (0, 1)] == [[1125.0], [0.5]]


def test_an_empty_label_that_means_something_is_said(workspace: Workspace, tmp_path: Path) -> None:
    """No answer is an answer; of others an empty label is none."""
    task = {"kind": "question_answering", "data": "t", "columns": {"question": "q", "passage": "p", "answer": "a"}}
    for means, labels in (("no_answer", {"a": "no answer"}), ("not_labelled", {})):
        values = {"data": {"t": {"file": "t.csv"}}, "tasks": {"qa": {**task, "options": {"empty_means": means}}}}
        (tmp_path / "t.csv").write_text("q,p,a\nwhat?,a red bag,red\nhow?,a red bag,\n", encoding="utf-8")
        made = create_run(experiment := experiment_from_dict(values), workspace, tmp_path)
        made.status["datasets"] = {"t": store(experiment, "t", workspace, tmp_path, False).hash}
        assert examples.example(made, "qa", 0).labels == {"a": "red"}
        assert examples.example(made, "qa", 1).labels == labels


def test_lengths_of_the_columns(found: Run) -> None:
    lengths = examples.lengths(found, "mood")
    assert lengths["title"] == 7 and lengths["body"] == 150  # of the first ten rows, as there are no fifty


@pytest.mark.parametrize(
    ("cell", "of", "wanted"),
    [
        (None, "text", None),
        (float("nan"), "number", None),
        (float("nan"), "texts", []),
        (True, "category", "true"),
        (12, "category", "12"),
        ("12", "number", 12.0),
        ("12,55", "number", 12.55),
        ("dear", "number", None),
        (["a", "b"], "texts", ["a", "b"]),
        (np.array(["a"], object), "texts", ["a"]),
    ],
)
def test_cells(cell: object, of: str, wanted: object) -> None:
    assert examples._value(cell, of) == wanted
