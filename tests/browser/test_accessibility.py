"""Every page, light and dark, held against the rules of axe-core: contrast, names, roles, order of what is read aloud."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

import mtl_core as mtl
from tests.browser.conftest import WAIT, Server, open_page
from tests.browser.test_journeys import start, stop
from tests.browser.test_one_screen import experiment

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
        themed(tab, scheme)
        expect(tab.get_by_test_id("stAppDeployButton")).to_have_count(0)
        found += violations(tab, page or "home")
    context.close()
    assert not found, "\n".join(found)


def test_no_serious_violation_while_a_run_trains(tab: Page, shop: tuple[Server, Any], tmp_path: Path, tiny_encoder: Path) -> None:
    server, _pages = shop
    tab.set_viewport_size({"width": 1440, "height": 900})
    run_id = start(tab, server, experiment(tmp_path, server, tiny_encoder, 3))
    found = []
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        open_page(tab, server, "train", run=run_id)
        themed(tab, scheme)
        expect(tab.locator(".js-plotly-plot")).not_to_have_count(0)
        found += violations(tab, f"running, {scheme}")
    stop(tab)
    assert not found, "\n".join(found)


def themed(tab: Page, scheme: str) -> None:
    """The browser tells its theme after the first drawing."""
    if scheme == "dark":
        tab.wait_for_function("() => [...document.querySelectorAll('style')].some(s => s.textContent.includes('stSliderThumbValue'))")


def violations(tab: Page, where: str) -> list[str]:
    """Those that axe-core calls serious or critical, in words."""
    expect(tab.get_by_test_id("stSkeleton")).to_have_count(0)  # what still loads is not the page
    found = [v for v in Axe().run(tab).response["violations"] if v["impact"] in ("serious", "critical")]
    return [f"{where}: {violation['help']}: {node['html'][:200]}" for violation in found for node in violation["nodes"]]
