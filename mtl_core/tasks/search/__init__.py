"""Search relevance: a query's text and a product's text → relevance in [0, 1]; labels of two or more grades."""

from collections.abc import Collection
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field as Setting
from pydantic import model_validator

from mtl_core.base.messages import N_, message
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation import metrics, weighed
from mtl_core.tasks import common, naming
from mtl_core.tasks.base import AnswerField, Field, MetricInfo, Mining, Panel, Report, Rows, Slot, Spec, TaskKind, head_of
from mtl_core.tasks.search.suiting import suits

LARGEST_SCALE = 100.0  # of the cosine, as in CLIP
MANY_GRADES = 20  # more are numbers, and have no names


class SearchOptions(naming.NamedOptions):
    pairing: Literal["apart", "together"] = Setting(
        "apart",
        title=N_("Pair encoding"),
        description=N_(
            "apart: bi-encoder, query and product encoded separately, fast ranking; together: cross-encoder, read as one text, slower "
            "and more accurate."
        ),
        json_schema_extra={"choices": {"apart": N_("Bi-encoder"), "together": N_("Cross-encoder")}},
    )
    gains: Literal["linear", "exponential"] = Setting(
        "linear",
        title=N_("DCG gain"),
        description=N_("Gain of a grade in DCG: linear is the grade itself, exponential is 2 to the power of the grade, minus 1."),
        json_schema_extra={"choices": {"linear": N_("Linear"), "exponential": N_("Exponential")}},
    )
    loss: Literal["pointwise", "pairwise", "listwise"] = Setting(
        "pointwise",
        title=N_("Loss"),
        description=N_(
            "pointwise: each product alone; pairwise (RankNet): which of two is better; listwise (ListNet): the whole ranking of a search."
        ),
        json_schema_extra={
            "choices": {"pointwise": N_("Pointwise"), "pairwise": N_("Pairwise (RankNet)"), "listwise": N_("Listwise (ListNet)")}
        },
    )
    relevant_from: float | None = Setting(
        None,
        gt=0,
        le=1e6,
        title=N_("Relevance threshold"),
        description=N_("Lowest grade that counts as relevant for AUC, MAP and MRR; empty: the highest grade."),
    )
    temperature: float = Setting(
        0.1,
        ge=1 / LARGEST_SCALE,
        le=10,
        title=N_("Temperature"),
        description=N_("Initial value of the learned temperature: smaller is sharper."),
    )
    bias: bool = Setting(
        True, title=N_("Learned threshold"), description=N_("Learn the similarity above which a product counts as relevant.")
    )
    dropout: float = Setting(0.1, ge=0, le=0.9, title=N_("Dropout"), description=N_("Dropout probability in the head of a cross-encoder."))
    mine_every: int = Setting(
        0,
        ge=0,
        le=1_000_000,
        title=N_("Hard negative interval"),
        description=N_("Steps between searches for hard negatives, wrong products with high scores; 0: never. Not for cross-encoders."),
        json_schema_extra={"stops": [0, 10, 20, 50, 100, 200, 500, 1000], "zero": N_("never")},
    )
    mined: int = Setting(
        4,
        ge=1,
        le=100,
        title=N_("Hard negatives per query"),
        description=N_("Number of hard negatives per query, used as irrelevant rows."),
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.mine_every and self.pairing == "together":
            raise ValueError(message("0 for “mine_every” when “pairing” is together, because a cross-encoder cannot score every pair"))
        return self


FIELDS = (
    Field(
        "query",
        "text",
        N_("The search query."),
        aliases=("query", "question", "search", "search_term", "keyword", "keywords"),
        label=N_("Query"),
    ),
    Field(
        "product",
        "text",
        N_("The text of the product or answer that was found."),
        many=True,
        aliases=("product", "title", "product_title", "candidate", "description", "item", "document"),
        label=N_("Product"),
    ),
    Field(
        "label",
        "label",
        N_("Relevance: 0 and 1, or grades from 0 up."),
        aliases=("label", "relevance", "grade", "score", "rating", "relevant"),
        holds="grade",
        label=N_("Label"),
    ),
    Field(
        "group",
        "group",
        N_("Identifies the rows of one search; without it, rows with the same query."),
        required=False,
        aliases=("qid", "query_id", "queryid", "search_id", "group"),
        label=N_("Group"),
    ),
)


class SearchReport(Report):
    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        relevant = _relevant(labels, spec)
        values: dict[str, float] = {}
        if groups is not None:
            values = {
                "ndcg_at_10": metrics.ndcg(scores, labels, groups),
                "map": metrics.mean_average_precision(scores, relevant, groups),
                "mrr": metrics.mean_reciprocal_rank(scores, relevant, groups),
            }
        return metrics.defined({**values, "auc": metrics.roc_auc(scores, relevant)})

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> weighed.Ratio | None:
        return None if groups is None else weighed.ndcg(scores, labels, groups)

    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        return [Panel("reliability", N_("Reliability diagram of the relevance"), metrics.reliability(scores, labels))]

    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        """With names for grades, of a model that learned what each is worth, also the grade that is nearest."""
        found: list[dict[str, Any]] = [{"relevance": float(s)} for s in scores]
        if naming.are_named(spec) and spec.get("pointwise"):
            worth = _targets(np.array(spec["grades"]), spec["largest"], spec["gains"])
            for answer, near in zip(found, np.abs(scores[:, None] - worth).argmin(axis=1), strict=True):
                spelled = f"{spec['grades'][near]:g}"
                answer |= {"nearest": naming.called(spec, spelled), "class": spelled}
        return found

    def classes(self, spec: Spec) -> list[str]:
        return [f"{grade:g}" for grade in spec.get("grades", ())]

    def label_called(self, label: str, spec: Spec) -> str:
        grade = _grades(pa.chunked_array([pa.array([label])]))[0][0]
        return label if (name := naming.called(spec, f"{grade:g}")) == f"{grade:g}" else name


REPORT = SearchReport()


class SearchRows(Rows):
    def slots(self, options: SearchOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("pair", "pair"),) if options.pairing == "together" else (Slot("query"), Slot("product"))

    def check(self, table: pa.Table, split: np.ndarray, options: SearchOptions) -> list[Problem]:
        findings = common.TaskProblems(table, split)
        if not findings.fields(FIELDS):
            return findings.problems
        findings.texts("query")
        findings.texts("product")
        grades, bad = _grades(table["label"])
        example = common.shorten(table["label"][int(np.argmax(bad))].as_py()) if bad.any() else ""
        findings.rows(
            Severity.ERROR,
            "label_type",
            "label",
            bad,
            message("{count} labels are not numbers; the first is “{found}”.", found=example),
            message("Labels may be 0 and 1, true and false, or numbers from 0 up."),
        )
        negative = grades < 0
        findings.rows(
            Severity.ERROR,
            "label_range",
            "label",
            negative,
            message("{count} labels are below 0; the first is {found}.", found=float(grades[np.argmax(negative)]) if len(grades) else 0),
            message("Grades start at 0, not relevant at all. Shift or replace them."),
        )
        findings.two_labels(("query", "product"), common.floats(grades))
        if not (len(bad) and bad.all()) and findings.labels(~np.isnan(grades)):
            known = grades[(findings.split == "train") & ~np.isnan(grades)]
            naming.check(findings, [f"{grade:g}" for grade in np.unique(grades[~np.isnan(grades)])], options)
            if known.min() == known.max():
                findings.two_classes(np.where(np.isnan(grades), np.nan, 1.0))
            elif options.relevant_from is not None and not (known >= options.relevant_from).any():
                findings.table_wide(
                    Severity.ERROR,
                    "relevant_from",
                    "label",
                    message("No training row has a grade of at least {grade}.", grade=options.relevant_from),
                    message("Lower the relevance threshold."),
                )
        return findings.problems

    def fit(self, table: pa.Table, options: SearchOptions) -> Spec:
        grades, _ = _grades(table["label"])
        known = grades[~np.isnan(grades)]
        largest = float(known.max(initial=0)) or 1.0
        targets = _targets(grades, largest, options.gains)
        relevant = largest if options.relevant_from is None else min(options.relevant_from, largest)
        return {
            "largest": largest,
            "grades": found if len(found := np.unique(known).tolist()) <= MANY_GRADES else [],
            "pointwise": options.loss == "pointwise",
            "gains": options.gains,
            "relevant_from": float(_targets(np.array([relevant]), largest, options.gains)[0]),
            "prior": common.prior(targets),
        }

    def encode(self, table: pa.Table, spec: Spec, options: SearchOptions) -> pa.Table:
        """`label` is the grade's gain as a share of the largest gain in training, in [0, 1]."""
        query, product = common.texts(table["query"]), common.texts(table["product"])
        columns = {"query": query, "product": product} if options.pairing == "apart" else {"pair": common.pairs(query, product)}
        if "label" in table.column_names:
            columns["label"] = common.floats(_targets(_grades(table["label"])[0], spec["largest"], spec["gains"]))
            columns["group"] = pa.array(common.codes(table["group" if "group" in table.column_names else "query"]))
        return pa.table(columns)

    def draws_groups(self, options: SearchOptions) -> bool:
        return options.loss != "pointwise"

    def mining(self, options: SearchOptions) -> Mining | None:
        return Mining(options.mine_every, options.mined, "query", "product") if options.mine_every else None

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: SearchOptions, part: str) -> dict[str, float]:
        """Cosine of the TF-IDF vectors of query and product; word weights from the training rows."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        encoded = self.encode(table, spec, options.model_copy(update={"pairing": "apart"}))
        labels = encoded["label"].to_numpy()
        rows = np.flatnonzero((split == part) & ~np.isnan(labels))
        train = common.sample(np.flatnonzero(split == "train"), 100_000)
        columns = [common.plain(encoded[c]) for c in ("query", "product")]
        known = [text for c in columns for text in c.take(pa.array(train)).to_pylist()]
        vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=common.WORD).fit([*known, "a"])  # at least one word
        query, product = (vectorizer.transform(c.take(pa.array(rows)).to_pylist()) for c in columns)
        scores = np.asarray(query.multiply(product).sum(axis=1)).ravel()
        return REPORT.evaluate(scores, labels[rows], encoded["group"].to_numpy()[rows], spec)


KIND = TaskKind(
    name="search",
    label=N_("Search relevance"),
    help=N_("Predicts how relevant a product is to a query."),
    fields=FIELDS,
    example=(
        {"group": "q1", "query": "red shoes", "product": "red leather shoes", "label": 2},
        {"group": "q1", "query": "red shoes", "product": "blue leather shoes", "label": 1},
        {"group": "q1", "query": "red shoes", "product": "garden hose", "label": 0},
    ),
    Options=SearchOptions,
    metrics=(
        MetricInfo("ndcg_at_10", N_("NDCG@10"), N_("NDCG of the top ten results of a query, by grade.")),
        MetricInfo("map", N_("MAP"), N_("Mean average precision over the queries.")),
        MetricInfo("mrr", N_("MRR"), N_("Mean reciprocal rank of a query's first relevant product.")),
        MetricInfo("auc", N_("AUC"), N_("Probability that a relevant product scores above an irrelevant one, over all queries.")),
    ),
    primary="ndcg_at_10",
    ranks="product",
    extras_of=("product", 1),
    rows_at_once=4096,  # pairs of rows are held
    answer_fields={"nearest": AnswerField(N_("Nearest grade"))},
    measured_by=("gains", "relevant_from"),
    rows=SearchRows(),
    report=REPORT,
    load_head=head_of(__name__),
    suits=suits,
)


def _grades(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) float64 grades, nan where there is none; (N,) bool where the label is no number. Yes and no are 1 and 0."""
    values, bad = common.numbers(column)
    if bad.any():
        words, neither = common.yes_no(column)
        values, bad = np.where(bad, words, values), bad & neither
    return values, bad


def _targets(grades: np.ndarray, largest: float, gains: str) -> np.ndarray:
    """The gain of each grade as a share of the largest one; nan stays."""
    if gains == "linear":
        return np.clip(grades / largest, 0, 1)
    # (2^grade - 1) / (2^largest - 1), written so that large grades do not overflow
    return np.clip((np.exp2(grades - largest) - np.exp2(-largest)) / (1 - np.exp2(-largest)), 0, 1)


def _relevant(labels: np.ndarray, spec: Spec) -> np.ndarray:
    return (labels >= spec["relevant_from"] - 1e-6).astype(np.float64)
