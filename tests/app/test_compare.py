"""The page Compare: runs side by side, from what lies in their folders."""

import json
from collections.abc import Iterator

import numpy as np
import pytest

from mtl_core.base.language import translator
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import experiment_from_yaml
from mtl_core.data.store import store_dataset
from mtl_core.evaluation.predictions import write_report
from mtl_core.jobs import jobs
from mtl_core.studies.compare import groups_of
from mtl_core.studies.paired import changes, pairs_of
from mtl_core.tracking.runs import Run, run
from mtl_core.tracking.status import write_status
from mtl_core.training.control import Control
from mtl_core.training.events import Evaluated, Event, Finished, Reported, Started, StepDone
from tests.app.conftest import PANELS, ROOT, Open, no_exception
from tests.studies.kept import kept

EXPERIMENT = """
name: compared
seed: {seed}
training: {{device: cpu, steps: 2, batch_size: 8}}
optimizer: {{learning_rate: {rate}}}
data: {{t: {{file: messages.csv, split: {{by: {by}, column: intent}}}}}}
tasks:
  intent: {{kind: classification, data: t, weight: {weight}, columns: {{text: message, label: intent}}}}
"""


def recorded(
    workspace: Workspace,
    name: str,
    accuracy: float,
    weight: float = 1.0,
    rate: float = 0.001,
    by: str = "stratified",
    purpose: str | None = None,
    n_kept: int = 0,
    seed: int = 0,
) -> Run:
    """A run that ended in two steps with this accuracy on both splits. n_kept: rows of which it keeps predictions."""

    def work(control: Control) -> Iterator[Event]:
        before, after = {"intent": {"accuracy": 0.1, "macro_f1": 0.1}}, {"intent": {"accuracy": accuracy, "macro_f1": accuracy - 0.1}}
        yield Started(0, 2, "cpu", "float32", {"intent": {"train": 8, "validation": 2, "test": 2}}, 10, 20, {"intent": weight})
        yield Evaluated(0, "validation", {"intent": 2.0}, before, 0.1, 0.1)
        for step in (1, 2):
            yield StepDone(step, {"intent": 1.0 / step}, 1.0 / step, rate, 1.0, {"intent": 8}, 100, 0.1, 2**30)
        yield Evaluated(2, "validation", {"intent": 1.0}, after, accuracy, 0.1, True)
        yield Reported(2, "test", "reports/test.json")
        yield Evaluated(2, "test", {"intent": 1.0}, after, accuracy, 0.1)
        yield Finished(2, "finished", "steps", 2, before, after, after, 1.0)

    text = EXPERIMENT.format(seed=seed, weight=weight, rate=rate, by=by)
    about = {"name": name, **({"purpose": {"of": purpose}} if purpose else {})}
    run_id = jobs().submit(experiment_from_yaml(text), workspace, ROOT / "data", work=work, about=about)
    assert jobs().wait(run_id, timeout=60)
    found = run(workspace, run_id)
    for split in ("validation", "test"):
        write_report(found.folder, split, PANELS)
        if n_kept:
            labels = np.arange(n_kept) % 3
            right = np.arange(n_kept) < accuracy * n_kept
            kept(found.folder, "intent", split, labels, np.where(right, labels, (labels + 1) % 3))
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
    at = opened("compare", below="settings")
    assert at.multiselect(key="runs").value == [two[0].id, two[1].id]
    assert at.selectbox(key="baseline").value == two[0].id
    metrics, settings = (table.value for table in at.dataframe)
    row = metrics.iloc[0]
    assert (row["Metric"], row["equal weights"], row["<b>heavy</b> *intent*"]) == ("Accuracy", "0.6000", "0.7000")
    assert (row["Difference"], row["p (Holm)"]) == ("–", "–")
    assert row["Verdict"] == "“equal weights” keeps no predictions of these rows"
    assert settings["Setting"].tolist() == ["intent · Loss weight", "Learning rate"]
    assert settings.iloc[0].tolist() == ["intent · Loss weight", "1", "3", "tasks.intent.weight"]
    assert not at.warning


@pytest.fixture
def kept_two(workspace: Workspace) -> tuple[Run, Run]:
    first = recorded(workspace, "equal", 0.6, n_kept=100)
    second = recorded(workspace, "heavy", 0.8, weight=4.0, n_kept=100)
    for split in ("best", "test"):  # as the page does in the background
        changes(pairs_of(groups_of([first, second]), "equal", split), workspace)
    return first, second


def test_the_sentence_then_differences_with_a_verdict(opened: Open, kept_two: tuple[Run, Run]) -> None:
    at = opened("compare")
    sentence = next(m.value for m in at.markdown if "against" in m.value).replace("\\", "")
    assert "(intent ×4), on validation rows: intent +20.0 points (+1" in sentence and "no task is significantly worse" in sentence
    row = at.dataframe[0].value.iloc[0]
    assert row["Difference"].startswith("+0.2000  [+0.1") and (row["Verdict"], float(row["p (Holm)"])) == ("better", pytest.approx(0.002))
    assert "#00568a" in str(at.dataframe[0].proto), "colour where it is significant"
    assert not any("were tested on them" in caption.value for caption in at.caption)


def test_colour_stands_only_where_it_is_significant(opened: Open, workspace: Workspace) -> None:
    runs = [recorded(workspace, "one", 0.60, n_kept=100), recorded(workspace, "two", 0.61, weight=2.0, n_kept=100)]
    changes(pairs_of(groups_of(runs), "one", "best"), workspace)
    at = opened("compare")
    assert at.dataframe[0].value.iloc[0]["Verdict"] == "no significant difference on 100 rows"
    assert "font-weight" not in str(at.dataframe[0].proto)
    assert any("nothing changed significantly" in m.value for m in at.markdown)


