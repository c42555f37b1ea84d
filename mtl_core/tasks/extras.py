"""Extra columns that any task may take beside its text: categories, numbers, and knowledge, what is known of a product.

`with_extras` makes of a kind the one that also has these fields. A task that maps none of them is what it would be without.

    knowledge in the text                    → written behind the text (see `TaskKind.extras_of`) before it is tokenised
    knowledge embedded, categories, numbers  → a vector a row that is added to that of the text, and to the states of its tokens
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from pydantic import Field as Setting
from pydantic import create_model
from torch import Tensor, nn

from mtl_core.base.messages import N_, message
from mtl_core.base.settings import Options
from mtl_core.data.problems import Problem, Severity
from mtl_core.tasks import common, features
from mtl_core.tasks.base import Field, Slot, SlotIndex, Spec, TaskBatch, TaskKind, Vocabulary, WordHead

EXAMPLE = '{"brand": "Zentrik", "colour": ["navy", "white"]}'
FIELDS = (
    Field(
        "categories",
        "category",
        N_("Columns with one of a set of values: brand, site, weekday."),
        required=False,
        many=True,
        suggested=False,  # what holds few values may well be the label in other words
    ),
    Field("numbers", "number", N_("Columns with numbers: price, age, rating."), required=False, many=True, suggested=False),
    Field(
        "knowledge",
        "text",
        N_("What is known beside the text: “brand: Zentrik; colour: navy”, a JSON object, or a JSON list of triples."),
        required=False,
        many=True,
        aliases=("knowledge", "triples", "attribute_triples", "facts", "specifications"),
    ),
)
_FEATURES = features.FeatureOptions()
_KNOWLEDGE = "knowledge"  # the field, and the slot where it is embedded
_READ_TO = "text_length"  # (R, 1): characters of a row's text, without what is written behind it


class ExtraOptions(Options):
    knowledge: Literal["in_text", "embedded"] = Setting(
        "in_text",
        title=N_("Knowledge"),
        description=N_(
            "in_text: written behind the text; embedded: encoded alone and added to the text's vector, but not by kinds that write texts."
        ),
    )


class ExtrasHead(WordHead):
    """Another head, which is given v + W f in the place of v, the vector of a row's text, and h + W f for the states h of its tokens.

    f: the features of the row (see `FeatureEncoding`) beside the vector of its knowledge, brought to mean 0 and variance 1. W begins at 0,
    so that at first nothing is changed.
    """

    def __init__(self, head: nn.Module, hidden: int, spec: Spec):
        super().__init__()
        self.head, self.slot = head, spec["slot"]
        self.features = features.FeatureEncoding(spec, _FEATURES) if spec["vocabularies"] or spec["numbers"] else None
        self.knowledge = nn.LayerNorm(hidden) if spec["knowledge"] else None
        width = (self.features.width if self.features else 0) + (hidden if self.knowledge else 0)
        self.output = common.output_layer(width, hidden)

    def tie(self, words: Vocabulary) -> None:
        if isinstance(self.head, WordHead):
            self.head.tie(words)

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Any:
        """vectors (L, H) → the other head's outputs."""
        parts = [self.features(batch)] if self.features is not None else []
        if self.knowledge is not None:
            parts.append(self.knowledge(vectors[batch.slots[_KNOWLEDGE].index]))
        added = self.output(torch.cat(parts, dim=1)).to(vectors.dtype)  # (R, H)
        slot = batch.slots[self.slot]
        own = [vectors, vectors[slot.index] + added]
        tokens, index = slot.tokens, len(vectors) + self._first(batch)
        if tokens is not None and tokens.index is not None:
            own.append(vectors[tokens.index] + added[tokens.rows])
            start = len(vectors) + len(added)
            tokens = replace(tokens, index=torch.arange(start, start + len(tokens.ids), device=vectors.device))
        slots = {**batch.slots, self.slot: SlotIndex(index, None, tokens)}
        return self.head(torch.cat(own), replace(batch, slots=slots))

    def _first(self, batch: TaskBatch) -> Tensor:
        """(R,): for each row the first with the same text and the same extra columns, as heads may ask which rows have one text."""
        index = batch.slots[self.slot].index
        keys = [index[:, None], *(batch.features[name] for name in ("categories", "numbers", "missing") if name in batch.features)]
        keys += [batch.slots[_KNOWLEDGE].index[:, None]] if self.knowledge is not None else []
        names, which = torch.cat([key.double() for key in keys], dim=1).unique(dim=0, return_inverse=True)
        place = torch.arange(len(index), device=index.device)
        first = torch.zeros(len(names), dtype=torch.long, device=index.device)
        return first.scatter_reduce(0, which, place, "amin", include_self=False)[which]


