"""Extra columns that any task may take beside its text: categories, numbers, and knowledge, what is known of a product.

`with_extras` makes of a kind the one that also has these fields. A task that maps none of them is what it would be without.

    knowledge in the text                    → written behind the text (see `TaskKind.extras_of`) before it is tokenised
    knowledge embedded, categories, numbers  → a vector a row that is added to that of the text, and to the states of its tokens
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field as Setting
from pydantic import create_model

from mtl_core.base.messages import N_, message
from mtl_core.base.settings import Options
from mtl_core.data.problems import Problem, Severity
from mtl_core.tasks import common, features
from mtl_core.tasks.base import Catalogue, Field, Mining, Rows, Slot, Spec, TaskKind

if TYPE_CHECKING:
    from mtl_core.tasks.heads import Head

EXAMPLE = '{"brand": "Zentrik", "colour": ["navy", "white"]}'
FIELDS = (
    Field(
        "categories",
        "category",
        N_("Categorical columns: brand, site, weekday."),
        required=False,
        many=True,
        suggested=False,  # what holds few values may well be the label in other words
        label=N_("Categories"),
    ),
    Field("numbers", "number", N_("Numeric columns: price, age, rating."), required=False, many=True, suggested=False, label=N_("Numbers")),
    Field(
        "knowledge",
        "text",
        N_("Facts beside the text: “brand: Zentrik; colour: navy”, a JSON object, or a JSON list of triples."),
        required=False,
        many=True,
        aliases=("knowledge", "triples", "attribute_triples", "facts", "specifications"),
        label=N_("Knowledge"),
    ),
)
FEATURES = features.FeatureOptions()
KNOWLEDGE = "knowledge"  # the field, and the slot where it is embedded
READ_TO = "text_length"  # (R, 1): characters of a row's text, without what is written behind it


class ExtraOptions(Options):
    knowledge: Literal["in_text", "embedded"] = Setting(
        "in_text",
        title=N_("Knowledge"),
        description=N_(
            "in_text: appended to the text; embedded: encoded separately and added to the text's vector, but not by kinds that generate "
            "text."
        ),
        json_schema_extra={"choices": {"in_text": N_("Appended to the text"), "embedded": N_("Encoded separately")}},
    )


SEEN = "seen"  # in a spec


class ExtraRows(Rows):
    """The rows of a kind, with its extra columns. plain: the kind without; added: the fields that it has not."""

    def __init__(self, plain: TaskKind, added: frozenset[str]):
        self.plain, self.added = plain, added

    def slots(self, options: Any, fields: Collection[str] | None = None) -> tuple[Slot, ...]:
        embedded = (Slot(KNOWLEDGE),) if self._embeds(options) else ()
        if fields is None:
            return (*self.plain.rows.slots(options), *embedded)
        found = self.plain.rows.slots(options, fields)
        if KNOWLEDGE not in fields:
            return found
        return (*found, *embedded) if found else self.plain.rows.slots(options, {*fields, self._text})

    def check(self, table: pa.Table, split: np.ndarray, options: Any) -> list[Problem]:
        findings, given = common.TaskProblems(table, split), self.added & set(table.column_names)
        findings.problems += self.plain.rows.check(self._with_text(table, options), split, options)
        if "categories" in self.added and not self._writes(options):
            features.check(findings, FEATURES)
        if KNOWLEDGE in given:
            check_knowledge(findings)
        embedded = given if self._embeds(options) else given - {KNOWLEDGE}
        if given and self.plain.rows.catalogue(options):
            findings.table_wide(
                Severity.ERROR,
                "extras_of_a_catalogue",
                None,
                message("Extra columns belong to rows, so the items of the full catalogue have none."),
                message("Turn catalogue ranking off, or remove: {fields}.", fields=", ".join(sorted(given))),
            )
        if embedded and self.plain.rows.mining(options):
            findings.table_wide(
                Severity.ERROR,
                "extras_of_mined_negatives",
                None,
                message("Extra columns belong to rows, so mined negatives have none."),
                message(
                    "Turn hard negatives off, or remove: {fields}. Knowledge in the text may stay.", fields=", ".join(sorted(embedded))
                ),
            )
        return findings.problems

    def keep(self, table: pa.Table, split: np.ndarray, options: Any, seed: int) -> np.ndarray:
        return self.plain.rows.keep(self._with_text(table, options), split, options, seed)

    def fit(self, table: pa.Table, options: Any) -> Spec:
        """`extras`, where the head reads any: what `features.fit` gives; slot: of which text; knowledge: whether it is embedded. `seen`:
        the values of categories that are written as words."""
        given = self._with_text(table, options)
        spec, slot = self.plain.rows.fit(given, options), self._slot(given, options)
        extras: Spec = {"vocabularies": [], "numbers": []}
        if "categories" in self.added and not self._writes(options):
            extras = features.fit(table, FEATURES)
        beside_a_text = bool(self.plain.rows.slots(options, table.column_names))  # else it is the text
        extras[KNOWLEDGE] = beside_a_text and KNOWLEDGE in table.column_names and self._embeds(options)
        if self._writes(options) and "categories" in self.added & set(table.column_names):
            spec = {**spec, SEEN: features.vocabularies(table, 1)}
        return {**spec, "extras": {**extras, "slot": slot.name}} if slot and any(extras.values()) else spec

    def encode(self, table: pa.Table, spec: Spec, options: Any) -> pa.Table:
        """Beside what the kind gives: the columns of `features.encode`, the slot `knowledge`, and where tokens are read `text_length`."""
        given = self._with_text(table, options)
        encoded = self.plain.rows.encode(given, spec, options)
        if extras := spec.get("extras"):
            for name, column in features.encode(table, extras).items():
                encoded = encoded.append_column(name, column)
            if extras[KNOWLEDGE]:
                encoded = encoded.append_column(KNOWLEDGE, linearised(table[KNOWLEDGE])[0])
        slot, behind = self._slot(table, options), self._behind(table, options, spec.get(SEEN, []))
        if slot is None or behind is None:
            return encoded
        column, half = encoded[slot.name], self.plain.extras_of[1]
        texts = [pc.struct_field(column, part) for part in ("a", "b")] if slot.shape == "pair" else [column]
        place = half if slot.shape == "pair" else 0
        text = common.plain(texts[place]).cast(pa.string())
        texts[place] = pc.if_else(pc.equal(behind, ""), text, pc.binary_join_element_wise(text, behind, "\n"))
        whole = common.pairs(*texts) if slot.shape == "pair" else texts[0]
        if slot.reads == "tokens":
            encoded = encoded.append_column(READ_TO, common.fixed(pc.utf8_length(text).cast(pa.int64()).to_numpy()[:, None]))
        return encoded.set_column(encoded.column_names.index(slot.name), slot.name, whole)

    @property
    def _text(self) -> str:
        """The field whose text knowledge is where no other text is mapped."""
        return next(f.name for f in self.plain.fields if f.type == "text")

    def _writes(self, options: Any) -> bool:
        """Whether a text is written. A backbone's own language model reads words and nothing else, so all extra columns are words then."""
        return any(slot.continues for slot in self.plain.rows.slots(options))

    def _embeds(self, options: Any) -> bool:
        return options.knowledge == "embedded" and not self._writes(options)

    def _with_text(self, table: pa.Table, options: Any) -> pa.Table:
        """The table, with its knowledge as the text if it has no other."""
        if KNOWLEDGE not in table.column_names or self.plain.rows.slots(options, table.column_names):
            return table
        return table.append_column(self._text, linearised(table[KNOWLEDGE])[0])

    def _slot(self, table: pa.Table, options: Any) -> Slot | None:
        """That of the text which the extra columns describe."""
        found = [s for s in self.plain.rows.slots(options, table.column_names) if s.shape != "many" and s.reads != "ids"]
        return next((s for s in found if s.name == self.plain.extras_of[0]), found[0] if found else None)

    def _behind(self, table: pa.Table, options: Any, seen: list[list[str]]) -> pa.ChunkedArray | None:
        """What is written behind each row's text; categories as training spelled them."""
        parts, given = [], self.added & set(table.column_names)
        if KNOWLEDGE in given and not self._embeds(options):
            parts.append(linearised(table[KNOWLEDGE])[0].to_pylist())
        if self._writes(options) and "categories" in given:
            columns = common.category_columns(table["categories"])
            known = seen or [[]] * len(columns)  # checkpoints of older programs do not say
            parts += [features.as_known(column, values).to_pylist() for column, values in zip(columns, known, strict=False)]
        if self._writes(options) and "numbers" in given:
            parts += [["" if np.isnan(n) else f"{n:g}" for n in column] for column in common.number_matrix(table["numbers"]).T]
        return pa.chunked_array([["; ".join(filter(None, row)) for row in zip(*parts, strict=True)]], pa.string()) if parts else None

    def counted(self, table: pa.Table, options: Any) -> pa.Array | pa.ChunkedArray | None:
        return self.plain.rows.counted(table, options)

    def read(self, table: pa.Table, options: Any) -> Mapping[str, pa.Array | pa.ChunkedArray]:
        own = {KNOWLEDGE: linearised(table[KNOWLEDGE])[0]} if KNOWLEDGE in table.column_names else {}
        return {**self.plain.rows.read(self._with_text(table, options), options), **own}

    def naive(self, table: pa.Table, split: np.ndarray, spec: Spec, options: Any, part: str) -> dict[str, float]:
        """The kind's own, on rows that are encoded here, so that knowledge in the text is read."""
        return type(self.plain.rows).naive(self, table, split, spec, options, part)

    def choices(self, spec: Spec) -> dict[str, list[list[str]]]:
        own = spec.get("extras", {}).get("vocabularies") or spec.get(SEEN)
        return {**self.plain.rows.choices(spec), **({"categories": own} if own else {})}

    def ranges(self, spec: Spec) -> dict[str, list[list[float] | None]]:
        return {**self.plain.rows.ranges(spec), **features.ranges(spec.get("extras", {}))}

    def draws_groups(self, options: Any) -> bool:
        return self.plain.rows.draws_groups(options)

    def compares(self, options: Any) -> bool:
        return self.plain.rows.compares(options)

    def mining(self, options: Any) -> Mining | None:
        return self.plain.rows.mining(options)

    def catalogue(self, options: Any) -> Catalogue | None:
        return self.plain.rows.catalogue(options)


