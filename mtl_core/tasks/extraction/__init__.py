"""Extraction: a text → spans of it, each with the name of an attribute (brand, colour, material)."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field as Setting

from mtl_core.base.messages import N_, message
from mtl_core.data.problems import Problem, Severity
from mtl_core.evaluation import weighed
from mtl_core.tasks import common, naming
from mtl_core.tasks.base import SPANS, AnswerField, Field, MetricInfo, Panel, Report, Rows, Slot, Spec, TaskKind, head_of
from mtl_core.tasks.extraction import cells
from mtl_core.tasks.extraction.suiting import suits
from mtl_core.tasks.spans import PIECES, Span, apart, lower, objects

EXAMPLE = '{"brand": "Ellie Shoes", "colour": ["red", "black"]}'
SPANS_EXAMPLE = '[{"start": 0, "end": 5, "label": "brand"}]'
TRIPLES_EXAMPLE = '[[0, 5, "brand"]]'


class ExtractionOptions(naming.NamedOptions):
    hidden_size: int = Setting(
        0,
        ge=0,
        le=8192,
        title=N_("Hidden size"),
        description=N_("Size of a hidden layer before the tags; 0: none."),
        json_schema_extra={"stops": [0, 64, 128, 256, 384, 512, 1024], "zero": N_("none")},
    )
    dropout: float = Setting(0.1, ge=0, le=0.9, title=N_("Dropout"), description=N_("Dropout probability in the head."))
    outside_weight: float = Setting(
        1.0,
        gt=0,
        le=1,
        title=N_("Outside (O) tag weight"),
        description=N_("Loss weight of tokens outside all spans (tag O); below 1 raises recall and lowers precision."),
    )
    offsets: Literal["automatic", "characters", "utf16", "bytes"] = Setting(
        "automatic",
        title=N_("Offsets"),
        description=N_("How positions of spans are counted; automatic: as the cell's own text says, where it has one, else in characters."),
        json_schema_extra={
            "choices": {
                "automatic": N_("Automatic"),
                "characters": N_("Characters"),
                "utf16": N_("UTF-16 units (JavaScript, Java)"),
                "bytes": N_("UTF-8 bytes"),
            }
        },
    )
    minimum_count: int = Setting(
        1,
        ge=1,
        le=1_000_000,
        title=N_("Min count"),
        description=N_("Attributes with fewer values in the training rows are ignored, also in evaluation."),
    )


FIELDS = (
    Field(
        "text",
        "text",
        N_("The text that contains the attributes."),
        many=True,
        aliases=("text", "title", "product_title", "input", "sentence", "description", "name"),
        label=N_("Text"),
    ),
    Field(
        "label",
        "label",
        N_(
            "The attributes: a JSON object of names and values, a JSON list of start, end and attribute, or “brand: Ellie; size: 7”. {} "
            "means that there are none, an empty cell that the row was not annotated."
        ),
        aliases=("attributes", "spans", "entities", "target_scores", "label", "labels", "annotations"),
        holds="tags",
        label=N_("Label"),
    ),
)


class ExtractionReport(Report):
    types = (Span,)
    right_means = N_("Right: all attributes of the row and no others, each at its place in the text.")

    def right(self, scores: np.ndarray, labels: np.ndarray, spec: Spec) -> np.ndarray:
        hits, called, support = self._by_row(scores, labels).T
        return np.asarray((hits == called) & (hits == support))

    def evaluate(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> dict[str, float]:
        hits, called, support, _ = (sum(counts.values()) for counts in _counts(scores, labels))
        if not called + support:
            return {}
        return dict(zip(("precision", "recall", "f1"), _rates(hits, called, support), strict=True))

    def weighed(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> weighed.Ratio:
        return weighed.f1(*self._by_row(scores, labels).T)

    def _by_row(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(R, 3): spans of each row that are right, predicted, true."""
        counts = [[sum(c.values()) for c in _counts(scores[i : i + 1], labels[i : i + 1])[:3]] for i in range(len(scores))]
        return np.array(counts).reshape(-1, 3)

    def panels(self, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, spec: Spec) -> list[Panel]:
        hits, called, support, cut = _counts(scores, labels)
        names = sorted(called.keys() | support.keys(), key=lambda name: (-support[name], name))
        rows: list[list[Any]] = [[n, *_rates(hits[n], called[n], support[n]), support[n], cut[n]] for n in names]
        totals = [sum(counts.values()) for counts in (hits, called, support, cut)]
        if rows:
            macro = [float(np.mean([row[i] for row in rows])) for i in (1, 2, 3)]
            rows += [[N_("all values"), *_rates(*totals[:3]), *totals[2:]], [N_("macro average"), *macro, *totals[2:]]]
        header = [N_("attribute"), N_("precision"), N_("recall"), "F1", N_("values"), N_("beyond the max sequence length")]
        return [Panel("table", N_("Values found per attribute"), {"columns": header, "rows": rows})]

    def answers(self, scores: np.ndarray, spec: Spec) -> list[dict[str, Any]]:
        names = {name: naming.called(spec, name) for name in spec["attributes"]}

        def joined(spans: list[Span], names: Mapping[str, str]) -> str:
            return "; ".join(f"{names.get(s.name, s.name)}: {s.text}" for s in spans) or N_("nothing found")

        return [
            {
                **naming.labelled(joined(spans, names), joined(spans, {})),
                "spans": [
                    {"attribute": names[s.name], "text": s.text, "start": s.start, "end": s.end, "probability": s.probability}
                    for s in spans
                ],
            }
            for spans in scores
        ]

    def classes(self, spec: Spec) -> list[str]:
        return list(spec["attributes"])

    def label_called(self, label: str, spec: Spec) -> str:
        """Of cells that are a mapping, as JSON or as “brand: Ellie; size: 7”; spans stay as they are written."""
        names = {name: naming.called(spec, name) for name in spec["attributes"]}
        keys = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        return re.sub(rf"(^|[{{,;\n])(\s*['\"]?)({keys})(?=['\"]?\s*[:：])", lambda m: m[1] + m[2] + names[m[3]], label) if keys else label


