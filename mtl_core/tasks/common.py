"""What the task kinds share: columns as numpy arrays, groups as codes, and the checks that are the same for all of them."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.base.messages import Message, message
from mtl_core.data.problems import Problem, Severity
from mtl_core.data.values import NO, YES, as_text, is_blank, seen_codes
from mtl_core.tasks.base import Field

_CHARACTERS = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
WORD = rf"[{_CHARACTERS}]|[^\W{_CHARACTERS}]+"
"""What the naive baselines count: words, and characters where nothing separates words (Chinese, Japanese); both may be in one text."""
WORDS_AND_SIGNS = re.compile(rf"{WORD}|[^\w\s]")

SPLITS = {"train": message("training"), "validation": message("validation"), "test": message("test")}
_WORDS = dict.fromkeys(YES, 1.0) | dict.fromkeys(NO, 0.0)


def is_longer(text: str, most: int) -> bool:
    """Whether a text surely has more than `most` tokens: no tokenizer makes fewer of it than words and signs."""
    return len(text) > most and len(WORDS_AND_SIGNS.findall(text)) > most


# -- columns ------------------------------------------------------------------------------------------------------------------


def texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strings (dictionary-encoded ones stay so) without nulls: a missing text is empty."""
    if pa.types.is_null(column.type):
        return pa.chunked_array([pa.array([""] * len(column), pa.string())])
    return pc.fill_null(column, "")


def histories(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Lists of strings without nulls: a missing list is empty."""
    if pa.types.is_null(column.type):
        return pa.chunked_array([pa.array([[]] * len(column), pa.list_(pa.string()))])
    return pc.coalesce(column, pa.scalar([], column.type))


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without dictionary encoding."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def pairs(first: pa.ChunkedArray, second: pa.ChunkedArray) -> pa.ChunkedArray:
    """Two columns of texts as struct<a, b>."""
    return pa.table({"a": first, "b": second}).to_struct_array()


def joined(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Both texts of `pairs` in one string."""
    return pc.binary_join_element_wise(*(plain(pc.struct_field(column, name)).cast(pa.string()) for name in ("a", "b")), " ")


def category_columns(column: pa.ChunkedArray) -> list[pa.ChunkedArray]:
    """A column of values, or of lists with a value for each mapped column, as columns of strings; a missing value is \"\"."""
    return [pc.fill_null(names(part), "") for part in _parts(column)]


def number_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """(N, F) float64, nan where there is no number; from a column of numbers, or of lists with one for each mapped column."""
    parts = [numbers(part)[0] for part in _parts(column)]
    return np.stack(parts, axis=1) if parts else np.zeros((len(column), 0))


def _parts(column: pa.ChunkedArray) -> list[pa.ChunkedArray]:
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or pa.types.is_fixed_size_list(column.type)):
        return [column]
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    width = int(lengths.max(initial=0))
    if (lengths != width).any():  # a row without its list, as in a prediction: its values are missing
        rows = [(row or []) + [None] * (width - len(row or [])) for row in column.to_pylist()]
        column = pa.chunked_array([pa.array(rows, pa.list_(column.type.value_type))])
    values = pc.list_flatten(column)
    values = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    return [values.take(pa.array(np.arange(part, len(values), width))) for part in range(width)]


def fixed(values: np.ndarray) -> pa.FixedSizeListArray:
    """(N, F) as a column of fixed-size lists."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def matrix(column: pa.ChunkedArray) -> np.ndarray:
    """Inverse of `fixed`."""
    return pc.list_flatten(column).to_numpy().reshape(len(column), -1)


def is_empty(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) bool: rows whose text is missing or blank, or whose list holds no text."""
    if pa.types.is_null(column.type):
        return np.ones(len(column), dtype=bool)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        return lengths.to_numpy() == 0
    filled = texts(column)
    return is_blank(plain(filled))


