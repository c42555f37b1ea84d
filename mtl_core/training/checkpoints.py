"""What a run goes on from: a model (`mtl_core.runtime.checkpoints`) with everything that the next step depends on, swapped in whole.

<run>/checkpoints/last   everything the next step depends on
<run>/checkpoints/best   the model with the best objective so far; no optimiser
<run>/checkpoints/peak-<task>   the same for the best evaluation of one task, or heads/<task>.safetensors: what is its own
<run>/checkpoints/before-<step>   as last, before a person changed something; what was best then lies inside, under kept/

Beside what predictions need there is state.json, in `last` optimizer.safetensors and, where rows were made while training,
made.safetensors.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors.torch import save_file

from mtl_core.base.files import replaced, replaced_folder
from mtl_core.config.experiment import Experiment
from mtl_core.evaluation.metrics import Metrics
from mtl_core.model.multitask import MultiTaskModel
from mtl_core.runtime.checkpoints import SavedModel, checkpoint_folder, load_model, load_tensors, save_model, too_old, version_of, whole
from mtl_core.tasks.base import Spec

KEPT_BEFORE = 5  # checkpoints before changes


@dataclass
class State:
    """The loop's own variables at a checkpoint. step: steps done; drawn: task → rows that they had; tuned: task → what its kind chose
    at the last evaluation."""

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


@dataclass
class Checkpoint(SavedModel):
    state: State
    optimizer: dict[str, torch.Tensor] | None
    made: dict[str, torch.Tensor]


def save_checkpoint(
    folder: Path,
    model: MultiTaskModel,
    tokenizer: Any,
    experiment: Experiment,
    specs: dict[str, Spec],
    state: State,
    optimizer: dict[str, torch.Tensor] | None = None,
    made: Mapping[str, torch.Tensor] = MappingProxyType({}),
) -> None:
    """Whoever reads sees the old or the new one, whole."""
    with replaced_folder(folder) as new:
        save_model(new, model, tokenizer, experiment, specs)
        (new / "state.json").write_text(json.dumps(asdict(state)))
        if optimizer is not None:
            save_file({k: v.detach().contiguous() for k, v in optimizer.items()}, new / "optimizer.safetensors")
        if made:
            save_file(dict(made), new / "made.safetensors")


def load_checkpoint(folder: Path) -> Checkpoint:
    """As `load_model`, with what a training goes on from."""
    state, saved = load_state(folder), load_model(folder)
    with whole(folder):
        optimizer, made = (load_tensors(p) if (p := folder / f"{n}.safetensors").is_file() else None for n in ("optimizer", "made"))
    return Checkpoint(**vars(saved), state=state, optimizer=optimizer, made=made or {})


def load_state(folder: Path) -> State:
    """Raises CheckpointError: of a format that is not read, or not whole."""
    version = version_of(folder)
    with whole(folder):
        found = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if set(found) - {f.name for f in fields(State)}:
            raise too_old(folder, version)
        return State(**found)


def keep_before(run: Path, step: int) -> None:
    """Completes the checkpoint before a change at `step` with the best model so far; of older ones the last few are kept."""
    folder = run / "checkpoints"
    for kept in _kept(folder):
        _link(kept, folder / f"before-{step}" / "kept" / kept.name)
    for old in steps_before(run)[:-KEPT_BEFORE]:
        shutil.rmtree(folder / f"before-{old}", ignore_errors=True)


def steps_before(run: Path) -> list[int]:
    """The steps that a person can go back to."""
    folders = (run / "checkpoints").glob("before-*/state.json")
    return sorted(int(step) for found in folders if (step := found.parent.name.partition("-")[2]).isdigit())


def restore_before(run: Path, step: int) -> None:
    """Makes the checkpoint before the change at `step` the last one, and the best model of then the best. Raises FileNotFoundError."""
    source, folder = checkpoint_folder(run, f"before-{step}"), run / "checkpoints"
    then = {found.name: found for found in (source / "kept").iterdir()} | {"last": source}
    for gone in (found for found in _kept(folder) if found.name not in then):
        shutil.rmtree(gone)
    for name, copied in then.items():
        _link(copied, folder / f"{name}.new", leave_out="kept")
        shutil.rmtree(folder / name, ignore_errors=True)
        os.replace(folder / f"{name}.new", folder / name)


def forget_after(run: Path, step: int) -> None:
    """Removes checkpoints before changes that were made after `step`: the run goes on from there."""
    for later in (s for s in steps_before(run) if s > step):
        shutil.rmtree(run / "checkpoints" / f"before-{later}", ignore_errors=True)


def _kept(folder: Path) -> list[Path]:
    """What is kept of best steps: of the run, of each task."""
    return [found for found in folder.iterdir() if found.name in ("best", "heads") or found.name.startswith("peak-")]


def save_own(run: Path, task: str, model: MultiTaskModel) -> None:
    """What belongs to one task alone, its head and its part of the sharing: <run>/checkpoints/heads/<task>.safetensors."""
    own = {id(parameter) for parameter in model.own(task)}
    tensors = {f"heads.{task} head.{name}": tensor for name, tensor in model.heads[task].state_dict().items()}
    tensors |= {name: parameter for name, parameter in model.named_parameters() if id(parameter) in own}
    folder = run / "checkpoints" / "heads"
    folder.mkdir(parents=True, exist_ok=True)
    with replaced(folder / f"{task}.safetensors") as new:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, new)


def copy_checkpoint(run: Path, source: str, target: str) -> None:
    """A checkpoint under a second name, at no cost."""
    folder = run / "checkpoints"
    _link(folder / source, folder / f"{target}.new")
    shutil.rmtree(folder / target, ignore_errors=True)
    os.replace(folder / f"{target}.new", folder / target)


def _link(source: Path, target: Path, leave_out: str = "") -> None:
    """A second name for every file of a checkpoint: files of checkpoints are replaced, never written to."""
    shutil.rmtree(target, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=os.link, ignore=shutil.ignore_patterns(leave_out) if leave_out else None)
