"""Balancing strategies by name."""

from mtl_core.balancing.base import Balancing
from mtl_core.balancing.fixed import FixedWeights

BALANCING: dict[str, type[Balancing]] = {strategy.name: strategy for strategy in (FixedWeights,)}
