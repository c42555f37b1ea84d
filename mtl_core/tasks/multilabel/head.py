"""Multilabel: the head and its loss."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_core.tasks import heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.heads import TaskBatch, VectorHead
from mtl_core.tasks.multilabel import MultilabelOptions


class Head(heads.Head):
    def module(self, hidden: int, spec: Spec, options: MultilabelOptions) -> VectorHead:
        prior = [0.5] * len(spec["tags"]) if options.tag_weights == "balanced" else spec["shares"]
        return VectorHead(hidden, len(spec["tags"]), options, prior)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: MultilabelOptions) -> Tensor:
        """Binary cross-entropy, the sum over the tags: -ln p of a row's tags, as a class's cross-entropy is -ln p of its class. The mean
        would be so small beside other tasks that the shared encoder hardly hears it (benchmarks/LOG.md)."""
        weights = torch.tensor(spec["weights"], device=logits.device)
        losses = F.binary_cross_entropy_with_logits(logits.float(), batch.features["tags"], reduction="none", pos_weight=weights)
        return losses.sum(dim=1)

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return torch.sigmoid(logits.detach().float()).cpu().numpy()

    def truth(self, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R, C) float32: 1 = the row has the tag."""
        return batch.features["tags"].cpu().numpy()


HEAD = Head()
