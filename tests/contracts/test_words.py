"""What every named thing says of itself: complete, marked for translation, with typed options; and what every language must have."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from mtl_core.balancing import BALANCING
from mtl_core.base import language
from mtl_core.base.messages import message
from mtl_core.base.settings import is_model, required, widgets
from mtl_core.base.singular import ONE
from mtl_core.config.experiment import Experiment
from mtl_core.config.parts import OptimizerConfig, TrainingConfig
from mtl_core.data.shares import SAMPLING
from mtl_core.model.sharing import SHARING
from mtl_core.tasks import KINDS

EXTRACTED = {entry.id for entry in language.extract() if entry.id}
SAME_IN_EVERY_LANGUAGE = {"float32", "bfloat16", "CPU"}
NAMED: dict[str, Any] = {
    f"{registry}: {name}": entry
    for registry, entries in (("kind", KINDS), ("balancing", BALANCING), ("sampling", SAMPLING), ("sharing", SHARING))
    for name, entry in entries.items()
}
every_entry = pytest.mark.parametrize("entry", NAMED.values(), ids=NAMED)


@every_entry
def test_an_entry_says_what_it_is(entry: Any) -> None:
    texts = [entry.label, entry.help]
    if entry in BALANCING.values():
        texts.append(entry.slider)
    if entry in KINDS.values():
        texts += [text for field in entry.fields for text in (field.label, field.help)]
        texts += [text for metric in entry.metrics for text in (metric.label, metric.help)]
        texts += [field.label for field in entry.answer_fields.values()]
    assert all(texts)
    assert [text for text in texts if text not in EXTRACTED] == [], "mark it with N_"
    assert entry.help.endswith(".")
    assert not getattr(entry, "source", "") or ", https://" in entry.source, "the paper's title, and its link"


@every_entry
def test_its_options_are_complete(entry: Any) -> None:
    """Each has a title, a sentence, a default within its bounds, and where it is a number, bounds."""
    assert json.loads(entry.Options().model_dump_json()) == entry.Options().model_dump()
    for widget in widgets(entry.Options):
        info = entry.Options.model_fields[widget.path]
        assert info.title in EXTRACTED and info.description in EXTRACTED, widget.path
        if widget.type in ("int", "float"):
            low, high = widget.bounds
            assert low is not None and high is not None and low < high, f"{widget.path} has no bounds"
            assert widget.default is None or low <= widget.default <= high


@pytest.mark.parametrize("code", language.LOCALES)
def test_a_catalogue_is_complete_and_has_nothing_else(code: str) -> None:
    catalogue = {entry.id: entry.string for entry in language.read_catalogue(code) if entry.id}
    assert sorted(EXTRACTED - set(catalogue)) == [], "run `python -m mtl_core.base.language`"
    assert sorted(set(catalogue) - EXTRACTED) == [], "run `python -m mtl_core.base.language`"
    assert [text for text, translated in catalogue.items() if not translated.strip()] == []


@pytest.mark.parametrize("code", language.LOCALES)
def test_translations_keep_the_places(code: str) -> None:
    entries = [(entry.id, entry.string) for entry in language.read_catalogue(code) if entry.id]
    assert [text for text, translated in entries if language.places(text) != language.places(translated)] == []


@pytest.mark.parametrize("code", language.LANGUAGES)
def test_a_language_is_chosen_by_its_code(code: str) -> None:
    assert language.choose(code) == code
    assert language.translator(code)("Language")
    assert (code in language.LOCALES) == (code != next(iter(language.LANGUAGES)))


def _fields(model: Any, where: str) -> Iterator[tuple[str, str, Any]]:
    """Every field of a model and of the models in it, with its name."""
    for name, info in model.model_fields.items():
        inner = required(info.annotation)
        for part in (inner, *get_args(inner)):
            if is_model(part):
                yield from _fields(part, f"{where}.{name}")
        yield f"{where}.{name}", inner, info


FIELDS = [
    field for model in (Experiment, *dict.fromkeys(entry.Options for entry in NAMED.values())) for field in _fields(model, model.__name__)
]


def test_every_choice_has_words() -> None:
    """An id is for files: whoever chooses reads words, in every language."""
    literal = [(where, inner, info) for where, inner, info in FIELDS if get_origin(inner) is Literal]
    assert len(literal) > 30
    for where, inner, info in literal:
        labels = (info.json_schema_extra or {}).get("choices", {})
        assert set(labels) == set(map(str, get_args(inner))), f"{where}: json_schema_extra={{'choices': {{id: N_(words)}}}}"
        assert [label for label in labels.values() if label not in EXTRACTED and label not in SAME_IN_EVERY_LANGUAGE] == [], where
        assert not [label for label in labels.values() if "_" in label], where


def test_a_zero_that_means_off_says_so() -> None:
    coded = [(where, info) for where, _, info in FIELDS if re.search(r"\b0: (off|no |none|never|all[.;]|ten )", info.description or "")]
    assert len(coded) >= 3
    for where, info in coded:
        assert (info.json_schema_extra or {}).get("zero") in EXTRACTED, f"{where}: json_schema_extra={{'zero': N_('off')}}"


def test_stops_lie_within_the_bounds() -> None:
    for model in (OptimizerConfig, TrainingConfig, *dict.fromkeys(entry.Options for entry in NAMED.values())):
        for widget in widgets(model):
            if stops := widget.slider():
                low, high = widget.bounds
                assert list(stops) == sorted(set(stops)), widget.path
                assert low is not None and high is not None and stops[-1] <= high, widget.path
                assert stops[0] > low or (stops[0] == low and not widget.above), widget.path


COUNT = re.compile(
    r"\{(n|rows|columns|count|done|steps|evaluations|examples|passes|seeds|runs|tasks)(:[^}]*)?\}(?: of \{\w+[^}]*\})?"
    r"(?: [a-z-]+){0,2}? [a-z-]+s\b"
)
NEVER_ONE = {
    "Rows of {tasks} were seen more than {n} times each. Check whether the validation loss rises; other ways of sampling repeat less.",
    "The first {n} classes. Name others with the command “runs --name-classes”.",  # a constant
    "Mean of the last {n} measurements ± half the 95 % confidence interval. A cosine similarity between -{least} and {least} is too small "
    "to count, however sure it is.",  # from 2 on
    "measured while other programs used {n} cores",  # with a decimal
    "Tasks whose metric takes long have {n:,} draws.",
    "95 % intervals by a paired bootstrap: {n:,} draws of the rows that both have; p values by Holm's procedure over the tasks.",
    "{n} changes",
    "{run} · {n} seeds",
    "{run} · {n} runs",
    "no significant difference on {n:,} groups",  # of fewer than five units nothing is said
    "Each of the {count} training rows has a class of its own.",
    "There are {count} classes; training needs memory for each, and rare ones are hard to learn.",
    "There are {count} tags; every row needs memory for each, and rare ones are hard to learn.",
    "{count} distinct values",
    "“{label}” has {count} distinct values; the categories are read as text.",
    "“{label}” holds several of {count} tags in a cell.",
    "{count} columns of yes and no stand beside “{text}”: a tag each.",
    "Where it is {usual}, in {rows} rows, “{label}” is “{name}” in {share:.1%} of them, but in {known:.0%} of all rows.",  # from 20 on
    "Where it is not {usual}, in {rows} rows, “{label}” is “{name}” in {share:.1%} of them, but in {known:.0%} of all rows.",
    "significant alone, not after Holm's correction ({n} tasks)",
    "{said} Significant alone, but not after Holm's correction ({n} tasks): {tasks}.",
    "Answered differently: {n:,} of {of:,} rows; the surest come first.",
    "Answered differently: {n:,} of {of:,} rows; the largest differences come first.",
}


@pytest.mark.parametrize("file", [f for f in language.python_files() if f.name != "singular.py"], ids=lambda f: f.stem)
def test_one_thing_is_said_in_the_singular(file: Path) -> None:
    """A sentence with a number before a plural is chosen by `plural` or has its singular in `ONE`, unless the number is never 1."""
    assert all(COUNT.search(text) for text in NEVER_ONE), "what needs no exception is none"
    chosen, marked = set(), set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            texts = {leaf.value for part in node.args for leaf in ast.walk(part) if isinstance(leaf, ast.Constant)}
            if node.func.id == "plural":
                chosen |= texts
            elif node.func.id in language.MARKS and node.args and isinstance(node.args[0], ast.Constant):
                marked.add(node.args[0].value)
    assert sorted(text for text in marked - chosen - NEVER_ONE - ONE.keys() if COUNT.search(text)) == []


def test_singulars_belong_to_sentences_and_lack_their_number_alone() -> None:
    assert sorted(ONE.keys() - EXTRACTED) == [], "a sentence that is no more"
    for many, one in ONE.items():
        lacking = language.places(many) - language.places(one)
        assert len(lacking) == 1 and not language.places(one) - language.places(many), many
    several = "{count} of {of} rows have no label."
    assert str(message(several, count=2, of=9)) == "2 of 9 rows have no label."
    assert str(message(several, count=1, of=9)) == "1 of 9 rows has no label."
    assert message(several, count=1, of=9).text(language.translator("zh")).startswith("9 行中有 1 行")


def test_no_cell_is_called_none() -> None:
    """Every table is drawn by `cells.table`, which says what stands where there is no value."""
    drawn = [
        f"{file.name}:{node.lineno}"
        for file in language.python_files()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("dataframe", "data_editor") and file.name != "cells.py"
    ]
    assert drawn == []
