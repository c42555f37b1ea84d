"""Click-through: the head and its loss."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core.tasks import heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.click_through import ClickThroughOptions, clicks
from mtl_core.tasks.feature_encoding import FeatureEncoding
from mtl_core.tasks.heads import TaskBatch, output_layer


class Tower(nn.Module):
    """x → cross layers x_{l+1} = x_0 * (W x_l + b) + x_l beside fully connected ones → logit.

    "DCN V2: Improved Deep & Cross Network" (https://arxiv.org/abs/2008.13535), parallel form.
    """

    def __init__(self, width: int, prior: float, options: ClickThroughOptions):
        super().__init__()
        self.dropout = nn.Dropout(options.dropout)
        self.crosses = nn.ModuleList(nn.Linear(width, width) for _ in range(options.cross_layers))
        self.deep = nn.Sequential(
            nn.Linear(width, options.hidden_size),
            nn.ReLU(),
            nn.Dropout(options.dropout),
            nn.Linear(options.hidden_size, options.hidden_size),
            nn.ReLU(),
            nn.Dropout(options.dropout),
        )
        self.output = output_layer((width if options.cross_layers else 0) + options.hidden_size, 1, prior)

    def forward(self, first: Tensor) -> Tensor:
        """(R, W) → logits (R,)."""
        x = first
        for cross in self.crosses:
            x = first * cross(x) + x
        deep = self.deep(first)
        return self.output(torch.cat([self.dropout(x), deep], dim=1) if self.crosses else deep).squeeze(1)


class ClickThroughHead(nn.Module):
    """Features side by side, read by a tower for the click and, with conversions, by one for the conversion after it."""

    def __init__(self, hidden: int, spec: Spec, options: ClickThroughOptions):
        super().__init__()
        self.features = FeatureEncoding(spec, options) if spec["vocabularies"] or spec["numbers"] else None
        self.text = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, options.text_size), nn.GELU()) if spec["text"] else None
        width = (self.features.width if self.features else 0) + (options.text_size if spec["text"] else 0)
        self.click = Tower(width, spec["prior"], options)
        self.conversion = Tower(width, spec["conversion_prior"], options) if "conversion_prior" in spec else None

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (S, H) → logits of a click (R,), or (R, 2): of a click, and of a conversion once there was one."""
        parts = [self.features(batch)] if self.features is not None else []
        if self.text is not None:
            parts.append(self.text(vectors[batch.slots["text"].index]))
        first = torch.cat(parts, dim=1)  # (R, W)
        return self.click(first) if self.conversion is None else torch.stack([self.click(first), self.conversion(first)], dim=1)


class Head(heads.Head):
    def module(self, hidden: int, spec: Spec, options: ClickThroughOptions) -> ClickThroughHead:
        return ClickThroughHead(hidden, spec, options)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: ClickThroughOptions) -> Tensor:
        """Cross-entropy of the click, and with conversions that of

        esmm:       click and conversion over all rows, p = pCTR · pCVR; none of the conversion alone. "Entire Space Multi-Task Model"
                    (https://arxiv.org/abs/1804.07931).
        two_heads:  the conversion, on clicked rows; 0 on others, so that both together are the log-likelihood of the row.

        With propensity weighting times the row's weight, min(1 / propensity, largest weight) over its mean in the step: clipped and
        self-normalised ("The Self-Normalized Estimator for Counterfactual Learning",
        https://papers.nips.cc/paper/2015/hash/39027dfad5138c9ca0c474d71db915c3-Abstract.html).
        """
        assert batch.labels is not None
        click, logits = batch.labels.float(), logits.float()
        losses = F.binary_cross_entropy_with_logits(logits if logits.ndim == 1 else logits[:, 0], click, reduction="none")
        if logits.ndim == 2:
            clicked, bought = logits.unbind(dim=1)
            conversion = batch.features["conversion"].squeeze(1)
            known, target = ~conversion.isnan(), conversion.nan_to_num()
            if options.conversion_model == "esmm":
                both = F.logsigmoid(clicked) + F.logsigmoid(bought)
                not_both = torch.logaddexp(F.logsigmoid(-clicked), F.logsigmoid(clicked) + F.logsigmoid(-bought))
                more = -torch.where(target > 0.5, both, not_both)
            else:
                more = click * F.binary_cross_entropy_with_logits(bought, target, reduction="none")
            losses = losses + known * more
        if "weight" in batch.features:
            weights = batch.features["weight"].squeeze(1)
            losses = losses * (weights / weights.nanmean()).nan_to_num(nan=1.0)
        return losses

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R,): pCTR, or (R, 2): pCTR and pCVR, the probability of a conversion once there was a click; their product is pCTCVR."""
        return torch.sigmoid(logits.detach().float()).cpu().numpy()

    def truth(self, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R,): click, or (R, 3): click, conversion and weight; nan where not known."""
        return clicks.truth_of(
            super().truth(batch, spec), {name: f.cpu().numpy()[:, 0] for name, f in batch.features.items() if name in clicks.EXTRAS}
        )


HEAD = Head()
