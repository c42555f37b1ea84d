"""Recommendation: the texts of what a user had before, and a candidate item's text → relevance in [0, 1]."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pydantic import Field as Setting
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core import metrics
from mtl_core.data.problems import Problem, Severity
from mtl_core.messages import N_, message
from mtl_core.settings import Options
from mtl_core.tasks import common
from mtl_core.tasks.base import Field, MetricInfo, Panel, Slot, Spec, TaskBatch, TaskKind


class RecommendationOptions(Options):
    hidden_size: int = Setting(
        256, ge=1, le=8192, title=N_("Hidden size"), description=N_("Width of the fully connected layer over the user and the item.")
    )
    dropout: float = Setting(0.1, ge=0, le=0.9, title=N_("Dropout"), description=N_("Share of values dropped in the head while training."))


class RecommendationHead(nn.Module):
    """[u, v, u * v, |u - v|] → fully connected → logit; u: mean of the history's vectors (a learned vector if empty), v: the item's.

    Both vectors are brought to mean 0 and variance 1 first, so that products of long and short vectors count alike.
    """

    def __init__(self, hidden: int, spec: Spec, options: RecommendationOptions):
        super().__init__()
        self.hidden = hidden
        self.empty_history = nn.Parameter(torch.randn(hidden) * 0.02)
        self.connected = nn.Sequential(nn.Linear(4 * hidden, options.hidden_size), nn.GELU(), nn.Dropout(options.dropout))
        self.output = nn.Linear(options.hidden_size, 1)
        nn.init.constant_(self.output.bias, common.logit(spec["prior"]))

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (S, H) → logits (R,)."""
        history, item = batch.slots["history"], batch.slots["item"]
        assert history.offsets is not None
        user = F.embedding_bag(history.index, vectors, history.offsets, mode="mean", include_last_offset=True)  # (R, H)
        empty = history.offsets[1:] == history.offsets[:-1]
        user = torch.where(empty[:, None], self.empty_history.to(user.dtype), user)
        user, candidate = F.layer_norm(user, (self.hidden,)), F.layer_norm(vectors[item.index], (self.hidden,))
        features = torch.cat([user, candidate, user * candidate, (user - candidate).abs()], dim=1)  # (R, 4 H)
        return self.output(self.connected(features)).squeeze(1)


class Recommendation(TaskKind):
    name = "recommendation"
    label = N_("Recommendation")
    help = N_("Which item suits a user, from the texts of the items the user had before.")
    fields = (
        Field(
            "history",
            "texts",
            N_("The user's earlier items: a list of texts, oldest first; may be empty."),
            aliases=("history", "past_items", "viewed"),
        ),
        Field(
            "item", "text", N_("The candidate item's text."), many=True, aliases=("item", "title", "product", "description", "item_text")
        ),
        Field(
            "label", "label", N_("Whether the user chose the item: 0 or 1."), aliases=("label", "clicked", "bought", "purchased", "target")
        ),
        Field(
            "user",
            "group",
            N_("The user, to measure quality by user; without it rows with the same history count as one user."),
            required=False,
            aliases=("user", "user_id", "userid", "customer", "customerid", "customer_id"),
        ),
        Field(
            "list",
            "group",
            N_("Rows that were ranked together, such as one chosen item and its negatives; without it all rows of a user."),
            required=False,
            aliases=("list", "list_id", "session", "session_id", "impression", "impression_id"),
        ),
    )
    Options = RecommendationOptions
    metrics = (
        MetricInfo("auc", N_("AUC"), N_("Chance that a chosen item scores above another one.")),
        MetricInfo("gauc", N_("GAUC"), N_("AUC within each user, weighted by the user's rows.")),
        MetricInfo("ndcg_at_10", N_("NDCG@10"), N_("How near the top the chosen items stand among the first ten of a list.")),
        MetricInfo("hr_at_10", N_("HR@10"), N_("Share of lists with a chosen item among the first ten; always 1 for lists of up to ten.")),
        MetricInfo("mrr", N_("MRR"), N_("Mean of 1 / rank of the first chosen item of a list.")),
    )
    primary = "auc"
    ranks = "item"
    takes_logs = True

    def slots(self, options: RecommendationOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("history", "many"), Slot("item"))

    def check(self, table: pa.Table, split: np.ndarray, options: RecommendationOptions) -> list[Problem]:
        findings = common.Findings(table, split)
        if not findings.fields(self.fields):
            return findings.problems
        findings.texts("item")
        empty = common.is_empty(table["history"])
        findings.rows(
            Severity.WARNING,
            "history_empty",
            "history",
            empty,
            message("{count} of {of} rows have an empty history."),
            message("Nothing to do: such users share one learned vector."),
        )
        common.check_yes_no(findings)
        return findings.problems

    def fit(self, table: pa.Table, options: RecommendationOptions) -> Spec:
        return {"prior": common.prior(common.yes_no(table["label"])[0])}

    def encode(self, table: pa.Table, spec: Spec, options: RecommendationOptions) -> pa.Table:
        """`group` holds the user in its upper 32 bits and the ranked list in its lower 32 bits."""
        columns = {"history": common.histories(table["history"]), "item": common.texts(table["item"])}
        if "label" in table.column_names:
            columns["label"] = common.floats(common.yes_no(table["label"])[0])
            user = common.codes(table["user" if "user" in table.column_names else "history"])
            ranked = common.codes(table["list"]) if "list" in table.column_names else user
            columns["group"] = pa.array(user << 32 | ranked)
        return pa.table(columns)

    def head(self, hidden: int, spec: Spec, options: RecommendationOptions) -> RecommendationHead:
        return RecommendationHead(hidden, spec, options)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: RecommendationOptions) -> Tensor:
        assert batch.labels is not None
        return F.binary_cross_entropy_with_logits(logits.float(), batch.labels.float(), reduction="none")

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return torch.sigmoid(logits.detach().float()).cpu().numpy()

    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        values = {"auc": metrics.roc_auc(scores, labels)}
        if groups is not None:
            values |= {
                "gauc": metrics.grouped_auc(scores, labels, groups >> 32),
                "ndcg_at_10": metrics.ndcg(scores, labels, groups),
                "hr_at_10": metrics.hit_rate(scores, labels, groups),
                "mrr": metrics.mean_reciprocal_rank(scores, labels, groups),
            }
        return metrics.defined(values)

    def report(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        """Not how reliable the relevance is: the share of chosen items depends on how many negatives were drawn."""
        if groups is None:
            return []
        columns = [N_("Among the first"), N_("Share of lists"), N_("By chance")]
        rows = [[k, metrics.hit_rate(scores, labels, groups, k), metrics.hit_rate_by_chance(labels, groups, k)] for k in (1, 3, 5, 10)]
        data = {"columns": columns, "rows": [row for row in rows if np.isfinite(row).all()]}
        return [Panel("table", N_("Where the chosen item stands in its list"), data)]

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: RecommendationOptions, part: str) -> dict[str, float]:
        """Popularity: an item scores by how often training rows chose it."""
        encoded = self.encode(table, spec, options)
        labels = encoded["label"].to_numpy()  # nan: no label
        items = common.codes(encoded["item"])
        chosen = np.bincount(items[(split == "train") & (labels == 1)], minlength=int(items.max(initial=0)) + 1)
        rows = (split == part) & ~np.isnan(labels)
        scores = chosen[items[rows]] / max(int(chosen.max(initial=0)), 1)
        return self.evaluate(scores, labels[rows], encoded["group"].to_numpy()[rows], spec)

    def present(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        return [{"relevance": float(s)} for s in scores]
