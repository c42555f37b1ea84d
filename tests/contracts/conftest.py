"""All kinds trained together on their small tables, once for the tests of a file."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from mtl_core.base.workspace import Workspace
from mtl_core.config.experiment import Experiment, experiment_from_dict
from mtl_core.runtime.prepare import prepare
from mtl_core.tasks import KINDS
from mtl_core.training.events import Event
from mtl_core.training.loop import train
from tests.contracts.small import described
from tests.shop import cut_at


@dataclass
class Trained:
    """A task of each kind, called like it. whole: the events of the run in `folder`; resumed: those of one that was killed after its third
    step and resumed."""

    experiment: Experiment
    folder: Path
    whole: list[Event]
    resumed: list[Event]


@pytest.fixture(scope="session")
def trained(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("every_kind")
    description = described(KINDS, tiny_encoder, folder)
    description["tasks"]["recommendation"]["options"] = {"full_ranking": 5}  # a whole catalogue is ranked, too
    experiment = experiment_from_dict(description)
    prepared = prepare(experiment, Workspace(folder / "workspace"))
    whole = cut_at(3, train(experiment, prepared, folder=folder / "whole"), folder)
    return Trained(experiment, folder / "whole", whole, list(train(experiment, prepared, folder=folder / "cut", resume=True)))
