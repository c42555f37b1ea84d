"""What makes a task's figures mean little, though its table can be used: said before training. Loads no torch."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtl_core.base.files import write_atomically
from mtl_core.base.messages import N_, Message, message, plural
from mtl_core.config.experiment import TaskConfig
from mtl_core.config.parts import EncoderConfig
from mtl_core.config.tables import Mapped
from mtl_core.data.leaks import ROWS, find_leaks, find_pair_leaks
from mtl_core.data.mapping import map_columns
from mtl_core.data.problems import Problem, Severity, has_errors
from mtl_core.data.store import Dataset
from mtl_core.data.values import as_text, codes_of
from mtl_core.model.tokenised import poorly_tokenised, tokenizer_of
from mtl_core.tasks import KINDS
from mtl_core.tasks.base import TaskKind, columns_of
from mtl_core.tasks.common import plain


def doubts(
    mapped: Mapped, columns: Mapping[str, Any], options: Any, file: str | None = None, encoder: EncoderConfig | None = None
) -> list[Problem]:
    """Inputs that give the label away, measures that cannot say anything, texts that the encoder does not read, or not to their end.

    mapped: as `map_fields` made it, without errors; columns: field → column or columns; options: of the kind; file: its name for people;
    encoder: None: as experiments have it that say nothing.
    """
    return [*_of_the_table(mapped, columns, options, file), *_of_the_encoder(mapped, columns, options, file, encoder or EncoderConfig())]


VERSION = 4
"""Of what is looked for in a table; a new number looks again."""


def doubts_of(dataset: Dataset, mapped: Mapped, columns: Mapping[str, Any], options: Any, encoder: EncoderConfig) -> list[Problem]:
    """`doubts` of a stored table. What does not hang on the encoder is kept beside the table: it is looked for once for each mapping."""
    used = hashlib.sha256(mapped.split.astype("U2").tobytes()).hexdigest()
    about = [VERSION, mapped.kind.name, columns_of(mapped.kind.fields, columns), options.model_dump(mode="json"), used]
    kept = dataset.folder / f"doubts-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:24]}.json"
    try:
        found = [replace(Problem.from_json(one), file=dataset.name) for one in json.loads(kept.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError):
        found = _of_the_table(mapped, columns, options, dataset.name)
        write_atomically(kept, json.dumps([problem.to_json() for problem in found], ensure_ascii=False))
    return found + _of_the_encoder(mapped, columns, options, dataset.name, encoder)


def _of_the_table(mapped: Mapped, columns: Mapping[str, Any], options: Any, file: str | None) -> list[Problem]:
    return [
        *leaks(mapped.source, mapped.kind, columns, file),
        *pairs(mapped.source, mapped.kind, columns, file),
        *measures(mapped, file),
        *naive(mapped, options, file),
    ]


def _of_the_encoder(mapped: Mapped, columns: Mapping[str, Any], options: Any, file: str | None, encoder: EncoderConfig) -> list[Problem]:
    return [*language(mapped.kind, mapped.table, columns, file, encoder.name), *cut(mapped, columns, options, file, encoder)]


def leaks(table: pa.Table, kind: TaskKind, columns: Mapping[str, Any], file: str | None = None) -> list[Problem]:
    """A warning for each input that predicts the label by itself, the surest first."""
    given = columns_of(kind.fields, columns)
    label = given.get("label", [])
    if len(label) != 1 or kind.takes_logs or label[0] not in table.column_names:
        return []
    needed = {names[0] for f in kind.fields if f.required and len(names := given.get(f.name, [])) == 1}
    problems = []
    for leak in find_leaks(table, label[0], inputs_of(kind, given)):
        code, severity = "leak_needed" if leak.column in needed else "leak", Severity.WARNING
        if leak.in_text:
            remedy = message("Remove it from the texts, unless it is there when the model is used.")
        elif leak.column in needed:  # without it there would be no task: nothing to leave out with a click
            severity = Severity.WARNING if leak.certain else Severity.INFO
            remedy = message("The task cannot do without this column; choose another one if it is only known after the label is.")
        else:
            remedy = message("Leave it out, unless it is known before the label is.")
        may: tuple[str, ...] = (leak.column,) if code == "leak" else ()
        problems.append(Problem(severity, code, leak.why(label[0]), remedy, file, column=leak.column, leave_out=may))
    alone = {problem.column for problem in problems}
    for pair in find_pair_leaks(table, label[0], [c for c in inputs_of(kind, given) if c not in alone]):
        remedy = message("Leave one of them out, unless both are known before the label is.")
        may, both = tuple(c for c in pair.columns if c not in needed), ", ".join(pair.columns)
        problems.append(Problem(Severity.WARNING, "leak_pair", pair.why(label[0]), remedy, file, column=both, leave_out=may))
    return problems


def pairs(table: pa.Table, kind: TaskKind, columns: Mapping[str, Any], file: str | None = None) -> list[Problem]:
    """A note for each two inputs, categories or numbers, that determine each other: each tells the other nearly as well as itself.

    By Goodman and Kruskal's lambda in both directions, the share of the wrong guesses of one that knowing the other saves, of 20,000 rows.
    """
    given = columns_of(kind.fields, columns)
    names = dict.fromkeys(c for f in kind.fields if f.type in ("category", "number") and f.asked for c in given.get(f.name, ()))
    if kind.takes_logs:
        return []
    sample = table.select([c for c in names if c in table.column_names and not pa.types.is_nested(table[c].type)])
    sample = sample.take(pa.array(_spread(table.num_rows, ROWS)))
    coded = {name: codes_of(as_text(sample[name]))[0] + 1 for name in sample.column_names}
    coded = {name: codes for name, codes in coded.items() if 1 < len(np.unique(codes)) <= len(codes) / 2}
    problems = []
    for one, other in combinations(coded, 2):
        figure = min(_told_by(coded[one], coded[other]), _told_by(coded[other], coded[one]))
        if figure >= SAME:
            why = message("“{one}” and “{other}” determine each other (lambda {figure}).", one=one, other=other, figure=f"{figure:.3f}")
            remedy = message("One of them is enough; the other says nothing more.")
            problems.append(Problem(Severity.INFO, "pair", why, remedy, file, column=other))
    return problems


SAME = 0.98


def _told_by(known: np.ndarray, wanted: np.ndarray) -> float:
    """Lambda of `wanted`, given `known`; both (R,) codes from 0."""
    both, counts = np.unique(known * (wanted.max() + 1) + wanted, return_counts=True)
    right = np.zeros(known.max() + 1, np.int64)
    np.maximum.at(right, both // (wanted.max() + 1), counts)
    guessed = np.bincount(wanted).max()
    return float((right.sum() - guessed) / max(len(wanted) - guessed, 1))


def inputs_of(kind: TaskKind, given: Mapping[str, Sequence[str]]) -> list[str]:
    """The columns that a model reads: not the label, nor what only says which rows belong together or how they were shown."""
    return [c for f in kind.fields if f.type not in ("label", "group") and f.asked for c in given.get(f.name, ())]


# -- measures -----------------------------------------------------------------------------------------------------------------


def measures(mapped: Mapped, file: str | None = None) -> list[Problem]:
    """Parts of the split on which nothing can be told: few rows, few of the rarer class, lists in which there is nothing to rank."""
    problems = []
    labels = mapped.table["label"] if "label" in mapped.table.column_names else None
    known = np.ones(len(mapped.split), bool) if labels is None else labels.is_valid().to_numpy()
    codes = None if labels is None or pa.types.is_nested(labels.type) else codes_of(as_text(labels))[0]
    lists = _lists(mapped)
    for part in ("validation", "test"):
        rows = np.flatnonzero((mapped.split == part) & known)
        if not len(rows):
            continue
        said = message(part)
        n, what = (len(np.unique(lists[rows])), message("lists")) if lists is not None else (len(rows), message("rows"))
        if n < SEEN:
            values = {"part": said, "n": n, "what": what}
            remedy = message("Smaller differences between two runs mean nothing there; give the part more rows if you can.")
            if lists is not None:  # a mean of measures, each of its own spread: Results and Compare say how well it is known
                why = message("The {part} split has {n} {what}: an average over them hangs on single ones.", **values)
                remedy = message("Look at the intervals on Results and Compare; give the part more lists if you can.")
            elif any(f.holds == "number" for f in mapped.kind.fields if f.type == "label"):  # an error in units of the label is no share
                why = message("The {part} split has {n} {what}: an average error over them hangs on single ones.", **values)
            else:
                why = message(
                    "The {part} split has {n} {what}: a share measured on them is known to ±{points} points only.",
                    **values,
                    points=points(n),
                )
            severity = Severity.WARNING if n < 100 else Severity.INFO
            problems.append(Problem(severity, f"small_{part}", why, remedy, file, count=n))
        if codes is not None and len(np.unique(codes[known])) == 2:
            rarer = np.bincount(codes[known]).argmin()
            positives = int((codes[rows] == rarer).sum())
            if positives < FEW:
                one = N_("The {part} split has 1 row of the rarer label: its measures hang on it.")
                many = N_("The {part} split has {n} rows of the rarer label: its measures hang on single rows.")
                why = message(plural(positives, one, many), part=said, n=positives)
                remedy = message("Split stratified by the label, or give the part more rows.")
                problems.append(Problem(Severity.WARNING, f"few_positives_{part}", why, remedy, file, count=positives))
        if lists is not None and codes is not None:
            problems += _empty_lists(lists[rows], codes[rows], said, part, file)
    return problems


SEEN, FEW = 200, 10
"""Rows from which a share is known to ±7 points; rows of the rarer label below which one row moves recall by ten points."""


def points(n: int) -> int:
    """Half the width of the 95 % interval of a share of one half on `n` rows, in points (normal approximation, at its widest)."""
    return round(100 * 1.96 * (0.25 / n) ** 0.5)


def _lists(mapped: Mapped) -> np.ndarray | None:
    """(N,) the list that each row is ranked in, for kinds that rank: that of the group, else of the text that is not ranked."""
    kind, names = mapped.kind, mapped.table.column_names
    if not kind.ranks:
        return None
    group = next((f.name for f in reversed(kind.fields) if f.type == "group" and f.name in names), None)
    given = next((f.name for f in kind.fields if f.type in ("text", "texts") and f.name != kind.ranks and f.name in names), None)
    name = group or given
    if name is None:
        return None
    column = mapped.table[name]
    if pa.types.is_list(column.type):
        column = pa.chunked_array([pa.array([None if v is None else " | ".join(map(str, v)) for v in column.to_pylist()])])
    return codes_of(as_text(column))[0]


def _empty_lists(lists: np.ndarray, codes: np.ndarray, said: Message, part: str, file: str | None) -> list[Problem]:
    _, of = np.unique(lists, return_inverse=True)
    sizes = np.bincount(of)
    grades = np.array([len(np.unique(pair)) for pair in np.split(codes[np.argsort(of, kind="stable")], np.cumsum(sizes)[:-1])])
    alone, equal = float((sizes == 1).mean()), float(((sizes > 1) & (grades == 1)).mean())
    problems = []
    remedy = message("Split by the query or dialogue, so that its rows stay together, and give each list right and wrong candidates.")
    if alone > 0.5:
        why = message(
            "{share:.0%} of the lists in {part} have one row: there is nothing to rank, and ranking metrics say nothing.",
            share=alone,
            part=said,
        )
        problems.append(Problem(Severity.WARNING, f"lists_of_one_{part}", why, remedy, file, count=int((sizes == 1).sum())))
    elif equal > 0.5:
        why = message(
            "{share:.0%} of the lists in {part} have one grade only: every order of them is equally good.", share=equal, part=said
        )
        problems.append(Problem(Severity.WARNING, f"one_grade_{part}", why, remedy, file, count=int((grades == 1).sum())))
    return problems


def naive(mapped: Mapped, options: Any, file: str | None = None) -> list[Problem]:
    """A main metric that the naive baseline of the kind has all but reached: there is nothing left to learn, or something leaks. Fitted
    on at most 2,000 rows, measured on at most 500 of validation."""
    kind, draw = mapped.kind, np.random.default_rng(0)
    rows = [np.flatnonzero(mapped.split == part) for part in ("train", "validation")]
    if kind.takes_logs or min(map(len, rows)) < 20:
        return []
    taken = np.sort(np.concatenate([draw.permutation(r)[:most] for r, most in zip(rows, (2000, 500), strict=True)]))
    table, split = mapped.table.take(pa.array(taken)), mapped.split[taken]
    spec = kind.rows.fit(table.filter(pa.array(split == "train")), options)
    try:
        figure = kind.rows.naive(table, split, spec, options, "validation").get(kind.primary)
    except ModuleNotFoundError:  # a machine with only what training needs: the library of this metric is for evaluations
        return []
    info = kind.main
    if figure is None or not info.higher_is_better or figure < SATURATED:
        return []
    why = message(
        "A naive baseline reaches {metric} {figure} already: the table is easy, or an input gives the label away.",
        metric=message(info.label),
        figure=f"{figure:.3f}",
    )
    return [Problem(Severity.WARNING, "saturated", why, message("Look at what the inputs hold; no model can be seen to be better."), file)]


SATURATED = 0.995


# -- what the encoder reads ---------------------------------------------------------------------------------------------------


def language(
    kind: TaskKind, table: pa.Table, columns: Mapping[str, Any], file: str | None = None, encoder: str = "minilm"
) -> list[Problem]:
    """Fields whose texts the encoder's tokenizer breaks to pieces. table: with a column a field."""
    given, problems = columns_of(kind.fields, columns), []
    for f in kind.fields:
        if f.type in ("text", "texts") and f.name in table.column_names:
            column = table[f.name]
            cells = column.take(pa.array(_spread(len(column)))).to_pylist()
            values = [str(v) for cell in cells for v in (cell if isinstance(cell, list) else [cell]) if v]
            if found := poorly_tokenised(values, encoder):
                problems.append(Problem(Severity.WARNING, "tokenizer", *found, file, column=", ".join(given.get(f.name, [f.name]))))
    return problems


