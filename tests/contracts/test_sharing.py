"""What every way of sharing must keep to: how it begins, whose each parameter is, a training. A new way needs no line here."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.evaluation.gates import expert_name
from mtl_core.inference.predictor import Predictor
from mtl_core.model.sharing import SHARING
from mtl_core.model.sharing.modules import Sharing
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.training.checkpoints import load_checkpoint
from mtl_core.training.events import Evaluated, Finished, Gated, StepDone
from mtl_core.training.loop import train
from tests.contracts.small import described
from tests.contracts.variants import variants
from tests.shop import cut_at

TASKS = ["a", "b", "c"]
VARIANTS = [(name, chosen) for name, way in SHARING.items() for chosen in variants(way.Options)]
every_variant = pytest.mark.parametrize(("name", "chosen"), VARIANTS, ids=[f"{name} {chosen}" for name, chosen in VARIANTS])


def made(name: str, chosen: dict[str, Any], tasks: list[str] = TASKS) -> Sharing:
    torch.manual_seed(0)
    return SHARING[name].module(6, tasks, SHARING[name].Options.model_validate(chosen))


@torch.no_grad()
def moved(sharing: Sharing) -> Sharing:
    """Away from its start, where much is 0."""
    for parameter in sharing.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return sharing


@every_variant
def test_at_the_start_every_task_gets_the_vectors_as_they_are(name: str, chosen: dict[str, Any]) -> None:
    vectors = torch.randn(7, 6)
    given = made(name, chosen)(vectors, ["c", "a"])
    assert list(given) == ["c", "a"]
    for found in given.values():
        torch.testing.assert_close(found, vectors)


@every_variant
def test_no_texts_and_one_task(name: str, chosen: dict[str, Any]) -> None:
    assert made(name, chosen)(torch.zeros(0, 6), ["b"])["b"].shape == (0, 6)
    torch.testing.assert_close(made(name, chosen, ["a"])(torch.ones(2, 6), ["a"])["a"], torch.ones(2, 6))


@every_variant
def test_a_parameter_is_shared_if_several_tasks_reach_it(name: str, chosen: dict[str, Any]) -> None:
    sharing = moved(made(name, chosen))
    reached: dict[int, set[str]] = {id(p): set() for p in sharing.parameters()}
    parameters = list(sharing.parameters())
    for task in TASKS:
        value = sharing(torch.randn(4, 6), [task])[task].pow(3).sum()
        found = torch.autograd.grad(value, parameters, allow_unused=True) if parameters else []
        for parameter, gradient in zip(parameters, found, strict=True):
            if gradient is not None and gradient.any():
                reached[id(parameter)].add(task)
    assert {id(p) for p in sharing.shared()} == {p for p, tasks in reached.items() if len(tasks) > 1}
    for task in TASKS:
        assert {id(p) for p in sharing.own(task)} == {p for p, tasks in reached.items() if tasks == {task}}
    assert all(reached.values()), "every parameter serves a task"


@every_variant
def test_a_task_gets_the_same_alone_and_with_others(name: str, chosen: dict[str, Any]) -> None:
    sharing, vectors = moved(made(name, chosen)), torch.randn(4, 6)
    together = sharing(vectors, TASKS)
    for task in TASKS:
        torch.testing.assert_close(sharing(vectors, [task])[task], together[task])
        torch.testing.assert_close(sharing(vectors[1:3], [task])[task], together[task][1:3])


@every_variant
def test_shares_of_experts_sum_to_one_and_have_names(name: str, chosen: dict[str, Any]) -> None:
    found = moved(made(name, chosen)).gate_weights(torch.randn(4, 6), "b")
    if found is not None:
        assert sum(found.values()) == pytest.approx(1) and all(v >= 0 for v in found.values())
        assert all(str(expert_name(key)) for key in found)


@pytest.mark.parametrize("strategy", ["fixed", "pcgrad"])
@pytest.mark.parametrize("name", SHARING)
def test_trains_and_resumes_exactly(name: str, strategy: str, tiny_encoder: Path, workspace: Workspace, tmp_path: Path) -> None:
    described_ = described(["classification", "search"], tiny_encoder, tmp_path, sharing={"name": name}, balancing={"name": strategy})
    described_["encoder"]["dropout"] = 0.1
    experiment = experiment_from_dict(described_)
    prepared = prepare(experiment, workspace)
    whole = cut_at(3, train(experiment, prepared, folder=tmp_path / "whole"), tmp_path)
    resumed = list(train(experiment, prepared, folder=tmp_path / "cut", resume=True))
    assert isinstance(whole[-1], Finished)
    done, again = ([(e.step, e.losses, e.effective, e.gradient_norm) for e in part if isinstance(e, StepDone)] for part in (whole, resumed))
    assert len(done) == 4 and again == done[2:]
    ends = [[(e.losses, e.metrics) for e in part if isinstance(e, Evaluated) and e.step == 4] for part in (whole, resumed)]
    assert ends[0] == ends[1] != []
    gates = [e for e in whole if isinstance(e, Gated)]
    assert all(e.weights.keys() == experiment.tasks.keys() for e in gates)
    assert all(sum(row.values()) == pytest.approx(1) for e in gates for row in e.weights.values())
    one, other = (load_checkpoint(checkpoint_folder(tmp_path / folder, "last")) for folder in ("whole", "cut"))
    for (key, tensor), second in zip(one.model.state_dict().items(), other.model.state_dict().values(), strict=True):
        assert torch.equal(tensor, second), key
    assert one.optimizer is not None and other.optimizer is not None
    assert all(torch.equal(tensor, other.optimizer[key]) for key, tensor in one.optimizer.items())
    assert Predictor(checkpoint_folder(tmp_path / "whole", "last"), "cpu").predict("classification", [{"text": "where is it"}])


@pytest.mark.parametrize("name", SHARING)
def test_at_step_0_the_model_is_that_of_hard_sharing(name: str, tiny_encoder: Path, workspace: Workspace, tmp_path: Path) -> None:
    found = []
    for way in ("hard", name):
        experiment = experiment_from_dict(described(["classification", "search"], tiny_encoder, tmp_path, sharing={"name": way}))
        events = train(experiment, prepare(experiment, workspace))
        found.append(next(e.losses for e in events if isinstance(e, Evaluated)))
        events.close()
    assert found[1] == pytest.approx(found[0], rel=1e-5)
