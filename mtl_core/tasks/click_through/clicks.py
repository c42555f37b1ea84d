"""What click-through learns from: clicks, conversions, and how probable it was that a row was seen; and what of it is measured.

A row's conversion is 0 where there was no click, and nan where there was one and nothing is known of what came after it.
"""

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field as Setting

from mtl_core.base.messages import N_, message
from mtl_core.base.settings import Options
from mtl_core.data.problems import Severity
from mtl_core.evaluation import metrics
from mtl_core.tasks import common


class ClickOptions(Options):
    conversion_model: Literal["esmm", "two_heads"] = Setting(
        "esmm",
        title=N_("Conversion model"),
        description=N_(
            "With conversions. esmm: click and conversion together, over all rows (ESMM); two_heads: conversion on clicked rows only."
        ),
        json_schema_extra={"choices": {"esmm": N_("Joint (ESMM)"), "two_heads": N_("Two heads")}},
    )
    without_click: Literal["ignore", "clicked", "leave_out"] = Setting(
        "ignore",
        title=N_("Conversion without a click"),
        description=N_("ignore: it does not count; clicked: the row counts as clicked; leave_out: the row is dropped."),
        json_schema_extra={"choices": {"ignore": N_("Ignore it"), "clicked": N_("Count as clicked"), "leave_out": N_("Drop the row")}},
    )
    propensity_weighting: bool = Setting(
        False,
        title=N_("Inverse propensity weighting"),
        description=N_("Weight each row by the inverse of the probability that it was seen, from the propensity or the position."),
    )
    largest_weight: float = Setting(
        10.0, ge=1, le=1000, title=N_("Max weight"), description=N_("Upper limit of the weights of rows that were rarely seen.")
    )
    position_power: float = Setting(
        1.0,
        ge=0,
        le=4,
        title=N_("Position bias exponent"),
        description=N_("Assumed exposure at position k is 1/k to this power; used without a propensity."),
    )


def labels_of(table: pa.Table, options: ClickOptions) -> tuple[np.ndarray, np.ndarray]:
    """(N,) click and (N,) conversion, nan where not known; a row without a click has no conversion, which is 0."""
    click = common.yes_no(table["label"])[0]
    if "conversion" not in table.column_names:
        return click, np.full(len(click), np.nan)
    conversion = common.yes_no(table["conversion"])[0]
    if options.without_click != "ignore":
        click[(click == 0) & (conversion == 1)] = 1 if options.without_click == "clicked" else np.nan
    return click, np.where(click == 0, 0, conversion)


def weights_of(table: pa.Table, options: ClickOptions) -> np.ndarray:
    """(N,) one over the chance that the row was seen, at most `largest_weight`; nan where it is not known.

    The chance is the propensity, or (1 / position) ** power, the position bias of "Unbiased Learning-to-Rank with Biased Feedback"
    (https://arxiv.org/abs/1608.04468).
    """
    if "propensity" in table.column_names:
        chance = common.numbers(table["propensity"])[0]
        chance[_unlikely(chance)] = np.nan
    else:
        position = common.numbers(table["position"])[0]
        position[_misplaced(position)] = np.nan
        chance = position**-options.position_power
    return np.minimum(1 / chance, options.largest_weight)


def _unlikely(propensity: np.ndarray) -> np.ndarray:
    """(N,) bool: no chance above 0 and at most 1. nan is not such."""
    return (propensity <= 0) | (propensity > 1)


def _misplaced(position: np.ndarray) -> np.ndarray:
    """(N,) bool: no whole number from 1. nan is not such."""
    return (position < 1) | (position % 1 > 0)


