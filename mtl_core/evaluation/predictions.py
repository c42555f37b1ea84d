"""What a run's best model said to single rows, kept as Parquet: all that its metrics are made of. No torch.

<run>/predictions/<task>.<part>.parquet, of each task, written in blocks (row groups):

    row, split      number of the row in the dataset's table, from 0; train, validation or test
    group           int64, where the kind has groups: rows that are measured together, such as one ranked list
    label, scores   as by the kind's truth and scores, exactly: numbers, lists of a fixed size, or JSON where they are objects
    answer          JSON of what a person is shown first: a class, a number, a text
    loss            float32
    rank, first     of the rows whose item was ranked among a whole catalogue: its rank from 1, and the items ranked first

The file's metadata hold the task's name, its kind, options and spec with what was tuned, so that `evaluate(scores, labels, groups, spec)`
of the kind gives the run's metrics from the file alone.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mtl_core.base.files import replaced, write_atomically

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
PARTS = {"train": "train", "validation": "validation", "rest": "validation", "test": "test"}
"""Part → the split that its rows are of. rest: validation rows that no evaluation looked at."""
_TYPE, _ARRAY = "__type__", "__array__"

Types = Sequence[type]
"""The NamedTuples that a kind's scores and labels are made of (`Report.types`)."""


@dataclass(frozen=True)
class About:
    """What the rows of a file share. step: of the model; spec: with what was tuned; options: of the kind, as JSON.

    taken: of a catalogue that was ranked whole, (N,) how often training rows took each item; None where none was.
    """

    task: str
    kind: str
    part: str
    step: int
    spec: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    taken: np.ndarray | None = None


@dataclass(frozen=True)
class PredictedRows:
    """R rows. rows: (R,) their numbers; scores, labels: (R, ...); groups: (R,) int64 or None; losses: (R,); answers: R of JSON.

    ranks: (R,) int, 0 where the row's item was not ranked, or None; first: (R, k) places in the catalogue, -1 where there are no more.
    """

    rows: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None
    losses: np.ndarray
    answers: list[Any]
    ranks: np.ndarray | None = None
    first: np.ndarray | None = None


