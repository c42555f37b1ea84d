"""How good the estimate before a start is: what it says and what the training then takes.

    python benchmarks/estimates.py [--steps 40]

Both are measured twice: by the clock, and by the processor time of the process, which other programs change less. How busy they were is
beside each row: with more than half a core the ratio by the clock says little. Memory is the most that the process ever held.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mtl_core.base.program import SAMPLE_SHOP
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, load_experiment
from mtl_core.jobs import quiet_libraries
from mtl_core.runtime.prepare import prepare
from mtl_core.training.estimate import Estimate, estimate
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
    print(
        "| setting | clock: estimate | taken | ratio | processor time: estimate | taken | ratio | memory: estimate | taken | ratio | load |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name in SETTINGS if args.only is None else [args.only]:
        found = {clock: _alone(_estimated, name, args.steps, clock) for clock in ("perf_counter", "process_time")}
        *taken, memory = _alone(_trained, name, args.steps)
        says = [(found[clock].seconds, took) for clock, took in zip(found, taken, strict=True)]
        gib = (found["perf_counter"].memory_bytes / 2**30, memory / 2**30)
        cells = [f"{a:.1f} s | {b:.1f} s | {a / b:.2f}" for a, b in says]
        print(
            f"| {name} | "
            + " | ".join(cells)
            + f" | {gib[0]:.2f} GiB | {gib[1]:.2f} GiB | {gib[0] / gib[1]:.2f} | {os.getloadavg()[1]:.1f} |",
            flush=True,
        )


def _alone(work: Callable[..., Any], *args: object) -> Any:
    """In a process of its own: what another one left in memory is not measured."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *args).result()


def _experiment(name: str, steps: int) -> Experiment:
    quiet_libraries()
    file, settings = SETTINGS[name]
    return load_experiment(SAMPLE_SHOP / file, {**settings, "training.steps": steps})


def _estimated(name: str, steps: int, clock: str) -> Estimate:
    experiment = _experiment(name, steps)
    with tempfile.TemporaryDirectory() as folder:
        workspace, place = Workspace(Path(folder)), Path(folder) / "probe"
        place.mkdir()
        prepare(experiment, workspace, SAMPLE_SHOP)
        time.perf_counter = getattr(time, clock)  # what the probe looks at
        begun = time.perf_counter()
        return estimate(experiment, probe(experiment, prepare(experiment, workspace, SAMPLE_SHOP), place, begun))


def _trained(name: str, steps: int) -> tuple[float, float, int]:
    """Seconds by the clock and of the processor, and the most memory that the process held."""
    experiment = _experiment(name, steps)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        prepare(experiment, workspace, SAMPLE_SHOP)
        begun, used = time.perf_counter(), time.process_time()
        for _event in train(experiment, prepare(experiment, workspace, SAMPLE_SHOP), folder=Path(folder) / "run"):
            pass
        taken = time.perf_counter() - begun, time.process_time() - used
    return *taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
