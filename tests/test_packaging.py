"""`pip install .`: the built wheel, installed into an empty environment, works from any folder. Nothing is downloaded."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "requirements.txt", "app.py")
FOLDERS = ("mtl_core", "data", "pages", "docs/notebooks", ".streamlit")

USE = """\
import json, sys
import mtl_core as mtl
run = mtl.load(sys.argv[1])
answers = run.predict("intent", ["where is my parcel", "I want my money back"])
print(json.dumps({"from": mtl.__file__, "shop": str(mtl.SAMPLE_SHOP), "labels": answers.label.tolist(), "runs": len(mtl.runs())}))
"""

SCREEN = """\
import sys
from mtl_core.base.program import SCREEN
sys.path.insert(0, str(SCREEN))  # as `streamlit run` does
from streamlit.testing.v1 import AppTest
app = AppTest.from_file(str(SCREEN / "app.py"), default_timeout=60).run()
assert not app.exception, app.exception
print(app.title[0].value)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: building leaves files in the sources."""
    source = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    for name in (*SOURCES, "tests/requirements.txt"):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    call = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", "wheels", "."]
    subprocess.run(call, cwd=source, check=True)
    (found,) = (source / "wheels").iterdir()
    return found


@pytest.mark.slow
def test_the_wheel_holds_the_program_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (about,) = (name for name in names if name.endswith("METADATA"))
        metadata = archive.read(about).decode()
    assert {name.split("/")[0] for name in names} == {"mtl_core", about.split("/")[0]}
    modules = {f"mtl_core/{path.relative_to(ROOT / 'mtl_core').as_posix()}" for path in (ROOT / "mtl_core").rglob("*.py")}
    tables = {f"mtl_core/sample_shop/{path.name}" for path in (ROOT / "data").glob("*.csv")}
    screens = {f"mtl_core/screen/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "pages").rglob("*.py")}
    assert modules | tables | screens | {"mtl_core/py.typed", "mtl_core/screen/app.py"} <= names
    assert not {"mtl_core/screen/setup.py", "mtl_core/sample_shop/make_shop.py"} & names
    pinned = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines()]
    assert all(f"Requires-Dist: {pin}" in metadata for pin in pinned if pin)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_installed_it_trains_and_predicts_from_another_folder(wheel: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    """The dependencies are those of the environment that tests, by a .pth file."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel], check=True)
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "file").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("MTL_WORKSPACE", "PYTHONPATH")}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{tmp_path}/file/mlflow.db"  # cannot be made: no time goes into it

    def output(*call: str | Path) -> str:
        return subprocess.run(call, cwd=elsewhere, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()[-1]

    shop = output(python, "-c", "import mtl_core as mtl; print(mtl.SAMPLE_SHOP / 'shop.yaml')")
    assert Path(shop).is_relative_to(packages)
    small = [f"encoder.name={tiny_encoder}", "encoder.trainable=full", "training.steps=2", "training.batch_size=20", "training.device=cpu"]
    trained = json.loads(output(python.with_name("mtl"), "train", shop, "--json", "--set", *small))
    assert trained["state"] == "finished"
    assert (elsewhere / "workspace" / "runs" / trained["run_id"]).is_dir(), "in the current folder, not among the packages"
    used = json.loads(output(python, "-c", USE, trained["run_id"]))
    assert Path(used["from"]).is_relative_to(packages) and len(used["labels"]) == 2 and used["runs"] == 1
    assert output(python, "-c", SCREEN) == "One model for all tasks of your shop"
