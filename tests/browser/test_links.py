"""Links are permanent: a copied URL shows the same in a fresh window. And the journey of Predict on one screen."""

import io
import re
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
import yaml
from playwright.sync_api import Browser, Locator, Page, expect

from mtl_core.base.workspace import Workspace
from mtl_core.config import drafts
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.data.upload import save_upload
from mtl_core.jobs import jobs
from mtl_core.tracking import keeping
from mtl_core.tracking.runs import run
from tests.browser.conftest import ROOT, WAIT, Server, drawn, open_page, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(server: Server, tiny_encoder: Path) -> list[str]:
    """Two runs of a few steps on two tables of the sample shop, the older one in use."""
    shop = yaml.safe_load((ROOT / "data" / "shop.yaml").read_text(encoding="utf-8"))
    tasks = {name: shop["tasks"][name] for name in ("search", "intent")}
    values = {
        "data": {name: shop["data"][name] for name in {task["data"] for task in tasks.values()}},
        "tasks": tasks,
        "encoder": {"name": str(tiny_encoder), "max_length": 16},
        "training": {"steps": 3, "batch_size": 16, "max_validation_rows": 50, "device": "cpu"},
    }
    workspace = Workspace(server.workspace)
    found = []
    for name in ("older", "newer"):
        found.append(jobs().submit(experiment_from_dict({"name": name, **values}), workspace, ROOT / "data"))
        assert jobs().wait(found[-1], timeout=150)
    keeping.use(workspace, run(workspace, found[0]))
    return found


@pytest.fixture(scope="module")
def table(server: Server) -> str:
    """The stored name of a table of one's own, of which a task is made."""
    workspace = Workspace(server.workspace)
    lines = "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(60))
    stored = save_upload(io.BytesIO(("text,label\n" + lines).encode()), "moods.csv", workspace).name
    task = {"kind": "classification", "columns": {"text": "text", "label": "label"}, "weight": 1.0}
    data = {"file": f"uploads/{stored}", "split": {"by": "random"}}
    drafts.update(workspace, lambda draft: draft.with_task("mood", task, "moods", data, None))
    return stored


@pytest.fixture
def wide(browser: Browser) -> Page:
    context = browser.new_context(locale="en-US", viewport={"width": 1440, "height": 900})
    context.set_default_timeout(WAIT)
    yield context.new_page()
    context.close()


def in_sight(where: Locator) -> None:
    """Without scrolling, whole."""
    expect(where).to_be_visible()
    expect(where).to_be_in_viewport(ratio=1)


def main_text(tab: Page) -> str:
    return tab.get_by_test_id("stMain").inner_text()


def test_predict_on_one_screen(wide: Page, server: Server, trained: list[str]) -> None:
    open_page(wide, server, "predict", task="intent")
    assert parse_qs(urlparse(wide.url).query)["run"] == [trained[0]]  # the one in use, not the newest
    wide.get_by_role("button", name="One it got wrong").click()
    expect(wide.get_by_text(re.compile("^Line .* says: intent"))).to_be_visible()
    drawn(wide)
    answer = wide.get_by_test_id("stMetric").first
    in_sight(answer)
    in_sight(wide.get_by_text(re.compile("^Line .* says: intent")))
    label = wide.get_by_text(re.compile("^Line .* says: intent")).locator("strong").inner_text()
    assert label not in answer.inner_text()
    message = wide.get_by_role("textbox", name="message")
    assert message.input_value()
    row = parse_qs(urlparse(wide.url).query)["row"]
    assert row and row[0].isdigit()

    message.fill("")
    wide.get_by_role("button", name="Predict", exact=True).click()
    expect(wide.get_by_text("Fill in at least one field.")).to_be_visible()
    expect(wide.get_by_test_id("stMetric")).to_have_count(0)
    drawn(wide)
    assert "row=" not in wide.url


