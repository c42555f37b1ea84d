"""Whether this checkout trains to the same numbers as another commit: same machine, same seed, every metric of every task compared.

    python benchmarks/same_numbers.py --against REV [--experiment data/whole_shop.yaml] [--set training.steps=20 ...]

Each side is a fresh process with a workspace of its own, the other commit in a temporary git worktree. Exit code 1: a number differs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def trained(checkout: Path, experiment: str, settings: list[str], workspace: Path) -> dict[str, Any]:
    """Task → before, best, test → metric → value."""
    call = [sys.executable, "-m", "mtl_core", "train", experiment, "--json", "--workspace", str(workspace)]
    done = subprocess.run([*call, *(["--set", *settings] if settings else [])], cwd=checkout, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1])["tasks"])


def flat(tasks: dict[str, Any]) -> dict[str, float]:
    return {f"{task} {part} {metric}": v for task, parts in tasks.items() for part, values in parts.items() for metric, v in values.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", required=True, metavar="REV", help="the other commit")
    parser.add_argument("--experiment", default="data/shop.yaml")
    parser.add_argument("--set", nargs="+", default=[], metavar="PATH=VALUE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        other = Path(scratch) / "other"
        subprocess.run(["git", "worktree", "add", "--detach", "--quiet", str(other), args.against], cwd=ROOT, check=True)
        try:
            sides = [
                flat(trained(checkout, args.experiment, args.set, Path(scratch) / f"workspace-{n}"))
                for n, checkout in enumerate((other, ROOT))
            ]
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(other)], cwd=ROOT, check=True)
    old, new = sides
    different = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
    for name in sorted(different):
        print(f"{name}: {old.get(name)} -> {new.get(name)}")
    n = len(old.keys() | new.keys())
    print(f"{n - len(different)} of {n} numbers are equal.")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
