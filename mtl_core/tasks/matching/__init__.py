"""Matching: two texts read together → whether they are about the same thing."""

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field as Setting

from mtl_core.base.messages import N_
from mtl_core.data.problems import Problem
from mtl_core.evaluation import metrics, weighed
from mtl_core.tasks import common, naming, vectors
from mtl_core.tasks.base import AnswerField, Field, MetricInfo, Panel, Report, Rows, Slot, Spec, TaskKind, head_of
from mtl_core.tasks.matching.suiting import suits

WORDS = {"1": N_("same"), "0": N_("different")}


class MatchingOptions(naming.NamedOptions, vectors.VectorOptions):
    class_weights: Literal["none", "balanced"] = Setting(
        "none",
        title=N_("Class weights"),
        description=N_("none: every row has the same weight; balanced: every class has, so rows of rare classes weigh more."),
        json_schema_extra={"choices": {"none": N_("None"), "balanced": N_("Balanced")}},
    )


FIELDS = (
    Field(
        "first",
        "text",
        N_("The first text."),
        many=True,
        aliases=("first", "left", "text1", "text_a", "offer_a", "title1", "sentence1", "question1", "left_title", "left_name"),
        label=N_("First text"),
    ),
    Field(
        "second",
        "text",
        N_("The text to compare it with."),
        many=True,
        aliases=("second", "right", "text2", "text_b", "offer_b", "title2", "sentence2", "question2", "right_title", "right_name"),
        label=N_("Second text"),
    ),
    Field(
        "label",
        "label",
        N_("Whether both are the same: 0 or 1."),
        aliases=("label", "same", "match", "is_match", "matching", "duplicate", "is_duplicate"),
        holds="grade",
        label=N_("Label"),
    ),
)


class MatchingReport(Report):
    right_means = N_("Right: the answer is the row's label.")

    def right(self, scores: np.ndarray, labels: np.ndarray, spec: Spec) -> np.ndarray:
        return np.asarray((scores.astype(np.float64) >= spec["threshold"]) == (labels > 0.5))

    def tuned(self, scores: np.ndarray, labels: np.ndarray, spec: Spec, options: MatchingOptions) -> Spec:
        return {"threshold": metrics.best_threshold(scores, labels)}

    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        if not (labels > 0.5).any():
            return {}
        precision, recall, f1 = metrics.precision_recall_f1(scores, labels, spec["threshold"])
        return {"f1": f1, "pr_auc": metrics.average_precision(scores, labels), "precision": precision, "recall": recall}

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> weighed.Ratio:
        called, positive = scores.astype(np.float64) >= spec["threshold"], labels > 0.5
        return weighed.f1(called & positive, called, positive)

    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        chosen = spec["threshold"]
        thresholds = sorted({*(t / 10 for t in range(1, 10)), chosen})
        rows = [[t, *metrics.precision_recall_f1(scores, labels, t), N_("chosen") if t == chosen else ""] for t in thresholds]
        header = [N_("probability from"), N_("precision"), N_("recall"), "F1", N_("on validation")]
        same = (scores.astype(np.float64) >= chosen).astype(np.int64)
        matrix = metrics.confusion_matrix(1 - same, 1 - labels.astype(np.int64), np.arange(2))
        return [
            Panel("table", N_("Precision and recall by threshold"), {"columns": header, "rows": rows}),
            Panel("matrix", N_("Confusion matrix"), {"labels": list(WORDS.values()), "classes": list(WORDS), "values": matrix.tolist()}),
        ]

    def guesses(self, fields: Collection[str]) -> bool:
        return True

    def guess(self, scores: np.ndarray, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
        return common.yes_or_no(scores)

    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        """`probability` is that of the answer, which may be below 0.5: `threshold` is chosen on validation."""
        named = [(spelled, word if (name := naming.called(spec, spelled)) == spelled else name) for spelled, word in WORDS.items()]
        found = []
        for score in scores.astype(np.float64):
            spelled, name = named[0] if score >= spec["threshold"] else named[1]
            shares = {name: share for (_, name), share in zip(named, (float(score), float(1 - score)), strict=True)}
            answer = {"label": name} if name == WORDS[spelled] else naming.labelled(name, spelled)
            found.append({**answer, "probability": shares[name], "probabilities": shares, "threshold": spec["threshold"]})
        return found

    def classes(self, spec: Spec) -> list[str]:
        return list(WORDS)

    def label_called(self, label: str, spec: Spec) -> str:
        return naming.yes_or_no_called(label, spec)


REPORT = MatchingReport()


class MatchingRows(Rows):
    def slots(self, options: MatchingOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("pair", "pair"),)

    def check(self, table: pa.Table, split: np.ndarray, options: MatchingOptions) -> list[Problem]:
        findings = common.TaskProblems(table, split)
        if findings.fields(FIELDS):
            findings.texts("first")
            findings.texts("second")
            common.check_yes_no(findings)
            findings.two_labels(("first", "second"), common.floats(common.yes_no(table["label"])[0]), swapped=True)
            naming.check(findings, WORDS, options)
        return findings.problems

    def fit(self, table: pa.Table, options: MatchingOptions) -> Spec:
        """prior: share of the rows that are the same; threshold: until one is chosen."""
        return {"prior": common.prior(common.yes_no(table["label"])[0]), "threshold": 0.5}

    def encode(self, table: pa.Table, spec: Spec, options: MatchingOptions) -> pa.Table:
        columns = {"pair": common.pairs(common.texts(table["first"]), common.texts(table["second"]))}
        if "label" in table.column_names:
            columns["label"] = common.floats(common.yes_no(table["label"])[0])
        return pa.table(columns)

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

        return REPORT.evaluate(cosine(rows), labels[rows], None, spec | REPORT.tuned(cosine(validation), labels[validation], spec, options))


KIND = TaskKind(
    name="matching",
    label=N_("Text matching"),
    help=N_("Predicts whether two texts are about the same thing: two offers of one product, two wordings of one question."),
    fields=FIELDS,
    example=(
        {"first": "Ellie leather shoes, red", "second": "red leather shoes by Ellie", "label": 1},
        {"first": "Ellie leather shoes, red", "second": "garden hose, 20 m", "label": 0},
    ),
    Options=MatchingOptions,
    metrics=(
        MetricInfo("f1", N_("F1"), N_("F1 of the matching rows, at the threshold that is best on the validation rows."), share=True),
        MetricInfo("pr_auc", N_("PR-AUC"), N_("Average precision; compare it with the share of matching rows.")),
        MetricInfo("precision", N_("Match precision"), N_("Share of predicted matches that are right, at that threshold.")),
        MetricInfo("recall", N_("Match recall"), N_("Share of true matches that are found, at that threshold.")),
    ),
    primary="f1",
    answer_fields={"threshold": AnswerField(N_("Same from a probability of"))},
    rows=MatchingRows(),
    report=REPORT,
    load_head=head_of(__name__),
    suits=suits,
)
