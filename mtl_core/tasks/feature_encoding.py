"""The layers that read a row's categories and numbers; see `features`."""

import torch
from torch import Tensor, nn

from mtl_core.tasks.base import Spec
from mtl_core.tasks.features import NUMBER_SIZE, UNSEEN, FeatureOptions
from mtl_core.tasks.heads import TaskBatch


class NumberEncoding(nn.Module):
    """Numbers (R, F) → (R, F * size): each cut into pieces at training quantiles, then a layer of its own.

    Piecewise linear encoding of "On Embeddings for Numerical Features in Tabular Deep Learning" (https://arxiv.org/abs/2203.05556):
    piece t of a number is 0 below the piece, 1 above it, and rises linearly within.
    """

    lower: Tensor
    width: Tensor
    mask: Tensor

    def __init__(self, edges: list[list[float]], size: int):
        super().__init__()
        n_pieces = max(len(e) for e in edges) - 1
        # On the CPU also where a head is built on the meta device to be loaded: what is not in a checkpoint must have its values.
        lower, width, mask = (torch.full((len(edges), n_pieces), value, device="cpu") for value in (0.0, 1.0, 0.0))
        for f, e in enumerate(edges):
            n, known = len(e) - 1, torch.tensor(e, device="cpu")
            lower[f, :n], width[f, :n], mask[f, :n] = known[:-1], known.diff(), 1.0
        for name, value in (("lower", lower), ("width", width), ("mask", mask)):
            self.register_buffer(name, value, persistent=False)  # comes from the spec
        self.weight = nn.Parameter(torch.randn(len(edges), n_pieces, size) / n_pieces**0.5)
        self.bias = nn.Parameter(torch.zeros(len(edges), size))

    def forward(self, numbers: Tensor) -> Tensor:
        pieces = ((numbers[:, :, None] - self.lower) / self.width).clamp(0, 1) * self.mask  # (R, F, pieces)
        return torch.relu(torch.einsum("rfp,fps->rfs", pieces, self.weight) + self.bias).flatten(1)


class FeatureEncoding(nn.Module):
    """The features of a row side by side: a vector a category, and of each number its encoding, itself and whether it was missing.

    width: of what comes out.
    """

    def __init__(self, spec: Spec, options: FeatureOptions):
        """spec: with what `fit` gave, at least one category or number."""
        super().__init__()
        self.embeddings = nn.ModuleList()
        self.width = 0
        for vocabulary in spec["vocabularies"]:
            n = len(vocabulary) + 1
            size = min(options.embedding_size, max(2, round(1.6 * n**0.56)))
            embedding = nn.Embedding(n, size)
            nn.init.normal_(embedding.weight, std=0.1)
            nn.init.zeros_(embedding.weight[UNSEEN])
            self.embeddings.append(embedding)
            self.width += size
        self.encoding = NumberEncoding([n["edges"] for n in spec["numbers"]], NUMBER_SIZE) if spec["numbers"] else None
        self.width += len(spec["numbers"]) * (NUMBER_SIZE + 2)

    def forward(self, batch: TaskBatch) -> Tensor:
        """→ (R, width)."""
        parts: list[Tensor] = []
        if self.embeddings:
            categories = batch.features["categories"]  # (R, K)
            parts += [embedding(categories[:, k]) for k, embedding in enumerate(self.embeddings)]
        if self.encoding is not None:
            numbers, missing = batch.features["numbers"], batch.features["missing"]  # (R, F)
            parts += [self.encoding(numbers), numbers.clamp(-5, 5), missing]
        return torch.cat(parts, dim=1)
