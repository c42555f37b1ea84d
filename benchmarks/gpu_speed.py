"""How fast a step is on this device: its share of the rate of matrix products, and what budgets, strategies and sharing cost."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from benchmarks import throughput
from benchmarks.gpu_place import Numbers, Place, Wrong, batches_of, wants
from benchmarks.mix import tables
from mtl_core.training.loop import Trainer


@dataclass
class Timed:
    """seconds: of a step, one for each round; asked: the same until the processor had asked for everything; lengths: tokens of each text
    that went through the encoder in the last step; peak: bytes."""

    seconds: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    lengths: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    peak: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def over(self, other: "Timed") -> float:
        """Median over the rounds of the ratio to the other's time in the same round."""
        return statistics.median(a / b for a, b in zip(self.seconds, other.seconds, strict=True))


def timed(place: Place, trainers: Mapping[str, Trainer]) -> dict[str, Timed]:
    """Steps of each, round by round. In a step: drawing, packing, forward, back, update; its losses are not read."""
    found, rounds, steps = {name: Timed() for name in trainers}, place.pick(5, 1), place.pick(6, 1)
    cuda = place.device.type == "cuda"
    for number in range(-1, rounds):  # one round to warm up
        for name, trainer in trainers.items():
            place.wait()
            if cuda:
                torch.cuda.reset_peak_memory_stats(place.device)
            begun = time.perf_counter()
            for _ in range(steps):
                batches = batches_of(trainer, trainer.drawing.draw(0, 0.0).blocks)
                trainer.joint.gradients(batches, trainer.state.weights)
                trainer.optimizer.step(0)
                trainer.model.encoder.end_sparse_rows()
            asked = time.perf_counter() - begun
            place.wait()
            if number >= 0:
                one = found[name]
                one.seconds.append((time.perf_counter() - begun) / steps)
                one.asked.append(asked / steps)
                one.lengths = np.array([n for batch in batches for part in batch.packed for n in part.lengths])
                one.peak = torch.cuda.max_memory_allocated(place.device) if cuda else 0
    return found


def _rate(place: Place) -> float:
    return throughput.matmul_rate(str(place.device), place.pick(8192, 256))


def matmul(place: Place) -> Numbers:
    """What the device gives: a large bfloat16 matrix product."""
    return {"TFLOP/s": _rate(place) / 1e12}


def budgets(place: Place) -> Numbers:
    """Tokens a second by the budget of a micro-batch, with as many rows as nearly fill one; share of the rate of matrix products; what
    part of a step had gone when the processor had asked for all of it."""
    numbers = Numbers()
    for budget in (2048, 8192, 32768, 131072) if not place.tiny else (512, 2048):
        settings = (f"training.max_tokens_per_micro_batch={budget}", f"training.batch_size={budget // 80}")
        try:
            [one] = timed(place, {"": place.trainer(place.texts(*settings))}).values()
        except torch.OutOfMemoryError:
            numbers[f"{budget}: tokens/s"] = "out of memory"
            continue
        flops = throughput.training_flops(place.encoder, one.lengths)
        numbers |= {
            f"{budget}: tokens/s": float(one.lengths.sum()) / one.median,
            f"{budget}: step ms": 1000 * one.median,
            f"{budget}: of matmul": flops / one.median / _rate(place),
            f"{budget}: asked after": statistics.median(a / s for a, s in zip(one.asked, one.seconds, strict=True)),
            f"{budget}: peak MB": one.peak / 1e6,
        }
    return numbers


def _compared(place: Place, variants: Mapping[str, list[str]]) -> Numbers:
    """Steps of variants beside those of the first: how much longer, and the most memory. 25,000 tokens in a step, four micro-batches."""
    rows = f"training.batch_size={place.pick(384, 12)}"
    found = timed(place, {name: place.trainer(place.texts(rows, *settings)) for name, settings in variants.items()})
    first = next(iter(found.values()))
    numbers: Numbers = {"step ms": 1000 * first.median}
    for name, one in found.items():
        numbers |= {name: one.over(first), f"{name} MB": one.peak / 1e6}
    return numbers


def gradient_strategies(place: Place) -> Numbers:
    """Strategies that need no other package, beside fixed weights."""
    return _compared(place, {name: [f"balancing.name={name}"] for name in ("fixed", "imtl_g", "cagrad", "graddrop")})


def torchjd_strategies(place: Place) -> Numbers:
    wants("torchjd")
    return _compared(place, {name: [f"balancing.name={name}"] for name in ("fixed", "pcgrad", "upgrad")})


def sharing(place: Place) -> Numbers:
    """Beside hard sharing."""
    ways = {"hard": ["sharing.name=hard"], "mmoe": ["sharing.name=mmoe"], "ple": ["sharing.name=ple"]}
    return _compared(place, ways | {"cross_stitch": ["sharing.name=cross_stitch"]})


def adapters(place: Place) -> Numbers:
    wants("peft")
    ways = {"hard": ["sharing.name=hard"], "adapters": ["sharing.name=adapters"]}
    return _compared(place, ways | {"adapters, frozen": ["sharing.name=adapters", "encoder.trainable=frozen"]})


def precision(place: Place) -> Numbers:
    """float32 and dropout go without the variable-length kernel, one call of attention for all texts of a length."""
    settings = {"bfloat16": [], "float32": ["training.precision=float32"], "dropout": ["encoder.dropout=0.1"]}
    return _compared(place, settings)


def comparison(place: Place, variant: str) -> Numbers:
    """A variant of throughput.py: the plain loop, transformers.Trainer, or this workbench, on the same rows."""
    if variant == "b":
        wants("accelerate")
    scratch, rows = place.folder("throughput"), place.pick(500, 16)
    encoder = place.scratch / "bert-base"
    if not encoder.exists():
        _bert_base(place)
    for name, table in tables(place.data, rows, rows).items():
        table.to_parquet(scratch / f"{name}.parquet")
    found = throughput.run_one(
        argparse.Namespace(
            variant=variant,
            seed=0,
            device=str(place.device),
            encoder=encoder,
            epochs=place.pick(4, 1),
            part="test",
            learning_rate=[],
            set=[],
        ),
        scratch,
    )
    numbers: Numbers = {"tokens/s": found["tokens_per_second"], "seconds": found["seconds"]}
    if "share_of_matmul_rate" in found:
        numbers["of matmul"] = found["share_of_matmul_rate"]
    if not all(np.isfinite(value) for value in found["metrics"].values()):
        raise Wrong(f"not a number: {json.dumps(found['metrics'])}", numbers)
    return numbers | found["metrics"]


def _bert_base(place: Place) -> None:
    """A random encoder of BERT-base's shape, where matrix products are what a step is made of; with the tokenizer of the other."""
    import transformers

    folder = place.scratch / "bert-base"
    config = transformers.AutoConfig.from_pretrained(place.encoder) if place.tiny else transformers.BertConfig()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.AutoModel.from_config(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(place.encoder).save_pretrained(folder)


CHECKS: dict[str, Callable[[Place], Numbers]] = {
    "matmul rate": matmul,
    "tokens by budget": budgets,
    "gradient strategies": gradient_strategies,
    "torchjd's strategies": torchjd_strategies,
    "sharing": sharing,
    "adapters' cost": adapters,
    "precision": precision,
    "throughput c": lambda place: comparison(place, "c"),
    "throughput a": lambda place: comparison(place, "a"),
    "throughput b": lambda place: comparison(place, "b"),
}
