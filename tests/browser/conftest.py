"""The real program in its own process, looked at with a real browser."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from mtl_core.base.workspace import Workspace
from mtl_core.tracking.runs import list_runs
from tests.watching import asked, watched

ROOT = Path(__file__).parents[2]
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LAUNCH = """
import json, os, signal, sys, threading
path = sys.argv.pop(1)
def answer(*_):
    with open(path + ".new", "w") as file:
        json.dump([thread.name for thread in threading.enumerate()], file)
    os.replace(path + ".new", path)
signal.signal(signal.SIGUSR1, answer)
from streamlit.web.cli import main
main()
"""
"""`streamlit`, but on SIGUSR1 it writes the names of all its threads to a file."""
LEAVING = """
new MutationObserver(changes => {
    for (const {target} of changes)
        for (const url of [target.href, target.src])
            if (typeof url === "string" && /^(https?:)?[/][/]/.test(url) && new URL(url).host !== location.host && target.tagName !== "A")
                console.error(`leaves this machine: <${target.tagName.toLowerCase()}> ${url}`);
}).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ["href", "src"]});
"""
"""A browser without a window fetches no icon of a page, and so would not be seen to fetch one."""
WAIT = 60_000
"""Milliseconds that the browser waits for something to appear. Nothing sleeps for this long: it goes on as soon as it is there."""


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Looks again and again until `condition()` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for: {what}"
        time.sleep(0.05)


class Server:
    """`streamlit run app.py` on a free port, writing to `workspace`. options: more of Streamlit's, as on its command line."""

    def __init__(self, workspace: Path, *options: str):
        self.workspace = workspace
        self.options = options
        self.log = workspace.with_suffix(".log")
        self.threads = workspace.with_suffix(".threads")
        self.calls = workspace.with_suffix(".calls")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = watched(self.calls, MTL_WORKSPACE=str(self.workspace), OMP_NUM_THREADS="1")
        options = ["run", "app.py", f"--server.port={self.port}", "--server.headless=true", *self.options]
        command = [sys.executable, "-c", LAUNCH, str(self.threads), *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        wait_until(self.healthy, f"the server to answer; its log is {self.log}")

    def healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8", errors="replace")
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """As the machine would: at once, with no chance to tidy up."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        assert asked(self.calls) == [], "of other machines, by the server's process"

    def libraries(self) -> str:
        """What the server's process has mapped into memory."""
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/maps").read_text()

    def training_threads(self) -> int:
        """Threads that execute jobs."""
        assert self.process is not None
        self.threads.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        wait_until(self.threads.exists, "the names of the threads")
        return sum(name.startswith("mtl-jobs-") for name in json.loads(self.threads.read_text()))

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """The run's journal, without a last line that is still being written."""
        journal = self.workspace / "runs" / run_id / "events.jsonl"
        return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]

    def steps(self, run_id: str) -> list[int]:
        return [event["step"] for event in self.events(run_id) if event["event"] == "StepDone"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With Streamlit's menu for developers, which can clear the caches."""
    server = Server(tmp_path_factory.mktemp("browser") / "workspace", "--client.toolbarMode=developer")
    server.start()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def nothing_left_at_work(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that failed leaves its run in training: the next one's would wait behind it for ever."""
    yield
    if "server" in request.fixturenames:
        server = request.getfixturevalue("server")
        if any(run.state.live for run in list_runs(Workspace(server.workspace))):
            server.kill()
            server.start()


@pytest.fixture(scope="session")
def browser(browser_path: str) -> Iterator[Browser]:
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(FLAGS))
        new_context = browser.new_context
        browser.new_context = lambda **options: listening(new_context(**options))  # type: ignore[method-assign]
        yield browser
        browser.close()


FORBIDDEN: list[str] = []
"""What pages of the test that runs asked of other machines, and what of them the content security policy refused."""


def listening(context: BrowserContext) -> BrowserContext:
    """Every page of every test is looked at, see `nothing_leaves_this_machine`."""

    def sent(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.hostname not in ("127.0.0.1", "localhost"):
            FORBIDDEN.append(f"a request to {request.url[:200]}")

    def said(console: ConsoleMessage) -> None:
        if "leaves this machine" in console.text or "Content Security Policy" in console.text:
            FORBIDDEN.append(console.text[:300])

    context.on("request", sent)
    context.on("console", said)
    context.add_init_script(LEAVING)
    return context


@pytest.fixture(autouse=True)
def nothing_leaves_this_machine() -> Iterator[None]:
    FORBIDDEN.clear()
    yield
    assert FORBIDDEN == []


@pytest.fixture
def tab(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A fresh browser window in English. How it looked at the end of the test lies in the test's folder; what it said is printed."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 1000}, accept_downloads=True)
    context.set_default_timeout(WAIT)
    page = context.new_page()
    yield page
    page.screenshot(path=tmp_path / "last.png")
    print(page.url, page.locator("body").inner_text(), sep="\n")  # noqa: T201 - shown when the test fails
    context.close()


def open_page(tab: Page, server: Server, name: str, **parameters: str) -> None:
    """Goes to a page and waits until it has been drawn."""
    query = "&".join(f"{key}={value}" for key, value in parameters.items())
    tab.goto(f"{server.url}/{name}?{query}" if query else f"{server.url}/{name}")
    expect(tab.get_by_role("heading", level=1)).to_be_visible()
    drawn(tab)


def drawn(tab: Page) -> None:
    """Waits until the script has run to its end, and says what went wrong in it."""
    expect(tab.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    assert tab.get_by_test_id("stException").all_inner_texts() == []
