"""A catalogue of 50,000 items ranked for 1,000 users: seconds, texts that went through the encoder, peak memory beside the matrix.

    python benchmarks/ranking.py [--items 50000] [--users 1000] [--connected 20]

As an evaluation does it, with the packaged MiniLM: every distinct text is encoded once into one float32 matrix, then ranked by the dot
product for all users, and by the connected layer for a few. The table is stored and tokenised in another process, so that peak memory
is that of the evaluation. The processor's seconds, of all its cores together, are disturbed less by other programs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.data_memory import peak_mb

WORDS = (
    "red blue black white green silver cotton leather steel glass wooden vintage small large mini double soft warm light classic summer "
    "lamp mug hat shoe coat sock bag clock frame candle plate bowl spoon chair table shelf phone case cable speaker camera watch ring "
    "for with set of box kitchen garden kids men women office travel home party gift outdoor sport baby pet bath"
)


def write_rows(path: Path, items: int, users: int) -> None:
    """One training row an item, and one validation row a user, with ten earlier items. Texts of 4 to 9 words, all different."""
    random, words = np.random.default_rng(0), WORDS.split()
    texts: dict[str, None] = {}
    while len(texts) < items:
        texts[" ".join(random.choice(words, random.integers(4, 10)))] = None
    names, n = list(texts), items + users
    item = np.concatenate([np.arange(items), random.integers(0, items, users)])
    history = [[]] * items + [[names[i] for i in random.choice(items, 10, replace=False)] for _ in range(users)]
    columns = {
        "history": pa.array(history, pa.list_(pa.string())),
        "item": [names[i] for i in item],
        "label": (random.random(n) < 0.2) | (np.arange(n) >= items),
        "part": ["train"] * items + ["validation"] * users,
    }
    pq.write_table(pa.table(columns), path)


def prepared(folder: Path, scoring: str, users: int) -> tuple[Any, Any]:
    """The experiment and its rows, from where they are stored when it is done again."""
    from mtl_core.base.workspace import Workspace
    from mtl_core.config.experiment import experiment_from_dict
    from mtl_core.runtime.prepare import prepare

    task = {
        "kind": "recommendation",
        "data": "rows",
        "columns": {"history": "history", "item": "item", "label": "label"},
        "options": {"scoring": scoring, "full_ranking": users},
    }
    data = {"rows": {"file": str(folder / "rows.parquet"), "split": {"by": "column", "column": "part"}}}
    experiment = experiment_from_dict({"name": "ranking", "data": data, "tasks": {"next": task}, "training": {"steps": 1}})
    return experiment, prepare(experiment, Workspace(folder / "workspace"))


def measure(folder: Path, users: dict[str, int]) -> dict[str, Any]:
    """users: scoring → how many are ranked by it, the first one on freshly encoded texts, the others on the same."""
    import torch

    from mtl_core.runtime.batches import assemble
    from mtl_core.runtime.full_ranking import encode_once, rank_all
    from mtl_core.training.control import Control
    from mtl_core.training.loop import Trainer

    found: dict[str, Any] = {}
    trainers = {scoring: Trainer(*prepared(folder, scoring, n), Control(), None, False) for scoring, n in users.items()}
    trainer = next(iter(trainers.values()))
    task, lanes, template, budget = (
        trainer.prepared.tasks["next"],
        trainer.lanes,
        trainer.template,
        trainer.options.max_tokens_per_micro_batch,
    )
    count = [0]
    trainer.model.train(False).encoder.register_forward_pre_hook(lambda _, inputs: count.append(len(inputs[0].lengths)))
    with torch.no_grad():
        some = {"next": task.rows.take(np.arange(2000))}
        lanes.encode(assemble(some, trainer.stores, template, budget, trainer.device, lanes.n).packed)  # warm
        count.clear()
        before, start, used = peak_mb(), time.perf_counter(), time.process_time()
        encoded = encode_once(lanes, task, template, budget)
        seconds = time.perf_counter() - start, time.process_time() - used
        found |= {"encoding": seconds, "encoded": sum(count), "matrix_mb": encoded.vectors.nbytes / 2**20, "ranking": {}}
        for scoring, one in trainers.items():
            task = one.prepared.tasks["next"]
            catalogue = task.kind.rows.catalogue(task.options)
            assert catalogue is not None
            start, used = time.perf_counter(), time.process_time()
            rank_all(one.model.train(False), "next", replace(encoded, task=task), catalogue, task.rows.rows("validation"))
            found["ranking"][scoring] = [time.perf_counter() - start, time.process_time() - used, peak_mb() - before]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--connected", type=int, default=20, help="users ranked by the connected layer; 0: none")
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # a folder, in the process that is measured
    arguments = parser.parse_args()
    users = {scoring: n for scoring, n in {"dot": arguments.users, "connected": arguments.connected}.items() if n}
    if arguments.measure:
        print(json.dumps(measure(Path(arguments.measure), users)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder) / "rows.parquet", arguments.items, max(users.values()))
        for scoring, n in users.items():
            prepared(Path(folder), scoring, n)
        found = json.loads(subprocess.run([sys.executable, *sys.argv, "--measure", folder], check=True, stdout=subprocess.PIPE).stdout)
    print("| part | items | users | seconds | of the processor | memory at the peak beside the matrix (MB) |\n|---|---|---|---|---|---|")
    print("| {:,} texts through the encoder | {:,} | | {:.1f} | {:.1f} | |".format(found["encoded"], arguments.items, *found["encoding"]))
    for scoring, (seconds, used, peak) in found["ranking"].items():
        more = peak - found["matrix_mb"]
        print(f"| ranked, {scoring} | {arguments.items:,} | {users[scoring]:,} | {seconds:.1f} | {used:.1f} | {more:.0f} |")
    print(f"\nThe matrix: {found['matrix_mb']:.1f} MB.")


if __name__ == "__main__":
    main()
