"""Multilabel: a text, or two texts read together → a set of tags."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field as Setting

from mtl_core.base.messages import N_, message
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation import metrics, weighed
from mtl_core.tasks import common, naming, vectors
from mtl_core.tasks.base import AnswerField, Field, MetricInfo, Panel, Report, Rows, Slot, Spec, TaskKind, head_of
from mtl_core.tasks.multilabel.cells import counted, holding, lists, lower, split_tags
from mtl_core.tasks.multilabel.suiting import suits

MANY_TAGS = 2000


SHOWN_TAGS = 5  # of a prediction


HEAVIEST = 100.0  # weight of a rare tag's rows


class MultilabelOptions(naming.NamedOptions, vectors.VectorOptions):
    separator: Literal["automatic", "none", ",", ";", "|", "/", "，", "；", "、"] = Setting(
        "automatic",
        title=N_("Tag separator"),
        description=N_("Separator between the tags of a cell; automatic: the one that splits most training cells; none: one tag per cell."),
        json_schema_extra={
            "choices": {
                "automatic": N_("Automatic"),
                "none": N_("None"),
                ",": N_("Comma"),
                ";": N_("Semicolon"),
                "|": N_("Vertical bar"),
                "/": N_("Slash"),
                "，": N_("Chinese comma"),
                "；": N_("Chinese semicolon"),
                "、": N_("Enumeration comma"),
            }
        },
    )
    empty: Literal["no_label", "no_tag"] = Setting(
        "no_label",
        title=N_("Empty cell"),
        description=N_(
            "no_label: this task leaves the row out; no_tag: the row is an example without tags. An empty list always means no_tag."
        ),
        json_schema_extra={"choices": {"no_label": N_("Not labelled"), "no_tag": N_("No tag")}},
    )
    minimum_count: int = Setting(
        5, ge=1, le=1_000_000, title=N_("Min rows per tag"), description=N_("Training rows that a tag needs; rarer ones are ignored.")
    )
    threshold: float | None = Setting(
        None,
        gt=0,
        lt=1,
        title=N_("Threshold"),
        description=N_("Probability from which a tag is predicted; empty: the best for micro-F1 on the validation rows."),
    )
    tag_weights: Literal["none", "balanced"] = Setting(
        "none",
        title=N_("Tag weights"),
        description=N_(
            "none: every row has the same weight; balanced: rows with a tag weigh as much as those without it, up to 100 times."
        ),
        json_schema_extra={"choices": {"none": N_("None"), "balanced": N_("Balanced")}},
    )


FIELDS = (
    Field(
        "text",
        "text",
        N_("The text to tag."),
        many=True,
        aliases=("text", "message", "review", "review text", "body", "title", "description", "product"),
        label=N_("Text"),
    ),
    vectors.SECOND,
    Field(
        "label",
        "label",
        N_("The tags, several in one cell or as a list; or several columns of 0 and 1, each called like its tag."),
        many=True,
        aliases=("label", "tags", "labels", "tag", "themes", "topics", "aspects", "keywords", "标签"),
        holds="tags",
        label=N_("Label"),
    ),
)


class MultilabelReport(Report):
    right_means = N_("Right: all tags of the row and no others.")

    def right(self, scores: np.ndarray, labels: np.ndarray, spec: Spec) -> np.ndarray:
        return np.asarray(((scores.astype(np.float64) >= spec["threshold"]) == (labels > 0.5)).all(axis=1))

    def tuned(self, scores: np.ndarray, labels: np.ndarray, spec: Spec, options: MultilabelOptions) -> Spec:
        return {"threshold": metrics.best_threshold(scores, labels)} if options.threshold is None else {}

    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        if not len(labels):
            return {}
        return metrics.defined(
            {
                "micro_f1": metrics.precision_recall_f1(scores, labels, spec["threshold"])[2],
                "macro_f1": float(np.mean(found.f1)) if len((found := _found(scores, labels, spec)).f1) else np.nan,
                "lrap": metrics.mean_average_precision(scores.ravel(), labels.ravel(), np.repeat(np.arange(len(labels)), labels.shape[1])),
            }
        )

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> weighed.Ratio:
        called, positive = scores.astype(np.float64) >= spec["threshold"], labels > 0.5
        return weighed.f1((called & positive).sum(axis=1), called.sum(axis=1), positive.sum(axis=1))

    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        found = _found(scores, labels, spec)
        columns = (found.precision, found.recall, found.f1, found.support)
        rows: list[list[Any]] = [
            [spec["tags"][c], *map(float, values), int(n)] for c, *values, n in zip(found.classes, *columns, strict=True)
        ]
        if rows:
            micro = metrics.precision_recall_f1(scores, labels, spec["threshold"])
            rows.append([N_("micro average"), *micro, len(labels)])
            rows.append([N_("macro average"), *(float(np.mean(c)) for c in columns[:3]), len(labels)])
        header = [N_("tag"), N_("precision"), N_("recall"), "F1", N_("rows")]
        return [
            Panel("table", N_("Report by tag"), {"columns": header, "rows": rows}),
            Panel("table", N_("Threshold"), {"columns": [N_("probability from which a tag is predicted")], "rows": [[spec["threshold"]]]}),
        ]

    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        """The tags from the threshold on, the most probable first, and the probabilities of the five most probable."""
        given = scores.astype(np.float64) >= spec["threshold"]
        order = np.argsort(-scores, axis=1, kind="stable")
        tags, names = spec["tags"], [naming.called(spec, tag) for tag in spec["tags"]]

        def joined(words: list[str], best: np.ndarray, has: np.ndarray) -> str:
            return ", ".join(words[c] for c in best if has[c]) or N_("no tag")

        return [
            {
                **naming.labelled(joined(names, best, has), joined(tags, best, has)),
                "probabilities": {names[c]: float(row[c]) for c in best[:SHOWN_TAGS]},
                "threshold": spec["threshold"],
            }
            for row, has, best in zip(scores, given, order, strict=True)
        ]

    def said_by_no_label(self, options: MultilabelOptions) -> str:
        return N_("no tag") if options.empty == "no_tag" else ""

    def classes(self, spec: Spec) -> list[str]:
        return list(spec["tags"])

    def label_called(self, label: str, spec: Spec) -> str:
        if not naming.are_named(spec):
            return label
        cells = lists(pa.chunked_array([pa.array([label])]))[0]
        names = {key: naming.called(spec, tag) for key, tag in zip(lower(spec["tags"]), spec["tags"], strict=True)}
        found = split_tags(cells, spec["separators"])
        return ", ".join(names.get(key, tag) for key, tag in zip(found["key"], found["tag"], strict=True)) or label


REPORT = MultilabelReport()


class MultilabelRows(Rows):
    def slots(self, options: MultilabelOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return vectors.slots(fields)

    def check(self, table: pa.Table, split: np.ndarray, options: MultilabelOptions) -> list[Problem]:
        findings = common.TaskProblems(table, split)
        if not findings.fields(FIELDS):
            return findings.problems
        findings.texts("text")
        findings.texts("second")
        column = findings.table["label"]
        train, missing = findings.split == "train", common.nulls(column)
        broken = lists(column)[1]
        findings.rows(
            Severity.ERROR,
            "broken_list",
            "label",
            broken,
            message("{count} lists of tags cannot be read; the first is {found}", found=_first(column, broken)),
            message("Write {json}, a list as Python prints it, or tags with a separator between them.", json='["a", "b"]'),
        )
        cells = _cells(column, options)
        known = ~common.nulls(cells)
        if options.empty == "no_label" or not known[train].any():
            findings.labels(known)
        if not known[train].any():
            return findings.problems
        _check_separators(findings, cells, options)
        found = split_tags(cells, _separators(cells.filter(pa.array(train)), options))
        spelled, counts = counted(found[train[found["row"]]])
        used = counts.index[counts >= options.minimum_count]
        without = known & ~_mask(found["row"], len(known))
        why = (
            message("{count} of {of} rows have no tag, {empty} of them an empty cell.", empty=int((without & missing).sum()))
            if (without & missing).any()
            else message("{count} of {of} rows have no tag.")
        )
        remedy = message("They are treated as rows without tags. If that is wrong, give them tags or remove the rows.")
        findings.rows(Severity.INFO, "row_without_tag", "label", without, why, remedy)
        other = found[found["tag"] != found["key"].map(spelled).fillna(found["tag"])]
        if len(other):
            first = other.iloc[0]
            findings.rows(
                Severity.INFO,
                "tag_spelling",
                "label",
                _mask(other["row"], len(known)),
                message(
                    "{count} rows spell a tag differently from most; “{found}” is read as “{tag}”.",
                    found=common.shorten(first["tag"]),
                    tag=common.shorten(spelled[first["key"]]),
                ),
                message("No action needed if these are the same tag; otherwise give them different names."),
            )
        sets = found.drop_duplicates(["row", "key"]).sort_values(["row", "key"]).groupby("row")["key"].agg(", ".join)
        sets = sets.reindex(range(len(known)), fill_value="").where(known, None)
        findings.two_labels(("text", "second"), pa.array(sets, pa.string(), from_pandas=True))
        repeated = found[found.duplicated(["row", "key"])]
        findings.rows(
            Severity.INFO,
            "tag_repeated",
            "label",
            _mask(repeated["row"], len(known)),
            message("{count} rows name a tag more than once; it counts once."),
            message("No action needed."),
        )
        rare = counts.index.difference(used, sort=False)
        if len(rare):
            findings.rows(
                Severity.WARNING,
                "tag_rare",
                "label",
                _mask(found["row"][found["key"].isin(rare)], len(known)),
                message(
                    "{tags} tags have fewer than {least} training rows and are ignored, in {count} rows; the first is “{tag}”.",
                    tags=len(rare),
                    least=options.minimum_count,
                    tag=common.shorten(spelled[rare[0]]),
                ),
                message("Add rows with these tags, merge them with others, or lower “Min rows per tag” in the task options."),
            )
        unknown = found[~train[found["row"]] & (findings.split[found["row"]] != "") & ~found["key"].isin(counts.index)]
        if len(unknown):
            findings.rows(
                Severity.WARNING,
                "label_not_in_training",
                "label",
                _mask(unknown["row"], len(known)),
                message(
                    "{count} rows have a tag that no training row has; the first is “{label}”.",
                    label=common.shorten(unknown["tag"].iloc[0]),
                ),
                message("Evaluation ignores these tags, not the rows. Split differently, or add such rows to training."),
            )
        naming.check(findings, list(spelled), options)
        if not len(used):
            findings.table_wide(
                Severity.ERROR,
                "no_tags",
                "label",
                message("No tag has {least} training rows or more, so there is nothing to learn.", least=options.minimum_count),
                message("Choose another label column or separator, or lower “Min rows per tag” in the task options."),
            )
        elif len(used) > MANY_TAGS:
            findings.table_wide(
                Severity.WARNING,
                "many_tags",
                "label",
                message("There are {count} tags; every row needs memory for each, and rare ones are hard to learn.", count=len(used)),
                message("Check the separator, or raise “Min rows per tag” in the task options."),
            )
        return findings.problems

    def counted(self, table: pa.Table, options: MultilabelOptions) -> pa.Array:
        """The tags, as most rows spell them."""
        cells = _cells(table["label"], options)
        found = split_tags(cells, _separators(cells, options)).drop_duplicates(["row", "key"])
        tags = found["key"].map(counted(found)[0]).astype(str)
        ends = np.cumsum(np.bincount(found["row"], minlength=len(cells)))
        offsets = pa.array(np.append(0, ends).astype(np.int32))
        return pa.ListArray.from_arrays(offsets, pa.array(tags, pa.string()), mask=pa.array(common.nulls(cells)))

    def read(self, table: pa.Table, options: MultilabelOptions) -> Mapping[str, pa.Array]:
        return {"label": self.counted(table, options)}

    def fit(self, table: pa.Table, options: MultilabelOptions) -> Spec:
        """tags: by name, as most rows spell them; shares: of the rows that have them; weights: of these rows, against those without;
        separators; threshold: until one is chosen, where none is given."""
        cells = _cells(table["label"], options)
        separators = _separators(cells, options)
        spelled, counts = counted(split_tags(cells, separators))
        n = int((~common.nulls(cells)).sum())
        used = sorted(counts.index[counts >= options.minimum_count])
        shares = [float(np.clip(counts[key] / n, 1e-4, 1 - 1e-4)) for key in used]
        balanced = options.tag_weights == "balanced"
        return {
            "tags": [spelled[key] for key in used],
            "shares": shares,
            "weights": [min((1 - share) / share, HEAVIEST) if balanced else 1.0 for share in shares],
            "separators": separators,
            "threshold": options.threshold or 0.5,
        }

    def encode(self, table: pa.Table, spec: Spec, options: MultilabelOptions) -> pa.Table:
        """Feature: `tags` (float32, 1 = has it); `label` is 1 where the row counts."""
        encoded = vectors.columns(table)
        if "label" in table.column_names:
            cells = _cells(table["label"], options)
            found = split_tags(cells, spec["separators"])
            place = pd.Index(lower(spec["tags"])).get_indexer(pd.Index(found["key"]))
            tags = np.zeros((len(cells), len(spec["tags"])), np.float32)
            tags[found["row"][place >= 0], place[place >= 0]] = 1
            encoded |= {"tags": common.fixed(tags), "label": common.floats(np.where(common.nulls(cells), np.nan, 1.0))}
        return pa.table(encoded)

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: MultilabelOptions, part: str) -> dict[str, float]:
        """TF-IDF of words and word pairs with a linear support vector machine a tag, and the threshold of the validation rows."""
        from scipy.special import expit
        from sklearn.svm import LinearSVC

        encoded = self.encode(table, spec, options)
        labels, known = common.matrix(encoded["tags"]), ~common.nulls(encoded["label"])
        train = common.sample(np.flatnonzero((split == "train") & known), 50_000)
        rows, validation = (np.flatnonzero((split == p) & known) for p in (part, "validation"))
        if not len(rows) or not len(train):
            return {}
        learned, *words = vectors.word_features(encoded, train, rows, validation)
        found = [np.tile(labels[train].mean(axis=0), (len(r), 1)) for r in (rows, validation)]
        for tag in np.flatnonzero(np.ptp(labels[train], axis=0)):
            model = LinearSVC().fit(learned, labels[train, tag])
            for scores, features in zip(found, words, strict=True):
                if len(scores):
                    scores[:, tag] = expit(model.decision_function(features))
        return REPORT.evaluate(found[0], labels[rows], None, spec | REPORT.tuned(found[1], labels[validation], spec, options))


KIND = TaskKind(
    name="multilabel",
    label=N_("Tags"),
    help=N_("Predicts any number of tags for a text: the themes of a message, the properties of a product."),
    fields=FIELDS,
    example=(
        {"text": "the coat came late and is too small", "label": ["delivery", "size"]},
        {"text": "too small and too dear", "label": ["size", "price"]},
        {"text": "came late", "label": ["delivery"]},
    ),
    Options=MultilabelOptions,
    metrics=(
        MetricInfo("micro_f1", N_("Micro-F1"), N_("F1 over all tags of all rows together, so that frequent tags count more."), share=True),
        MetricInfo("macro_f1", N_("Macro-F1"), N_("Unweighted mean of the F1 scores of the tags.")),
        MetricInfo(
            "lrap",
            N_("Label ranking average precision"),
            N_(
                "For each true tag, the share of true tags among those ranked at least as high; mean over a row. The threshold plays no "
                "part."
            ),
        ),
    ),
    primary="micro_f1",
    answer_fields={"threshold": AnswerField(N_("Tags from a probability of"))},
    measured_by=("separator", "empty", "minimum_count"),
    rows=MultilabelRows(),
    report=REPORT,
    load_head=head_of(__name__),
    suits=suits,
)


def _found(scores: np.ndarray, labels: np.ndarray, spec: Spec) -> metrics.ClassScores:
    return metrics.tag_scores(scores.astype(np.float64) >= spec["threshold"], labels > 0.5)


def _first(column: pa.ChunkedArray, rows: np.ndarray) -> str:
    return common.shorten(column[int(np.argmax(rows))].as_py()) if rows.any() else ""


def _mask(rows: Any, n: int) -> np.ndarray:
    """(n,) bool: True at `rows`."""
    mask = np.zeros(n, bool)
    mask[np.asarray(rows, np.int64)] = True
    return mask


def _cells(column: pa.ChunkedArray, options: MultilabelOptions) -> pa.ChunkedArray:
    """Strings or lists of strings; null where the row has no label."""
    column = lists(column)[0]
    return pc.coalesce(column, pa.scalar([] if pa.types.is_list(column.type) else "", column.type)) if options.empty == "no_tag" else column


def _separators(cells: pa.ChunkedArray, options: MultilabelOptions) -> list[str]:
    """At which signs the cells are divided. automatic: the one in most of them, and every other that mostly stands in cells of its own:
    one that stands beside them is a part of tags (“tops/bottoms; sale”)."""
    if options.separator != "automatic":
        return [] if options.separator == "none" else [options.separator]
    chosen, divided = [], np.zeros(len(cells), bool)
    for separator, rows in holding(cells).items():
        if 2 * (rows & ~divided).sum() > rows.sum():
            chosen.append(separator)
            divided |= rows
    return chosen


def _check_separators(findings: common.TaskProblems, cells: pa.ChunkedArray, options: MultilabelOptions) -> None:
    if options.separator != "automatic":
        return
    chosen = _separators(cells.filter(pa.array(findings.split == "train")), options)
    places = holding(cells)
    remedy = message("If that is wrong, set the separator in the task options.")
    for separator, rows in places.items():
        if separator not in chosen:
            why = message("In {count} cells the character “{separator}” is part of a tag.", separator=separator)
            findings.rows(Severity.WARNING, "tag_separator_inside", "label", rows, why, remedy)
    if len(chosen) == 1:
        why = message("{count} cells are split into tags at “{separator}”.", separator=chosen[0])
        findings.rows(Severity.INFO, "tag_separator", "label", places[chosen[0]], why, remedy)
    elif chosen:
        why = message(
            "Tags are separated in several ways, mostly by “{first}”; {count} cells use another way ({others}). All of these characters "
            "separate tags.",
            first=chosen[0],
            others=" ".join(chosen[1:]),
        )
        findings.rows(Severity.WARNING, "tag_separators", "label", np.any([places[s] for s in chosen[1:]], axis=0), why, remedy)
