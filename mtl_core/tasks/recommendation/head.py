"""Recommendation: the head and its loss."""

import numpy as np
import torch
from torch import Tensor

from mtl_core.tasks import heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.heads import CatalogueHead, TaskBatch
from mtl_core.tasks.recommendation import RecommendationOptions
from mtl_core.tasks.recommendation.modules import (
    ConnectedHead,
    DotHead,
    Matched,
    bayesian_personalized_ranking,
    cross_entropy,
    in_batch_softmax,
)


class Head(heads.Head):
    def module(self, hidden: int, spec: Spec, options: RecommendationOptions) -> CatalogueHead:
        return (DotHead if options.scoring == "dot" else ConnectedHead)(hidden, spec, options)

    def loss(self, logits: Tensor | Matched, batch: TaskBatch, spec: Spec, options: RecommendationOptions) -> Tensor:
        if isinstance(logits, Matched):
            return in_batch_softmax(logits, batch)
        return (bayesian_personalized_ranking if options.loss == "bpr" else cross_entropy)(logits, batch)

    def scores(self, logits: Tensor | Matched, batch: TaskBatch, spec: Spec) -> np.ndarray:
        rows = logits.logits if isinstance(logits, Matched) else logits
        return torch.sigmoid(rows.detach().float()).cpu().numpy()


HEAD = Head()
