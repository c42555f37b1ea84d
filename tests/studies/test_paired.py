"""Verdicts, and the sentence above them, from what runs kept of their rows."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mtl_core.base.files import write_atomically
from mtl_core.base.language import translator
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, experiment_from_dict
from mtl_core.evaluation.predictions import predictions_file
from mtl_core.evaluation.statistics import exact_interval
from mtl_core.studies import paired
from mtl_core.studies.answers import differing
from mtl_core.studies.compare import compare_runs, groups_of
from mtl_core.studies.paired import Change, Verdict, ahead, changes, interval, pairs_of, too_good
from mtl_core.studies.sentence import bought, changed_settings
from mtl_core.tracking.runs import Owner
from mtl_core.training.events import Steered
from tests.studies.kept import finished

RNG = np.random.default_rng(0)
N = 200
LABELS = RNG.integers(0, 3, N)


def experiment(care: float = 1.0, returns: float = 1.0, **other: Any) -> Experiment:
    task = {"kind": "classification", "data": "t", "columns": {"text": "x", "label": "y"}}
    values = {"data": {"t": {"file": "t.csv"}}, "tasks": {"care": {**task, "weight": care}, "returns": {**task, "weight": returns}}}
    return experiment_from_dict({**values, **other})


def answered(n_right: int) -> np.ndarray:
    """The first `n_right` rows are right."""
    return np.where(np.arange(N) < n_right, LABELS, (LABELS + 1) % 3)


def width(change: Change) -> float:
    assert change.found is not None
    return change.found.high - change.found.low


def both(care: int, returns: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {"care": (LABELS, answered(care)), "returns": (LABELS, answered(returns))}


@pytest.fixture
def two(workspace: Workspace) -> list[Any]:
    return [
        finished(workspace, experiment(), both(100, 150), name="equal"),
        finished(workspace, experiment(care=4), both(140, 120), name="heavy"),
    ]


def test_only_runs_that_got_to_their_end_are_grouped_by_seed(workspace: Workspace) -> None:
    runs = [finished(workspace, experiment().model_copy(update={"seed": seed}), both(100, 150), name=f"seed {seed}") for seed in range(3)]
    assert [len(group.runs) for group in groups_of(runs)] == [3]
    runs[1] = replace(runs[1], status=runs[1].status | {"state": "failed"})
    assert [[run.name for run in group.runs] for group in groups_of(runs)] == [["seed 0", "seed 2"], ["seed 1"]]


def test_verdicts_differences_and_the_sentence(workspace: Workspace, two: list[Any]) -> None:
    groups = groups_of(two)
    care, returns = found = changes(pairs_of(groups, "equal", "best"), workspace)
    assert care.found and returns.found
    assert (care.found.value, care.verdict, str(care.words)) == (pytest.approx(0.2), Verdict.BETTER, "better")
    assert (returns.found.value, returns.verdict) == (pytest.approx(-0.15), Verdict.WORSE)
    changed = np.where((np.arange(N) >= 100) & (np.arange(N) < 140), 1.0, 0.0)
    wanted = stats.bootstrap((changed,), np.mean, method="percentile", random_state=np.random.default_rng(0)).confidence_interval
    assert (care.found.low, care.found.high) == pytest.approx((wanted.low, wanted.high), abs=0.01)
    text = str(bought(found, "validation"))
    assert text.startswith("“heavy” against “equal” (care ×4), on validation rows: care +20.0 points (+14."), text
    bounds = f"{100 * returns.found.low:+.1f} to {100 * returns.found.high:+.1f}"
    assert f" were bought with returns -15.0 points ({bounds})" in text
    chinese = bought(found, "validation").text(translator("zh"))
    assert "care 权重 ×4" in chinese and "points" not in chinese and "bought" not in chinese


def test_of_a_steered_run_the_settings_at_its_end_are_said(workspace: Workspace, two: list[Any]) -> None:
    with two[0].journal.open("a") as file:
        file.write(json.dumps(Steered(4, {"tasks.care.weight": 1.0}, {"tasks.care.weight": 2.0}).to_json()) + "\n")
    steered = replace(two[0], status=two[0].status | {"steered": True})
    found = changes(pairs_of(groups_of([steered, two[1]]), "equal", "best"), workspace)
    assert "(at the end of the training: care ×2), on" in str(bought(found, "validation"))
    compared = compare_runs(groups_of([steered, two[1]]))
    assert compared.settings["tasks.care.weight"] == {"equal": 2.0, "heavy": 4.0}, "the list has the settings of the sentence"
    working = replace(two[1], status=two[1].status | {"state": "running", "owner": vars(Owner.current())})
    said = [str(one) for one in compare_runs(groups_of([two[0], working])).warnings]
    assert said == ["“heavy” is still at work: its numbers are those of the steps that it has got to."]


def test_the_interval_of_one_run_and_a_validation_value_beyond_it(workspace: Workspace, two: list[Any]) -> None:
    found = interval(two[0], "care", "test", workspace)
    right = (np.arange(N) < 100).astype(float)
    wanted = stats.bootstrap((right,), np.mean, method="percentile", random_state=np.random.default_rng(0)).confidence_interval
    assert found == pytest.approx((wanted.low, wanted.high), abs=0.02)
    assert too_good(two[0], "care", found) is None
    said = too_good(two[0], "care", (0.3, 0.45))
    assert "0.500, is beyond the 95 % interval of the test value, 0.300 to 0.450" in str(said)
    assert too_good(two[0], "care", (0.55, 0.7)) is None, "worse on validation is no reason to doubt the test"
    predictions_file(two[0].folder, "care", "test").unlink()
    assert interval(two[0], "care", "test", workspace) is None


def test_where_all_rows_are_alike_there_is_no_interval_of_no_width(workspace: Workspace, two: list[Any]) -> None:
    """All 200 right: as by SciPy's own exact interval; two runs that are right on the same rows: nothing differs."""
    right = finished(workspace, experiment(care=2), both(N, 0), name="right")
    for task, hits in (("care", N), ("returns", 0)):
        wanted = stats.binomtest(hits, N).proportion_ci(method="exact")
        assert interval(right, task, "test", workspace) == pytest.approx((wanted.low, wanted.high))
    again = finished(workspace, experiment(care=3), both(N, 0), name="again")
    found = changes(pairs_of(groups_of([right, again, two[0]]), "right", "best"), workspace)
    assert [str(change.words) for change in found[:2]] == ["the same on all rows (200)"] * 2
    assert str(bought(found[:2], "test")).endswith(
        "nothing changed significantly: care the same on all rows, returns the same on all rows."
    )
    wrong = finished(workspace, experiment(care=5), both(0, 0), name="wrong")
    (care, _) = changes(pairs_of(groups_of([right, wrong]), "right", "best"), workspace)
    assert care.verdict is Verdict.WORSE and "care -100.0 points; no task" in str(bought([care], "test"))


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (3, 7), (25, 25), (0, 40), (999, 1000)])
def test_the_exact_interval_of_a_share(hits: int, n: int) -> None:
    wanted = stats.binomtest(hits, n).proportion_ci(method="exact")
    assert exact_interval(hits, n) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


