"""The weights of an encoder as transformers saves and loads them, those that do not learn in a file of their own, written once in a run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from mtl_core.base.files import link

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_LEARNED, _FROZEN = "learned.safetensors", "frozen.safetensors"  # save_pretrained removes what is named as its own parts are


def save_weights(model: Any, state: Mapping[str, Tensor], folder: Path, before: Path | None) -> None:
    """config.json and the weights, in one file or, if some learn and some do not, in two that an index brings together.

    state: the model's weights; before: a folder that this has written with the same ones frozen, of which they are taken.
    """
    learns = {parameter.data_ptr() for parameter in model.parameters() if parameter.requires_grad}
    parts = {_LEARNED: {}, _FROZEN: {}}  # type: dict[str, dict[str, Tensor]]
    for name, tensor in state.items():
        parts[_LEARNED if tensor.data_ptr() in learns else _FROZEN][name] = tensor
    if not parts[_LEARNED] or not parts[_FROZEN]:
        if not parts[_LEARNED] and before is not None and (before / WEIGHTS).is_file():
            model.config.save_pretrained(folder)
            link(before / WEIGHTS, folder / WEIGHTS)
        else:
            model.save_pretrained(folder, state_dict=state)
        return
    if before is not None and (before / _FROZEN).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        link(before / _FROZEN, folder / _FROZEN)
    else:
        model.save_pretrained(folder, state_dict=parts[_FROZEN])
        (folder / WEIGHTS).rename(folder / _FROZEN)
    model.save_pretrained(folder, state_dict=parts[_LEARNED])
    (folder / WEIGHTS).rename(folder / _LEARNED)
    places: dict[str, str] = {}
    size = 0
    for file in (_LEARNED, _FROZEN):
        with safe_open(folder / file, "pt") as found:
            places |= dict.fromkeys(found.keys(), file)
        size += sum(tensor.nbytes for tensor in parts[file].values())
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": size}, "weight_map": places}, indent=2), encoding="utf-8")
