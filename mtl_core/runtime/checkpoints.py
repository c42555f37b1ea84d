"""What predictions are made with: a model, its tokenizer, what its heads know, and what it was trained as. Safetensors and JSON.

A checkpoint is a folder: encoder/ (as transformers saves it, loadable by any of its users), heads.safetensors, specs.json,
experiment.yaml, manifest.json (`mtl_core.runtime.steps`). Where the sharing has any: sharing.safetensors, adapters/ (as peft saves them).
A training adds what it goes on from (`mtl_core.training.checkpoints`); nothing here reads that.

`tests/kept_checkpoints.py` writes one of every version of the format.
"""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mtl_core.base.faults import CheckpointError, ExperimentError
from mtl_core.base.messages import message
from mtl_core.config.experiment import Experiment, experiment_from_yaml
from mtl_core.model.encoder import Encoder
from mtl_core.model.loading import load_tokenizer
from mtl_core.model.multitask import MultiTaskModel, make_heads, make_sharing
from mtl_core.model.packaged import EncoderError
from mtl_core.runtime.steps import TRAINING, DamagedError, examine, find, has_manifest, read_manifest
from mtl_core.tasks.base import Spec

VERSION = 3
"""1: without its number. 2: in format.json. 3: in manifest.json. A number goes up when older programs would read a checkpoint wrongly."""
OLDEST = 1
"""What is older is refused; what is not is read as it is, or as `load_model` makes it."""
_FORMAT = "format.json"


@dataclass
class SavedModel:
    """specs: task → what its head knows, with what was tuned."""

    experiment: Experiment
    model: MultiTaskModel
    tokenizer: Any
    specs: dict[str, Spec]


def checkpoint_folder(run: Path, name: str) -> Path:
    """As `steps.find`. Raises FileNotFoundError: there is none."""
    if (folder := find(run, name)) is None:
        raise FileNotFoundError(f"There is no checkpoint {name!r} in {run}.")
    return folder


def save_model(
    folder: Path, model: MultiTaskModel, tokenizer: Any, experiment: Experiment, specs: dict[str, Spec], before: Path | None = None
) -> None:
    """Writes into an empty folder (see `base.files.new_folder`). before: an earlier checkpoint of the same run."""
    model.encoder.save(folder / "encoder", tokenizer, None if before is None else before / "encoder")
    save_file({k: v.detach().contiguous() for k, v in model.heads.state_dict().items()}, folder / "heads.safetensors")
    if model.encoder.adapters is not None:
        model.encoder.adapters.save(folder / "adapters")
    if sharing := model.sharing.state_dict():
        save_file({k: v.detach().contiguous() for k, v in sharing.items()}, folder / "sharing.safetensors")
    (folder / "specs.json").write_text(json.dumps(specs, ensure_ascii=False), encoding="utf-8")
    (folder / "experiment.yaml").write_text(experiment.to_yaml(), encoding="utf-8")


def version_of(folder: Path) -> int:
    """Of the format of a checkpoint. Raises CheckpointError: it is newer than this program, too old, or the file is damaged."""
    found = read_manifest(folder).version if has_manifest(folder) else _version_without(folder)
    if found > VERSION:
        raise CheckpointError(
            message(
                "The checkpoint {folder} has the format {found}; this program reads the formats {oldest} to {newest}. Update the program.",
                folder=folder,
                found=found,
                oldest=OLDEST,
                newest=VERSION,
            )
        )
    if found < OLDEST:
        raise too_old(folder, found)
    return found


def _version_without(folder: Path) -> int:
    try:
        found = json.loads((folder / _FORMAT).read_text(encoding="utf-8"))["version"]
    except FileNotFoundError:
        return 1
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(folder, f"{_FORMAT}: {type(error).__name__}: {error}") from error
    if type(found) is not int:
        raise DamagedError(folder, f"{_FORMAT}: version {found!r}")
    return found


def too_old(folder: Path, version: int) -> CheckpointError:
    return CheckpointError(
        message(
            "The checkpoint {folder} has the format {found} of an older program, which this one cannot read. Train the run again, or "
            "use the program that wrote it.",
            folder=folder,
            found=version,
        )
    )


@contextmanager
def whole(folder: Path) -> Iterator[None]:
    """What goes wrong inside, while files of `folder` are read, is raised as CheckpointError: it is damaged."""
    try:
        yield
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, ExperimentError, EncoderError) as error:
        raise DamagedError(folder, f"{type(error).__name__}: {error}") from error


def load_model(folder: Path, also: Collection[str] = ()) -> SavedModel:
    """The model is on the CPU. Draws no random numbers: it may be called while another thread trains. also: what is examined beside it.

    Raises CheckpointError: of a format that is not read; DamagedError: not as it was written.
    """
    version = version_of(folder)
    if has_manifest(folder):
        examine(folder, leave_out=set(TRAINING) - set(also))
    with whole(folder):
        return _load(folder, version)


def _load(folder: Path, version: int) -> SavedModel:
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
    try:
        model.heads.load_state_dict(load_tensors(folder / "heads.safetensors"), assign=True)
        if encoder.adapters is not None:
            encoder.adapters.load(folder / "adapters")
        if sharing.state_dict():
            sharing.load_state_dict(load_tensors(folder / "sharing.safetensors"), assign=True)
    except RuntimeError as error:  # other modules than those of today
        if version < VERSION:
            raise too_old(folder, version) from error
        raise
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(learns[name])
    left_out = [name for name, tensor in (*model.named_parameters(), *model.named_buffers()) if tensor.is_meta]
    if left_out:
        raise ValueError(f"The checkpoint {folder} lacks {', '.join(left_out)}. Heads and sharing must keep every buffer in their state.")
    return SavedModel(experiment, model, load_tokenizer(str(folder / "encoder")), specs)


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Copies of what a file holds. safetensors hands out slices of it that begin anywhere, and matrix products round by where their
    operands begin: resuming would not give the same numbers."""
    return {name: tensor.clone() for name, tensor in load_file(path).items()}
