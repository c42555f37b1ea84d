"""What keeping the predictions of single rows costs: seconds of writing as a share of the training. Wanted: at most 3 %.

    python benchmarks/predictions.py [--experiment data/whole_shop.yaml] [--set training.steps=60 ...]

One training with training.predictions=all. Writing what was evaluated anyway is one figure; scoring and writing the rows that no
evaluation looked at, which is off by default, is another, and counts for none of the training. Exit code 1: more than wanted.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import load_experiment
from mtl_core.runtime.prepare import prepare
from mtl_core.training.events import Finished, Predicted
from mtl_core.training.loop import train

WANTED = 0.03


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", default="data/shop.yaml")
    parser.add_argument("--set", nargs="+", default=[], metavar="PATH=VALUE")
    args = parser.parse_args()
    path = ROOT / args.experiment
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        experiment = load_experiment(path, [*args.set, "training.predictions=all"])
        prepared, folder = prepare(experiment, Workspace(Path(scratch) / "workspace"), path.parent), Path(scratch) / "run"
        events = list(train(experiment, prepared, folder=folder))
        kib = sum(file.stat().st_size for file in (folder / "predictions").iterdir()) / 1024
    finished = next(e for e in events if isinstance(e, Finished))
    written = [e for e in events if isinstance(e, Predicted)]
    extra = sum(e.seconds for e in written if not e.evaluated)
    seconds = finished.seconds - extra
    print("| part | rows | seconds | share of the training |\n|---|---|---|---|")
    for event in written:
        part = event.split if event.evaluated else f"{event.split}, not evaluated: scored, too"
        print(f"| {part} | {sum(event.rows.values()):,} | {event.seconds:.2f} | {event.seconds / seconds:.2%} |")
    share = sum(e.seconds for e in written if e.evaluated) / seconds
    print(f"\nTraining: {seconds:.1f} s. Writing: {share:.2%}; wanted: at most {WANTED:.0%}. All files: {kib:,.0f} KiB.")
    return 1 if share > WANTED else 0


if __name__ == "__main__":
    sys.exit(main())
