"""One experiment with several seeds: runs that differ by chance alone."""

from collections.abc import Iterable

from mtl_core.base.faults import ExperimentError, Fault
from mtl_core.base.messages import message
from mtl_core.config.experiment import Experiment

MOST_SEEDS = 5
"""Of one start."""
_LONGEST = 64  # of a name


def with_seeds(experiment: Experiment, seeds: Iterable[int]) -> list[Experiment]:
    """One experiment a seed, in order, each named by it ("shop seed 2"); of one seed alone the name stays.

    Raises ExperimentError: no seed, one twice, or more than MOST_SEEDS; ValidationError: a negative one.
    """
    chosen = list(seeds)
    if not chosen or len(set(chosen)) < len(chosen) or len(chosen) > MOST_SEEDS:
        wanted = message("1 to {most} different seeds", most=MOST_SEEDS)
        raise ExperimentError([Fault("seed", ", ".join(map(str, chosen)) or "-", wanted)])
    values = experiment.model_dump(mode="json")
    return [
        Experiment.model_validate({**values, "seed": seed, "name": experiment.name if len(chosen) == 1 else _named(experiment.name, seed)})
        for seed in chosen
    ]


def _named(name: str, seed: int) -> str:
    end = f" seed {seed}"
    return name[: _LONGEST - len(end)].rstrip() + end


def without_seed(name: str, seed: int) -> str:
    """What the runs of several seeds have in common in their names: the inverse of `with_seeds`."""
    return name.removesuffix(f" seed {seed}")


def seeds_of(text: str) -> list[int]:
    """ "0,1,2" → [0, 1, 2]; "3", a number alone, → as many from 0. Raises ValueError: neither, or not one."""
    numbers = [int(part) for part in text.split(",") if part.strip()]
    if not numbers or (len(numbers) == 1 and "," not in text and numbers[0] < 1):
        raise ValueError(f"no seed in {text!r}")
    return list(range(numbers[0])) if len(numbers) == 1 and "," not in text else numbers
