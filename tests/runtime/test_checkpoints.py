"""A checkpoint of every version of the format, as programs of that version wrote it, is read or refused by number."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from mtl_core.inference.predictor import Predictor
from mtl_core.runtime import checkpoints
from mtl_core.runtime.checkpoints import OLDEST, VERSION, CheckpointError, load_model, version_of
from mtl_core.training.checkpoints import load_checkpoint, load_state
from tests.kept_checkpoints import ANSWERS, TEXTS, write


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Of the last version whose files nothing vouches for."""
    return write(tmp_path / "checkpoint", 2)


@pytest.mark.parametrize("version", range(OLDEST, VERSION + 1))
def test_every_version_is_kept_and_read(version: int, tmp_path: Path) -> None:
    folder = write(tmp_path / "checkpoint", version)
    assert version_of(folder) == version
    for answer, said in zip(Predictor(folder, device="cpu").predict("the mood", [{"text": t} for t in TEXTS]), ANSWERS, strict=True):
        assert answer["label"] == "up" and answer["probabilities"] == pytest.approx(said, abs=1e-6)
    whole = load_checkpoint(folder)
    assert (whole.state.step, whole.state.weights, whole.made) == (2, {"the mood": 1.0}, {})
    assert whole.optimizer and all(torch.isfinite(tensor).all() for tensor in whole.optimizer.values())
    assert whole.specs == load_model(folder).specs == {"the mood": {"classes": ["down", "up"], "weights": [1.0, 1.0], "out_of_scope": ""}}


@pytest.mark.parametrize("load", [load_model, load_checkpoint, load_state, Predictor])
def test_a_newer_one_is_refused_by_number(written: Path, load: object) -> None:
    (written / "format.json").write_text(json.dumps({"version": VERSION + 1, "more": "unknown"}))
    with pytest.raises(CheckpointError, match=f"format {VERSION + 1}; this program reads the formats {OLDEST} to {VERSION}. Update"):
        load(written)  # type: ignore[operator]


def test_a_newer_manifest_is_refused_by_number(tmp_path: Path) -> None:
    manifest = json.loads((write(tmp_path, VERSION) / "manifest.json").read_text())
    values = {name: value for name, value in manifest.items() if name != "sha256"} | {"version": VERSION + 1}
    own = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps({**values, "sha256": own}))
    with pytest.raises(CheckpointError, match=f"format {VERSION + 1}; this program reads the formats {OLDEST} to {VERSION}. Update"):
        load_model(tmp_path)


def test_what_is_too_old_is_refused_by_number(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "OLDEST", VERSION)
    (written / "format.json").unlink()
    with pytest.raises(CheckpointError, match=r"format 1 of an older program.*Train the run again"):
        load_model(written)


def test_state_of_an_older_program_is_refused_by_number_and_its_model_read(written: Path) -> None:
    state = json.loads((written / "state.json").read_text())
    (written / "state.json").write_text(json.dumps(state | {"warmth": 1}))
    assert load_model(written).specs
    with pytest.raises(CheckpointError, match="format 2 of an older program"):
        load_checkpoint(written)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("format.json", b"{}"),
        ("format.json", b"[2]"),
        ("format.json", b'{"version": "2"}'),
        ("format.json", b"\xff\xfe"),
        ("specs.json", b'{"the mo'),
        ("heads.safetensors", b"cut"),
        ("experiment.yaml", b"tasks:"),
        ("encoder/config.json", b"{"),
        ("encoder/model.safetensors", b""),
        ("state.json", b'{"step": '),
        ("state.json", b"[]"),
        ("state.json", b"5"),
        ("optimizer.safetensors", b"cut"),
    ],
)
def test_a_damaged_one_is_said_to_be(written: Path, file: str, content: bytes) -> None:
    (written / file).write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(written)
    if not file.startswith(("state", "optimizer")):
        with pytest.raises(CheckpointError, match="is damaged"):
            load_model(written)
