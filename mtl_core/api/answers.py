"""Rows to predict on, as notebooks have them, to what a `Predictor` takes: field → value. No torch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
import pyarrow as pa

from mtl_core.base.messages import message
from mtl_core.data.problems import InputError
from mtl_core.tasks.base import Field

if TYPE_CHECKING:
    from mtl_core.inference.predictor import Predictor

RowsLike: TypeAlias = "str | Mapping[str, Any] | Sequence[str] | Sequence[Mapping[str, Any]] | pd.Series[Any] | pd.DataFrame | pa.Table"
"""Rows to predict on: texts, dicts of field (or column) → value, or a table."""


def rows_of(predictor: "Predictor", task: str, rows: RowsLike) -> tuple[list[dict[str, Any]], pd.Index]:
    """The rows as field → value, and the labels of their index.

    Texts fill the one text that the task asks for. Names of columns that the task was trained on stand for their field; columns of a
    table that the task does not use are left out.

    Raises:
        InputError: texts where the task asks for more than one text.
    """
    if isinstance(rows, str | Mapping):
        return rows_of(predictor, task, [rows])
    fields, columns = predictor.fields(task), predictor.columns(task)
    if isinstance(rows, pa.Table):
        return [_renamed(row, fields, columns, whole=True) for row in rows.to_pylist()], pd.RangeIndex(rows.num_rows)
    if isinstance(rows, pd.DataFrame):
        cells = rows.astype(object).where(rows.notna(), None).to_dict("records")
        return [_renamed(row, fields, columns, whole=True) for row in cells], rows.index
    index = rows.index if isinstance(rows, pd.Series) else pd.RangeIndex(len(rows))
    only = None
    given = []
    for row in rows:
        if isinstance(row, Mapping):
            given.append(_renamed(row, fields, columns, whole=False))
        else:
            only = only or _only_text(task, fields)
            given.append({only: None if is_missing(row) else str(row)})
    return given, index


def candidates_of(predictor: "Predictor", task: str, field: str, catalogue: RowsLike) -> tuple[list[Any], pd.Index]:
    """The values of `field` to rank, and the labels of their index. Texts are such values; of tables and dicts see `rows_of`."""
    if isinstance(catalogue, pd.DataFrame | pa.Table):
        rows, index = rows_of(predictor, task, catalogue)
        return [row.get(field) for row in rows], index
    wanted, columns = [f for f in predictor.fields(task) if f.name == field], predictor.columns(task)
    values = [_renamed(one, wanted, columns, whole=True).get(field) if isinstance(one, Mapping) else one for one in catalogue]
    values = [None if is_missing(value) else value for value in values]
    return values, catalogue.index if isinstance(catalogue, pd.Series) else pd.RangeIndex(len(values))


def is_missing(value: Any) -> bool:
    """None, and what pandas and numpy have in its place: nan, NaT, NA."""
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _renamed(row: Mapping[Any, Any], fields: Sequence[Field], columns: Mapping[str, list[str]], whole: bool) -> dict[str, Any]:
    """Field → value, by the columns of each field where the row has all of them, else by its own name, else by those of its columns that
    are there; whole: what else is there is not meant for the task, as columns of labels never are."""
    found: dict[str, Any] = {}
    asked = {field.name for field in fields}
    used: set[Any] = {name for field, names in columns.items() if field not in asked for name in names}
    for field in fields:
        names = columns[field.name]
        if all(name in row for name in names):
            found[field.name] = row[names[0]] if len(names) == 1 else [row[name] for name in names]
            used.update(names)
        elif field.name in row:
            found[field.name] = row[field.name]
            used.add(field.name)
        elif any(name in row for name in names):
            found[field.name] = [row.get(name) for name in names]
            used.update(names)
    return found if whole else found | {str(name): value for name, value in row.items() if name not in used and str(name) not in found}


def _only_text(task: str, fields: Sequence[Field]) -> str:
    texts = [f for f in fields if f.type in ("text", "texts")]
    texts = [f for f in texts if f.required] or texts
    if len(texts) != 1 or any(f.required and f is not texts[0] for f in fields):
        names = ", ".join(f.name for f in fields)
        raise InputError(
            message("A text alone is not enough for the task “{task}”. Give each row a value of {fields}.", task=task, fields=names)
        )
    return texts[0].name
