"""Rows of a task's own table to try a trained model on: any, one that it got right, one that it got wrong. Loads no torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from mtl_core.base.messages import message
from mtl_core.data.values import as_numbers
from mtl_core.evaluation.predictions import load_predictions, predictions_file
from mtl_core.tasks import KINDS, common
from mtl_core.tasks.base import columns_of
from mtl_core.tasks.naming import named
from mtl_core.tracking.runs import Run, RunError
from mtl_core.tracking.table_rows import places, table_rows

Wanted = Literal["any", "right", "wrong"]


@dataclass(frozen=True)
class Example:
    """row: its number in the table, from 0; file, line: where a person finds it (`table_rows.places`). values: field → what was in each of
    its columns (a text, a number, a list of texts, None). labels: column → what the table says is right, as it is written there; of an
    empty label what that means, to be translated."""

    row: int
    file: str
    line: int
    values: dict[str, list[Any]]
    labels: dict[str, str]


def has_examples(run: Run, task: str) -> bool:
    """Whether predictions of the task's validation or test rows were kept."""
    return any(predictions_file(run.folder, task, part).is_file() for part in ("test", "validation"))


def choose_row(run: Run, task: str, wanted: Wanted, seed: int) -> int:
    """A row of the test split, where the run has one, else of validation; drawn by `seed`.

    What is right the kind says (`Report.right`); of others (rankings, numbers) right are the fifth of the rows nearest to their labels
    (`Report.misses`), wrong the farthest. Raises RunError: no predictions were kept; no row is as wanted.
    """
    kind = KINDS[run.tasks[task].kind]
    part = next((p for p in ("test", "validation") if predictions_file(run.folder, task, p).is_file()), None)
    if part is None:
        raise RunError(message("The run “{run}” keeps no predictions of the task “{task}”.", run=run.id, task=task))
    about, kept = load_predictions(run.folder, task, part, kind.report.types)
    found = np.arange(len(kept.rows))
    if wanted != "any" and kind.report.right_means:
        found = np.flatnonzero(kind.report.right(kept.scores, kept.labels, dict(about.spec)) == (wanted == "right"))
    elif wanted != "any":
        misses = kind.report.misses(kept.scores, kept.labels, kept.losses)
        nearest = np.argsort(misses, kind="stable")
        fifth = max(1, len(nearest) // 5)
        found = nearest[:fifth] if wanted == "right" else nearest[-fifth:]
        found = found if wanted == "right" else found[misses[found] > 0]
    if not len(found):
        every = message("All {n} evaluated rows of the task “{task}” were answered right.", n=len(kept.rows), task=task)
        none = message("None of the {n} evaluated rows of the task “{task}” was answered right.", n=len(kept.rows), task=task)
        raise RunError(every if wanted == "wrong" else none)
    return int(kept.rows[np.random.default_rng(seed).choice(found)])


def example(run: Run, task: str, row: int) -> Example:
    """Raises RunError: the table is not stored any more, or has no such row."""
    config = run.tasks[task]
    try:
        cells = table_rows(run, task, [row]).iloc[0]
    except IndexError as error:
        raise RunError(message("The table of the task “{task}” has no row {row}.", task=task, row=row)) from error
    ((file, line),) = places(run, task, [row]).to_numpy()
    fields = KINDS[config.kind].fields
    columns = columns_of(fields, config.columns)
    given = {f.name: f for f in fields if f.name in columns}
    asked = {name for name, f in given.items() if f.asked and f.type not in ("label", "group")}
    decimals = run.specs().get(task, {}).get("decimals", {})
    signs = {c: sign for name, read in decimals.items() for c, sign in zip(columns[name], read, strict=True)}
    values = {name: [_value(cells.get(c), given[name].type, signs.get(c, "")) for c in columns[name]] for name in asked}
    if blanked := blanked_slot(run, task):
        hidden = _blank(values[blanked], np.random.default_rng(row))
        return Example(row, file, line, values, {columns[blanked][i]: word for i, word in hidden.items()})
    said = [c for name, f in given.items() if name not in asked and f.type != "group" for c in columns[name]]
    empty = KINDS[config.kind].report.said_by_no_label(config.options)
    label = next((columns[f.name] for f in fields if f.type == "label" and f.required), []) if empty else []
    labels = {c: _text(cells.get(c)) or (empty if c in label else "") for c in said}
    return Example(row, file, line, values, {c: text for c, text in labels.items() if text})


def labels_called(run: Run, task: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Labels of an `Example`, the classes in them called as people do. What the table has another word for is left out."""
    names = run.class_names(task)
    if not names or not (spec := run.specs().get(task)):
        return {}
    spec, report = named(spec, names), KINDS[run.tasks[task].kind].report
    found = {column: report.label_called(text, spec) for column, text in labels.items()}
    return {column: text for column, text in found.items() if text != labels[column]}


def blanked_slot(run: Run, task: str) -> str | None:
    """The field of a kind that is asked for hidden words, which its rows show; None: of others."""
    config = run.tasks[task]
    slots = KINDS[config.kind].rows.slots(config.options, [name for name, mapped in config.columns.items() if mapped])
    return next((slot.name for slot in slots if slot.masks), None)


def _blank(texts: list[Any], rng: np.random.Generator) -> dict[int, str]:
    """Hides one word (in Chinese one character) of the first text that has any behind ___, in place → {its place: the word}."""
    for i, text in enumerate(texts):
        if words := list(re.finditer(r"[\u3400-\u9fff]|[^\W\d_\u3400-\u9fff]{2,}", text or "")):
            word = words[int(rng.integers(len(words)))]
            texts[i] = f"{text[: word.start()]}___{text[word.end() :]}"
            return {i: word.group()}
    return {}


def lengths(run: Run, task: str, rows: int = 50) -> Mapping[str, int]:
    """Column → how many characters nine of ten values have, of the first rows; empty where the table is not stored any more."""
    try:
        for n in (rows, 10, 1):
            try:
                table = table_rows(run, task, range(n))
                break
            except IndexError:
                continue
        else:
            return {}
    except RunError:
        return {}
    return {str(c): int(np.quantile([len(_text(v)) for v in table[c]], 0.9)) for c in table.columns}


def _value(cell: Any, of: str, decimal: str = "") -> Any:
    """decimal: the sign that training read the cell's column with, if it is known."""
    if isinstance(cell, np.ndarray | list | tuple):
        return [str(part) for part in cell]
    if cell is None or cell != cell or str(cell) in ("NaT", "<NA>"):
        return [] if of == "texts" else None
    if of == "category":  # spelled as training spelled it
        return common.names(pa.chunked_array([pa.array([cell])]))[0].as_py()
    if of == "number":
        return as_numbers(pa.array([cell]), decimal).values[0].as_py()
    return str(cell)


def _text(cell: Any) -> str:
    found = _value(cell, "text")
    return ", ".join(found) if isinstance(found, list) else found or ""
