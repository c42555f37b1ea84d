"""Which column fills which field of a task kind, by its name, and columns turned into those of the types that kinds read."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import reduce
from typing import Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.base.messages import N_, Message, message
from mtl_core.data.numbers import MISSING, Numbers, currencies, is_a_number
from mtl_core.data.places import LINE, of_file, place
from mtl_core.data.problems import Problem, Severity
from mtl_core.data.values import Column, as_class, as_grades, as_lists, as_number, as_numbers, as_text, codes_of, flags, is_text

Remark: TypeAlias = tuple[str, Severity, np.ndarray, Message, Message]
"""Code, severity, rows, why, remedy."""


class FieldLike(Protocol):
    """`mtl_core.tasks.base.Field`, which lies a floor above."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def required(self) -> bool: ...
    @property
    def many(self) -> bool: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def holds(self) -> str: ...
    @property
    def suggested(self) -> bool: ...


@dataclass(frozen=True)
class _Facts:
    """What a sample says of a column. length: mean characters of a value."""

    numeric: bool
    lists: bool
    length: float
    distinct: int
    filled: int

    @property
    def is_key(self) -> bool:
        """As many values as rows: an identifier or a running number (or a real number)."""
        return self.distinct == self.filled and self.filled > 20


def suggest(columns_sample: pa.Table, fields: Sequence[FieldLike]) -> dict[str, list[str]]:
    """Columns for the fields, by their names first, then by what they hold. Fields that nothing fits are left out. For a table that does
    not suit the kind by what it holds; what does is said by `mtl_core.config.suggestions`, which calls this last.

    columns_sample: the first rows of the table (1,000 are plenty).
    """
    fields = [field for field in fields if field.suggested]
    facts = {name: _facts(columns_sample.column(name)) for name in of_file(columns_sample.column_names)}
    found: dict[str, list[str]] = {}
    used: set[str] = set()

    def take(field: FieldLike, columns: list[str]) -> None:
        found[field.name] = columns
        used.update(columns)

    named = [(_name_score(c, f), -i, f, c) for i, f in enumerate(fields) for c in facts if _holds(facts[c], f)]
    # Where names fit in full, required fields choose first: the only label of a table is not an optional second one.
    for score, _, field, column in sorted(named, key=lambda x: (x[0] < _FULL_NAME or not x[2].required, -x[0], -x[1])):
        if score > 0 and column not in used and field.name not in found:
            columns = [column]
            if field.many and field.type == "text":
                columns += [
                    c for s, _, f, c in named if f is field and s >= _FULL_NAME and c not in used and c != column and not facts[c].numeric
                ]
            take(field, columns)
    for field in fields:
        free = [c for c in facts if c not in used and _holds(facts[c], field)]
        if field.many and field.type in ("category", "number"):
            chosen = found.get(field.name, [])
            more = [c for c in free if _belongs(facts[c], field.type, c)]
            if more:
                take(field, [c for c in facts if c in (*chosen, *more)])
        elif field.name not in found and field.required and free:
            if field.type in ("text", "texts"):
                take(field, [max(free, key=lambda c: facts[c].length)])
            elif field.type == "label" and (
                few := [c for c in free if facts[c].distinct > 1 and facts[c].length < 40 and not facts[c].is_key]
            ):
                take(field, [min(reversed(few), key=lambda c: facts[c].distinct)])
    return found


def _facts(column: pa.ChunkedArray) -> _Facts:
    values = pc.drop_null(column)
    lists = pa.types.is_list(column.type)
    if not len(values):
        return _Facts(False, lists, 0, 0, 0)
    texts = as_text(values.cast(pa.list_(pa.string())) if lists else values)
    numeric = False
    if not lists:
        numbers, wrong = as_number(column)
        numeric = wrong.sum() <= 0.05 * len(values) and numbers.null_count < len(column) and not _is_truth(texts)
    return _Facts(numeric, lists, pc.mean(pc.utf8_length(texts)).as_py() or 0, pc.count_distinct(texts).as_py(), len(values))


