"""`mtl_core.suggest` and `mtl_core.check`: a table looked at as a task of some kind would, with everything that is wrong with it."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as default
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ValidationError

from mtl_core.api.tables import Table, write_parquet
from mtl_core.base.faults import ExperimentError, Fault, found_value, nearest, pydantic_faults
from mtl_core.base.messages import message
from mtl_core.config.doubts import doubts
from mtl_core.config.parts import DataConfig
from mtl_core.config.suggestions import Suggestion, columns_for, nested, suggestions
from mtl_core.config.tables import map_fields
from mtl_core.config.understood import Understood, understood, understood_times
from mtl_core.data.problems import DataError, Problem, Severity, has_errors
from mtl_core.data.read import Table as FileTable
from mtl_core.data.read import read_files
from mtl_core.data.split import SplitConfig
from mtl_core.data.store import divide
from mtl_core.data.times import Dates
from mtl_core.data.transactions import TransactionConfig
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import TaskKind


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes:
        kind: the name of the task kind; empty for a table that suits none.
        rows: of the table, or of what becomes of a transaction log; 0 for one that cannot be read.
        columns: field → its columns, as given or as suggested.
        suggested: whether they were suggested.
        suggestion: what kind, columns and split were taken from, where none was asked for, or where the table is a log.
        found: every problem, errors first; translate `why` and `remedy` as they stand.
        encoding: of the file; None where its format has none, or it cannot be read.
        understood: field → what a task would learn from it: distinct values, rows without one, the most frequent values, the first rows;
            also `time`, where a time orders the rows. Empty where the columns have errors.
    """

    kind: str
    rows: int
    columns: dict[str, list[str]]
    suggested: bool
    found: list[Problem]
    suggestion: Suggestion | None = None
    encoding: str | None = None
    understood: dict[str, Understood] = default(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether a task can learn from the table as it is."""
        return not has_errors(self.found)

    @property
    def problems(self) -> pd.DataFrame:
        """A row a problem, errors first. Columns: severity (error, warning, info), code, file, line (from 1), column, count (rows
        concerned), why, remedy."""
        columns = ["severity", "code", "file", "line", "column", "count", "why", "remedy"]
        rows = [[str(p.severity), p.code, p.file, p.line, p.column, p.count, str(p.why), str(p.remedy)] for p in self.found]
        return pd.DataFrame(rows, columns=columns).astype({"line": "Int64"})


def suggest(table: Table, most: int = 5, *, encoding: str | None = None, sheet: str | None = None) -> list[Suggestion]:
    """What a table is good for: task kinds with their columns and split, the best first, each with why. Nothing is stored.

    Args:
        table: a DataFrame, an Arrow table, or the path of a file.
        most: so many at most.
        encoding, sheet: as for `check`.

    Returns:
        Each has `kind`, `why` (a sentence), `columns`, `split`, `transactions`; `to_json()` gives them as an experiment file has them.

    Raises:
        DataError: a file that cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, name = _file(table, folder)
        return suggestions(read_files(path, {}, name=name, encoding=encoding, sheet=sheet).table, most=most)


def why_none(path: Path) -> list[Problem]:
    """Why a file suits no kind, where that can be said."""
    return nested(read_files(path, {}, name=path.name).table)


def _file(table: Table, folder: str) -> tuple[Path, str]:
    """Where a table lies, written to the folder if it is a frame; its name for people."""
    if isinstance(table, str | Path):
        path = Path(table).expanduser()
        return path, path.name
    path = Path(folder, "table.parquet")
    write_parquet(table, path, "table")
    return path, "table"


def check(
    table: Table,
    kind: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    split: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    transactions: Mapping[str, Any] | None = None,
    *,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    dates: Dates | None = None,
) -> CheckResult:
    """Says what is wrong with a table for a task kind: all problems at once, with where, why and what to do. Nothing is stored.

    Args:
        table: a DataFrame, an Arrow table, or the path of a file.
        kind: classification, search … (`python -m mtl_core kinds` lists them with their fields); None: the first of `suggest`, with its
            columns, split and transactions where these are not given.
        columns: field → column or columns; None: as suggested by names and content, for a log with its transactions and split.
        split: as in an experiment file, such as `{"by": "group", "column": "query"}`; None: at random.
        options: of the kind, as in an experiment file.
        transactions: for a transaction log, as in an experiment file: user, item, text, time …
        validation, test: files with the table's rows for validation and test, where `table` holds those for training; the split is then
            by files.
        encoding: of the files; None: detected.
        sheet: of a workbook; None: the first.
        dates: "day_first" or "month_first", for dates such as 03/04/2024.

    Raises:
        ExperimentError: an unknown kind, field or option, or a value that does not fit; all of them together.
    """
    others = {part: Path(file).expanduser() for part, file in (("validation", validation), ("test", test)) if file}
    files = _Reading({f"{part}_file": str(file) for part, file in others.items()}, encoding, sheet, dates)
    with tempfile.TemporaryDirectory() as folder:

        @cache
        def read() -> FileTable:
            path, name = _file(table, folder)
            return read_files(path, others, name=name, encoding=encoding, sheet=sheet)

        return _check(read, kind, columns, split, options, transactions, files)


@dataclass(frozen=True)
class _Reading:
    """How a table was said to be read. others: name of a part's file in the split → the file."""

    others: dict[str, str]
    encoding: str | None
    sheet: str | None
    dates: Dates | None


def _check(
    read: Callable[[], FileTable],
    kind: str | None,
    columns: Mapping[str, str | Sequence[str]] | None,
    split: Mapping[str, Any] | None,
    options: Mapping[str, Any] | None,
    transactions: Mapping[str, Any] | None,
    files: _Reading,
) -> CheckResult:
    """As `check`. read: the table, however often it is asked for; raises DataError."""
    asked = KINDS.get(kind or "")
    first = None
    if kind is None or (asked and asked.takes_logs and not columns and transactions is None):
        try:
            first = next(iter(suggestions(read().table, {kind: asked} if kind and asked else KINDS, most=1)), None)
        except DataError as error:
            return CheckResult(kind or "", 0, {}, True, error.problems)
        if first is None and kind is None:
            if why := nested(read().table, Severity.ERROR):
                return CheckResult("", read().table.num_rows, {}, True, why)
            raise ExperimentError([Fault("kind", message("a table that suits no kind"), nearest("", KINDS))])
    if first and (kind is None or first.transactions):
        made = first.transactions.model_dump(exclude_none=True) if first.transactions and not columns else None
        split = split or (None if files.others else first.split.model_dump(exclude_defaults=True))
        done = _check(read, first.kind, columns or first.columns, split, options, transactions or made, files)
        return replace(done, suggested=not columns, suggestion=first)
    if kind is None or kind not in KINDS:
        raise ExperimentError([Fault("kind", found_value(kind), nearest(kind or "", KINDS))])
    of = KINDS[kind]
    mapping = {field: [names] if isinstance(names, str) else list(names) for field, names in (columns or {}).items()}
    faults = list(_unknown(mapping, of))
    values = {**(split or {}), "by": "files", **files.others} if files.others else split or {}
    split_options = _typed(SplitConfig, values, "split", faults)
    log = None if transactions is None else _typed(TransactionConfig, transactions, "transactions", faults)
    _typed(DataConfig, {"file": "table", "encoding": files.encoding, "sheet": files.sheet, "dates": files.dates}, "", faults)
    kind_options = _typed(of.Options, options or {}, "options", faults)
    if faults:
        raise ExperimentError(faults)
    rows, suggested, read_as, learned = 0, not mapping, None, dict[str, Understood]()
    try:
        file = read()
        read_as = file.encoding
        time = log.time if log else split_options.column if split_options.by == "time" else None
        if time in file.table.column_names:
            learned["time"] = understood_times(file.table.column(time), files.dates)
        found, parts, more = divide(file.table, split_options, log, file.name, files.dates)
        problems = [*file.problems, *more]
        if suggested:
            mapping = first.columns if first else columns_for(found, of)
        rows = found.num_rows
        mapped = map_fields(of, found, parts, mapping, kind_options, file.name)
        problems += mapped.problems
        learned = understood(mapped, mapping, kind_options) | learned
        if not has_errors(problems):
            problems += doubts(mapped, mapping, kind_options, file.name)
    except DataError as error:
        problems = error.problems
    problems.sort(key=lambda p: list(Severity).index(p.severity))
    return CheckResult(kind, rows, mapping, suggested, problems, encoding=read_as, understood=learned)


def _unknown(mapping: Mapping[str, list[str]], kind: TaskKind) -> Iterator[Fault]:
    names = [field.name for field in kind.fields]
    for field in mapping:
        if field not in names:
            yield Fault(f"columns.{field}", message("an unknown name"), nearest(field, names))


def _typed(model: type[BaseModel], values: Mapping[str, Any], where: str, faults: list[Fault]) -> Any:
    """The values as the model has them; what does not fit is added to `faults`."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        for fault in pydantic_faults(error, lambda path: model.model_fields, {}):
            faults.append(Fault(".".join(filter(None, [where, fault.path])), fault.found, fault.wanted))
    return None
