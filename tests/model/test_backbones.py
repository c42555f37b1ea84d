"""Every family of backbones does what the workbench needs of an encoder; what it cannot, it says."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers
from peft import PeftModel

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.data.memory import rows_in_memory
from mtl_core.inference.predictor import Predictor
from mtl_core.model.encoder import Encoder, Template
from mtl_core.model.loading import load_tokenizer
from mtl_core.model.multitask import make_sharing
from mtl_core.model.packaged import EncoderError
from mtl_core.model.packing import Packed
from mtl_core.model.sharing import SHARING
from mtl_core.runtime.batches import assemble
from mtl_core.runtime.checkpoints import checkpoint_folder, load_model
from mtl_core.runtime.prepare import prepare
from mtl_core.tasks.base import Slot
from mtl_core.tasks.heads import TaskBatch, WordHead
from mtl_core.training.control import Control
from mtl_core.training.events import Evaluated, Finished
from mtl_core.training.loop import Trainer
from tests.backbones import CHINESE, FAMILIES, saved

CPU = torch.device("cpu")
TEXTS = ["a red hat", "blue shoe 7", "", "socks", "红色的裙很好看", "太差退货"]
WRITERS = [name for name, family in FAMILIES.items() if family.writer]
families = pytest.mark.parametrize("family", [name for name in FAMILIES if name != "bert chinese"])  # but for its words it is as bert
writers = pytest.mark.parametrize("family", WRITERS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: saved(name, tmp_path_factory.mktemp("backbone")) for name in FAMILIES}


def sequences(encoder: Encoder) -> list[np.ndarray]:
    """Token ids of TEXTS with special tokens, longest first."""
    found = encoder.tokenizer(TEXTS, add_special_tokens=False)["input_ids"]
    return sorted((encoder.template().one(np.array(ids, np.int64))[0] for ids in found), key=len, reverse=True)


def packed(texts: list[np.ndarray]) -> Packed:
    return Packed.of(texts, [np.zeros_like(t) for t in texts], CPU)


@pytest.mark.parametrize("family", FAMILIES)
def test_trained_saved_and_loaded(family: str, folders: dict[str, Path], workspace: Workspace, tmp_path: Path) -> None:
    """Two tasks, two steps, through gradients by task; one of them writes, where the backbone can."""
    with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["text", "label", "other", "split"])
        for i, text in enumerate(TEXTS * 3):
            table.writerow([text, f"c{i % 2}", f"d{i % 3}", ("train", "validation", "test")[i // 6]])
    tasks = {name: {"kind": "classification", "data": "table", "columns": {"text": "text", "label": name}} for name in ("label", "other")}
    if family in WRITERS:
        tasks["other"] |= {"kind": "generation", "columns": {"source": "text", "label": "other"}}
        tasks["other"]["options"] = {"longest_target": 4, "beams": 2, "evaluation_beams": 2, "samples": 1}
    experiment = experiment_from_dict(
        {
            "data": {"table": {"file": str(tmp_path / "table.csv"), "split": {"by": "column", "column": "split"}}},
            "tasks": tasks,
            "encoder": {"name": str(folders[family]), "max_length": 16},
            "training": {"steps": 2, "batch_size": 4, "evaluate_every": 2, "device": "cpu", "precision": "float32"},
            "optimizer": {"learning_rate": 1e-3},
            "balancing": {"name": "pcgrad"},
            "diagnostics": {"conflicts_every": 0},
        }
    )
    prepared = prepare(experiment, workspace)
    (tmp_path / "run").mkdir()
    trainer = Trainer(experiment, prepared, Control(), tmp_path / "run", resume=False)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    for event in trainer.run():
        if isinstance(event, Evaluated) and event.step == 2 and event.split == "validation":
            after = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    assert isinstance(event, Finished)
    random, folder = torch.get_rng_state(), checkpoint_folder(tmp_path / "run", "last")
    loaded = load_model(folder)
    assert torch.equal(torch.get_rng_state(), random), "nothing is drawn where a checkpoint is loaded"
    again = loaded.model.state_dict()
    assert again.keys() == after.keys() and all(torch.equal(again[name], tensor) for name, tensor in after.items())
    still = [name for name, tensor in before.items() if torch.equal(after[name], tensor) and tensor.numel() > 1]
    assert len(still) < len(after) / 4 and all(tensor.isfinite().all() for tensor in after.values())
    trainer.model.load_state_dict(again)
    texts = packed(sequences(loaded.model.encoder))
    assert torch.equal(loaded.model.encoder.eval()(texts), trainer.model.encoder.eval()(texts))
    assert loaded.model.encoder.pooling == trainer.model.encoder.pooling
    assert loaded.tokenizer(TEXTS)["input_ids"] == prepared.tokenizer(TEXTS)["input_ids"]
    if writer := FAMILIES[family].writer:
        assert isinstance(loaded.model.heads["other"].writer, writer)
        answers = Predictor(folder, "cpu").predict("other", [{"source": text} for text in TEXTS if text])
        assert all(isinstance(answer["label"], str) and len(answer["label"]) <= 4 for answer in answers)


@families
def test_vectors_are_those_of_the_library(family: str, folders: dict[str, Path]) -> None:
    """Each text alone, without padding and positions of ours; packed or padded, with rows of words open or not."""
    encoder, expected = Encoder.load(str(folders[family]), max_length=64).eval(), FAMILIES[family]
    assert (encoder.pooling, encoder.packs) == (expected.pooling, expected.packs)
    model = transformers.AutoModel.from_pretrained(folders[family]).eval()
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    texts = sequences(encoder)
    with torch.no_grad():
        states = [model(input_ids=torch.from_numpy(ids)[None]).last_hidden_state[0] for ids in texts]
        wanted = torch.stack([s.mean(0) if encoder.pooling == "mean" else s[-1] for s in states])
        for packs in {encoder.packs, False}:
            encoder.packs = packs
            torch.testing.assert_close(encoder(packed(texts)), wanted, atol=1e-5, rtol=1e-5)
            encoder.begin_sparse_rows(np.unique(np.concatenate(texts)))
            torch.testing.assert_close(encoder(packed(texts)), wanted, atol=1e-5, rtol=1e-5)
            encoder.end_sparse_rows()


@families
def test_parts_of_a_backbone(family: str, folders: dict[str, Path]) -> None:
    encoder = Encoder.load(str(folders[family]), max_length=64, dropout=0.5)
    texts = packed(sequences(encoder))
    assert encoder.drops and not torch.allclose(encoder.train()(texts), encoder(texts)), "dropout is found by its name"
    torch.testing.assert_close(encoder.eval()(texts), encoder(texts))
    assert encoder.splits() == FAMILIES[family].splits
    encoder.begin_sparse_rows(np.arange(10))
    names = set(encoder.parts(encoder.learning()))
    encoder.end_sparse_rows()
    assert {"embeddings", "layer 1", "layer 2"} <= names <= {"embeddings", "layer 1", "layer 2", "other"}
    encoder.train_only("top:1")
    assert set(encoder.parts(encoder.learning())) == {"layer 2"}
    assert encoder.splits() == FAMILIES[family].splits
    encoder.train_only("frozen")
    assert encoder.learning() == []


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # peft asks for what transformers renames
@pytest.mark.parametrize(
    ("family", "where"), [*((name, "attention") for name in FAMILIES if name != "bert chinese"), ("gpt2", "all"), ("t5", "all")]
)
def test_adapters(family: str, where: str, folders: dict[str, Path], tmp_path: Path) -> None:
    """Stand beside matrices that are used, are saved as peft saves them, and the backbone without them."""
    encoder = Encoder.load(str(folders[family]), max_length=64).eval()
    texts = packed(sequences(encoder))
    sharing = make_sharing(encoder.hidden, ["a", "b"], "adapters", SHARING["adapters"].Options(rank=2, where=where))
    before = encoder(texts).detach()
    sharing.attach(encoder)
    torch.testing.assert_close(encoder(texts), before)
    with torch.no_grad():
        for parameter in sharing.own("a"):
            parameter.normal_()
    changed = encoder(texts).detach()
    assert not torch.allclose(changed, before, atol=1e-3)
    encoder.save(tmp_path / "encoder", encoder.tokenizer)
    sharing.save(tmp_path / "adapters")
    again = Encoder.load(str(tmp_path / "encoder"), max_length=64).eval()
    torch.testing.assert_close(again(texts), before)
    base = transformers.AutoModel.from_pretrained(tmp_path / "encoder")
    base = base.get_encoder() if base.config.is_encoder_decoder else base
    again.model = PeftModel.from_pretrained(base, tmp_path / "adapters" / "tasks" / "a").base_model.model
    torch.testing.assert_close(again(texts), changed, atol=1e-4, rtol=1e-4)


@families
def test_a_text_without_tokens_is_a_sequence(family: str, folders: dict[str, Path]) -> None:
    template = Template.of(load_tokenizer(str(folders[family])), 8)
    nothing, some = np.zeros(0, np.int64), np.arange(10, 20)
    for first, second in ((nothing, nothing), (some, nothing), (some, some)):
        ids, types = template.two(first, second)
        assert 0 < len(ids) == len(types) <= 8
    assert 0 < len(template.one(nothing)[0]) < len(template.one(some)[0]) == 8
    assert len(template.pair[1]), "something stands between two texts"


def test_a_decoder_closes_texts_with_its_end_token(folders: dict[str, Path]) -> None:
    for family in ("gpt2", "qwen2"):
        tokenizer = load_tokenizer(str(folders[family]))
        template = Template.of(tokenizer, 8)
        assert tokenizer.decode(template.one(np.array(tokenizer("hat").input_ids))[0]) == "hat<|endoftext|>"
        assert template.two(np.array([5, 6]), np.array([7]))[0].tolist() == [5, 6, 0, 7, 0]
    tokenizer.eos_token = tokenizer.pad_token = None
    with pytest.raises(EncoderError, match="no end-of-text token"):
        Template.of(tokenizer, 8)


def test_a_chinese_text_is_read_by_characters(folders: dict[str, Path]) -> None:
    tokenizer = load_tokenizer(str(folders["bert chinese"]))
    text = "红色的连衣裙很好看"
    assert tokenizer.tokenize(text) == list(text) and set(text) <= set(CHINESE)
    assert tokenizer.unk_token_id in tokenizer("鞋").input_ids


class Writing(WordHead):
    def tie(self, words) -> None:
        super().tie(words)
        self.writer = words.language_model()


def written(encoder: Encoder, sources: list[str], targets: list[str] | None) -> tuple[torch.Tensor, TaskBatch]:
    """The encoder's vectors of a task that writes, and its batch. targets: None when predicting."""
    slots = [Slot("text", reads="tokens"), Slot("answer", reads="ids", continues="text")]
    table = pa.table({"text": sources} | ({} if targets is None else {"answer": targets}))
    block, stores = rows_in_memory(table, slots[: table.num_columns], encoder.tokenizer, encoder.max_length)
    batch = assemble({"write": block}, {"write": stores}, encoder.template(), 1000, CPU)
    return torch.cat([encoder(part) for part in batch.packed]), batch.tasks["write"]