class Extras(TaskKind):
    """What `with_extras` puts before a kind. plain: the kind without; added: the fields that it has not."""

    plain: ClassVar[TaskKind]
    added: ClassVar[frozenset[str]]

    def slots(self, options: Any, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        embedded = (Slot(_KNOWLEDGE),) if self._embeds(options) else ()
        if fields is None:
            return (*self.plain.slots(options), *embedded)
        found = self.plain.slots(options, fields)
        if _KNOWLEDGE not in fields:
            return found
        return (*found, *embedded) if found else self.plain.slots(options, {*fields, self._text})

    def check(self, table: pa.Table, split: np.ndarray, options: Any) -> list[Problem]:
        findings, given = common.Findings(table, split), self.added & set(table.column_names)
        findings.problems += self.plain.check(self._with_text(table, options), split, options)
        if "categories" in self.added and not self._writes(options):
            features.check(findings, _FEATURES)
        if _KNOWLEDGE in given:
            check_knowledge(findings)
        heard = given if self._embeds(options) else given - {_KNOWLEDGE}
        if given and self.plain.catalogue(options):
            findings.table_wide(
                Severity.ERROR,
                "extras_of_a_catalogue",
                None,
                message("Extra columns belong to rows, so the items of a whole catalogue have none."),
                message("Rank no rows over the catalogue, or leave out: {fields}.", fields=", ".join(sorted(given))),
            )
        if heard and self.plain.mining(options):
            findings.table_wide(
                Severity.ERROR,
                "extras_of_mined_negatives",
                None,
                message("Extra columns belong to rows, so negatives that are mined have none."),
                message("Mine no negatives, or leave out: {fields}. Knowledge in the text may stay.", fields=", ".join(sorted(heard))),
            )
        return findings.problems

    def keep(self, table: pa.Table, split: np.ndarray, options: Any, seed: int) -> np.ndarray:
        return self.plain.keep(self._with_text(table, options), split, options, seed)

    def fit(self, table: pa.Table, options: Any) -> Spec:
        """`extras`, where the head reads any: what `features.fit` gives; slot: of which text; knowledge: whether it is embedded."""
        given = self._with_text(table, options)
        spec, slot = self.plain.fit(given, options), self._slot(given, options)
        extras: Spec = {"vocabularies": [], "numbers": []}
        if "categories" in self.added and not self._writes(options):
            extras = features.fit(table, _FEATURES)
        beside_a_text = bool(self.plain.slots(options, table.column_names))  # else it is the text
        extras[_KNOWLEDGE] = beside_a_text and _KNOWLEDGE in table.column_names and self._embeds(options)
        return {**spec, "extras": {**extras, "slot": slot.name}} if slot and any(extras.values()) else spec

    def encode(self, table: pa.Table, spec: Spec, options: Any) -> pa.Table:
        """Beside what the kind gives: the columns of `features.encode`, the slot `knowledge`, and where tokens are read `text_length`."""
        given = self._with_text(table, options)
        encoded = self.plain.encode(given, spec, options)
        if extras := spec.get("extras"):
            for name, column in features.encode(table, extras).items():
                encoded = encoded.append_column(name, column)
            if extras[_KNOWLEDGE]:
                encoded = encoded.append_column(_KNOWLEDGE, linearised(table[_KNOWLEDGE])[0])
        slot, behind = self._slot(table, options), self._behind(table, options)
        if slot is None or behind is None:
            return encoded
        column, half = encoded[slot.name], self.extras_of[1]
        texts = [pc.struct_field(column, part) for part in ("a", "b")] if slot.shape == "pair" else [column]
        place = half if slot.shape == "pair" else 0
        text = common.plain(texts[place]).cast(pa.string())
        texts[place] = pc.if_else(pc.equal(behind, ""), text, pc.binary_join_element_wise(text, behind, "\n"))
        whole = common.pairs(*texts) if slot.shape == "pair" else texts[0]
        if slot.reads == "tokens":
            encoded = encoded.append_column(_READ_TO, common.fixed(pc.utf8_length(text).cast(pa.int64()).to_numpy()[:, None]))
        return encoded.set_column(encoded.column_names.index(slot.name), slot.name, whole)

    def head(self, hidden: int, spec: Spec, options: Any) -> nn.Module:
        head = self.plain.head(hidden, spec, options)
        return ExtrasHead(head, hidden, spec["extras"]) if "extras" in spec else head

    def loss(self, logits: Any, batch: TaskBatch, spec: Spec, options: Any) -> Tensor:
        return self.plain.loss(logits, self._of_the_text(batch), spec, options)

    def scores(self, logits: Any, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return self.plain.scores(logits, self._of_the_text(batch), spec)

    def truth(self, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return self.plain.truth(self._of_the_text(batch), spec)

    def choices(self, spec: Spec) -> dict[str, list[list[str]]]:
        own = spec.get("extras", {}).get("vocabularies")
        return {**self.plain.choices(spec), **({"categories": own} if own else {})}

    @property
    def _text(self) -> str:
        """The field whose text knowledge is where no other text is mapped."""
        return next(f.name for f in self.plain.fields if f.type == "text")

    def _writes(self, options: Any) -> bool:
        """Whether a text is written. A backbone's own language model reads words and nothing else, so all extra columns are words then."""
        return any(slot.continues for slot in self.plain.slots(options))

    def _embeds(self, options: Any) -> bool:
        return options.knowledge == "embedded" and not self._writes(options)

    def _with_text(self, table: pa.Table, options: Any) -> pa.Table:
        """The table, with its knowledge as the text if it has no other."""
        if _KNOWLEDGE not in table.column_names or self.plain.slots(options, table.column_names):
            return table
        return table.append_column(self._text, linearised(table[_KNOWLEDGE])[0])

    def _slot(self, table: pa.Table, options: Any) -> Slot | None:
        """That of the text which the extra columns describe."""
        found = [s for s in self.plain.slots(options, table.column_names) if s.shape != "many" and s.reads != "ids"]
        return next((s for s in found if s.name == self.extras_of[0]), found[0] if found else None)

    def _behind(self, table: pa.Table, options: Any) -> pa.ChunkedArray | None:
        """What is written behind each row's text."""
        parts, given = [], self.added & set(table.column_names)
        if _KNOWLEDGE in given and not self._embeds(options):
            parts.append(linearised(table[_KNOWLEDGE])[0].to_pylist())
        if self._writes(options) and "categories" in given:
            parts += [column.to_pylist() for column in common.category_columns(table["categories"])]
        if self._writes(options) and "numbers" in given:
            parts += [["" if np.isnan(n) else f"{n:g}" for n in column] for column in common.number_matrix(table["numbers"]).T]
        return pa.chunked_array([["; ".join(filter(None, row)) for row in zip(*parts, strict=True)]], pa.string()) if parts else None

    def _of_the_text(self, batch: TaskBatch) -> TaskBatch:
        """The batch, where what is written behind a text is as special tokens are, so that no span is found in it."""
        if _READ_TO not in batch.features:
            return batch
        name, slot = next((name, slot) for name, slot in batch.slots.items() if slot.tokens is not None and slot.tokens.index is not None)
        tokens = slot.tokens
        assert tokens is not None
        behind = (tokens.chars[:, 1] > batch.features[_READ_TO][tokens.rows, 0]) & (tokens.part == self.extras_of[1])
        tokens = replace(tokens, chars=tokens.chars.masked_fill(behind[:, None], 0), part=tokens.part.masked_fill(behind, -1))
        return replace(batch, slots={**batch.slots, name: replace(slot, tokens=tokens)})


def with_extras(kind: TaskKind) -> TaskKind:
    """`kind` with the fields `categories`, `numbers` and `knowledge`; if it has features of its own, with `knowledge` only."""
    has = {f.type for f in kind.fields if f.many}
    fields = [f for f in FIELDS if f.name == _KNOWLEDGE or not has & {"category", "number"}]
    members = {
        "__module__": __name__,
        "plain": kind,
        "added": frozenset(f.name for f in fields),
        "fields": (*kind.fields, *fields),
        "Options": create_model(kind.Options.__name__, __base__=(ExtraOptions, kind.Options), __module__=__name__),
    }
    return type(type(kind).__name__, (Extras, type(kind)), members)()


def check_knowledge(findings: common.Findings) -> None:
    """Knowledge that is missing, in all rows or in some, and what looks like JSON but is not."""
    column = findings.table[_KNOWLEDGE]
    empty = common.is_empty(column)
    if len(empty) and empty.all():
        findings.rows(
            Severity.ERROR,
            "knowledge_empty",
            _KNOWLEDGE,
            empty,
            message("The column of knowledge is empty in every row."),
            message("Choose a column that says something, or leave the field without one."),
        )
        return
    findings.rows(
        Severity.INFO,
        "knowledge_missing",
        _KNOWLEDGE,
        empty,
        message("{count} of {of} rows have no knowledge."),
        message("Nothing to do: such a row is read by the rest of it."),
    )
    unreadable = linearised(column)[1]
    first = common.shorten(column[int(np.argmax(unreadable))].as_py()) if unreadable.any() else ""
    findings.rows(
        Severity.WARNING,
        "knowledge_unreadable",
        _KNOWLEDGE,
        unreadable,
        message("{count} cells of knowledge begin like JSON but are not; the first is “{found}”.", found=first),
        message("They are read as they stand. Write them as {example}, or as “brand: Zentrik; colour: navy”.", example=EXAMPLE),
    )


def linearised(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, np.ndarray]:
    """Knowledge as “attribute: value; attribute: value, value”, "" where there is none; (N,) bool: what begins like JSON and is none."""
    given = common.plain(common.texts(column)).cast(pa.string())
    distinct = pc.unique(given)
    found, bad = zip(*map(_read, distinct.to_pylist()), strict=True) if len(distinct) else ((), ())
    place = pc.index_in(given, distinct)
    return pa.chunked_array([pa.array(found, pa.string())]).take(place), np.array(bad, bool)[place.to_numpy()]


def _read(text: str) -> tuple[str, bool]:
    """JSON values one after another, as of several columns, and what comes behind them as it stands."""
    facts: list[str] = []
    rest = text.strip()
    while rest[:1] in ("{", "["):
        try:
            value, end = _JSON.raw_decode(rest)
        except (ValueError, RecursionError):
            return text.strip(), True
        facts += _facts(value)
        rest = rest[end:].strip(" ,;\n\t")
    return "; ".join([*facts, *([rest] if rest else [])]), False


def _facts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{name}: {said}" for name, one in value.items() if (said := _said(one)))
    elif isinstance(value, list) and len(value) in (2, 3) and not any(isinstance(part, dict | list) for part in value[:-1]):
        if said := _said(value[-1]):
            yield f"{' '.join(map(_said, value[:-1]))}: {said}"
    elif isinstance(value, list):
        for one in value:
            yield from _facts(one)
    elif said := _said(value):
        yield said


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(filter(None, map(_said, value)))
    if isinstance(value, dict):
        return ", ".join(_facts(value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else " ".join(str(value).split())


_JSON = json.JSONDecoder()
