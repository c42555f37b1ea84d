"""The update: a fused optimiser for dense parameters, a row-wise one for the word embeddings, one schedule for both."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from mtl_core.config.parts import OptimizerConfig, ScheduleConfig
from mtl_core.model.multitask import MultiTaskModel


def schedule_factor(schedule: ScheduleConfig, step: int, n_steps: int) -> float:
    """What the learning rates are multiplied by in step `step` (from 0) of `n_steps`: up in a line, then as named."""
    warmup = schedule.warmup_ratio * n_steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule.name == "constant":
        return 1.0
    progress = min(1.0, (step - warmup) / max(1.0, n_steps - warmup))
    return 0.5 * (1 + math.cos(math.pi * progress)) if schedule.name == "cosine" else 1 - progress


class RowOptimizer:
    """AdamW (without decay) or SGD with momentum on the rows of a table that a step touched.

    Rows that no text of the step uses keep value and moments, as in torch.optim.SparseAdam ("lazy" Adam): over 30,000 words a
    dense update would move 140 MB to change a few hundred rows.
    """

    betas = (0.9, 0.999)
    epsilon = 1e-8

    def __init__(self, table: Tensor, options: OptimizerConfig):
        self._table = table
        self._options = options
        self._first = torch.zeros_like(table)
        self._second = torch.zeros_like(table) if options.name == "adamw" else None
        self.steps = 0

    @torch.no_grad()
    def step(self, rows: Tensor, gradient: Tensor, learning_rate: float) -> None:
        """rows: (U,) int64, distinct; gradient: (U, E)."""
        self.steps += 1
        if self._second is None:
            first = self._first[rows].mul_(self._options.momentum).add_(gradient)
            update = first
        else:
            one, two = self.betas
            first = self._first[rows].lerp_(gradient, 1 - one)
            second = self._second[rows].mul_(two).addcmul_(gradient, gradient, value=1 - two)
            self._second[rows] = second
            root = second.div_(1 - two**self.steps).sqrt_().add_(self.epsilon)
            update = first / root / (1 - one**self.steps)
        self._first[rows] = first
        self._table.index_add_(0, rows, update, alpha=-learning_rate)

    def state(self) -> dict[str, Tensor]:
        return {"first": self._first} | ({} if self._second is None else {"second": self._second})

    def load(self, state: dict[str, Tensor], steps: int) -> None:
        self.steps = steps
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


class Optimizer:
    """All trainable parameters of a model: the encoder at its learning rate, as what else is pretrained, all that is new at that of the
    heads; matrices decay, biases and norms do not."""

    def __init__(self, model: MultiTaskModel, options: OptimizerConfig, schedule: ScheduleConfig, n_steps: int):
        self._options, self._schedule, self._n_steps = options, schedule, n_steps
        table = model.encoder.embeddings
        self.rows = RowOptimizer(table.data, options) if table.requires_grad else None
        self._encoder = model.encoder
        groups: dict[tuple[str, float], list[nn.Parameter]] = {}
        self._names: list[str] = []
        in_encoder = {id(p) for name, p in model.encoder.named_parameters() if ".lora_" not in name}  # adapters begin from nothing
        in_encoder |= {id(p) for module in model.heads.modules() if getattr(module, "pretrained", False) for p in module.parameters()}
        for parameter in model.parameters():
            if parameter.requires_grad and parameter is not table:
                rate = "learning_rate" if id(parameter) in in_encoder else "head_learning_rate"
                decay = options.weight_decay if parameter.ndim >= 2 else 0.0
                groups.setdefault((rate, decay), []).append(parameter)
        self._rates = [rate for rate, _ in groups]
        arguments: list[dict[str, Any]] = [{"params": p, "weight_decay": decay} for (_, decay), p in groups.items()]
        self.parameters = [p for group in groups.values() for p in group]
        if options.name == "adamw":
            self._dense: torch.optim.Optimizer = torch.optim.AdamW(arguments, fused=True)
        else:
            self._dense = torch.optim.SGD(arguments, momentum=options.momentum, fused=True)

    def change(self, options: OptimizerConfig) -> None:
        """Other learning rates from the next step on."""
        self._options = options

    def rate(self, step: int) -> float:
        """The learning rate of the encoder in step `step` (from 0)."""
        return self._options.learning_rate * schedule_factor(self._schedule, step, self._n_steps)

    def step(self, step: int) -> tuple[float, Tensor]:
        """One update from the gradients as they stand, which are then cleared. → (learning rate of the encoder, gradient norm)."""
        factor = schedule_factor(self._schedule, step, self._n_steps)
        rows = self._encoder.rows if self.rows else None
        learning = [p for p in (*self.parameters, *([] if rows is None else [rows])) if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in learning if p.grad is not None])
        if self._options.max_gradient_norm:
            torch.nn.utils.clip_grads_with_norm_(learning, self._options.max_gradient_norm, norm)
        for group, rate in zip(self._dense.param_groups, self._rates, strict=True):
            group["lr"] = getattr(self._options, rate) * factor
        self._dense.step()
        self._dense.zero_grad(set_to_none=True)
        if self.rows and rows is not None and rows.grad is not None and (touched := self._encoder.row_ids) is not None:
            self.rows.step(touched, rows.grad, self._options.learning_rate * factor)
        return self._options.learning_rate * factor, norm

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, JSON)"""
        tensors = {
            f"{i}.{name}": value
            for i, parameter in enumerate(self.parameters)
            for name, value in self._dense.state.get(parameter, {}).items()
            if isinstance(value, Tensor)
        }
        tensors |= {f"rows.{name}": value for name, value in self.rows.state().items()} if self.rows else {}
        return tensors, {"row_steps": self.rows.steps if self.rows else 0}

    def load(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        for key, value in tensors.items():
            owner, name = key.split(".", 1)
            if owner != "rows":
                parameter = self.parameters[int(owner)]
                self._dense.state[parameter][name] = value.to(parameter.device)  # the count of steps too: the update is fused
        if self.rows:
            rows = {key.removeprefix("rows."): value for key, value in tensors.items() if key.startswith("rows.")}
            self.rows.load(rows, record["row_steps"])
