"""What a step costs with each balancing strategy, beside a step with fixed weights and beside what others do.

    python benchmarks/balancing.py [--rounds 15] [--rows 64] [--only fixed upgrad] [--set KEY=VALUE] [--json FILE]

Five tasks of the sample shop, MiniLM, one model; in every round each variant takes a step with the same rows. Printed: the median
over the rounds of the time relative to that of fixed weights in the same round. Wanted: at most 1.25 for strategies on gradients,
and a third at most of what these take, on the same model and with the same strategy (UPGrad):

    torchjd   torchjd.autojac.mtl_backward and jac_to_grad
    libmtl    the loop of LibMTL: K backward passes through one retained graph, gradients copied through the CPU's memory

A look at conflicts, with its step ahead: at most 5 % of the time of the steps between two of them.
Memory: what the task gradients hold, beside K × P floats; P: parameters of the encoder that learn in the step.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch
from torch import Tensor
from torchjd.aggregation import UPGrad
from torchjd.autojac import jac_to_grad, mtl_backward

from mtl_core.balancing import BALANCING, GradientBalancing
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import load_experiment
from mtl_core.config.parts import SELDOM, BalancingConfig
from mtl_core.data.compiled import RowBlock
from mtl_core.runtime.batches import StepBatch, assemble
from mtl_core.runtime.prepare import prepare
from mtl_core.training.control import Control
from mtl_core.training.joint import Joint
from mtl_core.training.loop import Trainer

STRATEGIES = ["fixed", "uncertainty", "dwa", "famo", *(n for n, s in BALANCING.items() if issubclass(s, GradientBalancing))]


def of_one_graph(trainer: Trainer, batch: StepBatch) -> tuple[Tensor, list[Tensor]]:
    """Vectors and losses of all tasks, with the whole graph alive, as others need it."""
    encoder = trainer.model.encoder
    encoder.begin_sparse_rows(batch.token_ids)
    vectors = torch.cat([encoder(part) for part in batch.packed])
    losses = []
    for name, inputs in batch.tasks.items():
        task = trainer.prepared.tasks[name]
        losses.append(task.kind.head.loss(trainer.model.logits(name, vectors, inputs), inputs, task.spec, task.options).mean())
    return vectors, losses


def torchjd_step(trainer: Trainer, blocks: dict[str, RowBlock]) -> None:
    batch = assemble(blocks, trainer.stores, trainer.template, trainer.options.max_tokens_per_micro_batch, trainer.device)
    vectors, losses = of_one_graph(trainer, batch)
    shared = trainer.model.encoder.learning()
    mtl_backward(losses, features=vectors, shared_params=shared, parallel_chunk_size=1)  # vmap does not know packed attention
    jac_to_grad(shared, UPGrad())


def libmtl_step(trainer: Trainer, blocks: dict[str, RowBlock]) -> None:
    """As LibMTL's `AbsWeighting._get_grads` and `_backward_new_grads`."""
    batch = assemble(blocks, trainer.stores, trainer.template, trainer.options.max_tokens_per_micro_batch, trainer.device)
    _, losses = of_one_graph(trainer, batch)
    shared = trainer.model.encoder.learning()
    sizes = [p.numel() for p in shared]
    gradients = torch.zeros(len(losses), sum(sizes))
    for row, loss in zip(gradients, losses, strict=True):
        loss.backward(retain_graph=True)
        row.copy_(torch.cat([torch.zeros(n) if p.grad is None else p.grad.flatten().cpu() for p, n in zip(shared, sizes, strict=True)]))
        for parameter in shared:
            parameter.grad = None
    update = UPGrad()(gradients)
    for parameter, part in zip(shared, update.split(sizes), strict=True):
        parameter.grad = part.view_as(parameter).to(parameter.device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=64, help="in a step")
    parser.add_argument("--only", nargs="+", default=STRATEGIES, choices=STRATEGIES, help="these strategies, and nothing of others")
    parser.add_argument("--json", type=Path, help="also write all seconds here")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the experiment, as encoder.trainable=full")
    arguments = parser.parse_args()
    names = ["fixed", *(name for name in arguments.only if name != "fixed")]
    with tempfile.TemporaryDirectory() as folder:
        experiment = load_experiment(ROOT / "data" / "shop.yaml", [f"training.batch_size={arguments.rows}", *arguments.set])
        trainer = Trainer(experiment, prepare(experiment, Workspace(Path(folder)), ROOT / "data"), Control(), None, False)
        joints = {
            name: Joint(trainer.model, trainer.lanes, trainer.prepared.tasks, BalancingConfig.model_validate({"name": name}))
            for name in names
        }

        def ours(joint: Joint) -> Callable[[dict[str, RowBlock]], None]:
            def step(blocks: dict[str, RowBlock]) -> None:
                budget = trainer.options.max_tokens_per_micro_batch
                batches = [
                    assemble(p, trainer.stores, trainer.template, budget, trainer.device, trainer.lanes.n, joint.apart)
                    for p in joint.parts(blocks)
                ]
                found = joint.gradients(batches, trainer.state.weights)
                joint.observe_update(batches, found)

            return step

        variants = {name: ours(joint) for name, joint in joints.items()}
        if arguments.only == STRATEGIES:
            variants |= {"torchjd": lambda blocks: torchjd_step(trainer, blocks), "libmtl": lambda blocks: libmtl_step(trainer, blocks)}
        measured: list[float] = []
        seconds: dict[str, list[float]] = {name: [] for name in variants}
        for number in range(-2, arguments.rounds):  # two rounds to warm up
            blocks = trainer.drawing.draw(0, 0.0).blocks
            for name, step in variants.items():
                begun = time.perf_counter()
                step(blocks)
                trainer.optimizer.step(0)
                trainer.model.encoder.end_sparse_rows()
                if number >= 0:
                    seconds[name].append(time.perf_counter() - begun)
            begun = time.perf_counter()
            list(trainer._compare(blocks, 0))
            if number >= 0:
                measured.append(time.perf_counter() - begun)
        memory = max(joint._gradients.memory for joint in joints.values())
        trainer.lanes.close()

    ratios = {name: [s / f for s, f in zip(times, seconds["fixed"], strict=True)] for name, times in seconds.items()}
    print("| strategy | of a step with fixed weights | lowest to highest |\n|---|---|---|")
    for name, values in ratios.items():
        print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} to {max(values):.2f} |")
    print(
        f"\nA step with fixed weights takes {statistics.median(seconds['fixed']):.3f} s; {arguments.rows} rows, {arguments.rounds} rounds."
    )
    for name in ("torchjd", "libmtl"):
        if name in seconds:
            ratio = statistics.median(o / u for o, u in zip(seconds[name], seconds["upgrad"], strict=True))
            print(f"UPGrad: {name} takes {ratio:.2f} × our time.")
    look = statistics.median(a / f for a, f in zip(measured, seconds["fixed"], strict=True))
    print(
        f"A look at conflicts takes the time of {look:.2f} steps with fixed weights: {look / (look + SELDOM):.1%} at one in {SELDOM} steps."
    )
    print(f"Task gradients hold {memory[0]:,} floats for K × P = {memory[1]:,}.")
    if arguments.json:
        arguments.json.write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()