def nulls(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) bool."""
    return column.is_null().to_numpy()


def numbers(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) float64 with nan where there is no number, and (N,) bool: a value that is not a finite number (nulls are not such)."""
    missing = nulls(column)
    column = plain(column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        values = pd.to_numeric(pd.Series(column.to_numpy(zero_copy_only=False), dtype=object), errors="coerce").to_numpy(
            np.float64, na_value=np.nan
        )
    elif (
        pa.types.is_boolean(column.type)
        or pa.types.is_integer(column.type)
        or pa.types.is_floating(column.type)
        or pa.types.is_decimal(column.type)
    ):
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
    else:
        values = np.full(len(column), np.nan)
    bad = ~np.isfinite(values) & ~missing
    return np.where(np.isfinite(values), values, np.nan), bad


def yes_no(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of two classes: (N,) float64 of 0, 1 or nan, and (N,) bool: neither missing nor one of 0/1, true/false, yes/no."""
    column = plain(column)
    values, bad = numbers(column)
    if bad.any() and (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        words = pd.Series(column.to_numpy(zero_copy_only=False), dtype=object)[bad].str.strip().str.lower().map(_WORDS)
        values[bad] = words.to_numpy(np.float64)
        bad &= np.isnan(values)
    bad |= ~np.isnan(values) & (values != 0) & (values != 1)
    return np.where(bad, np.nan, values), bad


def names(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values of any type as strings, null where missing or empty; whole floating numbers are written as integers."""
    column = plain(column)
    if pa.types.is_floating(column.type):
        whole = pc.all(pc.equal(column, pc.round(column))).as_py()
        finite = pc.all(pc.is_finite(column)).as_py()
        column = pc.if_else(pc.is_nan(column), None, column)
        if whole is not False and finite is not False and (pc.max(pc.abs(column)).as_py() or 0) < 2**53:
            column = column.cast(pa.int64())
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        column = column.cast(pa.string())
    column = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(column, ""), None, column)


def codes(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) int64: equal values get equal codes, in the order of appearance; every missing value is one of its own."""
    if pa.types.is_null(column.type):
        return np.arange(len(column), dtype=np.int64)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return _list_codes(column)
    found = plain(column).combine_chunks().dictionary_encode()
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    result = found.indices.to_numpy(zero_copy_only=False)
    missing = found.indices.is_null().to_numpy(zero_copy_only=False)
    result = np.where(missing, 0, result).astype(np.int64)
    result[missing] = len(found.dictionary) + np.arange(missing.sum())
    return result


def _list_codes(column: pa.ChunkedArray) -> np.ndarray:
    """`codes` of lists: two lists are equal when their values are, in order. The empty and the missing list are the same."""
    lists = histories(column).combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.combine_chunks()
    values = codes(pa.chunked_array([lists.flatten()])).astype(np.uint64) + np.uint64(1)
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    place = (np.arange(len(values)) - np.repeat(starts, lengths)).astype(np.uint64)
    with np.errstate(over="ignore"):  # a 64-bit hash of each list: mixed values, summed
        mixed = (values + place * np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
        totals = np.concatenate([[np.uint64(0)], np.cumsum(mixed, dtype=np.uint64)])
        hashes = totals[starts + lengths] - totals[starts] + lengths.astype(np.uint64)
    return pd.factorize(hashes)[0].astype(np.int64)


def _seen(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) int64: equal for what a person sees as equal; -1: nothing. Lists are equal when their values are."""
    if pa.types.is_list(column.type) and not pa.types.is_string(column.type.value_type):
        return codes(column)
    return np.zeros(len(column), np.int64) - 1 if pa.types.is_null(column.type) else seen_codes(column)[0]


def floats(values: np.ndarray) -> pa.Array:
    """(N,) float32 column, null where nan."""
    return pa.array(values.astype(np.float32), mask=np.isnan(values))


def prior(values: np.ndarray) -> float:
    """Mean of the labels that are there, kept off 0 and 1 so that its logit is finite."""
    known = values[~np.isnan(values)]
    return float(np.clip(known.mean(), 1e-4, 1 - 1e-4)) if len(known) else 0.5


def logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def yes_or_no(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is more probable, as (R,) labels 1 and 0, and how much so. probabilities: (R,) of 1."""
    return (probabilities >= 0.5).astype(np.float32), np.maximum(probabilities, 1 - probabilities)


def sample(rows: np.ndarray, limit: int) -> np.ndarray:
    """At most `limit` of the row numbers, always the same ones: naive baselines stay quick on large tables."""
    if len(rows) <= limit:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, limit, replace=False))


# -- checks -------------------------------------------------------------------------------------------------------------------


class TaskProblems:
    """Collects the problems of a table: `mask` (N,) bool of the rows concerned becomes one `Problem` with count and first line."""

    def __init__(self, table: pa.Table, split: np.ndarray):
        self.problems: list[Problem] = []
        self.table = table
        self.split = np.asarray(split, dtype=str)
        self._lines = table["_line"].to_numpy() if "_line" in table.column_names else None

    def rows(self, severity: Severity, code: str, column: str, mask: np.ndarray, why: Message, remedy: Message) -> bool:
        """Reports the rows of `mask`; `why` gets {count} and {of}. Returns whether there are any."""
        count = int(np.count_nonzero(mask))
        if count:
            why = replace(why, values={"count": count, "of": len(mask), **why.values})
            line = None if self._lines is None else int(self._lines[int(np.argmax(mask))])
            self.problems.append(Problem(severity, code, why, remedy, line=line, column=column, count=count))
        return count > 0

    def table_wide(self, severity: Severity, code: str, column: str | None, why: Message, remedy: Message) -> None:
        self.problems.append(Problem(severity, code, why, remedy, column=column, count=self.table.num_rows))

    def fields(self, fields: tuple[Field, ...]) -> bool:
        """Required fields without a column. Returns whether all are there."""
        missing = [f for f in fields if f.required and f.name not in self.table.column_names]
        for field in missing:
            self.table_wide(
                Severity.ERROR,
                "field_missing",
                field.name,
                message("No column is mapped to the field “{field}”.", field=field.name),
                message("Choose a column for it."),
            )
        return not missing

    def texts(self, field: str, only: bool = False) -> None:
        """All texts empty: an error; some: a warning. only: nothing else is read, so that such rows are left out."""
        if field not in self.table.column_names or not self.table.num_rows:
            return
        empty = is_empty(self.table[field])
        if empty.all():
            self.rows(
                Severity.ERROR,
                "texts_empty",
                field,
                empty,
                message("Every text is empty."),
                message("Choose a column that holds texts."),
            )
        else:
            self.rows(
                Severity.WARNING,
                "text_empty",
                field,
                empty,
                message("{count} of {of} rows have an empty text."),
                message("This task ignores them.")
                if only
                else message("No action needed if the other fields are enough; otherwise fill in the texts or remove the rows."),
            )

    def yes_no(self, field: str) -> tuple[np.ndarray, np.ndarray]:
        """`yes_no` of a field's column; reports values of another type."""
        column = self.table[field]
        values, bad = yes_no(column)
        example = shorten(column[int(np.argmax(bad))].as_py()) if bad.any() else ""
        self.rows(
            Severity.ERROR,
            "label_type",
            field,
            bad,
            message("{count} labels are neither 0 nor 1; the first is “{found}”.", found=example),
            message("Labels may be 0 and 1, true and false, or yes and no."),
        )
        return values, bad

    def labels(self, known: np.ndarray) -> bool:
        """known: (N,) bool, rows with a usable label. Missing labels, and splits without any. Returns whether training has some."""
        labelled = {part: bool((known & (self.split == part)).any()) for part in ("train", "validation", "test")}
        if not labelled["train"]:
            self.table_wide(
                Severity.ERROR,
                "no_training_rows",
                "label",
                message("No training row has a label."),
                message("Choose another label column or another split."),
            )
        for part in ("validation", "test"):
            if not labelled[part] and labelled["train"]:
                why = (
                    message("No validation row has a label, so the best step cannot be chosen.")
                    if part == "validation"
                    else message("No test row has a label, so the result cannot be measured.")
                )
                self.table_wide(Severity.WARNING, "no_rows_in_split", "label", why, message("Give that split a larger fraction."))
        self.rows(
            Severity.WARNING,
            "label_missing",
            "label",
            nulls(self.table["label"]),
            message("{count} of {of} rows have no label."),
            message("This task ignores them; other tasks on the same table still use them."),
        )
        return labelled["train"]

    def two_labels(self, fields: tuple[str, ...], labels: pa.ChunkedArray | pa.Array, swapped: bool = False) -> None:
        """Rows that say the same, as a person sees it, and whose labels are not the same. fields: texts that the label is about; extra
        columns that are mapped count too; labels: (N,), nulls are left out; swapped: the first two texts may change places."""
        labels = pa.chunked_array([labels]) if isinstance(labels, pa.Array) else labels
        given = [name for name in fields if name in self.table.column_names]
        said = [_seen(self.table[name]) for name in given]
        if swapped:
            both = seen_codes(pa.chunked_array([*(as_text(plain(self.table[name])).combine_chunks() for name in given)]))[0]
            said = list(np.sort(both.reshape(2, -1), axis=0))
        used = ~nulls(labels) & (self.split != "") & (np.min(said, axis=0) >= 0)
        extra = {name: self.table[name] for name in ("categories", "numbers", "knowledge") if name in self.table.column_names}
        if "categories" in extra:
            said += [seen_codes(column)[0] for column in category_columns(extra["categories"])]
        if "numbers" in extra:
            said += [pd.factorize(column)[0] for column in number_matrix(extra["numbers"]).T]
        if "knowledge" in extra:
            said.append(_seen(extra["knowledge"]))
        of_row = pd.factorize(pd.MultiIndex.from_arrays(said))[0] if len(said) > 1 else said[0]
        frame = pd.DataFrame({"text": of_row, "label": codes(labels)})[used].drop_duplicates()
        double = frame["text"][frame["text"].duplicated()].unique()
        if not len(double):
            return
        mask = np.isin(of_row, double) & used
        rows = np.flatnonzero(mask & (of_row == double[0]))
        found = dict.fromkeys(as_text(labels.take(pa.array(rows))).to_pylist())
        self.rows(
            Severity.WARNING,
            "same_text_other_label",
            "label",
            mask,
            message(
                "{texts} texts stand in several rows with different labels, {count} rows in all: “{text}” is {found}.",
                texts=len(double),
                text=" · ".join(shorten(as_text(self.table[name].slice(int(rows[0]), 1))[0].as_py()) for name in given),
                found=", ".join(f"“{shorten(one)}”" for one in list(found)[:3]),
            ),
            message("No model can answer all of them. Correct the labels, or choose another kind if a text may have several."),
        )

    def two_classes(self, values: np.ndarray) -> None:
        """values: (N,) targets, nan = none. One class among the training rows: an error; in another split: a warning."""
        for part in ("train", "validation", "test"):
            found = np.unique(values[(self.split == part) & ~np.isnan(values)] > 0)
            if len(found) != 1:
                continue
            if part == "train":
                self.table_wide(
                    Severity.ERROR,
                    "one_class",
                    "label",
                    message("All training rows have the same label, so there is nothing to learn."),
                    message("Choose another label column, or add rows with another label."),
                )
            else:
                self.table_wide(
                    Severity.WARNING,
                    "one_class_in_split",
                    "label",
                    message("All rows of the split “{split}” have the same label; some metrics are undefined there.", split=SPLITS[part]),
                    message("Give that split a larger fraction, or split differently."),
                )


def check_yes_no(findings: TaskProblems, both: bool = True) -> None:
    """The checks of a label with two classes: type, missing and, where `both` must be there, one class."""
    values, bad = findings.yes_no("label")
    if bad.all() and len(bad):
        return
    if findings.labels(~np.isnan(values)) and both:
        findings.two_classes(values)


def shorten(value: Any, length: int = 40) -> str:
    """A cell's content as it may stand in a sentence."""
    text = " ".join(str(value).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def located(problems: list[Problem], columns: Mapping[str, list[str]], file: str | None = None) -> list[Problem]:
    """`problems` with the table's own column names in the place of field names, and the file's name. `numbers.1`: the second of a field."""
    single = {f"{field}.{place}": [name] for field, names in columns.items() for place, name in enumerate(names)}

    def named(fields: str | None) -> str | None:
        parts = [", ".join(columns.get(field) or single.get(field, [field])) for field in fields.split(", ")] if fields else []
        return ", ".join(parts) or fields

    return [replace(p, file=p.file or file, column=named(p.column)) for p in problems]
