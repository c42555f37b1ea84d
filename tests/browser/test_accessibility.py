"""Every page, light and dark, held against the rules of axe-core: contrast, names, roles, order of what is read aloud."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

import mtl_core as mtl
from tests.browser.conftest import WAIT, Server, open_page

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Iterator[tuple[Server, dict[str, dict[str, Any]]]]:
    """A server as the README starts it, with two short runs. Yields it and page → parameters of what is looked at."""
    server = Server(tmp_path_factory.mktemp("accessible") / "workspace")
    short = {"encoder.name": str(tiny_encoder), "encoder.max_length": 16, "training.steps": 4, "training.batch_size": 8}
    runs = [
        mtl.train(mtl.SAMPLE_SHOP / "shop.yaml", settings={**short, "tasks.intent.weight": weight}, workspace=server.workspace).id
        for weight in (1, 2)
    ]
    server.start()
    yield (
        server,
        {
            "": {},
            "data": {"source": "sample"},
            "train": {"from": "sample"},
            "train (run)": {"run": runs[0]},
            "compare": {"runs": "&runs=".join(runs)},
            "predict": {"run": runs[0]},
        },
    )
    server.kill()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_violation(browser: Browser, shop: tuple[Server, dict[str, dict[str, Any]]], scheme: Any) -> None:
    server, pages = shop
    context = browser.new_context(locale="en-US", viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(WAIT)
    tab = context.new_page()
    found = []
    for page, parameters in pages.items():
        open_page(tab, server, page.split()[0] if page else "", **parameters)
        if scheme == "dark":  # the browser tells its theme after the first drawing
            tab.wait_for_function("() => [...document.querySelectorAll('style')].some(s => s.textContent.includes('stSliderThumbValue'))")
        expect(tab.get_by_test_id("stSkeleton")).to_have_count(0)  # what still loads is not the page
        expect(tab.get_by_test_id("stAppDeployButton")).to_have_count(0)
        for violation in Axe().run(tab).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found += [f"{page or 'home'}: {violation['help']}: {node['html'][:200]}" for node in violation["nodes"]]
    context.close()
    assert not found, "\n".join(found)
