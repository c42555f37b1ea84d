"""Recommendation: the texts of what a user had before, and a candidate item's text → relevance in [0, 1]."""

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field as Setting
from pydantic import ValidationInfo, field_validator

from mtl_core.base.messages import N_, message
from mtl_core.base.settings import Options
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation import metrics, weighed
from mtl_core.tasks import common
from mtl_core.tasks.base import Catalogue, Field, MetricInfo, Panel, Report, Rows, Slot, Spec, TaskKind, head_of
from mtl_core.tasks.recommendation.suiting import suits


class RecommendationOptions(Options):
    loss: Literal["cross_entropy", "bpr", "in_batch"] = Setting(
        "cross_entropy",
        title=N_("Loss"),
        description=N_(
            "cross_entropy: pointwise, each row alone; bpr: pairwise, chosen above other rows of a list; in_batch: softmax over the "
            "items of the step."
        ),
        json_schema_extra={
            "choices": {"cross_entropy": N_("Cross-entropy"), "bpr": N_("Pairwise (BPR)"), "in_batch": N_("In-batch softmax")}
        },
    )
    scoring: Literal["connected", "dot"] = Setting(
        "connected",
        validate_default=True,
        title=N_("Scoring"),
        description=N_(
            "connected: a layer over user and item, more accurate; dot: dot product of two projections, fast over a large catalogue."
        ),
        json_schema_extra={"choices": {"connected": N_("Connected layer"), "dot": N_("Dot product")}},
    )
    history: Literal["mean", "attention"] = Setting(
        "mean",
        title=N_("History"),
        description=N_("mean: all earlier items count the same; attention: weights them by content and recency."),
        json_schema_extra={"choices": {"mean": N_("Mean"), "attention": N_("Attention")}},
    )
    log_q: bool = Setting(
        True,
        title=N_("Popularity correction"),
        description=N_("For the loss in_batch: corrects for popular items being drawn as negatives more often (logQ correction)."),
    )
    full_ranking: int = Setting(
        0,
        ge=0,
        le=100_000,
        title=N_("Rows ranked over the catalogue"),
        description=N_(
            "Maximum number of evaluation rows ranked against the full catalogue, 0: none; with 50,000 items, connected takes about 1 s "
            "a row, dot 1 ms."
        ),
        json_schema_extra={"stops": [0, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000], "zero": N_("none")},
    )
    hidden_size: int = Setting(
        256, ge=1, le=8192, title=N_("Hidden size"), description=N_("Size of the hidden layer over user and item, or of their projections.")
    )
    dropout: float = Setting(0.1, ge=0, le=0.9, title=N_("Dropout"), description=N_("Dropout probability in the head."))

    @field_validator("scoring")
    @classmethod
    def _suits_the_loss(cls, scoring: str, info: ValidationInfo) -> str:
        if scoring != "dot" and info.data.get("loss") == "in_batch":
            raise ValueError(message("dot, because the loss is in_batch, which scores every user with every item of a step"))
        return scoring


FIELDS = (
    Field(
        "history",
        "texts",
        N_("The user's earlier items: a list of texts, oldest first; may be empty."),
        aliases=("history", "past_items", "viewed"),
        label=N_("History"),
    ),
    Field(
        "item",
        "text",
        N_("The text of the candidate item."),
        many=True,
        aliases=("item", "title", "product", "description", "item_text"),
        label=N_("Item"),
    ),
    Field(
        "label",
        "label",
        N_("Whether the user chose the item: 0 or 1."),
        aliases=("label", "clicked", "bought", "purchased", "target"),
        holds="grade",
        label=N_("Label"),
    ),
    Field(
        "user",
        "group",
        N_("The user, for metrics per user; without it, rows with the same history count as one user."),
        required=False,
        aliases=("user", "user_id", "userid", "customer", "customerid", "customer_id"),
        label=N_("User"),
    ),
    Field(
        "list",
        "group",
        N_("Identifies the rows ranked together, such as a chosen item and its negatives; without it, all rows of a user."),
        required=False,
        aliases=("list", "list_id", "session", "session_id", "impression", "impression_id"),
        label=N_("List"),
    ),
)


class RecommendationReport(Report):
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

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> weighed.Auc:
        return weighed.Auc(scores, labels)

    def clusters(self, groups: np.ndarray | None) -> np.ndarray | None:
        """Rows of a user."""
        return None if groups is None else groups >> 32

    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        """Not how reliable the relevance is: the share of chosen items depends on how many negatives were drawn."""
        if groups is None:
            return []
        columns = [N_("Within the top k"), N_("Share of lists"), N_("Random baseline")]
        rows = [[k, metrics.hit_rate(scores, labels, groups, k), metrics.hit_rate_by_chance(labels, groups, k)] for k in (1, 3, 5, 10)]
        data = {"columns": columns, "rows": [row for row in rows if np.isfinite(row).all()]}
        return [Panel("table", N_("Rank of the chosen item in its list"), data)]

    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        return [{"relevance": float(s)} for s in scores]


REPORT = RecommendationReport()