def test_test_rows_are_final_and_looks_are_counted(opened: Open, kept_two: tuple[Run, Run], workspace: Workspace) -> None:
    at = opened("compare", split="test")
    assert any("on test rows" in m.value for m in at.markdown)
    assert any("0 runs of this workspace were tested on them" in c.value for c in at.caption), "runs that recorded no data"
    assert at.query_params["split"] == "test"


def test_rows_answered_differently_are_counted_by_who_is_right(opened: Open, workspace: Workspace) -> None:
    stored = store_dataset(ROOT / "data" / "messages.csv", workspace)
    runs = [recorded(workspace, name, accuracy, n_kept=100) for name, accuracy in (("first", 0.6), ("second", 0.8))]
    for run_ in runs:
        write_status(run_.folder, {**run_.status, "datasets": {"t": stored.hash}})
    at = opened("compare")
    rows = at.dataframe[-1].value
    assert len(rows) == 20 and set(rows["Who is right"]) == {"second is right"}
    table = stored.table().to_pandas()
    at_line = table.set_index("_line")["message"]
    assert rows["message"].tolist() == [at_line[n] for n in rows["Line"]] and "File" not in rows
    number = table["_line"].tolist().index(rows["Line"][0])
    assert rows["Try it"][0] == f"predict?run={runs[1].id}&task=intent&lang=en&row={number}"
    at = opened("compare", who="first")
    assert any(c.value == "No such rows." for c in at.caption)


def test_trainings_made_for_comparisons_are_offered_only_when_asked_for(opened: Open, two: tuple[Run, Run], workspace: Workspace) -> None:
    alone = recorded(workspace, "alone", 0.5, purpose=two[0].id)
    at = opened("compare")
    assert at.multiselect(key="runs").value == [two[0].id, two[1].id]
    assert len(at.multiselect(key="runs").options) == 2
    at.toggle(key="comparisons").set_value(True)
    no_exception(at.run())
    assert len(at.multiselect(key="runs").options) == 3
    assert opened("compare", runs=alone.id).multiselect(key="runs").value == [alone.id], "a link to it stays true"


def test_runs_that_differ_by_their_seed_alone_are_chance(opened: Open, workspace: Workspace) -> None:
    recorded(workspace, "one", 0.6)
    two = recorded(workspace, "two", 0.7, seed=1)
    at = opened("compare")
    assert any("by their seed alone" in caption.value for caption in at.caption)
    again = recorded(workspace, "again", 0.7, seed=1)
    captions = [caption.value for caption in opened("compare", runs=[two.id, again.id], below="settings").caption]
    assert any("the same settings and the same seed" in c for c in captions) and not any("seed alone" in c for c in captions)
    assert "All settings are the same." in captions


def test_the_baseline_turns_the_difference_round(opened: Open, kept_two: tuple[Run, Run], workspace: Workspace) -> None:
    changes(pairs_of(groups_of(kept_two), "heavy", "best"), workspace)
    at = opened("compare", baseline=kept_two[1].id)
    row = at.dataframe[0].value.iloc[0]
    assert row["Difference"].startswith("-0.2000") and row["Verdict"] == "worse"
    assert at.query_params["baseline"] == kept_two[1].id


def test_what_is_chosen_stands_in_the_url(opened: Open, two: tuple[Run, Run]) -> None:
    at = opened("compare", curves="training")
    at.multiselect(key="runs").set_value([two[1].id, two[0].id])
    no_exception(at.run())
    assert at.query_params["runs"] == [two[1].id, two[0].id]
    assert at.query_params["curves"] == "training"


def test_one_run_alone_asks_for_another(opened: Open, two: tuple[Run, Run]) -> None:
    at = opened("compare", runs=two[0].id)
    assert any(caption.value == "Choose two or more runs" for caption in at.caption)


def test_runs_that_are_gone_are_left_out(opened: Open, two: tuple[Run, Run]) -> None:
    at = opened("compare", runs="000000000000")
    assert at.multiselect(key="runs").value == []
    assert "two or more" in at.multiselect(key="runs").placeholder


def test_a_run_that_is_not_there_is_named_also_where_nothing_can_be_compared(opened: Open, workspace: Workspace) -> None:
    only = recorded(workspace, "alone", 0.5)
    at = opened("compare", runs=[only.id, "nope"])
    assert any("nope" in warning.value for warning in at.warning) and any("two runs" in info.value for info in at.info)


def test_other_data_is_warned_of(opened: Open, workspace: Workspace) -> None:
    recorded(workspace, "one", 0.6)
    recorded(workspace, "two", 0.7, by="group")
    at = opened("compare")
    assert len(at.warning) == 1
    assert "split differently" in at.warning[0].value


def test_reports_stand_beside_each_other(opened: Open, two: tuple[Run, Run]) -> None:
    at = opened("compare", below="reports")
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


def test_a_link_with_a_run_twice_and_with_too_many_runs(opened: Open, workspace: Workspace) -> None:
    """One that is there twice is one; of more than six the first six are compared, which is said."""
    runs = [recorded(workspace, f"run {n}", 0.5, weight=1.0 + n) for n in range(7)]
    at = opened("compare", runs=[runs[0].id, runs[0].id])
    assert at.multiselect[0].value == [runs[0].id]
    at = opened("compare", runs=[run.id for run in runs])
    assert at.multiselect(key="runs").value == [run.id for run in runs[:6]]
    assert any("the first 6 of 7" in warning.value for warning in at.warning)
