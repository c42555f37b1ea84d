"""Which language is chosen, and that what is shown can be translated. That catalogues are complete is in tests/contracts/test_words.py."""

import ast
import re
from pathlib import Path

import pytest

from mtl_core.base import language
from mtl_core.base.messages import message
from mtl_core.config.experiment import Experiment

EXTRACTED = {entry.id for entry in language.extract() if entry.id}


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (("zh", "en-US"), "zh"),
        ((None, "zh-Hans-CN"), "zh"),
        ((None, "zh_TW"), "zh"),
        (("fr", "de-DE"), "en"),
        (("tlh", "en-GB"), "en"),
        ((None, None), "en"),
        (("", "../../etc"), "en"),
    ],
)
def test_choose_takes_the_first_language_there_is(wanted: tuple[str | None, ...], code: str) -> None:
    assert language.choose(*wanted) == code


def test_every_language_but_the_first_has_a_catalogue() -> None:
    assert list(language.LOCALES) == list(language.LANGUAGES)[1:]
    assert all(language.catalogue_path(code).exists() for code in language.LOCALES)


def test_translator_knows_the_catalogue_and_falls_back_to_english() -> None:
    assert language.translator("zh")("Language") == "语言"
    assert language.translator("en")("Language") == "Language"
    assert language.translator("zh")("a sentence nobody wrote") == "a sentence nobody wrote"
    assert language.translator("zh")("") == ""


def test_message_is_translated_with_its_values() -> None:
    assert message("line {line}", line=7).text(language.translator("zh")) == "第 7 行"


def test_chinese_is_chinese() -> None:
    """A sentence of several words that stayed without a Chinese character was forgotten."""
    entries = [(entry.id, entry.string) for entry in language.read_catalogue("zh") if entry.id]
    assert [text for text, translated in entries if " " in text.strip() and not any("一" <= c <= "鿿" for c in translated)] == []


def _descriptions(model: type) -> list[str]:
    return [field.description for field in model.model_fields.values() if field.description]


def test_help_texts_of_the_experiment_are_in_the_catalogues() -> None:
    texts = [text for part in (Experiment, *_models(Experiment)) for text in _descriptions(part)]
    assert len(texts) > 50
    assert [text for text in texts if text not in EXTRACTED] == []


def _models(model: type) -> list[type]:
    from typing import get_args

    from pydantic import BaseModel

    found: list[type] = []
    for field in model.model_fields.values():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel) and part not in found:
                found += [part, *_models(part)]
    return found


def test_only_whole_sentences_are_marked() -> None:
    """`_(f"…")` and `_("…" + x)` cannot be extracted: the values belong into `.format` or `message`."""
    wrong = []
    for file in language.python_files():
        calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call) and node.args]
        marked = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id in language.MARKS]
        wrong += [f"{file.name}:{node.lineno}" for node in marked if isinstance(node.args[0], (ast.JoinedStr, ast.BinOp))]
    assert wrong == []


def test_update_keeps_translations_and_drops_what_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "pages" / "one.py"
    page.parent.mkdir()
    page.write_text('_("Stay")\n_("New {n}")\n', encoding="utf-8")
    path = tmp_path / "zh.po"
    path.write_text(language.HEADER.format(locale="zh_CN") + 'msgid "Stay"\nmsgstr "留"\n\nmsgid "Gone"\nmsgstr "走"\n', encoding="utf-8")
    monkeypatch.setattr(language, "ROOT", tmp_path)
    monkeypatch.setattr(language, "LOCALES", {"zh": "zh_CN"})
    monkeypatch.setattr(language, "catalogue_path", lambda code: tmp_path / f"{code}.po")

    assert language.update() == {"zh": ["New {n}"]}
    assert {e.id: e.string for e in language.read_catalogue("zh") if e.id} == {"Stay": "留", "New {n}": ""}


def test_chinese_has_one_you_and_the_signs_of_its_own_writing() -> None:
    """您, never 你; no sign of English writing behind a Chinese character."""
    entries = [entry.string for entry in language.read_catalogue("zh") if entry.id]
    assert [text for text in entries if "你" in text] == []
    assert [text for text in entries if re.search(r"[一-鿿）”▼][:,;?!]", text)] == []
