"""What classification knows beside its classes: their parents, what belongs to none of them, and few rows of each.

Out of scope is either a class like the others, or, with `reject`, what the model doubts: then its rows are in no class and teach nothing,
their label is C, the number of classes, and `scores` has a column more, the doubt in [0, 1].
"""

import re
from dataclasses import replace
from decimal import Decimal
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field as Setting

from mtl_core.base.messages import N_, message
from mtl_core.data.numbers import PLAIN
from mtl_core.data.problems import Severity
from mtl_core.evaluation import metrics
from mtl_core.tasks import common
from mtl_core.tasks.base import Spec
from mtl_core.tasks.classification.probable import Probable, scope_of
from mtl_core.tasks.naming import NamedOptions
from mtl_core.tasks.naming import called as name_of

OUT_OF_SCOPE = N_("out of scope")


class ClassOptions(NamedOptions):
    out_of_scope: str = Setting(
        "",
        max_length=200,
        title=N_("Out of scope"),
        description=N_("The out-of-scope label, for texts of none of the classes; empty if there is none."),
    )
    reject: Literal["none", "confidence", "energy"] = Setting(
        "none",
        title=N_("Rejection"),
        description=N_(
            "How out-of-scope texts are recognised: none; confidence, by a low class probability; energy, by a high energy score."
        ),
        json_schema_extra={"choices": {"none": N_("None"), "confidence": N_("By confidence"), "energy": N_("By energy score")}},
    )
    rejected_share: float = Setting(
        0.05,
        ge=0,
        le=0.5,
        title=N_("Allowed false rejection rate"),
        description=N_("Fraction of in-scope validation rows that may be rejected; sets the threshold."),
    )
    parent_weight: float = Setting(
        0.5,
        ge=0,
        le=10,
        title=N_("Parent class loss weight"),
        description=N_("Loss weight of predicting the parent class, relative to the class; with a parent column."),
    )
    join_spellings: bool = Setting(
        False,
        title=N_("Join spellings"),
        description=N_("Classes that differ only in upper and lower case, or in the width of characters, are one."),
    )
    rows_per_class: int = Setting(
        0,
        ge=0,
        le=1_000_000,
        title=N_("Max rows per class"),
        description=N_("Maximum training rows per class, sampled with the seed; 0: all."),
        json_schema_extra={"stops": [0, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000], "zero": N_("all")},
    )


# -- names --------------------------------------------------------------------------------------------------------------------


def names(column: pa.ChunkedArray, options: ClassOptions) -> pa.ChunkedArray:
    """(N,) of the classes, null where there is none."""
    return _joined(common.names(column)) if options.join_spellings else common.names(column)


