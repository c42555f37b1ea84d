"""Rows into training, validation and test: at random, by group, by time, stratified, as a column or as files say. Leaks are reported."""

from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mtl_core.base.messages import N_, Message, message
from mtl_core.data.places import LINE, PARTS, of_file, place
from mtl_core.data.problems import Problem, Severity
from mtl_core.data.times import Dates
from mtl_core.data.values import as_times, seen_codes

Part = Literal["train", "validation", "test"]

BY_COLUMN = ("group", "time", "stratified", "column")
"""Ways to split that need a column."""
FILE = r"^[^\x00]+$"
"""What may be the name of a file."""

_PART = "<U10"


class SplitConfig(BaseModel):
    """How rows are divided. The same options and rows always give the same split."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    by: Literal["random", "group", "time", "stratified", "column", "files"] = Field(
        "random",
        title=N_("Split by"),
        description=N_(
            "random; group (rows of a product or user stay together); time (latest last); stratified (equal labels); column (given); files "
            "(given)."
        ),
        json_schema_extra={
            "choices": {
                "random": N_("Random"),
                "group": N_("By group"),
                "time": N_("By time"),
                "stratified": N_("Stratified"),
                "column": N_("By a column"),
                "files": N_("By files"),
            }
        },
    )
    column: str | None = Field(
        None,
        title=N_("Split column"),
        description=N_("Column with the group, the time, the label or the given split; a random split needs none."),
    )
    validation: float = Field(
        0.1,
        ge=0,
        le=0.9,
        title=N_("Validation fraction"),
        description=N_("Fraction of rows for validation; with a given split, only used if it has no validation rows."),
    )
    test: float = Field(
        0.1,
        ge=0,
        le=0.9,
        title=N_("Test fraction"),
        description=N_("Fraction of rows for the final test; not used with a given split."),
    )
    validation_file: str | None = Field(
        None,
        pattern=FILE,
        title=N_("Validation file"),
        description=N_("For a split by files: the table's validation rows, with the same columns; empty: a fraction of the training file."),
    )
    test_file: str | None = Field(
        None,
        pattern=FILE,
        title=N_("Test file"),
        description=N_("For a split by files: the table's test rows, with the same columns; empty: no test rows."),
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title=N_("Split seed"),
        description=N_("Seed of the split: the same seed gives the same split."),
    )
    values: dict[str, Part] | None = Field(
        None,
        title=N_("Split values"),
        description=N_(
            "For a given split: which value means train, validation or test; other rows are ignored. Empty: the usual spellings."
        ),
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.by in BY_COLUMN and not self.column:
            raise ValueError(f"`column` should name a column when `by` is {self.by!r}. Found none.")
        if (self.by == "files") != bool(self.files):
            raise ValueError(
                f"`validation_file` or `test_file` should name a file when `by` is 'files', and only then. Found {self.files}."
            )
        if self.validation + self.test >= 1:
            raise ValueError(f"`validation` + `test` should be less than 1. Found {self.validation} + {self.test}.")
        return self

    @property
    def files(self) -> dict[str, str]:
        """Part → the file that holds it, of the parts that have one beside the table's own."""
        named = {"validation": self.validation_file, "test": self.test_file}
        return {part: file for part, file in named.items() if file}


def split_rows(
    table: pa.Table, options: SplitConfig, file: str | None = None, dates: Dates | None = None
) -> tuple[np.ndarray, list[Problem]]:
    """((N,) str array of "train", "validation", "test" and "" for rows left out, problems).

    table: as read. file: for messages. dates: of `as_time`, for a split by time.
    Never raises for bad data: a column that is missing is an error in the problems.
    """
    n, column = table.num_rows, None
    if options.by == "files":
        column = table.column(LINE)
    elif options.by in BY_COLUMN:
        assert options.column is not None
        if options.column not in table.column_names:
            return np.full(n, "", _PART), [_missing(options.column, table, file)]
        column = table.column(options.column)
    if options.by == "time":
        split, problems = _by_time(column, n, options, file, dates)
    else:
        split, problems = _SPLITS[options.by](column, n, options, file)
    for p, problem in enumerate(problems):
        if problem.line is not None:  # until here the number of a row
            problems[p] = replace(problem, line=_line(table, problem.line))
    used = {part: int((split == part).sum()) for part in PARTS}
    for part in PARTS:
        wanted = part == "train" or options.by in ("column", "files") or getattr(options, part) > 0
        if not used[part] and wanted and n:
            severity = Severity.ERROR if part == "train" else Severity.WARNING
            why = message("The split has no rows for {part}.", part=message(part))
            problems.append(
                Problem(
                    severity,
                    f"no_{part}_rows",
                    why,
                    message("Change the fractions, the column or its values."),
                    file,
                    column=options.column,
                )
            )
    return split, problems