def test_a_link_of_a_page_shows_what_it_says(wide: Page, server: Server, trained: list[str]) -> None:
    """The browser forgets its widgets at a change of page: those of the link and the language are told it anew."""
    open_page(wide, server, "predict", run=trained[1])
    open_page(wide, server, "train", run=trained[0])
    wide.get_by_test_id("stMain").get_by_role("link", name="Predict").click()
    expect(wide.get_by_role("heading", level=1, name="Predict")).to_be_visible()
    drawn(wide)
    expect(wide.get_by_role("combobox", name="Run")).to_have_value(re.compile("^older"))
    assert parse_qs(urlparse(wide.url).query)["run"] == [trained[0]]
    expect(wide.get_by_role("radio", name="English")).to_be_checked()


def test_a_copied_link_shows_the_same(wide: Page, browser: Browser, server: Server, trained: list[str], table: str) -> None:
    def predicted() -> None:
        open_page(wide, server, "predict", run=trained[1], task="intent")
        wide.get_by_role("textbox", name="message").fill("where is my parcel?")
        wide.get_by_role("button", name="Predict", exact=True).click()
        expect(wide.get_by_test_id("stMetric").first).to_be_visible()

    def a_row() -> None:
        open_page(wide, server, "predict", task="intent")
        wide.get_by_role("button", name="Random").click()
        expect(wide.get_by_test_id("stMetric").first).to_be_visible()

    def searched() -> None:
        open_page(wide, server, "runs")
        wide.get_by_role("textbox", name="Search").fill("older")
        wide.get_by_role("textbox", name="Search").press("Enter")
        wide.wait_for_url(re.compile("find=older"))

    def compared() -> None:
        open_page(wide, server, "compare")
        wide.wait_for_url(re.compile("runs=.*baseline="))

    def ticked() -> None:
        open_page(wide, server, "runs", chosen=trained[0])
        expect(wide.get_by_role("button", name="Name and note")).to_be_visible()

    def ranked() -> None:
        open_page(wide, server, "predict", run=trained[1], task="search", view="rank", entries="25")
        expect(wide.get_by_role("slider", name="Entries to show")).to_have_value("25")

    def a_source() -> None:
        open_page(wide, server, "train")
        wide.get_by_role("radio", name="Whole sample shop").click()
        wide.wait_for_url(re.compile("from=whole"))
        expect(wide.get_by_role("button", name="Start training")).to_be_enabled()

    def a_tab_of_a_run() -> None:
        open_page(wide, server, "train", run=trained[1])
        wide.get_by_role("radio", name="Weights").click()
        wide.wait_for_url(re.compile("curve=weight"))

    def results_of_a_run() -> None:
        open_page(wide, server, "train", run=trained[1])
        wide.get_by_role("tab", name="Results").click()
        wide.wait_for_url(re.compile("view=results"))

    def a_table() -> None:
        open_page(wide, server, "data", table=table)
        expect(wide.get_by_role("button", name="Add task")).to_be_visible()

    def a_task() -> None:
        open_page(wide, server, "data", task="mood")
        expect(wide.get_by_role("button", name="Save changes")).to_be_visible()

    pages = (predicted, a_row, searched, compared, ticked, ranked, a_source, a_tab_of_a_run, results_of_a_run, a_table, a_task)
    for prepare in pages:
        prepare()
        drawn(wide)
        fresh = browser.new_context(locale="en-US", viewport={"width": 1440, "height": 900})
        fresh.set_default_timeout(WAIT)
        other = fresh.new_page()
        other.goto(wide.url)
        expect(other.get_by_role("heading", level=1)).to_be_visible()
        drawn(other)
        wait_until(lambda other=other: main_text(other) == main_text(wide), f"the same screen at {wide.url}")
        values = "() => [...document.querySelectorAll('input, textarea')].map(e => e.value)"
        assert other.evaluate(values) == wide.evaluate(values)
        assert parse_qs(urlparse(other.url).query) == parse_qs(urlparse(wide.url).query)
        fresh.close()


