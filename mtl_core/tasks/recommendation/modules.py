"""Heads and losses of recommendation: how a user's history becomes a vector, meets an item's, and what is learned from a step's rows."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core.tasks import common
from mtl_core.tasks.base import Spec
from mtl_core.tasks.heads import CatalogueHead, SlotIndex, TaskBatch

PLACES = 200  # of a history that are told apart, from the newest backwards
PAIRS_AT_ONCE = 8192  # user and item through the connected layer, when a catalogue is ranked
POSITIVES_AT_ONCE = 1024  # that are compared with all other rows


class History(nn.Module):
    """A user's vector, from those of the items before, the oldest first; a learned one where there are none.

    mean: their mean. attention: Σ a_j h_j with a = softmax(q · n(h_j) / √H + p_place(j)), n: to mean 0 and variance 1; q and p are
    learned and begin at 0, so that it begins as the mean. place counts from the newest backwards and is what stands for recency: a
    history comes without its times. A learned query as in "Hierarchical Attention Networks for Document Classification"
    (https://aclanthology.org/N16-1174/), learned places as in "Self-Attentive Sequential Recommendation" (https://arxiv.org/abs/1808.09781).
    """

    def __init__(self, hidden: int, options: Any):
        super().__init__()
        self.empty = nn.Parameter(torch.randn(hidden) * 0.02)
        self.attends = options.history == "attention"
        if self.attends:
            self.query, self.places = nn.Parameter(torch.zeros(hidden)), nn.Parameter(torch.zeros(PLACES))

    def forward(self, vectors: Tensor, history: SlotIndex) -> Tensor:
        """vectors (L, H) → (R, H)"""
        assert history.offsets is not None
        weights = self.weights(vectors, history.index, history.offsets) if self.attends else None
        how = "mean" if weights is None else "sum"
        user = F.embedding_bag(history.index, vectors, history.offsets, mode=how, include_last_offset=True, per_sample_weights=weights)
        return torch.where(history.offsets.diff()[:, None] == 0, self.empty.to(user.dtype), user)

    def weights(self, vectors: Tensor, index: Tensor, offsets: Tensor) -> Tensor:
        """(S,) the weight of each text of the histories, those of a history sum to 1."""
        rows = torch.repeat_interleave(torch.arange(len(offsets) - 1, device=index.device), offsets.diff(), output_size=len(index))
        places = offsets[1:][rows] - 1 - torch.arange(len(index), device=index.device)
        content = F.layer_norm(vectors, vectors.shape[1:]) @ self.query / vectors.shape[1] ** 0.5
        scores = content[index] + self.places[places.clamp(max=PLACES - 1)]
        highest = scores.new_full((len(offsets) - 1,), -torch.inf).scatter_reduce(0, rows, scores.detach(), "amax")
        powers = (scores - highest[rows]).exp()
        return powers / powers.new_zeros(len(highest)).index_add(0, rows, powers)[rows]


class ConnectedHead(CatalogueHead):
    """[u, v, u * v, |u - v|] → fully connected → logit; u: the history's vector, v: the item's.

    Both vectors are brought to mean 0 and variance 1 first, so that products of long and short vectors count alike.
    """

    def __init__(self, hidden: int, spec: Spec, options: Any):
        super().__init__()
        self.history = History(hidden, options)
        self.connected = nn.Sequential(nn.Linear(4 * hidden, options.hidden_size), nn.GELU(), nn.Dropout(options.dropout))
        self.output = nn.Linear(options.hidden_size, 1)
        nn.init.constant_(self.output.bias, common.logit(spec["prior"]))

    def users(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        user = self.history(vectors, batch.slots["history"])
        return F.layer_norm(user, user.shape[1:])

    def match(self, users: Tensor, vectors: Tensor) -> Tensor:
        items = F.layer_norm(vectors, vectors.shape[1:])
        return torch.cat(
            [torch.stack([self._logits(user.expand_as(part), part) for user in users]) for part in items.split(PAIRS_AT_ONCE)], dim=1
        )

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (L, H) → logits (R,)."""
        return self._logits(self.users(vectors, batch), F.layer_norm(vectors[batch.slots["item"].index], vectors.shape[1:]))

    def _logits(self, user: Tensor, item: Tensor) -> Tensor:
        """(R, H) twice → (R,)"""
        features = torch.cat([user, item, user * item, (user - item).abs()], dim=1)  # (R, 4 H)
        return self.output(self.connected(features)).squeeze(1)


class Matched(NamedTuple):
    """logits: (R,) of the rows; users: (R, D); items: (I, D) of the rows' distinct items; own: (R,) which of them a row's is.

    users @ items.T are the logits of all users with all items, but for a number that is the same for all.
    """

    logits: Tensor
    users: Tensor
    items: Tensor
    own: Tensor


class DotHead(CatalogueHead):
    """logit = P u · Q v / √D + b; u: the history's vector, v: the item's, both brought to mean 0 and variance 1.

    P and Q begin alike, so that at first an item is the better the more it is like the history.
    """

    def __init__(self, hidden: int, spec: Spec, options: Any):
        super().__init__()
        self.history = History(hidden, options)
        self.user, self.item = (nn.Linear(hidden, options.hidden_size, bias=False) for _ in range(2))
        self.item.load_state_dict(self.user.state_dict())
        self.dropout = nn.Dropout(options.dropout)
        self.matches = options.loss == "in_batch"
        self.bias = nn.Parameter(torch.tensor(common.logit(spec["prior"])), requires_grad=not self.matches)  # a softmax does not see it

    def users(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        user = self.history(vectors, batch.slots["history"])
        return self.user(self.dropout(F.layer_norm(user, user.shape[1:]))) / self.user.out_features**0.5

    def items(self, vectors: Tensor) -> Tensor:
        """vectors (N, H) → (N, D)"""
        return self.item(self.dropout(F.layer_norm(vectors, vectors.shape[1:])))

    def match(self, users: Tensor, vectors: Tensor) -> Tensor:
        return users @ self.items(vectors).T + self.bias

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor | Matched:
        """vectors (L, H) → logits (R,), for the loss in_batch with what they are made of."""
        distinct, own = batch.slots["item"].index.unique(return_inverse=True)
        users, items = self.users(vectors, batch), self.items(vectors[distinct])
        logits = (users * items[own]).sum(1) + self.bias
        return Matched(logits, users, items, own) if self.matches else logits


def cross_entropy(logits: Tensor, batch: TaskBatch) -> Tensor:
    """(R,)"""
    assert batch.labels is not None
    return F.binary_cross_entropy_with_logits(logits.float(), batch.labels.float(), reduction="none")


def bayesian_personalized_ranking(logits: Tensor, batch: TaskBatch) -> Tensor:
    """(R,): of each row the mean of -log σ(s_chosen - s_other) over the pairs that it is in, of a chosen and another row of a list.

    A row whose list has no partner for it in the step is compared with a score of 0, which is cross-entropy. "BPR: Bayesian
    Personalized Ranking from Implicit Feedback" (https://arxiv.org/abs/1205.2618).
    """
    assert batch.labels is not None and batch.groups is not None
    logits, chosen = logits.float(), batch.labels > 0.5
    one, other = together(batch.groups, chosen.nonzero().flatten(), (~chosen).nonzero().flatten())
    losses = F.softplus(logits[other] - logits[one])
    both = torch.cat([one, other])
    pairs = torch.bincount(both, minlength=len(logits))
    sums = torch.zeros_like(logits).index_add(0, both, losses.repeat(2))
    return torch.where(pairs > 0, sums / pairs.clamp(min=1), cross_entropy(logits, batch))


def in_batch_softmax(found: Matched, batch: TaskBatch) -> Tensor:
    """(R,), its mean over all rows that over the chosen ones of -log softmax_i(s(user, i) - log q_i) at the row's item.

    The candidates i are the distinct items of all rows of the step, chosen or not, less what the same user chose in another row. So
    a row that was not chosen adds a candidate, and its own loss is 0. A chosen row without another candidate is measured by
    cross-entropy, and so are all rows of a step where none has one. q: the feature `log_count`, where there is one, gives its logarithm
    but for a constant: how often an item stands in training rows; "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
    Recommendations" (https://doi.org/10.1145/3298689.3346996).
    """
    assert batch.labels is not None and batch.groups is not None
    apart, own, users = cross_entropy(found.logits, batch), found.own, batch.groups >> 32
    positives = (batch.labels > 0.5).nonzero().flatten()
    correction = found.items.new_zeros(len(found.items))
    if (log_count := batch.features.get("log_count")) is not None:
        correction[own] = log_count[:, 0].to(correction)
    losses, compared = [], []
    for part in positives.split(POSITIVES_AT_ONCE):
        logits = (found.users[part] @ found.items.T).float() - correction  # (P, I)
        one, other = (users[part][:, None] == users[positives]).nonzero(as_tuple=True)
        hidden = torch.zeros_like(logits, dtype=torch.bool)
        hidden[one, own[positives[other]]] = True
        hidden[torch.arange(len(part), device=own.device), own[part]] = False
        losses.append(F.cross_entropy(logits.masked_fill(hidden, -torch.inf), own[part], reduction="none"))
        compared.append((~hidden).sum(1) > 1)
    any_candidate = torch.cat(compared)
    if not any_candidate.any():
        return apart
    scale = len(own) / len(positives)
    return torch.zeros_like(apart).index_copy(0, positives, scale * torch.where(any_candidate, torch.cat(losses), apart[positives]))


def together(groups: Tensor, ones: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """All pairs (P,), (P,) of rows, one of `ones` and one of `others`, that are of the same group. groups: (R,)."""
    found = [(groups[part][:, None] == groups[others]).nonzero(as_tuple=True) for part in ones.split(POSITIVES_AT_ONCE)]
    parts = zip(ones.split(POSITIVES_AT_ONCE), found, strict=True)
    return torch.cat([part[one] for part, (one, _) in parts]), torch.cat([others[other] for _, other in found])
