"""Question answering: a question and a passage → the span of the passage that answers it, or that none does."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field as Setting

from mtl_core.base.messages import N_, message
from mtl_core.base.settings import Options
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation import metrics, weighed
from mtl_core.tasks import common
from mtl_core.tasks.base import SPANS, AnswerField, Field, MetricInfo, Panel, Report, Rows, Slot, Spec, TaskKind, head_of
from mtl_core.tasks.question_answering.suiting import suits
from mtl_core.tasks.spans import PIECES, SPACELESS, lower, objects, occurrences, trimmed

_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")


class QuestionAnsweringOptions(Options):
    empty_means: Literal["no_answer", "not_labelled"] = Setting(
        "no_answer",
        title=N_("Empty answers"),
        description=N_(
            "What an empty cell means: no_answer, the passage does not answer the question; not_labelled, the row was not annotated."
        ),
        json_schema_extra={"choices": {"no_answer": N_("No answer"), "not_labelled": N_("Not labelled")}},
    )
    longest_answer: int = Setting(
        30, ge=1, le=512, title=N_("Max answer length"), description=N_("Maximum number of tokens of a predicted answer.")
    )
    threshold: float | None = Setting(
        None,
        ge=-100,
        le=100,
        title=N_("Threshold"),
        description=N_(
            "Log-odds of an answer against no answer above which it is predicted; empty: the best for F1 on the validation rows."
        ),
    )
    dropout: float = Setting(0.1, ge=0, le=0.9, title=N_("Dropout"), description=N_("Dropout probability in the head."))


class Answer(NamedTuple):
    """The best span of a passage, or the true one. text: the passage's [start:end], in characters; "" if there is none.

    probability: of the span, P(start) · P(end); of a true one 1, or 0 where the encoder does not read it whole.
    none:        the probability that there is no answer.
    margin:      log-odds of the span against no answer.
    """

    text: str
    start: int
    end: int
    probability: float
    none: float
    margin: float


FIELDS = (
    Field("question", "text", N_("The question."), aliases=("question", "query"), label=N_("Question")),
    Field(
        "passage",
        "text",
        N_("The text that may contain the answer."),
        many=True,
        aliases=("passage", "context", "paragraph", "document", "review", "description", "text"),
        label=N_("Passage"),
    ),
    Field(
        "answer",
        "label",
        N_("The answer exactly as in the passage. [] means that there is none; the option “Empty answers” says what an empty cell means."),
        aliases=("answer", "answers", "answer_text", "span", "label"),
        holds="tags",
        label=N_("Answer"),
    ),
    Field(
        "answer_start",
        "number",
        N_("Character offset in the passage, from 0, where the answer starts; without it, the first occurrence is used."),
        required=False,
        aliases=("answer_start", "start"),
        asked=False,
        label=N_("Answer start"),
    ),
)


class QuestionAnsweringReport(Report):
    types = (Answer,)
    right_means = N_("Right: the answer is that of the row, word for word, or none where the row has none.")

    def right(self, scores: np.ndarray, labels: np.ndarray, spec: Spec) -> np.ndarray:
        return np.asarray(_measured(scores, labels, spec)[0] == 1)

    def tuned(self, scores: np.ndarray, labels: np.ndarray, spec: Spec, options: QuestionAnsweringOptions) -> Spec:
        """The threshold with the highest F1, halfway between two margins."""
        finite = np.array([np.isfinite(a.margin) for a in scores], bool)
        if options.threshold is not None or not finite.any():
            return {}
        margin = np.array([a.margin for a in scores[finite]])
        given = np.array([_f1(a.text, true.text) for a, true in zip(scores[finite], labels[finite], strict=True)])
        withheld = np.array([float(not true.text) for true in labels[finite]])
        order = np.argsort(-margin, kind="stable")
        total = withheld.sum() + np.cumsum(np.append(0, (given - withheld)[order]))  # of the first n given
        cuts = np.concatenate([[margin.max() + 1], (margin[order][1:] + margin[order][:-1]) / 2, [margin.min() - 1]])
        possible = np.append(True, np.append(margin[order][1:] < margin[order][:-1], True))  # equal margins are not parted
        return {"threshold": float(cuts[possible][np.argmax(total[possible])])}

    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        exact, f1, none, _ = _measured(scores, labels, spec)
        values = {"exact_match": _mean(exact), "f1": _mean(f1), "no_answer_accuracy": _mean(exact[none])}
        return metrics.defined(values)

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> weighed.Ratio:
        return weighed.mean(_measured(scores, labels, spec)[1])

    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        exact, f1, none, cut = _measured(scores, labels, spec)
        parts = ((N_("with an answer"), ~none), (N_("without an answer"), none), (N_("all rows"), np.ones(len(none), bool)))
        rows: list[list[Any]] = [
            [name, float(exact[part].mean()), float(f1[part].mean()), int(part.sum()), int(cut[part].sum())]
            for name, part in parts
            if part.any()
        ]
        header = [N_("question"), N_("exact match"), "F1", N_("rows"), N_("beyond the max sequence length")]
        return [Panel("table", N_("Answers"), {"columns": header, "rows": rows})]

    def said_by_no_label(self, options: QuestionAnsweringOptions) -> str:
        return N_("no answer") if options.empty_means == "no_answer" else ""

    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for a in scores:
            if a.text and a.margin > spec["threshold"]:
                span = {"text": a.text, "start": a.start, "end": a.end, "probability": a.probability}
                found.append({"label": a.text, "probability": a.probability, "no_answer_probability": a.none, "spans": [span]})
            else:
                found.append({"label": N_("no answer"), "probability": a.none, "no_answer_probability": a.none, "spans": []})
        return found


REPORT = QuestionAnsweringReport()


class QuestionAnsweringRows(Rows):
    def slots(self, options: QuestionAnsweringOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("pair", "pair", "tokens"),)

    def check(self, table: pa.Table, split: np.ndarray, options: QuestionAnsweringOptions) -> list[Problem]:
        findings = common.TaskProblems(table, split)
        if not findings.fields(FIELDS):
            return findings.problems
        findings.texts("question")
        findings.texts("passage")
        rows = list(_rows(table, options))
        absent, several, moved, empty = (
            np.array([getattr(r, what) for r in rows], bool) for what in ("absent", "several", "moved", "empty")
        )
        first = common.shorten(_written(table["answer"][int(np.argmax(absent))].as_py())[0][0]) if absent.any() else ""
        findings.rows(
            Severity.WARNING,
            "answer_not_in_passage",
            "answer",
            absent,
            message("{count} answers do not occur in their passage as whole words; the first is “{found}”.", found=first),
            message("These rows are ignored. An answer must be written exactly as in the passage."),
        )
        findings.rows(
            Severity.WARNING,
            "answer_start_wrong",
            "answer_start" if "answer_start" in table.column_names else "answer",
            moved,
            message("{count} answers do not start at the given character."),
            message("The first occurrence is used. Count characters from 0; joined columns have a space between them."),
        )
        findings.rows(
            Severity.WARNING,
            "answer_too_long",
            "answer",
            np.array([common.is_longer(r.answer or "", options.longest_answer) for r in rows], bool),
            message("{count} answers have more than {limit} words and symbols, so at least as many tokens.", limit=options.longest_answer),
            message("They are used for training, but no answer that long is ever predicted. Raise “Max answer length” if they matter."),
        )
        findings.rows(
            Severity.INFO,
            "several_answers",
            "answer",
            several,
            message("{count} rows have several answers."),
            message("Only the first answer of each row is used, in training and evaluation."),
        )
        if options.empty_means == "no_answer":
            findings.rows(
                Severity.INFO,
                "empty_means_no_answer",
                "answer",
                empty,
                message("{count} of {of} rows have an empty answer, which means that the passage does not answer the question."),
                message("If these rows were never annotated, set the option “Empty answers” to not_labelled."),
            )
        missing = [r.empty and r.answer is None for r in rows]
        findings.table = table.append_column("label", pa.array([None if m else 0 for m in missing], pa.int64()))
        if findings.labels(np.array([r.answer is not None for r in rows], bool)) and not any(
            r.answer for r, part in zip(rows, findings.split, strict=True) if part == "train"
        ):
            findings.table_wide(
                Severity.ERROR,
                "no_answers",
                "answer",
                message("No training row has an answer."),
                message("Choose another label column, another passage or another split."),
            )
        return [replace(p, column="answer") if p.column == "label" else p for p in findings.problems]

    def read(self, table: pa.Table, options: QuestionAnsweringOptions) -> Mapping[str, pa.Array]:
        """The answers as they stand in their passages."""
        return {"answer": pa.array([row.answer for row in _rows(table, options)], pa.string())}

    def fit(self, table: pa.Table, options: QuestionAnsweringOptions) -> Spec:
        return {"longest": options.longest_answer, "threshold": options.threshold or 0.0}

    def encode(self, table: pa.Table, spec: Spec, options: QuestionAnsweringOptions) -> pa.Table:
        """`label` is 1 with an answer and 0 without; `starts` and `ends` hold one number or none."""
        passage = common.texts(table["passage"])
        columns: dict[str, Any] = {
            "pair": common.pairs(common.texts(table["question"]), passage),
            "passage": common.plain(passage).cast(pa.string()),
        }
        if "answer" in table.column_names:
            rows = list(_rows(table, options))
            columns["label"] = pa.array([None if r.answer is None else int(bool(r.answer)) for r in rows], pa.int64())
            columns["starts"] = pa.array([[r.start] if r.answer else [] for r in rows], pa.list_(pa.int64()))
            columns["ends"] = pa.array([[r.start + len(r.answer)] if r.answer else [] for r in rows], pa.list_(pa.int64()))
        return pa.table(columns)

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: QuestionAnsweringOptions, part: str) -> dict[str, float]:
        """The sentence nearest to the question by TF-IDF; `always_no_answer_f1`: never an answer."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        encoded = self.encode(table, spec, options)
        rows = np.flatnonzero((split == part) & ~common.nulls(encoded["label"]))
        if not len(rows):
            return {}
        train = common.sample(np.flatnonzero(split == "train"), 50_000)
        vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=PIECES.pattern)
        vectorizer.fit([*encoded["passage"].take(pa.array(train)).to_pylist(), "a"])  # at least one word
        test = encoded.take(rows)
        passages, questions = test["passage"].to_pylist(), pc.struct_field(test["pair"], "a").to_pylist()
        sentences = [[m.span() for m in _SENTENCE.finditer(p)] or [(0, 0)] for p in passages]
        owner = np.repeat(np.arange(len(rows)), [len(s) for s in sentences])
        said = vectorizer.transform([p[a:b] for p, spans in zip(passages, sentences, strict=True) for a, b in spans])
        near = np.asarray(said.multiply(vectorizer.transform(questions)[owner]).sum(axis=1)).ravel()
        first, answers = np.searchsorted(owner, np.arange(len(rows))), []
        for row, spans in enumerate(sentences):
            start, end = trimmed(passages[row], *spans[int(np.argmax(near[first[row] : first[row] + len(spans)]))])
            answers.append(Answer(passages[row][start:end], start, end, 1.0, 0.0, np.inf))
        read = np.full(len(rows), np.iinfo(np.int64).max)
        pairs = zip(*(test[name].combine_chunks().flatten().to_pylist() for name in ("starts", "ends")), strict=True)
        truth = _true(pairs, test["label"].to_numpy(), read, passages)
        never = REPORT.evaluate(objects((a._replace(margin=-np.inf) for a in answers), len(rows)), truth, None, spec)
        return REPORT.evaluate(objects(answers, len(rows)), truth, None, spec) | {"always_no_answer_f1": never["f1"]}


