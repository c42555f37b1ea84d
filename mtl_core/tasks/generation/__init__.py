"""Generation: a text → a text that answers, describes or rewrites it."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field as Setting

from mtl_core.base.messages import N_, message
from mtl_core.base.settings import Options
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation import metrics, weighed
from mtl_core.tasks import common
from mtl_core.tasks.base import AnswerField, Field, MetricInfo, Panel, Report, Rows, Slot, Spec, TaskKind, head_of
from mtl_core.tasks.frequencies import words_of
from mtl_core.tasks.generation.suiting import suits

SHOWN_TEXTS = 20  # of a report


_NEIGHBOURS, _ASKED = 20_000, 2_000  # rows of the naive baseline


class GenerationOptions(Options):
    layers: int = Setting(
        2,
        ge=1,
        le=6,
        title=N_("Decoder layers"),
        description=N_("Layers of the decoder that generates text where the backbone has none of its own."),
    )
    heads: int = Setting(
        8,
        ge=1,
        le=64,
        title=N_("Attention heads"),
        description=N_("Attention heads per decoder layer, reduced to a number that divides the encoder's hidden size."),
    )
    dropout: float = Setting(0.1, ge=0, le=0.9, title=N_("Dropout"), description=N_("Dropout probability in the decoder."))
    longest_target: int = Setting(
        48,
        ge=4,
        le=512,
        title=N_("Max new tokens"),
        description=N_("In tokens, fewer than the max sequence length; longer targets are cut, and generation ends there."),
    )
    label_smoothing: float = Setting(
        0.1,
        ge=0,
        le=0.5,
        title=N_("Label smoothing"),
        description=N_("Fraction of each token's target that is spread over all others in training."),
    )
    beams: int = Setting(
        4, ge=1, le=16, title=N_("Number of beams"), description=N_("Number of beams for a single prediction; 1 is greedy decoding.")
    )
    evaluation_beams: int = Setting(
        1, ge=1, le=16, title=N_("Beams in evaluation"), description=N_("Number of beams for texts generated in evaluation.")
    )
    decoded_share: float = Setting(
        0.5,
        gt=0,
        le=1,
        title=N_("Generated fraction"),
        description=N_("Fraction of the evaluated rows for which text is generated, for ROUGE-L and chrF; loss and perplexity use all."),
    )
    samples: int = Setting(
        3,
        ge=0,
        le=10,
        title=N_("Sampled alternatives"),
        description=N_("Number of texts sampled in addition to the best one, for a single prediction."),
    )
    temperature: float = Setting(
        0.8,
        gt=0,
        le=2,
        title=N_("Temperature"),
        description=N_("For sampled alternatives: below 1 favours likely tokens, above 1 less so."),
    )
    top_p: float = Setting(
        0.9,
        gt=0,
        le=1,
        title=N_("Top-p"),
        description=N_(
            "For sampled alternatives: only the most likely tokens up to this total probability are sampled (nucleus sampling)."
        ),
    )


FIELDS = (
    Field(
        "source",
        "text",
        N_("The source text."),
        many=True,
        aliases=("source", "input", "prompt", "data", "attributes", "facts", "instruction", "message"),
        label=N_("Source"),
    ),
    Field(
        "label",
        "label",
        N_("The target text."),
        aliases=("label", "target", "output", "response", "reply", "summary", "description", "text"),
        holds="text",
        label=N_("Label"),
    ),
)


class GenerationReport(Report):
    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        """labels: (R,) references. ROUGE-L and chrF of the rows that were written out."""
        pairs = [(row["text"], str(reference)) for row, reference in zip(scores, labels, strict=True) if row["text"] is not None]
        written, references = zip(*pairs, strict=True) if pairs else ((), ())
        tokens = np.array([row["tokens"] for row in scores])
        return metrics.defined(
            {
                "rouge_l": metrics.rouge_l(written, references),
                "chrf": metrics.chrf(written, references),
                "perplexity": metrics.perplexity(np.array([row["loss"] for row in scores]), tokens),
            }
        )

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> weighed.Ratio:
        """Of the rows that were written out."""
        written = np.array([row["text"] is not None for row in scores], bool)
        values = np.zeros(len(scores))
        for i in np.flatnonzero(written):
            values[i] = metrics.rouge_l([scores[i]["text"]], [str(labels[i])])
        return weighed.Ratio(values, written)

    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        """Some of what was written beside what was wanted; how long both are."""
        pairs = [(row["given"], row["text"], str(label)) for row, label in zip(scores, labels, strict=True) if row["text"] is not None]
        shown = [pairs[i] for i in np.unique(np.linspace(0, len(pairs) - 1, min(SHOWN_TEXTS, len(pairs))).astype(np.int64))]
        lengths = np.array([[len(common.WORDS_AND_SIGNS.findall(text)) for text in pair[1:]] for pair in pairs]).reshape(-1, 2)
        names = (N_("Generated"), N_("Reference"))
        rows = [[name, *np.percentile(own, (10, 50, 90)).tolist()] for name, own in zip(names, lengths.T, strict=True) if len(own)]
        return [
            Panel("table", N_("Generated text"), {"columns": [N_("Source"), *names], "rows": [list(pair) for pair in shown]}),
            Panel(
                "table",
                N_("Words and symbols per text"),
                {"columns": ["", N_("10th percentile"), N_("Median"), N_("90th percentile")], "rows": rows},
            ),
        ]

    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        """The best text, then other wordings of it."""
        return [{"label": row["text"], "others": [{"text": other} for other in row.get("others", ())]} for row in scores]


REPORT = GenerationReport()


class GenerationRows(Rows):
    def compares(self, options: GenerationOptions) -> bool:
        return options.decoded_share < 1  # which rows are written out is counted among those beside them

    def slots(self, options: GenerationOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("source", reads="tokens"), Slot("target", reads="ids", continues="source"))

    def check(self, table: pa.Table, split: np.ndarray, options: GenerationOptions) -> list[Problem]:
        if "label" in table.column_names:  # a blank target is none
            table = table.set_column(table.column_names.index("label"), "label", common.names(table["label"]))
        findings = common.TaskProblems(table, split)
        if not findings.fields(FIELDS):
            return findings.problems
        findings.texts("source", only=True)
        findings.labels(~common.nulls(table["label"]) & ~common.is_empty(table["source"]))
        texts = common.texts(table["label"]).to_pylist()
        long = np.array([common.is_longer(t, options.longest_target) for t in texts], dtype=bool)
        findings.rows(
            Severity.WARNING,
            "target_too_long",
            "label",
            long,
            message(
                "{count} of {of} target texts ({share:.1%}) have more than {limit} words and symbols, so at least as many tokens.",
                share=float(long.mean()) if len(long) else 0.0,
                limit=options.longest_target,
            ),
            message("They are cut there, and no longer text is generated. Raise “Max new tokens” if they matter."),
        )
        return findings.problems

    def counted(self, table: pa.Table, options: Any) -> None:
        """Texts: hardly two are alike."""

    def fit(self, table: pa.Table, options: GenerationOptions) -> Spec:
        return words_of(common.names(table["label"]))

    def encode(self, table: pa.Table, spec: Spec, options: GenerationOptions) -> pa.Table:
        """`label` is 1 for a row with both texts; strings: `given`, the source, and `reference`, the target."""
        given = common.plain(common.texts(table["source"])).cast(pa.string())
        if "label" not in table.column_names:
            return pa.table({"source": given, "target": pa.array([""] * len(table), pa.string()), "given": given})
        names = common.names(table["label"])
        reference = pc.fill_null(names, "")
        labels = np.where(common.nulls(names) | common.is_empty(table["source"]), np.nan, 1.0)
        return pa.table({"source": given, "target": reference, "given": given, "reference": reference, "label": common.floats(labels)})

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: GenerationOptions, part: str) -> dict[str, float]:
        """Nearest neighbour: the target of the training row whose source is most alike by TF-IDF."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        encoded = self.encode(table, spec, options)
        known = pc.is_valid(encoded["label"]).to_numpy()
        train, rows = (np.flatnonzero((split == p) & known) for p in ("train", part))
        if not len(train) or not len(rows):
            return {}
        train, rows = common.sample(train, _NEIGHBOURS), common.sample(rows, _ASKED)
        given, reference = (np.array(encoded[name].to_pylist(), object) for name in ("given", "reference"))
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=common.WORD, max_features=100_000)
        vectorizer.fit([*given[train], "a"])  # at least one word
        alike = vectorizer.transform(given[rows]) @ vectorizer.transform(given[train]).T
        written = reference[train[np.asarray(alike.argmax(1)).ravel()]].tolist()
        wanted = reference[rows].tolist()
        return {"rouge_l": metrics.rouge_l(written, wanted), "chrf": metrics.chrf(written, wanted)}


