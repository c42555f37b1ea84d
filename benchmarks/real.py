"""One model trained jointly on real tables, each task beside the floor that simple methods reach.

    python benchmarks/real.py --data DIR [--set training.steps=500] [--workspace DIR] [--json FILE]

DIR: holds the five tables that benchmarks/real_data.yaml names. Prints the test metrics of each task as Markdown, beside
those of its kind's naive baseline (popularity, majority, TF-IDF) on the same rows and the floor known for the table.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mtl_core.base.workspace import Workspace, new_id
from mtl_core.config.experiment import Experiment, load_experiment
from mtl_core.config.tables import map_task
from mtl_core.runtime.prepare import Prepared, prepare
from mtl_core.tasks import KINDS
from mtl_core.training.events import Evaluated, Failed, Finished, StepDone
from mtl_core.training.loop import train

# (task, metric) → what a simple method reaches on this table, measured when the tables were gathered, and which.
FLOORS: dict[tuple[str, str], tuple[float, str]] = {
    ("answer", "mrr"): (0.760, "TF-IDF"),
    ("answer", "auc"): (0.822, "TF-IDF"),
    ("revenue", "auc"): (0.771, "boosted trees"),
    ("intent", "accuracy"): (0.911, "TF-IDF, linear SVC"),
    ("recommended", "auc"): (0.959, "TF-IDF"),
    ("department", "accuracy"): (0.853, "TF-IDF"),
}


def naive_metrics(experiment: Experiment, prepared: Prepared) -> dict[str, dict[str, float]]:
    """Task → test metrics of its kind's naive baseline, fitted on the same training rows."""
    found = {}
    for name, task in prepared.tasks.items():
        mapped = map_task(experiment.tasks[name], task.dataset, experiment.seed)
        found[name] = task.kind.rows.naive(mapped.table, mapped.split, task.spec, task.options, "test")
    return found


def markdown(experiment: Experiment, test: dict[str, dict[str, float]], naive: dict[str, dict[str, float]]) -> str:
    lines = ["| task | metric | test | naive, same rows | known floor | better than both by |", "|---|---|---|---|---|---|"]
    for task, metrics in test.items():
        higher_is_better = {m.name: m.higher_is_better for m in KINDS[experiment.tasks[task].kind].metrics}
        for metric, value in metrics.items():
            floor = FLOORS.get((task, metric))
            baseline = naive[task].get(metric)
            known = [b for b in (baseline, floor[0] if floor else None) if b is not None]
            gain = min((value - b if higher_is_better[metric] else b - value for b in known), default=None)
            cells = [
                task,
                metric,
                f"{value:.3f}",
                "" if baseline is None else f"{baseline:.3f}",
                f"{floor[0]:.3f} ({floor[1]})" if floor else "",
                "" if gain is None else f"{gain:+.3f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the tables")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="a field of the experiment, as training.steps=500"
    )
    parser.add_argument("--workspace", type=Path, help="keeps datasets, tokens and the run there; else a temporary folder")
    parser.add_argument("--json", type=Path, help="also write all figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(arguments, Workspace((arguments.workspace or Path(folder)).resolve()))


def run(arguments: argparse.Namespace, workspace: Workspace) -> None:
    experiment = load_experiment(ROOT / "benchmarks" / "real_data.yaml", arguments.set)
    start = time.perf_counter()
    prepared = prepare(experiment, workspace, arguments.data.resolve())
    print(f"prepared in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    start, finished = time.perf_counter(), None
    for event in train(experiment, prepared, folder=workspace.folder("runs", new_id())):
        match event:
            case StepDone() if event.step % 50 == 0:
                losses = ", ".join(f"{name} {loss:.3f}" for name, loss in event.losses.items())
                print(f"step {event.step}, {time.perf_counter() - start:.0f} s: {losses}", file=sys.stderr)
            case Evaluated():
                print(f"step {event.step}, {event.split}: {json.dumps(event.metrics)}", file=sys.stderr)
            case Failed():
                raise SystemExit(f"{event.message} {event.advice}")
            case Finished():
                finished = event
    assert finished is not None, "training ends with Finished or Failed"
    naive = naive_metrics(experiment, prepared)
    print(markdown(experiment, finished.test, naive))
    print(f"\nTrained in {finished.seconds:.0f} s; best step {finished.best_step}.")
    if arguments.json:
        record = {"test": finished.test, "before": finished.before, "best": finished.best, "naive": naive, "seconds": finished.seconds}
        arguments.json.write_text(json.dumps(record, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
