"""Response selection: the head and its loss."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core.tasks import heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.heads import TaskBatch
from mtl_core.tasks.response_selection import LARGEST_SCALE, ResponseOptions

Outputs = tuple[Tensor, Tensor]
"""(R, E) of the dialogues and (R, E) of the replies: the dot product of two is their logit."""


class ResponseHead(nn.Module):
    """logit = exp(t) (cos(A dialogue, B reply) - b), t and b learned, exp(t) ≤ 100; A and B begin alike, as the encoder's own similarity.

    A dual encoder, as in "Efficient Natural Language Response Suggestion for Smart Reply" (https://arxiv.org/abs/1705.00652).
    """

    def __init__(self, hidden: int, options: ResponseOptions):
        super().__init__()
        self.context, self.reply = (nn.Linear(hidden, options.projection, bias=False) for _ in range(2))
        self.reply.load_state_dict(self.context.state_dict())
        self.log_scale = nn.Parameter(torch.tensor(-math.log(options.temperature)))
        self.threshold = nn.Parameter(torch.tensor(0.5))

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Outputs:
        """vectors (S, H) → (R, projection + 1) twice: scale and threshold are in them, so that a dot product is all that is left."""
        vectors = vectors.float()
        scale = self.log_scale.clamp(max=math.log(LARGEST_SCALE)).exp()
        context = scale * F.normalize(self.context(vectors[batch.slots["context"].index]), dim=1)
        reply = F.normalize(self.reply(vectors[batch.slots["reply"].index]), dim=1)
        one = torch.ones_like(reply[:, :1])
        return torch.cat([context, one], dim=1), torch.cat([reply, -scale * self.threshold * one], dim=1)


class Head(heads.Head):
    def module(self, hidden: int, spec: Spec, options: ResponseOptions) -> ResponseHead:
        return ResponseHead(hidden, options)

    def loss(self, logits: Outputs, batch: TaskBatch, spec: Spec, options: ResponseOptions) -> Tensor:
        """Cross-entropy of the right reply among the distinct replies of the step and "none of them", whose logit is 0.

        Other right replies to the same dialogue are left out, wrong ones (label 0) are candidates only. With "none of them" a step
        with one reply still teaches what is a fit, and so does a wrong reply to a dialogue whose right one is not in the step: none
        is then right. The rows that are counted are scaled so that the mean over all rows is theirs.
        """
        context, reply = logits
        assert batch.labels is not None
        right, place = batch.labels > 0.5, torch.arange(len(context), device=context.device)
        distinct, said = batch.slots["reply"].index.unique(return_inverse=True)
        first = torch.zeros_like(distinct).scatter_reduce(0, said, place, "amin", include_self=False)
        dialogue = batch.slots["context"].index
        one, other = ((dialogue[:, None] == dialogue) & right).nonzero(as_tuple=True)
        fits = torch.zeros(len(context), len(distinct), dtype=torch.bool, device=context.device)
        fits[one, said[other]] = True
        alone = ~right & ~fits.any(1)
        left_out = fits | alone[:, None]
        left_out[place, said] = False
        compared = (context @ reply[first].T).masked_fill(left_out, -torch.inf)
        losses = F.cross_entropy(F.pad(compared, (1, 0)), torch.where(right, said + 1, 0), reduction="none")
        counted = right | alone
        return losses * counted * (len(context) / counted.sum())

    def scores(self, logits: Outputs, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R, 2 E): the vectors of dialogue and reply side by side; the dot product of any two is their logit."""
        return torch.cat(logits, dim=1).detach().float().cpu().numpy()

    def truth(self, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R, 2) int64: whether the reply is right, and its code."""
        assert batch.labels is not None
        return torch.cat([batch.labels[:, None].long(), batch.features["code"]], dim=1).cpu().numpy()


HEAD = Head()
