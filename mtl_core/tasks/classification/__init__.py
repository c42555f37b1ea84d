"""Classification: a text, or two texts read together → one of N classes, or none of them; classes may have parents."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field as Setting

from mtl_core.base.messages import N_, message
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation import metrics, weighed
from mtl_core.tasks import common, naming, vectors
from mtl_core.tasks.base import AnswerField, Field, MetricInfo, Panel, Report, Rows, Slot, Spec, TaskKind, head_of
from mtl_core.tasks.classification import classes
from mtl_core.tasks.classification.probable import Probable, is_whole
from mtl_core.tasks.classification.suiting import suits

SHOWN_CLASSES = 30  # of a confusion matrix
SHOWN = 5  # of an answer


MANY_CLASSES = 2000


class ClassificationOptions(classes.ClassOptions, vectors.VectorOptions):
    class_weights: Literal["none", "balanced"] = Setting(
        "none",
        title=N_("Class weights"),
        description=N_("none: every row has the same weight; balanced: every class has, so rows of rare classes weigh more."),
        json_schema_extra={"choices": {"none": N_("None"), "balanced": N_("Balanced")}},
    )


FIELDS = (
    Field(
        "text",
        "text",
        N_("The text to classify."),
        many=True,
        aliases=("text", "message", "utterance", "review", "review text", "body", "sentence", "title", "description"),
        label=N_("Text"),
    ),
    vectors.SECOND,
    Field(
        "label",
        "label",
        N_("The class."),
        aliases=("label", "class", "intent", "category", "sentiment", "department", "target"),
        label=N_("Label"),
    ),
    Field(
        "parent",
        "label",
        N_("The parent class: the domain of an intent, the department of a category."),
        required=False,
        aliases=("parent", "domain", "division", "supercategory", "parent_category", "category_group"),
        label=N_("Parent class"),
    ),
)


class ClassificationReport(Report):
    right_means = N_("Right: the answer is the row's label.")

    def right(self, scores: np.ndarray, labels: np.ndarray, spec: Spec) -> np.ndarray:
        return classes.called(scores, spec) == labels.astype(np.int64)

    def tuned(self, scores: np.ndarray, labels: np.ndarray, spec: Spec, options: ClassificationOptions) -> Spec:
        """threshold: the doubt above which at most `rejected_share` of the rows within scope are turned away."""
        within = labels < len(spec["classes"])
        if "reject" not in spec or not within.any():
            return {}
        return {"threshold": classes.threshold(Probable(scores[within], spec).outside, options.rejected_share)}

    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        """Out of scope counts as one more class in accuracy and macro-F1, its rows are left out of the AUC and of the parents."""
        labels, predicted = labels.astype(np.int64), classes.called(scores, spec)
        values = {"accuracy": metrics.accuracy(predicted, labels), "macro_f1": metrics.macro_f1(predicted, labels)}
        inside = labels < len(spec["classes"])
        if len(spec["classes"]) == 2:
            values["auc"] = metrics.roc_auc(scores[inside, 1], labels[inside])
        if "parents" in spec:
            of = np.array(spec["parents"]["of"])
            values["parent_accuracy"] = metrics.accuracy(Probable(scores[inside], spec).parents[0], of[labels[inside]])
        return metrics.defined(values | classes.scope_metrics(scores, labels, spec))

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> weighed.Ratio:
        return weighed.mean(self.right(scores, labels, spec))

    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        labels, predicted, names = labels.astype(np.int64), classes.called(scores, spec), classes.names_of(spec)
        found = metrics.class_scores(predicted, labels)
        columns = (found.precision, found.recall, found.f1, found.support)
        rows: list[list[Any]] = [[names[c], *map(float, values), int(n)] for c, *values, n in zip(found.classes, *columns, strict=True)]
        total = len(labels)
        rows.append([N_("accuracy"), None, None, metrics.accuracy(predicted, labels), total])
        if total:
            rows.append([N_("macro average"), *(float(np.mean(c)) for c in columns[:3]), total])
            rows.append([N_("weighted average"), *(float(np.average(c, weights=found.support)) for c in columns[:3]), total])
        header = [N_("class"), N_("precision"), N_("recall"), "F1", N_("rows")]
        shown = metrics.most_confused(predicted, labels, SHOWN_CLASSES)
        title = N_("Confusion matrix") if len(shown) == len(found.classes) else N_("Confusion matrix of the 30 most confused classes")
        matrix = metrics.confusion_matrix(predicted, labels, shown)
        panels = [
            Panel("table", N_("Classification report"), {"columns": header, "rows": rows}),
            Panel("matrix", title, {"labels": [names[c] for c in shown], "values": matrix.tolist()}),
        ]
        if "parents" in spec:
            inside, parents = labels < len(spec["classes"]), spec["parents"]["names"]
            predicted, labels = Probable(scores[inside], spec).parents[0], np.array(spec["parents"]["of"])[labels[inside]]
            shown = metrics.most_confused(predicted, labels, SHOWN_CLASSES)
            matrix = metrics.confusion_matrix(predicted, labels, shown)
            panels.append(
                Panel(
                    "matrix",
                    N_("Confusion matrix of the parent classes"),
                    {"labels": [parents[p] for p in shown], "values": matrix.tolist()},
                )
            )
        return panels

    def classes(self, spec: Spec) -> list[str]:
        parents = spec["parents"]["names"] if "parents" in spec else []
        return list(dict.fromkeys([*spec["classes"], *filter(None, [spec.get("out_of_scope")]), *parents]))

    def label_called(self, label: str, spec: Spec) -> str:
        return naming.called(spec, label)

    def guesses(self, fields: Collection[str]) -> bool:
        return True

    def guess(self, scores: np.ndarray, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
        """One of the classes, also of a row that would be rejected."""
        found = Probable(scores, spec)
        return found.first, found.sure

    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        """The answer, its parent, and the five most probable classes; `probability` is of the first of them, also where it is rejected."""
        names, spelled = classes.names_of(spec), classes.spelled(spec)
        rows, found = Probable(scores, spec), classes.called(scores, spec)
        answers: list[dict[str, Any]] = [
            {
                **naming.labelled(names[called], spelled[called]),
                **({"closest": names[order[0]]} if called == len(spec["classes"]) else {}),
                "probability": float(likely[0]),
                "probabilities": {names[c]: float(p) for c, p in zip(order, likely, strict=True)},
            }
            for order, likely, called in zip(rows.ordered[:, :SHOWN], rows.probabilities[:, :SHOWN], found, strict=True)
        ]
        if "parents" in spec:
            for answer, parent, likely in zip(answers, *rows.parents, strict=True):
                answer |= {"parent": naming.called(spec, spec["parents"]["names"][parent]), "parent_probability": float(likely)}
        return answers


REPORT = ClassificationReport()


class ClassificationRows(Rows):
    def slots(self, options: ClassificationOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return vectors.slots(fields)

    def check(self, table: pa.Table, split: np.ndarray, options: ClassificationOptions) -> list[Problem]:
        findings = common.TaskProblems(table, split)
        if not findings.fields(FIELDS):
            return findings.problems
        findings.texts("text")
        findings.texts("second")
        column = classes.names(table["label"], options)
        in_class = ~common.nulls(column) & ~classes.turned_away(column, options)
        if not findings.labels(in_class):
            return findings.problems
        classes.check_spellings(findings, column)
        findings.two_labels(("text", "second"), column)
        classes.check_scope(findings, column, options)
        known = {*pc.drop_null(pc.unique(column)).to_pylist(), options.out_of_scope}
        if "parent" in table.column_names:
            known |= set(pc.drop_null(pc.unique(common.names(findings.table["parent"]))).to_pylist())
        naming.check(findings, known, options)
        if "parent" in table.column_names:
            classes.check_parents(findings, column, options)
        train = (findings.split == "train") & in_class
        counts = pc.value_counts(column.filter(pa.array(train)))
        found, sizes = counts.field("values"), counts.field("counts").to_numpy()
        if len(found) == 1:
            findings.table_wide(
                Severity.ERROR,
                "one_class",
                "label",
                message(
                    "All training rows have the class “{label}”, so there is nothing to learn.", label=common.shorten(found[0].as_py())
                ),
                message("Choose another label column, or add rows of another class."),
            )
        elif len(found) == sizes.sum() and len(found) > 20:
            findings.table_wide(
                Severity.ERROR,
                "labels_all_differ",
                "label",
                message("Each of the {count} training rows has a class of its own.", count=len(found)),
                message("Choose a column that names classes; this one looks like a number or a text."),
            )
            return findings.problems
        elif len(found) > MANY_CLASSES:
            findings.table_wide(
                Severity.WARNING,
                "many_classes",
                "label",
                message("There are {count} classes; training needs memory for each, and rare ones are hard to learn.", count=len(found)),
                message("Check that this is the label column; join rare classes if you can."),
            )
        single = pc.is_in(column, found.filter(pa.array(sizes == 1))).to_numpy() & train
        first = common.shorten(column[int(np.argmax(single))].as_py()) if single.any() else ""
        findings.rows(
            Severity.WARNING,
            "class_with_one_row",
            "label",
            single,
            message("{count} classes have one training row only; the first is “{label}”.", label=first),
            message("Add rows of these classes, or merge them with others."),
        )
        unknown = in_class & ~train & (findings.split != "") & ~pc.is_in(column, found).to_numpy()
        first = common.shorten(column[int(np.argmax(unknown))].as_py()) if unknown.any() else ""
        findings.rows(
            Severity.WARNING,
            "label_not_in_training",
            "label",
            unknown,
            message("{count} rows have a class that no training row has; the first is “{label}”.", label=first),
            message("Evaluation ignores them. Split by class, or add such rows to training."),
        )
        return findings.problems

    def keep(self, table: pa.Table, split: np.ndarray, options: ClassificationOptions, seed: int) -> np.ndarray:
        return classes.kept(classes.names(table["label"], options), split, options, seed)

    def counted(self, table: pa.Table, options: ClassificationOptions) -> pa.ChunkedArray:
        return classes.names(table["label"], options)

    def read(self, table: pa.Table, options: ClassificationOptions) -> Mapping[str, pa.ChunkedArray]:
        return {name: classes.names(table[name], options) for name in ("label", "parent") if name in table.column_names}

    def fit(self, table: pa.Table, options: ClassificationOptions) -> Spec:
        """classes: strings, sorted by number where all are numbers; weights: one a class, mean 1 over the training rows; parents: their
        names, and which one each class is of."""
        column = classes.names(table["label"], options)
        counts = pc.value_counts(pc.drop_null(column.filter(pa.array(~classes.turned_away(column, options)))))
        size = dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
        found = _sorted(list(size))
        total = sum(size.values())
        weights = [total / (len(found) * size[c]) if options.class_weights == "balanced" else 1.0 for c in found]
        spec: Spec = {"classes": found, "weights": weights, "out_of_scope": options.out_of_scope}
        if options.reject != "none":
            spec["reject"] = options.reject
        if "parent" in table.column_names:
            usual = classes.parents_of(column, classes.names(table["parent"], options))
            parents = [usual.get(c, c) for c in found]
            names = _sorted(list(set(parents)))
            spec["parents"] = {"names": names, "of": [names.index(p) for p in parents]}
        return spec

    def encode(self, table: pa.Table, spec: Spec, options: ClassificationOptions) -> pa.Table:
        columns = vectors.columns(table)
        if "label" in table.column_names:
            column = classes.names(table["label"], options)
            codes = pc.index_in(column, pa.array(spec["classes"], pa.string())).cast(pa.int64())
            columns["label"] = pc.if_else(pa.array(classes.turned_away(column, options)), len(spec["classes"]), codes)
        return pa.table(columns)

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: ClassificationOptions, part: str) -> dict[str, float]:
        """TF-IDF of words and word pairs with a linear support vector machine; `majority_accuracy`: always the most frequent class.
        What it rejects has a low score in every class."""
        from sklearn.svm import LinearSVC

        encoded = self.encode(table, spec, options)
        known = ~common.nulls(encoded["label"])
        labels = pc.fill_null(encoded["label"], -1).to_numpy()
        train = common.sample(np.flatnonzero((split == "train") & known & (labels < len(spec["classes"]))), 50_000)
        rows = np.flatnonzero((split == part) & known)
        if not len(rows) or len(np.unique(labels[train])) < 2:
            return {}
        majority = {"majority_accuracy": float((labels[rows] == np.bincount(labels[train]).argmax()).mean())}
        if not is_whole(spec):
            return majority  # a machine a class, and a score of each for every row
        tuning = np.flatnonzero((split == "validation") & known) if "reject" in spec else rows[:0]
        known_words, asked_words = vectors.word_features(encoded, train, np.concatenate([tuning, rows]))
        weight = "balanced" if options.class_weights == "balanced" else None
        model = LinearSVC(class_weight=weight).fit(known_words, labels[train])
        decision = model.decision_function(asked_words)
        scores = np.zeros((len(decision), len(spec["classes"])))
        if decision.ndim == 1:  # two classes
            decision = np.stack([-decision, decision], axis=1)
        scores[:, model.classes_] = 1 / (1 + np.exp(-decision))
        if "reject" in spec:
            scores = np.column_stack([scores, 1 - scores.max(axis=1)])
            spec = spec | REPORT.tuned(scores[: len(tuning)], labels[tuning], spec, options)
        return REPORT.evaluate(scores[len(tuning) :], labels[rows], None, spec) | majority


KIND = TaskKind(
    name="classification",
    label=N_("Classification"),
    help=N_("Predicts one of several classes for a text: an intent, a category, a sentiment."),
    fields=FIELDS,
    example=(
        {"text": "where is my parcel", "label": "delivery"},
        {"text": "I want my money back", "label": "refund"},
        {"text": "the coat is too small", "label": "exchange"},
    ),
    Options=ClassificationOptions,
    metrics=(
        MetricInfo("accuracy", N_("Accuracy"), N_("Share of rows whose class is predicted correctly."), share=True),
        MetricInfo("macro_f1", N_("Macro-F1"), N_("Unweighted mean of the F1 scores of the classes.")),
        MetricInfo(
            "auc", N_("AUC"), N_("Probability that a row of the second class scores above one of the first; with two classes only.")
        ),
        MetricInfo("in_scope_accuracy", N_("In-scope accuracy"), N_("Accuracy on in-scope rows, when no row is rejected.")),
        MetricInfo("out_of_scope_recall", N_("Out-of-scope recall"), N_("Share of out-of-scope rows that are rejected.")),
        MetricInfo(
            "out_of_scope_auc",
            N_("Out-of-scope AUC"),
            N_("Probability that an out-of-scope row gets a higher rejection score than an in-scope row."),
        ),
        MetricInfo(
            "in_scope_rejected",
            N_("False rejection rate"),
            N_("Share of in-scope rows that are rejected."),
            higher_is_better=False,
        ),
        MetricInfo(
            "parent_accuracy",
            N_("Parent class accuracy"),
            N_("Share of rows whose parent class is predicted correctly; with a parent column."),
        ),
    ),
    primary="accuracy",
    answer_fields={
        "closest": AnswerField(N_("Closest class")),
        "parent": AnswerField(N_("Parent class")),
        "parent_probability": AnswerField(N_("Probability of the parent class")),
    },
    measured_by=("out_of_scope",),
    rows=ClassificationRows(),
    report=REPORT,
    load_head=head_of(__name__),
    suits=suits,
)


def _sorted(found: list[str]) -> list[str]:
    try:
        return sorted(found, key=lambda c: (float(c), c))
    except ValueError:
        return sorted(found)
