"""What people who look at a training cost it: clients of the page's websocket that ask as a browser does and draw nothing.

    python benchmarks/viewers.py [--viewers 0,1,15] [--seconds 300] [--rounds 1] [--json]

The sample shop trains without end in the server's process; clients open *Train* on it and redraw what the page tells them to, when it tells
them to. Two figures each: processor seconds of everything but the training over those of the training (threads of one process, as the
system counts them), less what is used with nobody looking; and steps a second beside those with nobody, with the 95 % interval of the
means of half minutes. Wanted: one viewer ≤ 1 %, fifteen ≤ 5 %.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.ui import free_port
from mtl_core.base.workspace import Workspace
from mtl_core.tracking.runs import list_runs
from mtl_core.training.events import StepDone

WINDOW = 30.0  # seconds
WARM = 65  # after a minute the page looks less often
TRAINING = ("mtl-jobs", "mtl-lane")


def serve(port: int, told: Path) -> None:
    """In a process of its own: an endless training, the server in front of it, and a count of the processor time of each."""
    from streamlit.web import cli

    from mtl_core.config.experiment import load_experiment
    from mtl_core.jobs import jobs

    endless = ["training.steps=1000000", "training.evaluate_every=10000000", "training.max_validation_rows=10"]
    jobs().submit(load_experiment(ROOT / "data" / "shop.yaml", endless), Workspace.default(), ROOT / "data")
    threading.Thread(target=count, args=(told,), name="count", daemon=True).start()
    cli.main_run([str(ROOT / "app.py"), "--server.port", str(port), "--server.headless", "true"], standalone_mode=False)


def count(told: Path) -> None:
    """(training, everything) in processor seconds so far, twice a second. Threads that Python does not know are torch's."""
    ticks = os.sysconf("SC_CLK_TCK")
    while True:
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        trained = 0.0
        for task in Path("/proc/self/task").iterdir():
            try:
                fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            name = names.get(int(task.name))
            if name is None or name.startswith(TRAINING):
                trained += (int(fields[11]) + int(fields[12])) / ticks
        used = sum(os.times()[:2])
        temporary = told.with_suffix(".new")
        temporary.write_text(json.dumps([trained, used]))
        temporary.replace(told)
        time.sleep(0.5)


async def look(port: int, run: str, redrawn: list[int]) -> None:
    """One person on *Train*, until cancelled: each fragment again when the server said so."""
    import websockets
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.typing import Origin, Subprotocol

    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    origin = f"http://127.0.0.1:{port}"
    async with websockets.connect(address, subprotocols=[Subprotocol("streamlit")], origin=Origin(origin), max_size=None) as socket:
        page = ""

        async def ask(fragment: str = "") -> None:
            message = BackMsg()
            message.rerun_script.query_string = f"run={run}&lang=en"
            message.rerun_script.page_script_hash = page
            message.rerun_script.page_name = "" if page else "train"
            message.rerun_script.fragment_id = fragment
            message.rerun_script.is_auto_rerun = bool(fragment)
            await socket.send(message.SerializeToString())

        async def again(fragment: str, seconds: float) -> None:
            while True:
                await asyncio.sleep(seconds)
                redrawn[0] += 1
                await ask(fragment)

        timers: dict[str, asyncio.Task[None]] = {}
        await ask()
        try:
            async for received in socket:
                message = ForwardMsg()
                message.ParseFromString(received if isinstance(received, bytes) else received.encode())
                kind = message.WhichOneof("type")
                if kind == "new_session":
                    page = message.new_session.page_script_hash
                elif kind == "auto_rerun" and message.auto_rerun.fragment_id not in timers:
                    found = message.auto_rerun
                    timers[found.fragment_id] = asyncio.create_task(again(found.fragment_id, found.interval))
                elif kind == "stop_auto_rerun" and (timer := timers.pop(message.stop_auto_rerun.fragment_id, None)):
                    timer.cancel()
        finally:
            for timer in timers.values():
                timer.cancel()


@contextmanager
def looking(port: int, run: str, n: int, redrawn: list[int]) -> Iterator[None]:
    """n people, each beginning a moment after the one before."""

    async def everyone(end: asyncio.Event) -> None:
        async def later(i: int) -> None:
            await asyncio.sleep(i * 20 / max(1, n))
            await look(port, run, redrawn)

        tasks = [asyncio.create_task(later(i)) for i in range(n)]
        await end.wait()
        for task in tasks:
            task.cancel()
        for found in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(found, Exception) and not isinstance(found, asyncio.CancelledError):
                print("a client ended:", repr(found), file=sys.stderr)

    loop, end = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(everyone(end),))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()


def measure(told: Path, place: Workspace, seconds: float) -> tuple[float, float, list[float]]:
    """Processor seconds of the training and of everything else; steps a second of each half minute."""
    (run,) = list_runs(place)
    offset = 0
    for record in run.records(offset):
        offset = record.next_offset
    (trained, used), begun = json.loads(told.read_text()), time.time()
    time.sleep(seconds)
    trained_now, used_now = json.loads(told.read_text())
    times = [record.time for record in run.records(offset) if isinstance(record.event, StepDone)]
    windows = [begun + i * WINDOW for i in range(int(seconds // WINDOW))]
    speeds = [sum(start <= time < start + WINDOW for time in times) / WINDOW for start in windows]
    return trained_now - trained, (used_now - used) - (trained_now - trained), speeds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--viewers", default="0,1,15")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(int(arguments.serve[0]), Path(arguments.serve[1]))
        return 0
    wanted = list(dict.fromkeys((0, *map(int, arguments.viewers.split(",")))))  # nobody is what the others are held against
    if arguments.seconds < WINDOW:
        parser.error(f"--seconds: at least {WINDOW:.0f}, the window that steps are counted in.")
    shares: dict[int, list[float]] = {n: [] for n in wanted}
    speeds: dict[int, list[float]] = {n: [] for n in wanted}
    with tempfile.TemporaryDirectory() as scratch:
        port, told, place = free_port(), Path(scratch) / "used.json", Workspace(Path(scratch) / "workspace")
        environment = {**os.environ, "MTL_WORKSPACE": str(place.root), "HF_HUB_OFFLINE": "1"}
        call = [sys.executable, __file__, "--serve", str(port), str(told)]
        process = subprocess.Popen(call, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(WARM)
            (run,) = list_runs(place)
            for _ in range(arguments.rounds):
                for n in wanted:
                    redrawn = [0]
                    with looking(port, run.id, n, redrawn):
                        time.sleep(22 if n else 2)  # until everyone has come
                        trained, others, each = measure(told, place, arguments.seconds)
                    shares[n].append(others / trained)
                    speeds[n] += each
                    print(f"{n} viewers: {others / trained:.2%} of the training's processor time, {redrawn[0]} redrawn, "
                          f"{statistics.mean(each):.3f} steps/s", file=sys.stderr)  # fmt: skip
        finally:
            process.terminate()
            process.wait(60)
    nobody = statistics.mean(shares[0])
    found = {}
    for n in wanted:
        ratio = [speed / statistics.mean(speeds[0]) for speed in speeds[n]]
        half = 1.96 * statistics.stdev(ratio) / len(ratio) ** 0.5 if len(ratio) > 1 else float("nan")
        found[n] = {"share": statistics.mean(shares[n]) - nobody, "steps": statistics.mean(ratio), "interval": half}
    if arguments.json:
        print(json.dumps(found))
    else:
        for n, row in found.items():
            print(
                f"{n:3} viewers: {row['share']:.2%} of the training's processor time; steps/s × {row['steps']:.3f} ± {row['interval']:.3f}"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
