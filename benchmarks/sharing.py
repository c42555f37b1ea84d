"""What a step costs with each way of sharing above the encoder, beside a step with hard sharing.

    python benchmarks/sharing.py [--rounds 15] [--rows 64] [--strategy fixed] [--json FILE]

Five tasks of the sample shop, MiniLM, a model for each way; in every round each takes a step (drawing, packing, forward, back,
update) with the same rows, in an order that turns from round to round. Printed: the median over the rounds of the time relative to
that of hard sharing in the same round, the same of the processor's time (which what else runs on a machine disturbs less), and the
parameters that it adds. Wanted: at most 1.1 for MMoE with four experts. On a machine that others use, too, threads wait for each
other longer than they compute: run it with OMP_NUM_THREADS=1.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import load_experiment
from mtl_core.runtime.batches import assemble
from mtl_core.runtime.prepare import prepare
from mtl_core.training.control import Control
from mtl_core.training.loop import Trainer

VARIANTS = {
    "hard": ["sharing.name=hard"],
    "mmoe, 4 experts": ["sharing.name=mmoe", "sharing.options.experts=4"],
    "mmoe, 16 experts": ["sharing.name=mmoe", "sharing.options.experts=16"],
    "ple, 1 level": ["sharing.name=ple"],
    "ple, 2 levels": ["sharing.name=ple", "sharing.options.levels=2"],
    "cross_stitch": ["sharing.name=cross_stitch"],
    "adapters": ["sharing.name=adapters"],
    "adapters, frozen": ["sharing.name=adapters", "encoder.trainable=frozen"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=64, help="in a step")
    parser.add_argument("--strategy", default="fixed", help="how the losses or gradients are balanced")
    parser.add_argument("--json", type=Path, help="also write all seconds here")
    arguments = parser.parse_args()
    trainers: dict[str, Trainer] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, settings in VARIANTS.items():
            common = [f"training.batch_size={arguments.rows}", f"balancing.name={arguments.strategy}"]
            experiment = load_experiment(ROOT / "data" / "shop.yaml", [*common, *settings])
            trainers[name] = Trainer(experiment, prepare(experiment, Workspace(Path(folder)), ROOT / "data"), Control(), None, False)
        hard = trainers["hard"]
        seconds: dict[str, list[float]] = {name: [] for name in trainers}
        computed: dict[str, list[float]] = {name: [] for name in trainers}
        names = list(trainers)
        for number in range(-2, arguments.rounds):  # two rounds to warm up
            blocks = hard.drawing.draw(0, 0.0).blocks
            for name in names[number % len(names) :] + names[: number % len(names)]:
                trainer = trainers[name]
                begun, worked = time.perf_counter(), time.process_time()
                budget, n = trainer.options.max_tokens_per_micro_batch, trainer.lanes.n
                batches = [
                    assemble(part, trainer.stores, trainer.template, budget, trainer.device, n) for part in trainer.joint.parts(blocks)
                ]
                trainer.joint.gradients(batches, trainer.state.weights)
                trainer.optimizer.step(0)
                trainer.model.encoder.end_sparse_rows()
                if trainer.device.type == "cuda":
                    import torch

                    torch.cuda.synchronize()
                if number >= 0:
                    seconds[name].append(time.perf_counter() - begun)
                    computed[name].append(time.process_time() - worked)
        for trainer in trainers.values():
            trainer.lanes.close()

    print(f"| sharing | of a step with hard sharing ({arguments.strategy}) | middle half | of the processor's | parameters more |")
    print("|---|---|---|---|---|")
    for name, times in seconds.items():
        ratios = sorted(a / b for a, b in zip(times, seconds["hard"], strict=True))
        quarter = len(ratios) // 4
        above = sum(p.numel() for p in trainers[name].model.parameters()) - sum(p.numel() for p in hard.model.parameters())
        own = statistics.median(a / b for a, b in zip(computed[name], computed["hard"], strict=True))
        print(f"| {name} | {statistics.median(ratios):.3f} | {ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f} | {own:.3f} | {above:,} |")
    print(f"\nA step with hard sharing takes {statistics.median(seconds['hard']):.3f} s; {arguments.rows} rows, {arguments.rounds} rounds.")
    if arguments.json:
        arguments.json.write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()
