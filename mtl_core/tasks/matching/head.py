"""Matching: the head and its loss."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_core.tasks import heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.heads import TaskBatch, VectorHead
from mtl_core.tasks.matching import MatchingOptions


class Head(heads.Head):
    def module(self, hidden: int, spec: Spec, options: MatchingOptions) -> VectorHead:
        return VectorHead(hidden, 1, options, spec["prior"] if options.class_weights == "none" else 0.5)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: MatchingOptions) -> Tensor:
        assert batch.labels is not None
        losses = F.binary_cross_entropy_with_logits(logits.float().squeeze(1), batch.labels, reduction="none")
        if options.class_weights == "none":
            return losses
        return losses * torch.where(batch.labels > 0.5, 0.5 / spec["prior"], 0.5 / (1 - spec["prior"]))

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return torch.sigmoid(logits.detach().float().squeeze(1)).cpu().numpy()


HEAD = Head()