def with_extras(kind: TaskKind) -> TaskKind:
    """`kind` with the fields `categories`, `numbers` and `knowledge`; if it has features of its own, with `knowledge` only."""
    has = {f.type for f in kind.fields if f.many}
    fields = [f for f in FIELDS if f.name == KNOWLEDGE or not has & {"category", "number"}]

    def load_head() -> "Head":
        head: Head = import_module(f"{__name__}.head").ExtrasHead(kind.head, kind.extras_of[1])
        return head

    return replace(
        kind,
        fields=(*kind.fields, *fields),
        Options=create_model(kind.Options.__name__, __base__=(ExtraOptions, kind.Options), __module__=__name__),
        rows=ExtraRows(kind, frozenset(f.name for f in fields)),
        load_head=load_head,
    )


def check_knowledge(findings: common.TaskProblems) -> None:
    """Knowledge that is missing, in all rows or in some, and what looks like JSON but is not."""
    column = findings.table[KNOWLEDGE]
    empty = common.is_empty(column)
    if len(empty) and empty.all():
        findings.rows(
            Severity.ERROR,
            "knowledge_empty",
            KNOWLEDGE,
            empty,
            message("The knowledge column is empty in every row."),
            message("Choose a column with content, or leave the field empty."),
        )
        return
    findings.rows(
        Severity.INFO,
        "knowledge_missing",
        KNOWLEDGE,
        empty,
        message("{count} of {of} rows have no knowledge."),
        message("No action needed: the rest of the row is used."),
    )
    unreadable = linearised(column)[1]
    first = common.shorten(column[int(np.argmax(unreadable))].as_py()) if unreadable.any() else ""
    findings.rows(
        Severity.WARNING,
        "knowledge_unreadable",
        KNOWLEDGE,
        unreadable,
        message("{count} knowledge cells start like JSON but are not; the first is “{found}”.", found=first),
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
