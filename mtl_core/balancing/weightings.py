"""TorchJD's weightings. Strategies import this when they are used: it takes a second, which most runs and pages can do without."""

from torchjd.aggregation import (
    AlignedMTLWeighting,
    DualProjWeighting,
    GradVacWeighting,
    MGDAWeighting,
    PCGradWeighting,
    UPGradWeighting,
)
from torchjd.linalg import QuadprogProjector

__all__ = [
    "PROJECTOR",
    "AlignedMTLWeighting",
    "DualProjWeighting",
    "GradVacWeighting",
    "MGDAWeighting",
    "PCGradWeighting",
    "UPGradWeighting",
]

PROJECTOR = QuadprogProjector(reg_eps=1e-7)  # by default 1e-4, under which a task with a hundredth of the gradient would not be seen
