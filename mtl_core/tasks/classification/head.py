"""Classification: the head and its loss."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_core.tasks import heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.classification import ClassificationOptions
from mtl_core.tasks.classification.probable import TOP, is_whole, scope_of
from mtl_core.tasks.heads import TaskBatch, VectorHead


class Head(heads.Head):
    def module(self, hidden: int, spec: Spec, options: ClassificationOptions) -> VectorHead:
        return VectorHead(hidden, len(spec["classes"]), options)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: ClassificationOptions) -> Tensor:
        """Cross-entropy of the class, and `parent_weight` times that of its parent, whose logit is the log-sum-exp of its classes'; times
        the weight of the class. 0 for rows out of scope that are in no class."""
        assert batch.labels is not None
        logits = logits.float()
        inside = batch.labels < logits.shape[1]
        labels = batch.labels * inside
        losses = F.cross_entropy(logits, labels, reduction="none")
        if "parents" in spec and options.parent_weight:
            of = torch.tensor(spec["parents"]["of"], device=logits.device)
            siblings = of == of[labels][:, None]  # (R, C)
            likely = torch.logsumexp(torch.log_softmax(logits, dim=1).masked_fill(~siblings, -torch.inf), dim=1)
            losses = losses - options.parent_weight * likely
        if options.class_weights != "none":
            losses = losses * torch.tensor(spec["weights"], device=losses.device)[labels]
        return losses * inside

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R, C): the probabilities of the classes; with rejection (R, C + 1), last the doubt that it is any of them, in [0, 1]. Of many
        classes what `probable` says."""
        logits = logits.detach().float()
        scores = torch.softmax(logits, dim=1)
        outside = doubt(logits, spec["reject"])[:, None] if "reject" in spec else None
        if not is_whole(spec):
            scores = reduced(scores, outside, spec)
        elif outside is not None:
            scores = torch.cat([scores, outside], dim=1)
        return scores.cpu().numpy()


HEAD = Head()


def reduced(scores: Tensor, outside: Tensor | None, spec: Spec) -> Tensor:
    """(R, C) probabilities, (R, 1) doubts → (R, 2 * TOP + 3), see `probable`."""
    first = scores.cpu().numpy().argmax(axis=1)  # the first of equal ones, as where all are kept
    best = torch.from_numpy(first).to(scores.device)[:, None]
    rest = scores.scatter(1, best, -1.0).topk(TOP - 1, dim=1)
    order = torch.cat([best, rest.indices], dim=1)
    nothing = scores.new_zeros(len(scores), 1)
    if outside is None:
        at = scope_of(spec)
        outside = nothing if at is None else scores[:, at : at + 1]
    parent, likely = nothing, nothing
    if "parents" in spec:
        of = torch.tensor(spec["parents"]["of"], device=scores.device)
        sums = scores.new_zeros(len(scores), len(spec["parents"]["names"])).index_add_(1, of, scores)
        likely, parent = sums.max(dim=1, keepdim=True)
    return torch.cat([order.float(), scores.gather(1, order), outside, parent.float(), likely], dim=1)


def doubt(logits: Tensor, reject: str) -> Tensor:
    """(R, C) → (R,) in [0, 1]: how little a text looks like one of the classes.

    confidence: 1 - the largest probability. "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
        Networks" (https://arxiv.org/abs/1610.02136).
    energy: σ(E), E = -log Σ exp(logit). "Energy-based Out-of-distribution Detection" (https://arxiv.org/abs/2010.03759).
    """
    if reject == "energy":
        return torch.sigmoid(-torch.logsumexp(logits, dim=1))
    return 1 - torch.softmax(logits, dim=1).amax(dim=1)