KIND = TaskKind(
    name="generation",
    label=N_("Text generation"),
    help=N_("Generates a text from a text: a description from attributes, an answer to a message, a short title from a long one."),
    fields=FIELDS,
    example=(
        {"source": "brand: Ellie; colour: red; shoes", "label": "Red shoes by Ellie."},
        {"source": "brand: Aqua; length: 20 m; garden hose", "label": "A garden hose of 20 m by Aqua."},
    ),
    Options=GenerationOptions,
    metrics=(
        MetricInfo("rouge_l", N_("ROUGE-L"), N_("F1 of the longest common subsequence of words of the generated text and the reference.")),
        MetricInfo("chrf", N_("chrF"), N_("F-score of the character n-grams shared by the generated text and the references.")),
        MetricInfo(
            "perplexity",
            N_("Perplexity"),
            N_("Exponential of the mean loss per token; lower is better."),
            higher_is_better=False,
        ),
    ),
    primary="rouge_l",
    rows_at_once=64,  # a number for each token of the vocabulary at each token of the targets
    answer_fields={"others": AnswerField(N_("Sampled alternatives")), "text": AnswerField(N_("Text"))},
    measured_by=("decoded_share",),
    rows=GenerationRows(),
    report=REPORT,
    load_head=head_of(__name__),
    suits=suits,
)
