"""Response selection: a dialogue so far and a reply → how well the reply goes on from there; the right one among candidates."""

import re
from collections.abc import Collection, Mapping, Sequence
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
from mtl_core.tasks.response_selection.suiting import suits

LARGEST_SCALE = 100.0  # of the cosine, as in CLIP


_BLOCK = 1 << 16  # pairs whose vectors are looked up at once


_MARK = re.compile(r"\s*[^\W\d][\w \-]{0,30}[:：]")  # who speaks, in front of a turn


class ResponseOptions(Options):
    max_turns: int = Setting(
        10,
        ge=1,
        le=1000,
        title=N_("Max turns"),
        description=N_("Number of dialogue turns to read, the most recent ones; texts that are too long lose their oldest turns."),
    )
    candidates: int = Setting(
        20,
        ge=2,
        le=1000,
        title=N_("Candidates"),
        description=N_("Number of replies among which the correct one is ranked, if the table has no incorrect replies."),
    )
    projection: int = Setting(128, ge=1, le=4096, title=N_("Projection size"), description=N_("Size of the vectors that are compared."))
    temperature: float = Setting(
        0.1,
        ge=1 / LARGEST_SCALE,
        le=10,
        title=N_("Temperature"),
        description=N_("Initial value of the learned temperature: smaller is sharper."),
    )


FIELDS = (
    Field(
        "dialogue",
        "texts",
        N_("The dialogue so far, oldest turn first; the speaker may come first in a turn, as in “customer: hello”."),
        aliases=("dialogue", "dialog", "context", "conversation", "turns"),
        label=N_("Dialogue"),
    ),
    Field(
        "speakers",
        "texts",
        N_("The speaker of each turn, in the same order, unless the turns name their speakers."),
        required=False,
        aliases=("speakers", "roles", "speaker", "role"),
        label=N_("Speakers"),
    ),
    Field(
        "reply",
        "text",
        N_("The reply that follows, or a candidate reply."),
        aliases=("reply", "response", "agent_reply", "answer"),
        label=N_("Reply"),
    ),
    Field(
        "label",
        "label",
        N_("Whether the reply is correct: 0 or 1; without it, every reply is."),
        required=False,
        aliases=("label", "is_right", "correct"),
        holds="grade",
        label=N_("Label"),
    ),
    Field(
        "list",
        "group",
        N_("Identifies the candidates of one dialogue; without it, rows with the same dialogue."),
        required=False,
        aliases=("list", "list_id", "dialogue_id", "dialog_id", "conversation_id"),
        label=N_("List"),
    ),
)


class ResponseSelectionReport(Report):
    def relevance(self, scores: np.ndarray) -> np.ndarray:
        everything = np.arange(len(scores))
        return 1 / (1 + np.exp(-_dots(scores, everything, everything)))

    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        """Each right reply is ranked among the wrong ones of its list; where that has none, among `candidates` - 1 of other rows."""
        first, second, right, lists = _candidates(labels, groups, spec["candidates"])
        return _measured(_dots(scores, first, second), right, lists)

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> weighed.Ratio:
        """A list counts as the row of its dialogue does."""
        first, second, right, lists = _candidates(labels, groups, spec["candidates"])
        rows = first[np.unique(lists, return_index=True)[1]]
        hits = metrics.first_positive(_dots(scores, first, second), right, lists) <= 1
        return weighed.Ratio(np.bincount(rows, hits, len(labels)), np.bincount(rows, minlength=len(labels)))

    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        first, second, right, lists = _candidates(labels, groups, spec["candidates"])
        found = _dots(scores, first, second)
        columns = [N_("Within the top k"), N_("Share of correct replies"), N_("Random baseline")]
        rows = [[k, metrics.hit_rate(found, right, lists, k), metrics.hit_rate_by_chance(right, lists, k)] for k in (1, 2, 5, 10)]
        data = {"columns": columns, "rows": [row for row in rows if np.isfinite(row).all()]}
        return [Panel("table", N_("Rank of the correct reply among its candidates"), data)]

    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        return [{"relevance": float(s)} for s in self.relevance(scores)]


REPORT = ResponseSelectionReport()


