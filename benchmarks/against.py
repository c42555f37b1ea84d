"""This checkout against another commit, on the same machine with the same seed: are the numbers the same, is it as fast?

    python benchmarks/against.py REV [--experiment data/whole_shop.yaml] [--set training.steps=20 ...]
    python benchmarks/against.py REV --speed 25 [--set ...]

Without `--speed` every metric of every task is compared; exit code 1: one differs. With it, so many pairs of short trainings take turns,
and tokens per second of a step (its median over a training, without the first steps) are compared pair by pair. Each training is a fresh
process; the other commit lies in a temporary git worktree, each side has a workspace of its own.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FIRST_STEPS = 4  # which warm up
SHORT = (  # by names that older commits know, too
    "training.steps=24",
    "training.evaluate_every=24",
    "training.evaluation_rows=10",
    "diagnostics.conflicts_every=0",
)


def train(checkout: Path, experiment: str, settings: list[str], workspace: Path) -> dict[str, Any]:
    """What `train --json` says of the run."""
    call = [sys.executable, "-m", "mtl_core", "train", experiment, "--json", "--workspace", str(workspace)]
    call += ["--set", *settings] if settings else []
    done = subprocess.run(call, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def numbers(found: dict[str, Any]) -> dict[str, float]:
    """“task part metric” → value."""
    return {f"{task} {part} {m}": v for task, parts in found["tasks"].items() for part, values in parts.items() for m, v in values.items()}


def tokens_per_second(found: dict[str, Any], workspace: Path) -> float:
    lines = (workspace / "runs" / found["run_id"] / "events.jsonl").read_text("utf-8").splitlines()
    steps = [event for event in map(json.loads, lines) if event["event"] == "StepDone"]
    return statistics.median(step["tokens"] / step["seconds"] for step in steps[FIRST_STEPS:])


def compare_numbers(old: dict[str, float], new: dict[str, float]) -> int:
    names = sorted(old.keys() | new.keys())
    different = [name for name in names if old.get(name) != new.get(name)]
    for name in different:
        print(f"{name}: {old.get(name)} -> {new.get(name)}")
    print(f"{len(names) - len(different)} of {len(names)} numbers are equal.")
    return 1 if different else 0


def compare_speed(ratios: list[float]) -> None:
    """The geometric mean of the ratios with a 95 % t-interval of their logarithms."""
    from scipy.stats import t

    logs = [math.log(ratio) for ratio in ratios]
    mean, error = statistics.fmean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
    half = float(t.ppf(0.975, len(logs) - 1)) * error
    low, middle, high = (math.exp(value) for value in (mean - half, mean, mean + half))
    print(f"new / old: {middle:.3f} ({low:.3f} to {high:.3f}), median {statistics.median(ratios):.3f}, {len(ratios)} pairs")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rev", metavar="REV", help="the other commit")
    parser.add_argument("--experiment", default="data/shop.yaml")
    parser.add_argument("--set", nargs="+", default=[], metavar="PATH=VALUE")
    parser.add_argument("--speed", type=int, default=0, metavar="PAIRS", help="at least 2")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        other = Path(scratch) / "other"
        subprocess.run(["git", "worktree", "add", "--detach", "--quiet", str(other), args.rev], cwd=ROOT, check=True)
        sides = [(other, Path(scratch) / "old"), (ROOT, Path(scratch) / "new")]
        try:
            if not args.speed:
                old, new = (numbers(train(checkout, args.experiment, args.set, workspace)) for checkout, workspace in sides)
                return compare_numbers(old, new)
            ratios = []
            for pair in range(args.speed):
                speed = {}
                for checkout, workspace in sides if pair % 2 else reversed(sides):  # whoever is first has the cooler machine
                    found = train(checkout, args.experiment, [*SHORT, *args.set], workspace)
                    speed[workspace.name] = tokens_per_second(found, workspace)
                ratios.append(speed["new"] / speed["old"])
                print(f"{pair + 1}: {speed['new']:,.0f} / {speed['old']:,.0f} tokens/s = {ratios[-1]:.3f}", flush=True)
            compare_speed(ratios)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(other)], cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
