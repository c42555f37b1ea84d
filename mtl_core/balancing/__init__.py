"""Balancing strategies by name."""

from mtl_core.balancing.base import Balancing, GradientBalancing, LossBalancing
from mtl_core.balancing.descent import AlignedComponents, ConflictAverse, DualProjection, MultipleGradientDescent, UnconflictingProjection
from mtl_core.balancing.fairness import FairResources, GradientNormalisation, ImpartialGradients, NashBargaining
from mtl_core.balancing.fixed import FixedWeights
from mtl_core.balancing.learned import ImpartialLosses, Uncertainty, UncertaintyOriginal
from mtl_core.balancing.pace import DynamicWeightAverage, Famo
from mtl_core.balancing.scalarized import GeometricMean, RandomWeights, SmoothTchebycheff
from mtl_core.balancing.surgery import GradientDropout, GradientVaccine, ProjectedConflicts

__all__ = ["BALANCING", "Balancing", "GradientBalancing", "LossBalancing"]

BALANCING: dict[str, type[Balancing]] = {
    strategy.name: strategy
    for strategy in (
        FixedWeights,
        Uncertainty,
        UncertaintyOriginal,
        DynamicWeightAverage,
        RandomWeights,
        GeometricMean,
        ImpartialLosses,
        SmoothTchebycheff,
        Famo,
        ProjectedConflicts,
        GradientVaccine,
        ConflictAverse,
        MultipleGradientDescent,
        ImpartialGradients,
        NashBargaining,
        AlignedComponents,
        FairResources,
        UnconflictingProjection,
        DualProjection,
        GradientDropout,
        GradientNormalisation,
    )
}
