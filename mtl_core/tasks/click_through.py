"""Click-through: categories, numbers and optionally a text → the probability of a click."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pydantic import Field as Setting
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core import metrics
from mtl_core.data.problems import Problem, Severity
from mtl_core.messages import N_, message
from mtl_core.tasks import common, features
from mtl_core.tasks.base import Field, MetricInfo, Panel, Slot, Spec, TaskBatch, TaskKind


class ClickThroughOptions(features.FeatureOptions):
    cross_layers: int = Setting(
        2, ge=0, le=8, title=N_("Cross layers"), description=N_("Layers that multiply features with each other (DCN-v2).")
    )
    hidden_size: int = Setting(
        512, ge=1, le=8192, title=N_("Hidden size"), description=N_("Width of the fully connected layers beside the cross layers.")
    )
    text_size: int = Setting(
        64, ge=1, le=4096, title=N_("Text size"), description=N_("Width to which the text's vector is brought beside the other features.")
    )
    dropout: float = Setting(0.2, ge=0, le=0.9, title=N_("Dropout"), description=N_("Share of values dropped in the head while training."))


class ClickThroughHead(nn.Module):
    """Features side by side, x → cross layers x_{l+1} = x_0 * (W x_l + b) + x_l beside fully connected ones → logit.

    "DCN V2: Improved Deep & Cross Network" (https://arxiv.org/abs/2008.13535), parallel form.
    """

    def __init__(self, hidden: int, spec: Spec, options: ClickThroughOptions):
        super().__init__()
        self.features = features.FeatureEncoding(spec, options) if spec["vocabularies"] or spec["numbers"] else None
        width = self.features.width if self.features else 0
        self.text = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, options.text_size), nn.GELU()) if spec["text"] else None
        width += options.text_size if spec["text"] else 0
        self.dropout = nn.Dropout(options.dropout)
        self.crosses = nn.ModuleList(nn.Linear(width, width) for _ in range(options.cross_layers))
        self.deep = nn.Sequential(
            nn.Linear(width, options.hidden_size),
            nn.ReLU(),
            nn.Dropout(options.dropout),
            nn.Linear(options.hidden_size, options.hidden_size),
            nn.ReLU(),
            nn.Dropout(options.dropout),
        )
        self.output = common.output_layer((width if options.cross_layers else 0) + options.hidden_size, 1, spec["prior"])

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (S, H) → logits (R,)."""
        parts = [self.features(batch)] if self.features is not None else []
        if self.text is not None:
            parts.append(self.text(vectors[batch.slots["text"].index]))
        first = x = torch.cat(parts, dim=1)  # (R, W)
        for cross in self.crosses:
            x = first * cross(x) + x
        deep = self.deep(first)
        return self.output(torch.cat([self.dropout(x), deep], dim=1) if self.crosses else deep).squeeze(1)


class ClickThrough(TaskKind):
    name = "click_through"
    label = N_("Click-through")
    help = N_("How probable a click or a purchase is, from categories, numbers and optionally a text.")
    fields = (
        Field(
            "categories",
            "category",
            N_("Columns with one of a set of values: site, device, weekday."),
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
                "position",
                "placement",
                "visitortype",
            ),
        ),
        Field(
            "numbers",
            "number",
            N_("Columns with numbers: price, age, seconds on the page."),
            required=False,
            many=True,
            aliases=("price", "age", "duration", "count", "amount", "bid", "discount", "bouncerates", "exitrates"),
        ),
        Field(
            "text",
            "text",
            N_("A text, such as the ad's."),
            required=False,
            many=True,
            aliases=("text", "ad", "ad_text", "title", "headline", "creative"),
        ),
        Field(
            "label",
            "label",
            N_("Whether there was a click: 0 or 1."),
            aliases=("label", "click", "clicked", "revenue", "converted", "conversion"),
        ),
    )
    Options = ClickThroughOptions
    metrics = (
        MetricInfo("auc", N_("AUC"), N_("Chance that a clicked row scores above another one.")),
        MetricInfo("log_loss", N_("Log-loss"), N_("How far the probabilities are from what happened; 0 is perfect.")),
        MetricInfo("pr_auc", N_("PR-AUC"), N_("Precision averaged over recall; compare it with the share of clicks.")),
        MetricInfo(
            "calibration_error",
            N_("Calibration error"),
            N_("Mean gap between the probability said and the share that clicked, over 15 bins."),
        ),
    )
    primary = "auc"

    def slots(self, options: ClickThroughOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("text"),) if fields is None or "text" in fields else ()

    def check(self, table: pa.Table, split: np.ndarray, options: ClickThroughOptions) -> list[Problem]:
        findings = common.Findings(table, split)
        if not findings.fields(self.fields):
            return findings.problems
        if not {"categories", "numbers", "text"} & set(table.column_names):
            findings.table_wide(
                Severity.ERROR,
                "no_features",
                None,
                message("No column says anything about the click."),
                message("Choose at least one column of categories, of numbers or of text."),
            )
        findings.texts("text")
        features.check(findings)
        common.check_yes_no(findings)
        return findings.problems

    def fit(self, table: pa.Table, options: ClickThroughOptions) -> Spec:
        prior = common.prior(common.yes_no(table["label"])[0])
        return {"prior": prior, "text": "text" in table.column_names, **features.fit(table, options)}

    def encode(self, table: pa.Table, spec: Spec, options: ClickThroughOptions) -> pa.Table:
        columns: dict[str, Any] = {}
        if spec["text"]:
            columns["text"] = common.texts(table["text"]) if "text" in table.column_names else pa.array([""] * len(table), pa.string())
        columns |= features.encode(table, spec)
        if "label" in table.column_names:
            columns["label"] = common.floats(common.yes_no(table["label"])[0])
        return pa.table(columns)

    def head(self, hidden: int, spec: Spec, options: ClickThroughOptions) -> ClickThroughHead:
        return ClickThroughHead(hidden, spec, options)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: ClickThroughOptions) -> Tensor:
        assert batch.labels is not None
        return F.binary_cross_entropy_with_logits(logits.float(), batch.labels.float(), reduction="none")

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return torch.sigmoid(logits.detach().float()).cpu().numpy()

    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        return metrics.defined(
            {
                "auc": metrics.roc_auc(scores, labels),
                "log_loss": metrics.log_loss(scores, labels),
                "pr_auc": metrics.average_precision(scores, labels),
                "calibration_error": metrics.calibration_error(scores, labels),
            }
        )

    def report(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        return [Panel("reliability", N_("Reliability of the click probability"), metrics.reliability(scores, labels))]

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: ClickThroughOptions, part: str) -> dict[str, float]:
        """Logistic regression on the categories (one column a value), the standardised numbers and the TF-IDF of the text."""
        import pandas as pd
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
        model = make_pipeline(make_column_transformer(*steps), LogisticRegression(max_iter=1000))
        model.fit(frame.iloc[train], labels[train])
        return self.evaluate(model.predict_proba(frame.iloc[rows])[:, 1], labels[rows], None, spec)

    def present(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        return [{"probability": float(s)} for s in scores]

    def choices(self, spec: Spec) -> dict[str, list[list[str]]]:
        return {"categories": spec["vocabularies"]}
