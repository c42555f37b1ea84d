"""Click-through: categories, numbers and optionally a text → the probability of a click, and of a conversion after it."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field as Setting

from mtl_core.base.messages import N_, message
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation import metrics, weighed
from mtl_core.tasks import common, features, naming
from mtl_core.tasks.base import AnswerField, Field, MetricInfo, Panel, Report, Rows, Slot, Spec, TaskKind, head_of
from mtl_core.tasks.click_through import clicks
from mtl_core.tasks.click_through.suiting import suits


class ClickThroughOptions(naming.NamedOptions, clicks.ClickOptions, features.FeatureOptions):
    cross_layers: int = Setting(
        2, ge=0, le=8, title=N_("Cross layers"), description=N_("Number of layers that multiply features with each other (DCN-v2).")
    )
    hidden_size: int = Setting(
        512, ge=1, le=8192, title=N_("Hidden size"), description=N_("Size of the fully connected layers in parallel to the cross layers.")
    )
    text_size: int = Setting(
        64,
        ge=1,
        le=4096,
        title=N_("Text projection size"),
        description=N_("Size of the text vector after projection, beside the other features."),
    )
    dropout: float = Setting(0.2, ge=0, le=0.9, title=N_("Dropout"), description=N_("Dropout probability in the head."))


FIELDS = (
    Field(
        "categories",
        "category",
        N_("Categorical columns: site, device, weekday."),
        required=False,
        many=True,
        aliases=(
            "category",
            "device",
            "browser",
            "region",
            "country",
            "city",
            "month",
            "weekday",
            "hour",
            "placement",
            "visitortype",
        ),
        label=N_("Categories"),
    ),
    Field(
        "numbers",
        "number",
        N_("Numeric columns: price, age, seconds on the page."),
        required=False,
        many=True,
        aliases=("price", "age", "duration", "count", "amount", "bid", "discount", "bouncerates", "exitrates"),
        label=N_("Numbers"),
    ),
    Field(
        "text",
        "text",
        N_("A text, such as the ad copy."),
        required=False,
        many=True,
        aliases=("text", "ad", "ad_text", "title", "headline", "creative"),
        label=N_("Text"),
    ),
    Field(
        "label",
        "label",
        N_("Whether there was a click: 0 or 1."),
        aliases=("label", "click", "clicked", "revenue", "converted", "conversion"),
        holds="grade",
        label=N_("Label"),
    ),
    Field(
        "conversion",
        "label",
        N_("Whether a purchase followed the click: 0 or 1."),
        required=False,
        aliases=("conversion", "converted", "purchase", "purchased", "bought"),
        holds="grade",
        label=N_("Conversion"),
    ),
    Field(
        "propensity",
        "number",
        N_("Propensity: the probability that the row was seen, above 0 and at most 1; for inverse propensity weighting."),
        required=False,
        asked=False,
        aliases=("propensity", "propensity_score"),
        label=N_("Propensity"),
    ),
    Field(
        "position",
        "number",
        N_("The position at which it was shown, from 1; for inverse propensity weighting without a propensity."),
        required=False,
        asked=False,
        aliases=("position",),
        label=N_("Position"),
    ),
)


class ClickThroughReport(Report):
    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        """Every row counts the same in all metrics but `weighted_auc`."""
        values = {
            f"{prefix}{name}": measure(*rows)
            for prefix, rows in clicks.measured(scores, labels).items()
            for name, measure in clicks.MEASURES.items()
        }
        if labels.ndim == 2 and not np.isnan(weights := labels[:, 2]).all():
            pctr, click = clicks.measured(scores, labels)[""]
            values["weighted_auc"] = metrics.weighted_auc(pctr, click, np.nan_to_num(weights, nan=np.nanmean(weights)))
        return metrics.defined(values)

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> weighed.Auc:
        return weighed.Auc(*clicks.measured(scores, labels)[""])

    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        measured = clicks.measured(scores, labels)
        panels = [Panel("reliability", clicks.RELIABILITY[prefix], metrics.reliability(*rows)) for prefix, rows in measured.items()]
        if len(measured) == 1:
            return panels
        header = [N_("target"), N_("rows"), N_("observed"), N_("predicted")]
        rows = [
            [clicks.WHAT[prefix], len(found), *(float(part.mean()) if len(part) else None for part in (found, said))]
            for prefix, (said, found) in measured.items()
        ]
        return [Panel("table", N_("Clicks and conversions"), {"columns": header, "rows": rows}), *panels]

    def guesses(self, fields: Collection[str]) -> bool:
        """Not with conversions: known without the click, they would tell it."""
        return "conversion" not in fields

    def guess(self, scores: np.ndarray, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
        return common.yes_or_no(scores)

    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        """With names for a click and for none the probability of each, by its name."""
        names = [naming.called(spec, spelled) for spelled in ("1", "0")]
        found: list[dict[str, Any]] = (
            [{"probability": float(s)} for s in scores]
            if scores.ndim == 1
            else [{"click": float(c), "purchase_after_click": float(p), "click_and_purchase": float(c * p)} for c, p in scores]
        )
        if naming.are_named(spec):
            for answer in found:
                click = next(iter(answer.values()))
                answer["probabilities"] = dict(zip(names, (click, 1 - click), strict=True))
        return found

    def classes(self, spec: Spec) -> list[str]:
        return ["1", "0"]

    def label_called(self, label: str, spec: Spec) -> str:
        return naming.yes_or_no_called(label, spec)


REPORT = ClickThroughReport()


class ClickThroughRows(Rows):
    def slots(self, options: ClickThroughOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("text"),) if fields is None or "text" in fields else ()

    def check(self, table: pa.Table, split: np.ndarray, options: ClickThroughOptions) -> list[Problem]:
        findings = common.TaskProblems(table, split)
        if not findings.fields(FIELDS):
            return findings.problems
        if not {"categories", "numbers", "text"} & set(table.column_names):
            findings.table_wide(
                Severity.ERROR,
                "no_features",
                None,
                message("No column holds features for predicting the click."),
                message("Choose at least one categorical, numeric or text column."),
            )
        findings.texts("text")
        features.check(findings, options)
        common.check_yes_no(findings)
        if "conversion" in table.column_names:
            clicks.check_conversions(findings, options)
        clicks.check_propensities(findings, options)
        naming.check(findings, ("1", "0"), options)
        return findings.problems

    def fit(self, table: pa.Table, options: ClickThroughOptions) -> Spec:
        click, conversion = clicks.labels_of(table, options)
        spec: Spec = {"prior": common.prior(click), "text": "text" in table.column_names, **features.fit(table, options)}
        if "conversion" in table.column_names:
            spec["conversion_prior"] = common.prior(conversion[click == 1])
        return spec

    def encode(self, table: pa.Table, spec: Spec, options: ClickThroughOptions) -> pa.Table:
        """Beside the features `conversion` and, for propensity weighting, `weight`, both (R, 1) float32, nan where not known."""
        columns: dict[str, Any] = {}
        if spec["text"]:
            columns["text"] = common.texts(table["text"]) if "text" in table.column_names else pa.array([""] * len(table), pa.string())
        columns |= features.encode(table, spec)
        if "label" in table.column_names:
            click, conversion = clicks.labels_of(table, options)
            columns["label"] = common.floats(click)
            if "conversion_prior" in spec:
                columns["conversion"] = common.fixed(conversion.astype(np.float32)[:, None])
            if options.propensity_weighting and {"propensity", "position"} & set(table.column_names):
                columns["weight"] = common.fixed(clicks.weights_of(table, options).astype(np.float32)[:, None])
        return pa.table(columns)

    def compares(self, options: ClickThroughOptions) -> bool:
        return options.propensity_weighting  # by the mean weight of the rows

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: ClickThroughOptions, part: str) -> dict[str, float]:
        """Logistic regression on the categories (one column a value), the standardised numbers and the TF-IDF of the text; a second one on
        the clicked rows for the conversion."""
        import pandas as pd
        from sklearn.base import clone
        from sklearn.compose import make_column_transformer
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder

        encoded = self.encode(table, spec, options)
        labels = encoded["label"].to_numpy()
        train = common.sample(np.flatnonzero((split == "train") & ~np.isnan(labels)), 50_000)
        rows = np.flatnonzero((split == part) & ~np.isnan(labels))
        if not len(rows) or len(np.unique(labels[train])) < 2:
            return {}
        frame = pd.DataFrame(index=range(len(labels)))
        steps: list[tuple[Any, Any]] = []
        for name, step in (("categories", OneHotEncoder(handle_unknown="ignore")), ("numbers", "passthrough"), ("missing", "passthrough")):
            if name in encoded.column_names:
                values = np.clip(common.matrix(encoded[name]), -10, None if name == "categories" else 10)
                columns = [f"{name} {c}" for c in range(values.shape[1])]
                frame[columns] = values
                steps.append((step, columns))
        if "text" in encoded.column_names:
            frame["text"] = common.plain(encoded["text"]).to_pandas() + " a"  # at least one word
            steps.append((TfidfVectorizer(sublinear_tf=True, token_pattern=common.WORD), "text"))
        extras = {name: common.matrix(encoded[name])[:, 0] for name in clicks.EXTRAS if name in encoded.column_names}
        model = make_pipeline(make_column_transformer(*steps), LogisticRegression(max_iter=1000)).fit(frame.iloc[train], labels[train])
        scores = model.predict_proba(frame.iloc[rows])[:, 1]
        if "conversion" in extras:
            clicked = train[(labels[train] == 1) & ~np.isnan(extras["conversion"][train])]
            bought = extras["conversion"][clicked]
            after = np.full(len(rows), common.prior(bought))
            if len(np.unique(bought)) == 2:
                after = clone(model).fit(frame.iloc[clicked], bought).predict_proba(frame.iloc[rows])[:, 1]
            scores = np.stack([scores, after], axis=1)
        return REPORT.evaluate(scores, clicks.truth_of(labels[rows], {name: values[rows] for name, values in extras.items()}), None, spec)

    def choices(self, spec: Spec) -> dict[str, list[list[str]]]:
        return {"categories": spec["vocabularies"]}

    def ranges(self, spec: Spec) -> dict[str, list[list[float] | None]]:
        return features.ranges(spec)


KIND = TaskKind(
    name="click_through",
    label=N_("Click-through rate"),
    help=N_("Predicts the probability of a click or purchase from categories, numbers and optionally a text."),
    fields=FIELDS,
    example=(
        {"categories": "mobile", "numbers": 9.5, "text": "red shoes, half price", "label": 1, "conversion": 1},
        {"categories": "mobile", "numbers": 12, "text": "red shoes", "label": 1, "conversion": 0},
        {"categories": "desktop", "numbers": 20.25, "text": "garden hose", "label": 0, "conversion": 0},
    ),
    Options=ClickThroughOptions,
    metrics=(
        MetricInfo("auc", N_("AUC"), N_("Probability that a clicked row scores above one that was not.")),
        MetricInfo(
            "log_loss",
            N_("Log loss"),
            N_("Cross-entropy of the predicted probabilities and the outcomes; 0 is perfect."),
            higher_is_better=False,
        ),
        MetricInfo("pr_auc", N_("PR-AUC"), N_("Average precision; compare it with the click rate.")),
        MetricInfo(
            "calibration_error",
            N_("Calibration error"),
            N_("Expected calibration error over 15 bins: mean gap between predicted probability and observed click rate."),
            higher_is_better=False,
        ),
        MetricInfo(
            "weighted_auc",
            N_("Weighted AUC"),
            N_("AUC with inverse propensity weights, as in training; only with inverse propensity weighting."),
        ),
        MetricInfo("cvr_auc", N_("Conversion AUC"), N_("Probability that a converted row scores above another one, over clicked rows.")),
        MetricInfo(
            "cvr_log_loss",
            N_("Conversion log-loss"),
            N_("Log loss of the conversion after a click (CVR), on clicked rows."),
            higher_is_better=False,
        ),
        MetricInfo("cvr_pr_auc", N_("Conversion PR-AUC"), N_("PR-AUC of the conversion after a click (CVR), on clicked rows.")),
        MetricInfo(
            "cvr_calibration_error",
            N_("Conversion calibration error"),
            N_("Calibration error of the conversion after a click (CVR), on clicked rows."),
            higher_is_better=False,
        ),
        MetricInfo(
            "ctcvr_auc", N_("Click-and-conversion AUC"), N_("Probability that a converted row scores above another one, over all rows.")
        ),
        MetricInfo(
            "ctcvr_log_loss",
            N_("Click-and-conversion log-loss"),
            N_("Log loss of click and conversion (CTCVR), on all rows."),
            higher_is_better=False,
        ),
        MetricInfo("ctcvr_pr_auc", N_("Click-and-conversion PR-AUC"), N_("PR-AUC of click and conversion (CTCVR), on all rows.")),
        MetricInfo(
            "ctcvr_calibration_error",
            N_("Click-and-conversion calibration error"),
            N_("Calibration error of click and conversion (CTCVR), on all rows."),
            higher_is_better=False,
        ),
    ),
    primary="auc",
    answer_fields={
        "probability": AnswerField(N_("Probability of a click")),
        "click": AnswerField(N_("Click")),
        "purchase_after_click": AnswerField(N_("Purchase after a click")),
        "click_and_purchase": AnswerField(N_("Click and purchase")),
    },
    measured_by=("without_click",),
    rows=ClickThroughRows(),
    report=REPORT,
    load_head=head_of(__name__),
    suits=suits,
)
