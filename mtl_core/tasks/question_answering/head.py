"""Question answering: the head and its loss."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core.tasks import heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.heads import TaskBatch, Tokens, covering, output_layer, read_to
from mtl_core.tasks.question_answering import Answer, QuestionAnsweringOptions, _true
from mtl_core.tasks.spans import objects, whole

IGNORED = -100  # as a target: nothing is learned


class QuestionAnsweringHead(nn.Module):
    """Logits of where the answer starts and where it ends: a linear layer on the states of the passage's tokens, another on the vector of
    question and passage for that there is none.

    "Know What You Don't Know: Unanswerable Questions for SQuAD" (https://arxiv.org/abs/1806.03822), with the head of "BERT"
    (https://arxiv.org/abs/1810.04805), 4.3.
    """

    def __init__(self, hidden: int, spec: Spec, options: QuestionAnsweringOptions):
        super().__init__()
        self.normal = nn.Sequential(nn.LayerNorm(hidden), nn.Dropout(options.dropout))
        self.places, self.none = output_layer(hidden, 2), output_layer(hidden, 1)

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (L, H) → logits (R, 1 + P, 2): of no answer, then of each token of the passage, -inf beyond its end; start and end."""
        tokens = batch.slots["pair"].tokens
        assert tokens is not None and tokens.index is not None
        passage, row, place = _places(tokens)
        logits = vectors.new_full((batch.n_rows, 1 + int(place.max()) if len(place) else 1, 2), -torch.inf, dtype=torch.float32)
        logits[:, 0] = self.none(self.normal(vectors[batch.slots["pair"].index])).float()
        logits[row, place] = self.places(self.normal(vectors[tokens.index[passage]])).float()
        return logits


def _places(tokens: Tokens) -> tuple[Tensor, Tensor, Tensor]:
    """(T,) bool: the tokens of passages, P in all; (P,) long: the row of each; (P,) long: its place in its passage, from 1."""
    passage = tokens.part == 1
    row = tokens.rows[passage]
    n_tokens = torch.bincount(row, minlength=len(tokens.offsets) - 1)
    return passage, row, 1 + torch.arange(len(row), device=row.device) - (n_tokens.cumsum(0) - n_tokens)[row]


class Head(heads.Head):
    def module(self, hidden: int, spec: Spec, options: QuestionAnsweringOptions) -> QuestionAnsweringHead:
        return QuestionAnsweringHead(hidden, spec, options)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: QuestionAnsweringOptions) -> Tensor:
        """Mean of the cross-entropies of start and end over no answer and the passage's tokens; 0 where the true end is not read."""
        tokens, ends = batch.slots["pair"].tokens, batch.lists["ends"]
        assert tokens is not None and batch.labels is not None
        passage, row, place = _places(tokens)
        inside = covering(tokens, batch.lists["starts"], ends[0], part=1)[passage] >= 0
        end = torch.zeros_like(batch.labels).masked_scatter_(batch.labels > 0, ends[0])
        learned = end <= read_to(tokens, part=1)
        nowhere, none = logits.shape[1], torch.zeros_like(batch.labels)
        first = none.scatter_reduce(0, row, torch.where(inside, place, nowhere), "amin", include_self=False)
        last = none.scatter_reduce(0, row, torch.where(inside, place, 0), "amax")
        answered = torch.stack([first, last], dim=1)
        targets = torch.where((batch.labels > 0)[:, None], torch.where((learned & (last > 0))[:, None], answered, IGNORED), 0)
        return F.cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="none").mean(1)

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R,) `Answer`: the best span of at most the longest answer's tokens, in whole words, whatever the threshold says of it."""
        tokens = batch.slots["pair"].tokens
        assert tokens is not None
        log = F.log_softmax(logits.detach().float(), dim=1).cpu()
        start, end = log[:, 1:, 0], log[:, 1:, 1]
        none = log[:, 0].sum(1)
        best, first, length = torch.full_like(none, -torch.inf), torch.zeros_like(none).long(), torch.zeros_like(none).long()
        for more in range(min(spec["longest"], start.shape[1])):  # spans of 1 + more tokens
            found, place = (start[:, : start.shape[1] - more] + end[:, more:]).max(1)
            better = found > best
            best, first = torch.where(better, found, best), torch.where(better, place, first)
            length = torch.where(better, more, length)
        passage, rows, _ = (t.cpu().numpy() for t in _places(tokens))
        chars = tokens.chars.cpu().numpy()[passage]
        offsets = np.searchsorted(rows, np.arange(batch.n_rows))
        answers = []
        for row, text in enumerate(batch.strings["passage"]):
            if best[row] == -torch.inf:  # nothing of the passage is read
                answers.append(Answer("", 0, 0, 0.0, 1.0, -np.inf))
                continue
            at = offsets[row] + int(first[row])
            begin, stop = whole(text, int(chars[at, 0]), int(chars[at + int(length[row]), 1]))
            chances = float(best[row].exp()), float(none[row].exp()), float(best[row] - none[row])
            answers.append(Answer(text[begin:stop], begin, stop, *chances))
        return objects(answers, len(answers))

    def truth(self, batch: TaskBatch, spec: Spec) -> np.ndarray:
        tokens = batch.slots["pair"].tokens
        assert tokens is not None and batch.labels is not None
        starts, ends = batch.lists["starts"][0], batch.lists["ends"][0]
        spans = torch.stack([starts, ends], dim=1).tolist()
        return _true(spans, batch.labels.cpu().numpy(), read_to(tokens, part=1).cpu().numpy(), batch.strings["passage"])


HEAD = Head()