SOURCES, TARGETS = ["a red hat", "socks", ""], ["nice", "", "warm red"]


@writers
def test_a_pretrained_writer_thinks_what_the_library_thinks(family: str, folders: dict[str, Path]) -> None:
    encoder = Encoder.load(str(folders[family]), max_length=64).eval()
    head = Writing()
    head.tie(encoder)
    assert isinstance(head.writer, FAMILIES[family].writer)
    assert not {id(p) for p in head.parameters()} & {id(p) for p in encoder.parameters()}
    vectors, batch = written(encoder, SOURCES, TARGETS)
    source, target = (batch.slots[name].tokens for name in ("text", "answer"))
    taught = head.writer.teach(vectors, source, target, 64)
    model = FAMILIES[family].loader.from_pretrained(folders[family]).eval()
    tokenizer, end = encoder.tokenizer, head.writer.end
    for row, (text, answer) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        wanted = [*tokenizer(answer, add_special_tokens=False).input_ids, end]
        assert taught.wanted[taught.rows == row].tolist() == wanted
        ids = torch.from_numpy(encoder.template().one(np.array(tokenizer(text, add_special_tokens=False).input_ids, np.int64))[0])[None]
        with torch.no_grad():
            if encoder.causal:
                logits = model(input_ids=torch.cat([ids, torch.tensor([wanted])], 1)).logits[0, ids.shape[1] - 1 : -1]
            else:
                logits = model(input_ids=ids, labels=torch.tensor([wanted])).logits[0]
        torch.testing.assert_close(taught.logits[taught.rows == row], logits, atol=1e-4, rtol=1e-4)


