"""Training reads changed texts where it is told to; evaluations never do, and a resumed run draws the same ones."""

import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import ExperimentError, experiment_from_dict
from mtl_core.runtime.prepare import prepare
from mtl_core.tasks import KINDS
from mtl_core.training.events import Evaluated, StepDone
from mtl_core.training.loop import train


def test_training_texts_are_changed_and_no_others(description: dict, workspace: Workspace) -> None:
    description["tasks"] = {name: description["tasks"][name] for name in ("department", "search")}
    description["data"] = {name: description["data"][name] for name in ("reviews", "searches")}
    description["training"] |= {"steps": 2, "evaluate_every": 2}
    found = {}
    for share in (0.0, 1.0):
        description["tasks"]["search"]["augmentation"] = {"share": share, "word_dropout": 0.5, "typos": 0.5}
        experiment = experiment_from_dict(description)
        events = list(train(experiment, prepare(experiment, workspace)))
        first = next(e for e in events if isinstance(e, StepDone))
        found[share] = first.losses, next(e for e in events if isinstance(e, Evaluated)).losses
    assert found[0.0][1] == found[1.0][1], "before training both read the validation split as it is"
    assert found[0.0][0]["search"] != found[1.0][0]["search"]
    assert abs(found[0.0][0]["department"] - found[1.0][0]["department"]) < 1e-5, "only the task that asks for it"
    again = list(train(experiment, prepare(experiment, workspace)))
    assert next(e for e in again if isinstance(e, StepDone)).losses == found[1.0][0]


@pytest.mark.parametrize("kind", ["extraction", "generation", "masked_language_modelling"])
def test_a_task_without_texts_that_may_be_changed_is_a_fault(description: dict, kind: str) -> None:
    columns = {"text": "text", "source": "text", "label": "department"}
    columns = {f.name: columns[f.name] for f in KINDS[kind].fields if f.required}
    description["tasks"]["department"] = {"kind": kind, "data": "reviews", "columns": columns, "augmentation": {"share": 0.5}}
    with pytest.raises(ExperimentError) as error:
        experiment_from_dict(description)
    (fault,) = error.value.faults
    assert (fault.path, str(fault.found)) == ("tasks.department.augmentation.share", "0.5") and "to augment" in str(fault.wanted)
