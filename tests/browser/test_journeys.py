"""What a person does, from a table to a prediction, in a real browser against the real server."""

import csv
import re
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
import yaml
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Server, drawn, open_page, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

HTML = "<img src=x onerror=window.hacked=1>"
WORDS = {"refund": "please send my money back", "delivery": "where is my parcel now", f"praise {HTML}": "lovely shop thank you"}


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 messages of three intents; one intent and some texts hold HTML."""
    path = tmp_path_factory.mktemp("tables") / "messages.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["message", "intent"])
        for number in range(150):
            intent = list(WORDS)[number % 3]
            writer.writerow([f"{WORDS[intent]} {number} {HTML if number % 10 == 0 else ''}", intent])
    return path


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory, server: Server, messages: Path, tiny_encoder: Path) -> Path:
    """A long training of a tiny encoder on the messages, as a file to load on the page Train."""
    uploads = server.workspace / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    (uploads / "messages.csv").write_bytes(messages.read_bytes())
    values = {
        "name": "long",
        "data": {"messages": {"file": "uploads/messages.csv", "split": {"by": "stratified", "column": "intent"}}},
        "tasks": {"intent": {"kind": "classification", "data": "messages", "columns": {"text": "message", "label": "intent"}}},
        "encoder": {"name": str(tiny_encoder), "max_length": 16},
        "training": {"steps": 1_000_000, "batch_size": 8, "evaluate_every": 50, "device": "cpu"},
    }
    path = tmp_path_factory.mktemp("experiment") / "long.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def start(tab: Page, server: Server, experiment: Path) -> str:
    """Loads the experiment on the page Train and starts it. Returns the run's id once it has taken a step."""
    open_page(tab, server, "train", **{"from": "file"})
    tab.locator("input[type=file]").set_input_files(experiment)
    tab.get_by_text("Use the encoder in the folder").click()  # which the file names, and which is not in the workspace
    before = set((server.workspace / "runs").glob("*"))
    tab.get_by_role("button", name="Start training").dblclick()  # some people do, and mean one run
    run_id = started(tab, server)
    assert set((server.workspace / "runs").iterdir()) - before == {server.workspace / "runs" / run_id}
    return run_id


def train_messages(tab: Page, server: Server, key: str, encoder: Path) -> str:
    """Starts a long training of the draft's only task, its weight moved ten times by `key`. Returns the run's id."""
    open_page(tab, server, "train")
    nudge(tab, "Loss weight of messages", key, 10)
    name = tab.locator("[class*='encoder-name'] input")
    name.fill(str(encoder))
    name.press("Enter")
    drawn(tab)
    tab.get_by_role("spinbutton", name="Steps", exact=True).fill("100000")  # and left by the click that starts
    tab.get_by_role("button", name="Start training").click()
    return started(tab, server)


def started(tab: Page, server: Server) -> str:
    tab.wait_for_url(re.compile(r"[?&]run=[0-9a-f]{12}"))
    run_id = parse_qs(urlparse(tab.url).query)["run"][0]
    journal = server.workspace / "runs" / run_id / "events.jsonl"
    wait_until(lambda: journal.exists() and server.steps(run_id), f"the first step of {run_id}; see {server.log}", 120)
    return run_id


def badge(tab: Page, word: str) -> Locator:
    """Where a run's state is shown."""
    return tab.get_by_test_id("stMain").get_by_role("paragraph").filter(has_text=re.compile(f"{word}$")).first


def stop(tab: Page) -> None:
    main = tab.get_by_test_id("stMain")  # there is another Stop beside it, of Streamlit's own
    main.get_by_role("button", name="Stop", exact=True).click()
    expect(badge(tab, "Stopped")).to_be_visible()


def step_shown(tab: Page) -> int:
    """The step that the page says the run is at."""
    text = tab.get_by_text(re.compile(r"^Step [\d,]+ of [\d,]+")).first.inner_text()
    return int(text.split()[1].replace(",", ""))


def points_drawn(tab: Page) -> int:
    """The last step that any line on the page reaches."""
    last = "p => (p._fullData || []).flatMap(t => Array.from(t.x || []).slice(-1))"
    return int(tab.evaluate(f"() => Math.max(0, ...[...document.querySelectorAll('.js-plotly-plot')].flatMap({last}))"))


