"""Whether a training computes on this device what it computes in float32 on a processor, and whether what a person may do to it works."""

import csv
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu_place import Numbers, Place, Skipped, Wrong, batches_of, far, furthest, wants
from mtl_core.balancing import BALANCING
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.inference.predictor import Predictor
from mtl_core.model.packing import Packed, kernel_takes, layout, packed_attention
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.training.control import Commands, Control
from mtl_core.training.events import CheckpointSaved, Compared, Evaluated, Event, Failed, Finished, Steered, StepDone
from mtl_core.training.joint import Joint
from mtl_core.training.loop import Trainer, train
from mtl_core.training.passes import Pass
from mtl_core.training.replay import Replay, compare_replay, script_of
from tests.backbones import FAMILIES, saved

CPU = torch.device("cpu")
LOSS = {"float32": 1e-3, "bfloat16": 0.05}
GRADIENT = {"float32": 2e-3, "bfloat16": 0.15}
"""The largest relative difference to float32 on a processor. bfloat16 has three digits."""


def attention(place: Place) -> Numbers:
    """Packed attention and its gradients, for heads of several widths, causal or not, with shared keys or not."""
    numbers = Numbers()
    for heads in (_Heads(8, 2, 2), _Heads(32, 12, 12), _Heads(64, 12, 12, True), _Heads(128, 8, 2, True), _Heads(20, 4, 4)):
        result, gradient, _ = heads.computed(CPU, torch.float32)
        for dtype, most in ((torch.float32, 1e-4), (torch.bfloat16, 0.02)):
            ours, back, kernel = heads.computed(place.device, dtype)
            name = f"{heads.width} x {heads.queries}/{heads.keys}{' causal' * heads.causal} {str(dtype).removeprefix('torch.')}"
            numbers[name] = max(far(ours, result), far(back, gradient))
            if not numbers[name] < most:
                raise Wrong(f"{name}: not what a processor computes", numbers)
            if dtype is torch.bfloat16 and heads.width % 8 == 0 and place.device.type == "cuda" and not kernel:
                raise Wrong(f"{name}: the variable-length kernel is not used", numbers)
    return numbers


class _Heads(NamedTuple):
    """Heads of so many numbers each, of queries, and of keys and values."""

    width: int
    queries: int
    keys: int
    causal: bool = False

    def computed(self, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, bool]:
        """Over six texts, from one fused projection: the result, the gradient of the projection, whether the kernel was used."""
        texts = [np.zeros(n, np.int64) for n in (70, 33, 17, 17, 5, 1)]
        n, rng = sum(map(len, texts)), torch.Generator().manual_seed(0)
        fused = torch.randn(1, n, (self.queries + 2 * self.keys) * self.width, generator=rng).to(device, dtype).requires_grad_()
        outward = torch.randn(1, n, self.queries, self.width, generator=rng).to(device, dtype)
        parts = fused.unflatten(2, (-1, self.width)).transpose(1, 2).split([self.queries, self.keys, self.keys], 1)
        with layout(Packed.of(texts, texts, device)):
            result, _ = packed_attention(torch.nn.Identity(), parts[0], parts[1], parts[2], is_causal=self.causal)
        [gradient] = torch.autograd.grad(result, fused, outward)
        return result, gradient, device.type == "cuda" and kernel_takes(parts[0][0].transpose(0, 1))


def _gradients(trainer: Trainer, names: list[str] | None = None, rows: int = 6) -> tuple[dict[str, float], Tensor]:
    """Of one step without dropout: losses, and what the strategy works on: the gradients of all parameters in a row, or one row a task.

    Heads begin at 0, where they send nothing back: each is moved a little, everywhere in the same way.
    """
    trainer.model.train(False)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in trainer.model.heads.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random).to(parameter.device))
    blocks = {name: task.take(task.rows("train")[:rows]) for name, task in trainer.rows.items() if names is None or name in names}
    batches = batches_of(trainer, blocks, salt=1)
    found = trainer.joint.gradients(batches, trainer.state.weights)
    table = trainer.model.encoder.rows
    gradients = trainer.joint._gradients.matrix.flatten()
    if not trainer.joint.apart:
        learning = [p for p in (*trainer.model.parameters(), *([] if table is None else [table])) if p.grad is not None]
        gradients = torch.cat([p.grad.flatten() for p in learning if p.grad is not None])
    trainer.model.encoder.end_sparse_rows()
    if found.left_out:
        raise Wrong(f"no gradient of {', '.join(found.left_out)}")
    return dict(zip(found.names, found.losses.tolist(), strict=True)), gradients.detach().cpu()


