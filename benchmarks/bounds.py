"""What grows with a workspace and its tables stays within bounds.

    python benchmarks/bounds.py [--only runs,writer,classes] [--json]

runs:    1,000 runs of which 20 are damaged in twenty ways; wanted: all are listed within a second, and `doctor` names the 20.
writer:  the sample shop's training, and one that saves a minute apart; wanted: at most 5 % and 2 % of the time in writing.
classes: 15,000 rows of 100,000 classes evaluated; wanted: at most 3 GB of memory in the whole process.

Each part runs in a process of its own. What is measured is printed as it is found.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mtl_core.base.workspace import Workspace

RUNS, DAMAGED = 1000, 20
LIST = """
import time
from pathlib import Path
from mtl_core.base.workspace import Workspace
from mtl_core.tracking.runs import all_runs
begun = time.perf_counter()
all_runs(Workspace(Path({root!r})))
print(time.perf_counter() - begun)
"""


def runs(folder: Path) -> dict[str, Any]:
    """Of one trained run 1,000 copies."""
    import mtl_core as mtl
    from benchmarks.faults import experiment_of, tiny_encoder
    from mtl_core.tracking.doctor import examine_workspace
    from mtl_core.tracking.runs import all_runs

    one = mtl.train(experiment_of(str(tiny_encoder(folder / "encoder"))), workspace=folder / "first")
    place = Workspace(folder / "workspace")
    for i in range(RUNS):
        copy = place.runs / f"{i:012x}"
        shutil.copytree(one.folder, copy, copy_function=os.link)
        for name in ("status.json", "experiment.yaml", "events.jsonl"):  # each has its own
            (copy / name).unlink()
            shutil.copy2(one.folder / name, copy / name)
    for i, damage in enumerate(damages()):
        damage(place.runs / f"{i * 37:012x}")
    wanted = {f"{i * 37:012x}" for i in range(DAMAGED)}
    seconds = []
    for _ in range(3):
        seconds.append(float(subprocess.run([sys.executable, "-c", LIST.format(root=str(place.root))], cwd=ROOT, capture_output=True,
                                            text=True, check=True).stdout))  # fmt: skip
    found, broken = all_runs(place)
    begun = time.perf_counter()
    named = {finding.of for finding in examine_workspace(place)}
    return {
        "listed": len(found) + len(broken),
        "cannot be read": len(broken),
        "seconds": sorted(seconds)[1],
        "named by doctor": len(named & wanted),
        "others named": len(named - wanted),
        "seconds of doctor": time.perf_counter() - begun,
    }


def damages() -> list[Callable[[Path], object]]:
    """Twenty, each of a run's folder."""

    def status(text: str) -> Callable[[Path], object]:
        return lambda run: (run / "status.json").write_text(text, "utf-8")

    def entry(name: str, value: object) -> Callable[[Path], object]:
        def damage(run: Path) -> None:
            path = run / "status.json"
            path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {name: value}), "utf-8")

        return damage

    def journal(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], object]:
        def damage(run: Path) -> None:
            path = run / "events.jsonl"
            path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))

        return damage

    def weights(change: Callable[[Path], object]) -> Callable[[Path], object]:
        def damage(run: Path) -> None:
            path = max(run.glob("checkpoints/step-*/**/*.safetensors"))
            content = path.read_bytes()
            path.unlink()  # the others are other names of the same bytes
            path.write_bytes(content)
            change(path)

        return damage

    def cut(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-100])

    def turn(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return [
        status("[]"), status("null"), status(""), status("{"), status('"text"'), status("\x00" * 200),
        lambda run: (run / "status.json").unlink(),
        entry("created", "yesterday"), entry("weights", [1, 2]), entry("state", 7), entry("result", "none"),
        lambda run: (run / "experiment.yaml").write_text("tasks: [", "utf-8"), lambda run: (run / "experiment.yaml").unlink(),
        journal(lambda lines: lines[:3] + lines[5:]), journal(lambda lines: [lines[0], b"{}\n", *lines[2:]]),
        journal(lambda lines: [line.replace(b"0.", b"1.") if i == 4 else line for i, line in enumerate(lines)]),
        weights(lambda path: path.unlink()), weights(cut), weights(turn), weights(lambda path: path.write_bytes(b"")),
    ]  # fmt: skip


def writer(folder: Path) -> dict[str, Any]:
    """Share of the training's time in `save_checkpoint` and what belongs to it, as a clock beside it sees it."""
    import mtl_core as mtl
    from mtl_core.training.loop import Trainer

    spent = [0.0, 0]
    save = Trainer._save

    def timed(self: Trainer) -> Any:
        begun = time.perf_counter()
        for event in save(self):
            spent[0] += time.perf_counter() - begun
            spent[1] += 1
            yield event
            begun = time.perf_counter()
        spent[0] += time.perf_counter() - begun

    Trainer._save = timed  # type: ignore[method-assign]
    shares = {}
    for name, settings in (("sample shop", {}), ("a minute apart", {"training.steps": 300, "training.evaluate_every": 150})):
        spent[:] = [0.0, 0]
        run = mtl.train(ROOT / "data" / "shop.yaml", settings={"training.device": "cpu", **settings}, workspace=folder / "workspace")
        shares[name] = {"share": spent[0] / (run.seconds or 1.0), "saves": spent[1], "seconds": run.seconds}
    return shares


def classes(folder: Path) -> dict[str, Any]:
    """A table of 100,000 classes, four steps, two evaluations of 15,000 rows and the test."""
    import numpy as np
    import pandas as pd

    import mtl_core as mtl
    from benchmarks.faults import tiny_encoder

    n, m, more = 100_000, 15_000, 2000
    rng = np.random.default_rng(0)
    label = np.concatenate([np.arange(n), rng.integers(0, n, more + 2 * m)])
    text = [f"w{c % 2000} w{c // 2000} w{c * 13 % 2000} w{i % 2000} w{i // 2000}" for i, c in enumerate(label)]
    split = ["train"] * (n + more) + ["validation"] * m + ["test"] * m
    pd.DataFrame({"text": text, "label": [f"c{c}" for c in label], "split": split}).to_csv(folder / "t.csv", index=False)
    described = {
        "name": "many classes",
        "data": {"t": {"file": str(folder / "t.csv"), "split": {"by": "column", "column": "split"}}},
        "tasks": {"c": {"kind": "classification", "data": "t", "columns": {"text": "text", "label": "label"}}},
        "encoder": {"name": str(tiny_encoder(folder / "encoder"))},
        "training": {"steps": 4, "batch_size": 32, "device": "cpu", "evaluate_every": 2, "max_validation_rows": m},
    }
    run = mtl.train(described, workspace=folder / "workspace")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"peak GB": peak / 1e9, "seconds": run.seconds}


PARTS = {"runs": runs, "writer": writer, "classes": classes}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            print(json.dumps(PARTS[arguments.part](Path(folder))))
        return 0
    found = {}
    for part in arguments.only.split(","):
        done = subprocess.run([sys.executable, __file__, "--part", part], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        found[part] = json.loads(done.stdout.splitlines()[-1])
        print(part, found[part], file=sys.stderr)
    if arguments.json:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
