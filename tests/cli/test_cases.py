"""The tables of `../shared/cases`, out of public bug reports: what the program understands of each is what is wanted."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mtl_core.cli.main import main

FOLDER = Path(__file__).parents[3] / "shared" / "cases"


def _cases() -> list[dict[str, Any]]:
    if not FOLDER.is_dir():
        return []
    found = yaml.safe_load((FOLDER / "cases.yaml").read_text("utf-8"))
    return [case for case in found if not case["name"].startswith("hostile_")]


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no folder ../shared/cases beside the project")
@pytest.mark.parametrize("case", _cases(), ids=lambda case: case["name"])
def test_a_table_is_understood_as_wanted(case: dict[str, Any], tmp_path: Path, capsys) -> None:
    main(["check", str(FOLDER / case["file"]), "--workspace", str(tmp_path), "--json", *case["args"].split()])
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    short = [_meets()(found, want) for want in case["expect"]]
    assert not all(short), "; or ".join(map(str, short))


def _meets() -> Any:
    """How the runner holds an answer against what is wanted; its `main()` is left out."""
    source = (FOLDER / "run.py").read_text("utf-8").removesuffix("main()\n").removesuffix("main()")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("runner", loader=None))
    exec(compile(source, str(FOLDER / "run.py"), "exec"), module.__dict__)
    return module.meets
