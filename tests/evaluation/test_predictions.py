"""Predictions of single rows: what is written comes back, whatever it is made of, and is found by the task's name."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest

from mtl_core.evaluation import predictions
from mtl_core.evaluation.predictions import About, PredictedRows, load_predictions, predictions_file, read_predictions, write_predictions


class Span(NamedTuple):
    start: int
    name: str
    share: float


def rows(numbers: list[int], scores: Any, labels: Any, groups: list[int] | None = None, **more: Any) -> PredictedRows:
    own = None if groups is None else np.array(groups)
    losses = np.linspace(0, 1, len(numbers), dtype=np.float32)
    return PredictedRows(np.array(numbers, np.int32), scores, labels, own, losses, [f"answer {n}" for n in numbers], **more)


def objects(*values: Any) -> np.ndarray:
    found = np.empty(len(values), object)
    for place, value in enumerate(values):
        found[place] = value
    return found


def about(task: str = "a task", part: str = "test", **more: Any) -> About:
    return About(task, "some kind", part, 7, {"classes": ["衣服", "b"], "threshold": 0.1 + 0.2}, {"dropout": 0.1}, **more)


NUMBERS = {
    "float32": np.array([0.1, math.nan, math.inf], np.float32),
    "int64": np.array([2**60, -1, 0]),
    "bool": np.array([True, False, True]),
    "matrix": np.random.default_rng(0).random((3, 4), np.float32),
    "cube": np.arange(24, dtype=np.float64).reshape(3, 2, 4),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_come_back_bit_for_bit(tmp_path: Path, name: str) -> None:
    values = NUMBERS[name]
    assert write_predictions(tmp_path, about(), [rows([5, 6, 9], values, values[::-1])]) == 3
    said, found = load_predictions(tmp_path, "a task", "test")
    assert said == about()
    for kept, wanted in ((found.scores, values), (found.labels, values[::-1])):
        assert kept.dtype == wanted.dtype and kept.shape == wanted.shape and kept.tobytes() == wanted.tobytes()
    assert found.groups is None and found.rows.tolist() == [5, 6, 9] and found.answers == ["answer 5", "answer 6", "answer 9"]


def test_objects_come_back_with_their_types(tmp_path: Path) -> None:
    spans = objects([Span(1, "“é”", 1 / 3), Span(2, "", math.inf)], [])
    written = objects({"losses": np.array([0.1, 0.7], np.float32), "tokens": np.array(["a", None], object)}, {"losses": np.empty(0)})
    write_predictions(tmp_path, about(), [rows([0, 1], spans, written)])
    found = load_predictions(tmp_path, "a task", "test", [Span])[1]
    assert found.scores.tolist() == spans.tolist() and isinstance(found.scores[0][0], Span)
    for kept, wanted in zip(found.labels, written, strict=True):
        assert kept.keys() == wanted.keys()
        assert all(kept[key].dtype == wanted[key].dtype and kept[key].tolist() == wanted[key].tolist() for key in wanted)
    assert load_predictions(tmp_path, "a task", "test")[1].scores[0][0] == {"start": 1, "name": "“é”", "share": 1 / 3}


def test_a_block_is_a_row_group_and_nothing_is_held_beside_it(tmp_path: Path) -> None:
    made: list[int] = []

    def blocks() -> Iterator[PredictedRows]:
        for start in range(0, 12, 4):
            made.append(start)
            numbers = list(range(start, start + 4))
            yield rows(numbers, np.array(numbers, np.float32), np.array(numbers), [start] * 4)

    assert write_predictions(tmp_path, about(), blocks()) == 12
    with pq.ParquetFile(predictions_file(tmp_path, "a task", "test")) as file:
        assert file.num_row_groups == 3
    frame = read_predictions(tmp_path, "a task")
    assert list(frame.columns) == ["row", "split", "group", "label", "answer", "scores", "loss"]
    assert frame["row"].tolist() == list(range(12)) and frame["group"].tolist() == [0] * 4 + [4] * 4 + [8] * 4


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> Iterator[PredictedRows]:
        yield rows([0], np.zeros(1), np.zeros(1))
        raise OSError("The disk is full")

    assert write_predictions(tmp_path, about(), []) == 0
    with pytest.raises(OSError, match="full"):
        write_predictions(tmp_path, about(), broken())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    with pytest.raises(FileNotFoundError, match=r"no predictions of task 'a task'.*training\.predictions"):
        read_predictions(tmp_path, "a task")


def test_parts_are_read_together(tmp_path: Path) -> None:
    for part, number in (("test", 1), ("rest", 2), ("train", 3), ("validation", 4)):
        write_predictions(tmp_path, about(part=part), [rows([number], np.ones((1, 2), np.float32), np.zeros(1))])
    frame = read_predictions(tmp_path, "a task")
    assert dict(zip(frame["row"], frame["split"], strict=True)) == {3: "train", 4: "validation", 2: "validation", 1: "test"}
    assert all(scores.tolist() == [1, 1] for scores in frame["scores"])


def test_any_name_has_a_file_of_its_own(tmp_path: Path) -> None:
    names = ["a b", "a-b", "a_b", "A b", "意图", "意图 2", "é", "e\u0301", "x" * 64, "CON", "a b "]
    files = [predictions_file(tmp_path, name, "test").name for name in names]
    assert len({file.lower() for file in files}) == len(names)
    assert all(file.isascii() and " " not in file and len(file) < 80 for file in files)
    write_predictions(tmp_path, about("意图"), [rows([0], np.zeros(1), np.zeros(1))])
    assert load_predictions(tmp_path, "意图", "test")[0].task == "意图"


def test_ranks_of_a_catalogue(tmp_path: Path) -> None:
    ranks, first = np.array([0, 3]), np.array([[-1, -1], [4, -1]])
    some = rows([0, 1], np.zeros(2, np.float32), np.array([0.0, 1.0]), ranks=ranks, first=first)
    write_predictions(tmp_path, about(taken=np.array([5, 0, 2])), [some])
    said, found = load_predictions(tmp_path, "a task", "test")
    assert said.taken is not None and said.taken.tolist() == [5, 0, 2]
    assert found.ranks is not None and found.first is not None
    assert found.ranks.tolist() == [0, 3] and found.first.tolist() == first.tolist()
    assert read_predictions(tmp_path, "a task")["rank"].fillna(-1).tolist() == [-1, 3]


def test_a_newer_format_is_refused_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_predictions(tmp_path, about(), [rows([0], np.zeros(1), np.zeros(1))])
    monkeypatch.setattr(predictions, "VERSION", 0)
    with pytest.raises(ValueError, match="format 1; this program reads up to 0"):
        read_predictions(tmp_path, "a task")
