"""Regression: a text, or two texts read together → a number."""

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field as Setting

from mtl_core.base.messages import N_, message
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation import metrics, weighed
from mtl_core.tasks import common, vectors
from mtl_core.tasks.base import AnswerField, Field, MetricInfo, Panel, Report, Rows, Slot, Spec, TaskKind, head_of
from mtl_core.tasks.regression.suiting import suits

PARTS = 5  # of the values, in the report


class RegressionOptions(vectors.VectorOptions):
    loss: Literal["squared", "absolute", "huber"] = Setting(
        "squared",
        title=N_("Loss"),
        description=N_("squared error; absolute error; huber: squared up to one standard deviation, absolute beyond, against outliers."),
        json_schema_extra={"choices": {"squared": N_("Squared error"), "absolute": N_("Absolute error"), "huber": N_("Huber")}},
    )
    clip: bool = Setting(True, title=N_("Clip predictions"), description=N_("Clip predictions to the range of the training values."))


FIELDS = (
    Field(
        "text",
        "text",
        N_("The text to rate."),
        many=True,
        aliases=("text", "review", "review text", "message", "body", "title", "description", "product"),
        label=N_("Text"),
    ),
    vectors.SECOND,
    Field(
        "label",
        "label",
        N_("The target value."),
        aliases=("label", "rating", "score", "stars", "value", "grade", "quality", "target", "评分"),
        holds="number",
        label=N_("Label"),
    ),
)