def test_nothing_significant_is_said_plainly(workspace: Workspace, two: list[Any]) -> None:
    other = finished(workspace, experiment(returns=2), both(101, 149), name="other")
    found = changes(pairs_of(groups_of([two[0], other]), "equal", "best"), workspace)
    assert [change.verdict for change in found] == [Verdict.NOT_SIGNIFICANT] * 2
    assert str(found[0].words) == "no significant difference on 200 rows"
    assert "nothing changed significantly: care +0.5 points" in str(bought(found, "test"))


def test_an_interval_without_0_beside_no_verdict_is_explained(workspace: Workspace, two: list[Any]) -> None:
    """Five rows more right and none less: p is twice the share of draws without any of them, 2 · (1 - 5/200)^200 = 0.013; Holm takes it
    nine times among nine tasks: 0.11."""
    task = {"kind": "classification", "data": "t", "columns": {"text": "x", "label": "y"}}
    names = ["better", *(f"task {i}" for i in range(8))]
    nine = experiment_from_dict({"data": {"t": {"file": "t.csv"}}, "tasks": dict.fromkeys(names, task)})
    runs = [
        finished(workspace, nine, {name: (LABELS, answered(100 + (more if name == "better" else 0))) for name in names}, name=called)
        for called, more in (("base", 0), ("other", 5))
    ]
    found = changes(pairs_of(groups_of(runs, by_seed=False), "base", "best"), workspace)
    better = found[0]
    assert better.found and better.found.low > 0 and better.found.p <= 0.05 < better.p
    assert better.verdict is Verdict.NOT_SIGNIFICANT and better.alone and not any(change.alone for change in found[1:])
    assert str(better.words) == "significant alone, not after Holm's correction (9 tasks)"
    assert str(bought(found, "test")).endswith("Significant alone, but not after Holm's correction (9 tasks): better.")