def backbone(place: Place, family: str) -> Numbers:
    """Losses and gradients of a step of two tasks, by fixed weights and by a strategy on gradients."""
    folder = place.folder(f"backbone {family}".replace(" ", "-"))
    encoder, numbers = saved(family, place.folder(f"{folder.name}/encoder")), Numbers()
    texts = ["a red hat", "blue shoe 7", "no", "socks and a coat of many colors", "x1 y2", "green"]
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["text", "label", "other", "split"])
        table.writerows([texts[i % 6], f"c{i % 2}", f"d{i % 3}", ("train", "validation", "test")[i // 6]] for i in range(18))
    tasks: dict[str, Any] = {
        name: {"kind": "classification", "data": "table", "columns": {"text": "text", "label": name}} for name in ("label", "other")
    }
    if FAMILIES[family].writer:
        tasks["other"] |= {"kind": "generation", "columns": {"source": "text", "label": "other"}, "options": {"longest_target": 4}}

    def computed(strategy: str, precision: str, device: torch.device) -> tuple[dict[str, float], Tensor, Trainer]:
        trainer = place.trainer(
            experiment_from_dict(
                {
                    "data": {"table": {"file": str(folder / "table.csv"), "split": {"by": "column", "column": "split"}}},
                    "tasks": tasks,
                    "encoder": {"name": str(encoder), "max_length": 24},
                    "training": {"steps": 2, "batch_size": 4, "device": str(device), "precision": precision},
                    "balancing": {"name": strategy},
                }
            )
        )
        return *_gradients(trainer), trainer

    for strategy in ("fixed", "imtl_g"):
        losses, gradients, trainer = computed(strategy, "float32", CPU)
        for precision in ("float32", "bfloat16"):
            ours, theirs, here = computed(strategy, precision, place.device)
            name = f"{strategy} {precision}"
            numbers[f"{name} loss"] = furthest({task: (ours[task], loss) for task, loss in losses.items()})
            numbers[f"{name} gradient"] = far(theirs, gradients)
            if here.joint._splits != trainer.joint._splits:
                raise Wrong("all tasks' gradients from one backward pass: on one of the devices only", numbers)
            if not (numbers[f"{name} loss"] < LOSS[precision] and numbers[f"{name} gradient"] < GRADIENT[precision]):
                raise Wrong(f"{name}: not what a processor computes", numbers)
    return numbers


def kinds(place: Place) -> Numbers:
    """The whole shop, a task of every kind: losses against a processor, a step, and an evaluation of a few rows."""
    common = ["training.batch_size=128", "training.max_validation_rows=20"]
    wanted, _ = _gradients(place.trainer(place.shop(*common, "training.device=cpu", "training.precision=float32", file="whole_shop.yaml")))
    trainer = place.trainer(place.shop(*common, "training.precision=float32", file="whole_shop.yaml"))
    found, _ = _gradients(trainer)
    numbers: Numbers = {"tasks": len(found), "loss": furthest({task: (found[task], loss) for task, loss in wanted.items()})}
    if not numbers["loss"] < LOSS["float32"]:
        worst = max(wanted, key=lambda task: abs(found[task] - wanted[task]) / max(abs(wanted[task]), 1e-6))
        raise Wrong(f"the loss of {worst} is {found[worst]:.5g}, on a processor {wanted[worst]:.5g}", numbers)
    for _ in range(2):
        list(trainer._step())
    scored = trainer.evaluator.score({name: rows[:12] for name, rows in trainer.evaluator.watched.items()})
    lost = [name for name, one in scored.items() if not np.isfinite(one.loss)]
    if lost:
        raise Wrong(f"not a number: the loss of {', '.join(lost)}", numbers)
    return numbers | {"evaluated": len(scored)}


def micro_batches(place: Place) -> Numbers:
    """Small micro-batches, computed again on the way back, give the gradients of a large one; with dropout the same draw."""
    large, small = (
        _gradients(place.trainer(place.shop("training.precision=float32", f"training.max_tokens_per_micro_batch={n}")), rows=40)[1]
        for n in (65536, 256)
    )
    numbers: Numbers = {"gradient": far(small, large)}
    if not numbers["gradient"] < 1e-3:
        raise Wrong("a budget of 256 tokens gives other gradients than one of 65,536", numbers)
    trainer = place.trainer(place.shop("encoder.dropout=0.1", "training.max_tokens_per_micro_batch=256"))
    [batch] = batches_of(trainer, trainer.drawing.draw(0, 0.0).blocks)
    trainer.model.encoder.begin_sparse_rows(batch.token_ids)
    encoded = Pass(trainer.lanes, batch.packed)
    numbers |= {
        "parts": len(batch.packed),
        "again": max(far(encoded._with_graph(i).vectors, way.vectors) for i, way in enumerate(encoded._encoded)),
        "another draw": far(trainer.lanes.encode(batch.packed), encoded.vectors),
    }
    if not numbers["again"] < 1e-3 < numbers["another draw"]:
        raise Wrong("what dropout drew is not drawn again in the backward pass", numbers)
    return numbers


def waits(place: Place) -> Numbers:
    """How often a step waits for the GPU. One is meant: its losses are read while the next step is computed."""
    if place.device.type != "cuda":
        raise Skipped("a processor waits for nobody")
    trainer, steps = place.trainer(place.shop()), 4
    for _ in range(2):
        list(trainer._step())
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(steps):
                list(trainer._step())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    where = Counter(f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synchroniz" in str(w.message))
    return {"a step": sum(where.values()) / steps, "at": "; ".join(f"{at} x{n / steps:g}" for at, n in where.most_common(8))}


def _events(place: Place, folder: Path | None, control: Control | None = None, *settings: str, resume: bool = False) -> Iterator[Event]:
    """Of a short training of the shop."""
    common = ["training.steps=8", "training.evaluate_every=4", "training.max_validation_rows=40", "training.batch_size=48"]
    experiment = place.shop(*common, *settings)
    yield from train(experiment, place.prepared(experiment), control, folder, resume)


def _ended(events: list[Event]) -> Finished:
    """Raises Wrong: it did not."""
    if isinstance(events[-1], Finished):
        return events[-1]
    raise Wrong(f"the training ended with {events[-1]}")


def learns(place: Place) -> Numbers:
    """60 steps of the shop: the losses fall."""
    steps = place.pick(60, 12)
    losses: dict[str, list[float]] = {}
    rate = "optimizer.learning_rate=" + ("1e-3" if place.tiny else "1e-4")
    events: list[Event] = []
    settings = ("training.batch_size=160", f"training.steps={steps}", f"training.evaluate_every={steps}", rate)
    for event in _events(place, None, None, *settings):
        events.append(event)
        for task, loss in event.losses.items() if isinstance(event, StepDone) else ():
            losses.setdefault(task, []).append(loss)
    ended, part = _ended(events), steps // 4
    fell = {task: float(np.mean(found[-part:]) / np.mean(found[:part])) for task, found in losses.items()}
    numbers: Numbers = {f"{task} loss, last / first": ratio for task, ratio in fell.items()} | {"training s": ended.seconds}
    if not np.mean(list(fell.values())) < 0.9:
        raise Wrong("the losses do not fall", numbers)
    return numbers


def resume(place: Place) -> Numbers:
    """Cut off after a checkpoint and resumed: the losses of a training that never stopped."""
    folder, whole = place.folder("resume"), list[Event]()
    for event in _events(place, folder / "whole"):
        whole.append(event)
        if isinstance(event, CheckpointSaved) and event.step == 4:
            shutil.copytree(folder / "whole", folder / "cut")
    resumed = list(_events(place, folder / "cut", resume=True))
    _ended(whole)
    _ended(resumed)
    return _same(_losses(resumed), {key: loss for key, loss in _losses(whole).items() if key[0] > 4})


def _losses(events: list[Event]) -> dict[tuple[int, str], float]:
    """(step, task) → loss; of a step that was done again the last."""
    return {(e.step, task): loss for e in events if isinstance(e, StepDone) for task, loss in e.losses.items()}


def _same(found: Mapping[tuple[int, str], float], wanted: Mapping[tuple[int, str], float]) -> Numbers:
    """On a GPU sums of many threads come in any order: nearly the same is enough."""
    if found.keys() != wanted.keys():
        raise Wrong(f"{len(found)} losses in place of {len(wanted)}")
    numbers: Numbers = {"bit for bit": found == wanted, "furthest": furthest({str(key): (found[key], wanted[key]) for key in wanted})}
    if not numbers["furthest"] < 0.02:
        raise Wrong("other losses", numbers)
    return numbers


def steering(place: Place) -> Numbers:
    """A weight changed while it trains, gone back before the change, changed again; then replayed from the events."""
    folder, control, events = place.folder("steering"), Control(), list[Event]()
    asked: list[str] = []
    for event in _events(place, folder / "run", control):
        events.append(event)
        if isinstance(event, StepDone) and event.step == 2 and "weight" not in asked:
            asked.append("weight")
            control.set_weights({"intent": 3.0})
        if isinstance(event, StepDone) and event.step == 5 and "back" not in asked:
            asked.append("back")
            control.go_back(next(e.step - 1 for e in events if isinstance(e, Steered)))
        if isinstance(event, StepDone) and event.step == 6 and "rate" not in asked:
            asked.append("rate")
            control.steer({"optimizer.learning_rate": 1e-4})
    _ended(events)
    if [e for e in events if isinstance(e, Steered) and e.refused] or len(asked) < 3:
        raise Wrong(f"what was asked was not done: {[e for e in events if isinstance(e, Steered)]}")
    replayed = list(_events(place, folder / "replay", Replay(script_of(events))))
    found = compare_replay(events, replayed)
    return {"as replayed": found.difference or "bit for bit"} | _same(_losses(replayed), _losses(events))


class _Runs(Control):
    """Runs out of memory after the second step, where no device can be made to."""

    def take(self, step: int) -> Commands:
        if step == 2:
            raise torch.OutOfMemoryError("Tried to allocate more than there is.")
        return super().take(step)


def out_of_memory(place: Place) -> Numbers:
    """Answered by an event, not by an error; the memory is free again, and the next training runs."""
    control, settings, numbers = Control(), list[str](), Numbers()
    if place.device.type == "cuda":
        torch.cuda.empty_cache()
        numbers["MB before"] = torch.cuda.memory_allocated(place.device) / 1e6
        room = torch.cuda.memory_reserved(place.device) + (2 if place.tiny else 500) * 2**20
        torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(place.device).total_memory, place.device)
        settings = ["training.batch_size=16384", "training.max_tokens_per_micro_batch=4000000"]
    else:
        control = _Runs()
    try:
        events = list(_events(place, None, control, *settings))
    finally:
        if place.device.type == "cuda":
            torch.cuda.set_per_process_memory_fraction(1.0, place.device)
    if place.device.type == "cuda":
        numbers["MB after"] = torch.cuda.memory_allocated(place.device) / 1e6
    last = events[-1]
    if not isinstance(last, Failed) or last.reason != "out_of_memory":
        raise Wrong(f"the training ended with {last}", numbers)
    if numbers and numbers["MB after"] > numbers["MB before"] + 32:
        raise Wrong("the memory is not free again", numbers)
    _ended(list(_events(place, None)))
    return numbers | {"steps before": sum(isinstance(e, StepDone) for e in events)}


def predictor(place: Place) -> Numbers:
    """What was trained here answers as on a processor."""
    folder = place.folder("predictor")
    _ended(list(_events(place, folder)))
    rows = [{"text": text} for text in ("where is my parcel", "i want my money back", "do you have this in blue", "help")]
    here, there = (Predictor(checkpoint_folder(folder, "last"), device).scores("intent", rows) for device in (str(place.device), "cpu"))
    numbers: Numbers = {"probability": float(np.abs(here - there).max())}
    if not numbers["probability"] < 0.05:
        raise Wrong("other answers than on a processor", numbers)
    return numbers


def adapters(place: Place) -> Numbers:
    """Low-rank adapters, one a task: saved, loaded, resumed."""
    wants("peft")
    events = list(_events(place, place.folder("adapters"), None, "sharing.name=adapters"))
    ended = _ended(events)
    return {"training s": ended.seconds, "evaluations": sum(isinstance(e, Evaluated) for e in events)}


def strategies(place: Place) -> Numbers:
    """Every strategy makes finite updates, those that need torchjd only where it is; and a look at how the tasks' gradients agree."""
    trainer = place.trainer(place.shop("training.batch_size=48", "diagnostics.conflicts_every=10"))
    losses, without = Numbers(), list[str]()
    for name in BALANCING:
        joint = Joint(trainer.model, trainer.lanes, trainer.prepared.tasks, trainer.experiment.balancing.model_validate({"name": name}))
        trainer.joint = joint
        try:
            for _ in range(3):
                batches = batches_of(trainer, trainer.drawing.draw(0, 0.0).blocks)
                found = joint.gradients(batches, trainer.state.weights)
                _, norm = trainer.optimizer.step(1)
                trainer.model.encoder.end_sparse_rows()
                joint.observe_update(batches, found)
        except ModuleNotFoundError as error:
            without.append(f"{name} ({error.name} is not installed)")
            trainer.model.encoder.end_sparse_rows()
            continue
        if found.fell_back or not torch.isfinite(norm) or not torch.isfinite(found.total):
            raise Wrong(f"{name}: gradient {float(norm)}, loss {float(found.total)}, fell back: {found.fell_back}")
        joint.balancing.load(joint.balancing.state())
        losses[name] = float(found.total)
    [compared] = trainer._compare(trainer.drawing.draw(0, 0.0).blocks, 0)
    if not (isinstance(compared, Compared) and np.isfinite(compared.norms).all()):
        raise Wrong(f"the tasks' gradients cannot be compared: {compared}")
    return {"strategies": len(losses)} | ({"skipped": ", ".join(without)} if without else {})


CHECKS: dict[str, Callable[[Place], Numbers]] = {
    "attention": attention,
    **{f"backbone {family}": partial(backbone, family=family) for family in FAMILIES if family != "bert chinese"},
    "kinds": kinds,
    "micro-batches": micro_batches,
    "waits": waits,
    "learns": learns,
    "resume": resume,
    "steering": steering,
    "out of memory": out_of_memory,
    "predictor": predictor,
    "adapters": adapters,
    "strategies": strategies,
}
