"""What a run can go on from, and what predictions are made with: safetensors and JSON, swapped in whole.

<run>/checkpoints/last   everything the next step depends on
<run>/checkpoints/best   the model with the best objective so far; no optimiser
<run>/checkpoints/peak-<task>   the same for the best evaluation of one task, or heads/<task>.safetensors: what is its own
<run>/checkpoints/before-<step>   as last, before a person changed something; what was best then lies inside, under kept/

Inside: encoder/ (as transformers saves it, loadable by any of its users), heads.safetensors, specs.json, experiment.yaml,
state.json, and in `last` optimizer.safetensors. Where the sharing has any: sharing.safetensors, adapters/ (as peft saves them); where
rows were made while training, in `last` made.safetensors.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from mtl_core.config.experiment import Experiment, experiment_from_yaml
from mtl_core.evaluation.metrics import Metrics
from mtl_core.model.encoder import Encoder, load_tokenizer
from mtl_core.model.multitask import MultiTaskModel, make_heads, make_sharing
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
    """Writes beside `folder`, then swaps: whoever reads sees the old or the new one, whole."""
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    model.encoder.save(new / "encoder", tokenizer)
    save_file({k: v.detach().contiguous() for k, v in model.heads.state_dict().items()}, new / "heads.safetensors")
    if model.encoder.adapters is not None:
        model.encoder.adapters.save(new / "adapters")
    if sharing := model.sharing.state_dict():
        save_file({k: v.detach().contiguous() for k, v in sharing.items()}, new / "sharing.safetensors")
    (new / "specs.json").write_text(json.dumps(specs, ensure_ascii=False), encoding="utf-8")
    (new / "experiment.yaml").write_text(experiment.to_yaml(), encoding="utf-8")
    (new / "state.json").write_text(json.dumps(asdict(state)))
    if optimizer is not None:
        save_file({k: v.detach().contiguous() for k, v in optimizer.items()}, new / "optimizer.safetensors")
    if made:
        save_file(dict(made), new / "made.safetensors")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def checkpoint_folder(run: Path, name: str) -> Path:
    """<run>/checkpoints/<name>, or what it was before a swap that a kill cut short. Raises FileNotFoundError."""
    folder = run / "checkpoints" / name
    for candidate in (folder, folder.with_name(name + ".old")):
        if (candidate / "state.json").is_file():
            return candidate
    raise FileNotFoundError(f"There is no checkpoint {name!r} in {run}.")


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
    new = folder / f"{task}.new"
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, new)
    os.replace(new, folder / f"{task}.safetensors")


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


@dataclass
class Checkpoint:
    experiment: Experiment
    model: MultiTaskModel
    tokenizer: Any
    specs: dict[str, Spec]
    state: State
    optimizer: dict[str, torch.Tensor] | None
    made: dict[str, torch.Tensor]


def load_checkpoint(folder: Path) -> Checkpoint:
    """The model is on the CPU. Draws no random numbers: it may be called while another thread trains."""
    try:
        state = State(**json.loads((folder / "state.json").read_text()))
    except TypeError as error:
        raise ValueError(f"The checkpoint {folder} is of another version of this program. Train the run again.") from error
    experiment = experiment_from_yaml((folder / "experiment.yaml").read_text(encoding="utf-8"))
    specs = json.loads((folder / "specs.json").read_text(encoding="utf-8"))
    options = experiment.encoder
    encoder = Encoder.load(
        str(folder / "encoder"),
        pooling=options.pooling,
        max_length=options.max_length,
        dropout=options.dropout,
        trainable=options.trainable,
    )
    with torch.device("meta"):
        heads = make_heads(encoder.hidden, {name: (t.kind, t.options) for name, t in experiment.tasks.items()}, specs)
        sharing = make_sharing(encoder.hidden, list(experiment.tasks), experiment.sharing.name, experiment.sharing.options)
        model = MultiTaskModel(encoder, heads, sharing)
    learns = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    model.heads.load_state_dict(_tensors(folder / "heads.safetensors"), assign=True)
    if encoder.adapters is not None:
        encoder.adapters.load(folder / "adapters")
    if sharing.state_dict():
        sharing.load_state_dict(_tensors(folder / "sharing.safetensors"), assign=True)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(learns[name])
    left_out = [name for name, tensor in (*model.named_parameters(), *model.named_buffers()) if tensor.is_meta]
    if left_out:
        raise ValueError(f"The checkpoint {folder} lacks {', '.join(left_out)}. Heads and sharing must keep every buffer in their state.")
    optimizer, made = folder / "optimizer.safetensors", folder / "made.safetensors"
    return Checkpoint(
        experiment,
        model,
        load_tokenizer(str(folder / "encoder")),
        specs,
        state,
        _tensors(optimizer) if optimizer.is_file() else None,
        _tensors(made) if made.is_file() else {},
    )


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """Copies of what a file holds. safetensors hands out slices of it that begin anywhere, and matrix products round by where their
    operands begin: resuming would not give the same numbers."""
    return {name: tensor.clone() for name, tensor in load_file(path).items()}
