"""The page Compare: runs side by side, from what lies in their folders."""

import json
from collections.abc import Iterator

import pytest

from mtl_core.base.language import translator
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_yaml
from mtl_core.evaluation.predictions import write_report
from mtl_core.jobs import jobs
from mtl_core.tracking.runs import Run, run
from mtl_core.training.control import Control
from mtl_core.training.events import Evaluated, Event, Finished, Reported, Started, StepDone
from tests.app.conftest import PANELS, ROOT, Open, no_exception

EXPERIMENT = """
name: compared
training: {{device: cpu, steps: 2, batch_size: 8}}
optimizer: {{learning_rate: {rate}}}
data: {{t: {{file: messages.csv, split: {{by: {by}, column: intent}}}}}}
tasks:
  intent: {{kind: classification, data: t, weight: {weight}, columns: {{text: message, label: intent}}}}
"""


def recorded(workspace: Workspace, name: str, accuracy: float, weight: float = 1.0, rate: float = 0.001, by: str = "stratified") -> Run:
    """A run that ended in two steps with this accuracy on the test split."""

    def work(control: Control) -> Iterator[Event]:
        before, after = {"intent": {"accuracy": 0.1, "macro_f1": 0.1}}, {"intent": {"accuracy": accuracy, "macro_f1": accuracy - 0.1}}
        yield Started(0, 2, "cpu", "float32", {"intent": {"train": 8, "validation": 2, "test": 2}}, 10, 20, {"intent": weight})
        yield Evaluated(0, "validation", {"intent": 2.0}, before, 0.1, 0.1)
        for step in (1, 2):
            yield StepDone(step, {"intent": 1.0 / step}, 1.0 / step, rate, 1.0, {"intent": 8}, 100, 0.1, 2**30)
        yield Evaluated(2, "validation", {"intent": 1.0}, after, accuracy, 0.1, True)
        yield Reported(2, "test", "reports/test.json")
        yield Finished(2, "finished", "steps", 2, before, after, after, 1.0)

    text = EXPERIMENT.format(weight=weight, rate=rate, by=by)
    run_id = jobs().submit(experiment_from_yaml(text), workspace, ROOT / "data", work=work, about={"name": name})
    assert jobs().wait(run_id, timeout=60)
    found = run(workspace, run_id)
    write_report(found.folder, "test", PANELS)
    return found


@pytest.fixture
def two(workspace: Workspace) -> tuple[Run, Run]:
    first = recorded(workspace, "equal weights", 0.6)
    return first, recorded(workspace, "<b>heavy</b> *intent*", 0.7, weight=3.0, rate=0.01)


def test_with_fewer_than_two_runs_it_says_what_to_do(opened: Open, workspace: Workspace) -> None:
    recorded(workspace, "alone", 0.5)
    at = opened("compare")
    assert any("two runs" in info.value for info in at.info)
    assert not at.dataframe


def test_the_last_two_runs_are_compared_with_the_older_as_baseline(opened: Open, two: tuple[Run, Run]) -> None:
    at = opened("compare")
    assert at.multiselect(key="runs").value == [two[0].id, two[1].id]
    assert at.selectbox(key="baseline").value == two[0].id
    weights, settings, metrics = (table.value for table in at.dataframe[:3])
    assert weights.loc["intent"].to_dict() == {"equal weights": 1.0, "<b>heavy</b> *intent*": 3.0}
    assert settings.index.tolist() == ["optimizer.learning_rate"]
    row = metrics.iloc[0]
    assert (row["Metric"], row["equal weights"], row["<b>heavy</b> *intent*"]) == ("Accuracy", 0.6, 0.7)
    assert row["<b>heavy</b> *intent*, difference"] == pytest.approx(0.1)
    assert not at.warning


def test_the_baseline_turns_the_difference_round(opened: Open, two: tuple[Run, Run]) -> None:
    at = opened("compare", baseline=two[1].id)
    assert at.dataframe[2].value.iloc[0]["equal weights, difference"] == pytest.approx(-0.1)
    assert at.query_params["baseline"] == two[1].id


def test_what_is_chosen_stands_in_the_url(opened: Open, two: tuple[Run, Run]) -> None:
    at = opened("compare", curves="training")
    at.multiselect(key="runs").set_value([two[1].id, two[0].id])
    no_exception(at.run())
    assert at.query_params["runs"] == [two[1].id, two[0].id]
    assert at.query_params["curves"] == "training"


def test_runs_that_are_gone_are_left_out(opened: Open, two: tuple[Run, Run]) -> None:
    at = opened("compare", runs="000000000000")
    assert at.multiselect(key="runs").value == []
    assert any("two or more" in caption.value for caption in at.caption)


def test_other_data_is_warned_of(opened: Open, workspace: Workspace) -> None:
    recorded(workspace, "one", 0.6)
    recorded(workspace, "two", 0.7, by="group")
    at = opened("compare")
    assert len(at.warning) == 1
    assert "split differently" in at.warning[0].value


def test_reports_stand_beside_each_other(opened: Open, two: tuple[Run, Run]) -> None:
    at = opened("compare")
    traces = [json.loads(chart.proto.spec)["data"][0] for chart in at.get("plotly_chart")]
    assert [trace["x"] for trace in traces if trace["type"] == "heatmap"] == [["a", "&lt;b&gt;"]] * 2


def test_names_are_shown_as_they_are(opened: Open, two: tuple[Run, Run]) -> None:
    at = opened("compare")
    assert any(r"\<b\>heavy\</b\> \*intent\*" in markdown.value for markdown in at.markdown)


def test_page_is_in_chinese(opened: Open, two: tuple[Run, Run]) -> None:
    at = opened("compare")
    at.session_state["lang"] = "zh"
    no_exception(at.run())
    assert at.title[0].value == "对比"
    assert translator("zh")("Baseline") in [s.label for s in at.selectbox]