class RegressionReport(Report):
    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        return metrics.defined(
            {"rmse": metrics.rmse(scores, labels), "mae": metrics.mae(scores, labels), "spearman": metrics.spearman(scores, labels)}
        )

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> weighed.Spearman:
        return weighed.Spearman(scores.astype(np.float64), labels)

    def misses(self, scores: np.ndarray, labels: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """The loss is of numbers that are not clipped."""
        return np.abs(scores.astype(np.float64) - labels)

    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        scores, labels = scores.astype(np.float64), labels.astype(np.float64)
        by_truth = [
            [labels[r].min(), labels[r].max(), (scores[r] - labels[r]).mean(), metrics.mae(scores[r], labels[r]),
             metrics.rmse(scores[r], labels[r]), len(r)]
            for r in _parts(labels)
        ]  # fmt: skip
        by_prediction = [
            [scores[r].min(), scores[r].max(), scores[r].mean(), labels[r].mean(), labels[r].std(), len(r)] for r in _parts(scores)
        ]
        of_truth = [N_("true from"), N_("true to"), N_("mean error"), N_("mean absolute error"), "RMSE", N_("rows")]
        of_prediction = [
            N_("predicted from"), N_("predicted to"), N_("mean prediction"), N_("mean true value"), N_("std of true values"), N_("rows")
        ]  # fmt: skip
        errors, calibration = N_("Errors by quintile of the true value"), N_("Calibration by quintile of the prediction")
        if len(by_truth) < PARTS:  # values that are equal stay together
            errors = N_("Errors by range of the true value")
        if len(by_prediction) < PARTS:
            calibration = N_("Calibration by range of the prediction")
        return [
            Panel("table", errors, {"columns": of_truth, "rows": _plain(by_truth)}),
            Panel("table", calibration, {"columns": of_prediction, "rows": _plain(by_prediction)}),
        ]

    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        return [{"value": float(s)} for s in scores]


REPORT = RegressionReport()


class RegressionRows(Rows):
    def slots(self, options: RegressionOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return vectors.slots(fields)

    def check(self, table: pa.Table, split: np.ndarray, options: RegressionOptions) -> list[Problem]:
        findings = common.TaskProblems(table, split)
        if not findings.fields(FIELDS):
            return findings.problems
        findings.texts("text")
        findings.texts("second")
        values, bad = common.numbers(findings.table["label"])
        first = common.shorten(findings.table["label"][int(np.argmax(bad))].as_py()) if bad.any() else ""
        findings.rows(
            Severity.ERROR,
            "label_type",
            "label",
            bad,
            message("{count} labels are not numbers; the first is “{found}”.", found=first),
            message("Choose another label column, or correct them."),
        )
        if not findings.labels(~np.isnan(values)):
            return findings.problems
        for part in ("train", "validation", "test"):
            found = np.unique(values[(findings.split == part) & ~np.isnan(values)])
            if len(found) == 1:
                findings.table_wide(
                    Severity.ERROR if part == "train" else Severity.WARNING,
                    "one_value" if part == "train" else "one_value_in_split",
                    "label",
                    message("All training rows have the value {value}, so there is nothing to learn.", value=f"{found[0]:g}")
                    if part == "train"
                    else message(
                        "All rows of the split “{split}” have the same value; some metrics are undefined there.",
                        split=common.SPLITS[part],
                    ),
                    message("Choose another label column, or split differently."),
                )
        return findings.problems

    def fit(self, table: pa.Table, options: RegressionOptions) -> Spec:
        """mean, deviation, lowest and highest of the numbers; clip: whether predictions stay between the last two."""
        values = common.numbers(table["label"])[0]
        values = values[~np.isnan(values)]
        return {
            "mean": float(values.mean()),
            "deviation": float(values.std()) or 1.0,
            "lowest": float(values.min()),
            "highest": float(values.max()),
            "clip": options.clip,
        }

    def encode(self, table: pa.Table, spec: Spec, options: RegressionOptions) -> pa.Table:
        encoded = vectors.columns(table)
        if "label" in table.column_names:
            encoded["label"] = common.floats(common.numbers(table["label"])[0])
        return pa.table(encoded)

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: RegressionOptions, part: str) -> dict[str, float]:
        """TF-IDF of words and word pairs with ridge regression; `mean_rmse`: always the mean."""
        from sklearn.linear_model import Ridge

        encoded = self.encode(table, spec, options)
        labels = encoded["label"].to_numpy().astype(np.float64)
        train = common.sample(np.flatnonzero((split == "train") & ~np.isnan(labels)), 50_000)
        rows = np.flatnonzero((split == part) & ~np.isnan(labels))
        if not len(rows) or not len(train):
            return {}
        learned, words = vectors.word_features(encoded, train, rows)
        scores = Ridge(solver="sparse_cg").fit(learned, labels[train]).predict(words)
        if spec["clip"]:
            scores = scores.clip(spec["lowest"], spec["highest"])
        mean = np.full(len(rows), labels[train].mean())
        return REPORT.evaluate(scores, labels[rows], None, spec) | {"mean_rmse": metrics.rmse(mean, labels[rows])}


KIND = TaskKind(
    name="regression",
    label=N_("Regression"),
    help=N_("Predicts a number for a text: a rating, a price, a quality score."),
    fields=FIELDS,
    example=(
        {"text": "a lovely warm coat", "label": 5},
        {"text": "the coat is fine", "label": 3.5},
        {"text": "an awful coat", "label": 1},
    ),
    Options=RegressionOptions,
    metrics=(
        MetricInfo("rmse", N_("RMSE"), N_("Root mean squared error, in the unit of the target; 0 is perfect."), higher_is_better=False),
        MetricInfo("mae", N_("MAE"), N_("Mean absolute error, in the unit of the target; 0 is perfect."), higher_is_better=False),
        MetricInfo(
            "spearman",
            N_("Spearman correlation"),
            N_("Rank correlation of predictions and true values: 1 is perfect, 0 is none, -1 is reversed."),
        ),
    ),
    primary="spearman",  # of the three the one that has no unit, so that objectives may average it with other tasks' metrics
    answer_fields={"value": AnswerField(N_("Value"), is_share=False)},
    rows=RegressionRows(),
    report=REPORT,
    load_head=head_of(__name__),
    suits=suits,
)


def _parts(values: np.ndarray) -> list[np.ndarray]:
    """Row numbers in at most five parts of as many rows as ties allow, from the lowest values to the highest."""
    edges = np.unique(np.quantile(values, np.arange(1, PARTS) / PARTS)) if len(values) else values
    part = np.digitize(values, edges)
    return [np.flatnonzero(part == p) for p in np.unique(part)]


def _plain(rows: list[list[Any]]) -> list[list[Any]]:
    return [[*map(float, row[:-1]), row[-1]] for row in rows]
