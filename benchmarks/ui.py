"""What the screen costs: the first paint after the server's start, and training with a browser open on *Train* and without.

    python benchmarks/ui.py [--seconds 20] [--pairs 8] [--whole]

First paint: from starting the server to the heading of the first page in a browser that is already open; wanted: at most 3 s, and
no torch in the server's process. Training: the sample shop's experiment, endless and in small steps, in the server's process as
after its button; tokens a second from one finished step to another, in turns without a browser and with one on *Train*; wanted: at
least 97 %. The browser runs on the same machine, so its own work is part of what is measured. --whole: of the whole sample shop, 14 tasks
with a chart and a slider each, from step 1,000 on.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from mtl_core.base.workspace import Workspace
from mtl_core.tracking.runs import Run, list_runs
from mtl_core.training.events import StepDone

WANTED_SECONDS, WANTED_SHARE = 3.0, 0.97
WARM_SECONDS, WHOLE_STEPS = 65, 1000
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def serve(port: int, batch_size: int, shop: str) -> None:
    """In a process of its own: an endless training of a sample shop, and the server in front of it."""
    from streamlit.web import cli

    from mtl_core.config.experiment import load_experiment
    from mtl_core.jobs import jobs

    endless = [
        "training.steps=1000000",
        "training.evaluate_every=10000000",
        "training.max_validation_rows=10",
        f"training.batch_size={batch_size}",
    ]
    experiment = load_experiment(ROOT / "data" / shop, endless)
    jobs().submit(experiment, Workspace.default(), ROOT / "data")
    cli.main_run([str(ROOT / "app.py"), "--server.port", str(port), "--server.headless", "true"], standalone_mode=False)


@contextmanager
def server(call: list[str], workspace: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "MTL_WORKSPACE": str(workspace), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(call, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def open_page(page: Page, port: int, path: str = "") -> None:
    """Goes there as soon as the server answers."""
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                break
        if time.monotonic() > deadline:
            raise SystemExit("The server did not answer within 60 s.")
        time.sleep(0.02)
    page.goto(f"http://127.0.0.1:{port}/{path}")


def first_paint(browser: Browser, folder: Path) -> tuple[float, bool]:
    """Seconds to the heading, and whether the server's process then holds torch."""
    port = free_port()
    page = browser.new_page()
    call = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"]
    start = time.perf_counter()
    with server(call, folder) as process:
        open_page(page, port)
        page.locator("h1").first.wait_for()
        seconds = time.perf_counter() - start
        torch_loaded = any("libtorch" in part.path for part in psutil.Process(process.pid).memory_maps())
        page.close()
    return seconds, torch_loaded


def throughput(run: Run, seconds: float, offset: int) -> tuple[float, int]:
    """(tokens a second over the steps of the next `seconds`, next offset). Steps between `offset` and now are passed over."""
    for record in run.records(offset):
        offset = record.next_offset
    time.sleep(seconds)
    times, tokens = [], []
    for record in run.records(offset):
        offset = record.next_offset
        if isinstance(record.event, StepDone):
            times.append(record.time)
            tokens.append(record.event.tokens)
    if len(times) < 3:
        raise SystemExit(f"Only {len(times)} steps in {seconds:g} s; --seconds should be more.")
    return sum(tokens[1:]) / (times[-1] - times[0]), offset


def compare(browser: Browser, folder: Path, arguments: argparse.Namespace) -> Iterator[tuple[float, float]]:
    """(without, with a browser) tokens a second, pair by pair."""
    port, seconds = free_port(), arguments.seconds
    options = ["--batch-size", str(arguments.batch_size), *(["--whole"] if arguments.whole else [])]
    with server([sys.executable, __file__, "--serve", str(port), *options], folder):
        while not (runs := list_runs(Workspace(folder))) or not any(isinstance(e, StepDone) for e in runs[0].events()):
            if runs and not runs[0].state.live:
                raise SystemExit(f"The run ended as {runs[0].state}.")
            time.sleep(0.5)
        run, offset = runs[0], 0
        steps = WHOLE_STEPS if arguments.whole else 0
        while (now := runs[0].series()).seconds < WARM_SECONDS or now.step < steps:  # in the first minute the page looks often
            time.sleep(1)
        for _ in range(arguments.pairs):
            without, offset = throughput(run, seconds, offset)
            page = browser.new_page()
            open_page(page, port, f"train?run={run.id}")
            page.locator(".js-plotly-plot").first.wait_for()
            watched, offset = throughput(run, seconds, offset)
            page.close()
            yield without, watched


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="length of each measurement")
    parser.add_argument("--pairs", type=int, default=8, help="measurements without and with the browser, in turns")
    parser.add_argument("--batch-size", type=int, default=32, help="rows in a step")
    parser.add_argument("--whole", action="store_true", help="the whole sample shop, from step 1,000 on")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)  # in the process of the server
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.batch_size, "whole_shop.yaml" if arguments.whole else "shop.yaml")
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        paints = [first_paint(browser, Path(folder) / f"paint{n}") for n in range(3)]
        seconds = sorted(s for s, _ in paints)
        torch_loaded = "loaded" if any(t for _, t in paints) else "not loaded"
        listed = ", ".join(f"{s:.2f}" for s in seconds)
        print(
            f"First paint: {seconds[1]:.2f} s (median of {listed}; wanted: at most {WANTED_SECONDS:g} s); torch {torch_loaded}.", flush=True
        )
        print("\n| tokens/s without a browser | with one on Train | share |\n|---|---|---|")
        found = []
        for without, watched in compare(browser, Path(folder) / "training", arguments):
            found.append((without, watched))
            print(f"| {without:,.0f} | {watched:,.0f} | {watched / without:.1%} |", flush=True)
        shares = sorted(watched / without for without, watched in found)
        spread = f"{shares[0]:.1%} to {shares[-1]:.1%}"
        print(f"\nMedian of the pairs {statistics.median(shares):.1%} ({spread}); wanted: at least {WANTED_SHARE:.0%}.")
        browser.close()


if __name__ == "__main__":
    main()
