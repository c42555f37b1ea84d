"""No page asks anything of another machine (`nothing_leaves_this_machine` looks at every browser test), and no other site gets in."""

import io
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import mtl_core as mtl
from mtl_core.base.workspace import Workspace
from mtl_core.data.upload import save_upload
from mtl_core.tracking import keeping
from mtl_core.tracking.runs import run
from pages.parts.frame import PAGES
from tests.browser import conftest
from tests.browser.conftest import ROOT, Server, drawn, open_page, wait_until
from tests.watching import open_to_others

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Elsewhere(BaseHTTPRequestHandler):
    """A page of another site: it frames the workbench and opens a websocket to it."""

    target = ""

    def do_GET(self) -> None:
        page = f"""<!doctype html><title>elsewhere</title><iframe src="{self.target}" id="frame"></iframe><script>
            const socket = new WebSocket("{self.target.replace("http", "ws", 1)}/_stcore/stream", "streamlit");
            socket.onopen = () => document.title = "in"; socket.onerror = () => document.title = "refused";
        </script>"""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere(server: Server) -> Iterator[str]:
    Elsewhere.target = server.url
    site = HTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield f"http://localhost:{site.server_port}"
    site.shutdown()
    site.server_close()


def test_a_page_of_another_site_neither_frames_nor_connects(tab: Page, server: Server, elsewhere: str) -> None:
    tab.goto(elsewhere)
    expect(tab).to_have_title("refused")
    frame = tab.frames[1]
    assert frame.locator("#root").count() == 0, "framed"
    assert any("frame-ancestors" in said for said in conftest.FORBIDDEN)
    tab.goto("about:blank")
    conftest.FORBIDDEN.clear()


def test_what_a_page_may_not_do_is_seen(tab: Page, server: Server) -> None:
    """The watch of all tests: an address of another machine in a page's icon, in an image, in a request of its script."""
    open_page(tab, server, "")
    for script in (
        "document.querySelector('link[rel~=icon]').href = 'https://fonts.gstatic.com/icon.svg'",
        "document.body.append(Object.assign(new Image(), {src: 'https://example.com/pixel.png'}))",
        "fetch('https://example.com/').catch(() => 0)",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))",
    ):
        conftest.FORBIDDEN.clear()
        tab.evaluate(script)
        wait_until(lambda: tab.evaluate("1") and conftest.FORBIDDEN, script)  # to evaluate lets the browser tell what it saw
    assert tab.evaluate("window.ran") is None
    tab.goto("about:blank")  # nothing is told any more
    conftest.FORBIDDEN.clear()


def test_uploads_and_downloads_are_within_the_policy(tab: Page, server: Server) -> None:
    tab.add_init_script("delete window.showSaveFilePicker")  # as in a browser that has none, or over plain HTTP: a file out of memory
    open_page(tab, server, "data")
    tab.locator("input[type=file]").set_input_files(ROOT / "data" / "messages.csv")
    expect(tab.get_by_text("messages.csv").first).to_be_visible()
    drawn(tab)
    wait_until(lambda: list((server.workspace / "uploads").glob("*.csv")), "the upload")
    assert open_to_others(server.workspace) == []
    open_page(tab, server, "data", source="sample", sample="messages.csv")
    table = tab.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    table.hover()
    with tab.expect_download() as csv:
        tab.get_by_role("button", name="Download as CSV").first.click()
    assert csv.value.path().stat().st_size
    open_page(tab, server, "train", **{"from": "sample"})
    tab.get_by_text("The experiment as a file").click()
    with tab.expect_download() as experiment:
        tab.get_by_test_id("stDownloadButton").get_by_role("button").first.click()
    assert b"tasks:" in experiment.value.path().read_bytes()


def test_every_page_by_the_navigation(tab: Page, server: Server) -> None:
    """A page's icon in the navigation would be its icon in the browser's tab too, and that one is fetched."""
    open_page(tab, server, "")
    for title, _icon in PAGES.values():
        tab.get_by_test_id("stToolbar").or_(tab.get_by_role("navigation")).get_by_role("link", name=title, exact=True).first.click()
        expect(tab).to_have_title(re.compile("MTL Workbench$"))
        drawn(tab)


def test_a_server_for_the_network_asks_once_for_its_code(tab: Page, tmp_path: Path) -> None:
    server = Server(tmp_path / "workspace", "--server.address=0.0.0.0")
    server.start()
    try:
        code = re.search(r"code=(\w+)", server.log.read_text(encoding="utf-8"))
        assert code
        tab.goto(f"{server.url}/runs")
        tab.get_by_label("Access code").fill("guess")
        tab.get_by_role("button", name="Open the workbench").click()
        expect(tab.get_by_role("alert")).to_contain_text("not the access code")
        tab.get_by_label("Access code").fill(code[1])
        tab.get_by_role("button", name="Open the workbench").click()
        expect(tab.get_by_role("heading", level=1, name="Runs")).to_be_visible()
        tab.context.clear_cookies()
        tab.goto(f"{server.url}/data?code={code[1]}")
        expect(tab.get_by_role("heading", level=1, name="Data")).to_be_visible()
        drawn(tab)
        assert code[1] not in tab.url
    finally:
        server.kill()


def test_addresses_in_a_persons_texts_are_no_links(tab: Page, server: Server, tiny_encoder: Path) -> None:
    """In cells, labels, the names of columns, files and runs; nor does an image in them ask for anything."""
    texts = ["see https://evil.example/{n} now", "www.evil.example {n}", "![](https://evil.example/{n}.png)", "me{n}@evil.example"]
    labels = ["https://evil.example/a", "www.evil.example"]
    rows = [f"{texts[n % 4].format(n=n % 36)},{labels[n % 7 > 3]}" for n in range(60)]  # some are there twice, with another label
    table = "\n".join(["https://evil.example/text,www.evil.example/label", *rows])
    workspace = Workspace(server.workspace)
    stored = save_upload(io.BytesIO(table.encode()), "www.evil.example.csv", workspace)
    columns = {"text": "https://evil.example/text", "label": "www.evil.example/label"}
    values = {
        "name": "evil",
        "data": {"evil": {"file": f"uploads/{stored.name}"}},
        "tasks": {"mood": {"kind": "classification", "data": "evil", "columns": columns}},
        "encoder": {"name": str(tiny_encoder), "max_length": 16},
        "training": {"steps": 2, "batch_size": 8, "device": "cpu"},
    }
    runs = [mtl.train({**values, "seed": seed}, workspace=workspace.root).id for seed in range(2)]
    keeping.rename(run(workspace, runs[0]), "https://evil.example/run")
    keeping.note(run(workspace, runs[0]), "www.evil.example ![](https://evil.example/note.png)")
    seen = set()
    for page, query in {
        "": {},
        "data": {"table": stored.name},
        "runs": {"run": runs[0]},
        "train": {"run": runs[0]},
        "compare": {"runs": "&runs=".join(runs)},
        "predict": {"run": runs[0], "task": "mood", "row": "0"},
    }.items():
        open_page(tab, server, page, **query)
        for tabs in range(tab.get_by_role("tab").count()):
            tab.get_by_role("tab").nth(tabs).click()
            drawn(tab)
        if "evil.example" in tab.get_by_test_id("stMain").inner_text().replace("\u2060", ""):  # else drawn as a picture, in a table
            seen.add(page)
        links = tab.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)")
        assert [link for link in links if "evil" in link and server.url not in link] == [], page
    assert {"data", "compare", "predict"} <= seen
