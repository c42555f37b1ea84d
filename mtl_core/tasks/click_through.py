"""Click-through: categories, numbers and optionally a text → the probability of a click."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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

UNSEEN = 0  # the code of a category that training did not know
NUMBER_SIZE = 16  # width of an encoded number


class ClickThroughOptions(Options):
    cross_layers: int = Setting(
        2, ge=0, le=8, title=N_("Cross layers"), description=N_("Layers that multiply features with each other (DCN-v2).")
    )
    hidden_size: int = Setting(
        512, ge=1, le=8192, title=N_("Hidden size"), description=N_("Width of the fully connected layers beside the cross layers.")
    )
    embedding_size: int = Setting(
        16,
        ge=1,
        le=512,
        title=N_("Embedding size"),
        description=N_("Largest width of a category's vector; columns with few values get less."),
    )
    bins: int = Setting(
        32,
        ge=2,
        le=512,
        title=N_("Bins of a number"),
        description=N_("Pieces into which the range of a number is cut, each with as many rows."),
    )
    signed_log: bool = Setting(
        True,
        title=N_("Logarithm of skewed numbers"),
        description=N_("Take the logarithm of numbers that are very skewed; their sign is kept."),
    )
    minimum_count: int = Setting(
        5,
        ge=1,
        le=1_000_000,
        title=N_("Least rows of a category"),
        description=N_("Training rows that a category needs; rarer ones are treated as unseen."),
    )
    text_size: int = Setting(
        64, ge=1, le=4096, title=N_("Text size"), description=N_("Width to which the text's vector is brought beside the other features.")
    )
    dropout: float = Setting(0.2, ge=0, le=0.9, title=N_("Dropout"), description=N_("Share of values dropped in the head while training."))


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


class ClickThroughHead(nn.Module):
    """Features side by side, x → cross layers x_{l+1} = x_0 * (W x_l + b) + x_l beside fully connected ones → logit.

    "DCN V2: Improved Deep & Cross Network" (https://arxiv.org/abs/2008.13535), parallel form.
    """

    def __init__(self, hidden: int, spec: Spec, options: ClickThroughOptions):
        super().__init__()
        self.embeddings = nn.ModuleList()
        width = 0
        for vocabulary in spec["vocabularies"]:
            n = len(vocabulary) + 1
            size = min(options.embedding_size, max(2, round(1.6 * n**0.56)))
            embedding = nn.Embedding(n, size)
            nn.init.normal_(embedding.weight, std=0.1)
            nn.init.zeros_(embedding.weight[UNSEEN])
            self.embeddings.append(embedding)
            width += size
        self.encoding = NumberEncoding([n["edges"] for n in spec["numbers"]], NUMBER_SIZE) if spec["numbers"] else None
        width += len(spec["numbers"]) * (NUMBER_SIZE + 2)
        self.text = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, options.text_size), nn.GELU()) if spec["text"] else None
        width += options.text_size if spec["text"] else 0
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
        self.output = common.output_layer((width if options.cross_layers else 0) + options.hidden_size, 1, spec["prior"])

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Tensor:
        """vectors (S, H) → logits (R,)."""
        parts: list[Tensor] = []
        if self.embeddings:
            categories = batch.features["categories"]  # (R, K)
            parts += [embedding(categories[:, k]) for k, embedding in enumerate(self.embeddings)]
        if self.encoding is not None:
            numbers, missing = batch.features["numbers"], batch.features["missing"]  # (R, F)
            parts += [self.encoding(numbers), numbers.clamp(-5, 5), missing]
        if self.text is not None:
            parts.append(self.text(vectors[batch.slots["text"].index]))
        first = x = torch.cat(parts, dim=1)  # (R, W)
        for cross in self.crosses:
            x = first * cross(x) + x
        deep = self.deep(first)
        return self.output(torch.cat([self.dropout(x), deep], dim=1) if self.crosses else deep).squeeze(1)


class ClickThrough(TaskKind):
    name = "click_through"
    label = N_("Click-through")
    help = N_("How probable a click or a purchase is, from categories, numbers and optionally a text.")
    fields = (
        Field(
            "categories",
            "category",
            N_("Columns with one of a set of values: site, device, weekday."),
            required=False,
            many=True,
            aliases=(
                "category",
                "device",
                "browser",
                "region",
                "country",
                "city",
                "month",
                "weekday",
                "hour",
                "position",
                "placement",
                "visitortype",
            ),
        ),
        Field(
            "numbers",
            "number",
            N_("Columns with numbers: price, age, seconds on the page."),
            required=False,
            many=True,
            aliases=("price", "age", "duration", "count", "amount", "bid", "discount", "bouncerates", "exitrates"),
        ),
        Field(
            "text",
            "text",
            N_("A text, such as the ad's."),
            required=False,
            many=True,
            aliases=("text", "ad", "ad_text", "title", "headline", "creative"),
        ),
        Field(
            "label",
            "label",
            N_("Whether there was a click: 0 or 1."),
            aliases=("label", "click", "clicked", "revenue", "converted", "conversion"),
        ),
    )
    Options = ClickThroughOptions
    metrics = (
        MetricInfo("auc", N_("AUC"), N_("Chance that a clicked row scores above another one.")),
        MetricInfo("log_loss", N_("Log-loss"), N_("How far the probabilities are from what happened; 0 is perfect.")),
        MetricInfo("pr_auc", N_("PR-AUC"), N_("Precision averaged over recall; compare it with the share of clicks.")),
        MetricInfo(
            "calibration_error",
            N_("Calibration error"),
            N_("Mean gap between the probability said and the share that clicked, over 15 bins."),
        ),
    )
    primary = "auc"

    def slots(self, options: ClickThroughOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("text"),) if fields is None or "text" in fields else ()

    def check(self, table: pa.Table, split: np.ndarray, options: ClickThroughOptions) -> list[Problem]:
        findings = common.Findings(table, split)
        if not findings.fields(self.fields):
            return findings.problems
        if not {"categories", "numbers", "text"} & set(table.column_names):
            findings.table_wide(
                Severity.ERROR,
                "no_features",
                None,
                message("No column says anything about the click."),
                message("Choose at least one column of categories, of numbers or of text."),
            )
        findings.texts("text")
        if "numbers" in table.column_names:
            values = common.number_matrix(table["numbers"])
            findings.rows(
                Severity.WARNING,
                "numbers_missing",
                "numbers",
                np.isnan(values).any(axis=1),
                message("{count} of {of} rows miss a number."),
                message("Nothing to do: the mean stands in, and the model is told that it was missing."),
            )
            empty = np.isnan(values).all(axis=0)
            if len(values) and empty.any():
                findings.table_wide(
                    Severity.WARNING,
                    "numbers_empty",
                    "numbers",
                    message("{columns} columns hold no number at all.", columns=int(empty.sum())),
                    message("Leave these columns out."),
                )
        common.check_yes_no(findings)
        return findings.problems

    def fit(self, table: pa.Table, options: ClickThroughOptions) -> Spec:
        spec: Spec = {
            "prior": common.prior(common.yes_no(table["label"])[0]),
            "text": "text" in table.column_names,
            "vocabularies": [],
            "numbers": [],
        }
        if "categories" in table.column_names:
            for column in common.category_columns(table["categories"]):
                counts = pc.value_counts(column)
                frequent = pc.greater_equal(counts.field("counts"), options.minimum_count)
                spec["vocabularies"].append(sorted(counts.field("values").filter(frequent).to_pylist()))
        if "numbers" in table.column_names:
            values = common.number_matrix(table["numbers"])
            spec["numbers"] = [_fit_number(values[:, f], options) for f in range(values.shape[1])]
        return spec

    def encode(self, table: pa.Table, spec: Spec, options: ClickThroughOptions) -> pa.Table:
        """Features: `categories` (int64 codes, 0 unseen), `numbers` (float32, standardised), `missing` (float32, 1 = was missing)."""
        n = table.num_rows
        columns: dict[str, Any] = {}
        if spec["text"]:
            columns["text"] = common.texts(table["text"]) if "text" in table.column_names else pa.array([""] * n, pa.string())
        if spec["vocabularies"]:
            found = common.category_columns(table["categories"]) if "categories" in table.column_names else []
            coded = np.full((n, len(spec["vocabularies"])), UNSEEN, dtype=np.int64)
            for k, (vocabulary, column) in enumerate(zip(spec["vocabularies"], found, strict=False)):
                place = pc.index_in(column, pa.array(vocabulary, pa.string()))
                coded[:, k] = pc.fill_null(pc.add(place, 1), UNSEEN).to_numpy(zero_copy_only=False)
            columns["categories"] = common.fixed(coded)
        if spec["numbers"]:
            values = np.full((n, len(spec["numbers"])), np.nan)
            if "numbers" in table.column_names:
                given = common.number_matrix(table["numbers"])[:, : values.shape[1]]
                values[:, : given.shape[1]] = given
            columns["missing"] = common.fixed(np.isnan(values).astype(np.float32))
            for f, number in enumerate(spec["numbers"]):
                values[:, f] = _encode_number(values[:, f], number)
            columns["numbers"] = common.fixed(values.astype(np.float32))
        if "label" in table.column_names:
            columns["label"] = common.floats(common.yes_no(table["label"])[0])
        return pa.table(columns)

    def head(self, hidden: int, spec: Spec, options: ClickThroughOptions) -> ClickThroughHead:
        return ClickThroughHead(hidden, spec, options)

    def loss(self, logits: Tensor, batch: TaskBatch, spec: Spec, options: ClickThroughOptions) -> Tensor:
        assert batch.labels is not None
        return F.binary_cross_entropy_with_logits(logits.float(), batch.labels.float(), reduction="none")

    def scores(self, logits: Tensor, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return torch.sigmoid(logits.detach().float()).cpu().numpy()

    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        return metrics.defined(
            {
                "auc": metrics.roc_auc(scores, labels),
                "log_loss": metrics.log_loss(scores, labels),
                "pr_auc": metrics.average_precision(scores, labels),
                "calibration_error": metrics.calibration_error(scores, labels),
            }
        )

    def report(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        return [Panel("reliability", N_("Reliability of the click probability"), metrics.reliability(scores, labels))]

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: ClickThroughOptions, part: str) -> dict[str, float]:
        """Logistic regression on the categories (one column a value), the standardised numbers and the TF-IDF of the text."""
        import pandas as pd
        from sklearn.compose import make_column_transformer
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder

        encoded = self.encode(table, spec, options)
        labels = encoded["label"].to_numpy()
        train = common.sample(np.flatnonzero((split == "train") & ~np.isnan(labels)), 50_000)
        rows = np.flatnonzero((split == part) & ~np.isnan(labels))
        if not len(rows) or len(np.unique(labels[train])) < 2:
            return {}
        frame = pd.DataFrame(index=range(len(labels)))
        steps: list[tuple[Any, Any]] = []
        for name, step in (("categories", OneHotEncoder(handle_unknown="ignore")), ("numbers", "passthrough"), ("missing", "passthrough")):
            if name in encoded.column_names:
                values = np.clip(common.matrix(encoded[name]), -10, None if name == "categories" else 10)
                columns = [f"{name} {c}" for c in range(values.shape[1])]
                frame[columns] = values
                steps.append((step, columns))
        if "text" in encoded.column_names:
            frame["text"] = common.plain(encoded["text"]).to_pandas() + " a"  # at least one word
            steps.append((TfidfVectorizer(sublinear_tf=True, token_pattern=common.WORD), "text"))
        model = make_pipeline(make_column_transformer(*steps), LogisticRegression(max_iter=1000))
        model.fit(frame.iloc[train], labels[train])
        return self.evaluate(model.predict_proba(frame.iloc[rows])[:, 1], labels[rows], None, spec)

    def present(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        return [{"probability": float(s)} for s in scores]

    def choices(self, spec: Spec) -> dict[str, list[list[str]]]:
        return {"categories": spec["vocabularies"]}


def _fit_number(values: np.ndarray, options: ClickThroughOptions) -> dict[str, Any]:
    """How one column is transformed: log or not, mean, std, and the edges of its pieces after both (increasing, at least two)."""
    known = values[~np.isnan(values)]
    if not len(known):
        return {"log": False, "mean": 0.0, "std": 1.0, "edges": [0.0, 1.0]}
    centred = known - known.mean()
    spread = float(np.sqrt((centred**2).mean()))
    log = options.signed_log and spread > 0 and abs(float((centred**3).mean())) / spread**3 > 2
    if log:
        known = np.sign(known) * np.log1p(np.abs(known))
    mean, std = float(known.mean()), float(known.std()) or 1.0
    edges = np.unique(np.quantile((known - mean) / std, np.linspace(0, 1, options.bins + 1)).astype(np.float32))
    if len(edges) < 2:
        edges = np.array([edges[0], edges[0] + 1], dtype=np.float32)
    return {"log": bool(log), "mean": mean, "std": std, "edges": edges.tolist()}


def _encode_number(values: np.ndarray, number: dict[str, Any]) -> np.ndarray:
    """Transformed and standardised; 0, the mean, where missing."""
    if number["log"]:
        values = np.sign(values) * np.log1p(np.abs(values))
    return np.nan_to_num((values - number["mean"]) / number["std"], nan=0.0)