REPORT = ExtractionReport()


class ExtractionRows(Rows):
    def slots(self, options: ExtractionOptions, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        return (Slot("text", reads="tokens"),)

    def check(self, table: pa.Table, split: np.ndarray, options: ExtractionOptions) -> list[Problem]:
        findings = common.TaskProblems(table, split)
        if not findings.fields(FIELDS):
            return findings.problems
        findings.texts("text")
        rows = list(cells.rows(table, options.offsets))
        bad = np.array([row.unreadable for row in rows], bool)
        first = common.shorten(table["label"][int(np.argmax(bad))].as_py()) if bad.any() else ""
        findings.rows(
            Severity.ERROR,
            "label_type",
            "label",
            bad,
            message("{count} cells cannot be read as attributes; the first is “{found}”.", found=first),
            message(
                "Write them as {example}, as {spans}, as {triples}, or as “brand: Ellie Shoes; colour: red”.",
                example=EXAMPLE,
                spans=SPANS_EXAMPLE,
                triples=TRIPLES_EXAMPLE,
            ),
        )
        if not findings.labels(np.array([row.spans is not None for row in rows], bool)):
            return findings.problems
        for part, code, why, remedy in (
            (
                "absent",
                "value_not_in_text",
                message("{count} rows have values that do not occur in their text as whole words; the first is “{found}”."),
                message("These values are ignored, the row's others are used. Write values as they stand in the text."),
            ),
            (
                "outside",
                "span_outside_text",
                message("{count} rows have spans that do not lie in their text; the first is {found}."),
                message(
                    "These spans are ignored. Count characters from 0, the end not included; joined columns have a space between them."
                ),
            ),
            (
                "other",
                "span_text_differs",
                message("{count} rows have spans whose own text does not stand in their place; the first is “{found}”."),
                message("These spans are ignored. Correct their positions, or leave the text of a span out."),
            ),
            (
                "cutting",
                "span_in_word",
                message("{count} rows have spans that begin or end within a word; the first is “{found}”."),
                message("If that is wrong, positions may be counted in another unit: set the option “Offsets”, or write each span's text."),
            ),
            (
                "overlapping",
                "spans_overlap",
                message("{count} rows have overlapping values; the first to be ignored is “{found}”."),
                message("Of overlapping values the longest is kept, because a word can have only one attribute."),
            ),
        ):
            lost = [getattr(row, part) for row in rows]
            mask = np.array(list(map(bool, lost)), bool)
            found = common.shorten(lost[int(np.argmax(mask))][0]) if mask.any() else ""
            findings.rows(Severity.WARNING, code, "label", mask, replace(why, values={"found": found}), remedy)
        spans = [None if r.spans is None else "; ".join(f"{s.name}: {s.text}" for s in r.spans) or N_("nothing") for r in rows]
        findings.two_labels(("text",), pa.array(spans, pa.string()))
        recounted = np.array([bool(row.recounted) for row in rows], bool)
        findings.rows(
            Severity.INFO,
            "spans_recounted",
            "label",
            recounted,
            message(
                "{count} rows count positions otherwise than in characters, as their spans' own texts say; the first is “{found}”.",
                found=common.shorten(rows[int(np.argmax(recounted))].recounted[0]) if recounted.any() else "",
            ),
            message("No action needed: they are read where these texts stand."),
        )
        known = set(self.fit(table.filter(pa.array(findings.split == "train")), options)["attributes"])
        if not known:
            findings.table_wide(
                Severity.ERROR,
                "nothing_to_learn",
                "label",
                message("No training row has an attribute whose value occurs in its text."),
                message("Choose another label column or another text, or lower the minimum count."),
            )
            return findings.problems
        naming.check(findings, known, options)
        others = [next((s.name for s in row.spans or [] if s.name not in known), "") for row in rows]
        unknown = np.array(list(map(bool, others)), bool) & (findings.split != "")
        findings.rows(
            Severity.WARNING,
            "attribute_left_out",
            "label",
            unknown,
            message(
                "{count} rows have an attribute with fewer than {minimum} values in the training rows; the first is “{found}”.",
                minimum=options.minimum_count,
                found=common.shorten(others[int(np.argmax(unknown))]) if unknown.any() else "",
            ),
            message("Its values are ignored, also in evaluation. Split differently, add rows, or lower the minimum count."),
        )
        return findings.problems

    def counted(self, table: pa.Table, options: ExtractionOptions) -> pa.Array:
        """The attributes."""
        found = [None if r.spans is None else sorted({s.name for s in r.spans}) for r in cells.rows(table, options.offsets)]
        return pa.array(found, pa.list_(pa.string()))

    def read(self, table: pa.Table, options: ExtractionOptions) -> Mapping[str, pa.Array]:
        """The spans, as “attribute: text”."""
        found = [None if r.spans is None else [f"{s.name}: {s.text}" for s in r.spans] for r in cells.rows(table, options.offsets)]
        return {"label": pa.array(found, pa.list_(pa.string()))}

    def fit(self, table: pa.Table, options: ExtractionOptions) -> Spec:
        counts = Counter(span.name for row in cells.rows(table, options.offsets) for span in row.spans or [])
        return {"attributes": sorted(name for name, n in counts.items() if n >= options.minimum_count)}

    def encode(self, table: pa.Table, spec: Spec, options: ExtractionOptions) -> pa.Table:
        """`label` is the number of the row's spans; `original` the text to take values from."""
        text = common.texts(table["text"])
        columns: dict[str, Any] = {"text": text, "original": common.plain(text).cast(pa.string())}
        if "label" in table.column_names:
            codes = {name: code for code, name in enumerate(spec["attributes"])}
            rows = [None if r.spans is None else [s for s in r.spans if s.name in codes] for r in cells.rows(table, options.offsets)]
            columns["label"] = pa.array([None if spans is None else len(spans) for spans in rows], pa.int64())
            columns["starts"] = pa.array([[s.start for s in spans or []] for spans in rows], pa.list_(pa.int64()))
            columns["ends"] = pa.array([[s.end for s in spans or []] for spans in rows], pa.list_(pa.int64()))
            columns["attributes"] = pa.array([[codes[s.name] for s in spans or []] for spans in rows], pa.list_(pa.int64()))
        return pa.table(columns)

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: ExtractionOptions, part: str) -> dict[str, float]:
        """A dictionary: what was a value in training is one wherever it occurs, of its most frequent attribute; the longest first."""
        encoded = self.encode(table, spec, options)
        known = ~common.nulls(encoded["label"])
        train, rows = (np.flatnonzero((split == p) & known) for p in ("train", part))
        seen: dict[str, Counter[str]] = defaultdict(Counter)
        for spans in _encoded(encoded.take(common.sample(train, 50_000)), spec):
            for span in spans:
                seen[lower(span.text)][span.name] += 1
        dictionary = {value: max(names, key=lambda n: (names[n], n)) for value, names in seen.items()}
        longest = max((len(PIECES.findall(value)) for value in dictionary), default=0)
        test = encoded.take(rows)
        found = [_look_up(text, dictionary, longest) for text in test["original"].to_pylist()]
        return REPORT.evaluate(objects(found, len(found)), _encoded(test, spec), None, spec)


