"""The sample shop as its button runs it: seconds from the click to *finished*. Wanted: at most 120 s on two cores.

    python benchmarks/shop.py

A fresh process and an empty workspace; the experiment is data/shop.yaml, unchanged, submitted to the same jobs as by the page.
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import load_experiment
from mtl_core.jobs import jobs
from mtl_core.tracking.runs import RunState, run

WANTED_SECONDS = 120


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        workspace = Workspace(Path(folder))
        start = time.perf_counter()
        run_id = jobs().submit(load_experiment(ROOT / "data" / "shop.yaml"), workspace, ROOT / "data")
        jobs().wait(run_id)
        seconds = time.perf_counter() - start
        done = run(workspace, run_id)
        if done.state is not RunState.FINISHED:
            why = [str(p) for p in done.problems] or [f"{done.error.message} {done.error.advice}" if done.error else ""]
            raise SystemExit("\n".join([f"The run ended as {done.state}.", *why]))
        result = done.result()
    print("| task | metric | before | test |\n|---|---|---|---|")
    for name, task in result["tasks"].items():
        for metric, value in task["test"].items():
            print(f"| {name} | {metric} | {task['before'].get(metric, float('nan')):.3f} | {value:.3f} |")
    print(f"\n{seconds:.0f} s from the button to finished; wanted: at most {WANTED_SECONDS} s.")


if __name__ == "__main__":
    main()