KIND = TaskKind(
    name="question_answering",
    label=N_("Question answering"),
    help=N_("Finds the words of a product description or a review that answer a question, or that there is no answer."),
    fields=FIELDS,
    example=(
        {"question": "how long is the hose", "passage": "The garden hose is 20 m long and blue.", "answer": "20 m"},
        {"question": "which colour has the hose", "passage": "The garden hose is 20 m long and blue.", "answer": "blue"},
        {"question": "who makes the hose", "passage": "The garden hose is 20 m long and blue.", "answer": "[]"},
    ),
    Options=QuestionAnsweringOptions,
    metrics=(
        MetricInfo(
            "f1",
            N_("F1"),
            N_("Word overlap (F1) of predicted and true answer, mean over rows; without an answer, 1 if none is predicted, else 0."),
            share=True,
        ),
        MetricInfo(
            "exact_match", N_("Exact match"), N_("Share of answers equal to the true one, ignoring case, punctuation and articles.")
        ),
        MetricInfo("no_answer_accuracy", N_("No-answer accuracy"), N_("Share of rows without an answer for which none is predicted.")),
    ),
    primary="f1",
    rows_at_once=512,
    answer_fields={**SPANS, "no_answer_probability": AnswerField(N_("Probability of no answer"))},
    rows=QuestionAnsweringRows(),
    report=REPORT,
    load_head=head_of(__name__),
    suits=suits,
)