KIND = TaskKind(
    name="extraction",
    label=N_("Attribute extraction"),
    help=N_("Finds the attributes named in a text: the brand, the colour, the size in a product title."),
    fields=FIELDS,
    example=(
        {"text": "Ellie leather shoes, red", "label": '{"brand": "Ellie", "colour": "red"}'},
        {"text": "Aqua garden hose, blue", "label": "brand: Aqua; colour: blue"},
        {"text": "a hose", "label": "{}"},
    ),
    Options=ExtractionOptions,
    metrics=(
        MetricInfo(
            "f1",
            N_("F1"),
            N_("Harmonic mean of precision and recall over all values; a value is right if start, end and attribute are right."),
            share=True,
        ),
        MetricInfo("precision", N_("Precision"), N_("Share of predicted values that are right.")),
        MetricInfo("recall", N_("Recall"), N_("Share of true values that are found.")),
    ),
    primary="f1",
    rows_at_once=256,
    answer_fields={**SPANS, "attribute": AnswerField(N_("Attribute"))},
    rows=ExtractionRows(),
    report=REPORT,
    load_head=head_of(__name__),
    suits=suits,
)


def _encoded(encoded: pa.Table, spec: Spec) -> np.ndarray:
    """(N,) the true spans of an encoded table, as if all of each text were read."""
    lists = [encoded[name].combine_chunks().flatten().to_numpy() for name in ("starts", "ends", "attributes")]
    offsets = np.append(0, np.cumsum(encoded["label"].to_numpy()))
    texts = encoded["original"].to_numpy()
    return _true(lists, offsets, np.full(len(texts), np.iinfo(np.int64).max), texts, spec)


