"""Classification: the head and its loss."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_core.tasks import heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.classification import ClassificationOptions
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
        """(R, C): the probabilities of the classes; with rejection (R, C + 1), last the doubt that it is any of them, in [0, 1]."""
        logits = logits.detach().float()
        scores = torch.softmax(logits, dim=1)
        if "reject" in spec:
            scores = torch.cat([scores, doubt(logits, spec["reject"])[:, None]], dim=1)
        return scores.cpu().numpy()


HEAD = Head()


def doubt(logits: Tensor, reject: str) -> Tensor:
    """(R, C) → (R,) in [0, 1]: how little a text looks like one of the classes.

    confidence: 1 - the largest probability. "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
        Networks" (https://arxiv.org/abs/1610.02136).
    energy: σ(E), E = -log Σ exp(logit). "Energy-based Out-of-distribution Detection" (https://arxiv.org/abs/2010.03759).
    """
    if reject == "energy":
        return torch.sigmoid(-torch.logsumexp(logits, dim=1))
    return 1 - torch.softmax(logits, dim=1).amax(dim=1)
