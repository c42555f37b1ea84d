"""A transaction log (who took what, when) becomes a recommendation table: histories, the next item, sampled negatives."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from mtl_core.base.messages import N_, Message, message
from mtl_core.data.places import of_file
from mtl_core.data.problems import Problem, Severity
from mtl_core.data.split import SplitConfig, split_rows
from mtl_core.data.times import Dates
from mtl_core.data.values import as_number, as_text, as_times, codes_of, seen_codes


class TransactionConfig(BaseModel):
    """Columns of the log and how rows are made from it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    user: str = Field("user", min_length=1, title=N_("User column"), description=N_("Column that identifies the user."))
    item: str = Field("item", min_length=1, title=N_("Item column"), description=N_("Column that identifies the item."))
    text: str = Field(
        "text",
        min_length=1,
        title=N_("Item text column"),
        description=N_("Column with the item's text; the most frequent text of an item is used."),
    )
    time: str = Field(
        "time",
        min_length=1,
        title=N_("Time column"),
        description=N_("Column with the time: a date, a date and time, or an increasing number."),
    )
    quantity: str | None = Field(
        None,
        title=N_("Quantity column"),
        description=N_("Column with the quantity; rows at or below 0 (cancellations) are dropped."),
    )
    rating: str | None = Field(
        None, title=N_("Rating column"), description=N_("Column with the rating; rows below the minimum rating are dropped.")
    )
    minimum_rating: float = Field(
        4.0,
        ge=-1e9,
        le=1e9,
        title=N_("Min rating"),
        description=N_("Lowest rating that counts as a positive; used with a rating column only."),
    )
    item_pattern: str | None = Field(
        None,
        title=N_("Item code pattern"),
        description=N_("A regular expression that item codes must match; other rows (postage, fees) are dropped. Empty: keep all."),
    )
    negatives: int = Field(
        4,
        ge=1,
        le=100,
        title=N_("Negatives per positive"),
        description=N_("Negatives sampled for each positive in training: items that the user did not choose."),
    )
    evaluation_negatives: int = Field(
        20,
        ge=1,
        le=1000,
        title=N_("Negatives in evaluation"),
        description=N_("Negatives per positive in validation and test; below 10, a top ten would always contain the positive."),
    )
    negative_sampling: Literal["uniform", "popularity"] = Field(
        "uniform",
        title=N_("Negative sampling"),
        description=N_("uniform: every item equally likely; popularity: popular items more often, which is harder."),
        json_schema_extra={"choices": {"uniform": N_("Uniform"), "popularity": N_("By popularity")}},
    )
    history: int = Field(
        10, ge=1, le=200, title=N_("Max history length"), description=N_("Maximum number of items in a history; the most recent are kept.")
    )
    minimum_history: int = Field(
        1, ge=0, le=200, title=N_("Min history length"), description=N_("Minimum number of earlier items for a row to be made.")
    )
    positives_per_user: int = Field(
        20,
        ge=1,
        le=100_000,
        title=N_("Positives per user"),
        description=N_("Maximum number of positives per user, chosen at random."),
    )
    repeats: bool = Field(
        False,
        title=N_("Count repeats"),
        description=N_("Whether repeated interactions with an item count; otherwise only the first one does."),
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title=N_("Negative sampling seed"),
        description=N_("Seed of the random choices: the same seed gives the same rows."),
    )


_CALLED = {  # role → what such columns are called, the usual words first
    "user": ("user", "customer", "client", "member", "account", "buyer"),
    "item": ("item", "stock", "product", "sku", "asin", "article", "goods"),
    "text": ("description", "title", "name", "text"),
    "time": ("date", "time", "timestamp", "day"),
    "quantity": ("quantity", "qty", "amount"),
    "rating": ("rating", "stars", "score"),
}


