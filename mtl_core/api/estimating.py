"""`mtl_core.estimate`: what a training will take, without training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl_core.api.tables import Table
from mtl_core.api.training import Described, described_by
from mtl_core.base.workspace import Workspace
from mtl_core.jobs import quiet_libraries
from mtl_core.studies.estimates import measure
from mtl_core.training.estimate import Estimate
from mtl_core.training.estimate import estimate as reckoned


def estimate(
    experiment: Described,
    tables: Mapping[str, Table] | None = None,
    settings: Mapping[str, Any] | Sequence[str] | None = None,
    workspace: Workspace | Path | str | None = None,
) -> Estimate:
    """Steps, rows, time and memory of a training on this machine. Some seconds at first, which are kept in the workspace.

    Args: as of `train`.

    Returns:
        steps; examples, the rows drawn in all of them; passes over the training rows; tokens that a step sends through the encoder;
        seconds from start to end, of which the steps take `training`; memory_bytes at the peak (on a processor of the whole process).

    Raises:
        ExperimentError, OSError: as `train`; DataError: the tables cannot be used; EncoderError: the encoder cannot be had.
    """
    place = Workspace.at(workspace)
    described, base = described_by(experiment, place, tables, settings)
    quiet_libraries()
    return reckoned(described, measure(described, place, base))