# -- labels -------------------------------------------------------------------------------------------------------------------
@dataclass
class _Row:
    """answer: as it stands in the passage from character `start` on; "" where there is none, None where nothing is learned.

    absent: not in its passage; several: more than one answer; moved: not where it was said to be; empty: an empty cell.
    """

    answer: str | None = None
    start: int = 0
    absent: bool = False
    several: bool = False
    moved: bool = False
    empty: bool = False


def _rows(table: pa.Table, options: QuestionAnsweringOptions) -> Iterator[_Row]:
    passages = common.plain(common.texts(table["passage"])).to_pylist()
    starts = common.numbers(table["answer_start"])[0] if "answer_start" in table.column_names else np.full(len(passages), np.nan)
    for passage, cell, given in zip(passages, table["answer"].to_pylist(), starts, strict=True):
        answers = _written(cell)
        if not answers:
            yield _Row("" if cell is not None or options.empty_means == "no_answer" else None, empty=cell is None)
            continue
        (answer, start), small = answers[0], lower(passage)
        start = start if start is not None else None if np.isnan(given) else int(given)
        wanted, row = lower(answer), _Row(several=len(set(answers)) > 1)
        if start is not None and start >= 0 and small.startswith(wanted, start):
            row.start = start
        else:
            places = occurrences(wanted, small)
            row.moved, row.absent = start is not None and bool(places), not places
            row.start = places[0] if places else 0
        row.answer = None if row.absent else passage[row.start : row.start + len(answer)]
        yield row


