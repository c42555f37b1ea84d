"""What a table is good for: kinds of task with their columns and split, the best first, each with why. Loads no torch.

`python -m mtl_core suggest FILE`, `mtl.suggest(table)` and the page *Data* show the same.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from mtl_core.base.messages import Message, listed, message
from mtl_core.config.tables import map_fields
from mtl_core.data.leaks import find_leaks
from mtl_core.data.mapping import suggest
from mtl_core.data.places import of_file
from mtl_core.data.problems import DataError, Problem, Severity, has_errors
from mtl_core.data.profile import Column, Columns
from mtl_core.data.split import SplitConfig
from mtl_core.data.store import divide
from mtl_core.data.transactions import TransactionConfig
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import TaskKind
from mtl_core.tasks.suiting import NO_TIMES, Proposal, called


@dataclass(frozen=True)
class Suggestion:
    """A task that a table suits.

    kind: its name in KINDS; score: in [0, 1], how well it suits; why: one sentence; columns: field → columns; split: by what rows should
    be divided; transactions: where the table is a log, whose columns `data.transactions` makes (columns are then of the made table).
    """

    kind: str
    score: float
    why: Message
    columns: dict[str, list[str]]
    split: SplitConfig
    transactions: TransactionConfig | None = None

    @property
    def split_text(self) -> str:
        """As options of the command line have it: `by=group column=query`."""
        found = [f"by={self.split.by}"] + ([f"column={shlex.quote(self.split.column)}"] if self.split.column else [])
        return " ".join(found + ([shlex.quote(f"values={json.dumps(self.split.values)}")] if self.split.values else []))

    @property
    def transactions_text(self) -> str:
        """Likewise: `user=customer item=sku`; empty where the table is no log."""
        roles = self.transactions.model_dump(exclude_unset=True) if self.transactions else {}
        return " ".join(f"{role}={shlex.quote(str(column))}" for role, column in roles.items())

    def to_json(self) -> dict[str, Any]:
        """As `suggest --json` says it: one column as a string, several as a list."""
        columns = {field: names[0] if len(names) == 1 else names for field, names in self.columns.items()}
        split = self.split.model_dump(mode="json", include={"by", "column", "values"}, exclude_none=True)
        found = {"kind": self.kind, "why": str(self.why), "score": round(self.score, 3), "columns": columns, "split": split}
        return found | ({"transactions": self.transactions.model_dump(mode="json", exclude_none=True)} if self.transactions else {})


def suggestions(table: pa.Table, kinds: Mapping[str, TaskKind] = KINDS, most: int = 5) -> list[Suggestion]:
    """At most `most` tasks that the table suits, the best first; an empty list where it suits none.

    table: as read, all rows: distinct values are counted in all of them, the rest is seen from 2,000; of more than 200 columns the first
    150 and the last 50. kinds: those that are wanted, such as `{"search": KINDS["search"]}` for the best columns of one kind.
    """
    if not table.num_rows or not of_file(table.column_names):
        return []
    columns = Columns(_looked_at(table))
    found = [(proposal, kind) for kind in kinds.values() for proposal in kind.suits(columns) if _complete(proposal, kind)]
    found = _full_first(found, columns)
    found.sort(key=lambda pair: -pair[0].score)
    result: list[Suggestion] = []
    for proposal, kind in found:
        mapped = {f.name: list(names) for f in kind.fields if (names := proposal.columns.get(f.name))}
        if all((kind.name, mapped.get("label")) != (s.kind, s.columns.get("label")) or proposal.log for s in result):
            log = TransactionConfig(**proposal.log) if proposal.log else None
            if not log:
                mapped = _without_leaks(table, kind, mapped)
            if all(mapped.get(f.name) for f in kind.fields if f.required):
                result.append(Suggestion(kind.name, proposal.score, proposal.why, mapped, _split(columns, proposal, kind, mapped), log))
        if len(result) == most:
            break
    return _usable_first(result, table)


def _full_first(found: list[tuple[Proposal, TaskKind]], columns: Columns) -> list[tuple[Proposal, TaskKind]]:
    """Of one kind, a label with empty cells stands lower than one that has fewer of them: each row without a label is lost to training."""
    filled = [min((columns[c].filled for c in p.columns.get("label", ()) if not p.log), default=columns.rows) for p, _ in found]
    most = {kind.name: max(n for n, (_, other) in zip(filled, found, strict=True) if other is kind) for _, kind in found}
    lost = [(most[kind.name] - n) / columns.rows for n, (_, kind) in zip(filled, found, strict=True)]
    return [(replace(p, score=max(0.0, p.score - 0.3 * share)), kind) for share, (p, kind) in zip(lost, found, strict=True)]


_BLOCKS, _BLOCK = 20, 1000
"""Blocks of rows, from the first to the last, in which a suggestion is tried: tables are sorted by their label, and lists lie together."""


def _usable_first(found: list[Suggestion], table: pa.Table) -> list[Suggestion]:
    """A suggestion whose own check would refuse the table stands behind the first whose check does not; where all do, as they were. One
    that a division by time alone spoils (of times that cannot be read, or with one class before all others) is divided otherwise."""
    last = table.num_rows - _BLOCK
    if table.num_rows > _BLOCKS * _BLOCK:
        table = pa.concat_tables(table.slice(last * i // (_BLOCKS - 1), _BLOCK) for i in range(_BLOCKS))
    for one in found:
        tried = [one]
        if one.split.by == "time" and not one.transactions:
            label = one.columns.get("label", [])
            tried.append(replace(one, split=SplitConfig(by="stratified", column=label[0]) if len(label) == 1 else SplitConfig()))
        if fit := next((way for way in tried if not _refused(way, table)), None):
            return [fit, *(other for other in found if other is not one)]
    return found


def _refused(one: Suggestion, table: pa.Table) -> bool:
    """Whether it ends in an error. A log is made into rows only when it is chosen: that takes long."""
    if one.transactions:
        return False
    kind = KINDS[one.kind]
    try:
        rows, parts, problems = divide(table, one.split, None, "")
        return has_errors(problems) or has_errors(map_fields(kind, rows, parts, one.columns, kind.Options(), "").problems)
    except DataError:
        return True


def nested(table: pa.Table, severity: Severity = Severity.WARNING) -> list[Problem]:
    """Why a table suits no kind, where its cells hold objects that nobody has spread over columns; what to do about it."""
    within = [name for name in of_file(table.column_names) if _objects(table[name])]
    if not within:
        return []
    why = message(
        "Cells of {names} hold objects with values of their own, which no task kind reads: the table suits no kind.",
        names=listed(f"“{name}”" for name in within),
    )
    remedy = message("Flatten them, a column for each value, for example with pandas.json_normalize, and read the table again.")
    return [Problem(severity, "nested", why, remedy)]


def _objects(column: pa.ChunkedArray) -> bool:
    """Structs, or JSON objects as texts, in most of its cells; or lists of them."""
    some = column.slice(0, 200).combine_chunks()
    while pa.types.is_list(some.type) or pa.types.is_large_list(some.type):
        some = some.flatten()
    if not pa.types.is_string(some.type):
        return pa.types.is_struct(some.type) or pa.types.is_map(some.type)
    texts = [v for v in some.to_pylist() if v]
    return len(texts) > 0 and sum(_OBJECT.match(v) is not None for v in texts) > 0.8 * len(texts)


_OBJECT = re.compile(r"\s*\{.*[:}]", re.DOTALL)


_FIRST, _LAST = 150, 50


def _looked_at(table: pa.Table) -> pa.Table:
    """Of a very wide table the first columns and the last: kinds hold columns against each other, every one against every other."""
    names = table.column_names
    return table if len(names) <= _FIRST + _LAST else table.select([*names[:_FIRST], *names[-_LAST:]])


def columns_for(table: pa.Table, kind: TaskKind) -> dict[str, list[str]]:
    """Columns for the fields of one kind: as suggested, else those that are called like a field or hold what it does."""
    found = next(iter(suggestions(table, {kind.name: kind}, most=1)), None)
    return found.columns if found and not found.transactions else called_like(table, kind)


def called_like(table: pa.Table, kind: TaskKind) -> dict[str, list[str]]:
    """What columns a kind has in a table that does not suit it: some fields may be without."""
    return suggest(table.slice(0, _NAMED_FROM), kind.fields)


_NAMED_FROM = 1000


def _without_leaks(table: pa.Table, kind: TaskKind, mapped: dict[str, list[str]]) -> dict[str, list[str]]:
    """Without the columns that give the label away, where others are left in their field."""
    label = mapped.get("label", [])
    several = [c for f in kind.fields if f.name in mapped and f.type in ("text", "category", "number") for c in mapped[f.name]]
    if len(label) != 1 or len(several) < 2 or label[0] not in table.column_names:
        return mapped
    out = {leak.column for leak in find_leaks(table, label[0], several, words=False) if leak.certain}
    return {field: left for field, names in mapped.items() if (left := [c for c in names if c not in out or field == "label"])}


def _complete(proposal: Proposal, kind: TaskKind) -> bool:
    label = {*proposal.columns.get("label", ())}
    asked = {c for field, names in proposal.columns.items() if field != "label" for c in names}
    return all(proposal.columns.get(f.name) for f in kind.fields if f.required) and not (label & asked)  # no label is its own input


def _orders(time: Column, table: pa.Table, label: Sequence[str]) -> bool:
    """Whether a time can divide all rows: hardly a row lacks it, it is no property of somebody, and it does not say the label."""
    if time.filled < 0.98 * time.rows or called(time, NO_TIMES):
        return False
    return (
        len(label) != 1 or label[0] not in table.column_names or not any(leak.certain for leak in find_leaks(table, label[0], [time.name]))
    )


def _split(columns: Columns, proposal: Proposal, kind: TaskKind, mapped: Mapping[str, Sequence[str]]) -> SplitConfig:
    """A given split as it is given; what has a time by time; rows that belong together stay together; classes evenly; else at random."""
    used = {name for names in mapped.values() for name in names}
    times = (c.name for c in columns.of("time") if c.name not in used and _orders(c, columns.table, mapped.get("label", ())))
    if proposal.log:
        return SplitConfig(by="time", column=proposal.log["time"])
    if columns.split:
        return SplitConfig(by="column", column=columns.split.name, values=dict(columns.split.parts or {}) or None)
    if proposal.group:
        return SplitConfig(by="group", column=proposal.group)
    if time := next(times, None):
        return SplitConfig(by="time", column=time)
    if proposal.label:
        return SplitConfig(by="stratified", column=proposal.label)
    return SplitConfig()
