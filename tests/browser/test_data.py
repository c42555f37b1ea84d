"""From five files to a started training, as a person does it whose suggestions are right."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mtl_core.config.experiment import experiment_from_yaml
from tests.browser.conftest import Server, drawn, open_page
from tests.browser.test_journeys import started, stop

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

COUNT = "window.clicks = 0; document.addEventListener('click', event => { if (event.isTrusted) window.clicks += 1 }, true)"
MESSAGES = {"refund": "please send my money back", "delivery": "where is my parcel now", "praise": "lovely shop thank you"}
PRODUCTS = {"shoes": "red shoe", "shirts": "blue shirt", "hats": "green hat"}
TABLES: dict[str, tuple[list[str], list[list[object]]]] = {
    "messages": (["message", "intent"], [[f"{MESSAGES[k]} {i}", k] for i, k in enumerate([*MESSAGES] * 50)]),
    "products": (["title", "category"], [[f"{PRODUCTS[k]} model {i}", k] for i, k in enumerate([*PRODUCTS] * 50)]),
    "reviews": (["review", "sentiment"], [[f"{['bad', 'good'][i % 2]} thing {i}", ["negative", "positive"][i % 2]] for i in range(150)]),
    "searches": (
        ["query", "product", "relevance"],
        [[f"thing {i // 5}", f"product {i} of {i // 5 if i % 2 else 99}", i % 2] for i in range(150)],
    ),
    "prices": (
        ["description", "price"],
        [[f"{['tin', 'gold'][i % 2]} ring with stone {i}", 10.5 + i % 2 * 90 + i % 7 / 2] for i in range(150)],
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("five")
    for name, (header, rows) in TABLES.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
    return sorted(folder.iterdir())


def test_from_five_files_to_a_started_training_in_ten_clicks(tab: Page, server: Server, files: list[Path]) -> None:
    tab.add_init_script(COUNT)
    open_page(tab, server, "data")
    tab.locator("input[type=file]").set_input_files(files)  # a click on Upload, and one on Open in the browser's own dialog
    tab.get_by_role("button", name="Add 5 suggested tasks").click()
    expect(tab.get_by_text("Tasks added: 5")).to_be_visible()
    drawn(tab)
    tab.get_by_role("button", name="Train these tasks").click()
    tab.get_by_role("button", name="Start training").click()
    started(tab, server)
    assert 2 + tab.evaluate("window.clicks") <= 10
    (run,) = (server.workspace / "runs").iterdir()
    assert list(experiment_from_yaml((run / "experiment.yaml").read_text(encoding="utf-8")).tasks) == sorted(TABLES)
    stop(tab)

    open_page(tab, server, "data")
    tab.locator("label").filter(has=tab.get_by_role("checkbox", name="Select prices.csv")).click()
    tab.get_by_role("button", name="Delete the selected (1) …").click()
    expect(tab.get_by_role("dialog")).to_contain_text("deleted with it: prices")
    tab.get_by_role("dialog").get_by_role("button", name="Move to the trash").click()
    expect(tab.get_by_role("dialog")).to_have_count(0)
    expect(tab.get_by_text("In the trash: prices.csv")).to_be_visible()
    tab.get_by_role("button", name="Undo").click()
    expect(tab.get_by_role("checkbox", name="Select prices.csv")).to_be_visible()
    drawn(tab)