def _line(table: pa.Table, row: int) -> int:
    return int(table.column("_line")[row].as_py()) if "_line" in table.column_names else row + 1


def _missing(column: str, table: pa.Table, file: str | None) -> Problem:
    names = of_file(table.column_names)
    near = get_close_matches(column, names, n=1)
    why = message("The column to split by is not in the table.")
    remedy = (
        message("Did you mean “{near}”?", near=near[0]) if near else message("Choose one of: {columns}.", columns=", ".join(names[:20]))
    )
    return Problem(Severity.ERROR, "missing_split_column", why, remedy, file, 1, column)


def _counts(n: int, options: SplitConfig) -> tuple[int, int]:
    """(validation, test) rows of n: rounded, at least one where a share is wanted and three rows or more are there."""
    least = 1 if n >= 3 else 0
    validation, test = (max(round(n * share), least) if share else 0 for share in (options.validation, options.test))
    return validation, test


def _random(column: Any, n: int, options: SplitConfig, file: str | None) -> tuple[np.ndarray, list[Problem]]:
    split = np.full(n, "train", _PART)
    order = np.random.default_rng(options.seed).permutation(n)
    validation, test = _counts(n, options)
    split[order[:test]] = "test"
    split[order[test : test + validation]] = "validation"
    return split, []


def _by_group(column: Any, n: int, options: SplitConfig, file: str | None) -> tuple[np.ndarray, list[Problem]]:
    """Groups in random order fill test, validation, train; a group goes where its middle lies. No group: alone."""
    codes, values = seen_codes(column)
    alone = np.flatnonzero(codes < 0)
    codes[alone] = len(values) + np.arange(len(alone))
    sizes = np.bincount(codes, minlength=len(values) + len(alone))
    order = np.random.default_rng(options.seed).permutation(len(sizes))
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    validation, test = _counts(n, options)
    parts = np.full(len(sizes), "train", _PART)
    parts[order[middle <= test + validation]] = "validation"
    parts[order[middle <= test]] = "test"
    _fill_empty(parts, order, options)
    problems = []
    if len(alone):
        why = message("{count} rows have no group; each counts as a group of its own.", count=len(alone))
        problems.append(_note("no_group", why, message("Fill the column if rows belong together."), file, options, alone))
    return parts[codes], problems


def _fill_empty(parts: np.ndarray, order: np.ndarray, options: SplitConfig) -> None:
    """Few large groups may leave a part without any: it gets the last group of the part that has most, training first."""
    for part, wanted in (("train", True), ("validation", options.validation > 0), ("test", options.test > 0)):
        n_groups = {p: int((parts == p).sum()) for p in PARTS}
        donor = max(PARTS, key=lambda p: n_groups[p])
        if wanted and not n_groups[part] and n_groups[donor] > (part != "train"):
            parts[order[parts[order] == donor][-1]] = part


def _by_time(column: Any, n: int, options: SplitConfig, file: str | None, dates: Dates | None) -> tuple[np.ndarray, list[Problem]]:
    """The earliest rows train, the latest test; rows of one moment stay together."""
    found = as_times(column, dates)
    times = found.values
    values = times.cast(pa.int64() if pa.types.is_timestamp(times.type) else pa.float64())
    known = pc.is_valid(values).to_numpy() if isinstance(values, pa.ChunkedArray) else pc.is_valid(values).to_numpy(zero_copy_only=False)
    split = np.full(n, "", _PART)
    problems = [
        Problem(severity, code, why, remedy, file, int(np.argmax(rows)), options.column, int(rows.sum()))
        for code, severity, rows, why, remedy in found.remarks
    ]
    if not known.all():
        unknown = np.flatnonzero(~known)
        why = message("{count} rows have no time that can be read; they are ignored.", count=len(unknown))
        remedy = message("Write times as 2024-05-31 or 2024-05-31 18:30, or as numbers.")
        problems.append(_note("no_time", why, remedy, file, options, unknown, Severity.WARNING))
    moments = pc.drop_null(values).to_numpy()
    if len(moments):
        validation, test = _counts(len(moments), options)
        ordered = np.sort(moments)
        split[known] = "train"
        late = np.zeros((2, n), bool)
        for i, size in enumerate((validation + test, test)):
            late[i, known] = _latest(moments, ordered, size)
        split[late[0]] = "validation"
        split[late[1]] = "test"
        if not options.validation:
            split[split == "validation"] = "train"
    return split, problems


