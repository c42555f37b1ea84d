"""Every way of sharing in a real training: all task kinds, exact resume, what strategies on gradients see."""

import itertools
from pathlib import Path

import pytest
import torch

from mtl_core.experiment import ExperimentError, experiment_from_dict, experiment_from_yaml
from mtl_core.training.checkpoints import load_checkpoint
from mtl_core.training.events import Evaluated, Finished, Gated, StepDone
from mtl_core.training.loop import train
from mtl_core.training.prepare import prepare
from mtl_core.workspace import Workspace
from tests.training.test_joint import batches_of, trainer_of

WAYS = {
    "mmoe": {"name": "mmoe", "options": {"experts": 3, "width": 16}},
    "cgc": {"name": "ple", "options": {"width": 16}},
    "ple": {"name": "ple", "options": {"width": 16, "levels": 2, "gate": "task"}},
    "cross_stitch": {"name": "cross_stitch", "options": {"width": 16, "layers": 2}},
}
ways = pytest.mark.parametrize("way", WAYS)


@ways
@pytest.mark.parametrize("strategy", ["fixed", "uncertainty", "pcgrad"])
def test_trains_all_kinds_and_resumes_exactly(description: dict, workspace: Workspace, tmp_path: Path, way: str, strategy: str) -> None:
    description |= {"sharing": WAYS[way], "balancing": {"name": strategy}}
    description["encoder"]["dropout"] = 0.1
    experiment = experiment_from_dict(description)
    prepared = prepare(experiment, workspace)
    whole = list(train(experiment, prepared, folder=tmp_path / "whole"))
    assert isinstance(whole[-1], Finished)
    done = [e for e in whole if isinstance(e, StepDone)]
    assert not any(e.left_out for e in done[2:])
    gates = [e for e in whole if isinstance(e, Gated)]
    assert [e.step for e in gates] == [0, 4, 8, 12] and gates[-1].weights.keys() == experiment.tasks.keys()
    assert all(sum(row.values()) == pytest.approx(1) for e in gates for row in e.weights.values())

    cut = train(experiment, prepared, folder=tmp_path / "cut")
    list(itertools.takewhile(lambda e: not (isinstance(e, StepDone) and e.step == 6), cut))
    cut.close()
    resumed = list(train(experiment, prepared, folder=tmp_path / "cut", resume=True))
    again = [e for e in resumed if isinstance(e, StepDone)]
    assert [(e.step, e.losses, e.effective, e.gradient_norm) for e in again] == [
        (e.step, e.losses, e.effective, e.gradient_norm) for e in done[4:]
    ]
    ends = [[(e.losses, e.metrics) for e in events if isinstance(e, Evaluated) and e.step == 12] for events in (whole, resumed)]
    assert ends[0] == ends[1]
    one, other = (load_checkpoint(tmp_path / name / "checkpoints" / "last") for name in ("whole", "cut"))
    for (name, a), b in zip(one.model.state_dict().items(), other.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert one.optimizer is not None and other.optimizer is not None
    assert all(torch.equal(a, other.optimizer[k]) for k, a in one.optimizer.items())


@ways
def test_at_step_0_the_model_is_that_of_hard_sharing(description: dict, workspace: Workspace, way: str) -> None:
    description["training"]["precision"] = "float32"
    found = []
    for sharing in ({"name": "hard"}, WAYS[way]):
        experiment = experiment_from_dict(description | {"sharing": sharing})
        events = train(experiment, prepare(experiment, workspace))
        found.append(next(e.losses for e in events if isinstance(e, Evaluated)))
        events.close()
    assert found[1] == pytest.approx(found[0], rel=1e-5)


@ways
@pytest.mark.parametrize("strategy", ["fixed", "pcgrad", "mgda"])
def test_gradients_are_those_of_the_effective_loss(description: dict, workspace: Workspace, way: str, strategy: str) -> None:
    description["sharing"] = WAYS[way]
    trainer = trainer_of(description, workspace, strategy)
    model = trainer.model
    with torch.no_grad():
        for parameter in model.sharing.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # some begin at 0
    found = trainer.joint.gradients(batches_of(trainer), trainer.state.weights)
    effective = dict(zip(found.names, found.effective.tolist(), strict=True))
    assert not found.left_out and effective["ads"] == 0
    weights = trainer.state.weights

    whole = batches_of(trainer_of(description, workspace, "fixed"))[0]
    shared = model.shared()
    assert len(shared) == len(model.parts()) > len(model.encoder.learning())
    vectors = torch.cat([model.encoder(part) for part in whole.packed])
    losses = {
        name: (task := trainer.prepared.tasks[name]).kind.loss(logits, whole.tasks[name], task.spec, task.options).mean()
        for name, logits in model.logits_of(vectors, whole.tasks).items()
    }
    joint = torch.stack([effective[name] * loss for name, loss in losses.items()]).sum()
    wanted = torch.autograd.grad(joint, shared, retain_graph=True, allow_unused=True)
    for parameter, gradient in zip(shared, wanted, strict=True):
        given = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(given, torch.zeros_like(parameter) if gradient is None else gradient, atol=2e-6, rtol=1e-3)
    for name, loss in losses.items():
        own = model.own(name)
        for parameter, gradient in zip(own, torch.autograd.grad(loss, own, retain_graph=True, allow_unused=True), strict=True):
            given = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            wanted_own = torch.zeros_like(parameter) if gradient is None else gradient * weights[name]
            torch.testing.assert_close(given, wanted_own, atol=2e-6, rtol=1e-3)


def test_a_look_at_conflicts_counts_the_experts(description: dict, workspace: Workspace) -> None:
    description["sharing"] = WAYS["mmoe"]
    trainer = trainer_of(description, workspace, "pcgrad")
    look = trainer.joint.compare(batches_of(trainer), trainer.state.weights, 3)
    assert set(look.layers) == {"embeddings", "layer 1", "layer 2", "experts"}
    assert all(p.grad is None for p in trainer.model.parameters())


@pytest.mark.parametrize("strategy", ["fixed", "pcgrad"])
def test_experts_on_a_frozen_encoder_learn(description: dict, workspace: Workspace, tmp_path: Path, strategy: str) -> None:
    description |= {"sharing": WAYS["mmoe"], "balancing": {"name": strategy}}
    description["encoder"]["trainable"] = "frozen"
    experiment = experiment_from_dict(description)
    assert isinstance(list(train(experiment, prepare(experiment, workspace), folder=tmp_path))[-1], Finished)
    sharing = load_checkpoint(tmp_path / "checkpoints" / "last").model.sharing
    assert all(p.any() for p in sharing.parameters()), "the outer matrices and the gates begin at 0"


def test_a_task_of_weight_0_moves_no_expert(description: dict, workspace: Workspace) -> None:
    description["tasks"] = {name: description["tasks"][name] for name in ("department", "search")}
    description |= {"sharing": WAYS["cgc"], "balancing": {"name": "pcgrad"}}
    trainer = trainer_of(description, workspace, "pcgrad", {"department": 1.0})
    trainer.joint.gradients(batches_of(trainer), trainer.state.weights)
    assert all(p.grad is None or not p.grad.any() for p in trainer.model.own("search"))


def test_the_description(description: dict) -> None:
    assert experiment_from_dict(description | {"sharing": {"name": "hard"}}).sharing.name == "hard"
    for sharing in ({"name": "hard"}, *WAYS.values()):
        experiment = experiment_from_dict(description | {"sharing": sharing})
        assert experiment_from_yaml(experiment.to_yaml()) == experiment
    changed = experiment_from_dict(description | {"sharing": {"name": "mmoe"}}, ["sharing.options.experts=7"])
    assert changed.sharing.options.experts == 7
    with pytest.raises(ExperimentError) as error:
        experiment_from_dict(description | {"sharing": {"name": "mmoe", "options": {"experts": 0, "towers": 2}}})
    assert {fault.path for fault in error.value.faults} == {"sharing.options.experts", "sharing.options.towers"}
    with pytest.raises(ExperimentError, match="one of hard, mmoe"):
        experiment_from_dict(description | {"sharing": {"name": "soft"}})
