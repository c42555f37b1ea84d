"""Ways of sharing with options, in a real training: exact resume, what strategies on gradients see. What all have in common is in
tests/contracts/test_sharing.py."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModel, MPNetConfig, MPNetModel

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import ExperimentError, experiment_from_dict, experiment_from_yaml
from mtl_core.inference.predictor import Predictor
from mtl_core.model.encoder import Encoder
from mtl_core.model.multitask import make_sharing
from mtl_core.model.packaged import EncoderError
from mtl_core.model.packing import Packed
from mtl_core.model.sharing import SHARING
from mtl_core.runtime.batches import assemble
from mtl_core.runtime.checkpoints import checkpoint_folder
from mtl_core.runtime.prepare import prepare
from mtl_core.training.checkpoints import load_checkpoint
from mtl_core.training.events import Compared, Evaluated, Finished, Gated, StepDone
from mtl_core.training.loop import Trainer, train
from tests.shop import cut_at
from tests.training.test_joint import batches_of, trainer_of

WAYS = {
    "mmoe": {"name": "mmoe", "options": {"experts": 3, "width": 16}},
    "cgc": {"name": "ple", "options": {"width": 16}},
    "ple": {"name": "ple", "options": {"width": 16, "levels": 2, "gate": "task"}},
    "cross_stitch": {"name": "cross_stitch", "options": {"width": 16, "layers": 2}},
}
ADAPTERS = {
    "adapters": {"name": "adapters", "options": {"rank": 2}},
    "adapters, own": {"name": "adapters", "options": {"rank": 2, "shared": False, "where": "all"}},
}
ways = pytest.mark.parametrize("way", WAYS)


@pytest.mark.parametrize(
    ("way", "strategy"),
    [
        ("mmoe", "uncertainty"),
        ("ple", "pcgrad"),
        ("cross_stitch", "fixed"),
        ("adapters, own", "famo"),
    ],
)
def test_trains_and_resumes_exactly(description: dict, workspace: Workspace, tmp_path: Path, way: str, strategy: str) -> None:
    description |= {"sharing": (WAYS | ADAPTERS)[way], "balancing": {"name": strategy}}
    description["encoder"]["dropout"] = 0.1
    description["training"] |= {"steps": 6, "evaluate_every": 3}
    experiment = experiment_from_dict(description)
    prepared = prepare(experiment, workspace)
    whole = cut_at(5, train(experiment, prepared, folder=tmp_path / "whole"), tmp_path)
    assert isinstance(whole[-1], Finished)
    done = [e for e in whole if isinstance(e, StepDone)]
    assert not any(e.left_out for e in done[2:])
    gates = [e for e in whole if isinstance(e, Gated)]
    assert [e.step for e in gates] == ([] if way in ADAPTERS else [0, 3, 6])
    assert all(e.weights.keys() == experiment.tasks.keys() for e in gates)
    assert all(sum(row.values()) == pytest.approx(1) for e in gates for row in e.weights.values())

    resumed = list(train(experiment, prepared, folder=tmp_path / "cut", resume=True))
    again = [e for e in resumed if isinstance(e, StepDone)]
    assert [(e.step, e.losses, e.effective, e.gradient_norm) for e in again] == [
        (e.step, e.losses, e.effective, e.gradient_norm) for e in done[3:]
    ]
    ends = [[(e.losses, e.metrics) for e in events if isinstance(e, Evaluated) and e.step == 6] for events in (whole, resumed)]
    assert ends[0] == ends[1]
    one, other = (load_checkpoint(checkpoint_folder(tmp_path / name, "last")) for name in ("whole", "cut"))
    for (name, a), b in zip(one.model.state_dict().items(), other.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert one.optimizer is not None and other.optimizer is not None
    assert all(torch.equal(a, other.optimizer[k]) for k, a in one.optimizer.items())


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
        name: (task := trainer.prepared.tasks[name]).kind.head.loss(logits, whole.tasks[name], task.spec, task.options).mean()
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


def moved(trainer: Trainer) -> None:
    """Adapters away from their start, where half of them is 0."""
    with torch.no_grad():
        for name, parameter in trainer.model.encoder.named_parameters():
            if ".lora_" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize("way", ADAPTERS)
@pytest.mark.parametrize("strategy", ["fixed", "uncertainty", "pcgrad"])
@pytest.mark.parametrize("micro_batch_tokens", [8192, 128])
def test_gradients_of_adapters(description: dict, workspace: Workspace, way: str, strategy: str, micro_batch_tokens: int) -> None:
    """As above, with a pass of its own through the encoder for each task, and with micro-batches that are computed again."""
    description["sharing"] = ADAPTERS[way]
    description["training"]["max_tokens_per_micro_batch"] = micro_batch_tokens
    trainer = trainer_of(description, workspace, strategy)
    moved(trainer)
    model, cpu = trainer.model, torch.device("cpu")
    blocks = {name: data.take(data.rows("train")[:9]) for name, data in trainer.rows.items()}
    parts = trainer.joint.parts(blocks)
    assert [list(part) for part in parts] == [[name] for name in blocks], "each task alone"
    batches = [assemble(p, trainer.stores, trainer.template, micro_batch_tokens, cpu, trainer.lanes.n) for p in parts]
    found = trainer.joint.gradients(batches, trainer.state.weights)
    effective = dict(zip(found.names, found.effective.tolist(), strict=True))
    given = {name: p.grad for name, p in model.named_parameters() if p.grad is not None} | {"rows": model.encoder.rows.grad}
    assert any(".lora_A.shared" in name for name in given) == (way == "adapters")
    model.zero_grad()
    model.encoder.rows.grad = None
    own = {id(p) for name in blocks for p in model.own(name)}
    factors = trainer.state.weights if strategy == "pcgrad" else effective  # of what is a task's own
    total: dict[str, torch.Tensor] = {}
    for name, batch in zip(blocks, batches, strict=True):
        model.sharing.switch(name)
        vectors, task = torch.cat([model.encoder(part) for part in batch.packed]), trainer.prepared.tasks[name]
        loss = task.kind.head.loss(model.logits(name, vectors, batch.tasks[name]), batch.tasks[name], task.spec, task.options).mean()
        loss.backward()
        for key, parameter in (*model.named_parameters(), ("rows", model.encoder.rows)):
            if parameter.grad is not None:
                factor = factors[name] if id(parameter) in own else effective[name]
                total[key] = total.get(key, torch.zeros_like(parameter)) + factor * parameter.grad
                parameter.grad = None
    assert given.keys() <= total.keys()
    for key, wanted in total.items():
        torch.testing.assert_close(given.get(key, torch.zeros_like(wanted)), wanted, atol=2e-6, rtol=1e-3, msg=key)


def test_a_look_at_adapters_changes_nothing(description: dict, workspace: Workspace) -> None:
    description["sharing"] = ADAPTERS["adapters"]
    trainer = trainer_of(description, workspace, "fixed")
    moved(trainer)
    blocks = {name: data.take(data.rows("train")[:9]) for name, data in trainer.rows.items()}
    cpu = torch.device("cpu")
    alone = [assemble({n: b}, trainer.stores, trainer.template, 8192, cpu, trainer.lanes.n) for n, b in blocks.items()]
    look = trainer.joint.compare(alone, trainer.state.weights, 0)
    assert set(look.tasks) == set(blocks) - {"ads"} and all(norm > 0 for norm in look.norms)
    assert all(p.grad is None for p in trainer.model.parameters())


def test_adapters_alone_on_a_frozen_encoder_leave_nothing_to_balance(description: dict, workspace: Workspace) -> None:
    description |= {"sharing": ADAPTERS["adapters, own"], "balancing": {"name": "pcgrad"}}
    description["encoder"]["trainable"] = "frozen"
    experiment = experiment_from_dict(description)
    events = list(train(experiment, prepare(experiment, workspace)))
    assert isinstance(events[-1], Finished) and not [e for e in events if isinstance(e, Compared)]
    done = [e for e in events if isinstance(e, StepDone)]
    weights = {name: task.weight for name, task in experiment.tasks.items()}
    assert all(e.effective == {name: weights[name] for name in e.losses} and not e.left_out for e in done)
    trainer = trainer_of(description, workspace, "pcgrad")
    trainer.joint.gradients(batches_of(trainer), trainer.state.weights)
    assert all(any(p.grad is not None and p.grad.any() for p in trainer.model.sharing.own(name)) == (name != "ads") for name in weights)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers so
def test_adapters_are_exported_as_peft_and_transformers_know_them(description: dict, workspace: Workspace, tmp_path: Path) -> None:
    description["sharing"] = ADAPTERS["adapters"]
    description["encoder"]["trainable"] = "frozen"
    description["training"]["precision"] = "float32"
    experiment = experiment_from_dict(description)
    prepared = prepare(experiment, workspace)
    assert isinstance(list(train(experiment, prepared, folder=tmp_path))[-1], Finished)
    folder = checkpoint_folder(tmp_path, "last")
    assert not [p for p in folder.rglob("*") if p.suffix in (".bin", ".pt", ".pkl")]
    random = torch.get_rng_state()
    loaded = load_checkpoint(folder)
    model = loaded.model.train(False)
    assert torch.equal(torch.get_rng_state(), random), "another thread may be training"

    untouched = AutoModel.from_pretrained(description["encoder"]["name"], add_pooling_layer=False).train(False)
    base = AutoModel.from_pretrained(folder / "encoder", add_pooling_layer=False).train(False)
    assert untouched.state_dict().keys() == base.state_dict().keys()
    for name, weights in base.state_dict().items():
        assert torch.equal(untouched.state_dict()[name], weights), f"{name}: frozen, and named as without adapters"

    text = loaded.tokenizer("red shoe", return_tensors="pt")
    ids = text["input_ids"][0].numpy()
    packed = Packed.of([ids], [np.zeros(len(ids), np.int64)], torch.device("cpu"))
    theirs = PeftModel.from_pretrained(base, folder / "adapters" / "shared", adapter_name="shared")
    states = {}
    for number, task in enumerate(experiment.tasks):
        theirs.load_adapter(folder / "adapters" / "tasks" / task, adapter_name=f"t{number}")
        theirs.base_model.set_adapter(["shared", f"t{number}"])
        model.sharing.switch(task)
        with torch.no_grad():
            states[task] = model.encoder.states(packed)
            torch.testing.assert_close(theirs(**text).last_hidden_state[0], states[task], atol=1e-5, rtol=1e-4)
            assert not torch.allclose(untouched(**text).last_hidden_state[0], states[task], atol=1e-5)
    assert not torch.allclose(states["search"], states["next_item"], atol=1e-5), "each task has learned its own"


def test_predictions_use_the_adapters_of_their_task(description: dict, workspace: Workspace, tmp_path: Path) -> None:
    description["sharing"] = ADAPTERS["adapters"]
    description["optimizer"]["head_learning_rate"] = 0.02
    experiment = experiment_from_dict(description)
    list(train(experiment, prepare(experiment, workspace), folder=tmp_path))
    predictor = Predictor(checkpoint_folder(tmp_path, "last"), "cpu")
    rows: dict[str, list[dict]] = {"department": [{"text": "lovely red shoe"}] * 3, "search": [{"query": "red", "product": "red hat"}] * 3}
    wanted = {task: predictor.scores(task, given) for task, given in rows.items()}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: (t := list(rows)[n % 2], predictor.scores(t, rows[t])), range(40)))
    for task, scores in found:
        np.testing.assert_allclose(scores, wanted[task], rtol=1e-5)
    assert len(predictor.rank("search", {"query": "red"}, ["red hat", "blue coat"])) == 2


def test_an_architecture_whose_attention_peft_does_not_know_says_so() -> None:
    config = MPNetConfig(vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    for where, known in (("attention", False), ("all", True)):
        encoder = Encoder(MPNetModel(config, add_pooling_layer=False), "mean", 16)
        adapters = make_sharing(16, ["a", "b"], "adapters", SHARING["adapters"].Options.model_validate({"where": where}))
        if known:
            adapters.attach(encoder)
            assert len(adapters.own("a")) == len(adapters.own("b")) > 0 and encoder.own() == adapters.own("a")
        else:
            with pytest.raises(EncoderError, match="Set “Target modules” to all"):
                adapters.attach(encoder)


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
    sharing = load_checkpoint(checkpoint_folder(tmp_path, "last")).model.sharing
    assert all(p.any() for p in sharing.parameters()), "the outer matrices and the gates begin at 0"


def test_a_task_of_weight_0_moves_no_expert(description: dict, workspace: Workspace) -> None:
    description["tasks"] = {name: description["tasks"][name] for name in ("department", "search")}
    description |= {"sharing": WAYS["cgc"], "balancing": {"name": "pcgrad"}}
    trainer = trainer_of(description, workspace, "pcgrad", {"department": 1.0})
    trainer.joint.gradients(batches_of(trainer), trainer.state.weights)
    assert all(p.grad is None or not p.grad.any() for p in trainer.model.own("search"))


def test_the_description(description: dict) -> None:
    assert experiment_from_dict(description | {"sharing": {"name": "hard"}}).sharing.name == "hard"
    for sharing in ({"name": "hard"}, *WAYS.values(), *ADAPTERS.values()):
        experiment = experiment_from_dict(description | {"sharing": sharing})
        assert experiment_from_yaml(experiment.to_yaml()) == experiment
    changed = experiment_from_dict(description | {"sharing": {"name": "mmoe"}}, ["sharing.options.experts=7"])
    assert changed.sharing.options.experts == 7
    with pytest.raises(ExperimentError) as error:
        experiment_from_dict(description | {"sharing": {"name": "mmoe", "options": {"experts": 0, "towers": 2}}})
    assert {fault.path for fault in error.value.faults} == {"sharing.options.experts", "sharing.options.towers"}
    with pytest.raises(ExperimentError, match="one of hard, mmoe"):
        experiment_from_dict(description | {"sharing": {"name": "soft"}})