def _joined(names: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_lower(pc.utf8_normalize(names, "NFKC"))


def check_spellings(findings: common.TaskProblems, names: pa.ChunkedArray) -> None:
    """Classes that a person may mean as one: they differ in case or width only, or are one number."""
    found = pc.drop_null(pc.unique(names))
    keys = pd.Series(_joined(found).to_pylist(), dtype=object)
    number = re.compile(PLAIN)
    given = found.to_pylist()
    words = pd.Series(given, dtype=object)
    numbers = pd.Series([Decimal(n) if number.match(n) and not re.match(r"[+-]?0\d", n) else None for n in given], dtype=object)
    for code, same, why, remedy in (
        (
            "class_case",
            keys,
            message("Classes differ only in upper and lower case or in the width of characters: {found}."),
            message("They are classes of their own. If they are the same, turn on the option “Join spellings”."),
        ),
        (
            "class_number",
            numbers,
            message("Classes are written differently and are the same number: {found}."),
            message("They are classes of their own, as codes are. If they are the same, write them in one way."),
        ),
    ):
        alike = same.notna() & same.duplicated(keep=False)
        if alike.any():
            groups = words[alike].groupby(same[alike], sort=False).agg(list)
            shown = "; ".join(" = ".join(f"“{common.shorten(name)}”" for name in group[:4]) for group in groups[:4])
            mask = pc.fill_null(pc.is_in(names, pa.array(words[alike], pa.string())), False).to_numpy()
            findings.rows(Severity.WARNING, code, "label", mask, replace(why, values={"found": shown}), remedy)


# -- rows ---------------------------------------------------------------------------------------------------------------------


def turned_away(names: pa.ChunkedArray, options: ClassOptions) -> np.ndarray:
    """(N,) bool: rows that are out of scope and therefore in no class. names: (N,) of the classes."""
    if options.reject == "none" or not options.out_of_scope:
        return np.zeros(len(names), dtype=bool)
    return pc.fill_null(pc.equal(names, options.out_of_scope), False).to_numpy()


def kept(names: pa.ChunkedArray, split: np.ndarray, options: ClassOptions, seed: int) -> np.ndarray:
    """(N,) bool: all rows but training rows that are turned away, and of each class those beyond `rows_per_class`, in an order drawn by
    `seed`, so that what is kept with fewer rows is kept with more."""
    train, keep = split == "train", np.ones(len(names), dtype=bool)
    keep[train & turned_away(names, options)] = False
    if options.rows_per_class:
        order = np.random.default_rng(seed).permutation(np.flatnonzero(train))
        place = pd.Series(order).groupby(common.codes(names)[order]).cumcount().to_numpy()
        keep[order[place >= options.rows_per_class]] = False
    return keep


def parents_of(names: pa.ChunkedArray, parents: pa.ChunkedArray) -> dict[str, str]:
    """Class → the parent that most of its rows have, the first by name of several; classes without one are left out."""
    pairs = pa.table({"name": names, "parent": parents}).drop_null()
    counts = pairs.group_by(["name", "parent"]).aggregate([([], "count_all")])
    counts = counts.sort_by([("count_all", "ascending"), ("parent", "descending")])  # the last one stays
    return dict(zip(counts["name"].to_pylist(), counts["parent"].to_pylist(), strict=True))


# -- checks -------------------------------------------------------------------------------------------------------------------


def check_scope(findings: common.TaskProblems, names: pa.ChunkedArray, options: ClassOptions) -> None:
    if options.out_of_scope and not pc.any(pc.equal(names, options.out_of_scope)).as_py():
        findings.table_wide(
            Severity.WARNING,
            "out_of_scope_missing",
            "label",
            message("No row has the out-of-scope label “{label}”.", label=common.shorten(options.out_of_scope)),
            message("Correct the option “Out of scope”, or leave it empty."),
        )
    findings.rows(
        Severity.INFO,
        "out_of_scope_not_learned",
        "label",
        turned_away(names, options) & (findings.split == "train"),
        message("{count} training rows are out of scope; rejection does not use them."),
        message("No action needed; without rejection they form a class of their own."),
    )


def check_parents(findings: common.TaskProblems, column: pa.ChunkedArray, options: ClassOptions) -> None:
    parents = names(findings.table["parent"], options)
    train = pa.array(findings.split == "train")
    usual = parents_of(column.filter(train), parents.filter(train))
    wanted = pa.array([usual.get(name) for name in column.to_pylist()], pa.string())
    other = pc.fill_null(pc.not_equal(parents, wanted), False).to_numpy()
    first = int(np.argmax(other)) if other.any() else None
    findings.rows(
        Severity.WARNING,
        "two_parents",
        "parent",
        other,
        message(
            "{count} rows have another parent than most training rows of their class; the first is “{label}”, here under “{parent}”.",
            label="" if first is None else common.shorten(column[first].as_py()),
            parent="" if first is None else common.shorten(parents[first].as_py()),
        ),
        message("A class can have only one parent; the most frequent one is used. Correct the column, or use two class names."),
    )
    findings.rows(
        Severity.WARNING,
        "parent_missing",
        "parent",
        common.nulls(parents) & ~common.nulls(column),
        message("{count} rows have a class and no parent."),
        message("The parent of the other rows of the class is used; a class that has none is its own parent."),
    )


# -- scores -------------------------------------------------------------------------------------------------------------------


def threshold(doubts: np.ndarray, share: float) -> float:
    """The doubt above which at most `share` of the rows lie. doubts: (N,), N ≥ 1."""
    return float(np.sort(doubts)[len(doubts) - 1 - int(share * len(doubts))])


def names_of(spec: Spec) -> list[str]:
    """What the classes are called, and at C what is out of scope."""
    return [name_of(spec, name) for name in spelled(spec)]


def spelled(spec: Spec) -> list[str]:
    """The same as the table spells them."""
    return [*spec["classes"], spec.get("out_of_scope") or OUT_OF_SCOPE]


def called(scores: np.ndarray, spec: Spec) -> np.ndarray:
    """(R,) int64: the class, or C for what is rejected; nothing is before there is a threshold."""
    found = Probable(scores, spec)
    return np.where(found.outside > spec["threshold"], found.n, found.first) if "threshold" in spec else found.first


def scope_metrics(scores: np.ndarray, labels: np.ndarray, spec: Spec) -> dict[str, float]:
    """As CLINC150 measures it: "An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction"
    (https://arxiv.org/abs/1909.02027)."""
    found, outside = Probable(scores, spec), scope_of(spec)
    if not found.rejects and outside is None:
        return {}
    out = labels == outside
    within = found.first if found.rejects or outside is None else found.first_but(outside)
    values = {
        "in_scope_accuracy": metrics.accuracy(within[~out], labels[~out]),
        "out_of_scope_auc": metrics.roc_auc(found.outside, out),
    }
    if not found.rejects or "threshold" in spec:
        away = (called(scores, spec) == (found.n if found.rejects else outside)).astype(np.float64)
        values |= {
            name: float(away[rows].mean()) for name, rows in (("out_of_scope_recall", out), ("in_scope_rejected", ~out)) if rows.any()
        }
    return values
