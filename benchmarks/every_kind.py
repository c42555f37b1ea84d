"""Tasks of every kind on the real tables, trained jointly and each alone at equal examples, beside floors and published figures.

    python benchmarks/every_kind.py --data DIR [--rows 3000] [--seeds 3] [--set training.steps=400] [--workspace DIR]
    python benchmarks/every_kind.py --report [--seeds 3] [--set ...] [--workspace DIR]

Sixteen tasks of eleven kinds (benchmarks/every_kind.yaml). --rows: most rows of a table that is split here, most training rows of one
that comes with a split, most customers of the log; 0 for all of them. Every training is kept as soon as it has ended; after an
interruption the same command goes on. One seed is finished for all tasks before the next begins, and after each the table is printed
as Markdown; --report prints it alone. What is trained, and how it is compared, is that of `python -m mtl_core alone`, but for the
encoder's learning rate alone: 4e-4 × √(rows of a step / 204), whatever it is jointly.
"""

import argparse
import math
import statistics
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import pandas as pd

from benchmarks.real import FLOORS as KNOWN
from benchmarks.real import naive_metrics
from benchmarks.trained import Bench, Missing, Result, signed, write
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, load_experiment
from mtl_core.jobs import quiet_libraries
from mtl_core.runtime.prepare import prepare
from mtl_core.studies.comparisons import Facts, alone, together
from mtl_core.studies.verdicts import UNLIKE, verdicts

# (task, metric) → what is known of the table: a simple method's figure, or a published one, and whose.
FLOORS: dict[tuple[str, str], tuple[float, str]] = KNOWN | {
    ("intent", "accuracy"): (0.911, "linear SVC; BERT 0.962"),
    ("service_intent", "accuracy"): (0.996, "linear SVC"),
    ("rating", "rmse"): (0.706, "TF-IDF"),
    ("category", "accuracy"): (0.958, "linear SVC"),
    ("same_product", "f1"): (0.579, "TF-IDF; DeepMatcher 0.693, Ditto 0.756"),
    ("fact", "mrr"): (0.706, "TF-IDF"),
}

RATE, ROWS = 4e-4, 204  # the encoder's learning rate alone, were a step of so many rows


