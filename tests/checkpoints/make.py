"""Writes the checkpoint that `tests/runtime/test_checkpoints.py` loads, in the format of the code that is checked out.

    python tests/checkpoints/make.py v2

To be run once, when a format is new, before it changes again: tests/checkpoints/<name>/ holds the last checkpoint of a training of two
steps with an encoder of a few numbers, and answers.json, what its model says to TEXTS.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

TEXTS = ["ab ba", "ba", "abab b"]


def main(name: str) -> None:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    from mtl_core.base.workspace import Workspace
    from mtl_core.config.experiment import experiment_from_dict
    from mtl_core.inference.predictor import Predictor
    from mtl_core.runtime.prepare import prepare
    from mtl_core.training.loop import train

    target = Path(__file__).parent / name
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b"]
        (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
        BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder / "encoder")
        torch.manual_seed(0)
        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
        BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=16, **sizes)).save_pretrained(folder / "encoder")
        rows = [f"{'ab' * (n % 4 + 1)} {'b' * (n % 3)},{'up' if n % 2 else 'down'}" for n in range(40)]
        (folder / "moods.csv").write_text("\n".join(["text,mood", *rows]), encoding="utf-8")
        experiment = experiment_from_dict(
            {
                "name": "tiny",
                "data": {"moods": {"file": str(folder / "moods.csv"), "split": {"validation": 0.2, "test": 0.2}}},
                "tasks": {"the mood": {"kind": "classification", "data": "moods", "columns": {"text": "text", "label": "mood"}}},
                "encoder": {"name": str(folder / "encoder"), "max_length": 8},
                "training": {"steps": 2, "batch_size": 8, "device": "cpu", "precision": "float32"},
            }
        )
        list(train(experiment, prepare(experiment, Workspace(folder / "workspace")), folder=folder / "run"))
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder / "run" / "checkpoints" / "last", target)
        described = target / "experiment.yaml"
        described.write_text(described.read_text(encoding="utf-8").replace(f"{folder}/", ""), encoding="utf-8")
        answers = Predictor(target, device="cpu").predict("the mood", [{"text": text} for text in TEXTS])
        (target / "answers.json").write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
