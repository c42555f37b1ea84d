"""Categories and numbers of a row as features beside its text: what is fitted, how they are encoded, the layers that read them.

Any kind may read them: it has the fields `categories` and `numbers`, its options derive from `FeatureOptions`, its spec holds what `fit`
gives, its encoded table what `encode` gives, and its head a `FeatureEncoding`.
"""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field as Setting

from mtl_core.base.messages import N_, message
from mtl_core.base.settings import Options
from mtl_core.data.numbers import PLAIN
from mtl_core.data.problems import Severity
from mtl_core.tasks import common
from mtl_core.tasks.base import Spec

_PLAIN, _PADDED = re.compile(PLAIN), re.compile(r"[+-]?0\d")
UNSEEN = 0  # the code of a category that training did not know
NUMBER_SIZE = 16  # width of an encoded number


class FeatureOptions(Options):
    embedding_size: int = Setting(
        16,
        ge=1,
        le=512,
        title=N_("Embedding size"),
        description=N_("Maximum embedding size of a category; columns with few values get less."),
    )
    bins: int = Setting(
        32,
        ge=2,
        le=512,
        title=N_("Number of bins"),
        description=N_("Number of quantile bins for each numeric column."),
    )
    signed_log: bool = Setting(
        True,
        title=N_("Log-transform skewed numbers"),
        description=N_("Takes the logarithm of very skewed numbers; their sign is kept."),
    )
    minimum_count: int = Setting(
        5,
        ge=1,
        le=1_000_000,
        title=N_("Min rows per category"),
        description=N_("Training rows that a category needs; rarer ones are treated as unknown."),
    )


def check(findings: common.TaskProblems, options: FeatureOptions) -> None:
    """Categories that tell nothing; numbers that are missing in some rows, or in all of them."""
    train = findings.table.filter(pa.array(findings.split == "train"))
    if "categories" in train.column_names and len(train):
        columns = zip(common.category_columns(train["categories"]), vocabularies(train, options.minimum_count), strict=True)
        if silent := sum(pc.count_distinct(column).as_py() < 2 or not known for column, known in columns):
            findings.table_wide(
                Severity.WARNING,
                "categories_silent",
                "categories",
                message(
                    "{columns} categorical columns have a single value in all training rows, or none that occurs {minimum} times.",
                    columns=silent,
                    minimum=options.minimum_count,
                ),
                message("Remove these columns; nothing can be learned from them."),
            )
    if "numbers" not in findings.table.column_names:
        return
    values = common.number_matrix(findings.table["numbers"])
    empty = np.isnan(values).all(axis=0)
    findings.rows(
        Severity.INFO,
        "numbers_missing",
        ", ".join(f"numbers.{place}" for place in np.flatnonzero(np.isnan(values).any(axis=0) & ~empty)),
        np.isnan(values[:, ~empty]).any(axis=1),
        message("{count} of {of} rows lack a number."),
        message("No action needed: the mean is used instead, with an indicator that the value is missing."),
    )
    if len(values) and empty.any():
        findings.table_wide(
            Severity.WARNING,
            "numbers_empty",
            "numbers",
            message("{columns} columns contain no numbers.", columns=int(empty.sum())),
            message("Remove these columns."),
        )


def fit(table: pa.Table, options: FeatureOptions) -> Spec:
    """vocabularies: the known values of each category, sorted; numbers: how each is transformed. Empty lists without such fields."""
    spec: Spec = {"vocabularies": vocabularies(table, options.minimum_count), "numbers": []}
    if "numbers" in table.column_names:
        values = common.number_matrix(table["numbers"])
        spec["numbers"] = [_fit_number(values[:, f], options) for f in range(values.shape[1])]
    return spec


def vocabularies(table: pa.Table, minimum_count: int) -> list[list[str]]:
    """Of each column of categories the values that stand in so many rows, sorted."""
    found = []
    for column in common.category_columns(table["categories"]) if "categories" in table.column_names else []:
        counts = pc.value_counts(column)
        frequent = pc.greater_equal(counts.field("counts"), minimum_count)
        found.append(sorted(counts.field("values").filter(frequent).to_pylist()))
    return found


