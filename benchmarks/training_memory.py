"""Memory of training on 10,000 rows and on 1,000,000: it should not grow with the rows.

    python benchmarks/training_memory.py [--rows 10000,1000000] [--steps 30]

For each size a process stores and tokenises the table, and another, measured one trains on it from the caches. Own memory leaves
out the pages of mapped files, which the system takes back whenever it likes; resident memory (RSS) has them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def write_table(path: Path, rows: int) -> None:
    """text (5 to 20 words, nearly all different), label (4 classes), split (100 rows of validation and of test)."""
    random = np.random.default_rng(0)
    words = np.array(["".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), size)) for size in random.integers(3, 7, 2000)])
    texts = [" ".join(random.choice(words, random.integers(5, 21))) for _ in range(rows)]
    split = np.full(rows, "train", dtype="U10")
    split[:100], split[100:200] = "validation", "test"
    labels = [f"class {n}" for n in random.integers(0, 4, rows)]
    pq.write_table(pa.table({"text": texts, "label": labels, "split": split.tolist()}), path)


def own_memory() -> float:
    """Megabytes that are not pages of a file."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def measure(folder: Path, steps: int, only_prepare: bool) -> dict[str, Any]:
    """Trains `steps` steps and stops without the final evaluation. Megabytes: after preparing, and the most seen at a step."""
    import psutil

    from mtl_core.base.workspace import Workspace
    from mtl_core.config.experiment import Experiment
    from mtl_core.runtime.prepare import prepare
    from mtl_core.training.events import Failed, StepDone
    from mtl_core.training.loop import train

    experiment = Experiment.model_validate(
        {
            "name": "memory",
            "data": {"texts": {"file": "table.parquet", "split": {"by": "column", "column": "split"}}},
            "tasks": {"topic": {"kind": "classification", "data": "texts", "columns": {"text": "text", "label": "label"}}},
            "encoder": {"max_length": 64},
            "training": {"steps": steps + 1, "batch_size": 32, "evaluate_every": 10_000_000, "max_validation_rows": 10, "device": "cpu"},
        }
    )
    process = psutil.Process()
    prepared = prepare(experiment, Workspace(folder / "workspace"), folder)
    if only_prepare:
        return {}
    found: dict[str, Any] = {"prepared": own_memory(), "own": 0.0, "rss": 0.0}
    events = train(experiment, prepared, folder=folder / "run")
    for event in events:
        if isinstance(event, Failed):
            raise SystemExit(f"{event.message} {event.advice}")
        if isinstance(event, StepDone):
            found["own"] = max(found["own"], own_memory())
            found["rss"] = max(found["rss"], process.memory_info().rss / 2**20)
            if event.step >= steps:
                break
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="10000,1000000")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)  # these two: in the processes that are started
    parser.add_argument("--only-prepare", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.steps, arguments.only_prepare)))
        return
    print("| rows | own, before training (MB) | own, most while training (MB) | RSS, most while training (MB) |\n|---|---|---|---|")
    for rows in map(int, arguments.rows.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            write_table(Path(folder) / "table.parquet", rows)
            call = [sys.executable, __file__, "--steps", str(arguments.steps), "--measure", folder]
            subprocess.run([*call, "--only-prepare"], check=True, stdout=subprocess.DEVNULL)
            done = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
        print(f"| {rows:,} | {found['prepared']:,.0f} | {found['own']:,.0f} | {found['rss']:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
