"""Low-rank adapters inside the encoder: one that all tasks share, and one for each task."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from mtl_core.base.messages import message
from mtl_core.model.encoder import Encoder
from mtl_core.model.packaged import EncoderError
from mtl_core.model.sharing.adapters import AdapterOptions
from mtl_core.model.sharing.modules import Sharing

_ATTENTION = {"modernbert": ["Wqkv"]}  # where peft does not know it
_PEFT = "base_model.model."  # what peft's own files begin every name with


class Module(Sharing):
    """W x + s · B_0 A_0 x + s · B_k A_k x at the chosen matrices W of the encoder: A_0, B_0 for all tasks, A_k, B_k for task k. By peft.

    B begins at 0, so every task begins with the encoder as it is. W learns or not as the encoder's trainable part says. The texts of a
    task go through the encoder with its adapters; which ones are in use belongs to the module, so at any time all of it works on one
    task: `switch` before texts are encoded, and before a backward pass that may compute again what was not kept. The paper has one
    adapter, for one task; the shared one beside it is ours.
    """

    by_task = True

    def __init__(self, hidden: int, tasks: Sequence[str], options: AdapterOptions):
        super().__init__(hidden, tasks, options)
        self._model: list[nn.Module] = []  # the encoder's, which owns the adapters: in a list it is no part of this module
        self._layers: list[Any] = []  # its adapted matrices
        self._task: str | None = None

    def forward(self, vectors: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        return dict.fromkeys(tasks, vectors)

    def shared(self) -> list[nn.Parameter]:
        """None here: the encoder counts the shared adapter among what it learns."""
        return []

    def own(self, task: str) -> list[nn.Parameter]:
        return self._parameters_of(self._name(task))

    def attach(self, encoder: Encoder) -> None:
        """Raises EncoderError: peft does not know where to put adapters in this architecture."""
        from peft import LoraConfig, LoraModel
        from peft.tuners.lora import LoraLayer

        options, learns = self.options, [(p, p.requires_grad) for p in encoder.parameters()]
        configs = {
            name: LoraConfig(
                r=options.rank,
                lora_alpha=options.scale * options.rank,
                target_modules="all-linear" if options.where == "all" else _ATTENTION.get(encoder.model.config.model_type),
                fan_in_fan_out=any(isinstance(module, Conv1D) for module in encoder.modules()),
                task_type="FEATURE_EXTRACTION",
            )
            for name in self._names()
        }
        first, *others = configs
        try:
            tuner = LoraModel(encoder.model, {first: configs[first]}, first)
            for name in others:
                tuner.peft_config[name] = configs[name]
                tuner.inject_adapter(encoder.model, name)
        except ValueError as error:
            raise EncoderError(
                message(
                    "Adapters cannot be attached to this encoder's attention: {reason} Set “Target modules” to all.",
                    reason=str(error).strip().splitlines()[0],
                )
            ) from error
        self._model = [encoder.model]
        self._layers = [module for module in encoder.model.modules() if isinstance(module, LoraLayer)]
        for parameter, learned in learns:
            parameter.requires_grad_(learned)  # peft froze them all
        self._all_learn()
        encoder.adapters = self
        self.switch(next(iter(self.places)))

    def switch(self, task: str) -> None:
        if task == self._task:
            return
        active = [name for name in (self._name(task), "shared") if name in self._names()]
        for layer in self._layers:
            layer.set_adapter(active)
        self._all_learn()  # peft lets the active ones learn only, but an optimiser holds all
        self._task = task

    def current(self) -> list[nn.Parameter]:
        """Own parameters of the task that the encoder works on."""
        return [] if self._task is None else self.own(self._task)

    def apart(self) -> list[nn.Parameter]:
        """Own parameters of all tasks."""
        return [p for task in self.places for p in self.own(task)]

    def save(self, folder: Path) -> None:
        """Each adapter as peft saves it: <folder>/shared and <folder>/tasks/<task>, loadable by `PeftModel.from_pretrained`."""
        from peft import get_peft_model_state_dict

        for name, place in self._folders(folder).items():
            place.mkdir(parents=True)
            found = get_peft_model_state_dict(self._model[0], adapter_name=name)
            tensors = {_PEFT + key: value.detach().cpu().contiguous() for key, value in found.items()}
            save_file(tensors, place / "adapter_model.safetensors")
            configs: Any = self._model[0].peft_config
            configs[name].save_pretrained(str(place))

    def load(self, folder: Path) -> None:
        """Inverse of `save`. Tensors are copies: see `training.checkpoints`."""
        from peft import set_peft_model_state_dict

        for name, place in self._folders(folder).items():
            tensors = {key.removeprefix(_PEFT): t.clone() for key, t in load_file(place / "adapter_model.safetensors").items()}
            found: Any = set_peft_model_state_dict(self._model[0], tensors, adapter_name=name, low_cpu_mem_usage=True)
            if found.unexpected_keys:
                raise ValueError(f"The adapter in {place} is not of this model: {', '.join(found.unexpected_keys[:3])}.")
        self._all_learn()

    def base_state(self, model: nn.Module) -> dict[str, Tensor]:
        """The weights of the encoder, or of what it is a part of, named as without adapters."""
        return {key.replace(".base_layer.", "."): value for key, value in model.state_dict().items() if ".lora_" not in key}

    def _names(self) -> list[str]:
        return [*(["shared"] if self.options.shared else []), *map(self._name, self.places)]

    def _name(self, task: str) -> str:
        return f"task{self.places[task]}"  # a task may be called what no module may be

    def _folders(self, folder: Path) -> dict[str, Path]:
        tasks = {self._name(task): folder / "tasks" / task for task in self.places}
        return ({"shared": folder / "shared"} if self.options.shared else {}) | tasks

    def _parameters_of(self, name: str) -> list[nn.Parameter]:
        return [part[name].weight for layer in self._layers for part in (layer.lora_A, layer.lora_B) if name in part]

    def _all_learn(self) -> None:
        for name in self._names():
            for parameter in self._parameters_of(name):
                parameter.requires_grad_(True)