def _written(cell: Any) -> list[tuple[str, int | None]]:
    """The answers in a cell, with where they begin if that is said: one as it is, a list, or as SQuAD has them,
    {"text": [...], "answer_start": [...]}. None of them is empty."""
    if isinstance(cell, str) and cell[:1] in ("[", "{"):
        try:
            read = json.loads(cell)
        except (ValueError, RecursionError):
            read = None
        if isinstance(read, list) and all(isinstance(one, str) for one in read):
            cell = read
        elif isinstance(read, dict) and isinstance(read.get("text"), list):
            given = read.get("answer_start")
            starts = [s if type(s) is int else None for s in (given if isinstance(given, list) else [])] + [None] * len(read["text"])
            return [(str(text), start) for text, start in zip(read["text"], starts, strict=False) if str(text).strip()]
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return [(str(one).strip(), None) for one in (cell if isinstance(cell, list) else [cell]) if one is not None and str(one).strip()]


def _true(spans: Iterable[Sequence[int]], labels: np.ndarray, read: np.ndarray, passages: Iterable[str]) -> np.ndarray:
    """(R,) true answers. spans: start and end of each row whose label is 1; read: (R,) up to which character each passage is read."""
    answered, answers = iter(spans), []
    for passage, label, limit in zip(passages, labels, read, strict=True):
        start, end = next(answered) if label else (0, 0)
        answers.append(Answer(passage[start:end], start, end, float(end <= limit), float(not label), np.inf if label else -np.inf))
    return objects(answers, len(answers))


# -- numbers ------------------------------------------------------------------------------------------------------------------
def _words(text: str) -> list[str]:
    """Lower case, without punctuation and articles, as in SQuAD; characters where a script has no spaces between words."""
    plain = "".join(c for c in text.lower() if unicodedata.category(c)[0] not in "PS")
    return re.findall(rf"[{SPACELESS}]|[^\s{SPACELESS}]+", re.sub(r"\b(a|an|the)\b", " ", plain))


def _f1(answer: str, truth: str) -> float:
    """Of the words that both have; 1 where neither has any."""
    words, wanted = _words(answer), _words(truth)
    if not (words and wanted):
        return float(words == wanted)
    return 2 * (Counter(words) & Counter(wanted)).total() / (len(words) + len(wanted))


def _measured(scores: np.ndarray, labels: np.ndarray, spec: Spec) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(R,) exact match, F1, whether there is no answer, and whether there is one that was not read whole."""
    given = [a.text if a.margin > spec["threshold"] else "" for a in scores]
    true = [a.text for a in labels]
    exact = np.array([float(_words(g) == _words(t)) for g, t in zip(given, true, strict=True)])
    f1 = np.array([_f1(g, t) for g, t in zip(given, true, strict=True)])
    return exact, f1, np.array([not t for t in true], bool), np.array([not a.probability for a in labels], bool)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