def language_of(task: TaskConfig, dataset: Dataset, encoder: str) -> list[Problem]:
    """`language` of a task's table, by 400 of its rows; nothing where they have none of the task's fields to read."""
    kind, table = KINDS[task.kind], dataset.table()
    mapped, problems = map_columns(table.take(pa.array(_spread(table.num_rows))), kind.fields, task.columns, dataset.name)
    return [] if has_errors(problems) else language(kind, mapped, task.columns, dataset.name, encoder)


def cut(mapped: Mapped, columns: Mapping[str, Any], options: Any, file: str | None, encoder: EncoderConfig) -> list[Problem]:
    """Texts that are longer than what is read of them, by 400 rows as the kind writes them: pairs together, turns in one."""
    kind, most = mapped.kind, encoder.max_length
    used = np.flatnonzero(mapped.split != "")
    rows = used[_spread(len(used))] if len(used) else used
    training = pa.array(mapped.split[rows] == "train")
    tokenizer = tokenizer_of(encoder.name)
    if tokenizer is None or not pc.any(training).as_py():
        return []
    table, problems = mapped.table.take(pa.array(rows)), []
    encoded = kind.rows.encode(table, kind.rows.fit(table.filter(training), options), options)
    given = columns_of(kind.fields, columns)
    for slot in kind.rows.slots(options, table.column_names):
        if slot.reads == "ids" or slot.name not in encoded.column_names:
            continue
        texts = [_begun(cell, most) for cell in plain(encoded[slot.name]).to_pylist()]
        texts = [one for cell in texts for one in (cell if isinstance(cell, list) else [cell]) if any(one)]
        long = sum(len(one.ids) > most for one in tokenizer.encode_batch_fast(texts)) if texts else 0
        if not long:
            continue
        share = long / len(texts)
        why = message("{share:.0%} of the texts have more than {most} tokens; what stands behind is not read.", share=share, most=most)
        remedy = message("Raise the max sequence length of the encoder if the end matters; every step then takes longer.")
        names = given.get(slot.name) or [c for f in kind.fields if f.type in ("text", "texts") for c in given.get(f.name, ())]
        severity = Severity.WARNING if share >= MANY_CUT else Severity.INFO
        problems.append(Problem(severity, "texts_cut", why, remedy, file, column=", ".join(names)))
    return problems


MANY_CUT = 0.05


def _begun(cell: Any, most: int) -> Any:
    """A cell with its texts as far as `most` tokens could reach: a text, a list of texts, or a pair as a tuple."""
    if isinstance(cell, list):
        return [_begun(one, most) for one in cell]
    return tuple(_begun(one, most) for one in cell.values()) if isinstance(cell, dict) else (cell or "")[: 40 * most]


def _spread(n: int, most: int = 400) -> np.ndarray:
    return np.unique(np.linspace(0, max(n - 1, 0), min(n, most)).astype(np.int64))
