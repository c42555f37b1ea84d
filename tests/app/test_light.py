"""Pages paint, list, compare and edit without torch: only training, predicting and counting tokens load it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.config import drafts
from mtl_core.tracking.runs import Run
from tests.app.conftest import ROOT
from tests.app.test_compare import recorded

PAINT = """
import json, sys
from streamlit.testing.v1 import AppTest

at = AppTest.from_file(sys.argv[1], default_timeout=120)
for key, value in json.loads(sys.argv[3]).items():
    at.query_params[key] = value
if sys.argv[2] != "home":
    at.switch_page(f"pages/{sys.argv[2]}.py")
at.run()
assert not at.exception, at.exception
for key in [None, *sys.argv[4:]]:
    if key:
        at.button(key=key).click().run()
    while any("hourglass_top" in caption.value for caption in at.caption):
        at.run()
    assert not at.exception, at.exception
print(json.dumps(sorted({"torch", "transformers", "sklearn", "scipy.stats"} & set(sys.modules))))
"""
STATISTICS = {"sklearn", "scipy.stats"}


@pytest.fixture
def runs(workspace: Workspace) -> list[Run]:
    return [recorded(workspace, f"run {n}", 0.5 + n / 10, weight=1.0 + n) for n in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("home", lambda runs: {}),
        ("data", lambda runs: {}),
        ("data", lambda runs: {"source": "sample", "sample": "messages.csv"}),
        ("train", lambda runs: {}),
        ("train", lambda runs: {"from": "whole"}),
        ("train", lambda runs: {"run": runs[0].id}),
        ("compare", lambda runs: {"runs": [run.id for run in runs]}),
    ],
    ids=["home", "data", "a table checked", "train", "a new experiment", "a finished run", "compare"],
)
def test_a_page_is_painted_without_torch(page: str, query: Callable[[list[Run]], dict], runs: list[Run], workspace: Workspace) -> None:
    checks = "sample" in query(runs)
    call = [
        sys.executable,
        "-c",
        PAINT,
        str(ROOT / "app.py"),
        page,
        json.dumps(query(runs)),
        *(["add_task"] if checks else []),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MTL_WORKSPACE": str(workspace.root)}
    done = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded <= (STATISTICS if checks else set()), "the check, in the background, compares labels with a linear model"
    assert not checks or drafts.load(workspace).tasks
