"""A task on some of its rows, alone and jointly: the same rows for both, nested shares, the curves from the command line."""

import json
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from mtl_core import plots
from mtl_core.base.workspace import Workspace
from mtl_core.cli.main import main
from mtl_core.config.experiment import experiment_from_dict
from mtl_core.runtime.prepare import prepare
from mtl_core.studies import comparisons
from mtl_core.studies.efficiency import plan
from mtl_core.tracking.runs import RunError, RunState
from tests.studies.test_alone import no_mlflow, train_run, two

__all__ = ["no_mlflow", "two"]  # fixtures


def test_smaller_shares_are_among_larger_ones_and_groups_stay_whole(description: dict, workspace: Workspace) -> None:
    description["tasks"] = {name: description["tasks"][name] for name in ("search", "ads")}
    description["data"] = {name: description["data"][name] for name in ("searches", "ads")}
    kept: dict[str, list[set[int]]] = {"search": [], "ads": []}
    for share in (1.0, 0.5, 0.1, 0.001):
        for task in kept:
            description["tasks"][task]["rows"] = share
        prepared = prepare(experiment_from_dict(description), workspace)
        for task, found in kept.items():
            rows = prepared.tasks[task].rows
            found.append(set(rows.rows("train").tolist()))
            assert rows.n_rows("test") > 10
    for found in kept.values():
        assert all(small <= large for large, small in pairwise(found))
    assert [len(rows) for rows in kept["ads"]] == [72, 36, 7, 1]
    assert [len(rows) for rows in kept["search"]] == [96, 48, 8, 8], "eight products a query, at least one query"


def test_both_curves_from_the_command_line(two: dict, workspace: Workspace, capsys: pytest.CaptureFixture) -> None:
    joint = train_run(two, workspace)
    assert joint.state is RunState.FINISHED
    plans = partial(plan, joint, workspace, "recommended", (0.2, 1.0), 1)
    assert (plans().n, plans().n_done, plans().to_come) == (4, 1, 1), "the run itself is the joint point of all rows"
    assert main(["efficiency", joint.id, "--task", "recommended", "--shares", "20", "100", "--seeds", "1", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["complete"] and printed["metric"] == "accuracy" and set(printed["curves"]) == {"joint", "alone"}
    for points in printed["curves"].values():
        assert [p["share"] for p in points] == [0.2, 1.0] and points[0]["rows"] == round(points[1]["rows"] * 0.2)
        assert all(0 <= p["mean"] <= 1 and p["half"] is None and p["n"] == 1 for p in points)
    now = plans()
    few = [part for part in now.parts if now.shares[part.key] == 0.2]
    assert [comparisons.facts(part.run).rows["recommended"] for part in few if part.run] == [
        comparisons.facts(few[0].run).rows["recommended"]  # type: ignore[arg-type]
    ] * 2
    assert [part.run.tested for part in few if part.run] == [None, None], "the test split is left alone"
    with pytest.raises(RunError, match="no task “nothing”"):
        plan(joint, workspace, "nothing")


def test_the_chart_has_a_line_a_way_and_a_band_where_there_is_an_interval() -> None:
    curves = {"Joint": [(0.1, 10, 0.5, 0.1), (1.0, 100, 0.75, 0.05)], "Single-task": [(0.1, 10, 0.25, None), (1.0, 100, 0.75, None)]}
    figure = plots.efficiency(curves, "ads", ["ads", "search"], "AUC")
    band, joint, alone = figure.data
    assert np.allclose(band.y, [0.6, 0.8, 0.7, 0.4]) and joint.line.dash == "solid" and alone.line.dash != "solid"
    assert joint.line.color == alone.line.color == plots.task_colors(["ads", "search"])["ads"]
    assert figure.layout.xaxis.type == "log" and list(figure.layout.xaxis.ticktext) == ["10", "100"]


def test_without_validation_rows_there_are_no_points(two: dict, workspace: Workspace, capsys: pytest.CaptureFixture) -> None:
    two["data"]["reviews"]["split"] = {"by": "random", "validation": 0.0, "test": 0.2}
    joint = train_run(two, workspace)
    assert plan(joint, workspace, "recommended", (1.0,), 1).curves() == {}
    assert main(["efficiency", joint.id, "--task", "recommended", "--shares", "100", "--seeds", "1"]) == 0
    assert "of which no training has any" in capsys.readouterr().out
