"""`compare` on the command line: the page's numbers, as a table or as one JSON object."""

import json
import shutil

import numpy as np
import pytest

from mtl_core import compare
from mtl_core.base.workspace import Workspace
from mtl_core.cli.main import main
from mtl_core.tracking.status import write_status
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


def test_both_values_are_shown_and_what_is_compared_as_one_is_said(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [finished(workspace, experiment(), both(care, 150), name="equal") for care in (100, 110)]
    other = finished(workspace, experiment(care=4), both(140, 120), name="heavy")
    assert main(["compare", runs[0].id, other.id]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("care ")).split()
    assert row[3:6] == ["0.5000", "0.7000", "+0.2000"]
    assert main(["compare", *(run.id for run in runs)]) == 0
    shown = capsys.readouterr().out
    assert f"“equal” is 2 runs that differ by their seed at most ({runs[0].id}, {runs[1].id})" in shown and "--single" in shown
    assert "0.5250" in shown and compare(runs).groups == {"equal": [run.id for run in runs]}
    assert main(["compare", *(run.id for run in runs), "--single"]) == 0 and "+0.0500" in capsys.readouterr().out


def test_a_report_says_how_well_the_test_is_known(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(workspace, experiment(), both(100, 150))
    tasks = {task: {**parts, "best": {"accuracy": 0.95}} for task, parts in run.result()["tasks"].items()}
    write_status(run.folder, {**run.status, "result": {"tasks": tasks}})
    assert main(["report", run.id, "--task", "care"]) == 0
    shown = capsys.readouterr().out
    assert "95 % intervals of the test values: care accuracy 0.4" in shown and "returns" not in shown
    assert "“care”: the best validation value, 0.950, is beyond the 95 % interval" in shown
    assert main(["report", run.id, "--json"]) == 0
    low, high = json.loads(capsys.readouterr().out)["test_intervals"]["returns"]
    assert 0.65 < low < 0.75 < high < 0.85


def test_runs_go_by_their_names_and_the_beginnings_of_their_ids(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (finished(workspace, experiment(care=n + 1.0), both(100, 150), name=f"Laden {'AB'[n]}") for n in range(2))
    assert main(["compare", "Laden A", second.id[:6], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["groups"] == {"Laden A": [first.id], "Laden B": [second.id]}
    twin = finished(workspace, experiment(care=3.0), both(100, 150), name="Laden A")
    assert main(["report", "Laden A"]) == 2
    said = capsys.readouterr().err
    assert "2 runs are called" in said and first.id in said and twin.id in said
    assert main(["report", twin.id]) == 0


@pytest.mark.parametrize("command", [["compare", "A", "B"], ["predict", "A", "--task", "care"]])
def test_a_run_without_its_experiment_says_so(workspace: Workspace, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    runs = {name: finished(workspace, experiment(), both(100, 150), name=name) for name in "AB"}
    (runs["A"].folder / "experiment.yaml").unlink()
    assert main(command) == 1
    said = capsys.readouterr()
    assert said.out == "" and f"The experiment of the run “{runs['A'].id}” cannot be read" in said.err and said.err.count("\n") == 1


def test_what_a_run_keeps_and_is_damaged_is_one_sentence(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(workspace, experiment(), both(100, 150))
    (run.folder / "reports").mkdir(exist_ok=True)
    (run.folder / "reports" / "test.json").write_text('{"care": [')
    assert main(["report", run.id]) == 1 and "reports/test.json of the run" in capsys.readouterr().err
    shutil.rmtree(run.folder / "reports")
    for name in ("reports", "checkpoints"):
        (run.folder / name).touch()
    assert main(["report", run.id]) == 1 and "is damaged" in capsys.readouterr().err
    assert main(["predict", run.id, "--task", "care"]) == 2 and "no checkpoint" in capsys.readouterr().err


def test_without_test_rows_there_is_nothing_to_evaluate(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(workspace, experiment(), both(100, 150))
    tasks = {task: {**parts, "test": {}} for task, parts in run.result()["tasks"].items()}
    write_status(run.folder, {**run.status, "result": {"tasks": tasks}, "tested": 1.0})
    assert main(["evaluate", run.id]) == 2 and "has no test rows" in capsys.readouterr().err


def test_wrong_calls(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(workspace, experiment(), both(1, 1))
    assert main(["compare", run.id, run.id]) == 2 and "different runs" in capsys.readouterr().err
    assert main(["compare", "nothing", run.id]) == 2
    capsys.readouterr()
    assert main(["compare", run.id]) == 2 and f"Found {run.id} alone" in capsys.readouterr().err
    with pytest.raises(ValueError, match="split should be one of validation, test"):
        compare([run], split="train")  # type: ignore[arg-type]