def encode(table: pa.Table, spec: Spec) -> dict[str, Any]:
    """Columns `categories` (int64 codes, 0 unseen), `numbers` (float32, standardised), `missing` (float32, 1 = was missing)."""
    n = table.num_rows
    columns: dict[str, Any] = {}
    if spec["vocabularies"]:
        found = common.category_columns(table["categories"]) if "categories" in table.column_names else []
        coded = np.full((n, len(spec["vocabularies"])), UNSEEN, dtype=np.int64)
        for k, (vocabulary, column) in enumerate(zip(spec["vocabularies"], found, strict=False)):
            coded[:, k] = known_codes(column, vocabulary)
        columns["categories"] = common.fixed(coded)
    if spec["numbers"]:
        values = np.full((n, len(spec["numbers"])), np.nan)
        if "numbers" in table.column_names:
            given = common.number_matrix(table["numbers"])[:, : values.shape[1]]
            values[:, : given.shape[1]] = given
        columns["missing"] = common.fixed(np.isnan(values).astype(np.float32))
        for f, number in enumerate(spec["numbers"]):
            values[:, f] = _encode_number(values[:, f], number)
        columns["numbers"] = common.fixed(values.astype(np.float32))
    return columns


def known_codes(column: pa.ChunkedArray, vocabulary: list[str]) -> np.ndarray:
    """(N,) int64: 1 + the place of each value in the vocabulary, UNSEEN where it has none.

    A value that the vocabulary spells otherwise is found, too, where only one of its values is the same number or the same of true and
    false: 1 is 1.0, and True of a file the true of JSON. What stands in the vocabulary itself is never taken for another.
    """
    codes = pc.fill_null(pc.add(pc.index_in(column, pa.array(vocabulary, pa.string())), 1), UNSEEN).to_numpy().astype(np.int64)
    if (codes == UNSEEN).any():
        same: dict[object, list[int]] = {}
        for place, name in enumerate(vocabulary, 1):
            same.setdefault(_meant(name), []).append(place)
        alone = {meant: places[0] for meant, places in same.items() if meant is not None and len(places) == 1}
        missed = np.flatnonzero(codes == UNSEEN)
        codes[missed] = [alone.get(_meant(value), UNSEEN) for value in column.take(pa.array(missed)).to_pylist()]
    return codes


def as_known(column: pa.ChunkedArray, vocabulary: list[str]) -> pa.ChunkedArray:
    """The values as the vocabulary spells them, where it has them."""
    codes = known_codes(column, vocabulary)
    spelled = pa.array(vocabulary, pa.string()).take(pa.array(codes - 1, mask=codes == UNSEEN))
    return pc.coalesce(spelled, column)


def _meant(name: str) -> object:
    """What true, false or a number is in whatever spelling; None: the value is its spelling, as 007 is."""
    if name.lower() in ("true", "false"):
        return name.lower()
    return float(name) if _PLAIN.match(name) and not _PADDED.match(name) else None


def _fit_number(values: np.ndarray, options: FeatureOptions) -> dict[str, Any]:
    """How one column is transformed: log or not, mean, std, and the edges of its pieces after both (increasing, at least two); range: the
    least and the largest number, as the table has them, None: there is none."""
    known = values[~np.isnan(values)]
    if not len(known):
        return {"log": False, "mean": 0.0, "std": 1.0, "edges": [0.0, 1.0], "range": None}
    bounds = [float(known.min()), float(known.max())]
    centred = known - known.mean()
    spread = float(np.sqrt((centred**2).mean()))
    log = options.signed_log and spread > 0 and abs(float((centred**3).mean())) / spread**3 > 2
    if log:
        known = np.sign(known) * np.log1p(np.abs(known))
    mean, std = float(known.mean()), float(known.std()) or 1.0
    edges = np.unique(np.quantile((known - mean) / std, np.linspace(0, 1, options.bins + 1)).astype(np.float32))
    if len(edges) < 2:
        edges = np.array([edges[0], edges[0] + 1], dtype=np.float32)
    return {"log": bool(log), "mean": mean, "std": std, "edges": edges.tolist(), "range": bounds}


def ranges(spec: Spec) -> dict[str, list[list[float] | None]]:
    """Field → of each of its columns the least and the largest number that training saw; None: not known, as of older programs."""
    found = [number.get("range") for number in spec.get("numbers", ())]
    return {"numbers": found} if found else {}


def _encode_number(values: np.ndarray, number: dict[str, Any]) -> np.ndarray:
    """Transformed and standardised; 0, the mean, where missing."""
    if number["log"]:
        values = np.sign(values) * np.log1p(np.abs(values))
    return np.nan_to_num((values - number["mean"]) / number["std"], nan=0.0)