def check_conversions(findings: common.TaskProblems, options: ClickOptions) -> None:
    findings.yes_no("conversion")
    click, conversion = common.yes_no(findings.table["label"])[0], common.yes_no(findings.table["conversion"])[0]
    treatment = {
        "ignore": message("The conversion is ignored: the row counts as one without a click."),
        "clicked": message("The row counts as clicked."),
        "leave_out": message("The row is left out."),
    }
    findings.rows(
        Severity.WARNING,
        "conversion_without_click",
        "conversion",
        (click == 0) & (conversion == 1),
        message("{count} of {of} rows have a conversion without a click. {treatment}", treatment=treatment[options.without_click]),
        message("Correct the clicks, or choose otherwise with the option “Conversion without a click”."),
    )
    findings.rows(
        Severity.WARNING,
        "conversion_missing",
        "conversion",
        (click == 1) & common.nulls(findings.table["conversion"]),
        message("{count} clicked rows have no conversion label."),
        message("No action needed: only the click is learned from them. Fill in 0 if a missing value means no conversion."),
    )
    click, conversion = labels_of(findings.table, options)
    if len(np.unique(conversion[(findings.split == "train") & (click == 1) & ~np.isnan(conversion)])) < 2:
        findings.table_wide(
            Severity.WARNING,
            "one_conversion",
            "conversion",
            message("All clicked training rows have the same conversion label, or none, so there is nothing to learn."),
            message("Choose another column, or remove it."),
        )


def check_propensities(findings: common.TaskProblems, options: ClickOptions) -> None:
    given = [field for field in ("propensity", "position") if field in findings.table.column_names]
    if options.propensity_weighting and not given:
        findings.table_wide(
            Severity.WARNING,
            "no_propensity",
            None,
            message("Inverse propensity weighting is on, but no column gives a propensity or a position."),
            message("Choose a propensity or position column, or turn the weighting off; for now all rows have the same weight."),
        )
    for field in given:
        values = common.numbers(findings.table[field])[0]
        wrong = _unlikely(values) if field == "propensity" else _misplaced(values)
        found = values[int(np.argmax(wrong))] if wrong.any() else 0
        if field == "propensity":
            why = message("{count} propensities are not above 0 and at most 1; the first is {found}.", found=f"{found:g}")
            remedy = message("They count as missing and get the mean weight. A propensity must be above 0.")
        else:
            why = message("{count} positions are not whole numbers from 1; the first is {found}.", found=f"{found:g}")
            remedy = message("They count as missing and get the mean weight. Count positions from 1.")
        findings.rows(Severity.WARNING, f"{field}_out_of_range", field, wrong, why, remedy)
        findings.rows(
            Severity.WARNING,
            f"{field}_missing",
            field,
            np.isnan(values),
            message("{count} of {of} rows have no propensity."),
            message("No action needed: they get the mean weight."),
        )


# What is measured: of all rows (""), of the clicked ones ("cvr_"), and of all of which the conversion is known ("ctcvr_").
WHAT = {"": N_("Click"), "cvr_": N_("Conversion after a click"), "ctcvr_": N_("Click and conversion")}
RELIABILITY = {
    "": N_("Reliability diagram of the click probability"),
    "cvr_": N_("Reliability diagram of the conversion probability after a click"),
    "ctcvr_": N_("Reliability diagram of the probability of click and conversion"),
}
MEASURES = {
    "auc": metrics.roc_auc,
    "log_loss": metrics.log_loss,
    "pr_auc": metrics.average_precision,
    "calibration_error": metrics.calibration_error,
}
EXTRAS = ("conversion", "weight")  # features that are no input of the head


def measured(scores: np.ndarray, labels: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Key of `WHAT` → (probabilities, labels) of its rows. scores, labels: as by `scores` and `truth`."""
    click = labels if labels.ndim == 1 else labels[:, 0]
    if scores.ndim == 1:
        return {"": (scores, click)}
    conversion = labels[:, 1]
    known = ~np.isnan(conversion)
    clicked = known & (click > 0.5)
    return {
        "": (scores[:, 0], click),
        "cvr_": (scores[clicked, 1], conversion[clicked]),
        "ctcvr_": (scores[known].prod(axis=1), conversion[known]),
    }


def truth_of(click: np.ndarray, extras: dict[str, np.ndarray]) -> np.ndarray:
    """What `ClickThrough.truth` gives. extras: those of `EXTRAS` that there are, (R,) each."""
    nothing = np.full(len(click), np.nan, np.float32)
    return np.stack([click, *(extras.get(name, nothing) for name in EXTRAS)], axis=1) if extras else click