def make_tables(data: Path, folder: Path, rows: int) -> None:
    """The tables that every_kind.yaml names. rows: most of each, 0 for all."""

    def fewer(table: pd.DataFrame, group: str | None = None) -> pd.DataFrame:
        """At most `rows` rows of what may be learned from, by whole groups where they belong together; the rest as it is."""
        learned = table["part"] == "train" if "part" in table else pd.Series(True, table.index)
        if not rows or learned.sum() <= rows:
            return table
        rng = np.random.default_rng(0)
        if group is None:
            kept = set(rng.choice(np.flatnonzero(learned), rows, replace=False).tolist())
            return table[~learned.to_numpy() | np.isin(np.arange(len(table)), list(kept))]
        names = rng.permutation(table.loc[learned, group].unique())
        sizes = table.loc[learned, group].value_counts()
        taken = names[np.cumsum([sizes[name] for name in names]) <= rows]
        return table[~learned | table[group].isin(taken)]

    def read(name: str) -> pd.DataFrame:
        path = data / name
        return (pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)).reset_index(drop=True)

    def parts(pattern: str, **files: str) -> pd.DataFrame:
        return pd.concat([read(pattern.format(file)).assign(part=part) for part, file in files.items()], ignore_index=True)

    retail = read("online_retail_uk/online_retail.parquet")
    customers = np.sort(retail.CustomerID.dropna().unique())
    some = np.random.default_rng(0).permutation(customers)[: rows or None]
    write(folder, "retail.parquet", retail[retail.CustomerID.isin(some)])
    write(folder, "answers.parquet", fewer(read("epqa_dev/dev.parquet"), "qid"))
    write(folder, "sessions.parquet", fewer(read("online_shoppers_intention/online_shoppers_intention.csv")))
    intents = read("clinc150/clinc150_full.parquet")
    intents = intents[intents.intent != "oos"]
    write(folder, "intents.parquet", fewer(intents.assign(part=intents.split.replace({"val": "validation"})).reset_index(drop=True)))
    service = read("bitext_customer_service/train.csv")
    write(folder, "service.parquet", fewer(service.assign(flags=service["flags"].map(";".join))))
    reviews = read("womens_clothing_reviews/reviews.parquet").drop(columns="Unnamed: 0")
    write(folder, "reviews.parquet", fewer(reviews))
    write(folder, "offers.parquet", fewer(read("pricerunner/pricerunner_aggregate.parquet"), "cluster_id"))
    amazon = "product_matching_amazon_google/{}.parquet"
    write(folder, "pairs.parquet", parts(amazon, train="train", validation="valid", test="test"))
    write(folder, "titles.parquet", read("oa_mine_attributes/train.parquet"))
    known = parts("semipqa/attribute_ranking_{}.parquet", train="dev", test="testseen")
    asked = set(known.question[known.part == "test"])
    known = known[~known.question.isin(asked) | (known.part == "test")].reset_index(drop=True)  # 15 questions are in both files
    learned = known.qid[known.part == "train"].unique()
    watched = np.random.default_rng(0).permutation(learned)[: len(learned) // 10]
    known.loc[known.qid.isin(watched) & (known.part == "train"), "part"] = "validation"
    write(folder, "facts.parquet", fewer(known[known.groupby("qid").label.transform("max") > 0].reset_index(drop=True), "qid"))
    sentences = parts("semipqa/data_to_text_{}.parquet", train="train", validation="dev", test="test_seen")
    write(folder, "sentences.parquet", sentences)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the tables")
    parser.add_argument("--workspace", type=Path, help="default workspace/every-kind-ROWS")
    parser.add_argument("--rows", type=int, default=3000, help="most training rows of a table, 0 for all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="train these alone, not all")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="a setting of the experiment")
    parser.add_argument("--report", action="store_true", help="train nothing, print what there is")
    arguments = parser.parse_args()
    folder = arguments.workspace or ROOT / "workspace" / f"every-kind-{arguments.rows or 'all'}"
    bench = Bench(Workspace(folder.resolve()), arguments.report)
    if not arguments.report:
        if arguments.data is None:
            parser.error("--data is needed to train")
        make_tables(arguments.data, bench.tables, arguments.rows)
        quiet_libraries()
    experiment = load_experiment(ROOT / "benchmarks" / "every_kind.yaml", arguments.set)
    n_steps = experiment.training.steps
    assert n_steps
    naive = cache(lambda: naive_metrics(experiment, prepare(experiment, bench.workspace, bench.tables)))
    joint: list[Result] = []
    singles: dict[str, list[Result]] = {task: [] for task in arguments.tasks or experiment.tasks}
    try:
        for seed in range(experiment.seed, experiment.seed + arguments.seeds):
            base = bench("together", together(experiment, seed, n_steps))
            joint.append(base)
            seen = Facts(base.examples, base.steps, base.rows, base.computed, False)
            for task, done in singles.items():
                done.append(bench(f"alone {task}", at_its_rate(alone(experiment, task, seed, n_steps, seen))))
            if not arguments.report:
                print(markdown(experiment, bench, joint, singles, naive()), flush=True)
    except Missing:
        if not joint:
            raise SystemExit("There is too little yet.") from None
    if arguments.report:
        print(markdown(experiment, bench, joint, {task: done for task, done in singles.items() if done}, naive()))


def at_its_rate(single: Experiment) -> Experiment:
    """With the encoder's learning rate for as few rows a step as a task has by itself, by the square root that holds for Adam (Malladi et
    al. 2022, On the SDEs and Scaling Rules for Adaptive Gradient Algorithms, https://arxiv.org/abs/2205.10287)."""
    rate = RATE * math.sqrt(single.training.batch_size / ROWS)
    return single.model_copy(update={"optimizer": single.optimizer.model_copy(update={"learning_rate": rate})})


def markdown(
    experiment: Experiment, bench: Bench, joint: list[Result], singles: dict[str, list[Result]], naive: dict[str, dict[str, float]]
) -> str:
    primary = experiment.main_metrics
    outcome = verdicts({t: [r.trained for r in done] for t, done in singles.items()}, {"joint": [r.trained for r in joint]}, primary)
    changes = {one.task: signed(one.change, "{:+.3f}") for row in outcome.rows for one in row.tasks}
    lines = ["| task | kind | metric | jointly | alone | change | naive, same rows | known |", "|---|---|---|---|---|---|---|---|"]
    for name, task in experiment.tasks.items():
        shown = [primary[name], *(metric for known, metric in FLOORS if known == name and metric != primary[name])]
        for metric in shown:
            cells = [name, task.kind, metric]
            for done in (joint, singles.get(name, [])):
                values = [r.tasks[name]["test"][metric] for r in done if metric in r.tasks[name]["test"]]
                cells.append(f"{statistics.fmean(values):.3f}" if values else "")
            cells.append(changes.get(name, "") if metric == primary[name] else "")
            cells.append(f"{naive[name][metric]:.3f}" if metric in naive[name] else "")
            cells.append("{:.3f} ({})".format(*FLOORS[name, metric]) if (name, metric) in FLOORS else "")
            lines.append(f"| {' | '.join(cells)} |")
    minutes = sum(r.seconds for r in bench.used.values()) / 60
    overall = outcome.rows[0].overall if outcome.rows else None
    lines += [
        "",
        f"Means over {len(joint)} seed(s), on the test split. Change of the main metric, jointly against alone, paired by seed, ± half the "
        "95 % interval; ▲ helps, ▼ hurts: the interval does not hold 0."
        + (f" Mean relative change: {signed(overall, '{:+.1%}')}." if overall else ""),
        f"{len(bench.used)} trainings of {minutes:.0f} min together, computed on {joint[0].computed}; "
        f"{sum(joint[0].examples.values()):,} labels in each joint training.",
    ]
    warnings = [one for one in outcome.warnings if one.template != UNLIKE["optimizer"]]  # they are to differ: see at_its_rate
    return "\n".join([*lines, *(f"\n{warning}" for warning in warnings)]) + "\n"


if __name__ == "__main__":
    main()
