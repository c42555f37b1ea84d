"""A running training is on one screen: curves, sliders, buttons are seen together, and nothing moves."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, drawn, open_page
from tests.browser.test_journeys import in_sight, slider, start, stop

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

SHIFTS = """
window.shifts = 0;
new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({type: 'layout-shift', buffered: true});
"""
"""Cumulative layout shift, https://web.dev/articles/cls: what moved by itself."""


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = request.param
    context = browser.new_context(locale="en-US", viewport={"width": width, "height": height})
    page = context.new_page()
    page.add_init_script(SHIFTS)
    yield page
    print(page.url, page.locator("body").inner_text(), sep="\n")  # noqa: T201 - shown when the test fails
    context.close()


def experiment(folder: Path, server: Server, encoder: Path, n_tasks: int) -> Path:
    """A long training of a tiny encoder with n tasks on one table."""
    uploads = server.workspace / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    texts = {"refund": "send my money back", "delivery": "where is my parcel"}
    lines = [f"{text} {n},{label}" for n in range(60) for label, text in texts.items()]
    (uploads / "texts.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    values = {
        "name": "one screen",
        "data": {"texts": {"file": "uploads/texts.csv"}},
        "tasks": {
            f"task{n}": {"kind": "classification", "data": "texts", "columns": {"text": "text", "label": "label"}} for n in range(n_tasks)
        },
        "encoder": {"name": str(encoder), "max_length": 16},
        "training": {"steps": 1_000_000, "batch_size": 8, "evaluate_every": 1000, "device": "cpu"},
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@pytest.mark.parametrize("n_tasks", [8, 12])
@pytest.mark.parametrize("page", [(1440, 900)], indirect=True)
def test_curves_sliders_and_buttons_are_seen_together(page: Page, server: Server, tmp_path: Path, tiny_encoder: Path, n_tasks: int) -> None:
    start(page, server, experiment(tmp_path, server, tiny_encoder, n_tasks))
    main = page.get_by_test_id("stMain")
    expect(main.locator(".js-plotly-plot")).to_have_count(n_tasks)
    shown = [main.get_by_role("button", name=name, exact=True) for name in ("Pause", "Stop", "Evaluate now", "Apply")]
    seen = sorted(f"task{n}" for n in range(n_tasks))[:8]  # beyond eight tasks they scroll
    shown += [slider(page, re.compile(f"^Loss weight of {task}\\b")) for task in seen]
    shown += [main.locator(".js-plotly-plot").nth(n) for n in range(min(n_tasks, 9))]
    shown += [page.get_by_role("tab", name=name) for name in ("Curves", "Conflicts", "Results", "Alone or together", "Log")]
    for element in shown:
        in_sight(element)
    assert main.evaluate("main => main.scrollTop") == 0
    page.get_by_role("tab", name="Log").click()
    page.wait_for_url(re.compile("view=log"))
    expect(main.locator(".js-plotly-plot")).to_have_count(0)  # only the chosen tab is drawn
    page.reload()
    drawn(page)
    expect(page.get_by_role("tab", name="Log")).to_have_attribute("aria-selected", "true")
    stop(page)


def moved(page: Page) -> float:
    """The layout shift since the page was asked for, once all of it is there."""
    drawn(page)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    return float(page.evaluate("window.shifts"))


@pytest.mark.parametrize("page", [(1440, 900)], indirect=True)
def test_a_held_slider_stays_in_the_hand(page: Page, server: Server, tmp_path: Path, tiny_encoder: Path) -> None:
    """While its handle is held the page looks at the run again and again; what it is left at is one change."""
    run_id = start(page, server, experiment(tmp_path, server, tiny_encoder, 3))
    weight, said = page.get_by_role("slider", name="Loss weight of task1"), page.get_by_text(re.compile(r"^Step [\d,]+ of")).first
    box = slider(page, "Loss weight of task1").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 5, box["y"] + box["height"] - 22  # 1 of 0 to 5
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + box["width"] / 5, y, steps=5)
    held = weight.input_value()
    assert float(held) > 1.5
    for _look in range(4):  # at the figures; the sliders are drawn again at every third
        before = said.inner_text()
        expect(said).not_to_have_text(before)
        assert weight.input_value() == held
    page.mouse.move(x + 2 * box["width"] / 5, y, steps=5)
    page.mouse.up()
    left_at = float(weight.input_value())
    assert left_at > float(held)
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.get_by_role("button", name=re.compile("Go back to step"))).to_be_visible()
    expect(weight).to_have_value(f"{left_at:g}")
    stop(page)
    (changed,) = (event for event in server.events(run_id) if event["event"] == "Steered")
    assert changed["new"] == {"tasks.task1.weight": pytest.approx(left_at)}


@pytest.mark.parametrize("page", [(1440, 900), (390, 844)], indirect=True)
def test_nothing_moves_by_itself(page: Page, server: Server, tmp_path: Path, tiny_encoder: Path) -> None:
    """A whole load of *Train* by its link: before the start, while a run trains, and of a run that has ended."""
    open_page(page, server, "train", **{"from": "sample"})
    shifts = {"before the start": moved(page)}
    run_id = start(page, server, experiment(tmp_path, server, tiny_encoder, 5))
    open_page(page, server, "train", run=run_id)
    main = page.get_by_test_id("stMain")
    expect(main.locator(".js-plotly-plot")).to_have_count(5)
    said = main.get_by_text("Step ").first
    for _look in range(3):
        before = said.inner_text()
        expect(said).not_to_have_text(before)
    shifts["running"] = moved(page)
    stop(page)
    open_page(page, server, "train", run=run_id)
    expect(main.locator(".js-plotly-plot")).to_have_count(5)
    shifts["ended"] = moved(page)
    assert max(shifts.values()) < 0.1, shifts
