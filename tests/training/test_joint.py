"""Forward and back for several tasks: every strategy in a real training, the gradients of the tasks, what is left out."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.parametrizations import weight_norm

from mtl_core.balancing import BALANCING, GradientBalancing, LossBalancing
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.runtime.batches import StepBatch, assemble
from mtl_core.runtime.prepare import prepare
from mtl_core.training.control import Control
from mtl_core.training.events import Compared, Steered, StepDone
from mtl_core.training.loop import Trainer, train

WEIGHTS = {"department": 2.0, "recommended": 0.5, "search": 1.5, "ads": 0.0, "next_item": 3.0}


def trainer_of(description: dict, workspace: Workspace, strategy: str, weights: dict[str, float] = WEIGHTS) -> Trainer:
    description["training"]["precision"] = "float32"
    description["balancing"] = {"name": strategy}
    for name, task in description["tasks"].items():
        task["weight"] = weights.get(name, 0.0)
    experiment = experiment_from_dict(description)
    trainer = Trainer(experiment, prepare(experiment, workspace), Control(), None, False)
    trainer.model.eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in trainer.model.heads.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # some begin at 0, and have no gradient for the encoder yet
    return trainer


def batches_of(trainer: Trainer, apart: bool | None = None) -> list[StepBatch]:
    blocks = {name: data.take(data.rows("train")[:9]) for name, data in trainer.rows.items()}
    cpu = torch.device("cpu")
    budget, n, wanted = trainer.options.max_tokens_per_micro_batch, trainer.lanes.n, trainer.joint.apart if apart is None else apart
    return [assemble(p, trainer.stores, trainer.template, budget, cpu, n, wanted) for p in trainer.joint.parts(blocks, apart)]


def shared_gradient(trainer: Trainer) -> Tensor:
    """Of the encoder, the rows of its words put back in their places. Flat."""
    encoder = trainer.model.encoder
    rows = torch.zeros_like(encoder.embeddings)
    assert encoder.rows is not None and encoder.row_ids is not None and encoder.rows.grad is not None
    rows[encoder.row_ids] = encoder.rows.grad
    dense = [p for p in encoder.parameters() if p.requires_grad and p is not encoder.embeddings]
    return torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in dense] + [rows.flatten()])


def test_the_update_is_the_effective_sum_of_the_tasks_own_gradients(description: dict, workspace: Workspace) -> None:
    single = {}
    for name in WEIGHTS:
        trainer = trainer_of(description, workspace, "fixed", {name: 1.0})
        trainer.joint.gradients(batches_of(trainer), trainer.state.weights)
        single[name] = shared_gradient(trainer)
    for strategy in ("uncertainty", "geometric_mean", "pcgrad", "upgrad", "nash_mtl"):
        trainer = trainer_of(description, workspace, strategy)
        torch.manual_seed(0)
        found = trainer.joint.gradients(batches_of(trainer), trainer.state.weights)
        effective = dict(zip(found.names, found.effective.tolist(), strict=True))
        wanted = sum((effective[name] * gradient for name, gradient in single.items()), torch.zeros(()))
        assert effective["ads"] == 0 and not found.left_out and not found.fell_back
        torch.testing.assert_close(shared_gradient(trainer), wanted, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("splits", [True, False], ids=["one backward pass", "one a task"])
@pytest.mark.parametrize("budget", [8192, 60], ids="{} tokens at once".format)
def test_task_gradients_are_those_of_the_tasks_alone(description: dict, workspace: Workspace, splits: bool, budget: int) -> None:
    """Two of the tasks share their texts."""
    trainer = trainer_of(description, workspace, "mgda", dict.fromkeys(WEIGHTS, 1.0) | {"search": 2.0})
    if not splits:
        weight_norm(trainer.model.encoder.model.encoder.layer[1].output.dense)
    trainer.options = trainer.options.model_copy(update={"max_tokens_per_micro_batch": budget})
    batches = batches_of(trainer)
    assert len(batches) == (1 if splits else 5) and (len(batches[0].packed) > trainer.lanes.n) == (budget == 60)
    trainer.joint.gradients(batches, trainer.state.weights)
    learning = trainer.model.encoder.learning()
    matrix = trainer.joint._gradients.matrix
    for row, (name, data) in enumerate(trainer.rows.items()):
        block = {name: data.take(data.rows("train")[:9])}
        batch = assemble(block, trainer.stores, trainer.template, 8192, torch.device("cpu"))
        vectors = torch.cat([trainer.model.encoder(part) for part in batch.packed])
        loss = trainer.joint._loss(name, vectors, batch.tasks[name]) * trainer.state.weights[name]
        wanted = torch.autograd.grad(loss, learning, allow_unused=True)
        flat = torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(learning, wanted, strict=True)])
        torch.testing.assert_close(matrix[row], flat, rtol=1e-3, atol=1e-6)


def test_heads_learn_from_their_own_loss_times_its_weight(description: dict, workspace: Workspace) -> None:
    heads = []
    for strategy in ("fixed", "upgrad"):
        trainer = trainer_of(description, workspace, strategy)
        trainer.joint.gradients(batches_of(trainer), trainer.state.weights)
        heads.append({name: p.grad for name, p in trainer.model.heads.named_parameters() if p.grad is not None and p.grad.any()})
    assert heads[0].keys() == heads[1].keys() and not any(name.startswith("ads head.") for name in heads[0])
    for name, gradient in heads[0].items():
        torch.testing.assert_close(heads[1][name], gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_a_task_whose_gradient_is_zero_or_not_finite_is_left_out(description: dict, workspace: Workspace) -> None:
    everything = dict.fromkeys(WEIGHTS, 1.0)
    trainer = trainer_of(description, workspace, "upgrad", everything)
    heads = trainer.model.heads
    with torch.no_grad():
        for parameter in heads["department"].parameters():
            parameter.zero_()  # the loss is log 3, and does not depend on the text
        weights = [p for p in heads["recommended"].parameters() if p.ndim == 2]
        weights[-1].mul_(1e25)  # the loss is finite, the square of its gradient is not
    found = trainer.joint.gradients(batches_of(trainer), trainer.state.weights)
    assert set(found.left_out) == {"department", "recommended"} and torch.isfinite(found.losses).all()
    effective = dict(zip(found.names, found.effective.tolist(), strict=True))
    assert effective["department"] == effective["recommended"] == 0 and effective["search"] > 0
    assert torch.isfinite(shared_gradient(trainer)).all()
    assert all(p.grad is None for p in heads["recommended"].parameters())


def test_where_no_task_has_a_sound_gradient_the_encoder_stays(description: dict, workspace: Workspace) -> None:
    trainer = trainer_of(description, workspace, "nash_mtl", dict.fromkeys(WEIGHTS, 1.0) | {"search": 0.0})
    with torch.no_grad():
        for parameter in trainer.model.heads.parameters():
            parameter.zero_()
    found = trainer.joint.gradients(batches_of(trainer), trainer.state.weights)
    assert set(found.left_out) == set(WEIGHTS) - {"search"} and not found.effective.any()
    before = {name: p.clone() for name, p in trainer.model.encoder.named_parameters()}
    trainer.optimizer.step(trainer.state.n_steps // 2)
    assert all((p - before[name]).abs().max() < 1e-4 for name, p in trainer.model.encoder.named_parameters()), "but for weight decay"


class NeverConverges(GradientBalancing):
    name = label = help = slider = source = "never_converges"

    def weigh(self, gramian: np.ndarray, weights: np.ndarray, losses: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        raise ArithmeticError("No solution was found.")


def test_where_a_solver_does_not_converge_the_step_is_that_of_fixed_weights(description: dict, workspace: Workspace) -> None:
    fixed = trainer_of(description, workspace, "fixed")
    fixed.joint.gradients(batches_of(fixed), fixed.state.weights)
    trainer = trainer_of(description, workspace, "nash_mtl")
    trainer.joint.balancing = NeverConverges(len(WEIGHTS), None)
    found = trainer.joint.gradients(batches_of(trainer), trainer.state.weights)
    assert found.fell_back and dict(zip(found.names, found.effective.tolist(), strict=True)) == WEIGHTS
    torch.testing.assert_close(shared_gradient(trainer), shared_gradient(fixed), atol=1e-5, rtol=1e-3)
    trainer = trainer_of(description, workspace, "nash_mtl")
    trainer.joint.balancing = NeverConverges(len(WEIGHTS), None)
    done = [event for event in trainer.run() if isinstance(event, StepDone)]
    assert len(done) == 12 and all(event.fell_back for event in done)


@pytest.mark.parametrize("strategy", ["uncertainty", "famo", "pcgrad", "nash_mtl", "mgda"])
def test_with_one_task_there_is_nothing_to_balance(description: dict, workspace: Workspace, strategy: str) -> None:
    description["tasks"] = {"search": description["tasks"]["search"] | {"weight": 2.0}}
    losses = []
    for name in ("fixed", strategy):
        experiment = experiment_from_dict(description | {"balancing": {"name": name}})
        losses.append([e.losses for e in train(experiment, prepare(experiment, workspace)) if isinstance(e, StepDone)])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("strategy", ["pcgrad", "famo"])
def test_a_frozen_encoder_leaves_the_heads_to_learn(description: dict, workspace: Workspace, strategy: str) -> None:
    description["encoder"]["trainable"] = "frozen"
    experiment = experiment_from_dict(description | {"balancing": {"name": strategy}})
    done = [e for e in train(experiment, prepare(experiment, workspace)) if isinstance(e, StepDone)]
    assert not any(e.left_out for e in done) and done[-1].gradient_norm > 0


def test_weights_that_are_all_zero_are_refused_on_the_way(description: dict, workspace: Workspace) -> None:
    for strategy, kind in (("uncertainty", LossBalancing), ("mgda", GradientBalancing)):
        assert issubclass(BALANCING[strategy], kind)
        experiment = experiment_from_dict(description | {"balancing": {"name": strategy}})
        control, done, refused = Control(), [], []
        for event in train(experiment, prepare(experiment, workspace), control):
            if isinstance(event, Steered):
                refused.append(event)
            elif isinstance(event, StepDone):
                done.append(event)
                if event.step == 3:
                    control.set_weights(dict.fromkeys(experiment.tasks, 0.0))
        assert [(e.step, e.old, e.weights) for e in refused] == [(4, {}, {})] and "above 0" in refused[0].refused
        assert all(event.gradient_norm > 0 for event in done)


def test_a_look_at_conflicts_gives_the_cosines_of_the_tasks_own_gradients(description: dict, workspace: Workspace) -> None:
    single = {}
    for name in WEIGHTS:
        trainer = trainer_of(description, workspace, "fixed", {name: 1.0})
        trainer.joint.gradients(batches_of(trainer), trainer.state.weights)
        single[name] = shared_gradient(trainer)
    trainer = trainer_of(description, workspace, "pcgrad")
    found = trainer.joint.compare(batches_of(trainer, apart=True), trainer.state.weights, 7)
    assert found.step == 7 and set(found.tasks) == set(WEIGHTS) - {"ads"}, "a weight of 0 leaves it out"
    gradients = torch.stack([single[name] for name in found.tasks]).double()
    lengths = gradients.norm(dim=1)
    torch.testing.assert_close(torch.tensor(found.norms).double(), lengths, rtol=1e-3, atol=0)
    wanted = (gradients / lengths[:, None]) @ (gradients / lengths[:, None]).T
    torch.testing.assert_close(torch.tensor(found.cosines).double(), wanted, rtol=0, atol=1e-3)
    assert list(found.layers) == ["embeddings", "layer 1", "layer 2"]
    assert all(p.grad is None for p in trainer.model.parameters()) and trainer.model.encoder.rows is None


@pytest.mark.parametrize("strategy", ["fixed", "pcgrad"])
def test_looks_change_nothing(description: dict, workspace: Workspace, strategy: str) -> None:
    description["encoder"]["dropout"] = 0.1
    found = []
    for every in (0, 3):
        experiment = experiment_from_dict(description | {"balancing": {"name": strategy}, "diagnostics": {"conflicts_every": every}})
        events = list(train(experiment, prepare(experiment, workspace)))
        looks = [e for e in events if isinstance(e, Compared)]
        assert [e.step for e in looks] == ([0, 3, 6, 9] if every else [])
        assert [bool(e.affinity) for e in looks] == [False, True, True, True][: len(looks)], "no step ahead while new heads hand on nothing"
        assert all(any(changes.values()) for e in looks for changes in e.affinity.values())
        found.append([(e.losses, e.gradient_norm) for e in events if isinstance(e, StepDone)])
    assert found[0] == found[1]


@pytest.mark.parametrize("strategy", ["fixed", "pcgrad"])
def test_a_look_ahead_is_a_step_taken_back(description: dict, workspace: Workspace, strategy: str) -> None:
    trainer = trainer_of(description, workspace, strategy)
    trainer.model.train()  # with dropout in the heads: the same numbers before the step and behind it
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    batches, rate = batches_of(trainer, apart=True), 1e-3
    found = [trainer.joint.compare(batches, trainer.state.weights, 7, rate, turn) for turn in range(5)]
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())
    tasks = found[0].tasks
    assert [list(look.affinity) for look in found] == [[name] for name in [*tasks, tasks[0]]], "one after another"
    assert all(list(change) == tasks for look in found for change in look.affinity.values())
    assert all(look.affinity[name][name] > 0 for look in found for name in look.affinity), "its own loss falls"
    trainer.model.eval()
    rate = 1e-4
    look = trainer.joint.compare(batches, trainer.state.weights, 7, rate, 1)
    (batch,) = batches
    trainer.model.encoder.begin_sparse_rows(batch.token_ids)
    losses = trainer.joint._losses(trainer.lanes.encode(batch.packed), batch).tolist()
    gradients = np.array(look.cosines) * np.outer(look.norms, look.norms)
    first_order = dict(zip(tasks, rate * gradients[1], strict=True))
    for name, loss in zip(batch.tasks, losses, strict=True):
        if name in first_order:
            assert look.affinity[tasks[1]][name] == pytest.approx(
                first_order[name] / loss, rel=0.05, abs=0.01 * look.affinity[tasks[1]][tasks[1]]
            ), name
