"""What the checks of gpu.py work with: a device, an encoder, the shop's tables, trainers."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers
from tokenizers import BertWordPieceTokenizer

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, experiment_from_dict, load_experiment
from mtl_core.runtime.batches import StepBatch, assemble
from mtl_core.runtime.prepare import Prepared, prepare
from mtl_core.training.control import Control
from mtl_core.training.loop import Trainer

SHOP = Path(__file__).resolve().parents[1] / "data"
TEXTS = ("one", "two", "three")
Numbers = dict[str, Any]
"""What a check found: name → number or words, JSON only."""


class Skipped(Exception):
    """A check that cannot be done here: why."""


class Wrong(Exception):
    """A check that found what should not be. numbers: as of one that is right."""

    def __init__(self, text: str, numbers: Mapping[str, Any] | None = None):
        self.numbers = dict(numbers or {})
        super().__init__(text)


def wants(package: str) -> None:
    """Raises Skipped: it is not installed."""
    if importlib.util.find_spec(package) is None:
        raise Skipped(f"{package} is not installed")


@dataclass(frozen=True)
class Place:
    """encoder: its folder; tables: where the shop's lie; data: where those of throughput.py lie, None for the shop's."""

    device: torch.device
    tiny: bool
    encoder: Path
    tables: Path
    data: Path | None
    scratch: Path
    _prepared: dict[str, Prepared] = field(default_factory=dict)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.scratch / "workspace")

    def pick(self, full: int, tiny: int) -> int:
        return tiny if self.tiny else full

    def folder(self, name: str) -> Path:
        found = self.scratch / name
        found.mkdir(parents=True, exist_ok=True)
        return found

    def wait(self) -> None:
        """Until the device has done all that was asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def shop(self, *settings: str, file: str = "shop.yaml") -> Experiment:
        """One of the shop's experiments on this device, all of the encoder learning, without looks at conflicts."""
        common = [
            f"encoder.name={self.encoder}",
            "encoder.trainable=full",
            f"training.device={self.device}",
            "diagnostics.conflicts_every=0",
        ]
        return load_experiment(SHOP / file, [*common, *settings])

    def texts(self, *settings: str) -> Experiment:
        """Three tasks on tables of their own, of distinct texts of 8 to 100 words of the shop: there are fewer and shorter ones in it than
        a large micro-batch holds."""
        for seed, name in enumerate(TEXTS):
            if not (file := self.folder("texts") / f"{name}.csv").exists():
                rng = np.random.default_rng(seed)
                words = sorted(set((self.tables / "shop_texts.csv").read_text(encoding="utf-8").replace('"', "").replace(",", " ").split()))
                lengths = rng.integers(8, 101, self.pick(4000, 60))
                rows = [(" ".join(rng.choice(words, n)), f"c{i % 5}") for i, n in enumerate(lengths)]
                pd.DataFrame(rows, columns=["text", "label"]).to_csv(file, index=False)
        folder = self.folder("texts")
        values = {
            "data": {name: {"file": str(folder / f"{name}.csv"), "split": {"validation": 0.1, "test": 0.1}} for name in TEXTS},
            "tasks": {n: {"kind": "classification", "data": n, "columns": {"text": "text", "label": "label"}} for n in TEXTS},
            "encoder": {"name": str(self.encoder), "max_length": 128},
            "training": {"device": str(self.device)},
            "diagnostics": {"conflicts_every": 0},
        }
        return experiment_from_dict(values, settings)

    def prepared(self, experiment: Experiment) -> Prepared:
        """Rows are only read: those of one training serve the next."""
        key = repr((experiment.seed, experiment.data, experiment.tasks, experiment.encoder))
        if key not in self._prepared:
            self._prepared[key] = prepare(experiment, self.workspace, self.tables)
        return self._prepared[key]

    def trainer(self, experiment: Experiment) -> Trainer:
        return Trainer(experiment, self.prepared(experiment), Control(), None, False)


def batches_of(trainer: Trainer, blocks: Mapping[str, Any], salt: int = 0) -> list[StepBatch]:
    """Rows as a step of the trainer sends them through the encoder."""
    budget, joint = trainer.options.max_tokens_per_micro_batch, trainer.joint
    return [
        assemble(part, trainer.stores, trainer.template, budget, trainer.device, trainer.lanes.n, joint.apart, salt)
        for part in joint.parts(blocks)
    ]


def make_place(device: torch.device, tiny: bool, encoder: Path | None, data: Path | None, scratch: Path) -> Place:
    """tiny: the shop's tables cut to a few rows, an encoder of two small layers."""
    tables = SHOP
    if tiny:
        tables = scratch / "tables"
        tables.mkdir()
        for file in SHOP.glob("*.csv"):
            pd.read_csv(file, dtype=str, keep_default_na=False).head(200).to_csv(tables / file.name, index=False)
    return Place(device, tiny, encoder or random_encoder(scratch / "encoder", tiny), tables, data, scratch)


def random_encoder(folder: Path, tiny: bool) -> Path:
    """A BERT of MiniLM's shape with random weights, always the same, and word pieces of the shop's texts."""
    folder.mkdir()
    texts = folder / "texts.txt"
    texts.write_text("\n".join(file.read_text(encoding="utf-8") for file in sorted(SHOP.glob("*.csv"))), encoding="utf-8")
    trained = BertWordPieceTokenizer(lowercase=True)
    trained.train([str(texts)], vocab_size=8000, show_progress=False)
    texts.unlink()
    words = sorted(trained.get_vocab().items(), key=lambda word: word[1])
    (folder / "vocab.txt").write_text("\n".join(word for word, _ in words), encoding="utf-8")
    tokenizer = transformers.BertTokenizer(vocab=str(folder / "vocab.txt"), do_lower_case=True, model_max_length=512)
    tokenizer.save_pretrained(folder)
    shape: dict[str, Any] = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    if tiny:
        shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.BertModel(transformers.BertConfig(**shape, vocab_size=8192 if tiny else 30522)).save_pretrained(folder)
    return folder


def far(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """|found - wanted| / |wanted|, over all numbers together."""
    found, wanted = found.detach().cpu().double(), wanted.detach().cpu().double()
    return float((found - wanted).norm() / wanted.norm().clamp(min=1e-12))


def furthest(pairs: Mapping[str, tuple[float, float]]) -> float:
    """The largest relative difference of two numbers."""
    return float(max(abs(a - b) / max(abs(b), 1e-6) for a, b in pairs.values())) if pairs else float(np.nan)