def _latest(moments: np.ndarray, ordered: np.ndarray, size: int) -> np.ndarray:
    """(n,) bool: about the `size` latest, whole moments only; at least one moment, never all."""
    if not size:
        return np.zeros(len(moments), bool)
    edge = ordered[-size]
    n_after, n_from = int((moments > edge).sum()), int((moments >= edge).sum())
    nearer = not n_after or n_from - size <= size - n_after
    return moments >= edge if nearer and n_from < len(moments) else moments > edge


def _stratified(column: Any, n: int, options: SplitConfig, file: str | None) -> tuple[np.ndarray, list[Problem]]:
    """Each value of the column is divided by itself. What rounding leaves over goes on to the next value, so that the totals hold too."""
    codes, _ = seen_codes(column)
    rng = np.random.default_rng(options.seed)
    split = np.full(n, "train", _PART)
    owed_validation = owed_test = 0.0
    for code in np.unique(codes):
        rows = rng.permutation(np.flatnonzero(codes == code))
        owed_test += len(rows) * options.test
        owed_validation += len(rows) * options.validation
        test = min(round(owed_test), len(rows) - 1)
        validation = min(round(owed_validation), len(rows) - 1 - test)
        split[rows[:test]] = "test"
        split[rows[test : test + validation]] = "validation"
        owed_test, owed_validation = min(owed_test - test, 1.0), min(owed_validation - validation, 1.0)
    return split, []


def _given(column: Any, n: int, options: SplitConfig, file: str | None) -> tuple[np.ndarray, list[Problem]]:
    """As the column says. Without validation rows, their share is drawn from training."""
    codes, values = seen_codes(column)
    wanted = {_spelling(k): v for k, v in options.values.items()} if options.values else _SPELLINGS
    names = [v.as_py() or "" for v in values]
    parts = np.array([wanted.get(_spelling(v), "") for v in names] + [""], _PART)
    split = parts[codes]  # -1: the last, left out
    problems = []
    if (split == "").any():
        rows = np.flatnonzero(split == "")
        others = ", ".join([v for v, p in zip(names, parts, strict=False) if not p][:10]) or "–"
        why = message("{count} rows are ignored: their value stands for no split ({values}).", count=len(rows), values=others)
        remedy = message("Specify which values mean train, validation and test if they should be used.")
        severity = Severity.INFO if options.values else Severity.WARNING  # or a person left them out
        problems.append(_note("split_left_out", why, remedy, file, options, rows, severity))
    return split, problems + _drawn(split, options, file)


def _by_files(column: Any, n: int, options: SplitConfig, file: str | None) -> tuple[np.ndarray, list[Problem]]:
    """column: `LINE`, which says the file. Without a validation file, its share is drawn from training."""
    split = np.array(PARTS, _PART)[place(column.to_numpy())[0]]
    return split, [] if options.validation_file else _drawn(split, options, file)


def _drawn(split: np.ndarray, options: SplitConfig, file: str | None) -> list[Problem]:
    """Training rows become the validation rows that a given split does not have."""
    train = np.flatnonzero(split == "train")
    if not options.validation or (split == "validation").any() or len(train) < 2:
        return []
    chosen = np.random.default_rng(options.seed).permutation(train)[: max(1, round(len(train) * options.validation))]
    split[chosen] = "validation"
    why = message("The split has no validation rows; {count} training rows are used for it.", count=len(chosen))
    return [_note("validation_drawn", why, message("No action needed."), file, options)]


