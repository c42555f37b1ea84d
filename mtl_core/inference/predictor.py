"""A trained model at work: rows of fields in, answers for people out; rankings over a catalogue."""

import json
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from mtl_core.base.messages import message
from mtl_core.data.lists import things
from mtl_core.data.memory import rows_in_memory
from mtl_core.data.numbers import is_a_number
from mtl_core.data.problems import InputError
from mtl_core.data.values import as_class, as_lists, as_numbers, is_blank
from mtl_core.runtime.batches import assemble
from mtl_core.runtime.checkpoints import load_model
from mtl_core.runtime.devices import device_of, precision_of
from mtl_core.runtime.lanes import Lanes
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import Field, TaskKind, columns_of
from mtl_core.tasks.common import category_columns, number_matrix
from mtl_core.tasks.extras import KNOWLEDGE
from mtl_core.tasks.features import UNSEEN, known_codes
from mtl_core.tasks.naming import named

BLOCK_ROWS = 4096


class Predictor:
    """Thread-safe for predictions. experiment: what the model was trained with; kinds: task → its kind."""

    def __init__(self, checkpoint: Path, device: str = "auto"):
        """checkpoint: a folder as `runtime.checkpoints` writes it."""
        loaded = load_model(checkpoint)
        self.experiment, self._specs, self._tokenizer = loaded.experiment, loaded.specs, loaded.tokenizer
        self._device = device_of(device)
        self._model = loaded.model.to(self._device).train(False)
        precision = "float32" if self._device.type == "cpu" else precision_of("auto", self._device)
        self._lanes = Lanes(self._model.encoder, self._device, precision, n=1)  # few texts: speed is not worth the last digits
        self._one_task = threading.Lock()  # of an encoder that works on one task at a time, or writes
        self._template = self._model.encoder.template(self._tokenizer)
        self.kinds: dict[str, TaskKind] = {name: KINDS[task.kind] for name, task in self.experiment.tasks.items()}

    def fields(self, task: str) -> list[Field]:
        """What a row of the task consists of: the fields that were mapped when it was trained, less what only teaches."""
        mapped = columns_of(self.kinds[task].fields, self.experiment.tasks[task].columns)
        return [f for f in self.kinds[task].fields if f.name in mapped and f.asked and f.type not in ("label", "group")]

    def columns(self, task: str) -> dict[str, list[str]]:
        """Field → the columns that were mapped to it; one value each is wanted where there are several categories or numbers."""
        return columns_of(self.kinds[task].fields, self.experiment.tasks[task].columns)

    def decimals(self, task: str) -> dict[str, list[str]]:
        """Field of type number → the decimal sign that each of its columns was read with in training; "": not known."""
        found = self._specs[task].get("decimals") or {}  # checkpoints of older programs do not say
        columns = self.columns(task)
        return {f.name: found.get(f.name) or [""] * len(columns[f.name]) for f in self.fields(task) if f.type == "number"}

    def choices(self, task: str) -> dict[str, list[list[str]]]:
        """Field of type category → the values seen in training, one list a column."""
        return self.kinds[task].rows.choices(self._specs[task])

    def scores(self, task: str, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """(R, ...) as by the kind's `scores`. rows: field → value. Raises InputError."""
        return self._scores(task, self._table(task, rows)) if rows else np.empty(0, np.float32)

    def _scores(self, task: str, table: pa.Table) -> np.ndarray:
        kind, spec, options = self.kinds[task], self._specs[task], self.experiment.tasks[task].options
        encoded = kind.rows.encode(table, spec, options)
        slots = kind.rows.slots(options, self.columns(task))
        block, stores = rows_in_memory(encoded, slots, self._tokenizer, self._template.max_length)
        budget = self.experiment.training.max_tokens_per_micro_batch
        with torch.inference_mode():
            batch = assemble({task: block}, {task: stores}, self._template, budget, self._device, salt=None)
            inputs = batch.tasks[task]
            with self._one_task if self._model.sharing.by_task or self._model.encoder.continues else nullcontext():
                self._model.sharing.switch(task)
                logits = self._model.logits(task, self._lanes.encode(batch.packed), inputs)
            return kind.head.scores(logits, inputs, spec)

    def classes(self, task: str) -> list[str]:
        """The classes that a person may name, as the table spells them; empty where answers are none."""
        return self.kinds[task].report.classes(self._specs[task])

    def predict(self, task: str, rows: Sequence[Mapping[str, Any]], names: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """One answer a row, as the task's kind presents it, with `unseen` and `outside` where there is such: categories that training did
        not know, and numbers outside those that it saw, each with its column. rows: field → value; a missing value is None or left out.
        names: class → what people call it; None: as the experiment says. Of an answer that is so called, `class` is the class itself.

        Raises InputError: an unknown field, a required one missing, a value of the wrong type.
        """
        answers: list[dict[str, Any]] = []
        report, spec = self.kinds[task].report, self._specs[task]
        given = getattr(self.experiment.tasks[task].options, "class_names", {}) if names is None else names
        most = min(BLOCK_ROWS, self.kinds[task].most_rows(spec))
        for start in range(0, len(rows), most):
            table = self._table(task, rows[start : start + most], start)
            remarks = zip(self._unseen(task, table), self._outside(task, table), strict=True)
            for answer, (unseen, outside) in zip(report.answers(self._scores(task, table), named(spec, given)), remarks, strict=True):
                answers.append({**answer, **({"unseen": unseen} if unseen else {}), **({"outside": outside} if outside else {})})
        return answers

    def _unseen(self, task: str, table: pa.Table) -> list[list[dict[str, str]]]:
        """Of each row the categories that training did not know, or too rarely, and that count as unknown: {"column", "value"}."""
        found: list[list[dict[str, str]]] = [[] for _ in range(len(table))]
        names = self.columns(task)
        for field, vocabularies in self.choices(task).items():
            if field not in table.column_names:  # only mapped where training had it
                continue
            parts = category_columns(table[field])
            for name, vocabulary, column in zip(names[field], vocabularies, parts, strict=False):
                values = column.to_pylist()
                for i in np.flatnonzero(known_codes(column, vocabulary) == UNSEEN):
                    if values[i]:
                        found[i].append({"column": name, "value": values[i]})
        return found

    def _outside(self, task: str, table: pa.Table) -> list[list[dict[str, Any]]]:
        """Of each row the numbers below the least or above the largest that training saw: {"column", "value", "least", "most"}."""
        found: list[list[dict[str, Any]]] = [[] for _ in range(len(table))]
        for field, ranges in self.kinds[task].rows.ranges(self._specs[task]).items():
            if field in table.column_names:
                for name, bounds, values in zip(self.columns(task)[field], ranges, number_matrix(table[field]).T, strict=False):
                    least, most = bounds or (-np.inf, np.inf)
                    for i in np.flatnonzero((values < least) | (values > most)):
                        found[i].append({"column": name, "value": float(values[i]), "least": least, "most": most})
        return found

    def cut(self, task: str, row: Mapping[str, Any]) -> list[tuple[str, int, int, str]]:
        """The texts of a row that the model does not read to their end → (field, tokens read, tokens, the last 40 characters read).

        A text that is read together with others may be cut earlier than said here: each is looked at as if it stood alone.
        """
        most = self._template.max_length - sum(map(len, self._template.single))
        found = []
        for field in self.fields(task):
            value = row.get(field.name)
            for text in value if isinstance(value, list) else [value]:
                if field.type in ("text", "texts") and isinstance(text, str) and len(text) > most:
                    spans = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
                    if len(spans) > most:
                        found.append((field.name, most, len(spans), text[: spans[most - 1][1]][-40:]))
        return found

    def rank(self, task: str, query: Mapping[str, Any], catalogue: Sequence[Any], k: int = 10) -> list[tuple[int, float]]:
        """The `k` best of `catalogue` (values of the kind's ranked field) for `query` → [(place in the catalogue, relevance)].

        Raises InputError: the kind ranks nothing; and as `predict`.
        """
        field = self.kinds[task].ranks
        if field is None:
            raise InputError(message("The task “{task}” is not a ranking task.", task=task))
        rows, kind = [{**query, field: candidate} for candidate in catalogue], self.kinds[task]
        starts = range(0, len(rows), BLOCK_ROWS)
        parts = [kind.report.relevance(self._scores(task, self._table(task, rows[i : i + BLOCK_ROWS], i))) for i in starts]
        scores = np.concatenate(parts) if parts else np.empty(0, np.float32)
        best = np.argsort(-scores, kind="stable")[:k]
        return [(int(i), float(scores[i])) for i in best]

    def _table(self, task: str, rows: Sequence[Mapping[str, Any]], before: int = 0) -> pa.Table:
        """Rows as a table with one typed column a field. before: how many rows came before these, for messages."""
        fields, columns, decimals = {f.name: f for f in self.fields(task)}, self.columns(task), self.decimals(task)
        ignored = {f.name for f in self.kinds[task].fields} - set(fields)
        for i, row in enumerate(rows, before + 1):
            for name in row:
                if name not in fields and name not in ignored:
                    wanted = ", ".join(_called(f, columns[f]) for f in fields)
                    said = message("“{field}” is no field of this task. Expected: {wanted}.", field=_shown(name), wanted=wanted)
                    raise InputError(said, i)
        arrays = {}
        for name, field in fields.items():
            known = dict(zip(columns[name], decimals.get(name, [""] * len(columns[name])), strict=True))
            values = [_value(row.get(name), field, known, i) for i, row in enumerate(rows, before + 1)]
            arrays[name] = pa.array(values, _arrow_type(field))
        return pa.table(arrays)


def _arrow_type(field: Field) -> pa.DataType:
    single = pa.float64() if field.type == "number" else pa.string()
    return pa.list_(single) if field.type == "texts" or (field.many and field.type in ("category", "number")) else single


def _called(name: str, columns: Collection[str]) -> str:
    """A field, with the person's own columns for it."""
    return name if list(columns) == [name] else f"{name} ({', '.join(columns)})"


def _value(value: Any, field: Field, columns: Mapping[str, str], row: int) -> Any:
    """A person's value as the field's type wants it, read as a cell of a table is. columns: each with its decimal sign, or ""."""
    of_column = [replace(field, name=_called(field.name, [column])) for column in columns]  # as messages call them
    knowledge, decimals = field.name == KNOWLEDGE, list(columns.values())
    field = replace(field, name=_called(field.name, columns))
    if field.type == "texts":
        return _texts(value, field, row)
    if field.many and field.type in ("category", "number"):
        values = value if isinstance(value, (list, tuple)) else [value]
        if len(values) != len(decimals):
            raise InputError(
                message("“{field}”: expected {width} values, found {found}.", field=field.name, found=len(values), width=len(decimals)),
                row,
            )
        return [_single(*one[:2], row, one[2]) for one in zip(values, of_column, decimals, strict=True)]
    if knowledge and (
        isinstance(value, dict) or (isinstance(value, (list, tuple)) and any(isinstance(v, (dict, list, tuple)) for v in value))
    ):
        value = json.dumps(value, ensure_ascii=False)  # what is known, as a file has it
    if isinstance(value, (list, tuple)) and (knowledge or len(value) == len(columns)):  # a value of each column
        value = " ".join(said for v in value if (said := _single(v, field, row)))
    single = _single(value, field, row, decimals[0])
    if field.type == "text" and field.required and (single is None or is_blank(pa.array([single]))[0]):
        raise InputError(message("“{field}” is empty. Fill it in.", field=field.name), row)
    return single


def _texts(value: Any, field: Field, row: int) -> list[str]:
    """A list, or a cell that holds one."""
    if value is None or value == "":
        return []
    try:
        if isinstance(value, str):
            lists, broken = as_lists(pa.array([value], pa.string()))
            if broken.any():
                raise ValueError(value)
            found = [one for one in lists[0].as_py() if one]
        else:
            found = things(list(value))
    except (TypeError, ValueError) as error:
        raise InputError(
            message("“{field}”: expected a list of texts, found {found}.", field=field.name, found=_shown(value)), row
        ) from error
    return [_encoded(one, field, row) for one in found]


def _single(value: Any, field: Field, row: int, decimal: str = "") -> Any:
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return None
    if field.type != "number" and isinstance(value, (dict, list, tuple)):
        raise InputError(message("“{field}”: expected a text, found {found}.", field=field.name, found=_shown(value)), row)
    if field.type != "number":  # spelled as a JSON file has it
        text = _encoded(json.dumps(value) if isinstance(value, bool) else str(value), field, row)
        return as_class(pa.array([text]))[0].as_py() if field.type == "category" else text
    found = None
    with suppress(OverflowError, TypeError, ValueError):  # too large, or nothing that Arrow knows
        found = as_numbers(pa.array([float(value) if isinstance(value, int) else value]), decimal)
    if found is None or found.wrong.any():
        if isinstance(value, int | float) or (isinstance(value, str) and is_a_number(value)):
            said = message("“{field}”: {found} is no number from −1e30 to 1e30.", field=field.name, found=_shown(value))
        else:
            said = message("“{field}”: expected a number, found “{found}”.", field=field.name, found=_shown(value))
        raise InputError(said, row)
    if found.ambiguous.any():
        raise InputError(
            message(
                "“{field}”: “{found}” is ambiguous. Write it without thousands separators and with a decimal point.",
                field=field.name,
                found=value,
            ),
            row,
        )
    return found.values[0].as_py()


def _encoded(text: str, field: Field, row: int) -> str:
    """The text. Raises InputError: it holds half of a surrogate pair, as JSON cut within an emoji has it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(message("“{field}”: “{found}” holds half a character.", field=field.name, found=_shown(text)), row) from error
    return text


def _shown(value: Any) -> str:
    """As it may stand in a sentence."""
    return str(value)[:80].encode(errors="replace").decode()
