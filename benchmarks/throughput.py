"""Useful tokens a second and what was learned with them, side by side with what a user would pick instead.

    python benchmarks/throughput.py [--data DIR] [--device cpu|cuda] [--rows N] [--epochs E] [--seeds 0,1,2]

Every variant trains on the same rows for the same number of examples, each in a process of its own, one after another
(a, b, c, a, b, c, ...):

    a  plain loop of the tutorials: padded to 128 tokens, batch 16, float32, one task after the other
    b  transformers.Trainer, a head per task, one task per batch of 16, dynamic padding, float32
    c  this workbench: one joint step over all tasks

Useful tokens: those of each example that was trained on, special tokens included, padding not; counted in the same way for
all. Time: training alone, without loading, tokenising and evaluation. With `--device cuda` the encoder is a randomly
initialised BERT-base, a, b and c compute in bfloat16, and the share of the card's own matrix-product rate is added.
DIR: holds clinc150, womens_clothing_reviews and product_matching_amazon_google; without it, tables of the sample shop.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import pandas as pd

from benchmarks.mix import TASKS, tables, task

VARIANTS = {"a": "plain loop", "b": "transformers.Trainer", "c": "this workbench"}
LEARNING_RATES = {"a": 4e-4, "b": 4e-4, "c": 4e-4}
"""Each the best of four on validation rows (seed 7), as LOG.md says."""


@cache
def matmul_rate(device: str, size: int = 8192) -> float:
    """Floating-point operations a second of a large bfloat16 matrix product: the best of 5 times 20."""
    import torch

    from benchmarks.baselines import synchronize

    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(6):  # the first warms up
        synchronize(device)
        start = time.perf_counter()
        for _ in range(20):
            left @ right
        synchronize(device)
        best = min(best, (time.perf_counter() - start) / 20)
    return 2 * size**3 / best


def model_folder(device: str, scratch: Path) -> Path:
    """minilm on the CPU; on a GPU a BERT-base with random weights and the tokenizer of minilm."""
    from mtl_core.model.packaged import packaged_minilm

    packaged = packaged_minilm()
    folder = scratch / "bert-base"
    if device == "cpu":
        return packaged
    if not folder.exists():
        import torch
        from transformers import AutoTokenizer, BertConfig, BertModel

        torch.manual_seed(0)
        BertModel(BertConfig()).save_pretrained(folder)
        AutoTokenizer.from_pretrained(packaged).save_pretrained(folder)
    return folder


def training_flops(folder: Path, lengths: np.ndarray) -> float:
    """Operations that one forward and backward pass over texts of `lengths` tokens needs: 6 a weight and token, and attention."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    hidden, layers, inner = config["hidden_size"], config["num_hidden_layers"], config["intermediate_size"]
    weights = layers * (4 * hidden**2 + 2 * hidden * inner)
    return float(6 * weights * lengths.sum() + 12 * layers * hidden * (lengths.astype(float) ** 2).sum())