@writers
def test_a_target_that_is_cut_has_no_end(family: str, folders: dict[str, Path]) -> None:
    """By the longest that is taught, and, where text and target stand in one sequence, by the longest sequence."""
    encoder = Encoder.load(str(folders[family]), max_length=64).eval()
    writer = encoder.language_model()
    vectors, batch = written(encoder, SOURCES, ["warm red", "nice", "a"])
    source, target = (batch.slots[name].tokens for name in ("text", "answer"))
    whole, (long, short, least) = writer.teach(vectors, source, target, 64), target.offsets.diff().tolist()
    assert long > short > least > 0
    taught = writer.teach(vectors, source, target, short)
    assert taught.rows.bincount().tolist() == [short, short + 1, least + 1]
    for row, n in enumerate((short, short + 1, least + 1)):
        own = whole.wanted[whole.rows == row][:n]
        assert torch.equal(taught.wanted[taught.rows == row], own) and (own[-1] == writer.end) == (row > 0)
        torch.testing.assert_close(taught.logits[taught.rows == row], whole.logits[whole.rows == row][:n])
    if encoder.causal:
        vectors, batch = written(encoder, ["socks"], ["warm red " * 20])
        taught = writer.teach(vectors, batch.slots["text"].tokens, batch.slots["answer"].tokens, 64)
        assert len(taught.wanted) == int((batch.slots["text"].tokens.part == 1).sum()) < 64 and writer.end not in taught.wanted


