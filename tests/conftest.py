"""Fixtures that all tests share. No test writes outside its own temporary folder or touches the network."""

import os
import shutil
from pathlib import Path

# Before torch, transformers and mlflow are imported anywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models of the tests are tiny: threads would cost more than they gain
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("MLFLOW_TRACKING_URI", None)

import mlflow  # noqa: F401 - before a mirror's thread does: two threads that import it at once leave it half imported
import pytest

from mtl_core.base.workspace import Workspace

pytest_plugins = ["tests.shop", "tests.heads"]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace of the test's own, which is also the default one (`MTL_WORKSPACE`)."""
    root = tmp_path / "workspace"
    monkeypatch.setenv("MTL_WORKSPACE", str(root))
    return Workspace(root)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a BERT with random weights: 2 layers, hidden size 32, a lower-case WordPiece vocabulary of letters and digits."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("tiny_encoder")
    characters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{c}" for c in characters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizer(vocab=str(folder / "vocab.txt"), do_lower_case=True).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertModel(
            BertConfig(
                vocab_size=len(vocabulary),
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=128,
            )
        )
    model.save_pretrained(folder)
    return folder


def chromium() -> str | None:
    """The browser of the system's packages."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser") and chromium() is None:
        if os.environ.get("MTL_BROWSER_TESTS") == "required":
            pytest.fail("There is no chromium, and MTL_BROWSER_TESTS=required.")
        pytest.skip("There is no chromium; install the package `chromium` to run the browser tests.")


@pytest.fixture(scope="session")
def browser_path() -> str:
    path = chromium()
    assert path is not None, "a test that uses `browser_path` is marked `browser`"
    return path
