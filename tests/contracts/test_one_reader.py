"""A value is read when predicting as it was when training, however it is spelled; one that training has not seen is marked. Every kind."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtl_core.api.answers import rows_of
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.config.tables import map_task, store
from mtl_core.inference.predictor import Predictor
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.tasks import KINDS
from mtl_core.training.loop import train
from tests.contracts.small import described

CELLS = {
    "flag": (True, False),
    "code": ("1.0", "2.50"),
    "colour": (" navy ", "ecru\u200b"),
    "width": ("12,55", "1.234,5"),
    "depth": (3, 2.5),
}
"""As a file has them, in turn."""
CATEGORIES, NUMBERS = ["flag", "code", "colour"], ["width", "depth"]
SPELLINGS: dict[str, list[Any]] = {
    "flag": [True, "true", " true\n", np.True_],
    "code": [1.0, 1, "1.0", "1.0 ", np.float32(1)],
    "colour": ["navy", " navy", "na\u200bvy"],
    "width": [12.55, "12,55", " 12,55 ", "€ 12,55", np.float64(12.55)],
    "depth": [3, 3.0, "3", " 3.0", np.int64(3)],
}
"""What the first of CELLS may be spelled as; the first is as a program has it."""
every_kind = pytest.mark.parametrize("name", KINDS)


@pytest.fixture(scope="module")
def folder(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended, with a task of every kind, each with extra columns where it may have such."""
    folder = tmp_path_factory.mktemp("one_reader")
    description = described(KINDS, tiny_encoder, folder)
    description["training"] |= {"steps": 1, "evaluate_every": 1}
    for name, task in description["tasks"].items():
        file = folder / f"{name}.jsonl"
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        cells = [{column: values[i // 2 % 2] for column, values in CELLS.items()} for i in range(len(rows))]
        lines = [json.dumps(row | cell).replace('"1.0"', "1.0").replace('"2.50"', "2.50") for row, cell in zip(rows, cells, strict=True)]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        for field, columns in (("categories", CATEGORIES), ("numbers", NUMBERS)):
            if field in {f.name for f in KINDS[name].fields}:
                task["columns"][field] = columns
    experiment = experiment_from_dict(description)
    list(train(experiment, prepare(experiment, Workspace(folder / "workspace")), folder=folder / "run"))
    return folder


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return Predictor(checkpoint_folder(folder / "run", "last"), "cpu")


def row_of(predictor: Predictor, name: str, **cells: Any) -> dict[str, Any]:
    """The first row of the kind's example, with the extra columns that the task has."""
    asked = {f.name for f in predictor.fields(name)}
    extra = {c: SPELLINGS[c][0] for field, names in predictor.columns(name).items() if field in ("categories", "numbers") for c in names}
    return {f: cell for f, cell in KINDS[name].example[0].items() if f in asked} | extra | {c: v for c, v in cells.items() if c in extra}


@every_kind
def test_rows_of_the_file_are_read_as_they_were_in_training(predictor: Predictor, folder: Path, name: str) -> None:
    experiment, kind = predictor.experiment, KINDS[name]
    task = experiment.tasks[name]
    trained = map_task(task, store(experiment, task.data, Workspace(folder / "workspace"), None, False)).table
    lines = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    lines = [{column: cell for column, cell in line.items() if column != "split"} for line in lines]
    for rows in (lines, pd.DataFrame(lines)):
        asked = predictor._table(name, rows_of(predictor, name, rows)[0])
        spec = predictor._specs[name]
        wanted, found = (kind.rows.encode(table, spec, task.options) for table in (trained.select(asked.column_names), asked))
        assert found.to_pydict() == wanted.to_pydict()


@every_kind
@pytest.mark.parametrize("column", SPELLINGS)
def test_one_value_in_several_spellings(predictor: Predictor, name: str, column: str) -> None:
    rows = [row_of(predictor, name, **{column: value}) for value in SPELLINGS[column]]
    table = predictor._table(name, rows_of(predictor, name, rows)[0])
    first, *others = KINDS[name].rows.encode(table, predictor._specs[name], predictor.experiment.tasks[name].options).to_pylist()
    assert others == [first] * len(others) and not any(predictor._unseen(name, table))


@every_kind
def test_what_training_has_not_seen_is_marked(predictor: Predictor, name: str) -> None:
    if "categories" not in predictor.columns(name):
        pytest.skip("has no categories")
    unknown = {"flag": "maybe", "code": 7, "colour": "puce"}
    (answer,) = predictor.predict(name, rows_of(predictor, name, [row_of(predictor, name, **unknown)])[0])
    assert {one["column"]: one["value"] for one in answer["unseen"]} == {"flag": "maybe", "code": "7", "colour": "puce"}


@every_kind
def test_a_number_outside_those_that_training_saw_is_marked(predictor: Predictor, name: str) -> None:
    if not predictor.kinds[name].rows.ranges(predictor._specs[name]):
        pytest.skip("has no numbers of its own")
    inside, outside = ({"width": 1234.5, "depth": 2.5}, {"width": 1234.75, "depth": None})
    rows = rows_of(predictor, name, [row_of(predictor, name, **cells) for cells in (inside, outside)])[0]
    first, second = predictor.predict(name, rows)
    assert "outside" not in first
    assert second["outside"] == [{"column": "width", "value": 1234.75, "least": 12.55, "most": 1234.5}]


@every_kind
def test_texts_and_lists_in_several_spellings(predictor: Predictor, name: str) -> None:
    row = row_of(predictor, name)
    others = {}
    for field in predictor.fields(name):
        value = row.get(field.name)
        if field.type == "text" and field.required:
            others[field.name] = f"  {value}\n"
        elif field.type == "texts":
            others[field.name] = json.dumps(value) if isinstance(value, list) else value
    one, other = (predictor.predict(name, rows_of(predictor, name, [asked])[0]) for asked in (row, row | others))
    assert one == other, "the model is given the same"