@writers
def test_a_pretrained_writer_writes_token_by_token(family: str, folders: dict[str, Path]) -> None:
    """What comes step by step from the cache, rows changing their places on the way, is what is taught at once."""
    encoder = Encoder.load(str(folders[family]), max_length=64).eval()
    writer = encoder.language_model()
    encoder.writes = False  # as when predicting, also where the target stands behind the text
    vectors, batch = written(encoder, SOURCES, None)
    encoder.writes = True
    with torch.no_grad():
        state, answer = writer.begin(vectors, batch.slots["text"].tokens), torch.zeros(3, 0, dtype=torch.long)
        logits, order, place = [writer.step(state, None)], torch.tensor([2, 0, 1]), torch.arange(3)
        for _ in encoder.tokenizer("aaa", add_special_tokens=False).input_ids:
            state, answer, place = writer.pick(state, order), answer[order], place[order]
            logits = [step[order] for step in logits]
            chosen = logits[-1].argsort(1)[:, -3]
            answer = torch.cat([answer, chosen[:, None]], 1)
            logits.append(writer.step(state, chosen))
        more = writer.pick(state, torch.tensor([1, 1]))
        assert writer.step(more, chosen[[1, 1]]).shape == (2, 100)
        back = place.argsort()
        answer, logits = answer[back], [step[back] for step in logits]
        vectors, batch = written(encoder, SOURCES, ["aaa"] * 3)  # of the same length
        slots = {name: slot.tokens for name, slot in batch.slots.items()}
        if encoder.causal:
            encoder.pad()
            with_answer = slots["text"].ids.clone()
            with_answer[slots["text"].part == 1] = answer.flatten()
            texts = [with_answer[slice(*slots["text"].offsets[r : r + 2])] for r in range(3)]
            states = [encoder.model(input_ids=text[None]).last_hidden_state[0] for text in texts]
            vectors, slots["text"].ids = torch.cat(states), with_answer
            slots["text"].index = torch.arange(len(vectors))
        slots["answer"].ids = answer.flatten()
        taught = writer.teach(vectors, slots["text"], slots["answer"], 64)
    torch.testing.assert_close(torch.stack(logits, 1).flatten(0, 1), taught.logits, atol=1e-4, rtol=1e-4)


@writers
def test_a_pretrained_writer_learns(family: str, folders: dict[str, Path]) -> None:
    encoder = Encoder.load(str(folders[family]), max_length=64).eval()
    head = Writing()
    head.tie(encoder)
    table = encoder.embeddings.detach().clone()
    optimizer = torch.optim.Adam([*head.parameters(), *encoder.parameters()], lr=0.01)
    losses = []
    for _ in range(4):
        encoder.begin_sparse_rows(np.arange(100))
        vectors, batch = written(encoder, SOURCES, TARGETS)
        taught = head.writer.teach(vectors, batch.slots["text"].tokens, batch.slots["answer"].tokens, 64)
        losses.append(torch.nn.functional.cross_entropy(taught.logits, taught.wanted))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] and torch.equal(encoder.embeddings, table)
    assert all(p.grad is not None and p.grad.any() for p in head.parameters() if p.ndim > 1)


def test_only_backbones_with_all_of_it_have_a_pretrained_writer(folders: dict[str, Path], tmp_path: Path) -> None:
    assert Encoder.load(str(folders["bert"])).language_model() is None
    for family in ("bart", "qwen3"):  # saved without the decoder, without the head
        encoder = Encoder.load(str(folders[family]))
        encoder.save(tmp_path / family, encoder.tokenizer)
        again = Encoder.load(str(tmp_path / family))
        assert again.language_model() is None and not again.continues
