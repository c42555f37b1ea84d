"""Tables of strangers: what reading them takes, what it takes from a training beside it, and what uploads leave in the server's memory.

    python benchmarks/strangers.py [--only tables,beside,uploads] [--seconds 20] [--pairs 6] [--folder DIR] [--json]

tables: each hostile table (`strangers_tables.py`) is looked at and checked as the page *Data* does it; wanted: nothing uncaught, at most
30 s, 2 GB in the process that reads, 100 MB more in the one that asks. beside: the sample shop is trained while hostile tables are read in
the same program, and while they are not, in turns; wanted: at least 90 % of the speed. uploads: a file of 200 MB is uploaded 20 times in a
browser; wanted: at most 200 MB more held by the server. Every trial is a line of DIR/trials.jsonl as soon as it has ended; calling again
goes on.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import psutil

from benchmarks.strangers_tables import TABLES
from mtl_core.api.checked import check_task
from mtl_core.api.looked import look
from mtl_core.base.apart import Apart, ApartError
from mtl_core.base.workspace import Workspace
from mtl_core.data.problems import DataError, has_errors

TASK = {"kind": "classification", "columns": {"text": "text", "label": "label"}}
SECONDS, IN_THE_PROCESS, IN_THE_SERVER, SHARE, HELD = 30.0, 2 << 30, 100 << 20, 0.9, 200 << 20
UPLOADS, UPLOAD_BYTES = 20, 200 << 20
BESIDE = (
    "wide_2001.csv",
    "keys_twice.jsonl",
    "blanks_in_cell.csv",
    "classes_million.csv",
    "lists.parquet",
    "column_last.xlsx",
    "bomb_4GB.zip",
)
"""Tables that are refused late, or not at all."""


class Trials:
    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "trials.jsonl"
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        self.done: dict[str, dict[str, Any]] = {trial["name"]: trial for trial in map(json.loads, lines)}

    def add(self, name: str, **found: Any) -> None:
        self.done[name] = {"name": name, **found}
        with self.file.open("a") as file:
            file.write(json.dumps(self.done[name]) + "\n")
        print(name, found, flush=True)


def made(name: str, folder: Path) -> Path:
    """The table, written by a process of its own: what that takes is not to be measured."""
    path = folder / name
    if not path.exists():
        call = [
            sys.executable,
            "-c",
            f"from benchmarks.strangers_tables import TABLES; TABLES[{name!r}](__import__('pathlib').Path({str(path)!r}))",
        ]
        subprocess.run(call, cwd=ROOT, check=True)
    return path


def tables(trials: Trials) -> None:
    apart, workspace = Apart(), Workspace(trials.folder / "workspace")
    apart.submit(look, ROOT / "data" / "messages.csv", "messages.csv", 0).result()
    own = psutil.Process()
    for name in TABLES:
        if name in trials.done:
            continue
        path = made(name, workspace.uploads)
        before, largest, ended = own.memory_info().rss, [0], threading.Event()

        def watch(largest: list[int], ended: threading.Event) -> None:
            while not ended.wait(0.02):
                largest[0] = max(largest[0], own.memory_info().rss)

        watching = threading.Thread(target=watch, args=(largest, ended))
        watching.start()
        began, said, uncaught = time.monotonic(), "usable", False
        calls = [apart.submit(look, path, name, 0, about=path, n_bytes=path.stat().st_size)]
        try:
            found = calls[0].result()
            if found.head is not None:
                data = {"file": f"uploads/{name}"}
                calls.append(apart.submit(check_task, path, name, 0, data, TASK, workspace, about=path, n_bytes=path.stat().st_size))
                found = calls[1].result()
            if has_errors(found.problems):
                said = found.problems[0].code
        except ApartError as error:
            said = str(error.why)
            uncaught = error.code == "process_ended"
        except DataError as error:
            said = error.problems[0].code
        except Exception as error:  # noqa: BLE001 what is looked for
            said, uncaught = f"{type(error).__name__}: {error}"[:200], True
        seconds = time.monotonic() - began
        ended.set()
        watching.join()
        peak = max(call.peak for call in calls)
        more = max(0, largest[0] - before)
        used = round(sum(call.used for call in calls), 1)
        trials.add(name, seconds=round(seconds, 1), used=used, peak=peak, server=more, said=said, uncaught=uncaught)
        path.unlink()
    apart.close()
    shutil.rmtree(trials.folder / "workspace", ignore_errors=True)


def train(root: Path, reads: Path) -> None:
    """A process: trains without end, and looks at hostile tables for as long as the file `reads` is there."""
    from mtl_core.config.experiment import load_experiment
    from mtl_core.jobs import jobs

    endless = ["training.steps=1000000", "training.evaluate_every=10000000", "training.max_validation_rows=10", "training.batch_size=12"]
    jobs().submit(load_experiment(ROOT / "data" / "shop.yaml", endless), Workspace(root), ROOT / "data")
    apart, n = Apart(), 0
    while True:
        if not reads.exists():
            time.sleep(0.05)
            continue
        path = root / "uploads" / BESIDE[n % len(BESIDE)]
        n += 1
        call = apart.submit(look, path, path.name, n, about=path, n_bytes=path.stat().st_size)
        while not call.done():
            time.sleep(0.02)
            if not reads.exists():
                call.stop()


def beside(trials: Trials, seconds: float, pairs: int) -> None:
    from benchmarks.ui import throughput
    from mtl_core.tracking.runs import list_runs

    workspace = Workspace(trials.folder / "beside")
    for name in BESIDE:
        made(name, workspace.uploads)
    reads = trials.folder / "reads"
    reads.unlink(missing_ok=True)
    call = [sys.executable, __file__, "--train", str(workspace.root), str(reads)]
    process = subprocess.Popen(call, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (runs := list_runs(workspace)) or len(list(runs[0].events())) < 12:
            time.sleep(0.5)
        offset, speeds = 0, {True: list[float](), False: list[float]()}
        for pair in range(pairs):
            for reading in (pair % 2 == 0, pair % 2 == 1):  # whichever is first, in turns
                reads.touch() if reading else reads.unlink(missing_ok=True)
                time.sleep(2)
                speed, offset = throughput(runs[0], seconds, offset)
                speeds[reading].append(speed)
            print(f"pair {pair + 1}: {speeds[False][-1]:.0f} tokens/s, {speeds[True][-1]:.0f} while tables are read", flush=True)
        share = statistics.median(speeds[True]) / statistics.median(speeds[False])
        trials.add("beside", reading=speeds[True], alone=speeds[False], share=round(share, 3))
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(workspace.root, ignore_errors=True)


def uploads(trials: Trials) -> None:
    from playwright.sync_api import sync_playwright

    from benchmarks.ui import FLAGS, free_port, open_page, server

    file, folder, port = trials.folder / "large.csv", trials.folder / "uploaded", free_port()
    with file.open("w") as target:
        target.write("text,label\n")
        n = 0
        while target.tell() < UPLOAD_BYTES:
            target.writelines(
                f"a thing number {i} of those that people say something about,{'yes' if i % 3 else 'no'}\n" for i in range(n, n + 10_000)
            )
            n += 10_000
    call = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"]
    with server(call, folder) as process, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page, held, peak = browser.new_page(), [], 0
        own = psutil.Process(process.pid)
        open_page(page, port, "data")
        page.locator("input[type=file]").first.wait_for(state="attached")
        time.sleep(3)
        before = own.memory_info().rss
        for i in range(UPLOADS):
            if i:
                page.goto(f"http://127.0.0.1:{port}/data")
                page.locator("input[type=file]").first.wait_for(state="attached")
                time.sleep(1)
            page.locator("input[type=file]").first.set_input_files(file)
            until = time.monotonic() + 120
            while time.monotonic() < until and "table=" not in page.url:
                peak = max(peak, own.memory_info().rss - before)
                page.wait_for_timeout(50)
            if "table=" not in page.url:
                raise SystemExit(f"Upload {i + 1} did not arrive within two minutes.")
            page.wait_for_timeout(1000)
            held.append(own.memory_info().rss - before)
            print(f"upload {i + 1}: {held[-1] >> 20} MB more held", flush=True)
        on_disk = {(p.stat().st_ino, p.stat().st_size) for p in (folder / "uploads").glob("*.csv")}
        trials.add("uploads", held=held[-1], most_held=max(held), peak=peak, on_disk=sum(size for _inode, size in on_disk))
        browser.close()
    file.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def figures(trials: Trials) -> list[dict[str, Any]]:
    """What was found, what is wanted, whether it is so."""
    found = [trials.done[name] for name in TABLES if name in trials.done]
    lines: list[tuple[str, Any, Any, bool]] = []
    if found:
        slowest, most, server = (max(found, key=lambda t: t[key]) for key in ("seconds", "peak", "server"))
        lines += [
            (f"of {len(found)} hostile tables, not caught", n := sum(t["uncaught"] for t in found), 0, n == 0),
            (
                f"seconds ({slowest['name']}; of the processor {slowest['used']:g})",
                slowest["seconds"],
                SECONDS,
                slowest["seconds"] <= SECONDS,
            ),
            (f"MB in the process that reads ({most['name']})", most["peak"] >> 20, IN_THE_PROCESS >> 20, most["peak"] <= IN_THE_PROCESS),
            (f"MB more in the server ({server['name']})", server["server"] >> 20, IN_THE_SERVER >> 20, server["server"] <= IN_THE_SERVER),
        ]
    if known := trials.done.get("beside"):
        lines.append(("speed of a training beside it", known["share"], SHARE, known["share"] >= SHARE))
    if known := trials.done.get("uploads"):
        lines.append((f"MB more held after {UPLOADS} uploads of 200 MB", known["held"] >> 20, HELD >> 20, known["held"] <= HELD))
    return [dict(zip(("what", "found", "wanted", "right"), line, strict=True)) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="tables,beside,uploads")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each half of a pair, with --only beside")
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "mtl-strangers")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--train", nargs=2, type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.train:
        return train(*asked.train)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    trials, only = Trials(asked.folder), asked.only.split(",")
    if "tables" in only:
        tables(trials)
    if "beside" in only and "beside" not in trials.done:
        beside(trials, asked.seconds, asked.pairs)
    if "uploads" in only and "uploads" not in trials.done:
        uploads(trials)
    found = figures(trials)
    if asked.json:
        print(json.dumps(found))
    for line in () if asked.json else found:
        print(f"{'right' if line['right'] else 'WRONG':6}{line['what']}: {line['found']} (wanted: {line['wanted']})")
    sys.exit(not all(line["right"] for line in found))


if __name__ == "__main__":
    main()
