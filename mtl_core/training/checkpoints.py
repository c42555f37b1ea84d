"""What a run can go on from, and what predictions are made with: safetensors and JSON, swapped in whole.

<run>/checkpoints/last   everything the next step depends on
<run>/checkpoints/best   the model with the best objective so far; no optimiser

Inside: encoder/ (as transformers saves it, loadable by any of its users), heads.safetensors, specs.json, experiment.yaml,
state.json, and in `last` optimizer.safetensors.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from mtl_core.experiment import Experiment, experiment_from_yaml
from mtl_core.model.encoder import Encoder, load_tokenizer
from mtl_core.model.multitask import MultiTaskModel, make_heads
from mtl_core.tasks.base import Spec
from mtl_core.training.events import Metrics


@dataclass
class State:
    """The loop's own variables at a checkpoint. step: steps done; drawn: task → rows that they had."""

    step: int = 0
    n_steps: int = 0
    weights: dict[str, float] = field(default_factory=dict)
    sampler: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    balancing: dict[str, Any] = field(default_factory=dict)
    best_step: int = 0
    best_objective: float = float("-inf")
    before: Metrics = field(default_factory=dict)
    best: Metrics = field(default_factory=dict)
    without_gain: int = 0
    seconds: float = 0.0
    drawn: dict[str, int] = field(default_factory=dict)


def save_checkpoint(
    folder: Path,
    model: MultiTaskModel,
    tokenizer: Any,
    experiment: Experiment,
    specs: dict[str, Spec],
    state: State,
    optimizer: dict[str, torch.Tensor] | None = None,
) -> None:
    """Writes beside `folder`, then swaps: whoever reads sees the old or the new one, whole."""
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    model.encoder.save(new / "encoder", tokenizer)
    save_file({k: v.detach().contiguous() for k, v in model.heads.state_dict().items()}, new / "heads.safetensors")
    (new / "specs.json").write_text(json.dumps(specs, ensure_ascii=False), encoding="utf-8")
    (new / "experiment.yaml").write_text(experiment.to_yaml(), encoding="utf-8")
    (new / "state.json").write_text(json.dumps(asdict(state)))
    if optimizer is not None:
        save_file({k: v.detach().contiguous() for k, v in optimizer.items()}, new / "optimizer.safetensors")
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


@dataclass
class Checkpoint:
    experiment: Experiment
    model: MultiTaskModel
    tokenizer: Any
    specs: dict[str, Spec]
    state: State
    optimizer: dict[str, torch.Tensor] | None


def load_checkpoint(folder: Path) -> Checkpoint:
    """The model is on the CPU. Draws no random numbers: it may be called while another thread trains."""
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
    model = MultiTaskModel(encoder, heads)
    model.heads.load_state_dict(_tensors(folder / "heads.safetensors"), assign=True)
    for parameter in model.heads.parameters():
        parameter.requires_grad_(True)
    left_out = [name for name, tensor in (*model.named_parameters(), *model.named_buffers()) if tensor.is_meta]
    if left_out:
        raise ValueError(f"The checkpoint {folder} lacks {', '.join(left_out)}. Heads must keep every buffer in their state.")
    optimizer = folder / "optimizer.safetensors"
    return Checkpoint(
        experiment,
        model,
        load_tokenizer(str(folder / "encoder")),
        specs,
        State(**json.loads((folder / "state.json").read_text())),
        _tensors(optimizer) if optimizer.is_file() else None,
    )


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """Copies of what a file holds. safetensors hands out slices of it that begin anywhere, and matrix products round by where their
    operands begin: resuming would not give the same numbers."""
    return {name: tensor.clone() for name, tensor in load_file(path).items()}
