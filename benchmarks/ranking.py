"""A catalogue of 50,000 items ranked for 1,000 users: seconds, texts that went through the encoder, peak memory beside the matrix.

    python benchmarks/ranking.py [--items 50000] [--users 1000] [--connected 20]

As an evaluation does it, with the packaged MiniLM: every distinct text is encoded once into one float32 matrix, then ranked by the dot
product for all users, and by the connected layer for a few. The table is stored and tokenised in another process, so that peak memory
is that of the evaluation. In brackets the processor's seconds, of all cores together, which other programs disturb less.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
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
    from mtl_core.experiment import experiment_from_dict
    from mtl_core.training.prepare import prepare
    from mtl_core.workspace import Workspace

    task = {
        "kind": "recommendation",
        "data": "rows",
        "columns": {"history": "history", "item": "item", "label": "label"},
        "options": {"scoring": scoring, "full_ranking": users},
    }
    data = {"rows": {"file": str(folder / "rows.parquet"), "split": {"by": "column", "column": "part"}}}
    experiment = experiment_from_dict({"name": "ranking", "data": data, "tasks": {"next": task}, "training": {"steps": 1}})
    return experiment, prepare(experiment, Workspace(folder / "workspace"))


def measure(folder: Path, scoring: str, users: int) -> dict[str, float]:
    import torch

    from mtl_core.training.batches import assemble
    from mtl_core.training.control import Control
    from mtl_core.training.full_ranking import encode_once, rank_all
    from mtl_core.training.loop import _Trainer

    trainer = _Trainer(*prepared(folder, scoring, users), Control(), None, False)
    task, model, template = trainer.prepared.tasks["next"], trainer.model.train(False), trainer.template
    rows, catalogue = task.rows.rows("validation"), task.kind.catalogue(task.options)
    assert catalogue is not None
    count = [0]
    model.encoder.register_forward_pre_hook(lambda _, inputs: count.__setitem__(0, count[0] + len(inputs[0].lengths)))
    with torch.no_grad():
        some = {"next": task.rows.take(np.arange(2000))}
        trainer.lanes.encode(assemble(some, trainer.stores, template, 8192, trainer.device, trainer.lanes.n).packed)  # warm
        count[0], before = 0, peak_mb()
        start, used = time.perf_counter(), time.process_time()
        encoded = encode_once(trainer.lanes, "next", task, template, trainer.options.micro_batch_tokens)
        found = {"encoding": time.perf_counter() - start, "encoding_cpu": time.process_time() - used, "encoding_mb": peak_mb() - before}
        start, used = time.perf_counter(), time.process_time()
        metrics = rank_all(model, "next", encoded, catalogue, rows)
        found |= {"ranking": time.perf_counter() - start, "ranking_cpu": time.process_time() - used, "ranking_mb": peak_mb() - before}
    return found | {"encoded": count[0], "matrix_mb": encoded.vectors.nbytes / 2**20, "users": min(users, len(rows)), **metrics}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--connected", type=int, default=20, help="users ranked by the connected layer; 0: none")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)  # folder and scoring, in the process that is measured
    arguments = parser.parse_args()
    if arguments.measure:
        folder, scoring = arguments.measure
        print(json.dumps(measure(Path(folder), scoring, arguments.users)))
        return
    print("| scoring | items | texts through the encoder | seconds | users ranked | seconds | the matrix (MB) | more at the peak (MB) |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder) / "rows.parquet", arguments.items, arguments.users)
        for scoring, users in {"dot": arguments.users, "connected": arguments.connected}.items():
            if users:
                command = [sys.executable, __file__, "--users", str(users), "--measure", folder, scoring]
                prepared(Path(folder), scoring, users)
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                f = json.loads(done.stdout.splitlines()[-1])
                encoding, ranking = (f"{f[part]:.1f} ({f[part + '_cpu']:.1f})" for part in ("encoding", "ranking"))
                more = max(f["encoding_mb"], f["ranking_mb"]) - f["matrix_mb"]
                row = [scoring, f"{arguments.items:,}", f"{f['encoded']:,}", encoding, f"{f['users']:,}", ranking, f"{f['matrix_mb']:.1f}"]
                print("|", " | ".join([*row, f"{more:.0f}"]), "|")


if __name__ == "__main__":
    main()