def nudge(tab: Page, label: str, key: str = "ArrowRight", times: int = 20) -> None:
    """Moves a slider by its keys."""
    thumb = tab.get_by_role("slider", name=label)
    thumb.focus()
    for _ in range(times):
        thumb.press(key)


def slider(tab: Page, label: str | re.Pattern[str]) -> Locator:
    """A whole slider; its `input`, which has the label, is hidden below the thumb."""
    return tab.get_by_test_id("stSlider").filter(has=tab.get_by_role("slider", name=label)).first


def in_sight(where: Locator) -> None:
    """Without scrolling, whole."""
    expect(where).to_be_in_viewport(ratio=0.99)


def test_first_page_without_torch(tab: Page, server: Server) -> None:
    open_page(tab, server, "")
    expect(tab.get_by_role("button", name="Train the sample shop")).to_be_visible()
    assert "libtorch" not in server.libraries()


def test_from_a_table_to_a_prediction(tab: Page, server: Server, messages: Path, tiny_encoder: Path) -> None:
    open_page(tab, server, "data")
    tab.locator("input[type=file]").set_input_files(messages)
    tab.get_by_role("button", name="Add task").click()
    expect(tab.get_by_text("Task added: messages")).to_be_visible()

    runs = [train_messages(tab, server, "ArrowRight", tiny_encoder)]
    first = step_shown(tab)
    wait_until(lambda: step_shown(tab) > first and points_drawn(tab) > first, "the curve to grow")
    expect(tab.get_by_role("button", name="Apply", exact=True)).to_be_visible()  # without a reload
    tab.reload()
    drawn(tab)
    reloaded = step_shown(tab)
    assert reloaded > first
    wait_until(lambda: step_shown(tab) > reloaded, "the run to go on after the reload")
    nudge(tab, "Loss weight of messages", "End", 1)  # the button waits for it
    tab.get_by_role("button", name="Apply", exact=True).click()
    wait_until(lambda: any(e["event"] == "Steered" for e in server.events(runs[0])), "the new weight to be used")
    tab.get_by_role("button", name=re.compile("Go back to step")).click()
    wait_until(lambda: any(e["event"] == "Resumed" for e in server.events(runs[0])), "the run to go on from before the change")
    expect(tab.get_by_role("slider", name="Loss weight of messages")).to_have_value("1.5")
    nudge(tab, "Loss weight of messages", "End", 1)  # the button waits for it
    tab.get_by_role("button", name="Apply", exact=True).click()
    wait_until(lambda: sum(e["event"] == "Steered" for e in server.events(runs[0])) == 2, "the weight to be changed again")
    stop(tab)
    runs.append(train_messages(tab, server, "ArrowLeft", tiny_encoder))
    stop(tab)

    changed = next(e for e in server.events(runs[0]) if e["event"] == "Steered")
    assert changed["old"] == {"tasks.messages.weight": pytest.approx(1.5)}
    assert changed["new"] == {"tasks.messages.weight": 5.0}

    open_page(tab, server, "compare", runs=runs[0] + "&runs=" + runs[1])
    expect(tab.get_by_role("heading", name="Main metrics")).to_be_visible()
    expect(tab.get_by_test_id("stMain").get_by_text(re.compile("against .*on validation rows"))).to_be_visible()
    drawn(tab)
    expect(tab.locator(".js-plotly-plot")).not_to_have_count(0)
    tab.get_by_role("radio", name="Settings that differ").or_(tab.get_by_role("button", name="Settings that differ")).first.click()
    tab.wait_for_url(re.compile("below=settings"))
    drawn(tab)

    open_page(tab, server, "predict", run=runs[0])
    tab.get_by_role("textbox", name="message").fill("where is my parcel")
    tab.get_by_role("button", name="Predict", exact=True).click()
    expect(tab.get_by_test_id("stMetric").first).to_contain_text(re.compile("delivery|refund|praise"))
    drawn(tab)
    assert tab.evaluate("window.hacked") is None