class ResponseSelectionRows(Rows):
    def slots(self, options: ResponseOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("context"), Slot("reply"))

    def draws_groups(self, options: ResponseOptions) -> bool:
        return True

    def check(self, table: pa.Table, split: np.ndarray, options: ResponseOptions) -> list[Problem]:
        findings = common.TaskProblems(table, split)
        if not findings.fields(FIELDS):
            return findings.problems
        no_reply, no_turn = common.is_empty(table["reply"]), np.array([not text for text in _contexts(table, options)], bool)
        if table.num_rows and no_reply.all():
            findings.texts("reply")
        else:
            findings.rows(
                Severity.WARNING,
                "reply_missing",
                "reply",
                no_reply,
                message("{count} of {of} rows have a dialogue without a reply."),
                message("They are ignored. Fill in the replies to learn from them."),
            )
        findings.rows(
            Severity.WARNING,
            "dialogue_empty",
            "dialogue",
            no_turn,
            message("{count} of {of} rows have an empty dialogue."),
            message("They are ignored. Fill in what was said before the reply."),
        )
        if "speakers" in table.column_names:
            findings.rows(
                Severity.WARNING,
                "speakers_differ",
                "speakers",
                np.array([bool(who) and len(who) != len(turns) for turns, who in _dialogues(table)], bool),
                message("{count} of {of} rows have a different number of speakers and turns."),
                message("Their turns are read without speakers. Give one speaker per turn."),
            )
        right = ~no_reply & ~no_turn
        if "label" in table.column_names:
            common.check_yes_no(findings, both=False)
            label = common.yes_no(table["label"])[0]
            findings.two_labels(("dialogue", "reply"), common.floats(label))
            right &= label == 1
        if not (right & (findings.split == "train")).any() and not any(p.severity is Severity.ERROR for p in findings.problems):
            findings.table_wide(
                Severity.ERROR,
                "no_training_rows",
                "reply",
                message("No training row has a correct reply to a dialogue."),
                message("Choose other columns or another split."),
            )
        return findings.problems

    def read(self, table: pa.Table, options: ResponseOptions) -> Mapping[str, pa.Array]:
        """The turns."""
        return {"dialogue": pa.array([turns for turns, _ in _dialogues(table)], pa.list_(pa.string()))}

    def fit(self, table: pa.Table, options: ResponseOptions) -> Spec:
        return {"candidates": options.candidates}

    def encode(self, table: pa.Table, spec: Spec, options: ResponseOptions) -> pa.Table:
        """`context`: the turns in one text, the newest first; `code`: equal for equal replies; `label` is null where either is missing."""
        context, reply = pa.chunked_array([pa.array(_contexts(table, options), pa.string())]), common.texts(table["reply"])
        label = common.yes_no(table["label"])[0] if "label" in table.column_names else np.ones(len(table))
        label[common.is_empty(context) | common.is_empty(reply)] = np.nan
        group = common.codes(table["list"] if "list" in table.column_names else context)
        code = common.fixed(common.codes(reply)[:, None])
        return pa.table({"context": context, "reply": reply, "label": common.floats(label), "group": pa.array(group), "code": code})

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: ResponseOptions, part: str) -> dict[str, float]:
        """Cosine of the TF-IDF vectors of dialogue and reply; word weights from the training rows."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        encoded = self.encode(table, spec, options)
        label = encoded["label"].to_numpy()
        rows = np.flatnonzero((split == part) & ~np.isnan(label))
        train = common.sample(np.flatnonzero(split == "train"), 100_000)
        columns = [common.plain(encoded[c]) for c in ("context", "reply")]
        known = [text for c in columns for text in c.take(pa.array(train)).to_pylist()]
        vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=common.WORD).fit([*known, "a"])  # at least one word
        context, reply = (vectorizer.transform(c.take(pa.array(rows)).to_pylist()) for c in columns)
        labels = np.stack([label[rows].astype(np.int64), common.matrix(encoded["code"])[rows, 0]], axis=1)
        first, second, right, lists = _candidates(labels, encoded["group"].to_numpy()[rows], spec["candidates"])
        return _measured(np.asarray(context[first].multiply(reply[second]).sum(axis=1)).ravel(), right, lists)


KIND = TaskKind(
    name="response_selection",
    label=N_("Response selection"),
    help=N_("Ranks candidate replies to a dialogue."),
    fields=FIELDS,
    example=(
        {"list": "d1", "dialogue": ["customer: where is my parcel"], "reply": "It comes on Monday.", "label": 1},
        {"list": "d1", "dialogue": ["customer: where is my parcel"], "reply": "Sizes run from 36 to 42.", "label": 0},
        {
            "list": "d2",
            "dialogue": ["customer: hello", "agent: hello", "customer: is there a size 38"],
            "reply": "Yes, in red.",
            "label": 1,
        },
    ),
    Options=ResponseOptions,
    metrics=(
        MetricInfo("recall_at_1", N_("Recall@1"), N_("Share of correct replies that score above all incorrect candidates."), share=True),
        MetricInfo("recall_at_5", N_("Recall@5"), N_("Share of correct replies within the top five of their candidates.")),
        MetricInfo("mrr", N_("MRR"), N_("Mean reciprocal rank of the correct reply among its candidates.")),
    ),
    primary="recall_at_1",
    ranks="reply",
    rows_at_once=512,  # as each is compared with the replies of all of them
    measured_by=("candidates",),
    rows=ResponseSelectionRows(),
    report=REPORT,
    load_head=head_of(__name__),
    suits=suits,
)


# -- dialogues ----------------------------------------------------------------------------------------------------------------
def _contexts(table: pa.Table, options: ResponseOptions) -> list[str]:
    """(N,): a dialogue's newest turns in one text, the newest first: where the tokenizer cuts a long text, the oldest are lost.

    That order is of "ConveRT: Efficient and Accurate Conversational Representations from Transformers"
    (https://arxiv.org/abs/1911.03688). Who spoke stands in front of a turn as plain words.
    """
    return [_joined(turns, who, options.max_turns) for turns, who in _dialogues(table)]


def _dialogues(table: pa.Table) -> list[tuple[list[str | None], list[str | None]]]:
    """(turns, speakers) of each row; a single text is divided where each of its lines says who speaks."""
    dialogues = common.histories(table["dialogue"]).to_pylist()
    speakers = common.histories(table["speakers"]).to_pylist() if "speakers" in table.column_names else [[]] * len(dialogues)
    return [(_turns(turns), who) for turns, who in zip(dialogues, speakers, strict=True)]


def _turns(turns: list[str | None]) -> list[str | None]:
    lines = [line for line in (turns[0] or "").splitlines() if line.strip()] if len(turns) == 1 else []
    return [*lines] if lines and all(map(_MARK.match, lines)) else turns


def _joined(turns: Sequence[str | None], speakers: Sequence[str | None], most: int) -> str:
    if len(speakers) == len(turns):
        turns = [f"{who}: {turn}" if who and turn and turn.strip() else turn for who, turn in zip(speakers, turns, strict=True)]
    said = [" ".join(turn.split()) for turn in turns if turn and turn.strip()]
    return " | ".join(reversed(said[-most:]))


# -- ranking ------------------------------------------------------------------------------------------------------------------
def _candidates(labels: np.ndarray, groups: np.ndarray | None, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A list for each right reply: itself and wrong ones, those of its group or, without any, up to `most` - 1 drawn from all replies,
    always the same. labels: (R, 2) as by `truth`.

    → of each candidate (M,): the row of the dialogue, a row with the reply, 1 where it is right, its list.
    """
    right, code = labels[:, 0] == 1, labels[:, 1]
    _, group = np.unique(np.arange(len(labels)) if groups is None else groups, return_inverse=True)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group))
    distinct, where = np.unique(code, return_index=True)
    rng, found = np.random.default_rng(0), []
    for row in np.flatnonzero(right):
        members = order[(ends[group[row] - 1] if group[row] else 0) : ends[group[row]]]
        fits = code[members[right[members]]]
        others, at = np.unique(code[members], return_index=True)
        wrong = members[at[~np.isin(others, fits)]]
        if not len(wrong):
            drawn = rng.choice(len(distinct), min(len(distinct), most - 1 + len(np.unique(fits))), replace=False)
            wrong = where[drawn[~np.isin(distinct[drawn], fits)]][: most - 1]
        if len(wrong):
            found.append(np.stack([np.full(len(wrong) + 1, row), [row, *wrong], np.arange(len(wrong) + 1) == 0]))
    lists = np.repeat(np.arange(len(found)), [part.shape[1] for part in found])
    first, second, is_right = np.concatenate([np.empty((3, 0), np.int64), *found], axis=1)
    return first, second, is_right, lists


def _dots(scores: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(M,) logits of the dialogues of the rows `first` with the replies of the rows `second`."""
    context, reply = np.split(scores, 2, axis=1)
    found = np.empty(len(first))
    for start in range(0, len(first), _BLOCK):
        part = slice(start, start + _BLOCK)
        found[part] = np.einsum("me,me->m", context[first[part]], reply[second[part]])
    return found


def _measured(scores: np.ndarray, right: np.ndarray, lists: np.ndarray) -> dict[str, float]:
    recalls = {f"recall_at_{k}": metrics.hit_rate(scores, right, lists, k) for k in (1, 5)}
    return metrics.defined({**recalls, "mrr": metrics.mean_reciprocal_rank(scores, right, lists)})
