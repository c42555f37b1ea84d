"""Balancing strategies by name. Loads no torch."""

from importlib import import_module

from mtl_core.balancing.base import GROUPS, Balancing, GradientBalancing, LossBalancing
from mtl_core.base.messages import N_

__all__ = ["BALANCING", "GROUPS", "RECOMMENDED", "WHY_RECOMMENDED", "Balancing", "GradientBalancing", "LossBalancing"]

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

RECOMMENDED = "fixed"
WHY_RECOMMENDED = N_(
    "Start with fixed weights. Measured on five tasks of real tables (benchmarks/RESULTS.md; three seeds of 60 steps): no other strategy "
    "was better by more than chance, and a step of those on gradients took 1.4 to 1.6 times as long."
)
"""What `benchmarks/strategies.py` measured; to be changed with its results."""