class RecommendationRows(Rows):
    def slots(self, options: RecommendationOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("history", "many"), Slot("item"))

    def check(self, table: pa.Table, split: np.ndarray, options: RecommendationOptions) -> list[Problem]:
        findings = common.TaskProblems(table, split)
        if not findings.fields(FIELDS):
            return findings.problems
        findings.texts("item")
        empty = common.is_empty(table["history"])
        findings.rows(
            Severity.WARNING,
            "history_empty",
            "history",
            empty,
            message("{count} of {of} rows have an empty history."),
            message("No action needed: such users share one embedding."),
        )
        common.check_yes_no(findings)
        return findings.problems

    def fit(self, table: pa.Table, options: RecommendationOptions) -> Spec:
        """counts: how often each item's text stands in the training rows, where the loss asks for it."""
        spec: Spec = {"prior": common.prior(common.yes_no(table["label"])[0])}
        if options.loss == "in_batch" and options.log_q:
            found = pc.value_counts(common.plain(common.texts(table["item"])))
            spec["counts"] = dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))
        return spec

    def encode(self, table: pa.Table, spec: Spec, options: RecommendationOptions) -> pa.Table:
        """`group` holds the user in its upper 32 bits and the ranked list in its lower 32 bits."""
        columns = {"history": common.histories(table["history"]), "item": common.texts(table["item"])}
        if "label" in table.column_names:
            columns["label"] = common.floats(common.yes_no(table["label"])[0])
            user = common.codes(table["user" if "user" in table.column_names else "history"])
            ranked = common.codes(table["list"]) if "list" in table.column_names else user
            columns["group"] = pa.array(user << 32 | ranked)
            if counts := spec.get("counts"):
                known = pc.index_in(common.plain(columns["item"]), pa.array(list(counts), pa.string())).fill_null(len(counts))
                logs = np.log(np.array([*counts.values(), 1], np.float32))  # of an item that training does not know: as if once
                columns["log_count"] = common.fixed(logs[known.to_numpy()][:, None])
        return pa.table(columns)

    def draws_groups(self, options: RecommendationOptions) -> bool:
        return options.loss == "bpr"

    def compares(self, options: RecommendationOptions) -> bool:
        return options.loss != "cross_entropy"

    def catalogue(self, options: RecommendationOptions) -> Catalogue | None:
        return Catalogue("item", options.full_ranking, seen="history") if options.full_ranking else None

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: RecommendationOptions, part: str) -> dict[str, float]:
        """Popularity: an item scores by how often training rows chose it."""
        encoded = self.encode(table, spec, options)
        labels = encoded["label"].to_numpy()  # nan: no label
        items = common.codes(encoded["item"])
        chosen = np.bincount(items[(split == "train") & (labels == 1)], minlength=int(items.max(initial=0)) + 1)
        rows = (split == part) & ~np.isnan(labels)
        scores = chosen[items[rows]] / max(int(chosen.max(initial=0)), 1)
        return REPORT.evaluate(scores, labels[rows], encoded["group"].to_numpy()[rows], spec)


KIND = TaskKind(
    name="recommendation",
    label=N_("Recommendation"),
    help=N_("Predicts which item suits a user, from the texts of the user's earlier items."),
    fields=FIELDS,
    example=(
        {"user": "u1", "history": ["red shoes", "red hat"], "item": "red coat", "label": 1},
        {"user": "u1", "history": ["red shoes", "red hat"], "item": "garden hose", "label": 0},
        {"user": "u2", "history": ["watering can"], "item": "garden hose", "label": 1},
        {"user": "u2", "history": ["watering can"], "item": "red coat", "label": 0},
    ),
    Options=RecommendationOptions,
    metrics=(
        MetricInfo("auc", N_("AUC"), N_("Probability that a chosen item scores above one that was not.")),
        MetricInfo("gauc", N_("GAUC"), N_("AUC per user, averaged with the number of rows as weights.")),
        MetricInfo("ndcg_at_10", N_("NDCG@10"), N_("NDCG of the chosen items within the top ten of a list.")),
        MetricInfo("hr_at_10", N_("HR@10"), N_("Share of lists with a chosen item in the top ten; always 1 for lists of up to ten.")),
        MetricInfo("mrr", N_("MRR"), N_("Mean reciprocal rank of the first chosen item of a list.")),
        MetricInfo(
            "full_ndcg_at_10",
            N_("NDCG@10, catalogue"),
            N_("NDCG of the chosen item within the top ten of the full catalogue."),
        ),
        MetricInfo("full_hr_at_10", N_("HR@10, catalogue"), N_("Share of chosen items within the top ten of the full catalogue.")),
        MetricInfo("full_mrr", N_("MRR, catalogue"), N_("Mean reciprocal rank of a chosen item in the full catalogue.")),
        MetricInfo(
            "coverage_at_10",
            N_("Coverage@10"),
            N_("Share of the catalogue that is in anyone's top ten; it grows with the number of ranked rows."),
        ),
        MetricInfo(
            "novelty_at_10",
            N_("Novelty@10"),
            N_("Mean of -log2 of the training popularity of the top ten of the full catalogue; higher: less popular items."),
        ),
    ),
    primary="auc",
    ranks="item",
    takes_logs=True,
    rows=RecommendationRows(),
    report=REPORT,
    load_head=head_of(__name__),
    suits=suits,
)
