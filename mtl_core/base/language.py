"""Which language a person reads, and the catalogues. English sentences are the keys, so that English needs no catalogue; the `.po` files
are read as they are.

After a sentence was added or changed, `python -m mtl_core.base.language` brings the catalogues up to date and lists what to translate.
"""

import ast
import functools
import gettext
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from mtl_core.base.messages import Translate

LANGUAGES = {"en": "English", "zh": "简体中文"}
"""Code in the URL → its name in itself. The first is the one for everybody else."""

LOCALES = {"zh": "zh_CN"}
"""Code → the folder of its catalogue, for all languages but the first."""
ROOT = Path(__file__).parents[2]
SOURCES = ("app.py", "pages", "mtl_core")
MARKS = ("_", "N_", "translate", "message")
HEADER = 'msgid ""\nmsgstr ""\n"Language: {locale}\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
_FIELD = re.compile(r"(?<!{){([^{}]*)}(?!})")


def choose(*wanted: str | None) -> str:
    """The first of `wanted` (codes as in a URL, `zh`, or as of a browser, `zh-Hans-CN`) that there is, else English."""
    for tag in wanted:
        code = re.split(r"[-_]", tag or "")[0].lower()
        if code in LANGUAGES:
            return code
    return next(iter(LANGUAGES))


@functools.cache
def translator(code: str) -> Translate:
    """English sentence → the sentence in the language `code`; English where the catalogue has none.

    Raises KeyError: a code that is not in LANGUAGES.
    """
    if code == next(iter(LANGUAGES)):  # the sentences are written in it
        return str
    compiled = io.BytesIO()
    write_mo(compiled, read_catalogue(code))
    compiled.seek(0)
    translations = gettext.GNUTranslations(compiled)
    return lambda text: translations.gettext(text) if text else ""  # the empty key holds the catalogue's header


def catalogue_path(code: str) -> Path:
    return Path(__file__).parents[1] / "locale" / LOCALES[code] / "LC_MESSAGES" / "workbench.po"


def read_catalogue(code: str) -> Catalog:
    with catalogue_path(code).open("rb") as file:
        return read_po(file, locale=LOCALES[code], domain="workbench")


def extract() -> Catalog:
    """Every sentence that the program can show: the first argument of `_`, `N_`, `translate` and `message` in SOURCES, also within an
    f-string, where Babel's own extraction does not look before Python 3.12."""
    catalogue = Catalog()
    for file in python_files():
        where = file.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS and node.args):
                continue
            if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                catalogue.add(node.args[0].value, locations=[(where, 0)])
    return catalogue


def update() -> dict[str, list[str]]:
    """Rewrites the catalogues: new sentences are added, gone ones removed. Returns code → what has no translation."""
    template = extract()
    missing = {}
    for code, locale in LOCALES.items():
        path = catalogue_path(code)
        path.parent.mkdir(parents=True, exist_ok=True)
        old = read_catalogue(code) if path.exists() else Catalog()
        new = Catalog()
        for entry in template:
            kept = old.get(entry.id)
            new.add(entry.id, kept.string if kept else "", locations=entry.locations).flags.clear()
        content = io.BytesIO()
        write_po(content, new, width=0, sort_output=True, include_lineno=False, omit_header=True)
        path.write_bytes(HEADER.format(locale=locale).encode() + content.getvalue())
        missing[code] = [str(entry.id) for entry in new if entry.id and not entry.string]
    return missing


def places(text: str) -> set[str]:
    """The names of the `{name}` places of a sentence, without their formats."""
    return {match.split(":")[0].split("!")[0] for match in _FIELD.findall(text)}


def python_files() -> Iterator[Path]:
    """The program's own files, in order."""
    for source in SOURCES:
        path = ROOT / source
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.exists() else []


if __name__ == "__main__":
    untranslated = update()
    for code, texts in untranslated.items():
        sys.stdout.write(f"{code}: {len(texts)} without translation\n")
        sys.stdout.writelines(f"  {text}\n" for text in texts)