def _true(lists: list[np.ndarray], offsets: np.ndarray, read: np.ndarray, texts: np.ndarray, spec: Spec) -> np.ndarray:
    """(R,) lists of true `Span`s. lists: starts, ends, attributes (V,); read: (R,) up to which character each text is read."""
    spans = list(zip(*(numbers.tolist() for numbers in lists), strict=True))
    found = [
        [
            Span(start, end, spec["attributes"][a], float(end <= read[row]), text[start:end])
            for start, end, a in spans[offsets[row] : offsets[row + 1]]
        ]
        for row, text in enumerate(texts)
    ]
    return objects(found, len(found))


def _look_up(text: str, dictionary: dict[str, str], longest: int) -> list[Span]:
    """The values of `dictionary` in a text, of at most `longest` words and signs."""
    pieces, small, wanted = [m.span() for m in PIECES.finditer(text)], lower(text), []
    for i, (start, _) in enumerate(pieces):
        wanted += [(end - start, [start]) for _, end in pieces[i : i + longest] if small[start:end] in dictionary]
    placed = [(start, start + length) for (length, _), start in zip(wanted, apart(wanted, len(text)), strict=True) if start is not None]
    return [Span(start, end, dictionary[small[start:end]], 1.0, text[start:end]) for start, end in sorted(placed)]


# -- numbers ------------------------------------------------------------------------------------------------------------------
def _counts(scores: np.ndarray, labels: np.ndarray) -> tuple[Counter[str], Counter[str], Counter[str], Counter[str]]:
    """By attribute: values found rightly, values found, true values, and of these those that were not read."""
    hits, called, support, cut = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for found, true in zip(scores, labels, strict=True):
        wanted = {span.key for span in true}
        called.update(span.name for span in found)
        support.update(span.name for span in true)
        hits.update(span.name for span in found if span.key in wanted)
        cut.update(span.name for span in true if not span.probability)
    return hits, called, support, cut


def _rates(hits: int, called: int, support: int) -> tuple[float, float, float]:
    """Precision, recall and F1, 0 where there is nothing to divide by, as by seqeval (https://github.com/chakki-works/seqeval)."""
    return hits / max(called, 1), hits / max(support, 1), 2 * hits / max(called + support, 1)