def _note(
    code: str,
    why: Message,
    remedy: Message,
    file: str | None,
    options: SplitConfig,
    rows: np.ndarray | None = None,
    severity: Severity = Severity.INFO,
) -> Problem:
    if rows is None:
        return Problem(severity, code, why, remedy, file, None, options.column)
    return Problem(severity, code, why, remedy, file, int(rows[0]), options.column, len(rows))


def part_called(word: str) -> Part | None:
    """The part that a usual spelling means (train, valid, dev, holdout ...); None for other words."""
    return _SPELLINGS.get(_spelling(word))


def _spelling(value: str) -> str:
    return value.strip().casefold()


_SPLITS = {"random": _random, "group": _by_group, "stratified": _stratified, "column": _given, "files": _by_files}
_SPELLINGS: dict[str, Part] = {
    **dict.fromkeys(("train", "training", "trn", "tr", "训练", "训练集"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development", "eval", "va", "验证", "验证集"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "te", "holdout", "测试", "测试集"), "test"),
}


def check_leaks(
    table: pa.Table, split: np.ndarray, text_columns: list[str], group: str | None = None, file: str | None = None
) -> list[Problem]:
    """Rows whose texts, all of `text_columns` together, stand twice in one part or in two parts; groups that lie in two parts.

    Texts count as equal that a person sees as equal, whatever their case (see `values.seen_codes`).
    table: with string columns and `_line`; split: (N,).
    """
    problems = []
    used = np.flatnonzero(split != "")
    part = np.searchsorted(np.sort(PARTS), split[used])
    codes = _joint_codes(table, text_columns)
    if codes is not None and len(used):
        codes, known = codes[used], codes[used] >= 0
        across, rows = _across(codes[known], part[known], used[known])
        if across:
            why = message("{count} texts are in more than one split, so the model is tested on texts that it was trained on.", count=across)
            remedy = message("Remove duplicates, or split by a group that keeps identical texts together.")
            problems.append(
                Problem(
                    Severity.WARNING, "leak_texts", why, remedy, file, _line(table, int(rows.min())), ", ".join(text_columns), len(rows)
                )
            )
        pair = codes[known].astype(np.int64) * len(PARTS) + part[known]
        _, first, counts = np.unique(pair, return_index=True, return_counts=True)
        if extra := int((counts - 1).sum()):
            row = int(used[known][first[counts > 1]].min())
            why = message("{count} rows repeat the texts of another row in the same split.", count=extra)
            remedy = message("Remove them if they are there by mistake; they count several times.")
            problems.append(Problem(Severity.INFO, "duplicate_rows", why, remedy, file, _line(table, row), ", ".join(text_columns), extra))
    if group is not None and group in table.column_names:
        codes, _ = seen_codes(table.column(group))
        codes = codes[used]
        across, rows = _across(codes[codes >= 0], part[codes >= 0], used[codes >= 0])
        if across:
            why = message("{count} groups are in more than one split.", count=across)
            remedy = message("Split by this column, so that groups stay together.")
            problems.append(Problem(Severity.WARNING, "leak_groups", why, remedy, file, _line(table, int(rows.min())), group, len(rows)))
    return problems


def _joint_codes(table: pa.Table, columns: list[str]) -> np.ndarray | None:
    """(N,) one number for each distinct combination; -1 where every text is missing. None without columns."""
    joint, known = None, np.zeros(table.num_rows, bool)
    for column in columns:
        values = table.column(column)
        if pa.types.is_list(values.type):
            values = pa.chunked_array([pc.binary_join(values.combine_chunks().cast(pa.list_(pa.string())), "\x1f")])
        codes = seen_codes(values, any_case=True)[0] + 1
        known |= codes > 0
        joint = codes if joint is None else np.unique(joint * (int(codes.max()) + 1) + codes, return_inverse=True)[1]
    return None if joint is None else np.where(known, joint, -1)


def _across(codes: np.ndarray, part: np.ndarray, rows: np.ndarray) -> tuple[int, np.ndarray]:
    """(how many codes lie in several parts, their rows)."""
    if not len(codes):
        return 0, rows
    seen = np.zeros((int(codes.max()) + 1, len(PARTS)), bool)
    seen[codes, part] = True
    several = seen.sum(1) > 1
    return int(several.sum()), rows[several[codes]]