def _is_truth(texts: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.is_in(pc.utf8_lower(texts), pa.array(["true", "false"]))).as_py())


def _holds(facts: _Facts, field: FieldLike) -> bool:
    """Whether a column can fill a field at all."""
    if field.type == "texts":
        return facts.lists or not facts.numeric
    if facts.lists:
        return field.holds == "tags"
    if field.type == "number" or field.holds == "number":
        return facts.numeric
    return not facts.numeric if field.type == "text" else facts.filled > 0


def _belongs(facts: _Facts, kind: str, column: str) -> bool:
    if re.search(r"(^|[_\s])(id|no|index|unnamed.*)$", column.lower()):
        return False
    if kind == "category":
        return not facts.numeric and facts.length < 40 and 1 < facts.distinct <= max(2, facts.filled // 4)
    return facts.distinct > 1


_FULL_NAME = 50.0


def _name_score(column: str, field: FieldLike) -> float:
    """100 the field's own name, 99 … 50 an alias, less when a word of the name is one, 0 otherwise."""
    names = [_squeezed(n) for n in (field.name, *field.aliases)]
    if _squeezed(column) in names:
        return 100.0 - min(names.index(_squeezed(column)), 50)
    words = [w.lower() for w in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_a-zA-Z]+", column)]
    hits = [i for i, n in enumerate(names) if n in words and len(n) > 2]
    return 40.0 - min(hits[0], 30) if hits else 0.0


def _squeezed(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def map_columns(
    table: pa.Table, fields: Sequence[FieldLike], mapping: Mapping[str, str | Sequence[str]], file: str | None = None
) -> tuple[pa.Table, list[Problem]]:
    """One column for each mapped field, and `_line`.

    mapping: field → column or columns. file: for messages.
    Types: text string (several columns joined by a space) or dictionary string; texts list<string> (or of dictionary); category and
    group string; number float64; label by what it holds: a class string, a number or grade float64 (a grade
    column that has something else string), tags list<string>
    or string as found; several categories list<string>, several numbers list<float64> (null: missing).
    Never raises for bad data: a field whose columns are missing is left out of the table and an error in the problems.
    """
    problems: list[Problem] = []
    decimals: dict[str, list[str]] = {}
    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    known = of_file(table.column_names)
    wanted = {field: [c] if isinstance(c, str) else list(c) for field, c in mapping.items() if c}
    names = [f.name for f in fields]
    for name in wanted.keys() - set(names):
        why = message("There is no field “{field}”.", field=name)
        problems.append(Problem(Severity.ERROR, "unknown_field", why, message("The fields are: {fields}.", fields=", ".join(names)), file))
    for field in fields:
        chosen = wanted.get(field.name, [])
        if not chosen:
            if field.required:
                why = message("No column is mapped to the field “{field}”.", field=field.name)
                remedy = message("Choose one of: {columns}.", columns=", ".join(known[:20]))
                problems.append(Problem(Severity.ERROR, f"missing_{field.type}", why, remedy, file, 1, field.name))
            continue
        absent = [c for c in chosen if c not in table.column_names]
        problems += [_absent(c, field.name, known, file) for c in absent]
        if absent:
            continue
        if len(chosen) > 1 and not field.many and field.type != "texts":
            why = message("The field “{field}” takes one column. Found {count}.", field=field.name, count=len(chosen))
            problems.append(Problem(Severity.ERROR, "one_column", why, message("Choose one of them."), file, 1, ", ".join(chosen)))
            continue
        if field.type == "number":
            numbers = [_numbers(table, c, problems, file) for c in chosen]
            decimals[field.name] = [found.decimal for found in numbers]
            columns[field.name] = numbers[0].values if len(numbers) == 1 else _side_by_side([n.values for n in numbers], pa.float64())
        else:
            columns[field.name] = _converted(table, chosen, field, problems, file)
    problems += _label_as_input(fields, {name: wanted[name] for name in columns}, file)
    if LINE in table.column_names:
        columns[LINE] = table.column(LINE)
    return pa.table(columns, metadata={_DECIMALS: json.dumps(decimals)}), problems


_DECIMALS = b"decimals"


def decimals_of(mapped: pa.Table) -> dict[str, list[str]]:
    """Field of numbers → the decimal sign that each of its columns was read with. mapped: by `map_columns`."""
    found: dict[str, list[str]] = json.loads((mapped.schema.metadata or {}).get(_DECIMALS, b"{}"))
    return found


def _label_as_input(fields: Sequence[FieldLike], wanted: Mapping[str, Sequence[str]], file: str | None) -> list[Problem]:
    labels = {c for field in fields if field.type == "label" for c in wanted.get(field.name, [])}
    read = [field.name for field in fields if field.type in ("text", "texts", "category", "number")]
    why = N_("The column is the label and the field “{field}” at once: the answer stands in the question.")
    remedy = message("Choose another column for one of them.")
    return [
        Problem(Severity.WARNING, "label_as_input", message(why, field=field), remedy, file, 1, column)
        for field in read
        for column in wanted.get(field, [])
        if column in labels
    ]


def _absent(column: str, field: str, known: list[str], file: str | None) -> Problem:
    near = get_close_matches(column, known, n=1)
    why = message("The table has no such column, which is mapped to the field “{field}”.", field=field)
    remedy = (
        message("Did you mean “{near}”?", near=near[0]) if near else message("Choose one of: {columns}.", columns=", ".join(known[:20]))
    )
    return Problem(Severity.ERROR, "missing_column", why, remedy, file, 1, column)


def _converted(
    table: pa.Table, chosen: list[str], field: FieldLike, problems: list[Problem], file: str | None
) -> pa.ChunkedArray | pa.Array:
    first, kind = table.column(chosen[0]), field.type
    if field.holds == "grade":
        return _grades(table, chosen[0], problems, file)
    if field.holds == "number":
        return _numbers(table, chosen[0], problems, file, label=True).values
    if field.holds == "tags" and len(chosen) > 1:
        return _marked(table, chosen, problems, file)
    if field.holds in ("tags", "text"):
        return first if pa.types.is_list(first.type) else as_text(first)
    if kind == "label":
        return _classes(table, chosen[0], problems, file)
    if kind == "texts":
        return (
            _lists(table, chosen[0], problems, file)
            if len(chosen) == 1
            else _side_by_side([as_text(table.column(c)) for c in chosen], pa.string())
        )
    if len(chosen) == 1:
        keeps_codes = kind == "text" and pa.types.is_dictionary(first.type) and pa.types.is_string(first.type.value_type)
        return first if keeps_codes else as_class(first) if kind == "category" else as_text(first)
    if kind == "category":
        return _side_by_side([as_class(table.column(c)) for c in chosen], pa.string())
    texts = [as_text(table.column(c)) for c in chosen]
    nothing = reduce(pc.and_, map(pc.is_null, texts))
    texts[0] = pc.if_else(nothing, "", texts[0])  # Arrow would leave out a row that is null in all of them
    joined = pc.binary_join_element_wise(*texts, " ", null_handling="skip")
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)


def _grades(table: pa.Table, column: str, problems: list[Problem], file: str | None) -> pa.ChunkedArray | pa.Array:
    """Numbers; a column that has something else stays as it is, and its kind says what it wants."""
    found = as_grades(table.column(column))
    if found.wrong.any():
        text = as_text(table.column(column))
        return pc.if_else(pa.array(found.marked), pa.scalar(None, text.type), text) if len(found.marked) else text
    remarks = found.remarks(table.column(column)) + _marked_as_missing(found, table.column(column))
    remarks += _in_other_currencies(found, table.column(column), True)
    _say(remarks + _as_other_files(table, column, found, as_grades), table, column, problems, file)
    return found.values


def _classes(table: pa.Table, column: str, problems: list[Problem], file: str | None) -> pa.ChunkedArray | pa.Array:
    """One class a row. Several of them are another kind's."""
    first = table.column(column)
    lists, broken = as_lists(first) if pa.types.is_list(first.type) else _all_lists(first)
    if lists is None:
        names = as_class(first)
        if is_text(first):
            _say(_spelled(first, names), table, column, problems, file)
        return names
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    several = (counts > 1) | broken
    if several.any():
        why = message("{count} rows have several labels; the first has {found}.", count=int(several.sum()), found=_cell(first, several))
        remedy = message("Choose the kind multilabel, which learns several labels a row, or keep one label in each cell.")
        _say([("several_labels", Severity.ERROR, several, why, remedy)], table, column, problems, file)
    return as_class(pa.array([row[0] if row else None for row in lists.to_pylist()], pa.string()))


def _all_lists(column: pa.ChunkedArray) -> tuple[pa.Array | None, np.ndarray]:
    """As `as_lists`, where every cell of a text looks like a list."""
    none = np.zeros(len(column), bool)
    if not is_text(column) or not pc.all(pc.match_substring_regex(column.drop_null(), r"^\s*\[.*\]\s*$")).as_py():
        return None, none
    return as_lists(column) if column.null_count < len(column) else (None, none)


def _spelled(column: pa.ChunkedArray, names: pa.ChunkedArray) -> list[Remark]:
    """What a person should know of the spelling of classes."""
    remarks: list[Remark] = []
    trimmed = pc.utf8_trim_whitespace(column)
    other = flags(pc.not_equal(trimmed, names))
    if other.any():
        row = int(np.argmax(other))
        why = message("{count} labels have invisible characters or another Unicode form; the first is read as “{name}”.",
                      count=int(other.sum()), name=str(names[row])[:80])  # fmt: skip
        remarks.append(("label_characters", Severity.INFO, other, why, message("No action needed: they are the class that one sees.")))
    lists = flags(pc.match_substring_regex(names, r"^\[.*\]$"))
    if lists.any():
        why = message("{count} labels look like lists, beside others that do not; “{found}” is a class of its own.",
                      count=int(lists.sum()), found=_cell(names, lists))  # fmt: skip
        remedy = message("Write the class alone in each cell, or choose the kind multilabel if a row has several.")
        remarks.append(("label_like_list", Severity.WARNING, lists, why, remedy))
    marks = flags(pc.is_in(pc.utf8_lower(names), MISSING))
    if marks.any():
        said = ", ".join(f"“{one}”" for one in pc.unique(names.filter(pa.array(marks))).to_pylist())
        why = message("{count} rows have a label that often means a missing value: {found}.", count=int(marks.sum()), found=said)
        remarks.append(
            (
                "label_means_missing",
                Severity.WARNING,
                marks,
                why,
                message("It is a class of its own. Empty these cells if they have no label."),
            )
        )
    return remarks


_LIST, _TURN = '["a", "b"]', '{"role": "user", "content": "hello"}'


def _lists(table: pa.Table, column: str, problems: list[Problem], file: str | None) -> pa.ChunkedArray | pa.Array:
    first = table.column(column)
    found, broken = as_lists(first)
    if broken.any():
        why = message("{count} lists cannot be read; the first is {found}", count=int(broken.sum()), found=_cell(first, broken))
        remedy = message("Write {json}, a list as Python prints it, or texts divided by |; turns may be {turn}.", json=_LIST, turn=_TURN)
        _say([("broken_list", Severity.ERROR, broken, why, remedy)], table, column, problems, file)
    elif is_text(first) and (pc.max(pc.list_value_length(found)).as_py() or 0) < 2:
        for sign in (";", "；", "\t", " > "):
            holds = flags(pc.match_substring(first, sign))
            if 2 * holds.sum() > len(holds):
                why = message("{count} cells hold “{sign}” and are each read as one text.", count=int(holds.sum()), sign=sign)
                remedy = message("If they are lists, divide their texts by |, or write them as JSON.")
                _say([("list_of_one", Severity.WARNING, holds, why, remedy)], table, column, problems, file)
    return found


def _cell(column: pa.ChunkedArray, rows: np.ndarray) -> str:
    """The first of the rows, as it may stand in a sentence."""
    return str(column[int(np.argmax(rows))].as_py())[:80]


def _marked_as_missing(found: Numbers, column: pa.ChunkedArray) -> list[Remark]:
    if not found.marked.any():
        return []
    said = ", ".join(f"“{one}”" for one in pc.unique(pc.utf8_trim_whitespace(column.filter(pa.array(found.marked)))).to_pylist()[:5])
    why = message("{count} cells with {found} are read as missing.", count=int(found.marked.sum()), found=said)
    return [
        ("marked_missing", Severity.WARNING, found.marked, why, message("No action needed if that is right; otherwise write the value."))
    ]


def _truths(found: Numbers) -> list[Remark]:
    """true and false among numbers."""
    if not found.truths.any() or found.truths.sum() == len(found.values) - found.values.null_count:
        return []
    why = message("{count} values are true or false and are read as 1 and 0, beside numbers.", count=int(found.truths.sum()))
    return [("truth_as_number", Severity.WARNING, found.truths, why, message("Write numbers, or empty these cells."))]


def _in_other_currencies(found: Numbers, column: pa.ChunkedArray, label: bool) -> list[Remark]:
    """Numbers of which some name another currency than the others, or, of a label, the only ones that name any."""
    if not found.rewritten.any():
        return []
    signs = currencies(column)
    codes, names = codes_of(pc.if_else(pa.array(found.rewritten), signs, pa.scalar(None, signs.type)))
    counts = np.bincount(codes[flags(found.values.is_valid())] + 1, minlength=len(names) + 1)  # the first: those that name none
    several = (counts[1:] > 0).sum() > 1
    if not several and not (label and counts[0] and counts[1:].any()):
        return []
    most = int(counts.argmax()) if not several else 1 + int(counts[1:].argmax())
    others = (codes + 1 != most) & flags(found.values.is_valid()) & ((codes >= 0) | (not several))
    usual = message("no currency") if most == 0 else names[most - 1].as_py()
    why = message("{count} numbers are in another currency than most: “{found}”, where most have {usual} (lines {lines}).",
                  count=int(others.sum()), found=_cell(column, others), usual=usual, lines="")  # fmt: skip
    severity = Severity.ERROR if label and several else Severity.WARNING
    return [
        ("currencies", severity, others, why, message("Write all of them in one currency; as they stand, 12 € and 12 $ are one number."))
    ]


def _as_other_files(table: pa.Table, column: str, found: Numbers, read: Callable[[Column], Numbers]) -> list[Remark]:
    """Numbers of a file of the table that this file, read by itself, would write otherwise or leave open. read: what `found` came of."""
    first = table.column(column)
    if LINE not in table.column_names or not is_text(first):
        return []
    of_row = place(table.column(LINE).to_numpy())[0]
    remarks: list[Remark] = []
    for part in np.unique(of_row) if of_row.any() else ():
        rows = np.flatnonzero(of_row == part)
        alone, together = read(first.take(pa.array(rows))), found.values.take(pa.array(rows))
        other = flags(pc.fill_null(pc.not_equal(alone.values, together), pc.is_valid(together)))
        other |= alone.ambiguous & ~found.ambiguous[rows]
        if not other.any():
            continue
        of_file = np.zeros(len(of_row), bool)
        of_file[rows[other]] = True
        row = int(np.argmax(of_file))
        why = message(
            "{count} numbers are read as the table's other files write theirs: “{found}” as {number}. This file alone does not say so.",
            count=int(other.sum()),
            found=str(first[row].as_py())[:80],
            number=f"{found.values[row].as_py():.15g}",
        )
        remedy = message("Write the numbers of all files in one way, with a decimal point and no thousands separators.")
        remarks.append(("number_notation_of_file", Severity.WARNING, of_file, why, remedy))
    return remarks


def _say(remarks: Sequence[Remark], table: pa.Table, column: str, problems: list[Problem], file: str | None) -> None:
    for code, severity, rows, why, remedy in remarks:
        line = table.column(LINE)[int(np.argmax(rows))].as_py() if LINE in table.column_names else None
        if "lines" in why.values:
            why = replace(why, values={**why.values, "lines": _lines(table, rows)})
        problems.append(Problem(severity, code, why, remedy, file, line, column, int(rows.sum())))


def _lines(table: pa.Table, rows: np.ndarray, most: int = 10) -> str:
    """The first of them, as a sentence has them."""
    numbers = place(table.column(LINE).to_numpy()[rows][: most + 1])[1] if LINE in table.column_names else np.flatnonzero(rows) + 1
    return ", ".join(map(str, numbers[:most])) + (" …" if rows.sum() > most else "")


def _numbers(table: pa.Table, column: str, problems: list[Problem], file: str | None, label: bool = False) -> Numbers:
    found = as_numbers(table.column(column))
    remarks = found.remarks(table.column(column)) + _as_other_files(table, column, found, as_numbers)
    remarks += _in_other_currencies(found, table.column(column), label)
    if label:
        remarks += _marked_as_missing(found, table.column(column)) + _truths(found)
    if found.wrong.any():
        first, n = _cell(table.column(column), found.wrong), int(found.wrong.sum())
        none_left = found.values.null_count == len(found.values)
        values = {"count": n, "lines": "", "found": first}
        why = message("{count} values are not numbers (lines {lines}); the first is “{found}”.", **values)
        if is_a_number(first):
            why = message("{count} values are no numbers from −1e30 to 1e30 (lines {lines}); the first is “{found}”.", **values)
        remedy = message("They count as missing; correct them if that is wrong.")
        if none_left:
            remedy = message("Choose it as a category, or remove it.")
        elif label:
            remedy = message("Correct them, or empty these cells if their rows have no label.")
        remarks.insert(0, ("not_a_number", Severity.ERROR if none_left or label else Severity.WARNING, found.wrong, why, remedy))
    _say(remarks, table, column, problems, file)
    return found


def _marked(table: pa.Table, columns: list[str], problems: list[Problem], file: str | None) -> pa.Array:
    """The names of the columns that say yes, a list a row; null where none of them has a value."""
    labels = []
    for column in columns:
        found = as_grades(table.column(column))
        other = found.wrong | flags(pc.invert(pc.is_in(found.values, pa.array([0.0, 1.0, None]))))
        if other.any():
            why = message("{count} values of the tag are neither 0 nor 1 (lines {lines}); the first is “{found}”.",
                          count=int(other.sum()), lines="", found=_cell(table.column(column), other))  # fmt: skip
            remedy = message("Labels may be 0 and 1, true and false, or yes and no.")
            _say([("label_type", Severity.ERROR, other, why, remedy)], table, column, problems, file)
        _say(_marked_as_missing(found, table.column(column)) if is_text(table.column(column)) else [], table, column, problems, file)
        labels.append(found.values)
    values = [[v == 1 for v in c.to_pylist()] for c in labels]
    known = np.any([c.is_valid().to_numpy() for c in labels], axis=0)
    rows = ([name for name, yes in zip(columns, row, strict=True) if yes] for row in zip(*values, strict=True))
    return pa.array([row if k else None for row, k in zip(rows, known, strict=True)], pa.list_(pa.string()))


def _side_by_side(columns: list[pa.ChunkedArray], value_type: pa.DataType) -> pa.ListArray:
    """Columns as one column of lists, a value of each."""
    n, width = len(columns[0]), len(columns)
    values = pa.concat_arrays([chunk.cast(value_type) for c in columns for chunk in _chunks(c)])
    order = np.arange(n * width).reshape(width, n).T.reshape(-1)
    return pa.ListArray.from_arrays(pa.array(np.arange(0, n * width + 1, width, dtype=np.int32)), values.take(pa.array(order)))


def _chunks(column: pa.ChunkedArray | pa.Array) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]
