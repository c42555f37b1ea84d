"""What `import mtl_core` names, and what it costs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mtl_core as mtl

ROOT = Path(__file__).parents[2]
HEAVY = ["torch", "transformers", "mlflow", "pandas", "pyarrow", "pydantic", "sklearn"]


def test_everything_named_is_there_and_explained() -> None:
    assert set(mtl.__all__) <= set(dir(mtl))
    for name in mtl.__all__:
        found = getattr(mtl, name)
        assert name == "SAMPLE_SHOP" or found.__doc__, name
    assert set(mtl._HOMES) and {"plots", *(n for names in mtl._HOMES.values() for n in names)} == set(mtl.__all__)
    with pytest.raises(AttributeError, match="public are"):
        mtl.trian  # noqa: B018


@pytest.mark.parametrize("name", ["train", "check", "compare", "load", "runs"])
def test_functions_say_what_they_take_give_and_raise(name: str) -> None:
    function = getattr(mtl, name)
    text = function.__doc__
    for argument in set(function.__annotations__) - {"return"}:
        assert re.search(rf"^\s+{argument}:|[ ,]{argument}[,:]", text, re.MULTILINE), f"{name}: {argument} is not explained"
    assert "Args:" in text and ("Returns:" in text or "Raises:" in text)


def test_the_import_loads_nothing_heavy() -> None:
    program = f"import json, sys, mtl_core; print(json.dumps(sorted(set({HEAVY!r}) & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_reading_runs_loads_no_torch(trained: mtl.Run) -> None:
    program = f"""
import json, sys
import mtl_core as mtl
run = mtl.load({str(trained.folder)!r})
run.metrics, run.curves, run.weights, run.report("topic"), run.plot_curves(), run.plot_report("topic"), mtl.runs()
mtl.compare([run]).metrics
print(json.dumps(sorted({{"torch", "transformers", "mlflow"}} & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
