"""Every balancing strategy beside training each task alone and beside tuned fixed weights, at equal budget, over three seeds.

    python benchmarks/strategies.py --data DIR [--workspace DIR] [--strategies pcgrad famo] [--seeds 3] [--set training.steps=40]
    python benchmarks/strategies.py --report [--workspace DIR]

Five tasks of four kinds on pieces of the real tables in DIR (benchmarks/strategies.yaml). Every training is written to
results.jsonl in the workspace as soon as it has ended; after an interruption the same command goes on. One seed is finished for all
strategies before the next begins, and after each the table is printed as Markdown; --report prints it from the file alone.

The learning rate is the one of LEARNING_RATES that has the best mean of the main metrics on the validation split with equal fixed
weights and the first seed; all others use it. What is trained for a row, and how it is compared, is that of `python -m mtl_core alone`.
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import pandas as pd

from benchmarks.trained import Bench, Missing, Result, signed, write
from mtl_core.balancing import BALANCING, GradientBalancing
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, load_experiment
from mtl_core.jobs import quiet_libraries
from mtl_core.studies.alone import TRIALS, WEIGHTS, draw_weights
from mtl_core.studies.comparisons import Facts, alone, together
from mtl_core.studies.verdicts import best_trial, main_values, verdicts

LEARNING_RATES = (1e-4, 3e-4, 1e-3)


def make_tables(data: Path, folder: Path) -> None:
    """The pieces, drawn with a seed: 400 customers, 240 questions, 60 intents of 20 + 6 + 10 rows, 2,000 reviews."""
    rng = np.random.default_rng(0)

    def some(values: pd.Series, n: int) -> set[Any]:
        return set(rng.choice(np.sort(values.dropna().unique()), n, replace=False).tolist())

    retail = pd.read_parquet(data / "online_retail_uk" / "online_retail.parquet")
    write(folder, "retail.parquet", retail[retail.CustomerID.isin(some(retail.CustomerID, 400))])
    answers = pd.read_parquet(data / "epqa_dev" / "dev.parquet")
    write(folder, "answers.parquet", answers[answers.qid.isin(some(answers.qid, 240))])
    intents = pd.read_parquet(data / "clinc150" / "clinc150_full.parquet")
    intents = intents[intents.intent.isin(some(intents.intent[intents.intent != "oos"], 60))]
    parts = [intents[intents.split == part].groupby("intent").head(n) for part, n in (("train", 20), ("val", 6), ("test", 10))]
    write(folder, "intents.parquet", pd.concat(parts))
    reviews = pd.read_parquet(data / "womens_clothing_reviews" / "reviews.parquet").drop(columns="Unnamed: 0")
    write(folder, "reviews.parquet", reviews.iloc[np.sort(rng.choice(len(reviews), 2000, replace=False))])


def with_strategy(experiment: Experiment, name: str) -> Experiment:
    values = experiment.model_dump(mode="json")
    return Experiment.model_validate({**values, "balancing": {"name": name}})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the tables")
    parser.add_argument("--workspace", type=Path, default=ROOT / "workspace" / "strategies", help="default workspace/strategies")
    parser.add_argument("--strategies", nargs="+", default=list(BALANCING), choices=list(BALANCING), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=TRIALS, help="of fixed weights")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="a setting of the experiment")
    parser.add_argument("--report", action="store_true", help="train nothing, print what there is")
    arguments = parser.parse_args()
    bench = Bench(Workspace(arguments.workspace.resolve()), arguments.report)
    if not arguments.report:
        if arguments.data is None:
            parser.error("--data is needed to train")
        make_tables(arguments.data, bench.tables)
        quiet_libraries()
    run(arguments, bench)


def run(arguments: argparse.Namespace, bench: Bench) -> None:
    experiment = load_experiment(ROOT / "benchmarks" / "strategies.yaml", arguments.set)
    n_steps = experiment.training.steps
    assert n_steps
    tasks, first = list(experiment.tasks), experiment.seed
    metrics = experiment.main_metrics
    singles: dict[str, list[Result]] = {task: [] for task in tasks}
    rows: dict[str, list[Result]] = {}
    trials: list[Result] = []
    chosen = complete = 0
    equal = dict.fromkeys(tasks, 1.0)
    rates: dict[float, float] = {}
    try:
        for rate in LEARNING_RATES:
            candidate = load_experiment(ROOT / "benchmarks" / "strategies.yaml", [*arguments.set, f"optimizer.learning_rate={rate}"])
            found = bench(f"learning rate {rate:g}", together(candidate, first, n_steps, equal))
            rates[rate] = statistics.fmean(main_values(found.trained.result, metrics, "best").values())
        rate = max(rates, key=rates.__getitem__)
        experiment = load_experiment(ROOT / "benchmarks" / "strategies.yaml", [*arguments.set, f"optimizer.learning_rate={rate}"])
        base = bench(f"learning rate {rate:g}", together(experiment, first, n_steps, equal))
        joint = Facts(base.examples, base.steps, base.rows, base.computed, False)
        weights = draw_weights(tasks, arguments.trials, first)
        for seed in range(first, first + arguments.seeds):
            fixed = base if seed == first else bench("fixed", together(experiment, seed, n_steps, equal))
            rows.setdefault("fixed", []).append(fixed)
            for task in tasks:
                singles[task].append(bench(f"alone {task}", alone(experiment, task, seed, n_steps, joint)))
            if seed == first:
                for t, drawn in enumerate(weights[1:], 2):
                    trials.append(bench(f"trial {t}", together(experiment, seed, n_steps, drawn)))
                trials.insert(0, base)
                chosen = best_trial([r.trained.result for r in trials], {t: r[0].trained.result for t, r in singles.items()}, metrics)
            if chosen == 0:
                tuned = fixed
            elif seed == first:
                tuned = trials[chosen]
            else:
                tuned = bench("tuned", together(experiment, seed, n_steps, weights[chosen]))
            rows.setdefault("tuned", []).append(tuned)
            for name in arguments.strategies:
                if name != "fixed":
                    rows.setdefault(name, []).append(bench(name, together(with_strategy(experiment, name), seed, n_steps)))
            complete += 1
            if not arguments.report:
                print(markdown(bench, singles, rows, metrics, rates, weights[chosen]), flush=True)
    except Missing:
        if not rows:
            raise SystemExit("There is too little yet.") from None
    if arguments.report:  # a seed that is not complete is left out, unless it is the first
        singles, rows = ({name: one[: max(1, complete)] for name, one in group.items()} for group in (singles, rows))
        print(markdown(bench, singles, rows, metrics, rates, weights[chosen]))


def markdown(
    bench: Bench,
    singles: dict[str, list[Result]],
    rows: dict[str, list[Result]],
    metrics: dict[str, str],
    rates: dict[float, float],
    weights: dict[str, float],
) -> str:
    alone_runs, joint_runs = ({name: [r.trained for r in one] for name, one in group.items()} for group in (singles, rows))
    outcome = verdicts(alone_runs, joint_runs, metrics)
    head = " | ".join(f"{task}, {metric}" for task, metric in metrics.items())
    lines = [f"| strategy | {head} | mean change | step |", "|---|" + "---|" * (len(metrics) + 2)]
    base = {one.task: one.alone.text("{:.3f}") for one in outcome.rows[0].tasks}
    lines.append(f"| **alone** (the metric itself) | {' | '.join(base.get(task, '') for task in metrics)} | | |")
    fixed_step = statistics.median(r.step_seconds for r in rows["fixed"])
    for row in outcome.rows:
        changes = {one.task: signed(one.change, "{:+.3f}") for one in row.tasks}
        step = statistics.median(r.step_seconds for r in rows[row.name])
        name = {"fixed": "fixed, equal weights", "tuned": "**fixed, tuned weights**"}.get(row.name, f"`{row.name}`")
        if row.name in BALANCING and issubclass(BALANCING[row.name], GradientBalancing):
            name += " (gradients)"
        overall = signed(row.overall, "{:+.1%}") if row.overall else ""
        cells = [name, *(changes.get(task, "") for task in metrics), overall, f"{step:.2f} s ({step / fixed_step:.2f}×)"]
        lines.append(f"| {' | '.join(cells)} |")
    n_clear = sum(one.verdict != "not significant" for row in outcome.rows for one in row.tasks)
    n_all = sum(len(row.tasks) for row in outcome.rows)
    joint = statistics.fmean(sum(r.examples.values()) for r in rows["fixed"])
    apart = statistics.fmean(sum(r.examples.values()) for one in singles.values() for r in one) * len(singles)
    validation = ", ".join(f"{rate:g} {value:.4f}" for rate, value in rates.items())
    tuned = ", ".join(f"{task} {weight:g}" for task, weight in weights.items())
    minutes = sum(r.seconds for r in bench.used.values()) / 60
    lines += [
        "",
        "Change of the main metric on the test split to training alone, paired by seed, mean ± half the 95 % interval over the "
        f"seeds ({len(rows['fixed'])}); ▲ helps, ▼ hurts: the interval does not hold 0 ({n_clear}/{n_all}; by chance about one in twenty "
        "would not). Mean change: Δm, relative to alone. Step: median time, in brackets beside fixed weights.",
        "",
        f"Budget of a row and seed: {joint:,.0f} labels jointly, {apart:,.0f} in the {len(singles)} trainings alone. Tuned weights: of the "
        f"trials (equal weights, else log-uniform in {WEIGHTS[0]:g} to {WEIGHTS[1]:g}, mean 1) the best by mean change on the validation "
        f"split with the first seed: {tuned}. Learning rate: mean of the main metrics on the validation split {validation}.",
        "",
        f"Computed on {rows['fixed'][0].computed}; {len(bench.used)} trainings of {minutes:.0f} min together.",
    ]
    lines += [f"\n{warning}" for warning in outcome.warnings]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