def test_what_is_typed_and_left_by_a_click_is_what_the_click_takes(tab: Page, server: Server, messages: Path) -> None:
    open_page(tab, server, "train", **{"from": "sample"})
    tab.get_by_role("spinbutton", name="Steps", exact=True).fill("12345")
    tab.get_by_role("textbox", name="Name", exact=True).fill("typed last")
    tab.get_by_role("button", name="Start training").click()
    run_id = started(tab, server)
    asked = yaml.safe_load((server.workspace / "runs" / run_id / "experiment.yaml").read_text(encoding="utf-8"))
    assert (asked["name"], asked["training"]["steps"]) == ("typed last", 12345)
    stop(tab)

    open_page(tab, server, "data")
    tab.locator("input[type=file]").set_input_files({"name": "other.csv", "mimeType": "text/csv", "buffer": messages.read_bytes()})
    tab.get_by_role("textbox", name="Task name").fill("typed task")
    tab.get_by_role("button", name="Add task").click()
    expect(tab.get_by_text("Task added: typed task")).to_be_visible()


def test_start_is_in_sight_with_fourteen_tasks(tab: Page, server: Server) -> None:
    tab.set_viewport_size({"width": 1440, "height": 900})
    open_page(tab, server, "train", **{"from": "whole"})
    expect(tab.get_by_role("slider", name=re.compile("^Loss weight of "))).to_have_count(14)
    in_sight(tab.get_by_role("button", name="Start training"))
    in_sight(slider(tab, "Loss weight of search"))
    in_sight(slider(tab, "Batch size"))


def test_language_keeps_the_form(tab: Page, server: Server) -> None:
    open_page(tab, server, "train", **{"from": "sample"})
    before = float(tab.get_by_role("slider", name="Loss weight of search").input_value())
    nudge(tab, "Loss weight of search", "ArrowRight", 10)
    name = tab.get_by_role("textbox", name="Name", exact=True)
    name.fill("my own")
    drawn(tab)
    tab.get_by_text("简体中文").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("训练")
    drawn(tab)
    assert "lang=zh" in tab.url
    expect(tab.get_by_role("slider", name="search").first).to_have_value(f"{before + 0.5:g}")
    expect(tab.locator("[class*='sample-name'] input")).to_have_value("my own")


def test_browser_language_comes_first(browser: Browser, server: Server) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    open_page(page, server, "compare")
    expect(page.get_by_role("heading", level=1)).to_have_text("对比")
    context.close()


def test_two_tabs_and_clear_cache(tab: Page, server: Server, experiment: Path) -> None:
    run_id = start(tab, server, experiment)
    second = tab.context.new_page()
    open_page(second, server, "train", run=run_id)
    seen = step_shown(second)
    wait_until(lambda: step_shown(second) > seen and step_shown(tab) > seen, "both tabs to follow the run")
    before = set((server.workspace / "runs").iterdir())

    second.locator("body").press("c")
    second.get_by_role("button", name="Clear caches").click()
    second.reload()
    drawn(second)
    seen = step_shown(second)
    wait_until(lambda: step_shown(second) > seen, "the run to go on after the caches were cleared")
    assert server.training_threads() == 1
    assert set((server.workspace / "runs").iterdir()) == before
    steps = server.steps(run_id)
    assert steps == list(range(1, len(steps) + 1))
    stop(tab)
    expect(badge(second, "Stopped")).to_be_visible()


def test_killed_server_leaves_an_interrupted_run_that_can_be_resumed(tab: Page, server: Server, experiment: Path) -> None:
    run_id = start(tab, server, experiment)
    checkpoint = server.workspace / "runs" / run_id / "checkpoints" / "step-0" / "manifest.json"
    wait_until(checkpoint.exists, "the first checkpoint")
    server.kill()
    server.start()
    open_page(tab, server, "")
    expect(tab.locator("[role=gridcell]").filter(has_text="Interrupted").first).to_be_attached()  # inside a canvas: for readers only
    open_page(tab, server, "train", run=run_id)
    before = len(server.steps(run_id))
    tab.get_by_role("button", name="Resume").click()
    wait_until(lambda: len(server.steps(run_id)) > before, "the run to go on", 120)
    stop(tab)
