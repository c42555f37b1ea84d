"""Train one pretrained transformer jointly on several tasks, read what came of it, and use it. The public API; no torch on import.

    import mtl_core as mtl

    run = mtl.train("shop.yaml", tables={"messages": frame}, settings={"training.steps": 60})
    run.metrics, run.curves, run.report("intent")
    run.predict("intent", ["where is my parcel"])

Everything named here loads on first use. The rest of `mtl_core` is the workbench without its screens: imports go down the floors only
(docs/architecture.md), and only what this module names is kept stable.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtl_core import plots
    from mtl_core.api.checking import CheckResult, check, suggest
    from mtl_core.api.comparing import RunComparison, compare
    from mtl_core.api.estimating import estimate
    from mtl_core.api.runs import Run, load, runs
    from mtl_core.api.training import TrainingError, train, train_seeds
    from mtl_core.base.faults import ExperimentError
    from mtl_core.base.program import SAMPLE_SHOP
    from mtl_core.base.workspace import Workspace
    from mtl_core.config.experiment import Experiment
    from mtl_core.data.problems import DataError, InputError
    from mtl_core.tracking.runs import RunError

__all__ = [
    "SAMPLE_SHOP",
    "CheckResult",
    "DataError",
    "Experiment",
    "ExperimentError",
    "InputError",
    "Run",
    "RunComparison",
    "RunError",
    "TrainingError",
    "Workspace",
    "check",
    "compare",
    "estimate",
    "load",
    "plots",
    "runs",
    "suggest",
    "train",
    "train_seeds",
]

_HOMES = {
    "api.checking": ("CheckResult", "check", "suggest"),
    "api.comparing": ("RunComparison", "compare"),
    "api.estimating": ("estimate",),
    "api.runs": ("Run", "load", "runs"),
    "api.training": ("TrainingError", "train", "train_seeds"),
    "base.faults": ("ExperimentError",),
    "base.program": ("SAMPLE_SHOP",),
    "base.workspace": ("Workspace",),
    "config.experiment": ("Experiment",),
    "data.problems": ("DataError", "InputError"),
    "tracking.runs": ("RunError",),
}


def __getattr__(name: str) -> Any:
    """Loads a public name where it lives, once (PEP 562)."""
    if name == "plots":
        return import_module("mtl_core.plots")
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; public are {', '.join(__all__)}")
    found = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
