"""Masked language modelling: texts that nobody labelled → their hidden words, so that the encoder learns a shop's language."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pydantic import Field as Setting
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core.base.messages import N_, message
from mtl_core.base.settings import Options
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation import metrics
from mtl_core.tasks import common
from mtl_core.tasks.base import Field, MetricInfo, Panel, Slot, Spec, TaskBatch, TaskKind, Vocabulary, WordHead
from mtl_core.tasks.frequencies import log_frequencies, words_of

SHOWN_WORDS = 5  # for a blank
SHOWN_TOKENS = 30  # of a report
_TRIED = 50  # tokens that are looked through for words
_CHUNK = 1024  # tokens whose logits over the vocabulary are held at once, when nothing is learnt from them


class MaskedLanguageOptions(Options):
    share: float = Setting(
        0.15, ge=0.05, le=0.5, title=N_("Share of hidden words"), description=N_("Share of a text's tokens hidden from the encoder.")
    )


@dataclass
class Guesses:
    """Of M hidden tokens, those of one row after those of another, R rows.

    counts: (R,) long. losses: (M,). hits: (M,) bool, whether the most probable token is the right one; tokens: (M,) object, the right one
    as the tokenizer calls it; both None while training. words: one mapping of words to probabilities a token, when predicting.
    """

    counts: Tensor
    losses: Tensor
    hits: np.ndarray | None = None
    tokens: np.ndarray | None = None
    words: list[dict[str, float]] | None = None


class MaskedLanguageHead(WordHead):
    """The head of "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding"
    (https://arxiv.org/abs/1810.04805), on hidden tokens only.

        logits = LayerNorm(GELU(W h + b)) Eᵀ + c

    h: (hidden,) a token's state; c: (V,) at first how frequent words are in training texts; E: (V, width) the encoder's word embeddings.
    They learn as what is read, not as what is written: that gradient has a number for every word of the vocabulary, where a step opens
    only the rows that it reads.
    """

    def __init__(self, hidden: int, spec: Spec):
        super().__init__()
        self.hidden, self.spec = hidden, spec

    def tie(self, words: Vocabulary) -> None:
        super().tie(words)
        width = words.embeddings.shape[1]
        self.transform = nn.Sequential(nn.Linear(self.hidden, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(log_frequencies(self.spec, words))

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Guesses:
        """vectors: (L, hidden)."""
        tokens = batch.slots["text"].tokens
        assert tokens is not None and tokens.index is not None
        counts = tokens.rows[tokens.masked].bincount(minlength=len(tokens.offsets) - 1)
        states, ids = vectors[tokens.index[tokens.masked]], tokens.ids[tokens.masked]
        if self.training:
            return Guesses(counts, F.cross_entropy(self._logits(states), ids, reduction="none"))
        losses, hits, words = [], [], []
        for part, wanted in zip(states.split(_CHUNK), ids.split(_CHUNK), strict=True):
            logits = self._logits(part)
            losses.append(F.cross_entropy(logits, wanted, reduction="none"))
            hits.append(logits.argmax(1) == wanted)
            if batch.labels is None:
                words += self._words_of(logits)
        names = np.array(self.words.tokenizer.convert_ids_to_tokens(ids.tolist()), object)
        return Guesses(counts, torch.cat(losses), torch.cat(hits).cpu().numpy(), names, words if batch.labels is None else None)

    def _logits(self, states: Tensor) -> Tensor:
        return F.linear(self.transform(states), self.words.embeddings.detach(), self.bias)

    def _words_of(self, logits: Tensor) -> list[dict[str, float]]:
        """The most probable tokens that are words: no special ones, no ends of words, no punctuation."""
        tokenizer, found = self.words.tokenizer, []
        best = torch.softmax(logits, 1).topk(min(_TRIED, logits.shape[1]))
        special = set(tokenizer.all_special_ids)
        for ids, probabilities in zip(best.indices.tolist(), best.values.tolist(), strict=True):
            words: dict[str, float] = {}
            for token, probability in zip(ids, probabilities, strict=True):
                word = tokenizer.decode([token]).strip()
                if token not in special and not word.startswith("##") and any(map(str.isalnum, word)) and len(words) < SHOWN_WORDS:
                    words.setdefault(word, probability)
            found.append(words)
        return found


class MaskedLanguageModelling(TaskKind):
    name = "masked_language_modelling"
    label = N_("Masked language modelling")
    help = N_("Which word fits a blank: adapts the encoder to a shop's language from texts without labels.")
    fields = (
        Field(
            "text",
            "text",
            N_("A text without a label. To try a trained model, write ___ for the missing word."),
            many=True,
            aliases=("text", "description", "body", "review", "review text", "content"),
        ),
    )
    Options = MaskedLanguageOptions
    metrics = (
        MetricInfo("accuracy", N_("Accuracy"), N_("Share of hidden tokens that were guessed.")),
        MetricInfo("perplexity", N_("Perplexity"), N_("Among how many equally likely tokens the model chooses; lower is better.")),
    )
    primary = "accuracy"  # in [0, 1], as the other kinds' is: the mean over tasks must not be ruled by a perplexity of thousands
    rows_at_once = 512

    def slots(self, options: MaskedLanguageOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("text", reads="tokens", masks=options.share),)

    def check(self, table: pa.Table, split: np.ndarray, options: MaskedLanguageOptions) -> list[Problem]:
        findings = common.Findings(table, split)
        if not findings.fields(self.fields):
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
                message("Give that split a larger share."),
            )
        return findings.problems

    def fit(self, table: pa.Table, options: MaskedLanguageOptions) -> Spec:
        return words_of(common.plain(common.texts(table["text"])))

    def encode(self, table: pa.Table, spec: Spec, options: MaskedLanguageOptions) -> pa.Table:
        """`label` is 1 for a row with a text."""
        labels = np.where(common.is_empty(table["text"]), np.nan, 1.0)
        return pa.table({"text": common.texts(table["text"]), "label": common.floats(labels)})

    def head(self, hidden: int, spec: Spec, options: MaskedLanguageOptions) -> MaskedLanguageHead:
        return MaskedLanguageHead(hidden, spec)

    def loss(self, logits: Guesses, batch: TaskBatch, spec: Spec, options: MaskedLanguageOptions) -> Tensor:
        """Mean over a row's hidden tokens; 0 without any, as in an empty text, which no step draws."""
        return torch.segment_reduce(logits.losses, "mean", lengths=logits.counts, initial=0, unsafe=True)

    def scores(self, logits: Guesses, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R,) of {"losses", "hits", "tokens": (m,) arrays, "words": list, when predicting}."""
        assert logits.hits is not None and logits.tokens is not None
        ends = np.cumsum([0, *logits.counts.tolist()])
        losses, rows = logits.losses.detach().float().cpu().numpy(), np.empty(len(ends) - 1, object)
        for r, (start, end) in enumerate(pairwise(ends)):
            rows[r] = {"losses": losses[start:end], "hits": logits.hits[start:end], "tokens": logits.tokens[start:end]}
            if logits.words is not None:
                rows[r]["words"] = logits.words[start:end]
        return rows

    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        losses = _all(scores, "losses")
        if not len(losses):
            return {}
        return metrics.defined({"accuracy": _all(scores, "hits").mean(), "perplexity": metrics.perplexity(losses, np.ones(len(losses)))})

    def report(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        """The tokens that were hidden most often."""
        names, codes = np.unique(_all(scores, "tokens").astype(str), return_inverse=True)
        n = np.bincount(codes, minlength=len(names))
        hits, losses = (np.bincount(codes, _all(scores, key), len(names)) / np.maximum(n, 1) for key in ("hits", "losses"))
        often = np.argsort(-n, kind="stable")[:SHOWN_TOKENS]
        rows = [[str(names[i]), int(n[i]), float(hits[i]), float(np.exp(losses[i]))] for i in often]
        columns = [N_("Token"), N_("Times hidden"), N_("Share guessed"), N_("Perplexity")]
        return [Panel("table", N_("The tokens hidden most often"), {"columns": columns, "rows": rows})]

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

    def present(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        """The most probable words of each blank, the best of them as the answer."""
        answers = []
        for row in scores:
            answer: dict[str, Any] = {"label": ", ".join(next(iter(words), "") for words in row["words"])}
            for number, words in enumerate(row["words"], 1):
                answer["probabilities" if number == 1 else f"probabilities {number}"] = words
            answers.append(answer)
        return answers


def _all(scores: np.ndarray, key: str) -> np.ndarray:
    return np.concatenate([np.empty(0), *(row[key] for row in scores)])
