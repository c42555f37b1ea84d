"""Regression: the head and its loss."""

from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from mtl_core.tasks import heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.heads import TaskBatch, VectorHead
from mtl_core.tasks.regression import RegressionOptions

_LOSSES: dict[str, Any] = {"squared": F.mse_loss, "absolute": F.l1_loss, "huber": F.huber_loss}


class Head(heads.Head):
    def module(self, hidden: int, spec: Spec, options: RegressionOptions) -> VectorHead:
        return VectorHead(hidden, 1, options)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: RegressionOptions) -> Tensor:
        """On the standardised number (y - mean) / deviation, which is what the head predicts."""
        assert batch.labels is not None
        wanted = (batch.labels - spec["mean"]) / spec["deviation"]
        return _LOSSES[options.loss](logits.float().squeeze(1), wanted, reduction="none")

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R,) float32: numbers as those of the label."""
        values = spec["mean"] + spec["deviation"] * logits.detach().float().squeeze(1)
        return (values.clamp(spec["lowest"], spec["highest"]) if spec["clip"] else values).cpu().numpy()


HEAD = Head()