def test_p_values_are_adjusted_over_the_tasks_of_one_run(workspace: Workspace, two: list[Any]) -> None:
    other = finished(workspace, experiment(returns=2), both(104, 150), name="other")
    care, returns = changes(pairs_of(groups_of([two[0], other]), "equal", "best"), workspace)
    assert care.found and returns.found and care.p == pytest.approx(2 * care.found.p) and returns.p == 1
    assert replace(care, p=0.049).verdict is Verdict.BETTER and replace(care, p=0.051).verdict is Verdict.NOT_SIGNIFICANT


def test_only_rows_that_all_have_are_compared(workspace: Workspace, two: list[Any]) -> None:
    labels = LABELS[50:]
    later = {"care": (labels, answered(140)[50:]), "returns": (labels, answered(120)[50:])}
    other = finished(workspace, experiment(care=2), later, name="other", rows=np.arange(50, N))
    found = changes(pairs_of(groups_of([*two, other]), "equal", "best"), workspace)
    assert {change.found.n_rows for change in found if change.found} == {150}
    assert found[0].found and found[0].found.first == pytest.approx((50 / 150,))


def test_it_is_computed_once_and_again_when_a_file_changes(workspace: Workspace, two: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = pairs_of(groups_of(two), "equal", "best")
    assert [change.found for change in changes(pairs, workspace, compute=False)] == [None, None]
    done, n = ahead(pairs, workspace, seconds=60)
    assert (done, n) == (2, 2)
    first = changes(pairs, workspace, compute=False)
    assert all(change.found is not None for change in first)
    assert first == changes(pairs, workspace)
    predictions = predictions_file(two[1].folder, "care", "validation")
    predictions.unlink()
    (gone, kept) = changes(pairs_of(groups_of(two), "equal", "best"), workspace)
    assert str(gone.words) == "“heavy” keeps no predictions of these rows" and gone.verdict is Verdict.UNKNOWN
    assert kept.found == first[1].found
    predictions.write_bytes(b"no parquet")
    (broken, _) = changes(pairs_of(groups_of(two), "equal", "best"), workspace)
    assert "cannot be read" in str(broken.words)


def test_a_kind_that_knows_no_weights_is_computed_from_copied_rows(
    workspace: Workspace, two: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = changes(pairs_of(groups_of(two), "equal", "best"), workspace)
    report = paired.KINDS["classification"].report
    monkeypatch.setattr(type(report), "weighed", lambda *_: None)
    slow = changes(pairs_of(groups_of(two), "equal", "test"), workspace)
    assert slow[0].found and fast[0].found and slow[0].found.n_draws == paired.N_SLOW_DRAWS
    assert slow[0].found.value == fast[0].found.value and width(slow[0]) == pytest.approx(width(fast[0]), rel=0.2)


def test_seeds_are_grouped_with_both_chances(workspace: Workspace) -> None:
    runs = [finished(workspace, experiment(seed=s), both(100 + 4 * s, 150), name="equal") for s in range(3)]
    runs += [finished(workspace, experiment(care=4, seed=s), both(140 + 4 * s, 150), name="heavy") for s in range(3)]
    groups = groups_of(runs)
    assert [len(group.runs) for group in groups] == [3, 3] and len(groups_of(runs, by_seed=False)) == 6
    (care, returns) = changes(pairs_of(groups, groups[0].name, "best"), workspace)
    assert care.found and care.found.over_seeds and care.found.first == (0.5, 0.52, 0.54)
    single = changes(pairs_of(groups_of([runs[0], runs[3]]), groups_of([runs[0], runs[3]])[0].name, "best"), workspace)[0]
    assert single.found and width(care) > width(single) and care.verdict is Verdict.BETTER
    assert returns.verdict is Verdict.NOT_SIGNIFICANT
    named = [finished(workspace, experiment(care=9, seed=s), both(1, 1), name=f"three seed {s}") for s in range(2)]
    assert [group.name for group in groups_of([*named, runs[0]])] == ["three", "equal"]
    assert groups_of(named, by_seed=False)[1].name == groups_of(named[1:])[0].name == "three seed 1"
    steered = finished(workspace, experiment(seed=7), both(1, 1), steered=True)
    assert len(groups_of([*runs, steered])) == 3, "it is not what its experiment says"


def test_other_data_has_no_verdict(workspace: Workspace, two: list[Any]) -> None:
    other = finished(workspace, experiment(care=2), both(140, 150), name="other", datasets={"t": "changed"})
    found = changes(pairs_of(groups_of([two[0], other]), "equal", "best"), workspace)
    assert [str(change.words) for change in found] == ["the data has changed in between."] * 2


def test_rows_answered_differently(workspace: Workspace, two: list[Any]) -> None:
    found = differing(two[0], two[1], "care", "validation")
    assert found.exact and found.n == N and found.rows["row"].tolist() == list(range(100, 140))
    assert set(found.rows["who"]) == {"second"} and set(found.rows["confidence"]) == {0.8}
    row = found.rows.iloc[0]
    assert (row["second"], row["first"]) == ("abc"[LABELS[100]], "abc"[(LABELS[100] + 1) % 3])
    assert set(differing(two[1], two[0], "care", "test").rows["who"]) == {"first"}


def test_rows_are_the_same_whatever_people_call_the_classes(workspace: Workspace, two: list[Any]) -> None:
    """Both answers are called by the run's own names; what differs and what is right is decided by the classes."""
    before = differing(two[0], two[1], "care", "validation").rows
    write_atomically(two[1].folder / "noted.json", json.dumps({"class_names": {"care": {"a": "Alpha", "b": "c"}}}))
    found = differing(two[0], two[1], "care", "validation").rows
    assert found["second"].tolist() == [{"a": "Alpha", "b": "c"}.get(name, name) for name in before["second"]]
    assert found.drop(columns="second").equals(before.drop(columns="second"))


def test_a_run_that_did_not_finish_is_said(workspace: Workspace, two: list[Any]) -> None:
    failed = finished(workspace, experiment(care=2), both(1, 1), name="cut", state="failed")
    (warning,) = compare_runs(groups_of([two[0], failed])).warnings
    assert str(warning).startswith("“cut” did not finish")


def test_settings_in_words() -> None:
    base = experiment(optimizer={"learning_rate": 0.001})
    assert str(changed_settings(base, experiment(care=0.5, optimizer={"learning_rate": 0.01}))) == "care ×0.5, Learning rate 0.001 → 0.01"
    assert str(changed_settings(base, base.model_copy(update={"seed": 4}))) == "only another seed"
    assert str(changed_settings(base, base)) == "the same settings"
    alone = experiment_from_dict({**(d := base.model_dump(mode="json")), "tasks": {"care": d["tasks"]["care"]}})
    assert str(changed_settings(base, alone)) == "without returns"


def test_the_cache_lies_in_the_workspace(workspace: Workspace, two: list[Any]) -> None:
    changes(pairs_of(groups_of(two), "equal", "best"), workspace)
    files = list(Path(workspace.root / "comparisons").iterdir())
    assert len(files) == 2 and all(file.suffix == ".json" for file in files)
