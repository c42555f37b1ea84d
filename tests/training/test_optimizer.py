"""Schedules by hand; the row-wise update against torch's own; clipping over dense and row-wise gradients together."""

import math

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mtl_core.config.parts import OptimizerConfig, ScheduleConfig
from mtl_core.training.optimizer import Optimizer, RowOptimizer, schedule_factor


@pytest.mark.parametrize(
    ("name", "step", "factor"),
    [
        ("linear", 0, 1 / 3),
        ("linear", 1, 2 / 3),
        ("linear", 2, 1.0),
        ("linear", 11, 0.5),
        ("linear", 20, 0.0),
        ("cosine", 11, 0.5),
        ("cosine", 2, 1.0),
        ("cosine", 20, 0.0),
        ("cosine", 6, 0.5 * (1 + math.cos(math.pi * 4 / 18))),
        ("constant", 0, 1 / 3),
        ("constant", 19, 1.0),
    ],
)
def test_schedule_by_hand(name: str, step: int, factor: float) -> None:
    """20 steps, a tenth of them warm-up."""
    assert schedule_factor(ScheduleConfig(name=name, warmup_ratio=0.1), step, 20) == pytest.approx(factor)


def test_rows_move_as_sparse_adam_moves_them() -> None:
    torch.manual_seed(0)
    table = torch.randn(20, 4)
    theirs = torch.nn.Embedding.from_pretrained(table.clone(), freeze=False, sparse=True)
    oracle = torch.optim.SparseAdam(theirs.parameters(), lr=0.1)
    ours = RowOptimizer(table, OptimizerConfig(learning_rate=0.1))
    for _ in range(6):
        rows = torch.randperm(20)[:5].sort().values
        wanted = torch.randn(5, 4)
        oracle.zero_grad()
        (theirs(rows) * wanted).sum().backward()
        oracle.step()
        ours.step(rows, wanted, 0.1)
        torch.testing.assert_close(table, theirs.weight.detach())


def test_rows_with_momentum_by_hand() -> None:
    table = torch.zeros(3, 1)
    ours = RowOptimizer(table, OptimizerConfig(name="sgd", momentum=0.5))
    ours.step(torch.tensor([1]), torch.tensor([[2.0]]), 0.1)  # moment 2, moves -0.2
    ours.step(torch.tensor([1, 2]), torch.tensor([[2.0], [1.0]]), 0.1)  # moments 3 and 1, move -0.3 and -0.1
    torch.testing.assert_close(table, torch.tensor([[0.0], [-0.5], [-0.1]]))


class _Encoder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(6, 2)
        self.layer = torch.nn.Linear(2, 2)
        self.rows: torch.Tensor | None = None
        self.row_ids: torch.Tensor | None = None

    @property
    def embeddings(self) -> torch.nn.Parameter:
        return self.table.weight


class _Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.heads = _Encoder(), torch.nn.Linear(2, 1)


def _step(model: _Model, optimizer: Optimizer, step: int) -> float:
    encoder = model.encoder
    encoder.row_ids = torch.tensor([1, 4])
    encoder.rows = encoder.embeddings.detach()[encoder.row_ids].requires_grad_()
    (model.heads(encoder.layer(encoder.rows)) * 50).sum().backward()
    return float(optimizer.step(step)[1])


def test_clipping_looks_at_all_gradients_together() -> None:
    torch.manual_seed(0)
    model = _Model()
    optimizer = Optimizer(
        model,
        OptimizerConfig(name="sgd", learning_rate=1, head_learning_rate=1, weight_decay=0, momentum=0),
        ScheduleConfig(warmup_ratio=0),
        10,
    )  # type: ignore[arg-type]
    before = [p.detach().clone() for p in model.parameters()]
    norm = _step(model, optimizer, 0)
    assert norm > 1
    moved = torch.cat([(p.detach() - b).flatten() for p, b in zip(model.parameters(), before, strict=True)])
    assert float(moved.norm()) == pytest.approx(1.0, rel=1e-3), "clipped to length 1, moved by it at learning rate 1"
    untouched = [0, 2, 3, 5]
    assert torch.equal(model.encoder.embeddings[untouched], before[0][untouched])


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_state_goes_on_where_it_was(name: str) -> None:
    options, schedule = OptimizerConfig(name=name, learning_rate=0.01), ScheduleConfig()
    models = []
    for stop_at in (None, 2):
        torch.manual_seed(0)
        model = _Model()
        optimizer = Optimizer(model, options, schedule, 5)  # type: ignore[arg-type]
        for step in range(5):
            if step == stop_at:
                tensors, record = optimizer.state()
                tensors = {k: v.clone() for k, v in tensors.items()}
                optimizer = Optimizer(model, options, schedule, 5)  # type: ignore[arg-type]
                optimizer.load(tensors, record)
            _step(model, optimizer, step)
        models.append(model)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_a_checkpoint_holds_goes_to_the_device_of_its_parameter() -> None:
    """Checkpoints are read on the processor; a fused update wants its moments, and its count of steps, beside the parameters."""
    model, options = _Model(), OptimizerConfig()
    optimizer = Optimizer(model, options, ScheduleConfig(), 5)  # type: ignore[arg-type]
    _step(model, optimizer, 0)
    tensors, record = optimizer.state()
    with FakeTensorMode(allow_non_fake_inputs=True):
        there = _Model()
        for module in (there.encoder.table, there.encoder.layer, there.heads):
            for name, parameter in list(module.named_parameters()):
                setattr(module, name, torch.nn.Parameter(torch.empty_like(parameter, device="cuda:0")))
        there.encoder.table.requires_grad_(False)  # its moments are copied to where they are
        moved = Optimizer(there, options, ScheduleConfig(), 5)  # type: ignore[arg-type]
        moved.load(tensors, record)
    found = [value for state in moved._dense.state.values() for value in state.values()]
    assert len(found) == 3 * len(moved.parameters) and {value.device.type for value in found} == {"cuda"}


def test_biases_and_norms_do_not_decay() -> None:
    model = _Model()
    optimizer = Optimizer(model, OptimizerConfig(weight_decay=0.5), ScheduleConfig(), 10)  # type: ignore[arg-type]
    decays = {id(p): g["weight_decay"] for g in optimizer._dense.param_groups for p in g["params"]}
    assert decays[id(model.heads.weight)] == 0.5 and decays[id(model.heads.bias)] == 0
    assert id(model.encoder.embeddings) not in decays
