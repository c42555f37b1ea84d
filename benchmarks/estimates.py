"""How good the estimate before a start is: what it says and what the training then takes, on an idle machine and on a busy one.

    python benchmarks/estimates.py [--steps 40]

Both are measured twice: by the clock, and by the processor time of the process, which other programs hardly change.
"""

import argparse
import tempfile
import time
from pathlib import Path

from mtl_core.base.program import SAMPLE_SHOP
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import load_experiment
from mtl_core.jobs import quiet_libraries
from mtl_core.runtime.prepare import prepare
from mtl_core.training.estimate import estimate
from mtl_core.training.events import StepDone
from mtl_core.training.loop import train
from mtl_core.training.probe import probe

SETTINGS: dict[str, tuple[str, dict[str, object]]] = {
    "sample shop": ("shop.yaml", {}),
    "batch size × 2": ("shop.yaml", {"training.batch_size": 320}),
    "all layers": ("shop.yaml", {"encoder.trainable": "full"}),
    "whole shop": ("whole_shop.yaml", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--only", choices=list(SETTINGS))
    args = parser.parse_args()
    quiet_libraries()
    print("| setting | clock: estimate | taken | ratio | processor time: estimate | taken | ratio | memory: estimate | taken | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, (file, settings) in SETTINGS.items():
        if args.only in (None, name):
            _one(name, file, {**settings, "training.steps": args.steps})


def _one(name: str, file: str, settings: dict[str, object]) -> None:
    experiment = load_experiment(SAMPLE_SHOP / file, settings)
    with tempfile.TemporaryDirectory() as folder:
        workspace, run = Workspace(Path(folder)), Path(folder) / "run"
        prepared = prepare(experiment, workspace, SAMPLE_SHOP)
        found = {}
        for clock in ("perf_counter", "process_time"):
            place = Path(folder) / clock
            place.mkdir()
            wall, time.perf_counter = time.perf_counter, getattr(time, clock)  # what the probe looks at
            try:
                found[clock] = estimate(experiment, probe(experiment, prepared, place, time.perf_counter()))
            finally:
                time.perf_counter = wall
        begun, used, memory = time.perf_counter(), time.process_time(), 0
        for event in train(experiment, prepared, folder=run):
            if isinstance(event, StepDone):
                memory = max(memory, event.memory_bytes)
        taken = time.perf_counter() - begun, time.process_time() - used
    says = [(found[clock].seconds, took) for clock, took in zip(found, taken, strict=True)]
    gib = (found["perf_counter"].memory_bytes / 2**30, memory / 2**30)
    cells = [f"{a:.1f} s | {b:.1f} s | {a / b:.2f}" for a, b in says] + [f"{gib[0]:.2f} GiB | {gib[1]:.2f} GiB | {gib[0] / gib[1]:.2f}"]
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