def run_one(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Trains one variant with one seed in this process."""
    from sklearn.metrics import accuracy_score, f1_score
    from transformers import AutoTokenizer
    from transformers.utils import logging

    from benchmarks import baselines

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tasks = [task(name, pd.read_parquet(scratch / f"{name}.parquet")) for name in TASKS]
    folder = arguments.encoder or model_folder(arguments.device, scratch)
    rates = dict(p.split("=") for p in arguments.learning_rate)
    rate = float(rates.get(arguments.variant, LEARNING_RATES[arguments.variant]))
    common: dict[str, Any] = {"epochs": arguments.epochs, "seed": arguments.seed, "device": arguments.device, "learning_rate": rate}
    matmul = matmul_rate(arguments.device) if arguments.device != "cpu" else None
    match arguments.variant:
        case "a":
            trained = baselines.plain_loop(folder, tasks, **common, part=arguments.part)
        case "b":
            trained = baselines.trainer(folder, tasks, **common, part=arguments.part, scratch=scratch / "trainer")
        case "c":
            from benchmarks import ours

            with tempfile.TemporaryDirectory(dir=scratch) as working:
                for t in tasks:
                    (Path(working) / f"{t.name}.parquet").hardlink_to(scratch / f"{t.name}.parquet")
                described = ours.experiment(folder, tasks, **common, overrides=arguments.set)
                trained = ours.joint(Path(working), tasks, described, arguments.device, arguments.part)
        case other:
            raise SystemExit(f"--variant should be one of {', '.join(VARIANTS)}. Found {other!r}.")

    tokenizer = AutoTokenizer.from_pretrained(folder)
    lengths = {t.name: baselines.useful_tokens(tokenizer, t.splits["train"]) for t in tasks}
    uses = {t.name: trained.examples[t.name] / len(t.splits["train"]) for t in tasks}
    tokens = sum(uses[name] * lengths[name].sum() for name in TASKS)
    metrics = {}
    for t in tasks:
        true, found = t.splits[arguments.part].labels, trained.predictions[t.name]
        metrics[f"{t.name} accuracy"] = float(accuracy_score(true, found))
        if t.name == "matching":
            metrics["matching F1"] = float(f1_score(true, found, pos_label=t.classes.index("same"), zero_division=0.0))
        else:
            metrics[f"{t.name} macro-F1"] = float(f1_score(true, found, average="macro", zero_division=0.0))
    result = {
        "variant": arguments.variant,
        "seed": arguments.seed,
        "learning_rate": rate,
        "examples": trained.examples,
        "tokens": int(tokens),
        "seconds": trained.seconds,
        "tokens_per_second": tokens / trained.seconds,
        "metrics": metrics,
    }
    if matmul is not None:
        flops = sum(uses[name] * training_flops(folder, lengths[name]) for name in TASKS)
        result |= {"matmul_flops_per_second": matmul, "share_of_matmul_rate": flops / trained.seconds / matmul}
    return result


def markdown(results: list[dict[str, Any]], arguments: argparse.Namespace) -> str:
    """Mean over the seeds (± standard deviation) of each variant, and how many times faster c is than a and b."""
    table = pd.DataFrame([{**r, **r["metrics"], "rows": sum(r["examples"].values())} for r in results])
    groups = table.groupby("variant")
    speed = groups["tokens_per_second"].mean()
    names = [n for n in results[0]["metrics"] if n not in {"matching accuracy"}]

    def spread(values: "pd.Series[float]", form: str) -> str:
        return f"{values.mean():{form}}" + (f" ± {values.std():{form}}" if len(values) > 1 else "")

    share = "share_of_matmul_rate" in table
    head = ["variant", "learning rate", "examples", "useful tokens/s", "c is faster by", *(["of matmul rate"] if share else []), *names]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for variant, rows in groups:
        ratio = f"{speed['c'] / speed[variant]:.2f} ×" if "c" in speed and variant != "c" else ""
        cells = [
            f"{variant}: {VARIANTS[str(variant)]}",
            f"{rows['learning_rate'].iloc[0]:g}",
            f"{rows['rows'].mean():,.0f}",
            spread(rows["tokens_per_second"], ",.0f"),
            ratio,
            *([f"{rows['share_of_matmul_rate'].mean():.1%}"] if share else []),
            *(spread(rows[n], ".3f") for n in names),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    trained_on = f"{arguments.rows} training rows a task, {arguments.epochs} epochs, seeds {arguments.seeds}, measured on {arguments.part}"
    lines += ["", f"{trained_on}; {machine(arguments.device)}."]
    return "\n".join(lines)


def machine(device: str) -> str:
    import torch

    if device != "cpu":
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} cores, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the three tables; else the sample shop's")
    parser.add_argument("--encoder", type=Path, help="folder of a saved encoder, in place of the usual one")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rows", type=int, default=1000, help="training rows of each task")
    parser.add_argument("--test-rows", type=int, default=1000, help="most test rows of each task")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--part", default="test", choices=["validation", "test"], help="rows that are measured; tune on validation")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--variants", default="a,b,c")
    parser.add_argument("--learning-rate", action="append", default=[], metavar="VARIANT=RATE", help="in place of the variant's own")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="a field of c's experiment, as training.batch_size=96"
    )
    parser.add_argument("--json", type=Path, help="also write all figures here")
    parser.add_argument("--variant", help=argparse.SUPPRESS)  # these three: for the process of one variant
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    if arguments.variant:
        result = run_one(arguments, arguments.scratch)
        (arguments.scratch / "result.json").write_text(json.dumps(result), encoding="utf-8")
        return

    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name, table in tables(arguments.data, arguments.rows, arguments.test_rows).items():
            table.to_parquet(scratch / f"{name}.parquet")
        for seed in arguments.seeds.split(","):
            for variant in arguments.variants.split(","):
                call = [sys.executable, __file__, *sys.argv[1:], "--variant", variant, "--seed", seed, "--scratch", folder]
                if os.name == "posix" and os.getloadavg()[0] > 1.5 and not results:
                    print(f"The machine is busy (load {os.getloadavg()[0]:.1f}): figures will be off.", file=sys.stderr)
                subprocess.run(
                    call,
                    check=True,
                    env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
                )
                results.append(json.loads((scratch / "result.json").read_text(encoding="utf-8")))
                line = results[-1]
                print(f"{variant} seed {seed}: {line['tokens_per_second']:,.0f} tokens/s in {line['seconds']:.1f} s", file=sys.stderr)
    print(markdown(results, arguments))
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(arguments.device), "results": results}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