def test_back_leads_to_what_was_shown_before(wide: Page, server: Server, trained: list[str]) -> None:
    """One press a change, whatever else it changed in the URL; and forward again."""
    open_page(wide, server, "predict", run=trained[1], task="intent")
    drawn(wide)
    wide.get_by_role("button", name="Random").click()
    expect(wide.get_by_test_id("stMetric").first).to_be_visible()
    drawn(wide)
    asked = wide.get_by_role("textbox", name="message").input_value()
    task = wide.get_by_role("combobox", name="Task")
    task.click()
    wide.get_by_role("option", name="search", exact=True).click()
    wide.wait_for_url(re.compile("task=search"))
    drawn(wide)
    assert "row=" not in wide.url
    wide.go_back()
    expect(task).to_have_value("intent")
    expect(wide.get_by_role("textbox", name="message")).to_have_value(asked)
    drawn(wide)
    assert "task=intent" in wide.url and "row=" in wide.url
    wide.go_forward()
    expect(task).to_have_value("search")
    drawn(wide)
    assert "task=search" in wide.url

    open_page(wide, server, "compare", runs=f"{trained[0]}&runs={trained[1]}")
    wide.wait_for_url(re.compile("below=rows"))
    entries = "() => history.length"
    before = wide.evaluate(entries)
    wide.get_by_role("radio", name="All metrics").click()
    wide.wait_for_url(re.compile("below=all"))
    drawn(wide)
    assert wide.evaluate(entries) == before + 1
    wide.go_back()
    expect(wide.get_by_role("radio", name="Rows answered differently")).to_be_checked()
    drawn(wide)
    assert "below=rows" in wide.url


def test_back_and_the_navigation_lead_out_of_what_is_open(wide: Page, server: Server, table: str) -> None:
    """On the page Data: a table, a task by Edit; one press, and forward again."""
    add, change = wide.get_by_role("button", name="Add task"), wide.get_by_role("button", name="Save changes")
    tables = wide.get_by_role("heading", name="Your tables and tasks")
    open_page(wide, server, "data")
    expect(tables).to_be_visible()
    drawn(wide)
    for press, opened, query in (("New task", add, f"table={table}"), ("Edit", change, "task=mood")):
        before = wide.evaluate("() => history.length")
        wide.get_by_role("button", name=press).first.click()
        expect(opened).to_be_visible()
        wide.wait_for_url(re.compile("kind="))
        drawn(wide)
        assert query in wide.url
        assert query == "task=mood" or wide.evaluate("() => history.length") == before + 1
        wide.go_back()
        expect(tables).to_be_visible()
        expect(opened).to_have_count(0)
        drawn(wide)
        assert query not in wide.url and "kind=" not in wide.url
        wide.go_forward()
        expect(opened).to_be_visible()
        drawn(wide)
        assert query in wide.url
        for place in ("Runs", "Data"):
            wide.get_by_test_id("stTopNavLink").filter(has_text=place).click()
            expect(wide.get_by_role("heading", level=1, name=place)).to_be_visible()
            drawn(wide)
        expect(tables).to_be_visible()
        expect(opened).to_have_count(0)
        drawn(wide)
        assert query not in wide.url

    wide.get_by_role("button", name="Edit").first.click()
    expect(change).to_be_visible()
    drawn(wide)
    wide.get_by_role("button", name="All tables").click()
    expect(tables).to_be_visible()
    drawn(wide)
    assert "task=" not in wide.url and "kind=" not in wide.url
    wide.go_back()
    expect(change).to_be_visible()


@pytest.mark.parametrize(
    ("page", "query", "said"),
    [
        ("predict", {"run": "000000000000"}, "There is no run “000000000000” in this workspace."),
        ("predict", {"task": "nothing"}, "This run has no task “nothing”."),
        ("predict", {"task": "intent", "row": "999999"}, "The table of the task “intent” has no row 999999."),
        ("compare", {"runs": "000000000000"}, "There is no run “000000000000” in this workspace."),
        ("train", {"run": "000000000000"}, "There is no run “000000000000” in this workspace."),
        ("data", {"table": "gone.csv"}, "There is no table “gone.csv” in this workspace."),
        ("data", {"task": "nothing"}, "There is no task “nothing” among your tasks."),
        ("runs", {"chosen": "000000000000"}, "There is no run “000000000000” in this workspace."),
        ("runs", {"states": "asleep"}, "The link asks for states = “asleep”, which is not there."),
    ],
)
def test_what_a_link_asks_for_in_vain_is_said(
    wide: Page, server: Server, trained: list[str], page: str, query: dict[str, str], said: str
) -> None:
    open_page(wide, server, page, **query)
    expect(wide.get_by_test_id("stAlert").filter(has_text=said)).to_be_visible()
