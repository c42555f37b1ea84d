"""Matching: two texts read together → whether they are about the same thing."""

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from pydantic import Field as Setting
from torch import Tensor
from torch.nn import functional as F

from mtl_core.base.messages import N_
from mtl_core.data.problems import Problem
from mtl_core.evaluation import metrics
from mtl_core.tasks import common, vectors
from mtl_core.tasks.base import Field, MetricInfo, Panel, Slot, Spec, TaskBatch, TaskKind

SAME, DIFFERENT = N_("same"), N_("different")


class MatchingOptions(vectors.VectorOptions):
    class_weights: Literal["none", "balanced"] = Setting(
        "none",
        title=N_("Class weights"),
        description=N_("none: every row counts the same; balanced: every class does, so rare classes weigh more a row."),
    )


class Matching(TaskKind):
    name = "matching"
    label = N_("Matching")
    help = N_("Whether two texts are about the same thing: two offers of one product, two wordings of one question.")
    fields = (
        Field(
            "first",
            "text",
            N_("The first text."),
            many=True,
            aliases=("first", "left", "text1", "text_a", "offer_a", "title1", "sentence1", "question1", "left_title", "left_name"),
        ),
        Field(
            "second",
            "text",
            N_("The text that it is compared with."),
            many=True,
            aliases=("second", "right", "text2", "text_b", "offer_b", "title2", "sentence2", "question2", "right_title", "right_name"),
        ),
        Field(
            "label",
            "label",
            N_("Whether both are the same: 0 or 1."),
            aliases=("label", "same", "match", "is_match", "matching", "duplicate", "is_duplicate"),
        ),
    )
    Options = MatchingOptions
    metrics = (
        MetricInfo("f1", N_("F1"), N_("F1 of the rows that are the same, at the threshold that was best on the validation rows.")),
        MetricInfo("pr_auc", N_("PR-AUC"), N_("Precision averaged over recall; compare it with the share of rows that are the same.")),
        MetricInfo("precision", N_("Precision of matches"), N_("Share of the rows called the same that are, at that threshold.")),
        MetricInfo("recall", N_("Recall of matches"), N_("Share of the rows that are the same that are called so, at that threshold.")),
    )
    primary = "f1"

    def slots(self, options: MatchingOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("pair", "pair"),)

    def check(self, table: pa.Table, split: np.ndarray, options: MatchingOptions) -> list[Problem]:
        findings = common.Findings(table, split)
        if findings.fields(self.fields):
            findings.texts("first")
            findings.texts("second")
            common.check_yes_no(findings)
        return findings.problems

    def fit(self, table: pa.Table, options: MatchingOptions) -> Spec:
        """prior: share of the rows that are the same; threshold: until one is chosen."""
        return {"prior": common.prior(common.yes_no(table["label"])[0]), "threshold": 0.5}

    def encode(self, table: pa.Table, spec: Spec, options: MatchingOptions) -> pa.Table:
        columns = {"pair": common.pairs(common.texts(table["first"]), common.texts(table["second"]))}
        if "label" in table.column_names:
            columns["label"] = common.floats(common.yes_no(table["label"])[0])
        return pa.table(columns)

    def head(self, hidden: int, spec: Spec, options: MatchingOptions) -> vectors.VectorHead:
        return vectors.VectorHead(hidden, 1, options, spec["prior"] if options.class_weights == "none" else 0.5)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: MatchingOptions) -> Tensor:
        assert batch.labels is not None
        losses = F.binary_cross_entropy_with_logits(logits.float().squeeze(1), batch.labels, reduction="none")
        if options.class_weights == "none":
            return losses
        return losses * torch.where(batch.labels > 0.5, 0.5 / spec["prior"], 0.5 / (1 - spec["prior"]))

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return torch.sigmoid(logits.detach().float().squeeze(1)).cpu().numpy()

    def tuned(self, scores: np.ndarray, labels: np.ndarray, spec: Spec, options: MatchingOptions) -> Spec:
        return {"threshold": metrics.best_threshold(scores, labels)}

    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        if not (labels > 0.5).any():
            return {}
        precision, recall, f1 = metrics.precision_recall_f1(scores, labels, spec["threshold"])
        return {"f1": f1, "pr_auc": metrics.average_precision(scores, labels), "precision": precision, "recall": recall}

    def report(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        chosen = spec["threshold"]
        thresholds = sorted({*(t / 10 for t in range(1, 10)), chosen})
        rows = [[t, *metrics.precision_recall_f1(scores, labels, t), N_("chosen") if t == chosen else ""] for t in thresholds]
        header = [N_("probability from"), N_("precision"), N_("recall"), "F1", N_("on validation")]
        same = (scores.astype(np.float64) >= chosen).astype(np.int64)
        matrix = metrics.confusion_matrix(1 - same, 1 - labels.astype(np.int64), np.arange(2))
        return [
            Panel("table", N_("The same, from which probability on"), {"columns": header, "rows": rows}),
            Panel("matrix", N_("Confusion matrix"), {"labels": [SAME, DIFFERENT], "values": matrix.tolist()}),
        ]

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: MatchingOptions, part: str) -> dict[str, float]:
        """The cosine of both texts' TF-IDF of character sequences; same from the threshold on that is best on the validation rows."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        encoded = self.encode(table, spec, options)
        labels = encoded["label"].to_numpy()
        known = ~np.isnan(labels)
        rows, validation = (np.flatnonzero((split == p) & known) for p in (part, "validation"))
        if not len(rows):
            return {}
        first, second = (common.plain(common.texts(table[name])) for name in ("first", "second"))
        train = pa.array(common.sample(np.flatnonzero((split == "train") & known), 50_000))
        vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, min_df=1)
        vectorizer.fit([*first.take(train).to_pylist(), *second.take(train).to_pylist(), "a"])  # at least one sequence

        def cosine(of: np.ndarray) -> np.ndarray:
            if not len(of):
                return np.zeros(0)
            one, other = (vectorizer.transform(column.take(pa.array(of)).to_pylist()) for column in (first, second))
            return np.clip(np.asarray(one.multiply(other).sum(axis=1)).ravel(), 0, 1)

        return self.evaluate(cosine(rows), labels[rows], None, spec | self.tuned(cosine(validation), labels[validation], spec, options))

    def guesses(self, fields: Collection[str]) -> bool:
        return True

    def guess(self, scores: np.ndarray, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
        return common.yes_or_no(scores)

    def present(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        return [{"label": SAME if s >= spec["threshold"] else DIFFERENT, "probability": float(s)} for s in scores.astype(np.float64)]
