"""What every page must keep to, in every language. A new page or language needs no line here."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mtl_core.base.language import LANGUAGES, translator
from pages.parts.frame import PAGES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_in_an_empty_workspace(name: str, code: str) -> None:
    at = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=60)
    at.query_params["lang"] = code
    at.run()
    assert not at.exception, at.exception
    assert at.title and at.segmented_control(key="lang").value == code
    title, _icon = PAGES[name]
    assert code == "en" or translator(code)(title) != title