def predictions_file(run: Path, task: str, part: str) -> Path:
    """Any task's name as one that every file system takes."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", task).strip("-")[:40]
    return run / "predictions" / f"{plain or 'task'}-{hashlib.sha256(task.encode()).hexdigest()[:8]}.{part}.parquet"


def write_predictions(run: Path, about: About, blocks: Iterable[PredictedRows]) -> int:
    """Writes the file of a task and part, one row group a block, whole or not at all. Returns how many rows; without any, no file."""
    path, n_rows = predictions_file(run, about.task, about.part), 0
    tables = (_table(block, about) for block in blocks)
    if (first := next(tables, None)) is None:
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    coded = ["split", "answer"]  # of numbers a dictionary would be as large as they are
    with (
        replaced(path) as temporary,
        pq.ParquetWriter(temporary, first.schema, compression="zstd", compression_level=1, use_dictionary=coded) as writer,
    ):
        for table in chain([first], tables):
            writer.write_table(table, row_group_size=max(1, len(table)))
            n_rows += len(table)
    return n_rows


def load_predictions(run: Path, task: str, part: str, types: Types = ()) -> tuple[About, PredictedRows]:
    """One file as it was written. types: of the kind's scores and truth; what is of another comes as a dict of its fields.

    Raises FileNotFoundError: none was kept; ValueError: it is of a newer version of this program.
    """
    path = predictions_file(run, task, part)
    if not path.is_file():
        raise FileNotFoundError(f"There are no predictions of task {task!r} ({part}) in {run}: see training.predictions.")
    table = pq.read_table(path)
    metadata = {key: json.loads(table.schema.metadata[key]) for key in (b"about", b"shapes", b"spec", b"taken")}
    about = metadata[b"about"]
    if (found := about.pop("version")) > VERSION:
        raise ValueError(f"{path} has the format {found}; this program reads up to {VERSION}. Use the newer one.")
    about = About(**about, spec=metadata[b"spec"], taken=None if metadata[b"taken"] is None else np.array(metadata[b"taken"]))

    def column(name: str) -> np.ndarray:
        return _values(table[name], metadata[b"shapes"][name], types)

    groups = table["group"].to_numpy() if "group" in table.column_names else None
    ranks = table["rank"].fill_null(0).to_numpy() if "rank" in table.column_names else None
    first = None if ranks is None else column("first")
    answers = [json.loads(answer) for answer in table["answer"].to_pylist()]
    return about, PredictedRows(
        table["row"].to_numpy(), column("scores"), column("label"), groups, table["loss"].to_numpy(), answers, ranks, first
    )


def read_predictions(run: Path, task: str, types: Types = ()) -> "pd.DataFrame":
    """Every row of a task that was kept: row, split, group (where there are any), label, answer, scores, loss; and rank, of a catalogue.

    run: its folder. A row of `label` or `scores` is a number, an array, or what its JSON holds. Raises FileNotFoundError: none was kept.
    """
    import pandas as pd

    parts = [part for part in PARTS if predictions_file(run, task, part).is_file()]
    if not parts:
        raise FileNotFoundError(f"There are no predictions of task {task!r} in {run}: see training.predictions.")
    return pd.concat([_frame(load_predictions(run, task, part, types)[1], PARTS[part]) for part in parts], ignore_index=True)


def _frame(rows: PredictedRows, split: str) -> "pd.DataFrame":
    import pandas as pd

    columns: dict[str, Any] = {"row": rows.rows, "split": split}
    if rows.groups is not None:
        columns["group"] = rows.groups
    columns |= {"label": _cells(rows.labels), "answer": rows.answers, "scores": _cells(rows.scores), "loss": rows.losses}
    if rows.ranks is not None:
        columns["rank"] = pd.array(rows.ranks, dtype="Int64")
        columns["rank"][rows.ranks == 0] = pd.NA
    return pd.DataFrame(columns)


def _cells(values: np.ndarray) -> Any:
    return values if values.ndim == 1 else list(values)


# -- reports ------------------------------------------------------------------------------------------------------------------


def write_report(run: Path, split: str, reports: Mapping[str, list[dict[str, Any]]]) -> str:
    """reports: task → panels, as JSON. Returns the file's place in the run's folder."""
    (run / "reports").mkdir(parents=True, exist_ok=True)
    write_atomically(run / "reports" / f"{split}.json", json.dumps(reports, ensure_ascii=False, default=_number) + "\n")
    return f"reports/{split}.json"


def read_report(run: Path, split: str) -> dict[str, list[dict[str, Any]]] | None:
    """task → panels; None where none was written."""
    try:
        return dict(json.loads((run / "reports" / f"{split}.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


# -- columns ------------------------------------------------------------------------------------------------------------------


def _table(block: PredictedRows, about: About) -> pa.Table:
    columns, shapes = {"row": pa.array(block.rows, pa.int32()), "split": pa.array([PARTS[about.part]] * len(block.rows), pa.string())}, {}
    if block.groups is not None:
        columns["group"] = pa.array(block.groups, pa.int64())
    columns["label"], shapes["label"] = _column(block.labels)
    columns["answer"] = pa.array([_dumps(answer) for answer in block.answers], pa.string())
    columns["loss"] = pa.array(block.losses.astype(np.float32, copy=False))
    columns["scores"], shapes["scores"] = _column(block.scores)
    if block.ranks is not None and block.first is not None:
        columns["rank"] = pa.array(block.ranks, pa.int32(), mask=block.ranks == 0)
        columns["first"], shapes["first"] = _column(block.first.astype(np.int32))
    said = {"version": VERSION} | {name: getattr(about, name) for name in ("task", "kind", "part", "step", "options")}
    taken = None if about.taken is None else about.taken.tolist()
    metadata = {"about": said, "shapes": shapes, "spec": about.spec, "taken": taken}
    return pa.table(columns).replace_schema_metadata({key: _dumps(value) for key, value in metadata.items()})


def _column(values: np.ndarray) -> tuple[pa.Array, list[int] | None]:
    """A column, and the shape of one row of it; None: JSON."""
    if values.dtype == object:
        return pa.array([_dumps(value) for value in values], pa.string()), None
    if values.ndim == 1:
        return pa.array(values), []
    size = int(np.prod(values.shape[1:]))
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), size), list(values.shape[1:])


def _values(column: pa.ChunkedArray, shape: list[int] | None, types: Types) -> np.ndarray:
    if shape is None:
        found = np.empty(len(column), object)
        for row, value in enumerate(_loaded(column, types)):
            found[row] = value
        return found
    if not shape:
        return column.to_numpy()
    return pa.chunked_array([chunk.flatten() for chunk in column.chunks], column.type.value_type).to_numpy().reshape(-1, *shape)


def _loaded(column: pa.ChunkedArray, types: Types) -> Iterator[Any]:
    named = {cls.__name__: cls for cls in types}

    def made(found: dict[str, Any]) -> Any:
        if _ARRAY in found:
            return np.array(found[_ARRAY], dtype=found["dtype"])
        if (name := found.pop(_TYPE, None)) in named:
            return named[name](**found)
        return found

    return (json.loads(text, object_hook=made) for text in column.to_pylist())


def _dumps(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, default=_number)


def _plain(value: Any) -> Any:
    """What JSON has a word for; numbers keep every digit."""
    if isinstance(value, np.ndarray):
        return {_ARRAY: value.tolist(), "dtype": value.dtype.name}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {_TYPE: type(value).__name__, **{name: _plain(part) for name, part in value._asdict().items()}}
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _number(value: Any) -> Any:
    """JSON for numpy's numbers."""
    return value.item() if hasattr(value, "item") else str(value)
