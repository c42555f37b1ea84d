"""`compare` on the command line: the page's numbers, as a table or as one JSON object."""

import json

import numpy as np
import pytest

from mtl_core import compare
from mtl_core.base.workspace import Workspace
from mtl_core.cli.main import main
from tests.studies.kept import finished
from tests.studies.test_paired import both, experiment


def test_sentences_differences_and_json(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    first = finished(workspace, experiment(), both(100, 150), name="equal")
    second = finished(workspace, experiment(care=4), both(140, 120), name="heavy")
    assert main(["compare", first.id, second.id]) == 0
    shown = capsys.readouterr().out
    assert "“heavy” against “equal” (care ×4)" in shown and "+0.2000" in shown and "better" in shown
    assert main(["compare", first.id, second.id, "--baseline", second.id, "--split", "test", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["baseline"], found["split"], found["warnings"]) == ("heavy", "test", [])
    care, returns = found["differences"]
    assert (care["verdict"], returns["verdict"], care["n_rows"]) == ("worse", "better", 200)
    assert found["settings"] == {"tasks.care.weight": {"equal": 1.0, "heavy": 4.0}}
    same = compare([first, second], baseline=second, split="test").differences
    assert same["difference"].tolist() == [care["difference"], returns["difference"]]
    assert np.allclose(same[["low", "high", "p"]].iloc[0], [care["low"], care["high"], care["p"]])


def test_wrong_calls(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(workspace, experiment(), both(1, 1))
    assert main(["compare", run.id, run.id]) == 2 and "different runs" in capsys.readouterr().err
    assert main(["compare", "nothing"]) == 2
    with pytest.raises(ValueError, match="split should be one of validation, test"):
        compare([run], split="train")  # type: ignore[arg-type]
