"""Masked language modelling: texts that nobody labelled → their hidden words, so that the encoder learns a shop's language."""

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field as Setting

from mtl_core.base.messages import N_, message
from mtl_core.base.settings import Options
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation import metrics, weighed
from mtl_core.tasks import common
from mtl_core.tasks.base import Field, MetricInfo, Panel, Report, Rows, Slot, Spec, TaskKind, head_of
from mtl_core.tasks.frequencies import words_of
from mtl_core.tasks.masked_language_modelling.suiting import suits

SHOWN_TOKENS = 30  # of a report


class MaskedLanguageOptions(Options):
    share: float = Setting(
        0.15, ge=0.05, le=0.5, title=N_("Masking probability"), description=N_("Fraction of a text's tokens that are masked.")
    )


FIELDS = (
    Field(
        "text",
        "text",
        N_("A text without a label. To try a trained model, write ___ for the masked word."),
        many=True,
        aliases=("text", "description", "body", "review", "review text", "content"),
        label=N_("Text"),
    ),
)


class MaskedLanguageModellingReport(Report):
    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        losses = _all(scores, "losses")
        if not len(losses):
            return {}
        return metrics.defined({"accuracy": _all(scores, "hits").mean(), "perplexity": metrics.perplexity(losses, np.ones(len(losses)))})

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> weighed.Ratio:
        hits = [np.asarray(row["hits"]) for row in scores]
        return weighed.Ratio(np.array([np.sum(h) for h in hits]), np.array([h.size for h in hits]))

    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        """The tokens that were hidden most often."""
        names, codes = np.unique(_all(scores, "tokens").astype(str), return_inverse=True)
        n = np.bincount(codes, minlength=len(names))
        hits, losses = (np.bincount(codes, _all(scores, key), len(names)) / np.maximum(n, 1) for key in ("hits", "losses"))
        often = np.argsort(-n, kind="stable")[:SHOWN_TOKENS]
        rows = [[str(names[i]), int(n[i]), float(hits[i]), float(np.exp(losses[i]))] for i in often]
        columns = [N_("Token"), N_("Times masked"), N_("Masked token accuracy"), N_("Perplexity")]
        return [Panel("table", N_("Most often masked tokens"), {"columns": columns, "rows": rows})]

    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        """The most probable words of each blank, the best of them as the answer."""
        answers = []
        for row in scores:
            blanks = row.get("words", ())  # an evaluation does not look for words
            answer: dict[str, Any] = {"label": ", ".join(next(iter(words), "") for words in blanks)}
            for number, words in enumerate(blanks, 1):
                answer["probabilities" if number == 1 else f"probabilities {number}"] = words
            answers.append(answer)
        return answers


REPORT = MaskedLanguageModellingReport()


class MaskedLanguageModellingRows(Rows):
    def slots(self, options: MaskedLanguageOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("text", reads="tokens", masks=options.share),)

    def check(self, table: pa.Table, split: np.ndarray, options: MaskedLanguageOptions) -> list[Problem]:
        findings = common.TaskProblems(table, split)
        if not findings.fields(FIELDS):
            return findings.problems
        findings.texts("text", only=True)
        filled = set(findings.split[~common.is_empty(table["text"])])
        if "train" not in filled:
            findings.table_wide(
                Severity.ERROR,
                "no_training_rows",
                "text",
                message("No training row has a text."),
                message("Choose another column or another split."),
            )
        elif not {"validation", "test"} <= filled:
            findings.table_wide(
                Severity.WARNING,
                "no_rows_in_split",
                "text",
                message("The validation or the test rows have no text, so the result cannot be measured."),
                message("Give that split a larger fraction."),
            )
        return findings.problems

    def fit(self, table: pa.Table, options: MaskedLanguageOptions) -> Spec:
        return words_of(common.plain(common.texts(table["text"])))

    def encode(self, table: pa.Table, spec: Spec, options: MaskedLanguageOptions) -> pa.Table:
        """`label` is 1 for a row with a text."""
        labels = np.where(common.is_empty(table["text"]), np.nan, 1.0)
        return pa.table({"text": common.texts(table["text"]), "label": common.floats(labels)})

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: MaskedLanguageOptions, part: str) -> dict[str, float]:
        """How frequent words are in training, with one more of each and one for all that were never seen. Whole words, not tokens."""
        texts = common.plain(common.texts(table["text"])).to_pylist()
        words = {
            p: [w for t, s in zip(texts, split, strict=True) if s == p for w in common.WORDS_AND_SIGNS.findall(t.lower())]
            for p in ("train", part)
        }
        if not words["train"] or not words[part]:
            return {}
        counts = Counter(words["train"])
        total, most = len(words["train"]) + len(counts) + 1, counts.most_common(1)[0][0]
        losses = -np.log([(counts[w] + 1) / total for w in words[part]])
        hits = np.mean([w == most for w in words[part]])
        return {"accuracy": float(hits), "perplexity": metrics.perplexity(losses, np.ones(len(losses)))}


KIND = TaskKind(
    name="masked_language_modelling",
    label=N_("Masked language modelling"),
    help=N_("Predicts masked words: adapts the encoder to a shop's language with texts without labels."),
    fields=FIELDS,
    example=({"text": "red leather shoes by Ellie"}, {"text": "the garden hose is 20 m long"}),
    Options=MaskedLanguageOptions,
    metrics=(
        MetricInfo("accuracy", N_("Accuracy"), N_("Share of masked tokens that were predicted correctly."), share=True),
        MetricInfo(
            "perplexity",
            N_("Perplexity"),
            N_("Exponential of the mean loss per token; lower is better."),
            higher_is_better=False,
        ),
    ),
    primary="accuracy",  # in [0, 1], as the other kinds' is: the mean over tasks must not be ruled by a perplexity of thousands
    rows_at_once=512,
    rows=MaskedLanguageModellingRows(),
    report=REPORT,
    load_head=head_of(__name__),
    suits=suits,
)


def _all(scores: np.ndarray, key: str) -> np.ndarray:
    return np.concatenate([np.empty(0), *(row[key] for row in scores)])
