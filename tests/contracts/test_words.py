"""What every named thing says of itself: complete, marked for translation, with typed options; and what every language must have."""

import json
from typing import Any

import pytest

from mtl_core.balancing import BALANCING
from mtl_core.base import language
from mtl_core.base.settings import widgets
from mtl_core.data.shares import SAMPLING
from mtl_core.model.sharing import SHARING
from mtl_core.tasks import KINDS

EXTRACTED = {entry.id for entry in language.extract() if entry.id}
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
