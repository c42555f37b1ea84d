"""Classification: a text, or two texts read together → one of N classes."""

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from pydantic import Field as Setting
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core import metrics
from mtl_core.data.problems import Problem, Severity
from mtl_core.messages import N_, message
from mtl_core.settings import Options
from mtl_core.tasks import common
from mtl_core.tasks.base import Field, MetricInfo, Panel, Slot, Spec, TaskBatch, TaskKind

SHOWN_CLASSES = 30  # of a confusion matrix
MANY_CLASSES = 2000


class ClassificationOptions(Options):
    class_weights: Literal["none", "balanced"] = Setting(
        "none",
        title=N_("Class weights"),
        description=N_("none: every row counts the same; balanced: every class does, so rare classes weigh more a row."),
    )
    hidden_size: int = Setting(
        0, ge=0, le=8192, title=N_("Hidden size"), description=N_("Width of a fully connected layer before the classes; 0 for none.")
    )
    dropout: float = Setting(0.1, ge=0, le=0.9, title=N_("Dropout"), description=N_("Share of values dropped in the head while training."))


class ClassificationHead(nn.Module):
    """Layer norm, dropout, optionally a fully connected layer, then one logit a class."""

    def __init__(self, hidden: int, spec: Spec, options: ClassificationOptions):
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(hidden), nn.Dropout(options.dropout))
        if options.hidden_size:
            self.layers.extend([nn.Linear(hidden, options.hidden_size), nn.GELU(), nn.Dropout(options.dropout)])
        self.layers.append(common.output_layer(options.hidden_size or hidden, len(spec["classes"])))

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (S, H) → logits (R, C)."""
        slot = batch.slots["pair"] if "pair" in batch.slots else batch.slots["text"]
        return self.layers(vectors[slot.index])


class Classification(TaskKind):
    name = "classification"
    label = N_("Classification")
    help = N_("Which of several classes a text belongs to: an intent, a category, a sentiment.")
    fields = (
        Field(
            "text",
            "text",
            N_("The text to classify."),
            many=True,
            aliases=("text", "message", "utterance", "review", "review text", "body", "sentence"),
        ),
        Field(
            "second",
            "text",
            N_("A second text, read together with the first."),
            required=False,
            many=True,
            aliases=("second", "text2", "text_b", "sentence2", "answer", "context"),
        ),
        Field("label", "label", N_("The class."), aliases=("label", "class", "intent", "category", "sentiment", "department", "target")),
    )
    Options = ClassificationOptions
    metrics = (
        MetricInfo("accuracy", N_("Accuracy"), N_("Share of rows whose class was found.")),
        MetricInfo("macro_f1", N_("Macro-F1"), N_("F1 averaged over the classes, each counting the same.")),
        MetricInfo("auc", N_("AUC"), N_("Chance that a row of the second class scores above one of the first; with two classes only.")),
    )
    primary = "accuracy"

    def slots(self, options: ClassificationOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        both = (Slot("text"), Slot("pair", "pair"))
        return both if fields is None else both[1:] if "second" in fields else both[:1]

    def check(self, table: pa.Table, split: np.ndarray, options: ClassificationOptions) -> list[Problem]:
        findings = common.Findings(table, split)
        if not findings.fields(self.fields):
            return findings.problems
        findings.texts("text")
        findings.texts("second")
        column = common.names(table["label"])
        known = ~common.nulls(column)
        if not findings.labels(known):
            return findings.problems
        train = findings.split == "train"
        counts = pc.value_counts(column.filter(pa.array(train & known)))
        classes, sizes = counts.field("values"), counts.field("counts").to_numpy()
        if len(classes) == 1:
            findings.table_wide(
                Severity.ERROR,
                "one_class",
                "label",
                message(
                    "All training rows have the class “{label}”, so there is nothing to learn.", label=common.shorten(classes[0].as_py())
                ),
                message("Choose another label column, or add rows of another class."),
            )
        elif len(classes) == sizes.sum() and len(classes) > 20:
            findings.table_wide(
                Severity.ERROR,
                "labels_all_differ",
                "label",
                message("Each of the {count} training rows has a class of its own.", count=len(classes)),
                message("Choose a column that names classes; this one looks like a number or a text."),
            )
            return findings.problems
        elif len(classes) > MANY_CLASSES:
            findings.table_wide(
                Severity.WARNING,
                "many_classes",
                "label",
                message("There are {count} classes; training needs memory for each, and rare ones are hard to learn.", count=len(classes)),
                message("Check that this is the label column; join rare classes if you can."),
            )
        single = pc.is_in(column, classes.filter(pa.array(sizes == 1))).to_numpy() & train
        first = common.shorten(column[int(np.argmax(single))].as_py()) if single.any() else ""
        findings.rows(
            Severity.WARNING,
            "class_with_one_row",
            "label",
            single,
            message("{count} classes have one training row only; the first is “{label}”.", label=first),
            message("Add rows of these classes, or join them with others."),
        )
        unknown = known & ~train & (findings.split != "") & ~pc.is_in(column, classes).to_numpy()
        first = common.shorten(column[int(np.argmax(unknown))].as_py()) if unknown.any() else ""
        findings.rows(
            Severity.WARNING,
            "label_not_in_training",
            "label",
            unknown,
            message("{count} rows have a class that no training row has; the first is “{label}”.", label=first),
            message("They are left out of the evaluation. Split by class, or add such rows to training."),
        )
        return findings.problems

    def fit(self, table: pa.Table, options: ClassificationOptions) -> Spec:
        """classes: strings, sorted by number where all are numbers; weights: one a class, mean 1 over the training rows."""
        counts = pc.value_counts(pc.drop_null(common.names(table["label"])))
        size = dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
        classes = _sorted(list(size))
        total = sum(size.values())
        weights = [total / (len(classes) * size[c]) if options.class_weights == "balanced" else 1.0 for c in classes]
        return {"classes": classes, "weights": weights}

    def encode(self, table: pa.Table, spec: Spec, options: ClassificationOptions) -> pa.Table:
        text = common.texts(table["text"])
        columns: dict[str, Any] = (
            {"pair": common.pairs(text, common.texts(table["second"]))} if "second" in table.column_names else {"text": text}
        )
        if "label" in table.column_names:
            columns["label"] = pc.index_in(common.names(table["label"]), pa.array(spec["classes"], pa.string())).cast(pa.int64())
        return pa.table(columns)

    def head(self, hidden: int, spec: Spec, options: ClassificationOptions) -> ClassificationHead:
        return ClassificationHead(hidden, spec, options)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: ClassificationOptions) -> Tensor:
        assert batch.labels is not None
        losses = F.cross_entropy(logits.float(), batch.labels, reduction="none")
        if options.class_weights == "none":
            return losses
        return losses * torch.tensor(spec["weights"], device=losses.device)[batch.labels]

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return torch.softmax(logits.detach().float(), dim=1).cpu().numpy()

    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        labels, predicted = labels.astype(np.int64), scores.argmax(axis=1)
        values = {"accuracy": metrics.accuracy(predicted, labels), "macro_f1": metrics.macro_f1(predicted, labels)}
        if len(spec["classes"]) == 2:
            values["auc"] = metrics.roc_auc(scores[:, 1], labels)
        return metrics.defined(values)

    def report(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        labels, predicted = labels.astype(np.int64), scores.argmax(axis=1)
        found = metrics.class_scores(predicted, labels)
        columns = (found.precision, found.recall, found.f1, found.support)
        rows: list[list[Any]] = [
            [spec["classes"][c], *map(float, values), int(n)] for c, *values, n in zip(found.classes, *columns, strict=True)
        ]
        total = len(labels)
        rows.append([N_("accuracy"), None, None, metrics.accuracy(predicted, labels), total])
        if total:
            rows.append([N_("macro average"), *(float(np.mean(c)) for c in columns[:3]), total])
            rows.append([N_("weighted average"), *(float(np.average(c, weights=found.support)) for c in columns[:3]), total])
        header = [N_("class"), N_("precision"), N_("recall"), "F1", N_("rows")]
        shown = metrics.most_confused(predicted, labels, SHOWN_CLASSES)
        title = N_("Confusion matrix") if len(shown) == len(found.classes) else N_("Confusion matrix of the 30 classes confused most")
        matrix = metrics.confusion_matrix(predicted, labels, shown)
        return [
            Panel("table", N_("Classification report"), {"columns": header, "rows": rows}),
            Panel("matrix", title, {"labels": [spec["classes"][c] for c in shown], "values": matrix.tolist()}),
        ]

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: ClassificationOptions, part: str) -> dict[str, float]:
        """TF-IDF of words and word pairs with a linear support vector machine; `majority_accuracy`: always the most frequent class."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.svm import LinearSVC

        encoded = self.encode(table, spec, options)
        known = ~common.nulls(encoded["label"])
        labels = pc.fill_null(encoded["label"], -1).to_numpy()
        train = common.sample(np.flatnonzero((split == "train") & known), 50_000)
        rows = np.flatnonzero((split == part) & known)
        if not len(rows) or len(np.unique(labels[train])) < 2:
            return {}
        texts = common.joined(encoded["pair"]) if "pair" in encoded.column_names else common.plain(encoded["text"])
        words = [texts.take(pa.array(r)).to_pylist() for r in (train, rows)]
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=common.WORD, max_features=100_000)
        vectorizer.fit([*words[0], "a"])  # at least one word
        weight = "balanced" if options.class_weights == "balanced" else None
        model = LinearSVC(class_weight=weight).fit(vectorizer.transform(words[0]), labels[train])
        decision = model.decision_function(vectorizer.transform(words[1]))
        scores = np.zeros((len(rows), len(spec["classes"])))
        if decision.ndim == 1:  # two classes
            decision = np.stack([-decision, decision], axis=1)
        scores[:, model.classes_] = 1 / (1 + np.exp(-decision))
        majority = np.bincount(labels[train]).argmax()
        return self.evaluate(scores, labels[rows], None, spec) | {"majority_accuracy": float((labels[rows] == majority).mean())}

    def present(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        """The five most probable classes, the first of them as the answer."""
        best = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        return [
            {
                "label": spec["classes"][order[0]],
                "probability": float(row[order[0]]),
                "probabilities": {spec["classes"][c]: float(row[c]) for c in order},
            }
            for row, order in zip(scores, best, strict=True)
        ]


def _sorted(classes: list[str]) -> list[str]:
    try:
        return sorted(classes, key=lambda c: (float(c), c))
    except ValueError:
        return sorted(classes)
