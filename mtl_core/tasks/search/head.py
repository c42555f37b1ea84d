"""Search relevance: the head and its loss."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core.tasks import common, heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.heads import DualHead, TaskBatch, output_layer
from mtl_core.tasks.search import LARGEST_SCALE, SearchOptions


class ApartHead(DualHead):
    """logit = exp(t) (cos(query, product) - b), t and b learned, exp(t) ≤ 100.

    A temperature and a bias as in "Sigmoid Loss for Language Image Pre-Training" (https://arxiv.org/abs/2303.15343); the bias is
    kept as a cosine, so that learning rates suit it.
    """

    def __init__(self, spec: Spec, options: SearchOptions):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(options.temperature)))
        start = 0.5 - options.temperature * common.logit(spec["prior"])
        self.threshold = nn.Parameter(torch.tensor(min(max(start, 0.0), 1.0) if options.bias else 0.0), requires_grad=options.bias)

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (S, H) → logits (R,)."""
        unit = self.embed(vectors, "")
        cosine = (unit[batch.slots["query"].index] * unit[batch.slots["product"].index]).sum(1)
        return self.log_scale.clamp(max=math.log(LARGEST_SCALE)).exp() * (cosine - self.threshold)

    def embed(self, vectors: Tensor, slot: str) -> Tensor:
        return F.normalize(vectors.float(), dim=1)


class TogetherHead(nn.Module):
    """A linear layer on the vector of query and product read as one text (cross-encoder)."""

    def __init__(self, hidden: int, spec: Spec, options: SearchOptions):
        super().__init__()
        self.dropout = nn.Dropout(options.dropout)
        self.linear = output_layer(hidden, 1, spec["prior"])

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (S, H) → logits (R,)."""
        return self.linear(self.dropout(vectors[batch.slots["pair"].index])).squeeze(1)


class Head(heads.Head):
    def module(self, hidden: int, spec: Spec, options: SearchOptions) -> nn.Module:
        return ApartHead(spec, options) if options.pairing == "apart" else TogetherHead(hidden, spec, options)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: SearchOptions) -> Tensor:
        """pointwise: cross-entropy with the target in [0, 1]. The other losses compare the rows of a group that are in the step; a row
        that has none to be compared with, as it is alone or all gains are equal, is taken pointwise, so that no row is in vain.

        Only differences of logits count in them: the relevance is a good order then, and no probability.
        """
        assert batch.labels is not None
        logits, gains = logits.float(), batch.labels.float()
        pointwise = F.binary_cross_entropy_with_logits(logits, gains, reduction="none")
        if options.loss == "pointwise":
            return pointwise
        assert batch.groups is not None
        compare = pairwise if options.loss == "pairwise" else listwise
        return compare(logits, gains, batch.groups, pointwise)

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return torch.sigmoid(logits.detach().float()).cpu().numpy()


HEAD = Head()


def pairwise(logits: Tensor, gains: Tensor, groups: Tensor, alone: Tensor) -> Tensor:
    """(R,): log(1 + exp(-(s - s'))) for a row and each one of its group with less gain (turned round for more), the mean weighted by the
    differences of gains; `alone` where there is none. All (R,).

    RankNet: "Learning to Rank using Gradient Descent" (https://doi.org/10.1145/1102351.1102363).
    """
    order = torch.argsort(groups, stable=True)
    _, sizes = torch.unique_consecutive(groups[order], return_counts=True)
    partners = torch.repeat_interleave(sizes, sizes)  # of each row of `order`, itself among them
    begins = torch.repeat_interleave(sizes.cumsum(0) - sizes, sizes)
    row = torch.repeat_interleave(torch.arange(len(order), device=order.device), partners)
    place = torch.arange(len(row), device=order.device) - (partners.cumsum(0) - partners)[row]
    first, second = order[row], order[begins[row] + place]
    more = gains[first] - gains[second]
    losses = F.softplus((logits[second] - logits[first]) * more.sign()) * more.abs()
    nothing = torch.zeros_like(logits)
    weight = nothing.index_add(0, first, more.abs())
    return torch.where(weight > 0, nothing.index_add(0, first, losses) / torch.where(weight > 0, weight, 1), alone)


def listwise(logits: Tensor, gains: Tensor, groups: Tensor, alone: Tensor) -> Tensor:
    """(R,): of each row the loss of its group, the cross-entropy of softmax(s) with the rows' shares of the group's gain;
    `alone` where all gains of a group are equal. All (R,).

    ListNet with the chance to be first: "Learning to Rank: From Pairwise Approach to Listwise Approach"
    (https://doi.org/10.1145/1273496.1273513). Its exp(gain) is the gain itself here: gains lie in [0, 1], where exp tells little apart.
    """
    names, group = groups.unique(return_inverse=True)
    nothing = torch.zeros(len(names), device=logits.device)
    highest, most, least = (
        nothing.scatter_reduce(0, group, values, how, include_self=False)
        for values, how in ((logits.detach(), "amax"), (gains, "amax"), (gains, "amin"))
    )
    above = logits - highest[group]
    log_share = above - nothing.index_add(0, group, above.exp()).log()[group]
    total = nothing.index_add(0, group, gains)
    losses = -nothing.index_add(0, group, gains * log_share) / torch.where(total > 0, total, 1)
    return torch.where((most > least)[group], losses[group], alone)
