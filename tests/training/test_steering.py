"""A run that is steered: what may be changed, what is kept of it, going back, and training it again from its events."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mtl_core.base.faults import ExperimentError
from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, experiment_from_dict
from mtl_core.config.steering import differing, steered
from mtl_core.runtime import steps
from mtl_core.runtime.prepare import prepare
from mtl_core.runtime.steps import PLACES
from mtl_core.training.control import Control
from mtl_core.training.events import CheckpointSaved, Evaluated, Event, Finished, Resumed, Steered, StepDone
from mtl_core.training.loop import train
from mtl_core.training.replay import Replay, compare_replay, history, script_of

Asked = dict[int, Callable[[Control], None]]


@pytest.fixture
def trained(description: dict, workspace: Workspace, tmp_path: Path) -> Callable[..., list[Event]]:
    description["training"] |= {"steps": 10, "evaluate_every": 4}
    experiment = experiment_from_dict(description)

    def run(asked: Asked, folder: str = "run", control: Control | None = None) -> list[Event]:
        """asked: after the step → what a person does then."""
        control, events, left = control or Control(), [], dict(asked)
        for event in train(experiment, prepare(experiment, workspace), control, tmp_path / folder):
            events.append(event)
            if isinstance(event, StepDone) and event.step in left:
                left.pop(event.step)(control)
        return events

    return run


def places(run: Path) -> list[int]:
    return sorted(steps.places(run))


def numbers(events: list[Event]) -> list[dict]:
    return [{**e.to_json(), "seconds": 0, "memory_bytes": 0} for e in history(events) if isinstance(e, StepDone)]


EVERYTHING = {
    "tasks.search.weight": 3.0,
    "optimizer.learning_rate": 2e-3,
    "optimizer.head_learning_rate": 1e-3,
    "sampling": {"name": "uniform", "options": {"most": 1.0}},
    "early_stopping.patience": 7,
}


def test_everything_that_may_be_changed(experiment: Experiment) -> None:
    changed = steered(experiment, EVERYTHING)
    assert changed.tasks["search"].weight == 3 and changed.optimizer.learning_rate == 2e-3
    assert changed.sampling.name == "uniform" and changed.early_stopping.patience == 7
    old, new = differing(experiment, changed)
    assert new == EVERYTHING
    assert old["tasks.search.weight"] == 1.0 and old["sampling"]["name"] == "temperature"
    assert differing(experiment, experiment) == ({}, {})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks.search.weight": -1.0}, "at least 0"),
        ({"tasks.search.weight": float("inf")}, "tasks.search.weight"),
        ({"tasks.nothing.weight": 1.0}, "tasks.nothing.weight"),
        ({"encoder.name": "other"}, "optimizer.learning_rate"),
        ({"optimizer.learning_rate": 0.0}, "optimizer.learning_rate"),
        ({"sampling": {"name": "nothing"}}, "sampling.name"),
        ({f"tasks.{name}.weight": 0.0 for name in ("department", "recommended", "search", "ads", "next_item")}, "above 0"),
    ],
)
def test_what_cannot_be_changed_is_said(experiment: Experiment, changes: dict, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        steered(experiment, changes)


def test_a_change_is_journalled_after_a_checkpoint_and_bites(trained: Callable[..., list[Event]], tmp_path: Path) -> None:
    events = trained({3: lambda c: c.steer(EVERYTHING), 8: lambda c: c.stop()})
    (change,) = (e for e in events if isinstance(e, Steered))
    place = events.index(change)
    assert change.step == 4 and change.new == EVERYTHING and change.checkpoint == "step-3"
    assert isinstance(events[place - 1], CheckpointSaved) and events[place - 1].name == "step-3" and events[place - 1].step == 3
    assert places(tmp_path / "run") == [3, 4, 8]
    done = {e.step: e for e in events if isinstance(e, StepDone)}
    plain = {e.step: e for e in trained({}, "plain") if isinstance(e, StepDone)}
    assert done[3].losses == plain[3].losses
    assert done[4].learning_rate == pytest.approx(2 * plain[4].learning_rate), "the schedule goes on from the new rate"
    assert done[4].losses != plain[4].losses, "the rows are drawn evenly from the tables now"


def test_two_people_before_one_step_are_both_journalled_and_the_later_wins(trained: Callable[..., list[Event]], tmp_path: Path) -> None:
    def both(control: Control) -> None:
        control.set_weights({"search": 2.0})
        control.set_weights({"search": 5.0, "ads": 0.5})

    events = trained({3: both})
    first, second = (e for e in events if isinstance(e, Steered))
    assert (first.old, first.new) == ({"tasks.search.weight": 1.0}, {"tasks.search.weight": 2.0})
    assert second.old == {"tasks.search.weight": 2.0, "tasks.ads.weight": 1.0} and second.weights == {"search": 5.0, "ads": 0.5}
    assert first.step == second.step == 4 and first.checkpoint == second.checkpoint == "step-3", "one checkpoint, from before both"


def test_changes_that_only_together_are_wrong_are_refused_one_by_one(trained: Callable[..., list[Event]]) -> None:
    names = ("department", "recommended", "search", "ads", "next_item")
    events = trained({3: lambda c: [c.set_weights({name: 0.0}) for name in names]})
    changes = [e for e in events if isinstance(e, Steered)]
    assert [bool(e.refused) for e in changes] == [False] * 4 + [True] and "above 0" in changes[-1].refused


def test_going_back_gives_the_numbers_of_never_having_changed_anything(trained: Callable[..., list[Event]]) -> None:
    plain = trained({}, "plain")
    asked: Asked = {3: lambda c: c.set_weights({"search": 9.0}), 6: lambda c: c.go_back(3)}
    events = trained(asked)
    resumed = next(e for e in events if isinstance(e, Resumed))
    assert resumed.step == 3 and resumed.from_checkpoint
    assert numbers(events) == numbers(plain)
    assert not [e for e in history(events) if isinstance(e, Steered)], "what was gone back on is no part of the run"
    ends = [next(e for e in reversed(found) if isinstance(e, Finished)) for found in (events, plain)]
    assert ends[0].test == ends[1].test and ends[0].best_step == ends[1].best_step


def test_going_back_to_the_second_of_two_changes_keeps_the_first(trained: Callable[..., list[Event]]) -> None:
    one: Asked = {2: lambda c: c.set_weights({"search": 9.0})}
    two: Asked = {**one, 5: lambda c: c.steer({"optimizer.learning_rate": 5e-3}), 7: lambda c: c.go_back(5)}
    events = trained(two)
    assert numbers(events) == numbers(trained(one, "one"))
    assert [e.step for e in history(events) if isinstance(e, Steered)] == [3]


def test_going_back_to_where_there_is_nothing_changes_nothing(trained: Callable[..., list[Event]]) -> None:
    assert numbers(trained({4: lambda c: c.go_back(2)})) == numbers(trained({}, "plain"))


def test_a_few_checkpoints_are_kept(trained: Callable[..., list[Event]], tmp_path: Path) -> None:
    asked: Asked = {n: lambda c, n=n: c.set_weights({"search": 1.0 + n}) for n in range(1, 9)}
    trained(asked | {9: lambda c: c.stop()})
    assert places(tmp_path / "run") == [*range(9 - PLACES, 9), 9]
    trained(asked, "finished")
    assert places(tmp_path / "finished") == [10], "a run that has finished goes neither on nor back"


def test_a_replay_gives_the_same_numbers_bit_for_bit(trained: Callable[..., list[Event]]) -> None:
    asked: Asked = {
        2: lambda c: c.steer({k: v for k, v in EVERYTHING.items() if k != "early_stopping.patience"}),
        5: lambda c: (c.set_weights({"ads": 0.0}), c.evaluate()),
        6: lambda c: c.set_weights({"ads": 4.0}),
        8: lambda c: c.stop(),
    }
    events = trained(asked)
    assert {e.step for e in events if isinstance(e, Evaluated)} == {0, 4, 6, 8}
    again = trained({}, "again", Replay(script_of(events)))
    found = compare_replay(events, again)
    assert (found.steps, found.evaluations, found.difference) == (8, 4, None)
    ends = [next(e for e in found if isinstance(e, Finished)) for found in (events, again)]
    assert ends[0].test == ends[1].test and ends[1].why == "asked"


def test_a_replay_leaves_out_what_was_gone_back_on(trained: Callable[..., list[Event]]) -> None:
    events = trained({2: lambda c: c.set_weights({"ads": 4.0}), 4: lambda c: c.set_weights({"ads": 0.0}), 6: lambda c: c.go_back(4)})
    found = compare_replay(events, trained({}, "again", Replay(script_of(events))))
    assert (found.steps, found.difference) == (10, None)


def test_a_difference_is_found(trained: Callable[..., list[Event]]) -> None:
    events = trained({3: lambda c: c.set_weights({"search": 9.0})})
    found = compare_replay(events, trained({}, "plain"))
    assert found.difference is not None and found.difference.startswith("step 4: total_loss"), found
