"""Balancing strategies by name. Loads no torch."""

from importlib import import_module

from mtl_core.balancing.base import Balancing, GradientBalancing, LossBalancing

__all__ = ["BALANCING", "Balancing", "GradientBalancing", "LossBalancing"]

BALANCING: dict[str, type[Balancing]] = {
    strategy.name: strategy
    for module in (
        "fixed",
        "learned",
        "pace",
        "scalarized",
        "surgery",
        "descent",
        "fairness",
    )
    for strategy in import_module(f"{__name__}.{module}").STRATEGIES
}
"""In the order in which they are offered."""
