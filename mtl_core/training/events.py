"""What training yields: typed records, each with the step at which it holds. JSON in, JSON out; a run is replayed from them."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mtl_core.evaluation.metrics import Metrics


@dataclass(frozen=True)
class Event:
    step: int

    def to_json(self) -> dict[str, Any]:
        return {"event": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class Started(Event):
    """n_steps: planned; rows: task → split → rows; device, precision: what was chosen; parameters: trainable, total.

    drawn: task → rows with a label that steps before this one had; empty at the first step.
    datasets: the experiment's name of a table → the hash of what it held; problems: warnings of the tables (`Problem.to_json`).
    """

    n_steps: int
    device: str
    precision: str
    rows: dict[str, dict[str, int]]
    trainable_parameters: int
    total_parameters: int
    weights: dict[str, float]
    drawn: dict[str, int] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class StepDone(Event):
    """One optimiser step. losses: task → mean loss over its rows of this step (a task without rows is left out).

    effective: task → the factor of its gradient in the update of the shared encoder; empty with fixed weights, which are that factor.
    guessed: task → how many of its rows had a pseudo-label.
    left_out: tasks whose shared gradient was zero or not finite; fell_back: the strategy found no weights, the person's were taken.
    """

    losses: dict[str, float]
    total_loss: float
    learning_rate: float
    gradient_norm: float
    rows: dict[str, int]
    tokens: int  # useful ones: every token of every row's texts, each text counted for every row that uses it
    seconds: float
    memory_bytes: int  # peak on the device since the last step, or the process's resident set on the CPU
    effective: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    fell_back: bool = False
    guessed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluated(Event):
    """split: validation or test. losses and metrics by task; objective: the number early stopping looks at (higher is better)."""

    split: str
    losses: dict[str, float]
    metrics: Metrics
    objective: float
    seconds: float
    is_best: bool = False


@dataclass(frozen=True)
class Compared(Event):
    """How the tasks' shared gradients stand to each other, on the rows of the step.

    tasks: K names, those with rows and a loss weight above 0. norms: (K,) lengths of the gradients of their losses, without weights.
    cosines: (K, K) over all shared parameters; layers: the same for each part of the encoder. nan where a gradient is zero.
    affinity: of some tasks, what a step along their gradient alone takes off every task's loss, as a share of it (below 0: adds to it).
    """

    tasks: list[str]
    norms: list[float]
    cosines: list[list[float]]
    layers: dict[str, list[list[float]]]
    affinity: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Gated(Event):
    """The gate weights above the encoder: task → expert (see `Sharing.gate_weights`) → its share, which sum to 1.

    The mean over the distinct texts of the validation rows that are watched; a task without texts is left out.
    """

    weights: dict[str, dict[str, float]]


@dataclass(frozen=True)
class RowsMade(Event):
    """Rows that are learned from beside those with a label from the next step on, in place of those made before (see `training.mining`).

    how: mined (hard negatives) or pseudo-labelled; rows: task → how many.
    """

    how: str
    rows: dict[str, int]
    seconds: float


@dataclass(frozen=True)
class Reported(Event):
    """The full reports of a split were written. path: of their file, in the run's folder; empty in journals of older versions, which hold
    the reports themselves."""

    split: str
    path: str = ""


@dataclass(frozen=True)
class Predicted(Event):
    """What the best model says to single rows was written (see `evaluation.predictions`). rows: task → how many.

    split: validation, test, train, or rest: validation rows that no evaluation looked at. evaluated: whether they had been scored for
    their metrics anyway, so that `seconds` are those of writing; else of scoring, too.
    """

    split: str
    rows: dict[str, int]
    seconds: float
    evaluated: bool = True


@dataclass(frozen=True)
class EvaluatedAfterwards(Event):
    """The test split was evaluated after the end of a run that had left it alone. metrics, peaks: as `Finished.test` and `peaks`."""

    metrics: Metrics
    seconds: float
    peaks: Metrics = field(default_factory=dict)


@dataclass(frozen=True)
class Steered(Event):
    """A person changed settings; `step` is the first step taken with them. old, new: path in the experiment → value.

    checkpoint: the one taken before the change, None: the run keeps none. refused: why nothing was changed; empty: it was.
    """

    old: dict[str, Any]
    new: dict[str, Any]
    checkpoint: str | None = None
    refused: str = ""

    @property
    def weights(self) -> dict[str, float]:
        """The loss weights among what changed: task → weight."""
        paths = {} if self.refused else {tuple(path.split(".")): value for path, value in self.new.items()}
        return {path[1]: float(value) for path, value in paths.items() if path[0] == "tasks" and path[-1] == "weight"}


@dataclass(frozen=True)
class TaskEnded(Event):
    """The task has stopped gaining: from the next step on it is rehearsed or frozen (`then`). peak: the step of its best evaluation."""

    task: str
    then: str
    peak: int


@dataclass(frozen=True)
class Paused(Event):
    pass


@dataclass(frozen=True)
class Resumed(Event):
    """After a pause, or after the run was loaded from a checkpoint (from_checkpoint): what came after `step` is forgotten.

    damaged: newer checkpoints that could not be used → what is wrong with them; journal: number of the line of the journal that led to it.
    """

    from_checkpoint: bool = False
    damaged: dict[str, str] = field(default_factory=dict)
    journal: int = 0


@dataclass(frozen=True)
class Missing(Event):
    """Never written: whoever reads a journal finds it after `step`, where so many lines are gone or were altered."""

    lines: int


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """name: step-<N>, of older programs last, best or before-<step>; path: relative to the run's folder."""

    name: str
    path: str


@dataclass(frozen=True)
class Failed(Event):
    """The end of a run that cannot go on. reason: not_finite, out_of_memory, data, error; advice: what to do."""

    reason: str
    message: str
    advice: str
    task: str | None = None


@dataclass(frozen=True)
class Finished(Event):
    """The end. state: finished or stopped; why: steps, patience, asked.

    peaks: task → test metrics of the model of its own best step, where those models are kept.
    """

    state: str
    why: str
    best_step: int
    before: Metrics = field(default_factory=dict)
    best: Metrics = field(default_factory=dict)
    test: Metrics = field(default_factory=dict)
    seconds: float = 0.0
    peaks: Metrics = field(default_factory=dict)


_IN_A_RUN = (Started, StepDone, Evaluated, Compared, Gated, RowsMade, Reported, Predicted, Steered, TaskEnded)
_AROUND_IT = (Paused, Resumed, CheckpointSaved, Failed, Finished, EvaluatedAfterwards)
EVENTS: dict[str, type[Event]] = {c.__name__: c for c in (*_IN_A_RUN, *_AROUND_IT)}


def from_json(record: dict[str, Any]) -> Event:
    """Inverse of `Event.to_json`; fields that this version does not know are left out. Raises KeyError: unknown event."""
    cls = EVENTS[record["event"]]
    known = {f.name for f in fields(cls)}
    return cls(**{k: v for k, v in record.items() if k in known})