def suggest_roles(columns: Sequence[str]) -> dict[str, str]:
    """Role of `TransactionConfig` (user, item, text, time, quantity, rating) → a column that is called like it. Each column once."""
    found: dict[str, str] = {}
    for role, words in _CALLED.items():
        free = [c for c in columns if c not in found.values()]
        if column := next((c for word in words for c in free if word in c.lower()), None):
            found[role] = column
    return found


def looks_like_log(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is probably a transaction log: who, what, in which words, when."""
    return {"user", "item", "text", "time"} <= suggest_roles(columns).keys()


def to_recommendations(
    table: pa.Table,
    options: TransactionConfig,
    split: SplitConfig = SplitConfig(),
    file: str | None = None,
    dates: Dates | None = None,
) -> tuple[pa.Table, np.ndarray, list[Problem]]:
    """Histories in time order, the item taken next (label 1) and items not taken (label 0); (N,) the part that each row is in.

    A history holds what the user took strictly before the moment of the positive, oldest first, so nothing of the same
    basket or later. Negatives are items that the user never took (with `repeats`: not at that moment), each with another text.
    The items taken are divided, by a column of the log or of the new table; what the split leaves out makes no rows.

    table: as read, with `_line`. dates: of `values.as_time`. The new table has the columns user (dictionary string), history (list of
    dictionary string: item texts), item (dictionary string: the candidate's text), item_id (dictionary string), label (int8), time,
    list (number of the positive, the same for its negatives) and `_line` (of the positive). One positive's rows follow each other.
    Never raises for bad data: with errors in the problems the table has no rows.
    """
    nothing = _EMPTY, np.empty(0, "<U10")
    problems = _missing_columns(table, options, file)
    if problems:
        return *nothing, problems
    log, problems = _clean(table, options, file, dates)
    if log is None:
        return *nothing, problems
    rng = np.random.default_rng(options.seed)
    if not options.repeats:
        log = log.take(_first_takes(log))
    history_start, history_end = _histories(log, options.history)
    positives = np.flatnonzero(history_end - history_start >= options.minimum_history)
    positives = _at_most(positives, log.user, options.positives_per_user, rng)
    if not len(positives):
        why = message("No user chose an item after {count} earlier items at other times.", count=options.minimum_history)
        remedy = message("Check the user and time columns, or lower the minimum history length.")
        return *nothing, [*problems, Problem(Severity.ERROR, "no_histories", why, remedy, file, 1, options.user)]
    parts, more = split_rows(_taken(log, positives), _renamed(split, options), file)
    problems += more
    positives, parts = positives[parts != ""], parts[parts != ""]
    wanted = np.where(parts == "train", options.negatives, options.evaluation_negatives)
    negatives = _negatives(log, positives, wanted, options, rng)
    missing = int((negatives == _MISSING).sum())
    if missing:
        why = message("{count} negatives could not be sampled: there are too few items that the user did not choose.", count=missing)
        problems.append(
            Problem(Severity.WARNING, "few_negatives", why, message("Sample fewer negatives."), file, None, options.item, missing)
        )
    rows = _rows(log, positives, history_start, history_end, negatives)
    return rows, parts[rows.column("list").to_numpy()], problems


def _renamed(split: SplitConfig, options: TransactionConfig) -> SplitConfig:
    """A column of the log by its name in the new table."""
    names = {options.user: "user", options.item: "item_id", options.text: "item", options.time: "time"}
    return split.model_copy(update={"column": names.get(split.column or "", split.column)})


@dataclass
class _Log:
    """The usable events, by user and then time (equal times in file order). Codes index the names; `text_of` maps items to texts."""

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray  # int64 or float64
    line: np.ndarray
    users: pa.Array
    items: pa.Array
    texts: pa.Array
    text_of: np.ndarray
    time_type: pa.DataType

    def take(self, rows: np.ndarray) -> "_Log":
        return replace(self, user=self.user[rows], item=self.item[rows], time=self.time[rows], line=self.line[rows])

    @property
    def text(self) -> np.ndarray:
        return self.text_of[self.item]


def _missing_columns(table: pa.Table, options: TransactionConfig, file: str | None) -> list[Problem]:
    problems = []
    names = of_file(table.column_names)
    for role in ("user", "item", "text", "time", "quantity", "rating"):
        column = getattr(options, role)
        if column is not None and column not in names:
            near = get_close_matches(column, names, n=1)
            why = message("The transaction log has no such column for the {role}.", role=message(role))
            remedy = (
                message("Did you mean “{near}”?", near=near[0])
                if near
                else message("Choose one of: {columns}.", columns=", ".join(names[:20]))
            )
            problems.append(Problem(Severity.ERROR, "missing_column", why, remedy, file, 1, column))
    return problems


_ROLES = (N_("user"), N_("item"), N_("text"), N_("time"), N_("quantity"), N_("rating"))


def _clean(table: pa.Table, options: TransactionConfig, file: str | None, dates: Dates | None) -> tuple[_Log | None, list[Problem]]:
    """The rows that count, and what was dropped and why."""
    problems: list[Problem] = []
    lines = table.column("_line").to_numpy()
    keep = np.ones(table.num_rows, bool)

    def drop(bad: np.ndarray, code: str, why: str, remedy: Message, column: str) -> None:
        bad = bad & keep
        if count := int(bad.sum()):
            line = int(lines[np.argmax(bad)])
            severity = Severity.WARNING if code == "bad_time" else Severity.INFO
            problems.append(Problem(severity, code, message(why, count=count), remedy, file, line, column, count))
            keep[bad] = False

    users, user_names = seen_codes(table.column(options.user))
    items, item_names = seen_codes(table.column(options.item))
    found = as_times(table.column(options.time), dates)
    times, unreadable = found.values, found.wrong
    for code, severity, rows, why, remedy in found.remarks:
        line, count = int(lines[np.argmax(rows)]), int(rows.sum())
        problems.append(Problem(severity, code, why, remedy, file, line, options.time, count))
    drop(
        users < 0, "no_user", N_("{count} rows without a user are dropped."), message("Fill the column if the user is known."), options.user
    )
    drop(
        items < 0,
        "no_item",
        N_("{count} rows without an item are dropped."),
        message("Fill the column if the item is known."),
        options.item,
    )
    if options.item_pattern is not None:
        try:
            fits = pc.match_substring_regex(item_names, options.item_pattern).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid as e:
            why = message("The item code pattern is not a regular expression: {reason}", reason=str(e))
            return None, [Problem(Severity.ERROR, "bad_pattern", why, message("Correct it, or leave it empty."), file, None, options.item)]
        drop(~np.append(fits, True)[items], "item_pattern", N_("{count} rows of items that do not match the pattern are dropped."),
             message("Change the pattern if such items should count."), options.item)  # fmt: skip
    drop(unreadable, "bad_time", N_("{count} rows whose time cannot be read are dropped."),
         message("Write times as 2024-05-31 or 2024-05-31 18:30, or as numbers."), options.time)  # fmt: skip
    drop(
        _flags(pc.is_null(times)),
        "no_time",
        N_("{count} rows without a time are dropped."),
        message("Fill the column if the time is known."),
        options.time,
    )
    if options.quantity is not None:
        quantity, _ = as_number(table.column(options.quantity))
        drop(~(_numpy(quantity) > 0), "no_quantity", N_("{count} rows with a quantity of 0 or less, or none, are dropped (cancellations)."),
             message("Leave the quantity column empty if they should count."), options.quantity)  # fmt: skip
    if options.rating is not None:
        rating, _ = as_number(table.column(options.rating))
        low = ~(_numpy(rating) >= options.minimum_rating)
        drop(low, "low_rating", N_("{count} rows below the minimum rating, or without one, are dropped."),
             message("Lower the minimum rating if they should count."), options.rating)  # fmt: skip
    text_of, text_names = _item_texts(items, table.column(options.text), len(item_names))
    drop(np.append(text_of, 0)[items] < 0, "no_item_text", N_("{count} rows of items that have no text anywhere are dropped."),
         message("Describe each item in at least one row."), options.text)  # fmt: skip
    if not keep.any():
        why = message("No row has all of user, item, text and time.")
        return None, [*problems, Problem(Severity.ERROR, "no_transactions", why, message("Check which columns are chosen."), file, 1)]
    is_time = pa.types.is_timestamp(times.type)
    rows = np.flatnonzero(keep)
    values = pc.fill_null(times.cast(pa.int64() if is_time else pa.float64()), 0).to_numpy()[rows]
    order = np.lexsort((lines[rows], values, users[rows]))
    rows = rows[order]
    log = _Log(users[rows], items[rows], values[order], lines[rows], user_names, item_names, text_names, text_of, times.type)
    return log, problems


def _item_texts(items: np.ndarray, column: pa.ChunkedArray, n_items: int) -> tuple[np.ndarray, pa.Array]:
    """((n_items,) code of the most frequent text of each item, -1 without one; the texts). Of a tie the first in the alphabet."""
    texts, names = codes_of(as_text(column))
    rank = np.argsort(np.argsort(names.to_numpy(zero_copy_only=False).astype(str)))
    both = (items >= 0) & (texts >= 0)
    pairs, counts = np.unique(items[both] * len(names) + texts[both], return_counts=True)
    item, text = np.divmod(pairs, max(len(names), 1))
    order = np.lexsort((rank[text], -counts, item))
    item, text = item[order], text[order]
    best = np.full(n_items, -1, np.int64)
    chosen, first = np.unique(item, return_index=True)
    best[chosen] = text[first]
    used, code = np.unique(best[best >= 0], return_inverse=True)
    best[best >= 0] = code
    return best, names.take(pa.array(used))


def _first_takes(log: _Log) -> np.ndarray:
    """Rows at which a user takes an item for the first time, in order."""
    _, first = np.unique(log.user * len(log.items) + log.item, return_index=True)
    return np.sort(first)


def _histories(log: _Log, length: int) -> tuple[np.ndarray, np.ndarray]:
    """For each event the range of events of the same user at earlier times, at most `length`."""
    n = len(log.user)
    new_user = np.r_[True, log.user[1:] != log.user[:-1]]
    new_moment = new_user | np.r_[True, log.time[1:] != log.time[:-1]]
    index = np.arange(n)
    user_start = np.maximum.accumulate(np.where(new_user, index, 0))
    end = np.maximum.accumulate(np.where(new_moment, index, 0))
    return np.maximum(user_start, end - length), end


def _at_most(rows: np.ndarray, user: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    """At most `limit` rows of each user, chosen at random, in order."""
    shuffled = rows[rng.permutation(len(rows))]
    shuffled = shuffled[np.argsort(user[shuffled], kind="stable")]
    owner = user[shuffled]
    start = np.maximum.accumulate(np.where(np.r_[True, owner[1:] != owner[:-1]], np.arange(len(owner)), 0)) if len(owner) else owner
    return np.sort(shuffled[np.arange(len(shuffled)) - start < limit])


_MISSING, _UNWANTED = -1, -2  # in the place of an item


def _negatives(log: _Log, positives: np.ndarray, wanted: np.ndarray, options: TransactionConfig, rng: np.random.Generator) -> np.ndarray:
    """(P, most wanted) item codes, _MISSING where none could be found, _UNWANTED behind the (P,) `wanted` first ones.

    Drawn again until neither taken by the user nor twice in a row.
    """
    n_texts = len(log.texts)
    moment = np.cumsum(np.r_[True, (log.user[1:] != log.user[:-1]) | (log.time[1:] != log.time[:-1])]) - 1
    owner = moment if options.repeats else log.user  # whose taken items are no negatives
    taken = np.unique(owner * n_texts + log.text)
    pool, counts = np.unique(log.item, return_counts=True)
    share = np.cumsum(counts) / counts.sum()
    place = np.arange(wanted.max(initial=0))
    drawn = np.where(place < wanted[:, None], _MISSING, _UNWANTED)
    for _ in range(20):
        rows, places = np.nonzero(drawn == _MISSING)
        if not len(rows):
            break
        if options.negative_sampling == "uniform":
            candidates = pool[rng.integers(0, len(pool), len(rows))]
        else:
            candidates = pool[np.minimum(np.searchsorted(share, rng.random(len(rows)), side="right"), len(pool) - 1)]
        keys = owner[positives[rows]] * n_texts + log.text_of[candidates]
        at = np.minimum(np.searchsorted(taken, keys), len(taken) - 1)
        free = taken[at] != keys
        drawn[rows[free], places[free]] = candidates[free]
        drawn[_repeated(np.where(drawn < 0, -1 - place, log.text_of[drawn]))] = _MISSING
    weights = np.ones(len(pool)) if options.negative_sampling == "uniform" else counts.astype(float)
    for row, column in np.argwhere(drawn == _MISSING):  # users who took nearly everything: choose among the few items left
        start, end = np.searchsorted(taken, (owner[positives[row]] + np.array([0, 1])) * n_texts)
        excluded = np.r_[taken[start:end] % n_texts, log.text_of[drawn[row][drawn[row] >= 0]]]
        left = np.flatnonzero(~np.isin(log.text_of[pool], excluded))
        if len(left):
            drawn[row, column] = pool[rng.choice(left, p=weights[left] / weights[left].sum())]
    return drawn


def _repeated(values: np.ndarray) -> np.ndarray:
    """(R, C) True where a value stands in its row for the second time or more."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    again = np.zeros(values.shape, bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return again


def _rows(log: _Log, positives: np.ndarray, start: np.ndarray, end: np.ndarray, negatives: np.ndarray) -> pa.Table:
    """One positive and its negatives after each other."""
    candidates = np.concatenate([log.item[positives][:, None], negatives], axis=1)
    unit, place = np.nonzero(candidates >= 0)
    item, event = candidates[unit, place], positives[unit]
    lengths = (end - start)[event]
    offsets = np.r_[0, np.cumsum(lengths)]
    past = np.repeat(start[event] - offsets[:-1], lengths) + np.arange(offsets[-1])

    columns = _taken(log, event, item)
    history = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), _names(log.text[past], log.texts))
    return pa.table(
        {
            "user": columns["user"],
            "history": history,
            "item": columns["item"],
            "item_id": columns["item_id"],
            "label": pa.array((place == 0).astype(np.int8)),
            "time": columns["time"],
            "list": pa.array(unit.astype(np.int64)),
            "_line": columns["_line"],
        }
    )


def _taken(log: _Log, events: np.ndarray, items: np.ndarray | None = None) -> pa.Table:
    """Who, what, when and on which line; `items` in the place of those taken."""
    items = log.item[events] if items is None else items
    time = pa.array(log.time[events])
    return pa.table(
        {
            "user": _names(log.user[events], log.users),
            "item": _names(log.text_of[items], log.texts),
            "item_id": _names(items, log.items),
            "time": time.cast(log.time_type) if pa.types.is_timestamp(log.time_type) else time,
            "_line": pa.array(log.line[events].astype(np.int64)),
        }
    )


def _names(codes: np.ndarray, values: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), values)


def _numpy(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.to_numpy(), np.float64)


def _flags(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.to_numpy(), bool)


_NAME = pa.dictionary(pa.int32(), pa.string())
_EMPTY = pa.schema(
    [("user", _NAME), ("history", pa.list_(_NAME)), ("item", _NAME), ("item_id", _NAME), ("label", pa.int8()),
     ("time", pa.timestamp("us")), ("list", pa.int64()), ("_line", pa.int64())]
).empty_table()  # fmt: skip
