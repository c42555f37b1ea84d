"""What a run goes on from: a model (`mtl_core.runtime.checkpoints`) with everything that the next step depends on.

Beside what predictions need there is state.json, optimizer.safetensors, where rows were made while training made.safetensors, and with
`task_stopping.keep: heads` heads/<task>.safetensors: what was each task's own at its best evaluation. Which checkpoints there are and what
they are called is the matter of `mtl_core.runtime.steps`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors.torch import save_file

from mtl_core.base.files import link, new_folder
from mtl_core.config.experiment import Experiment
from mtl_core.evaluation.metrics import Metrics
from mtl_core.model.multitask import MultiTaskModel
from mtl_core.runtime.checkpoints import VERSION, SavedModel, load_model, load_tensors, save_model, too_old, version_of, whole
from mtl_core.runtime.steps import TRAINING, DamagedError, read_manifest, settle, step_folder, steps, write_manifest
from mtl_core.tasks.base import Spec


@dataclass
class State:
    """The loop's own variables at a checkpoint. step: steps done; drawn: task → rows that they had; tuned: task → what its kind chose
    at the last evaluation; places: the steps before changes, to which a person may go back."""

    step: int = 0
    n_steps: int = 0
    weights: dict[str, float] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)  # settings that a person changed on the way: path → value
    sampler: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    balancing: dict[str, Any] = field(default_factory=dict)
    best_step: int = 0
    before: Metrics = field(default_factory=dict)
    best: Metrics = field(default_factory=dict)
    without_gain: int = 0
    judge: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    drawn: dict[str, int] = field(default_factory=dict)
    tuned: dict[str, Spec] = field(default_factory=dict)
    places: list[int] = field(default_factory=list)


@dataclass
class Checkpoint(SavedModel):
    state: State
    optimizer: dict[str, torch.Tensor] | None
    made: dict[str, torch.Tensor]


def save_checkpoint(
    run: Path,
    model: MultiTaskModel,
    tokenizer: Any,
    experiment: Experiment,
    specs: dict[str, Spec],
    state: State,
    optimizer: dict[str, torch.Tensor],
    made: Mapping[str, torch.Tensor] = MappingProxyType({}),
    journal: int = 0,
    before: Path | None = None,
) -> Path:
    """The checkpoint of `state.step`, on the disk when this returns.

    journal: number of the last line of the journal that led here, which is on the disk; before: the checkpoint that was saved last.
    """
    keep, peaks = experiment.task_stopping.keep, state.judge.get("peaks", {})
    names = {"best": state.best_step}
    if keep == "models":
        names |= {f"peak-{task}": peak["step"] for task, peak in peaks.items()}
    folder = step_folder(run, state.step)
    with new_folder(folder) as new:
        save_model(new, model, tokenizer, experiment, specs, before)
        (new / "state.json").write_text(json.dumps(asdict(state)), encoding="utf-8")
        save_file({k: v.detach().contiguous() for k, v in optimizer.items()}, new / "optimizer.safetensors")
        if made:
            save_file(dict(made), new / "made.safetensors")
        for task in peaks if keep == "heads" else ():
            _save_own(new, task, model, before if peaks[task]["step"] < state.step else None)
        write_manifest(new, VERSION, state.step, names, journal)
    return folder


def checkpoint_bytes(model: MultiTaskModel) -> tuple[int, int]:
    """Of what does not learn, which a run's checkpoints share, and of what does, which each has with the optimizer's two moments of it."""
    parameters = list(model.parameters())
    learns = sum(p.numel() for p in parameters if p.requires_grad) * 4
    return sum(p.numel() for p in parameters) * 4 - learns, 3 * learns


def load_checkpoint(folder: Path) -> Checkpoint:
    """As `load_model`, with what a training goes on from."""
    state, saved = load_state(folder), load_model(folder, also=TRAINING)
    with whole(folder):
        optimizer, made = (load_tensors(p) if (p := folder / f"{n}.safetensors").is_file() else None for n in ("optimizer", "made"))
    return Checkpoint(**vars(saved), state=state, optimizer=optimizer, made=made or {})


def load_newest(run: Path) -> tuple[Checkpoint, dict[str, str]]:
    """What the run goes on from, and the damaged checkpoints that are newer: folder → what is wrong with it.

    Raises CheckpointError: of a format that is not read; DamagedError: all are damaged; FileNotFoundError: there is none.
    """
    settle(run)
    damaged: dict[str, str] = {}
    for folder in steps(run):
        try:
            if read_manifest(folder).full:
                return load_checkpoint(folder), damaged
        except DamagedError as error:
            damaged[folder.name] = error.why
    if damaged:
        raise DamagedError(run / "checkpoints", "; ".join(f"{name}: {why}" for name, why in damaged.items()))
    raise FileNotFoundError(f"There is no checkpoint in {run} that a training can go on from.")


def load_state(folder: Path) -> State:
    """Raises CheckpointError: of a format that is not read, or not whole."""
    version = version_of(folder)
    with whole(folder):
        found = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if set(found) - {f.name for f in fields(State)}:
            raise too_old(folder, version)
        return State(**found)


def _save_own(folder: Path, task: str, model: MultiTaskModel, before: Path | None) -> None:
    """What belongs to one task alone, its head and its part of the sharing; before: a checkpoint that has what is to be kept."""
    path = folder / "heads" / f"{task}.safetensors"
    path.parent.mkdir(exist_ok=True)
    if before is not None:
        link(before / "heads" / path.name, path)
        return
    own = {id(parameter) for parameter in model.own(task)}
    tensors = {f"heads.{task} head.{name}": tensor for name, tensor in model.heads[task].state_dict().items()}
    tensors |= {name: parameter for name, parameter in model.named_parameters() if id(parameter) in own}
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)
