"""What share of a step each table has: from its size, in turn, as set, or from what its tasks still learn.

A new way is a class here, one line in SAMPLING and one test.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field as Setting
from pydantic import NonNegativeFloat

from mtl_core.base.messages import N_
from mtl_core.base.settings import Options


class SamplingOptions(Options):
    most: float = Setting(
        1.0, gt=0, le=1, title=N_("Max share"), description=N_("Maximum fraction of a step that one table may take; 1: no limit.")
    )


class Sampling(ABC):
    """label, help: for people, marked with N_. source: the paper, its title and link, or empty. state: JSON, goes into checkpoints."""

    name: ClassVar[str]
    label: ClassVar[str]
    help: ClassVar[str]
    source: ClassVar[str] = ""
    Options: ClassVar[type[SamplingOptions]] = SamplingOptions

    def __init__(self, tables: Sequence[str], sizes: np.ndarray, options: Any):
        """tables: S names; sizes: (S,) training rows of each."""
        self.tables, self.sizes, self.options = list(tables), sizes.astype(np.float64), options

    @abstractmethod
    def wanted(self, step: int, progress: float) -> np.ndarray:
        """(S,) ≥ 0, in any unit. step: from 0; progress: of the training, in [0, 1]."""

    def shares(self, step: int, progress: float) -> np.ndarray:
        """(S,), adding up to 1; none above the largest share, as far as that is possible."""
        return capped(self.wanted(step, progress), self.options.most)

    def observe(self, losses: Mapping[str, float]) -> None:  # noqa: B027 - most do not look
        """After a step: table → mean training loss of its tasks, for tables that had rows."""

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: dict[str, Any]) -> None:  # noqa: B027 - most keep nothing
        """Inverse of `state`."""


def capped(wanted: np.ndarray, most: float) -> np.ndarray:
    """`wanted` brought to a sum of 1, none above `most`; what is cut goes to the others in proportion."""
    shares = wanted / wanted.sum()
    if (shares > 0).sum() <= 1:
        return shares
    most = max(most, 1 / int((shares > 0).sum()))
    full = np.zeros(len(shares), bool)
    while (over := (shares > most + 1e-12) & ~full).any():
        full |= over
        shares[full] = most
        rest = (shares > 0) & ~full
        if rest.any():
            shares[rest] *= (1 - most * full.sum()) / shares[rest].sum()
    return shares / shares.sum()


class Proportional(Sampling):
    name = "proportional"
    label = N_("Proportional")
    help = N_("Proportional to the table sizes: every row is seen equally often.")

    def wanted(self, step: int, progress: float) -> np.ndarray:
        return self.sizes


class Uniform(Sampling):
    name = "uniform"
    label = N_("Uniform")
    help = N_("The same share for every table: rows of small tables are seen more often.")

    def wanted(self, step: int, progress: float) -> np.ndarray:
        return np.ones_like(self.sizes)


class TemperatureOptions(SamplingOptions):
    temperature: float = Setting(
        2.0,
        ge=1,
        le=100,
        title=N_("Temperature"),
        description=N_("Size to the power of 1/temperature: 1 is proportional, large is uniform."),
    )


class Temperature(Sampling):
    name = "temperature"
    label = N_("Temperature")
    help = N_("Between proportional and uniform, controlled by a temperature.")
    source = "Massively Multilingual Neural Machine Translation in the Wild, https://arxiv.org/abs/1907.05019"
    Options = TemperatureOptions

    def wanted(self, step: int, progress: float) -> np.ndarray:
        return self.sizes ** (1 / self.options.temperature)


class SquareRoot(Sampling):
    name = "square_root"
    label = N_("Square root")
    help = N_("Proportional to the square root of the table sizes.")
    source = "BERT and PALs: Projected Attention Layers for Efficient Adaptation in Multi-Task Learning, https://arxiv.org/abs/1902.02671"

    def wanted(self, step: int, progress: float) -> np.ndarray:
        return np.sqrt(self.sizes)


class Annealed(Sampling):
    """size^(1 - 0.8 · progress)"""

    name = "annealed"
    label = N_("Annealed")
    help = N_("Proportional at first, nearly uniform at the end.")
    source = SquareRoot.source

    def wanted(self, step: int, progress: float) -> np.ndarray:
        return self.sizes ** (1 - 0.8 * progress)


class RoundRobin(Sampling):
    """A largest share has no meaning here."""

    name = "round_robin"
    label = N_("Round robin")
    help = N_("Each step uses rows of one table only; the tables take turns.")

    def wanted(self, step: int, progress: float) -> np.ndarray:
        return np.eye(len(self.sizes))[step % len(self.sizes)]


class FixedSharesOptions(SamplingOptions):
    shares: dict[str, NonNegativeFloat] = Setting(
        {},
        title=N_("Shares"),
        description=N_("Share of each table relative to the others; tables that are not listed have 1."),
        json_schema_extra={"keys": "data", "each": 1.0},
    )


class FixedShares(Sampling):
    name = "fixed_shares"
    label = N_("Fixed shares")
    help = N_("Uses the shares you set.")
    Options = FixedSharesOptions

    def __init__(self, tables: Sequence[str], sizes: np.ndarray, options: FixedSharesOptions):
        """Raises ValueError: a table that is not there, a share that is negative or not finite, no share above 0."""
        super().__init__(tables, sizes, options)
        unknown = set(options.shares) - set(tables)
        self._wanted = np.array([options.shares.get(table, 1.0) for table in tables])
        if unknown or not np.isfinite(self._wanted).all() or (self._wanted < 0).any() or not self._wanted.any():
            raise ValueError(
                f"sampling.options.shares should name tables ({', '.join(tables)}) and give each a share of at least 0, one of them "
                f"above 0. Found {options.shares}."
            )

    def wanted(self, step: int, progress: float) -> np.ndarray:
        return self._wanted


class BanditOptions(SamplingOptions):
    exploration: float = Setting(
        0.2, gt=0, le=1, title=N_("Exploration"), description=N_("Fraction of the rows that is sampled uniformly, for exploration.")
    )
    learning_rate: float = Setting(
        0.05,
        gt=0,
        le=1,
        title=N_("Learning rate of the shares"),
        description=N_("How fast the shares adapt to the tasks' learning progress."),
        json_schema_extra={"stops": [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]},
    )


class Bandit(Sampling):
    """EXP3: share = (1 - γ) · softmax(s) + γ / S; s_i grows by η · gain_i / (S · share_i).

    gain: how far a table's losses fell below their moving average, by its rank among the recent gains of all tables, in [-1, 1]; the
    paper's scaling by quantiles, so that noisy losses do not drive the shares.
    """

    name = "bandit"
    label = N_("Bandit (EXP3)")
    help = N_("More rows for the tables whose tasks are improving most.")
    source = "Automated Curriculum Learning for Neural Networks, https://arxiv.org/abs/1704.03003"
    Options = BanditOptions
    _RECENT = 200
    _DECAY = 0.9

    def __init__(self, tables: Sequence[str], sizes: np.ndarray, options: BanditOptions):
        super().__init__(tables, sizes, options)
        self._scores = np.zeros(len(sizes))
        self._averages: dict[str, float] = {}
        self._gains: list[float] = []

    def wanted(self, step: int, progress: float) -> np.ndarray:
        powers = np.exp(self._scores - self._scores.max())
        return (1 - self.options.exploration) * powers / powers.sum() + self.options.exploration / len(powers)

    def observe(self, losses: Mapping[str, float]) -> None:
        shares = self.wanted(0, 0)
        for table, loss in losses.items():
            before = self._averages.get(table)
            self._averages[table] = loss if before is None else self._DECAY * before + (1 - self._DECAY) * loss
            if before is None or before <= 0:
                continue
            gain = (before - loss) / before
            self._gains = [*self._gains, gain][-self._RECENT :]
            low, high = np.quantile(self._gains, [0.2, 0.8])
            scaled = float(np.clip(2 * (gain - low) / (high - low) - 1, -1, 1)) if high > low else 0.0
            place = self.tables.index(table)
            self._scores[place] += self.options.learning_rate * scaled / (len(shares) * shares[place])

    def state(self) -> dict[str, Any]:
        return {"scores": self._scores.tolist(), "averages": dict(self._averages), "gains": list(self._gains)}

    def load(self, state: dict[str, Any]) -> None:
        self._scores = np.array(state["scores"])
        self._averages, self._gains = dict(state["averages"]), list(state["gains"])


SAMPLING: dict[str, type[Sampling]] = {
    way.name: way for way in (Proportional, Uniform, SquareRoot, Temperature, Annealed, RoundRobin, FixedShares, Bandit)
}
